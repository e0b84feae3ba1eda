package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	virtual "github.com/descope/virtualwebauthn"

	"writ/internal/identity/passkey"
)

const secondVersion = "14.0.3"

// second is where npm has put the other verifier, or the test is skipped.
func second(t *testing.T) (node, dir string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no second verifier: node is not installed")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no second verifier: ", err)
	}
	dir = filepath.Join(cache, "writ-tests", "simplewebauthn-"+secondVersion)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@simplewebauthn", "server", "package.json")); err == nil {
		return node, dir
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no second verifier: it is not in " + dir + ", and there is no npm to fetch it")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "@simplewebauthn/server@"+secondVersion).CombinedOutput()
	if err != nil {
		t.Skipf("no second verifier: npm could not fetch it: %v\n%s", err, out)
	}
	return node, dir
}

// story is one answer and what we make of it.
type story struct {
	Name      string          `json:"name"`
	Made      bool            `json:"made"`
	Challenge string          `json:"challenge"`
	Origin    string          `json:"origin"`
	Host      string          `json:"host"`
	Response  json.RawMessage `json:"response"`
	ID        string          `json:"id,omitempty"`
	Key       string          `json:"key,omitempty"`
	Count     uint32          `json:"count"`

	cause passkey.Cause // "" = accepted
	count uint32
}

// Somebody else's verifier comes to the same verdict on the same answers.
func TestSecondVerifier(t *testing.T) {
	node, dir := second(t)
	stories := append(makings(t), provings(t)...)
	in, err := json.Marshal(stories)
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "second.mjs"), dir)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	var verdicts []struct {
		Holds bool
		Why   string
		Count uint32
	}
	read(t, out, &verdicts)
	if len(verdicts) != len(stories) {
		t.Fatalf("%d verdicts on %d answers", len(verdicts), len(stories))
	}
	held := 0
	for i, v := range verdicts {
		s := stories[i]
		if v.Holds != (s.cause == "") {
			t.Errorf("%s: here %q, there %t %s", s.Name, s.cause, v.Holds, v.Why)
		}
		if v.Holds {
			held++
			if v.Count != s.count {
				t.Errorf("%s: count %d here, %d there", s.Name, s.count, v.Count)
			}
		}
	}
	if held != 4 {
		t.Errorf("%d answers hold, want 4", held)
	}
}

// liars are devices and browsers that a site must not believe.
var liars = map[string]func(*desk){
	"an honest one": func(*desk) {},
	"a copied one":  func(d *desk) { d.device.Options.BackupState = true },
	"another site":  func(d *desk) { d.site.Origin = "https://login.example.test" },
	"another host":  func(d *desk) { d.site.ID = "example.test" },
	"nobody there":  func(d *desk) { d.device.Options.UserNotPresent = true },
	"not verified":  func(d *desk) { d.device.Options.UserNotVerified = true },
}

func told(t *testing.T, name string, made bool, options json.RawMessage, answer string) story {
	t.Helper()
	var asked struct{ Challenge string }
	read(t, options, &asked)
	return story{Name: fmt.Sprintf("%s, made %t", name, made), Made: made, Challenge: asked.Challenge, Origin: origin, Host: "app.example.test", Response: json.RawMessage(answer)}
}

func makings(t *testing.T) (out []story) {
	for name, lie := range liars {
		d := open(t)
		lie(d)
		c, options, err := d.party.Create("Quorvex", d.owner())
		if err != nil {
			t.Fatal(err)
		}
		o, err := virtual.ParseAttestationOptions(string(options))
		if err != nil {
			t.Fatal(err)
		}
		s := told(t, name, true, options, virtual.CreateAttestationResponse(d.site, d.device, d.key, *o))
		_, err = d.party.Created(c, s.Response)
		s.cause = verdict(t, err)
		out = append(out, s)
	}
	return out
}

func provings(t *testing.T) (out []story) {
	more := map[string]func(*desk){
		"a copy": func(d *desk) { d.key.Counter = 5 },
		"another key": func(d *desk) {
			id := d.key.ID
			d.key = newKey()
			d.key.ID, d.key.Counter = id, 9
		},
	}
	maps.Copy(more, liars)
	for name, lie := range more {
		d := open(t)
		r := d.made()
		r.Count, d.key.Counter = 7, 8
		lie(d)
		c, options, err := d.party.Ask(nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := virtual.ParseAssertionOptions(string(options))
		if err != nil {
			t.Fatal(err)
		}
		s := told(t, name, false, options, virtual.CreateAssertionResponse(d.site, d.device, d.key, *o))
		s.ID, s.Key, s.Count = base64.RawURLEncoding.EncodeToString(r.ID), base64.StdEncoding.EncodeToString(r.Key), r.Count
		now, err := d.prove(c, string(s.Response), r)
		s.cause, s.count = verdict(t, err), now.Count
		out = append(out, s)
	}
	return out
}

func verdict(t *testing.T, err error) passkey.Cause {
	t.Helper()
	cause := passkey.CauseOf(err)
	if err != nil && cause == "" {
		t.Fatal(err)
	}
	return cause
}
