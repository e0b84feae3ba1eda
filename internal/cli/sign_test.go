package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

const ttl = "auth.reset-link-lifetime/ttl"

// proposed makes a fake with revision 1.0 in force and 1.1 proposed; text may alter
// what the server wants to have signed.
func proposed(t *testing.T, key sshsig.Key, text func(map[string]any)) *fake {
	t.Helper()
	f := serve(t)
	now, next := shipped(t, nil), shipped(t, map[string]string{ttl: "1h"})
	says := map[string]any{"policy": next.ID, "version": "1.1", "body": hash(next), "parent": "p", "effective": "", "approver": "person/ana", "kind": "owner"}
	if text != nil {
		text(says)
	}
	body, err := json.Marshal(says)
	if err != nil {
		t.Fatal(err)
	}
	rev := map[string]any{"id": "r2", "version": "1.1", "state": "proposed", "kind": "revision", "policy": next.ID, "body_sha256": hash(next), "needs": 2,
		"approvals": []any{}, "diff": document.Compare(now, next),
		"to_sign": []any{map[string]any{"approver": "person/ana", "kind": "owner", "text": "writ/approval/v1\n" + string(body), "has_key": true}}}
	f.onDo("GET policy", func(r *http.Request) any {
		switch r.FormValue("revision") {
		case "", "1.0":
			return lawOf("r1", "1.0", "in-force", now)
		case "r2", "1.1":
			return lawOf("r2", "1.1", "proposed", next)
		}
		return refusal{404, `{"code":"no_revision","detail":"None."}`}
	})
	f.on("GET policy/proposals", map[string]any{"proposals": []any{rev}})
	f.on("GET policy/log", map[string]any{"revisions": []any{map[string]any{"version": "1.0", "state": "in-force", "needs": 2}}})
	f.on("GET policy/proposals/{v}", rev)
	f.on("POST policy/proposals", rev)
	f.on("GET keys", map[string]any{"keys": []any{map[string]any{"fingerprint": key.Fingerprint(), "handle": "person/ana"}}})
	f.onDo("POST policy/proposals/{v}/approve", func(r *http.Request) any {
		var in struct{ Signature string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		made, err := sshsig.Verify([]byte(in.Signature), "writ-policy", []byte("writ/approval/v1\n"+string(body)))
		if err != nil || made.Fingerprint() != key.Fingerprint() {
			return refusal{422, `{"code":"signature","detail":"The signature was refused."}`}
		}
		return map[string]any{"version": "1.1", "state": "proposed", "needs": 2, "approvals": []any{map[string]any{"signer": "person/ana", "kind": "owner"}}}
	})
	return f
}

// breaks: gov.signed-dated
func TestApprove(t *testing.T) {
	file, s := newKey(t)
	f := proposed(t, s.Key(), nil)
	f.must(0, []string{"policy", "approve", "--key", file}, "tighter", ttl[:len(ttl)-4], "Signed as person/ana", "1 of 2")
	for _, line := range f.seen {
		if strings.Contains(line, "PRIVATE KEY") {
			t.Fatal("the private key was sent")
		}
	}
	text := f.must(0, []string{"policy", "approve", "1.1", "--text", "person/ana"})
	if !strings.HasPrefix(text, "writ/approval/v1\n{") || strings.HasSuffix(text, "\n") {
		t.Errorf("text to sign: %q", text)
	}
	// The outside way: ssh-keygen signs, the command carries.
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-Y", "sign", "-f", file, "-n", "writ-policy", name).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	f.must(0, []string{"policy", "approve", "1.1", "--signature", name + ".sig"}, "1 of 2")
}

// A server must not get a signature over anything but what was asked for and shown.
//
// breaks: gov.signed-dated
func TestApproveRefusesOtherText(t *testing.T) {
	file, s := newKey(t)
	for what, change := range map[string]func(map[string]any){
		"other body":    func(m map[string]any) { m["body"] = strings.Repeat("0", 64) },
		"other version": func(m map[string]any) { m["version"] = "9.0" },
		"other person":  func(m map[string]any) { m["approver"] = "person/ben" },
		"other kind":    func(m map[string]any) { m["kind"] = "author" },
		"other policy":  func(m map[string]any) { m["policy"] = "XX-01" },
	} {
		t.Run(what, func(t *testing.T) {
			f := proposed(t, s.Key(), change)
			f.must(1, []string{"policy", "approve", "1.1", "--key", file}, "It was not signed")
			if f.asked("POST") {
				t.Errorf("sent: %q", f.seen)
			}
		})
	}
	t.Run("body that is not the shown one", func(t *testing.T) {
		f := proposed(t, s.Key(), nil)
		lie := lawOf("r2", "1.1", "proposed", shipped(t, nil))
		lie["revision"].(map[string]any)["body_sha256"] = hash(shipped(t, map[string]string{ttl: "1h"}))
		f.mux = http.NewServeMux()
		g := proposed(t, s.Key(), nil)
		f.mux.Handle("/", g.mux)
		f.onDo("GET policy", func(*http.Request) any { return lie })
		f.must(1, []string{"policy", "approve", "1.1", "--key", file}, "not the revision that was signed")
		if f.asked("POST") {
			t.Errorf("sent: %q", f.seen)
		}
	})
}

func TestApproveNeedsRegisteredKey(t *testing.T) {
	_, s := newKey(t)
	other, _ := newKey(t)
	f := proposed(t, s.Key(), nil)
	f.must(1, []string{"policy", "approve", "1.1", "--key", other}, "is not registered", "--as EMAIL")
	f.must(2, []string{"policy", "approve", "1.1", "--key", other + ".gone"}, "cannot be read")
	f.must(1, []string{"policy", "approve", "1.1", "--key", other + ".pub"}, "private key was refused")
	f.on("POST policy/proposals/{v}/reject", refusal{403, `{"code":"not_owner","detail":"Only an owner can."}`})
	f.must(1, []string{"policy", "reject", "1.1", "--reason", "no"}, "Only an owner can.")
}

func TestLockedKeyNeedsTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "id")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "phrase", "-f", file).CombinedOutput(); err != nil {
		t.Skipf("ssh-keygen: %v %s", err, out)
	}
	_, s := newKey(t)
	f := proposed(t, s.Key(), nil)
	f.must(2, []string{"policy", "approve", "1.1", "--key", file}, "Passphrase", "no terminal", "ssh-keygen -Y sign")
}

func TestPolicyReads(t *testing.T) {
	_, s := newKey(t)
	f := proposed(t, s.Key(), nil)
	f.must(0, []string{"policy", "show"}, "Revision 1.0, in force", "Nobody has signed it; it needs 2 owners", "auth.reset-link-lifetime", "24 hours")
	f.must(0, []string{"policy", "show", "auth.reset-link-lifetime", "--revision", "1.1"}, "PARAMETER", "1 hour")
	f.must(1, []string{"policy", "show", "auth.nothing"}, "no clause")
	f.must(0, []string{"policy", "log"}, "1.0", "1.1", "proposed")
	f.must(0, []string{"policy", "diff", "1.0", "1.1"}, "tighter", "1h")
	out := f.must(0, []string{"policy", "export", "--revision", "1.1"}, "writ: policy/v1")
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must(0, []string{"policy", "diff", "1.1", file}, "No change.")
	f.must(0, []string{"policy", "propose", file, "--summary", "an hour"}, "Revision 1.1 is proposed", "2 owners", "person/ana as owner")
	if !f.asked("POST /-/api/v1/policy/proposals", `"summary":"an hour"`, `"yaml":"writ: policy/v1`) {
		t.Error("the file was not sent")
	}
	if _, out, errs := try("__complete", "prove", "--dir", f.dir, "auth.res"); !strings.Contains(out, "auth.reset-link-lifetime\tA reset link") {
		t.Errorf("completion: %s%s", out, errs)
	}
}

// breaks: gov.exceptions
func TestExceptions(t *testing.T) {
	file, s := newKey(t)
	f := proposed(t, s.Key(), nil)
	text := `writ/exception/v1` + "\n" + `{"approver":"person/ana","exception":"e1","param":"` + ttl + `","policy":"IS-01","reason":"slow mail","requester":"person/ben","scope":"all","until":"2026-04-01T00:00:00Z","value":"48h"}`
	e := map[string]any{"id": "e1", "param": ttl, "value": "48h", "state": "requested", "reason": "slow mail", "requester": "person/ben", "until": "2026-04-01T00:00:00Z",
		"to_sign": []any{map[string]any{"approver": "person/ana", "kind": "owner", "text": text}}}
	f.onDo("GET exceptions", func(*http.Request) any { return map[string]any{"exceptions": []any{e}} })
	f.on("POST exceptions", e)
	f.onDo("POST exceptions/{id}/approve", func(r *http.Request) any {
		var in struct{ Signature string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if _, err := sshsig.Verify([]byte(in.Signature), "writ-policy", []byte(text)); err != nil {
			t.Error(err)
		}
		return map[string]any{"id": "e1", "param": ttl, "state": "approved"}
	})
	f.on("POST exceptions/{id}/revoke", map[string]any{"param": ttl, "state": "revoked"})
	f.must(0, []string{"exception", "request", ttl, "48h", "--until", "14d", "--reason", "slow mail"}, "is requested")
	f.must(0, []string{"exception", "list"}, "e1", "slow mail")
	f.must(0, []string{"exception", "approve", "e1", "--key", file}, "48h", "approved")
	f.must(0, []string{"exception", "revoke", "e1"}, "revoked")
	f.must(1, []string{"exception", "approve", "e2", "--key", file}, "no exception")
	e["value"] = "1h" // shown, but not what the text says
	f.must(1, []string{"exception", "approve", "e1", "--key", file}, "It was not signed")
}

func TestAttest(t *testing.T) {
	file, s := newKey(t)
	f := proposed(t, s.Key(), nil)
	text := `writ/record/v1` + "\n" + `{"clause":"rec.drill","observed_at":"2026-03-01T00:00:00Z","signer":"person/ana","statement":"restored","valid_until":"2026-05-30T00:00:00Z"}`
	f.onDo("GET records", func(r *http.Request) any {
		if r.FormValue("signer") != "person/ana" || r.FormValue("observed_at") != "2026-03-01" || r.FormValue("valid_for") == "" {
			t.Errorf("asked for %s", r.URL.RawQuery)
		}
		return map[string]any{"records": []any{}, "text": text, "observed_at": "2026-03-01T00:00:00Z", "valid_for": "7776000s"}
	})
	f.onDo("POST records", func(r *http.Request) any {
		var in struct {
			Clause, Statement, Signature string
			ValidFor                     string `json:"valid_for"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if _, err := sshsig.Verify([]byte(in.Signature), "writ-policy", []byte(text)); err != nil || in.ValidFor != "7776000s" {
			t.Errorf("%v %+v", err, in)
		}
		return map[string]any{"clause": in.Clause, "signer": "person/ana", "valid_until": "2026-05-30T00:00:00Z", "entry": "i9"}
	})
	args := []string{"attest", "rec.drill", "--statement", "restored", "--observed", "2026-03-01", "--valid-for", "90d", "--key", file}
	f.must(0, args, "Signed by person/ana for rec.drill", "i9")
	args[3] = "burnt"
	f.must(1, args, "It was not signed")
	args[3], args[7] = "restored", "30d" // the text says 90 days
	f.must(1, args, "It was not signed")
	args[3] = " "
	f.must(2, args, "empty")
}
