package cli_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"writ/internal/cli"
	"writ/internal/policy/template"
	"writ/internal/sshsig"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"writ": func() {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Server{
			Version: "1.2.3",
			Init: func(_ context.Context, o cli.InitOptions) (cli.InitResult, error) {
				r := cli.InitResult{Dir: o.Dir, Changed: o.Company != "again"}
				for _, e := range o.Owners {
					r.Owners = append(r.Owners, cli.OwnerLink{Email: e, URL: o.App + "/-/invite/token"})
				}
				r.ToDecide = []cli.Decision{{Key: "auth.reset-link-lifetime/ttl", Value: "24h"}}
				return r, nil
			},
			Serve: func(_ context.Context, o cli.ServeOptions) error {
				_, err := o.Log.Write([]byte("serving " + o.Dir + "\n"))
				return err
			},
		}))
	}})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("WRIT_DIR", "")
			e.Setenv("NO_COLOR", "")
			if err := os.CopyFS(filepath.Join(e.WorkDir, "bundle"), os.DirFS("testdata/bundle")); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "shipped.yaml"), template.YAML(), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flipbit": flipbit},
	})
}

// exits STATUS COMMAND… runs a command that must end with exactly that status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// flipbit FILE changes one bit in the middle of a file.
func flipbit(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(name, b, 0o600))
}

// newKey writes a private key file without a passphrase.
func newKey(t *testing.T) (file string, s sshsig.Signer) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "id")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Skipf("ssh-keygen: %v %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = sshsig.NewSigner(b, nil); err != nil {
		t.Fatal(err)
	}
	return file, s
}
