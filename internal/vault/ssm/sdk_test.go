package ssm_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/ledger/ledgertest"
	"writ/internal/nodetest"
	"writ/internal/vault"
	"writ/internal/vault/aws"
)

// behaviours is how many the contract has; each judge says which it can express.
const behaviours = 49

// env is what other people's clients read: where we are, and the keys.
func (c client) env(root string) []string {
	c.w.t.Helper()
	ca := filepath.Join(c.w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.w.srv.Certificate().Raw}), 0o600); err != nil {
		c.w.t.Fatal(err)
	}
	s := c.w.client(vault.NewKey{Path: "/", Session: true})
	session, err := json.Marshal(map[string]string{"accessKeyId": s.key.ID, "secretAccessKey": s.key.Secret.Reveal(), "sessionToken": s.key.Token.Reveal()})
	if err != nil {
		c.w.t.Fatal(err)
	}
	return []string{"ENDPOINT=" + c.w.srv.URL + aws.Base, "ROOT=" + root, "SESSION=" + string(session), "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=" + c.key.ID,
		"AWS_SECRET_ACCESS_KEY=" + c.key.Secret.Reveal(), "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "NO_PROXY=*",
		"AWS_CA_BUNDLE=" + ca, "NODE_EXTRA_CA_CERTS=" + ca, "SSL_CERT_FILE=" + ca}
}

// judge lets a client of somebody else's ask for every behaviour that it can express, and
// then looks for what only the server knows.
func judge(t *testing.T, missing []int, program string, args ...string) {
	t.Helper()
	w := open(t, ledgertest.Open(t, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	env := c.env("/judge")
	seen := verdicts(t, nodetest.Start(t, env, program, args...), behaviours-len(missing))
	for _, n := range missing {
		if _, said := seen[n]; said {
			t.Errorf("behaviour %d can be expressed after all", n)
		}
	}
	if len(seen) != behaviours-len(missing) {
		t.Errorf("%d behaviours were judged, not %d", len(seen), behaviours-len(missing))
	}
	var known bool // 11: the id of an answer is that of its entry
	for _, e := range w.kit.Recorded("vault.param-read") {
		known = known || e.ID == seen[11] && strings.Contains(e.Body, "/judge/11:1")
	}
	if !known {
		t.Errorf("behaviour 11: the answer's id %q is no entry's", seen[11])
	}
	for _, kind := range []string{"vault.param-put", "vault.param-read", "vault.read-refused"} { // 10
		for _, e := range w.kit.Recorded(kind) {
			if strings.Contains(e.Body, "planted-in-the-wire") {
				t.Errorf("behaviour 10: %s holds a value: %s", kind, e.Body)
			}
		}
	}
	if hits, places, err := w.raw(t.Context(), []byte("planted-in-the-wire")); hits > 0 || err != nil {
		t.Errorf("behaviour 10: %d hits %v %v", hits, places, err)
	}
	w.kit.Clock.Advance(2 * time.Hour) // 8: the session is over
	verdicts(t, nodetest.Start(t, append(env, "SESSION_OVER=1", "ONLY=8"), program, args...), 1)
}

// verdicts are what a judge says, a line each: the number, what was wrong, an id.
func verdicts(t *testing.T, talk *nodetest.Talk, n int) map[int]string {
	t.Helper()
	seen := map[int]string{}
	for range n {
		var v struct {
			N         int
			Error, ID string
		}
		if line := talk.Hear(); json.Unmarshal([]byte(line), &v) != nil {
			t.Fatalf("it says %s", line)
		}
		if v.Error != "" {
			t.Errorf("behaviour %d: %s", v.N, v.Error)
		}
		seen[v.N] = v.ID
	}
	return seen
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Amazon's SDK for JavaScript, all 49.
func TestJudge_javaScript(t *testing.T) { // breaks: vault.access-logged, vault.encrypted-store
	node, file := nodetest.Script(t, "@aws-sdk/client-ssm@3.1169.0", "judge.mjs", text(t, "judge.mjs"))
	judge(t, nil, node, file)
}

// boto3, wherever some Python has it.
func TestJudge_boto3(t *testing.T) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import boto3").Run() == nil {
			judge(t, nil, python, filepath.Join("testdata", "judge.py"))
			return
		}
	}
	t.Skip("no boto3 here; scripts/need.sh installs python3-boto3")
}

// Amazon's SDK for Go, which scripts/judges.sh (make more) builds in a module of its own.
func TestJudge_goSDK(t *testing.T) {
	const name = "aws-ssm-v1.81.0"
	bin, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", "tools", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Skip("no " + name + " here; scripts/judges.sh (make more) builds it")
	}
	judge(t, nil, bin)
}
