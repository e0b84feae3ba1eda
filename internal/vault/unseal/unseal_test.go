package unseal_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/vault/sigv4"
	"writ/internal/vault/unseal"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// root is a root key and its text.
func root() (secret.Bytes, string) {
	b := secret.Random(32)
	return b, base64.StdEncoding.EncodeToString(b.Reveal()) + "\n"
}

func gives(t *testing.T, s *unseal.Source, want secret.Bytes) {
	t.Helper()
	if got, err := s.Root(t.Context()); err != nil || !got.Equal(want) {
		t.Errorf("another root key, or none: %v", err)
	}
}

func refused(t *testing.T, s *unseal.Source, code, never string) {
	t.Helper()
	_, err := s.Root(t.Context())
	got, p := fault.PublicOf(err)
	if got != code || fault.KindOf(err) != fault.Sealed {
		t.Errorf("%v, want %s", err, code)
	}
	if never != "" && strings.Contains(err.Error()+p.Problem+p.Expected+p.Next, never) {
		t.Error("the refusal repeats a secret")
	}
}

// A key file counts when its owner alone may read it, and nobody may do more.
//
// breaks: people.no-sole-holder
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	want, text := root()
	path := filepath.Join(t.TempDir(), "key")
	byFile := unseal.New(unseal.Config{Kind: unseal.KeyFile, Path: path}, dir, unseal.Signer{})
	refused(t, byFile, "root_missing", "")
	for mode, code := range map[os.FileMode]string{0o400: "", 0o600: "root_exposed", 0o440: "root_exposed", 0o404: "root_exposed", 0o500: "root_exposed"} {
		write(t, path, text, mode)
		if code == "" {
			gives(t, byFile, want)
		} else {
			refused(t, byFile, code, text)
		}
		_ = os.Remove(path)
	}
	for _, bad := range []string{"", "x", strings.TrimSpace(text) + "A", text + text, strings.Repeat("A", 400)} {
		write(t, path, bad, 0o400)
		refused(t, byFile, "root_malformed", "")
		_ = os.Remove(path)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	credential := unseal.New(unseal.Config{Kind: unseal.Credential, Credential: "writ-root-key"}, dir, unseal.Signer{})
	refused(t, credential, "credential_missing", "")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write(t, filepath.Join(dir, "writ-root-key"), text, 0o400)
	gives(t, credential, want)
	for mode, code := range map[os.FileMode]string{0o440: "", 0o460: "root_exposed", 0o444: "root_exposed"} { // as an ACL for one user shows
		_ = os.Chmod(filepath.Join(dir, "writ-root-key"), mode)
		credential.Roots(func(fs.FileInfo) bool { return false })
		refused(t, credential, "root_exposed", text)
		if credential.Roots(func(fs.FileInfo) bool { return true }); code != "" {
			refused(t, credential, code, text)
			continue
		}
		gives(t, credential, want)
	}
	write(t, filepath.Join(dir, "root.key"), text, 0o600) // as the keyring takes it
	gives(t, unseal.New(unseal.Config{}, dir, unseal.Signer{}), want)
	_ = os.Chmod(filepath.Join(dir, "root.key"), 0o640)
	refused(t, unseal.New(unseal.Config{}, dir, unseal.Signer{}), "root_exposed", text)
	refused(t, unseal.New(unseal.Config{Kind: unseal.Shares}, dir, unseal.Signer{}), "shares_wanted", "")
}

// The environment is read once, and holds the key no longer.
//
// breaks: crypto.at-rest
func TestEnvironment(t *testing.T) {
	want, text := root()
	t.Setenv(unseal.Variable, text)
	s := unseal.New(unseal.Config{Kind: unseal.Environment}, t.TempDir(), unseal.Signer{})
	gives(t, s, want)
	if _, there := os.LookupEnv(unseal.Variable); there {
		t.Error("the environment holds the root key still")
	}
	gives(t, s, want)
	t.Setenv(unseal.Variable, "c2hvcnQ=")
	refused(t, unseal.New(unseal.Config{Kind: unseal.Environment}, t.TempDir(), unseal.Signer{}), "root_malformed", "c2hvcnQ")
	if _, there := os.LookupEnv(unseal.Variable); there {
		t.Error("a malformed key stays in the environment")
	}
	// What shares have opened is known to the next source of a process, until it is sealed.
	_ = os.Unsetenv(unseal.Variable)
	s = unseal.New(unseal.Config{Kind: unseal.Environment}, t.TempDir(), unseal.Signer{})
	if err := s.Keep(want); err != nil {
		t.Fatal(err)
	}
	gives(t, s, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, s, "root_malformed", "")
}

// service decrypts as a key management service of AWS's wire answers.
type service struct {
	t      *testing.T
	now    time.Time
	secret secret.Text
	plain  []byte
	answer func(w http.ResponseWriter) // instead
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	fail := func(code string) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"__type":"com.example#` + code + `","message":"x"}`))
	}
	signed, err := sigv4.Parse(r.Header.Get("Authorization"))
	if err != nil || signed.KeyID != "AKIATEST" || signed.Region != "eu-central-1" {
		fail("MissingAuthenticationTokenException")
		return
	}
	if err := new(sigv4.Verifier).Verify(signed, r, sha256.Sum256(body), "kms", s.secret, s.now); err != nil {
		fail("InvalidSignatureException")
		return
	}
	var in struct {
		CiphertextBlob    []byte
		KeyID             string `json:"KeyId"`
		EncryptionContext map[string]string
	}
	if err := json.Unmarshal(body, &in); err != nil || r.Header.Get("X-Amz-Target") != "TrentService.Decrypt" || string(in.CiphertextBlob) != "blob" || in.EncryptionContext["writ"] != "root-key" || in.KeyID != "alias/root" {
		fail("InvalidCiphertextException")
		return
	}
	if s.answer != nil {
		s.answer(w)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Plaintext": s.plain, "KeyId": "x"})
}

// A key management service is asked with a signature that it verifies.
//
// breaks: people.no-sole-holder
func TestKMS(t *testing.T) {
	want, _ := root()
	svc := &service{t: t, now: time.Date(2026, 5, 3, 3, 0, 0, 0, time.UTC), secret: secret.NewText("a secret of the access key"), plain: want.Reveal()}
	srv := httptest.NewServer(svc)
	defer srv.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "root.kms"), base64.StdEncoding.EncodeToString([]byte("blob"))+"\n", 0o600)
	write(t, filepath.Join(dir, "kms.secret"), svc.secret.Reveal()+"\n", 0o400)
	c := unseal.Config{Kind: unseal.KMS, KMS: unseal.KMSConfig{Endpoint: srv.URL, Region: "eu-central-1", Key: "alias/root", Blob: "root.kms", AccessKey: "AKIATEST", SecretFile: "kms.secret"}}
	if key, got, want := c.Check(); key != "" {
		t.Fatal(key, got, want)
	}
	s := unseal.New(c, dir, unseal.Signer{Now: func() time.Time { return svc.now }, Send: srv.Client().Do})
	gives(t, s, want)
	svc.plain = want.Reveal()[:31]
	refused(t, s, "root_malformed", "")
	svc.answer = func(w http.ResponseWriter) {
		w.WriteHeader(400)
		_, _ = w.Write([]byte(`{"__type":"KMSInvalidStateException"}`))
	}
	refused(t, s, "kms_refused", svc.secret.Reveal())
	if _, err := s.Root(t.Context()); !strings.Contains(err.Error(), "KMSInvalidStateException") {
		t.Errorf("the reason is not told: %v", err)
	}
	svc.answer = func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) }
	refused(t, s, "kms_refused", "")
	svc.answer = nil
	other := svc.secret
	svc.secret = secret.NewText("another")
	refused(t, s, "kms_refused", other.Reveal())
	write(t, filepath.Join(dir, "kms.secret"), "x", 0o644)
	refused(t, s, "root_exposed", "")
	srv.Close()
	write(t, filepath.Join(dir, "kms.secret"), "x", 0o400)
	refused(t, s, "kms_away", "")
}

// Settings that could open nothing, or in the clear, are refused.
func TestCheck(t *testing.T) {
	kms := unseal.KMSConfig{Endpoint: "https://kms.example.test", Region: "r", Blob: "b", AccessKey: "a", SecretFile: "s"}
	with := func(change func(*unseal.KMSConfig)) unseal.Config {
		k := kms
		change(&k)
		return unseal.Config{Kind: unseal.KMS, KMS: k}
	}
	for key, c := range map[string]unseal.Config{
		"vault.unseal.kind": {Kind: "paper"}, "vault.unseal.path": {Kind: unseal.KeyFile, Path: "key"}, "vault.unseal.credential": {Kind: unseal.Credential, Credential: "../x"},
		"vault.unseal.kms.endpoint": with(func(k *unseal.KMSConfig) { k.Endpoint = "http://kms.example.test" }), "vault.unseal.kms.region": with(func(k *unseal.KMSConfig) { k.Region = "" }),
		"vault.unseal.kms.blob": with(func(k *unseal.KMSConfig) { k.Blob = "" }), "vault.unseal.kms.access_key": with(func(k *unseal.KMSConfig) { k.AccessKey = "" }), "vault.unseal.kms.secret_file": with(func(k *unseal.KMSConfig) { k.SecretFile = "" }),
	} {
		if got, _, want := c.Check(); got != key || want == "" {
			t.Errorf("%+v: %q, want %q", c, got, key)
		}
	}
	for _, c := range []unseal.Config{{}, {Kind: unseal.Shares}, {Kind: unseal.Environment}, {Kind: unseal.KeyFile, Path: "/etc/writ/key"}, {Kind: unseal.KMS, KMS: kms}} {
		if key, got, _ := c.Check(); key != "" {
			t.Errorf("%+v: %s %s", c, key, got)
		}
	}
	dir := t.TempDir()
	inside := filepath.Join(dir, "key")
	write(t, inside, "x", 0o400)
	outside := filepath.Join(t.TempDir(), "key")
	write(t, outside, "x", 0o400)
	for c, words := range map[unseal.Config]string{{}: "lies in the folder of the data", {Kind: unseal.KeyFile, Path: inside}: "lies in the folder of the data", {Kind: unseal.KeyFile, Path: outside}: "on this machine", {Kind: unseal.Environment}: "environment"} {
		if got := c.Weakness(dir); !strings.Contains(got, words) {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := (unseal.Config{Kind: unseal.Shares}).Weakness(dir); got != "" {
		t.Errorf("shares lack %q", got)
	}
}
