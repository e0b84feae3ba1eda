package cli_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/cli"
)

// A template asks for all its values in one call, in every branch, and writes a file that
// is its owner's alone.
func TestTemplate(t *testing.T) { // breaks: vault.secret-home
	f := serve(t)
	f.on("POST vault/values", `{"values":[{"name":"/a","value":"it's \"1\""},{"name":"/b:2","value":"two\nlines"},{"name":"/never","value":"x"}],"missing":[]}`)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`a={{param "/a" | json}} {{param "/a" | shell}} {{ base64 (param "/a") }}{{range lines (param "/b:2")}} [{{.}}]{{end}}{{if eq (param "/a") "no"}}{{param "/never"}}{{end}}`)
	f.must(0, []string{"vault", "template", in, out, "--reason", "a start"})
	b, err := os.ReadFile(out)
	if want := `a="it's \"1\"" 'it'\''s "1"' aXQncyAiMSI= [two] [lines]`; err != nil || string(b) != want {
		t.Errorf("%s, want %s; %v", b, want, err)
	}
	if i, err := os.Stat(out); err != nil || i.Mode() != 0o600 {
		t.Errorf("%v %v", i.Mode(), err)
	}
	f.mu.Lock()
	if len(f.seen) != 1 || !strings.Contains(f.seen[0], `{"names":["/a","/b:2","/never"],"reason":"a start"}`) {
		t.Errorf("it asked %q", f.seen)
	}
	f.mu.Unlock()
	f.must(0, []string{"vault", "template", in, out, "--mode", "0640"})
	if i, err := os.Stat(out); err != nil || i.Mode() != 0o640 {
		t.Errorf("the mode is %v", i.Mode())
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".writ-*")); err != nil || len(left) > 0 {
		t.Errorf("%v stay behind", left)
	}
	for _, bad := range []string{`{{param .}}`, `{{$x := "/a"}}{{param $x}}`, `{{param`, `{{exec "ls"}}`, `{{call (param "/a")}}`, `{{template "none"}}`} {
		write(bad)
		if status, _, errs := f.run("vault", "template", in, filepath.Join(dir, "bad")); status == 0 {
			t.Errorf("%s was taken: %s", bad, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "bad")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a bad template left a file")
	}
	for _, flags := range [][]string{{"--mode", "0666"}, {"--mode", "x"}, {"--owner", "no-such-user-here"}, {"--watch", "--every", "1ms"}} {
		f.must(2, append([]string{"vault", "template", in, out}, flags...))
	}
}

// A name that is not there: status 3, and what was there stays.
func TestTemplateMissing(t *testing.T) {
	f := serve(t)
	f.on("POST vault/values", `{"values":[],"missing":["/shop/db"]}`)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := errors.Join(os.WriteFile(in, []byte(`{{param "/shop/db"}}`), 0o600), os.WriteFile(out, []byte("old"), 0o600)); err != nil {
		t.Fatal(err)
	}
	f.must(3, []string{"vault", "template", in, out}, "/shop/db", "Nothing is written")
	if b, err := os.ReadFile(out); err != nil || string(b) != "old" {
		t.Errorf("%s %v", b, err)
	}
}

// With --watch the file follows the versions; what fails leaves it as it is.
func TestTemplateWatch(t *testing.T) {
	f := serve(t)
	var version, reads atomic.Int64
	var away atomic.Bool
	f.onDo("POST vault/newest", func(*http.Request) any {
		if away.Load() {
			return refusal{503, `{"code":"unavailable","detail":"The server is away."}`}
		}
		return map[string]any{"versions": map[string]int64{"/a": version.Load()}}
	})
	f.onDo("POST vault/values", func(*http.Request) any {
		reads.Add(1)
		return map[string]any{"values": []map[string]string{{"name": "/a", "value": "v" + strconv.FormatInt(version.Load(), 10)}}, "missing": []string{}}
	})
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte(`{{param "/a"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ticks, ended := make(chan time.Time), make(chan int, 1)
	ctx, stop := context.WithCancel(t.Context())
	var errs strings.Builder
	go func() {
		ended <- cli.Main(ctx, []string{"--dir", f.dir, "vault", "template", in, out, "--watch"}, strings.NewReader(""), &strings.Builder{}, &errs, cli.Server{Ticks: ticks})
	}()
	look := func(want string, read int64) {
		t.Helper()
		ticks <- time.Time{}
		ticks <- time.Time{} // the second is taken when the first was dealt with
		if b, err := os.ReadFile(out); err != nil || string(b) != want || reads.Load() != read {
			t.Errorf("%s after %d reads, want %s after %d; %v", b, reads.Load(), want, read, err)
		}
	}
	look("v0", 1)
	version.Store(1)
	look("v1", 2)
	away.Store(true)
	version.Store(2)
	look("v1", 2)
	away.Store(false)
	look("v2", 3)
	stop()
	if status := <-ended; status != 0 || strings.Count(errs.String(), "stays as it is") != 1 {
		t.Errorf("%d %s", status, errs.String())
	}
}
