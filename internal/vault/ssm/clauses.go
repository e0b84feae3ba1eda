package ssm

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/aws"
	"writ/internal/vault/sigv4"
)

// Controls are the proofs that go through the wire, as a program of the reserved team.
func (d *Door) Controls(door *canary.Door) []clause.Control {
	return []clause.Control{
		{ID: "vault.read-needs-key", Clause: "vault.access-logged", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Reads a value unsigned, with a wrong secret, outside the path of a key and with a key that has ended", Run: d.attack(door, "vault.read-needs-key", (*trial).reads)},
		{ID: "vault.sensitive-needs-secure", Clause: "vault.encrypted-store", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Writes a plain value under a name that is sensitive", Run: d.attack(door, "vault.sensitive-needs-secure", (*trial).sensitive)},
		{ID: "vault.public-database-refused", Clause: "vault.db-private", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Stores the addresses of a database in the public network and of one without encryption", Run: d.attack(door, "vault.public-database-refused", (*trial).database)},
		{ID: "vault.value-nowhere", Clause: "crypto.at-rest", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Stores a random value through the wire and searches every stored byte for it", Run: d.attack(door, "vault.value-nowhere", (*trial).nowhere)},
	}
}

// trial is one run: a key of the reserved team and its path.
type trial struct {
	d     *Door
	ctx   context.Context
	v     *canary.Visitor
	key   vault.IssuedKey
	path  string
	steps []clause.Step
	err   error // the server could not answer: the run decides nothing
}

func (d *Door) attack(door *canary.Door, control string, story func(*trial) string) func(context.Context) (clause.Result, error) {
	return func(ctx context.Context) (clause.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		t := &trial{d: d, ctx: ctx, v: door.Visitor(), path: "/canary/" + hex.EncodeToString(secret.Random(8).Reveal())}
		defer t.v.Close()
		key, uproot, err := d.Vault.PlantKey(ctx, control, t.path, false)
		if err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, err)
		}
		defer uproot()
		t.key = key
		summary := story(t)
		if t.err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", control, t.err)
		}
		return clause.Judge(summary, t.steps...), nil
	}
}

// call signs and sends one call; change may spoil it afterwards.
func (t *trial) call(key vault.IssuedKey, op string, in map[string]any, change func(*http.Request)) (status int, code, id string) {
	if t.err != nil {
		return 0, "", ""
	}
	body, err := json.Marshal(in)
	if err != nil {
		t.err = err
		return 0, "", ""
	}
	r, err := http.NewRequestWithContext(t.ctx, http.MethodPost, t.v.Base+aws.Base, strings.NewReader(string(body)))
	if err != nil {
		t.err = err
		return 0, "", ""
	}
	now := t.d.Now().UTC()
	r.Header.Set("Content-Type", aws.Media)
	r.Header.Set("X-Amz-Target", prefix+op)
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Host = r.URL.Host
	err = sigv4.Sign(r, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, sha256.Sum256(body), sigv4.Credential{KeyID: key.ID, Day: now.Format("20060102"), Region: "canary", Service: Name}, key.Secret)
	if err != nil {
		t.err = err
		return 0, "", ""
	}
	if change != nil {
		change(r)
	}
	a, err := t.v.Send(r)
	if err == nil && a.Status >= 500 {
		err = fmt.Errorf("%s answered %d", op, a.Status)
	}
	if t.err = err; err != nil {
		return 0, "", ""
	}
	var out struct {
		Type string `json:"__type"`
	}
	if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
		return a.Status, "no JSON", ""
	}
	return a.Status, out.Type, a.Header.Get("X-Amzn-RequestId")
}

func (t *trial) works(act, op string, in map[string]any) {
	status, code, id := t.call(t.key, op, in, nil)
	t.steps = append(t.steps, clause.Step{Act: act, Expected: "200", Got: strings.TrimSpace(fmt.Sprintf("%d %s", status, code)), OK: status == http.StatusOK && id != "", Control: true})
}

func (t *trial) refused(act, want string, key vault.IssuedKey, name string, change func(*http.Request)) {
	status, code, _ := t.call(key, "GetParameter", map[string]any{"Name": name, "WithDecryption": true}, change)
	t.steps = append(t.steps, clause.Step{Act: act, Expected: want, Got: code, OK: status == http.StatusBadRequest && code == want})
}

func (t *trial) reads() string {
	name := t.path + "/value"
	t.works("store a value", "PutParameter", map[string]any{"Name": name, "Value": secret.RandomText(16).Reveal(), "Type": "SecureString"})
	t.works("read it", "GetParameter", map[string]any{"Name": name, "WithDecryption": true})
	t.refused("read it unsigned", sigv4.Missing, t.key, name, func(r *http.Request) { r.Header.Del("Authorization") })
	other := t.key
	other.Secret = secret.RandomText(30)
	t.refused("read it with another secret", sigv4.Invalid, other, name, nil)
	t.refused("read outside the key's path", "AccessDeniedException", t.key, "/canary-else/value", nil)
	t.refused("ask for another thing than was signed", sigv4.Invalid, t.key, name, func(r *http.Request) { r.Header.Set("X-Amz-Target", prefix+"DeleteParameter") })
	gone, uproot, err := t.d.Vault.PlantKey(t.ctx, "vault.read-needs-key", t.path+"/ended", true)
	if err != nil {
		t.err = err
		return ""
	}
	uproot()
	t.refused("read it with a key that has ended", "UnrecognizedClientException", gone, name, nil)
	return "a value was given to the holder of a key, within its path, and to nobody else"
}

func (t *trial) sensitive() string {
	if err := t.d.Vault.PlantSensitive(t.ctx, "vault.sensitive-needs-secure", t.key); err != nil {
		t.err = err
		return ""
	}
	name := t.path + "/value"
	put := func(kind string) map[string]any {
		return map[string]any{"Name": name, "Value": secret.RandomText(16).Reveal(), "Type": kind}
	}
	for _, kind := range []string{"String", "StringList"} {
		status, code, _ := t.call(t.key, "PutParameter", put(kind), nil)
		t.steps = append(t.steps, clause.Step{Act: "write a " + kind + " there", Expected: "ValidationException", Got: code, OK: status == http.StatusBadRequest && code == "ValidationException"})
	}
	t.works("write a SecureString there", "PutParameter", put("SecureString"))
	return "a sensitive name took a SecureString and nothing plain"
}

func (t *trial) database() string {
	for act, v := range map[string]string{
		"store the address of a database in the public network": "postgres://app@203.0.113.7/shop?sslmode=verify-full",
		"store the address of one without encryption":           "postgres://app@10.1.2.3/shop?sslmode=disable",
	} {
		status, code, _ := t.call(t.key, "PutParameter", map[string]any{"Name": t.path + "/database", "Value": v, "Type": "SecureString"}, nil)
		t.steps = append(t.steps, clause.Step{Act: act, Expected: "ValidationException", Got: code, OK: status == http.StatusBadRequest && code == "ValidationException"})
	}
	t.works("store the address of a private and encrypted one", "PutParameter", map[string]any{"Name": t.path + "/database", "Value": "postgres://app@10.1.2.3/shop?sslmode=verify-full", "Type": "SecureString"})
	return "the addresses of a public database and of an unencrypted one were refused, and that of a private one was taken"
}

func (t *trial) nowhere() string {
	if t.d.Raw == nil {
		t.err = fmt.Errorf("there is no search through the stored bytes")
		return ""
	}
	value := secret.RandomText(24).Reveal()
	for _, kind := range []string{"SecureString", "String"} {
		name := t.path + "/" + strings.ToLower(kind)
		t.works("store a "+kind, "PutParameter", map[string]any{"Name": name, "Value": value, "Type": kind})
		t.works("read it", "GetParameter", map[string]any{"Name": name, "WithDecryption": true})
	}
	for _, needle := range [][]byte{[]byte(value), []byte(hex.EncodeToString([]byte(value))), []byte(base64.RawStdEncoding.EncodeToString([]byte(value)))} {
		if t.err != nil {
			return ""
		}
		hits, places, err := t.d.Raw(t.ctx, needle)
		if err != nil {
			t.err = err
			return ""
		}
		t.steps = append(t.steps, clause.Step{Act: "search everything that is stored", Expected: "nowhere", Got: strings.TrimSpace(fmt.Sprintf("%d hits %s", hits, strings.Join(places, ", "))), OK: hits == 0})
	}
	return "a value that was stored and read is nowhere to be found"
}
