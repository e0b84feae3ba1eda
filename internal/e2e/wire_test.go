package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/nodetest"
	"writ/internal/secret"
	"writ/internal/vault/sigv4"
)

// The same clients that judge the wire in internal/vault/ssm, now at the public listener of the
// real program, behind its gate: Host with its port and all signed headers must come through.
func TestJudge_behindTheGate(t *testing.T) { // breaks: vault.access-logged
	t.Parallel()
	s := start(t, setup{})
	key := func(args ...string) (id, secret, token string) {
		t.Helper()
		k := decode[struct {
			ID     string `json:"access_key_id"`
			Secret string `json:"secret_access_key"`
			Token  string `json:"session_token"`
		}](t, must(t, 0, s.writ(append([]string{"vault", "key", "create", "--path", "/", "--format", "json"}, args...)...)).out)
		return k.ID, k.Secret, k.Token
	}
	id, secret, _ := key()
	sid, ssecret, token := key("--session")
	session, err := json.Marshal(map[string]string{"accessKeyId": sid, "secretAccessKey": ssecret, "sessionToken": token})
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(s.dir, "ca", "ca.pem")
	env := []string{"ENDPOINT=" + s.origin + "/-/aws/", "SESSION=" + string(session), "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "NO_PROXY=*", "AWS_CA_BUNDLE=" + ca, "NODE_EXTRA_CA_CERTS=" + ca, "SSL_CERT_FILE=" + ca}
	data := filepath.Join("..", "vault", "ssm", "testdata")
	judge := func(t *testing.T, root, program string, args ...string) {
		t.Helper()
		talk := nodetest.Start(t, append(env, "ROOT="+root), program, args...)
		for range 49 {
			var v struct {
				N     int
				Error string
			}
			if line := talk.Hear(); json.Unmarshal([]byte(line), &v) != nil {
				t.Fatalf("it says %s", line)
			}
			if v.Error != "" {
				t.Errorf("behaviour %d: %s", v.N, v.Error)
			}
		}
	}
	t.Run("JavaScript", func(t *testing.T) {
		b, err := os.ReadFile(filepath.Join(data, "judge.mjs"))
		if err != nil {
			t.Fatal(err)
		}
		node, file := nodetest.Script(t, "@aws-sdk/client-ssm@3.1169.0", "gate.mjs", string(b))
		judge(t, "/js", node, file)
	})
	t.Run("boto3", func(t *testing.T) {
		for _, python := range []string{"python3", "/usr/bin/python3"} {
			if exec.CommandContext(t.Context(), python, "-c", "import boto3").Run() == nil {
				judge(t, "/py", python, filepath.Join(data, "judge.py"))
				return
			}
		}
		t.Skip("no boto3 here; scripts/need.sh installs python3-boto3")
	})
	t.Run("Go", func(t *testing.T) {
		bin, err := filepath.Abs(filepath.Join("..", "..", "bin", "tools", "aws-ssm-v1.81.0"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(bin); err != nil {
			t.Skip("no aws-ssm-v1.81.0 here; scripts/judges.sh (make more) builds it")
		}
		judge(t, "/go", bin)
	})
}

// A service account stands behind an access key: it may what the service may, and no more once
// the service has ended.
func TestAccessKeyOfAService(t *testing.T) { // breaks: vault.access-logged, auth.best-practice
	t.Parallel()
	s := start(t, setup{})
	v := s.owner("ana@example.test") // somebody of the team is there, without whom a service does nothing
	must(t, 0, s.writ("token", "service", "deploy", "--role", "engineer"))
	made := decode[struct{ Services []struct{ ID, Name string } }](t, must(t, 0, s.writ("token", "services", "--format", "json")).out)
	if len(made.Services) != 1 {
		t.Fatalf("%+v", made)
	}
	k := decode[struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}](t, must(t, 0, s.writ("vault", "key", "create", "--path", "/shop", "--owner", "machine/"+made.Services[0].ID, "--format", "json")).out)
	call := func(op, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.origin+"/-/aws/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC()
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
		r.Header.Set("X-Amz-Target", "AmazonSSM."+op)
		r.Host = r.URL.Host
		if err := sigv4.Sign(r, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, sha256.Sum256([]byte(body)), sigv4.Credential{KeyID: k.ID, Day: now.Format("20060102"), Region: "eu-central-1", Service: "ssm"}, secret.NewText(k.Secret)); err != nil {
			t.Fatal(err)
		}
		a, err := v.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(b)
	}
	if code, said := call("PutParameter", `{"Name":"/shop/a","Value":"1","Type":"SecureString"}`); code != http.StatusOK {
		t.Fatalf("%d %s", code, said)
	}
	if _, said := call("DescribeParameters", `{"ParameterFilters":[{"Key":"Path","Values":["/shop"]}]}`); !strings.Contains(said, ":user/machine/"+made.Services[0].ID) {
		t.Error(said)
	}
	must(t, 1, s.writ("vault", "key", "create", "--path", "/shop", "--owner", "machine/nobody"), "not active")
	must(t, 0, s.writ("token", "service", "deploy", "--end"))
	if code, said := call("GetParameter", `{"Name":"/shop/a"}`); code != http.StatusBadRequest || !strings.Contains(said, "UnrecognizedClientException") {
		t.Errorf("%d %s", code, said)
	}
}
