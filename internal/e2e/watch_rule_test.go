package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ownRule = `title: A silence was made
id: 7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01
logsource: {product: writ, service: watch}
level: low
detection:
  s: {writ.event: watch.silence-made}
  condition: s
`

// ownRule takes a rule of one's own through its life: the operator writes it, an owner approves.
func (k *talker) ownRule(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "silence.yml")
	if err := os.WriteFile(file, []byte(ownRule), 0o600); err != nil {
		t.Fatal(err)
	}
	const id = "7d3b0b3e-0c0f-4a53-9d6e-1f5d0a3c9e01"
	k.ask(t, "watch", "rule", "test", file, "--since", "12h")
	k.ask(t, "watch", "rule", "add", file)
	must(t, 1, k.writ("watch", "rule", "enable", id), "It is not known how often this version would have fired")
	tested := decode[struct{ Version int64 }](t, k.ask(t, "watch", "rule", "test", id))
	if tested.Version != 1 {
		t.Errorf("version %d is tested", tested.Version)
	}
	must(t, 1, k.writ("watch", "rule", "approve", id), "A rule is approved by a person")
	approve := k.writ("watch", "rule", "approve", id, "--as", "ben@example.test")
	approve.password, approve.code = aPassword, k.phone("ben@example.test").code(t) // his recovery codes are needed elsewhere
	k.json(t, 0, approve)
	k.ask(t, "watch", "rule", "enable", id)
	k.ask(t, "watch", "rule", "show", id)
	k.ask(t, "watch", "rule", "list")
	k.ask(t, "watch", "silence", "end", decode[struct{ ID string }](t, k.ask(t, "watch", "silence", "add", "alertname=disk-full", "--reason", "a test of own rules")).ID)
	eventually(t, "the own rule fires", func() bool { // alarms that go on are exit 1
		r := k.writ("watch", "alarms", "--rule", id).run(t)
		return r.code == 1 && strings.Contains(r.out, "A silence was made")
	})
	k.ask(t, "watch", "rule", "retire", id, "--reason", "the test is over")
}
