package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/seal"
	"writ/internal/secret"
)

// A key file is made once, for its owner alone, and its line is printed.
func TestHolderKey(t *testing.T) {
	f := serve(t)
	file := filepath.Join(f.dir, "ana.key")
	f.must(0, []string{"vault", "holder-key", file}, "writ-holder-1 ")
	if i, err := os.Stat(file); err != nil || i.Mode().Perm() != 0o400 {
		t.Errorf("%v %v", i, err)
	}
	before, _ := os.ReadFile(file)
	f.must(2, []string{"vault", "holder-key", file}, "never overwritten")
	if now, _ := os.ReadFile(file); string(now) != string(before) {
		t.Error("the key was overwritten")
	}
	f.must(2, []string{"vault", "unseal", "--holder", filepath.Join(f.dir, "none.key")}, "cannot be read")
	notKey := filepath.Join(f.dir, "note")
	if err := os.WriteFile(notKey, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must(2, []string{"vault", "unseal", "--holder", notKey}, "this is no holder's key")
}

// The share is opened here and goes on sealed to the gathering's key: what is sent holds
// nothing of it, and the box of another set does not open.
func TestUnsealByKeyFile(t *testing.T) {
	f := serve(t)
	k, err := seal.NewPrivate()
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.Bytes(secret.Text{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.dir, "ana.key")
	if err := os.WriteFile(file, text, 0o400); err != nil {
		t.Fatal(err)
	}
	other, _ := seal.NewPrivate()
	third, _ := seal.NewPrivate()
	set, err := seal.Split(secret.Random(32), "root-1", 2, []seal.Key{k.Key, other.Key, third.Key})
	if err != nil {
		t.Fatal(err)
	}
	gathering, _ := seal.NewPrivate() // stands for the server's key
	state := map[string]any{"phase": "sealed", "act": "open", "operation": "AB12-CD34", "set": set.ID, "key": gathering.Public, "need": 2, "of": 3}
	f.on("GET unseal", state)
	f.on("POST unseal/box", map[string]any{"holder": k.ID, "box": set.Shares[0].Box, "state": state})
	f.on("POST unseal", `{"phase":"unsealing","act":"open","operation":"AB12-CD34","given":1,"need":2,"of":3,"until":"2026-11-02T06:15:00Z"}`)
	f.must(0, []string{"vault", "unseal"}, "Operation AB12-CD34", "2 of 3 holders are wanted")
	f.must(0, []string{"vault", "unseal", "--holder", file}, "1 of 2 shares are given", "1 more by")
	if !f.asked("POST /-/api/v1/unseal/box", `"holder":"`+k.ID+`"`) || !f.asked("POST /-/api/v1/unseal ", `"set":"`+set.ID+`"`) {
		t.Errorf("asked %q", f.seen)
	}
	foreign := serve(t)
	foreign.on("POST unseal/box", map[string]any{"holder": k.ID, "box": set.Shares[1].Box, "state": state})
	foreign.must(1, []string{"vault", "unseal", "--holder", file}, "does not open the share")
	if foreign.asked("POST /-/api/v1/unseal ", "box") {
		t.Error("a share that did not open was sent")
	}
	done := serve(t)
	done.on("GET unseal", `{"phase":"open","given":0,"need":0,"of":0}`)
	done.must(0, []string{"vault", "unseal"}, "The vault is open")
}

// What owners do with holders.
func TestHolders(t *testing.T) {
	f := serve(t)
	st := `{"set":{"id":"s","need":2,"of":3,"began":"2026-11-02T06:00:00Z"},"holders":[{"person":"p","name":"Ana","state":"enrolled","kind":"passkey","enrolled":"2026-11-02T06:00:00Z","holds":true},{"person":"q","name":"Ben","state":"appointed","holds":false}],"due":["a holder has joined"],"opens":"the server opens by itself with root.key","root_file":true}`
	f.on("GET vault/holders", st)
	f.on("POST vault/holders", st)
	f.on("POST vault/holders/reshare", st)
	f.on("POST vault/holders/drill", st)
	f.on("DELETE vault/holders/ben@example.com", nil)
	f.on("DELETE vault/root-file", nil)
	f.on("POST vault/seal", nil)
	f.must(0, []string{"vault", "holders", "list"}, "Ana", "passkey", "not yet", "2 of 3 open the vault", "a holder has joined", "opens by itself with root.key")
	f.must(0, []string{"vault", "holders", "appoint", "ana@example.com", "ben@example.com"}, "They are asked")
	f.must(0, []string{"vault", "holders", "remove", "ben@example.com"}, "is removed")
	f.must(0, []string{"vault", "holders", "reshare"}, "New shares are in use")
	f.must(0, []string{"vault", "holders", "drill"}, "an hour")
	f.must(0, []string{"vault", "holders", "drop-file"}, "root.key is removed")
	f.must(0, []string{"vault", "seal", "--reason", "a thief"}, "is sealed")
	f.must(2, []string{"vault", "seal"}, "reason")
	f.must(2, []string{"vault", "holders", "appoint"}, "")
	if !f.asked("POST", `"holders":["ana@example.com","ben@example.com"]`) || !f.asked("POST", `"reason":"a thief"`) {
		t.Errorf("asked %s", strings.Join(f.seen, "\n"))
	}
}
