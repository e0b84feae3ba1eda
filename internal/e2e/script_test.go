package e2e

import (
	"archive/zip"
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The stories of testdata/script, each named by the clause it shows. Beside testscript's
// own commands they have exits, ready, accept, code, key, flipbit and person below; $APP,
// $HTTPS and $UPSTREAM are what writ init is given.
func TestStories(t *testing.T) {
	t.Parallel()
	app := newApplication(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("..", "..", "testdata", "script"),
		Setup: func(e *testscript.Env) error {
			port := freePort(t)
			for k, v := range map[string]string{"APP": "https://localhost:" + port, "HTTPS": "127.0.0.1:" + port, "UPSTREAM": app.url, "PORT": port,
				"WRIT_DIR": filepath.Join(e.WorkDir, "w"), "WRIT_PASSWORD": aPassword, "NO_COLOR": "1", "TZ": "UTC",
				"PATH": filepath.Dir(binary) + string(os.PathListSeparator) + os.Getenv("PATH")} {
				e.Setenv(k, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "flipbit": flipbit,
			"ready":  func(ts *testscript.TestScript, _ bool, _ []string) { scriptReady(t, ts) },
			"accept": func(ts *testscript.TestScript, _ bool, args []string) { scriptAccept(t, ts, args) },
			"code":   func(ts *testscript.TestScript, _ bool, args []string) { scriptCode(ts, args[0]) },
			"person": func(ts *testscript.TestScript, _ bool, args []string) { scriptPerson(t, ts, args[0]) },
			"key":    func(ts *testscript.TestScript, _ bool, args []string) { scriptKey(t, ts, args[0]) },
		},
	})
}

// Every story shows a clause that the shipped policy has.
func TestStoriesAreNamedByClause(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "..", "testdata", "script", "*.txtar"))
	if err != nil || len(names) < 5 {
		t.Fatalf("%d stories: %v", len(names), err)
	}
	policy, err := os.ReadFile(filepath.Join("..", "policy", "template", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		id := strings.TrimSuffix(filepath.Base(n), ".txtar")
		if !strings.Contains(string(policy), "- id: "+id+"\n") {
			t.Errorf("%s: the policy has no clause %s", n, id)
		}
	}
}

func scriptFolder(t *testing.T, ts *testscript.TestScript) *folder {
	return &folder{t: t, dir: ts.Getenv("WRIT_DIR"), port: ts.Getenv("PORT"), origin: ts.Getenv("APP")}
}

// ready waits until the server answers at its door and its journal has signed something.
func scriptReady(t *testing.T, ts *testscript.TestScript) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(ts.Getenv("WRIT_DIR"), "writ.sock")); err == nil {
			f := scriptFolder(t, ts)
			if a, err := f.visitor().try(http.MethodGet, "/-/readyz", nil, nil); err == nil && a.status == 200 && f.writ("journal", "checkpoint").run(t).code == 0 {
				return
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("the server did not become ready")
		}
	}
}

// accept FILE ADDRESS… has owners open the links that init printed into FILE.
func scriptAccept(t *testing.T, ts *testscript.TestScript, args []string) {
	made := decode[struct{ Owners []struct{ Email, URL string } }](t, ts.ReadFile(args[0]))
	for _, who := range args[1:] {
		for _, o := range made.Owners {
			if o.Email != who {
				continue
			}
			path := "/-/api/v1/invitations/" + o.URL[strings.LastIndexByte(o.URL, '/')+1:] + "/accept"
			in := obj{"name": "Owner", "password": aPassword}
			a, err := scriptFolder(t, ts).visitor().try(http.MethodPost, path, encode(t, in), jsonHead(in))
			ts.Check(err)
			if a.status != 200 {
				ts.Fatalf("%s: %v", who, a)
			}
			scriptEnrol(t, ts, who)
		}
	}
}

// scriptEnrol signs an owner in once and sets up a second factor. The recovery codes
// wait in a file of the script.
func scriptEnrol(t *testing.T, ts *testscript.TestScript, who string) {
	v := scriptFolder(t, ts).visitor()
	v.want(200, "POST", "sign-in", obj{"email": who, "password": aPassword})
	ts.Check(os.WriteFile(ts.MkAbs(who+".codes"), []byte(strings.Join(v.enrol().codes, "\n")), 0o600))
}

// code ADDRESS puts the owner's next recovery code into $WRIT_CODE, for one --as.
func scriptCode(ts *testscript.TestScript, who string) {
	codes := strings.Split(ts.ReadFile(who+".codes"), "\n")
	if codes[0] == "" {
		ts.Fatalf("%s has no code left", who)
	}
	ts.Setenv("WRIT_CODE", codes[0])
	ts.Check(os.WriteFile(ts.MkAbs(who+".codes"), []byte(strings.Join(codes[1:], "\n")), 0o600))
}

// person ADDRESS signs up and confirms.
func scriptPerson(t *testing.T, ts *testscript.TestScript, email string) {
	f := scriptFolder(t, ts)
	v := f.visitor()
	call := func(path string, in obj, want int) {
		a, err := v.try(http.MethodPost, "/-/api/v1/"+path, encode(t, in), jsonHead(in))
		ts.Check(err)
		if a.status != want {
			ts.Fatalf("%s: %v", path, a)
		}
	}
	call("sign-up", obj{"email": email, "password": aPassword, "name": ""}, 202)
	call("confirm", obj{"token": f.letter(email, 1).token()}, 200)
}

// key FILE makes a private key that signs.
func scriptKey(t *testing.T, ts *testscript.TestScript, name string) {
	b, err := os.ReadFile(newKey(t, name))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name), b, 0o600))
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

// flipbit ZIP NAME changes one bit in the middle of a file in an archive.
func flipbit(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	ts.Check(err)
	for _, f := range z.File {
		if f.Name == args[1] {
			at, err := f.DataOffset()
			ts.Check(err)
			b[at+int64(f.CompressedSize64)/2] ^= 1
			ts.Check(os.WriteFile(name, b, 0o600))
			return
		}
	}
	ts.Fatalf("%s holds no %s", args[0], args[1])
}
