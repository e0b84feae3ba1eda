package ssm_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/ledger/ledgertest"
	"writ/internal/vault"
)

// The aws command line, as Debian ships it, works with an endpoint address and a key.
func TestJudge_awsCLI(t *testing.T) {
	bin, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("awscli is not installed")
	}
	w := open(t, ledgertest.Open(t, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(key vault.IssuedKey, args ...string) (map[string]any, string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bin, append([]string{"ssm", "--endpoint-url", w.srv.URL + "/-/aws/", "--output", "json"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+key.ID, "AWS_SECRET_ACCESS_KEY="+key.Secret.Reveal(), "AWS_DEFAULT_REGION=eu-central-1", "AWS_CA_BUNDLE="+ca, "AWS_EC2_METADATA_DISABLED=true",
			"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "NO_PROXY=*", "AWS_MAX_ATTEMPTS=1")
		var out, bad strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &bad
		if err := cmd.Run(); err != nil {
			return nil, bad.String()
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(out.String()), &v); err != nil && out.Len() > 0 {
			t.Fatalf("%v: %s", args, out.String())
		}
		return v, ""
	}
	good := func(args ...string) said {
		t.Helper()
		v, bad := aws(c.key, args...)
		if bad != "" {
			t.Fatalf("%v: %s", args, bad)
		}
		return said{body: v}
	}
	good("put-parameter", "--name", "/svc/db/password", "--value", "first", "--type", "SecureString", "--tags", "Key=team,Value=red")
	if s := good("put-parameter", "--name", "/svc/db/password", "--value", "second", "--overwrite"); s.at("Version") != 2.0 {
		t.Errorf("%v", s.body)
	}
	for n := range 12 {
		c.good("PutParameter", `{"Name":"/svc/many/p`+string(rune('a'+n))+`","Value":"x","Type":"String"}`)
	}
	if s := good("get-parameter", "--name", "/svc/db/password", "--with-decryption"); s.at("Parameter", "Value") != "second" {
		t.Errorf("%v", s.body)
	}
	if s := good("get-parameters-by-path", "--path", "/svc", "--recursive", "--with-decryption"); len(s.at("Parameters").([]any)) != 13 { // it turns pages by itself
		t.Errorf("%v", s.body)
	}
	good("label-parameter-version", "--name", "/svc/db/password", "--parameter-version", "1", "--labels", "old")
	if s := good("get-parameter-history", "--name", "/svc/db/password", "--with-decryption"); s.at("Parameters", 0, "Labels", 0) != "old" || s.at("Parameters", 1, "Value") != "second" {
		t.Errorf("%v", s.body)
	}
	if s := good("describe-parameters", "--parameter-filters", "Key=tag:team,Values=red"); s.at("Parameters", 0, "Name") != "/svc/db/password" {
		t.Errorf("%v", s.body)
	}
	if s := good("delete-parameters", "--names", "/svc/db/password", "/none"); s.at("InvalidParameters", 0) != "/none" {
		t.Errorf("%v", s.body)
	}
	if _, bad := aws(c.key, "get-parameter", "--name", "/svc/db/password"); !strings.Contains(bad, "(ParameterNotFound)") {
		t.Error(bad)
	}
	if _, bad := aws(wrong(c.key).key, "get-parameter", "--name", "/svc/db/password"); !strings.Contains(bad, "(InvalidSignatureException)") {
		t.Error(bad)
	}
}
