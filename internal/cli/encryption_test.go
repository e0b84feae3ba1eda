package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const state = `{"store":"sqlite","roots":1,"keys":12,"left":3,"every_days":365,"due":"2027-11-02T06:00:00Z","keks":[
	{"id":"k1","version":1,"made":"2025-11-02T06:00:00Z","retired":"2026-10-02T06:00:00Z","destroyed":"2026-11-01T06:00:00Z","keys":0},
	{"id":"k2","version":2,"made":"2026-10-02T06:00:00Z","keys":3},{"id":"k3","version":3,"made":"2026-11-02T06:00:00Z","keys":9}]}`

func TestVaultRotate(t *testing.T) {
	f := serve(t)
	f.on("GET encryption", state)
	f.on("POST encryption/rotate", state)
	f.must(0, []string{"vault", "rotate"}, "k1", "destroyed", "replaced; its keys move", "in use", "12 data keys; 3 of them lie under a former key", "every 365 days")
	f.must(0, []string{"vault", "rotate", "--status", "--format", "json"}, `"keks"`)
	f.must(0, []string{"vault", "rotate", "--now"}, "k3")
	f.must(0, []string{"vault", "rotate", "--exposed", "a laptop is gone"}, "k3")
	f.must(2, []string{"vault", "rotate", "--now", "--status"}, "now")
	if !f.asked("POST", `"exposed":false`) || !f.asked("POST", `"exposed":true`, `"reason":"a laptop is gone"`) {
		t.Errorf("asked %q", f.seen)
	}
}

func TestVaultShred(t *testing.T) {
	f := serve(t)
	f.on("POST encryption/shreds", `{"id":"s1","what":"the vault of team/x","state":"asked","given":1,"need":2,"until":"2026-11-09T06:00:00Z"}`)
	f.on("POST encryption/shreds/s1/agree", `{"id":"s1","what":"the vault of team/x","state":"done","given":2,"need":2}`)
	f.on("DELETE encryption/shreds/s1", nil)
	f.on("GET encryption/shreds", `{"shreds":[{"id":"s1","what":"a person","state":"done","given":2,"need":2,"asked":"2026-11-02T06:00:00Z","asked_by":"person/ana","reason":"asked for it"}]}`)
	f.on("GET encryption/shreds/s1/certificate", `{"certificate":{"id":"s1"},"entry":7,"leaf":"l","proof":"p","key":"k"}`)
	f.must(0, []string{"vault", "shred", "team/x", "--reason", "the contract has ended"}, "1 of 2 people want it", "writ vault shred --agree s1 --as EMAIL")
	f.must(0, []string{"vault", "shred", "--agree", "s1"}, "is destroyed", "--certificate s1")
	f.must(0, []string{"vault", "shred", "--refuse", "s1"}, "nothing was destroyed")
	f.must(0, []string{"vault", "shred", "--list"}, "a person", "2 of 2", "asked for it")
	f.must(0, []string{"vault", "shred", "--certificate", "s1"}, `"proof"`)
	out := filepath.Join(t.TempDir(), "c.json")
	f.must(0, []string{"vault", "shred", "--certificate", "s1", "--out", out}, "writ verify")
	if b, err := os.ReadFile(out); err != nil || !strings.Contains(string(b), `"entry":7`) {
		t.Errorf("the file has %s (%v)", b, err)
	}
	f.must(2, []string{"vault", "shred", "--certificate", "s1", "--out", out}, "exists") // never over another file
	f.must(2, []string{"vault", "shred", "team/x"}, "--reason")
	f.must(2, []string{"vault", "shred"}, "--list")
	f.must(2, []string{"verify", out, "--since", out}, "--since is for bundles")
	f.must(1, []string{"verify", out}, "False")
	if !f.asked("POST", `"target":"team/x"`, `"reason":"the contract has ended"`) {
		t.Errorf("asked %q", f.seen)
	}
}

func TestVaultHold(t *testing.T) {
	f := serve(t)
	f.on("POST encryption/holds", `{"id":"h1"}`)
	f.on("GET encryption/holds", `{"holds":[{"id":"h1","target":"person/1","reason":"a lawsuit","made":"2026-11-02T06:00:00Z","made_by":"person/2","end_asked":"2026-11-03T06:00:00Z"},{"id":"h2","target":"everything","ended":"2026-11-03T06:00:00Z"}]}`)
	f.on("DELETE encryption/holds/h1", `{"ended":false}`)
	f.on("DELETE encryption/holds/h2", `{"ended":true}`)
	f.must(0, []string{"vault", "hold", "add", "person/ana", "--reason", "a lawsuit"}, "writ vault hold end h1")
	f.must(0, []string{"vault", "hold", "list"}, "a lawsuit", "its end was asked for", "ended")
	f.must(0, []string{"vault", "hold", "end", "h1"}, "until another person ends it too")
	f.must(0, []string{"vault", "hold", "end", "h2"}, "has ended")
	f.must(2, []string{"vault", "hold", "add", "person/ana"}, "reason")
}
