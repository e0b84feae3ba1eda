package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const report = `{"policy":{"id":"IS-01","title":"T","revision":"1.0","body_sha256":"ab","in_force_since":"2026-03-01T10:00:00Z"},"at":"2026-03-01T10:00:00Z",
"counts":{"pass":1,"fail":0,"stale":0,"excepted":0,"unknown":0,"unbound":0},"clauses":[{"id":"auth.salt","section":"auth","says":"S.","class":"enforced","by":"identity","outcome":"OUTCOME",
"findings":[{"control":"identity.salt","kind":"probe","outcome":"OUTCOME","summary":"seen","observed_at":"2026-03-01T10:00:00Z","valid_until":"2026-03-01T10:00:00Z","entry":"7"}]}]}`

func TestCheckStatus(t *testing.T) {
	for outcome, want := range map[string]int{"pass": 0, "excepted": 0, "fail": 1, "stale": 1, "unknown": 1, "unbound": 1, "splendid": 1} {
		t.Run(outcome, func(t *testing.T) {
			f := serve(t)
			f.on("GET check", strings.ReplaceAll(report, "OUTCOME", outcome))
			f.on("POST prove", `{"clause":"auth.salt","says":"S.","at":"","outcome":"`+outcome+`","runs":[]}`)
			f.must(want, []string{"check"}, "auth.salt")
			f.must(want, []string{"check", "--format", "json"})
			f.must(want, []string{"prove", "auth.salt"}, "auth.salt")
		})
	}
	f := serve(t)
	f.on("GET check", `{"clauses":[]}`)
	f.must(1, []string{"check"})
}

func TestCheckAsks(t *testing.T) {
	f := serve(t)
	f.on("GET check", strings.ReplaceAll(report, "OUTCOME", "pass"))
	out := f.must(0, []string{"check", "--clause", "auth.salt", "--live", "--format", "json"})
	if !f.asked("GET /-/api/v1/check?", "clause=auth.salt", "live=1") {
		t.Errorf("asked %q", f.seen)
	}
	if strings.TrimSpace(out) != strings.ReplaceAll(report, "OUTCOME", "pass") {
		t.Errorf("the JSON was altered: %s", out)
	}
	if out := f.must(0, []string{"check"}); strings.Contains(out, "\x1b") {
		t.Errorf("colour outside of a terminal: %q", out)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name   string
		answer refusal
		status int
		says   []string
	}{
		{"refused", refusal{422, `{"code":"value","detail":"No.","expected":"Yes.","next":"Ask."}`}, 1, []string{"No.\nYes.\nAsk.\n"}},
		{"fields", refusal{422, `{"code":"policy_refused","detail":"Two problems.","errors":[{"field":"a","detail":"one"},{"field":"b","detail":"two"}]}`}, 1, []string{"  a: one\n", "  b: two\n"}},
		{"denied", refusal{403, `{"code":"denied","detail":"Your role does not allow this."}`}, 1, nil},
		{"not found", refusal{404, `{"code":"no_clause","detail":"None."}`}, 1, nil},
		{"inside", refusal{500, `{"code":"internal","detail":"Something inside went wrong.","request_id":"r-7"}`}, 1, []string{"Request r-7."}},
		{"sealed", refusal{503, `{"code":"sealed","detail":"The server is sealed."}`}, 3, []string{"sealed"}},
		{"away", refusal{503, `{"code":"unavailable","detail":"Away."}`}, 3, nil},
		{"no Writ", refusal{404, `{}`}, 3, []string{"not a Writ server"}},
		{"escape codes", refusal{422, `{"code":"x","detail":"\u001b[2Jgone\u202etxt"}`}, 1, []string{`\u001b[2Jgone\u202etxt`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := serve(t)
			f.on("GET check", tt.answer)
			if out := f.must(tt.status, []string{"check"}, tt.says...); out != "" {
				t.Errorf("stdout: %q", out)
			}
		})
	}
}

func TestNotJSON(t *testing.T) {
	f := serve(t)
	f.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) })
	f.must(3, []string{"check"}, "not a Writ server")
}

func TestMovedSocket(t *testing.T) {
	f := serve(t)
	f.on("GET gateway", `{"mode":"normal","upstream":"http://x","table":{"least":"signed-in","public_paths":["/about"],"routes":[{"path":"/admin/","who":"role","roles":["admin"]}]}}`)
	moved := filepath.Join(f.dir, "elsewhere.sock")
	if err := os.Rename(filepath.Join(f.dir, "writ.sock"), moved); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{"socket": moved})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "boot.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	f.must(0, []string{"gateway", "routes"}, "/about", "anyone", "/admin/", "admin", "all else", "signed-in")
}

func TestMaintenance(t *testing.T) {
	f := serve(t)
	f.onDo("PUT gateway/mode", func(r *http.Request) any {
		var in struct{ Mode, Reason string }
		json.NewDecoder(r.Body).Decode(&in)
		return map[string]string{"mode": in.Mode}
	})
	f.must(0, []string{"gateway", "maintenance", "on", "--reason", "move"}, "closed for maintenance")
	f.must(0, []string{"gateway", "maintenance", "off"}, "open")
	if !f.asked("PUT", `"mode":"maintenance"`, `"reason":"move"`) || !f.asked("PUT", `"mode":"normal"`) {
		t.Errorf("asked %q", f.seen)
	}
}

func TestTeams(t *testing.T) {
	f := serve(t)
	f.onDo("GET teams", func(r *http.Request) any {
		if r.FormValue("after") == "" {
			return `{"teams":[{"id":"staff","name":"Staff","kind":"staff","members":3,"invitations":1}],"after":"staff"}`
		}
		return `{"teams":[{"id":"t1","kind":"customer","members":1}]}`
	})
	f.on("GET teams/{team}", `{"id":"staff","name":"Staff","kind":"staff","members":2}`)
	f.on("GET teams/{team}/members", `{"members":[{"person":"p1","handle":"ana","email":"ana@example.test","state":"active","roles":["owner"]}]}`)
	f.on("POST invitations", `{"id":"i1","email":"dana@example.test"}`)
	f.on("GET invitations", `{"invitations":[{"id":"i1","email":"dana@example.test","role":"engineer","expired":true}]}`)
	f.on("DELETE invitations/{id}", nil)
	f.on("POST invitations/{id}/resend", `{"id":"i1"}`)
	f.on("POST teams/{team}/members/{person}", nil)
	f.on("DELETE teams/{team}/members/{person}", refusal{409, `{"type":"about:blank","title":"Conflict","detail":"Fewer than two owners who can sign in would be left.","status":409,"code":"last_owner"}`})
	f.on("POST teams/{team}/transfer", nil)
	f.on("POST teams/{team}/rename", nil)
	f.must(0, []string{"team", "list"}, "staff", "t1")
	f.must(0, []string{"team", "show", "staff"}, "ana@example.test", "owner")
	f.must(0, []string{"team", "show", "staff", "--format", "json"}, `"members"`, `"ana@example.test"`)
	f.must(2, []string{"team", "invite", "staff", "dana@example.test"}, "role")
	f.must(0, []string{"team", "invite", "staff", "dana@example.test", "--role", "engineer"}, "sent to dana@example.test")
	f.must(0, []string{"team", "invitations", "staff"}, "dana@example.test", "has expired")
	f.must(0, []string{"team", "revoke", "i1"}, "link is dead")
	f.must(0, []string{"team", "resend", "i1", "--format", "json"}, `"i1"`)
	f.must(0, []string{"team", "role", "staff", "dana@example.test", "engineer,auditor"}, "The role is changed")
	f.must(1, []string{"team", "remove", "staff", "ben@example.test"}, "Fewer than two owners")
	f.must(0, []string{"team", "transfer", "t1", "mara@example.test", "--from", "cem@example.test"}, "handed over")
	f.must(0, []string{"team", "rename", "t1", "Harbour Pilots"}, "new name")
	for _, want := range [][]string{
		{"POST /-/api/v1/invitations ", `"team":"staff"`, `"role":"engineer"`, `"email":"dana@example.test"`}, {"GET /-/api/v1/invitations?", "team=staff"},
		{"POST /-/api/v1/teams/staff/members/dana@example.test ", `"role":"engineer,auditor"`}, {"POST /-/api/v1/teams/t1/transfer ", `"to":"mara@example.test"`, `"from":"cem@example.test"`},
		{"POST /-/api/v1/teams/t1/rename ", `"name":"Harbour Pilots"`}, {"DELETE /-/api/v1/invitations/i1"},
	} {
		if !f.asked(want[0], want[1:]...) {
			t.Errorf("never asked: %v", want)
		}
	}
}

func TestPeople(t *testing.T) {
	f := serve(t)
	ana := `{"id":"p1","handle":"ana","name":"Ana","email":"ana@example.test","state":"active","kind":"staff","roles":["owner"],"created":"2026-03-01T10:00:00Z","sessions":2}`
	f.onDo("GET people", func(r *http.Request) any {
		if r.FormValue("after") == "" {
			return `{"people":[` + ana + `],"after":"p1"}`
		}
		return `{"people":[{"id":"p2","handle":"ben","email":"ben@example.test"}]}`
	})
	f.on("GET people/{ref}", ana)
	f.on("POST people", `{"id":"p3","handle":"dana","url":"https://x/-/invite/t"}`)
	f.on("POST people/{ref}/link", `{"mailed":true}`)
	f.on("POST people/{ref}/disable", `{"person":"p1","entry":"e1","left":[],"kinds":[{"kind":"sessions","ended":2,"seconds_to_zero":0.012},{"kind":"lent-roles","ended":1,"seconds_to_zero":0.013}]}`)
	f.on("GET journal/entries/{ref}", `{"n":41,"id":"e1"}`)
	f.mux.HandleFunc("GET /-/api/v1/journal/export", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		io.WriteString(w, "PK "+r.FormValue("from")+" "+r.FormValue("to"))
	})
	f.on("DELETE people/{ref}/sessions", `{"ended":2}`)
	f.on("GET people/{ref}/sessions", `{"sessions":[{"id":"s1","amr":["pwd"],"network":"192.0.2.0/24","browser":"Firefox"}]}`)
	f.on("POST people/{ref}/erase", `{"person":"p1","method":"NIST SP 800-88 cryptographic erase","keys":["k1"]}`)
	f.must(0, []string{"user", "list"}, "ana@example.test", "ben@example.test")
	f.must(0, []string{"user", "show", "person/ana"}, "owner", "ana@example.test")
	f.must(0, []string{"user", "add", "dana@example.test", "--role", "engineer"}, "https://x/-/invite/t")
	f.must(0, []string{"user", "link", "ana@example.test"}, "mailed")
	f.must(0, []string{"user", "disable", "ana@example.test"}, "cannot sign in", "lent roles", "0.012 s")
	kept := filepath.Join(t.TempDir(), "ana.zip")
	f.must(0, []string{"user", "disable", "ana@example.test", "--receipt", kept}, "writ verify")
	if b, err := os.ReadFile(kept); err != nil || string(b) != "PK 41 42" {
		t.Errorf("the receipt that was kept: %q %v", b, err)
	}
	f.must(0, []string{"user", "sessions", "person/ana"}, "192.0.2.0/24")
	f.must(0, []string{"user", "sessions", "person/ana", "--end"}, "2 sessions")
	f.must(2, []string{"user", "erase", "person/ana"}, "--confirm")
	if f.asked("POST /-/api/v1/people/person%2Fana/erase") {
		t.Fatal("erased without a word")
	}
	f.must(0, []string{"user", "erase", "person/ana", "--confirm", "person/ana"}, "NIST SP 800-88")
	if !f.asked("POST /-/api/v1/people/person%2Fana/erase", `"confirm":"ana"`) {
		t.Errorf("asked %q", f.seen)
	}
}

func TestJournal(t *testing.T) {
	f := serve(t)
	f.on("GET journal/entries", `{"entries":[{"n":7,"id":"i7","act":"identity.signed-in","actor":"p:ab","object":"session/1","clause":"auth.salt"}],"next":7}`)
	f.on("GET journal/entries/{ref}", `{"n":7,"id":"i7","stream":"identity.signed-in","sn":3,"fields":[{"name":"email","state":"hidden"},{"name":"acr","state":"public","value":1}]}`)
	f.on("GET journal/checkpoint", `{"origin":"o","size":8,"note":"o\n8\nroot\n\n— o sig\n","key":"o+1+k"}`)
	f.must(0, []string{"journal", "entries", "--act", "identity.signed-in"}, "p:ab", "--before 7")
	if !f.asked("GET /-/api/v1/journal/entries?", "act=identity.signed-in", "limit=50") {
		t.Errorf("asked %q", f.seen)
	}
	f.must(0, []string{"journal", "entries", "7"}, "email", "hidden", "acr")
	if out := f.must(0, []string{"journal", "checkpoint"}); out != "o\n8\nroot\n\n— o sig\n" {
		t.Errorf("the note was altered: %q", out)
	}
	f.must(0, []string{"journal", "checkpoint", "--key"}, "o+1+k")
}

func TestJournalVerify(t *testing.T) {
	tests := []struct {
		name, lines string
		status      int
		says        string
	}{
		{"true", `{"done":1,"of":2}` + "\n" + `{"done":2,"of":2,"report":{"read":2,"checkpoints":1,"findings":[]}}`, 0, "the one that was signed"},
		{"altered", `{"done":2,"of":2,"report":{"read":2,"findings":[{"kind":"altered","n":1,"says":"entry 1 was altered"}]}}`, 1, "entry 1 was altered"},
		{"error", `{"done":1,"of":2,"error":"It could not be read."}`, 1, "could not be read"},
		{"cut off", `{"done":1,"of":2}`, 3, "did not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := serve(t)
			f.mux.HandleFunc("POST /-/api/v1/journal/verify", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-ndjson")
				w.Write([]byte(tt.lines + "\n"))
			})
			f.must(tt.status, []string{"journal", "verify"}, tt.says)
		})
	}
}

func TestExportIsWholeOrNothing(t *testing.T) {
	f := serve(t)
	var whole atomic.Bool
	f.mux.HandleFunc("GET /-/api/v1/journal/export", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("Content-Length", "10")
		w.Write([]byte("12345"))
		if !whole.Load() {
			panic(http.ErrAbortHandler)
		}
		w.Write([]byte("67890"))
	})
	name := filepath.Join(t.TempDir(), "e.zip")
	f.must(3, []string{"journal", "export", name, "--reason", "audit"})
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), ".writ-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	whole.Store(true)
	f.must(0, []string{"journal", "export", name, "--reason", "audit", "--closed", "--clause", "auth.salt"}, "10 bytes")
	if !f.asked("GET /-/api/v1/journal/export?", "reason=audit", "opened=0", "clause=auth.salt") {
		t.Errorf("asked %q", f.seen)
	}
	f.must(2, []string{"journal", "export", name, "--reason", "audit"}, "is there already")
}
