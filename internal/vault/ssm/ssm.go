package ssm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/sigv4"
	"writ/internal/web"
)

// Base is where the clients' endpoint address points.
const Base = "/-/aws/"

const (
	maxBody = 1 << 20
	media   = "application/x-amz-json-1.1"
	prefix  = "AmazonSSM."
	service = "ssm"

	// The limit of the wire on versions; the vault's own doors keep all.
	mostKept = 100
)

// RawSearch looks for bytes in everything this server has stored.
type RawSearch func(ctx context.Context, needle []byte) (hits int, places []string, err error)

// Deps are what a Door is made of. Raw may be nil.
type Deps struct {
	Vault *vault.Service
	Now   func() time.Time
	Raw   RawSearch // for a control
}

// Door is the endpoint.
type Door struct{ Deps }

// New makes a Door.
func New(d Deps) (*Door, error) {
	if d.Vault == nil || d.Now == nil {
		return nil, errors.New("ssm: a dependency is missing")
	}
	return &Door{d}, nil
}

// Routes is the endpoint. It judges the Authorization header by itself.
func (d *Door) Routes() []web.Route {
	return []web.Route{{Pattern: "POST " + Base + "{$}", Who: web.Anyone, Bearer: true, Limit: maxBody, Handle: d.serve, Refusal: refusal, Foreign: true}}
}

// call is one request whose signature was found good.
type call struct {
	ctx     context.Context
	vault   *vault.Service
	who     actor.Actor
	account string // 12 digits
	region  string
	once    string // names the call where the client may repeat it
	body    []byte
	entry   string
}

// operation answers one call with a value to be written as JSON.
type operation func(*call) (any, error)

// operations by the name in X-Amz-Target.
var operations = map[string]operation{
	"PutParameter":            put,
	"GetParameter":            get,
	"GetParameters":           getMany,
	"GetParametersByPath":     byPath,
	"DescribeParameters":      describe,
	"GetParameterHistory":     history,
	"LabelParameterVersion":   label,
	"UnlabelParameterVersion": unlabel,
	"DeleteParameter":         remove,
	"DeleteParameters":        removeMany,
	"AddTagsToResource":       addTags,
	"RemoveTagsFromResource":  removeTags,
	"ListTagsForResource":     listTags,
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request, stranger actor.Actor) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read call: %w", err)
	}
	c, err := d.admit(r, stranger, body)
	if err != nil {
		return answer(w, "", err)
	}
	out, err := c.run(r)
	if err != nil {
		return answer(w, c.entry, err)
	}
	return write(w, http.StatusOK, c.entry, out)
}

// admit proves who calls. A call that is not let in is recorded.
func (d *Door) admit(r *http.Request, stranger actor.Actor, body []byte) (*call, error) { // clause: vault.access-logged
	signed, err := sigv4.Parse(r.Header.Get("Authorization"))
	if err != nil {
		return nil, d.refuse(r.Context(), stranger, "", err)
	}
	who, key, err := d.Vault.Caller(r.Context(), signed.KeyID)
	unknown := errors.Is(err, fault.Unauthenticated)
	if err != nil && !unknown {
		return nil, err
	}
	if unknown { // the same work as for a key that is there
		key = secret.RandomText(30)
	}
	sum := sha256.Sum256(body)
	wrong := signed.Verify(r, sum, service, key, d.Now())
	switch {
	case unknown:
		return nil, d.refuse(r.Context(), stranger, signed.KeyID, err)
	case wrong != nil:
		return nil, d.refuse(r.Context(), stranger, signed.KeyID, wrong)
	}
	if err := d.Vault.Used(r.Context(), signed.KeyID); err != nil {
		return nil, err
	}
	c := &call{ctx: r.Context(), who: who, account: account(who.Team), region: signed.Region, body: body}
	c.vault = d.Vault.Noting(func(entry string) { c.entry = entry })
	if id := r.Header.Get("Amz-Sdk-Invocation-Id"); id != "" && len(id) <= 100 {
		h := sha256.Sum256([]byte(signed.KeyID + "\x00" + id + "\x00" + string(sum[:])))
		c.once = hex.EncodeToString(h[:])
	}
	return c, nil
}

func (d *Door) refuse(ctx context.Context, who actor.Actor, key string, reason error) error {
	code := "key_unknown"
	if e, ok := errors.AsType[*sigv4.Error](reason); ok {
		code = e.Code
	}
	return d.Vault.RefuseCall(ctx, who, key, code, reason)
}

// run finds the operation and does it.
func (c *call) run(r *http.Request) (any, error) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), prefix)
	op := operations[name]
	if !ok || op == nil {
		return nil, &wireError{code: "UnknownOperationException", text: "The operation is not known here."}
	}
	return op(c)
}

// read takes the input of a call. Members that are not known are passed over.
func read[T any](c *call) (T, error) {
	var in T
	if err := json.Unmarshal(c.body, &in); err != nil {
		return in, &wireError{code: "SerializationException", text: "The input is not the JSON that the operation takes."}
	}
	return in, nil
}

// account is the number that a team has in the names of resources: the clients want
// twelve digits.
func account(team string) string {
	h := sha256.Sum256([]byte("writ/vault/account/" + team))
	n := uint64(0)
	for _, b := range h[:8] {
		n = n<<8 | uint64(b)
	}
	return fmt.Sprintf("%012d", n%1_000_000_000_000)
}

func (c *call) arn(name string) string {
	return "arn:aws:ssm:" + c.region + ":" + c.account + ":parameter/" + strings.TrimPrefix(name, "/")
}

// user is whoever changed something, in the clients' form.
func (c *call) user(ref string) string {
	return "arn:aws:iam::" + c.account + ":user/" + ref
}

// named takes the name out of a resource name, where it is one.
func named(s string) string {
	if !strings.HasPrefix(s, "arn:aws:ssm:") {
		return s
	}
	_, name, ok := strings.Cut(s, ":parameter/")
	if !ok {
		return s
	}
	if strings.Contains(name, "/") {
		return "/" + name
	}
	return name
}

// epoch is a time as the clients read it: seconds, with milliseconds.
func epoch(t time.Time) float64 { return math.Round(float64(t.UnixMilli())) / 1000 }

func write(w http.ResponseWriter, status int, id string, v any) error {
	b := []byte("{}")
	if v != nil {
		var buf bytes.Buffer
		if err := json.MarshalWrite(&buf, v); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
		b = buf.Bytes()
	}
	if id == "" {
		id = hex.EncodeToString(secret.Random(16).Reveal())
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("X-Amzn-RequestId", id)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err := w.Write(b)
	return err
}
