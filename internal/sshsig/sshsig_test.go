package sshsig_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/sshsig"
)

const ns = "writ-policy"

func TestRoundTrip(t *testing.T) {
	s, err := sshsig.Generate()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(ns, []byte("the text"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := sshsig.Verify(sig, ns, []byte("the text"))
	if err != nil || k.String() != s.Key().String() {
		t.Fatalf("verify: %v", err)
	}
	again, err := sshsig.ParseKey(k.String() + " a comment")
	if err != nil || again.Fingerprint() != k.Fingerprint() {
		t.Fatalf("key does not survive printing: %v", err)
	}
	for name, f := range map[string]func() error{
		"other text":      func() error { _, err := sshsig.Verify(sig, ns, []byte("another text")); return err },
		"other namespace": func() error { _, err := sshsig.Verify(sig, "git", []byte("the text")); return err },
		"not armored":     func() error { _, err := sshsig.Verify([]byte("hello"), ns, []byte("the text")); return err },
		"two blocks":      func() error { _, err := sshsig.Verify(append(sig, sig...), ns, []byte("the text")); return err },
		"too long": func() error {
			_, err := sshsig.Verify([]byte(strings.Repeat("x", 9000)), ns, []byte("the text"))
			return err
		},
		"rsa key": func() error { _, err := sshsig.ParseKey("ssh-rsa AAAAB3NzaC1yc2E="); return err },
	} {
		if err := f(); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, want invalid", name, err)
		}
	}
}

// The outside judge: ssh-keygen makes what we verify and verifies what we make.
func TestAgainstOpenSSH(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed (Debian: openssh-client)")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(stdin string, args ...string) {
		t.Helper()
		c := exec.Command("ssh-keygen", args...)
		c.Stdin = strings.NewReader(stdin)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen %v: %v\n%s", args, err, out)
		}
	}
	run("", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", at("key"))
	if err := os.WriteFile(at("text"), []byte("revision 1.0"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("", "-Y", "sign", "-f", at("key"), "-n", ns, at("text"))
	theirs, err := os.ReadFile(at("text.sig"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := sshsig.Verify(theirs, ns, []byte("revision 1.0"))
	if err != nil {
		t.Fatalf("refused a signature by ssh-keygen: %v", err)
	}
	pem, err := os.ReadFile(at("key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sshsig.NewSigner(pem, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := s.Sign(ns, []byte("revision 1.0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("ours.sig"), ours, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("signers"), []byte("ana "+key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("revision 1.0", "-Y", "verify", "-f", at("signers"), "-I", "ana", "-n", ns, "-s", at("ours.sig"))
}

func FuzzVerify(f *testing.F) {
	s, err := sshsig.Generate()
	if err != nil {
		f.Fatal(err)
	}
	sig, err := s.Sign(ns, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sig)
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\n\n-----END SSH SIGNATURE-----"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := sshsig.Verify(b, ns, []byte("y")); err == nil {
			t.Fatal("a signature over another text was accepted")
		}
	})
}
