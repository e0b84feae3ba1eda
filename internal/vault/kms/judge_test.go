package kms_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/ledger/ledgertest"
	"writ/internal/nodetest"
	"writ/internal/vault"
	"writ/internal/vault/kms"
)

// keys are one to use and one that is disabled.
func keys(t *testing.T) (c client, env []string) {
	t.Helper()
	w := open(t, ledgertest.Open(t, vault.Schema()))
	k, err := w.kms.Create(t.Context(), operator, kms.NewKey{Alias: "alias/judge"})
	if err != nil {
		t.Fatal(err)
	}
	off, err := w.kms.Create(t.Context(), operator, kms.NewKey{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.kms.Enable(t.Context(), operator, off.ID, kms.Disabled); err != nil {
		t.Fatal(err)
	}
	c = w.client(vault.NewKey{Path: "/"})
	return c, append(c.env(), "KEY="+k.ID, "DISABLED="+off.ID)
}

func judge(t *testing.T, program string, args ...string) {
	t.Helper()
	_, env := keys(t)
	var v struct{ Error string }
	if line := nodetest.Start(t, env, program, args...).Hear(); json.Unmarshal([]byte(line), &v) != nil {
		t.Fatalf("it says %s", line)
	}
	if v.Error != "" {
		t.Error(v.Error)
	}
}

func TestJudge_javaScript(t *testing.T) { // breaks: crypto.at-rest, vault.access-logged
	b, err := os.ReadFile(filepath.Join("testdata", "judge.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	node, file := nodetest.Script(t, "@aws-sdk/client-kms@3.1164.0", "judge.mjs", string(b))
	judge(t, node, file)
}

func TestJudge_boto3(t *testing.T) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import boto3").Run() == nil {
			judge(t, python, filepath.Join("testdata", "judge.py"))
			return
		}
	}
	t.Skip("no boto3 here; scripts/need.sh installs python3-boto3")
}

// sops, which scripts/judges.sh (make more) builds: encrypts a file, changes a value in it,
// renews its data key, decrypts it.
func TestJudge_sops(t *testing.T) {
	const name = "sops-v3.13.3"
	sops, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", "tools", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(sops); err != nil {
		t.Skip("no " + name + " here; scripts/judges.sh (make more) builds it")
	}
	c, env := keys(t)
	arn := "arn:aws:kms:eu-central-1:" + c.account() + ":key/" + strings.TrimPrefix(env[len(env)-2], "KEY=")
	dir := t.TempDir()
	file := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(file, []byte("password: planted-in-a-file\nport: 5432\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), sops, args...)
		cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL_KMS=" + c.w.srv.URL + "/-/aws/"}, env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("sops %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("encrypt", "--kms", arn, "--encryption-context", "purpose:judge", "--in-place", file)
	first, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(first), "planted") || !strings.Contains(string(first), arn) {
		t.Fatalf("%v %s", err, first)
	}
	run("set", file, `["password"]`, `"changed"`)
	editor := filepath.Join(dir, "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\nsed -i 's/5432/5433/' \"$1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env = append(env, "EDITOR="+editor)
	run("edit", file)
	before := len(c.w.kit.Recorded("vault.kms-used"))
	run("rotate", "--in-place", file)
	if n := len(c.w.kit.Recorded("vault.kms-used")) - before; n < 2 {
		t.Errorf("to renew the key is %d entries", n)
	}
	if out := run("decrypt", file); !strings.Contains(out, "password: changed") || !strings.Contains(out, "port: 5433") {
		t.Error(out)
	}
}

// account is the number that stands for the team.
func (c client) account() string {
	c.w.t.Helper()
	s := c.send("sts", "", form, whoAmI)
	_, rest, _ := strings.Cut(s.raw, "<Account>")
	n, _, _ := strings.Cut(rest, "</Account>")
	return n
}
