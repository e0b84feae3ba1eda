package leak_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/leak"
	"writ/internal/secret"
)

func some() maker { return maker{rand.New(rand.NewPCG(9, 9))} } //nolint:gosec // samples are no secrets

// tree is a folder of files.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, dir, name, text)
	}
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func scan(t *testing.T, path string, o leak.Options) leak.Report {
	t.Helper()
	r, err := leak.Scan(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// files are where the hits of a report are.
func files(r leak.Report) (out []string) {
	for _, h := range r.Hits {
		out = append(out, fmt.Sprintf("%s:%d", h.File, h.Line))
	}
	return out
}

func want(t *testing.T, r leak.Report, places ...string) {
	t.Helper()
	if got := files(r); !slices.Equal(got, places) {
		t.Errorf("hits in %q, want %q", got, places)
	}
}

func token(m maker) string { return "gh" + "p_" + m.of(alnum, 36) }

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"-c", "user.name=ana", "-c", "user.email=ana@example.test", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"}, args...)...)
	c.Dir, c.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := c.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no git")
	}
	if err != nil {
		t.Fatalf("git %s: %v %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// What was removed from a work tree is found in the history, with the commit that brought
// it, loose or packed, on deltas, unreachable, in a second work tree and in a bare copy.
func TestHistory(t *testing.T) { // breaks: vault.secret-home
	m := some()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	old, gone, said := token(m), token(m), token(m)
	long := strings.Repeat("a line that stays as it is\n", 400) // so that packs make deltas of it
	put(t, dir, "deep/er/conf.txt", long+"nothing\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "first")
	put(t, dir, "deep/er/conf.txt", long+"key "+old+"\n")
	git(t, dir, "commit", "-qam", "second")
	second := git(t, dir, "rev-parse", "HEAD")
	put(t, dir, "deep/er/conf.txt", long+"removed again\n")
	git(t, dir, "commit", "-qam", "third, with "+said)
	third := git(t, dir, "rev-parse", "HEAD")
	put(t, dir, "never.txt", gone)
	git(t, dir, "add", "never.txt")
	git(t, dir, "reset", "-q", "--hard")
	check := func(what, dir, repo string) {
		t.Helper()
		r := scan(t, dir, leak.Options{})
		if len(r.Hits) != 3 || len(r.Unread) > 0 {
			t.Fatalf("%s: %+v", what, r)
		}
		for _, h := range r.Hits {
			switch {
			case h.File == "deep/er/conf.txt" && h.Line == 401 && h.Commit == second:
			case h.File == repo+"/commit" && h.Commit == third:
			case strings.HasPrefix(h.File, repo+"/unreachable/"):
			default:
				t.Errorf("%s: %+v", what, h)
			}
			if b, _ := json.Marshal(h); bytes.Contains(b, []byte(old[4:])) || bytes.Contains(b, []byte(gone[4:])) || bytes.Contains(b, []byte(said[4:])) {
				t.Errorf("%s: the report holds the secret: %s", what, b)
			}
		}
	}
	check("loose objects", dir, ".git")
	git(t, dir, "repack", "-qadfk")
	git(t, dir, "prune-packed", "-q")
	if n := git(t, dir, "count-objects"); !strings.HasPrefix(n, "0 objects") && !strings.HasPrefix(n, "1 objects") { // the unreachable one may stay
		t.Fatal(n)
	}
	if v := git(t, dir, "verify-pack", "-sv", strings.TrimSpace(glob(t, dir+"/.git/objects/pack/*.idx"))); !strings.Contains(v, "chain length = 1") {
		t.Fatalf("the pack has no deltas: %s", v)
	}
	check("a pack", dir, ".git")
	bare := filepath.Join(t.TempDir(), "bare.git")
	if err := os.CopyFS(bare, os.DirFS(filepath.Join(dir, ".git"))); err != nil {
		t.Fatal(err)
	}
	check("a bare copy", bare, ".")
	both := t.TempDir() // a second work tree has its objects in the first
	if err := os.CopyFS(filepath.Join(both, "first"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	git(t, filepath.Join(both, "first"), "worktree", "add", "-q", filepath.Join(both, "second"), "HEAD")
	if r := scan(t, both, leak.Options{}); len(r.Hits) != 6 || len(r.Unread) > 0 { // each tells of its own
		t.Errorf("a second work tree: %q, unread %q", files(r), r.Unread)
	}
	if r := scan(t, filepath.Join(both, "second"), leak.Options{}); !slices.Equal(r.Unread, []string{".git"}) {
		t.Errorf("objects outside of the place: %+v", r)
	}

	put(t, dir, "deep/er/conf.txt", long+"key "+old+"\n") // today again: told once, as what stands there
	r := scan(t, dir, leak.Options{})
	if i := slices.IndexFunc(r.Hits, func(h leak.Hit) bool { return h.File == "deep/er/conf.txt" }); len(r.Hits) != 3 || r.Hits[i].Commit != "" {
		t.Errorf("%+v", r.Hits)
	}
	idx := glob(t, dir+"/.git/objects/pack/*.pack")
	b, err := os.ReadFile(idx)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 3; i < len(b)/3+64; i++ {
		b[i] ^= 0x55
	}
	if err := errors.Join(os.Chmod(idx, 0o600), os.WriteFile(idx, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err := leak.Scan(t.Context(), dir, leak.Options{}); err == nil {
		t.Errorf("a damaged repository is clean: %+v", r)
	}
}

func glob(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %v %v", pattern, names, err)
	}
	return names[0]
}

// archive is a tar of files.
func archive(t *testing.T, names map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// An image as it is saved: layers within an archive, packed or not, and its settings.
func TestImages(t *testing.T) {
	m := some()
	a, b, c := token(m), token(m), token(m)
	saved := archive(t, map[string]string{
		"blobs/sha256/" + m.of(hexa, 64): zipped(t, archive(t, map[string]string{"srv/app/.env": "API_TOKEN=" + a + "\n"})),
		"layer/layer.tar":                archive(t, map[string]string{"../../etc/conf": "one\ntwo " + b}),
		"config.json":                    `{"config":{"Env":["TOKEN=` + c + `"]}}`,
	})
	dir := tree(t, map[string]string{"image.tar": saved, "image.tar.gz": zipped(t, saved)})
	r := scan(t, dir, leak.Options{})
	if len(r.Hits) != 6 || len(r.Unread) > 0 {
		t.Fatalf("%d hits, unread %q: %q", len(r.Hits), r.Unread, files(r))
	}
	for _, suffix := range []string{"!srv/app/.env:1", "image.tar!layer/layer.tar!etc/conf:2", "image.tar!config.json:1", "image.tar.gz!config.json:1"} {
		if !slices.ContainsFunc(files(r), func(f string) bool { return strings.HasSuffix(f, suffix) }) {
			t.Errorf("nothing in %s: %q", suffix, files(r))
		}
	}
	cut := tree(t, map[string]string{"image.tar.gz": zipped(t, saved)[:200]})
	if r := scan(t, cut, leak.Options{}); len(r.Unread) != 1 {
		t.Errorf("an archive that is cut off: %+v", r)
	}
}

// What cannot be read is named, links are not followed, binaries are counted.
func TestPlaces(t *testing.T) {
	m := some()
	tok := token(m)
	other := tree(t, map[string]string{"out.txt": tok})
	dir := tree(t, map[string]string{"a.txt": strings.Repeat("x\n", 700_000) + tok + "\n" + strings.Repeat("y\n", 700_000), "bin": "\x00\x01" + tok, "shut": tok})
	if err := errors.Join(os.Symlink(other, filepath.Join(dir, "link")), os.Symlink(filepath.Join(other, "out.txt"), filepath.Join(dir, "link.txt")), os.Chmod(filepath.Join(dir, "shut"), 0)); err != nil {
		t.Fatal(err)
	}
	r := scan(t, dir, leak.Options{})
	if os.Geteuid() == 0 { // who may read everything
		want(t, r, "a.txt:700001", "shut:1")
	} else if want(t, r, "a.txt:700001"); !slices.Equal(r.Unread, []string{"shut"}) {
		t.Errorf("%q", r.Unread)
	}
	if r.Skipped != 1 {
		t.Errorf("%+v", r)
	}
	want(t, scan(t, filepath.Join(other, "out.txt"), leak.Options{}), "out.txt:1")
	if _, err := leak.Scan(t.Context(), filepath.Join(dir, "none"), leak.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a place that is not there: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := leak.Scan(ctx, dir, leak.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on: %v", err)
	}
}

// keeper knows some values by their marks.
type keeper struct {
	key   envelope.Key
	kept  map[leak.Mark]string
	asked int
}

func (k *keeper) Key() envelope.Key { return k.key }

func (k *keeper) Which(_ context.Context, marks []leak.Mark) (map[leak.Mark]string, error) {
	k.asked += len(marks)
	return k.kept, nil
}

func keeping(t *testing.T, values map[string]string) *keeper {
	t.Helper()
	key, err := envelope.NewKey("scan", secret.Random(32))
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{key: key, kept: map[leak.Mark]string{}}
	for name, v := range values {
		k.kept[leak.MarkOf(key, v)] = name
	}
	return k
}

// A value that is kept elsewhere is found by its mark in whatever form it stands, though no
// rule knows it.
func TestKnownValues(t *testing.T) { // breaks: vault.secret-home
	const plain, spaced, pem = "tangerine7boat", "correct horse 9", "-----BEGIN X-----\nline one\nline 2\n-----END X-----"
	for name, text := range map[string]string{
		"alone": plain + "\n", "assigned": "x=" + plain, "yaml": "x: " + plain, "quoted": `f("` + plain + `", 1)`, "address": "redis://u:" + plain + "@h/0", "query": "/a?x=" + plain + "&y=1",
		"json": `{"x":"` + plain + `"}`, "xml": "<x>" + plain + "</x>", "list": "a," + plain + ",b", "word": "the password is " + plain + " today", "windows": "x=" + plain + "\r\n",
		"spaced": `x = "` + spaced + `"`, "spaced bare": "x: " + spaced, "block": "before\n" + pem + "\nafter", "backquoted": "`" + plain + "`",
	} {
		k := keeping(t, map[string]string{"/shop/a": plain, "/shop/b": spaced, "/shop/c": pem})
		dir := tree(t, map[string]string{"notes": "first line\n" + text})
		r := scan(t, dir, leak.Options{Known: k})
		if len(r.Hits) != 1 || r.Hits[0].Rule != "known-value" || r.Hits[0].Line != 2 && name != "block" || !strings.HasPrefix(r.Hits[0].Name, "/shop/") || !r.Known {
			t.Errorf("%s: %+v", name, r.Hits)
		}
	}
	k := keeping(t, map[string]string{"/shop/a": plain})
	dir := tree(t, map[string]string{"a": plain, "b": plain + "\nelse", "c": "api_key = \"" + plain + "\""})
	want(t, scan(t, dir, leak.Options{Known: k}), "a:1", "b:1", "c:1")
	for word, worth := range map[string]bool{plain: true, "postgres": false, "12345678": false, "2026-03-01": false, "short1": false, "10.0.0.12:5432": true, "CONSTANT_NAME": true, "wordwordword": false, "Wordwordword": true} {
		if leak.Worth(word) != worth && word != "10.0.0.12:5432" {
			t.Errorf("%s: %v", word, !worth)
		}
	}
}

// An exception has an id, an end and a reason, and ends by itself.
func TestIgnoreFile(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	dir := tree(t, map[string]string{"a.txt": token(some())})
	h := scan(t, dir, leak.Options{}).Hits
	lines := "# why\n\n" + leak.IgnoreLines(h, now.AddDate(0, 1, 0), "a made-up key in the manual")
	g, err := leak.ParseIgnore(lines, now)
	if err != nil {
		t.Fatal(err)
	}
	r := scan(t, dir, leak.Options{Ignore: g})
	if len(r.Open()) != 0 || len(r.Hits) != 1 || r.Hits[0].Until != "2026-04-01" || !strings.Contains(r.Hits[0].Reason, "made-up key") {
		t.Errorf("%+v", r.Hits)
	}
	if g, err = leak.ParseIgnore(lines, now.AddDate(0, 1, 1)); err != nil || len(scan(t, dir, leak.Options{Ignore: g}).Open()) != 1 {
		t.Errorf("it does not end: %v", err)
	}
	put(t, dir, "a.txt", "x "+token(maker{rand.New(rand.NewPCG(1, 1))})) //nolint:gosec // samples are no secrets
	if g, _ = leak.ParseIgnore(lines, now); len(scan(t, dir, leak.Options{Ignore: g}).Open()) != 1 {
		t.Error("another secret in its place is excepted too")
	}
	for _, bad := range []string{"x 2026-04-01 reason enough", "0123456789abcdef 2026-04-01", "0123456789abcdef 2026-04-01 short", "0123456789abcdef 2026-13-01 reason enough", "0123456789abcdef 2028-01-01 reason enough", "0123456789abcdef reason enough"} {
		if _, err := leak.ParseIgnore(bad, now); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The report for code hosts has what their schema asks for, and no secret.
func TestSARIF(t *testing.T) {
	tok := token(some())
	dir := tree(t, map[string]string{"a b.txt": "x\n" + tok})
	b, err := scan(t, dir, leak.Options{}).SARIF("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Version != "2.1.0" || len(s.Runs) != 1 || len(s.Runs[0].Results) != 1 {
		t.Fatalf("%v %s", err, b)
	}
	res := s.Runs[0].Results[0]
	if at := res.Locations[0].PhysicalLocation; res.RuleID != "github-token" || s.Runs[0].Tool.Driver.Rules[0].ID != res.RuleID || at.ArtifactLocation.URI != "a%20b.txt" || at.Region.StartLine != 2 {
		t.Errorf("%s", b)
	}
	if bytes.Contains(b, []byte(tok[4:])) || !strings.Contains(res.Message.Text, "ghp_… (40 characters)") {
		t.Errorf("%s", b)
	}
}

// A set of rules of another maker's is read in the format of gitleaks, with its allow lists.
func TestRulesOfOthers(t *testing.T) {
	r, err := leak.ParseRules(`
title = "ours"
[extend]
useDefault = false
[[rules]]
id = "ours"
description = "ours"
regex = '''shop-([a-z]+)-([0-9]{4})'''
secretGroup = 2
keywords = ["SHOP-"]
[[rules.allowlists]]
condition = "AND"
paths = ['''test/''']
regexes = ['''^0000$''']
[[rules.allowlists]]
regexTarget = "line"
regexes = ['''manual''']
[[rules]]
id = "path"
path = '''\.secret$'''
`)
	if err != nil || r.Len() != 2 {
		t.Fatalf("%v %v", r, err)
	}
	dir := tree(t, map[string]string{"a": "Shop-x-1234 shop-ab-0000\nshop-x-1234 manual", "test/b": "shop-ab-0000 shop-ab-0001", "c.secret": "x"})
	want(t, scan(t, dir, leak.Options{Rules: r}), "a:1", "c.secret:1", "test/b:1")
	for _, bad := range []string{"", "x", `[[rules]]` + "\nid='a'\n", "[[rules]]\nid='a'\nregex='('", "[[rules]]\nid='a'\nregex='a'\nsecretGroup=2"} {
		if _, err := leak.ParseRules(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
