package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/ledger/ledgertest"
)

// place is one that the page is published to.
type place struct {
	mu    sync.Mutex
	files map[string]string
	order []string
	away  bool
}

func (p *place) put(_ context.Context, name, _ string, body []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return errors.New("it is away")
	}
	p.files[name], p.order = string(body), append(p.order, name)
	return nil
}

// published lets the journal number and the publishers work once.
func (w *world) published() (err error) {
	w.t.Helper()
	if err := w.page.Tend(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.journal.Run(ctx) }()
	for _, p := range w.page.Publishers() {
		err = errors.Join(err, p(w.t.Context()))
	}
	stop()
	<-done
	return err
}

// The folder holds the whole page as files that lead to one another, and follows a change;
// anybody proves without this server that the page said so.
func TestCopyIsProved(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.active()
		w.says(c.Ref(), status.Investigating)
		publish := func() {
			t.Helper()
			if err := w.published(); err != nil {
				t.Fatal(err)
			}
		}
		at := func(name string) string { return filepath.Join(w.page.Folder, filepath.FromSlash(name)) }
		read := func(name string) string {
			b, err := os.ReadFile(at(name))
			if err != nil {
				t.Error(err)
			}
			return string(b)
		}
		publish()
		id := w.show(c.Ref()).Posts[0].Public
		if got := read("index.html"); !strings.Contains(got, `href="incidents/`+id+`.html"`) || !strings.Contains(got, `href="status.css"`) || strings.Contains(got, "/-/status/") {
			t.Errorf("%s", got)
		}
		if got := read("incidents/" + id + ".html"); !strings.Contains(got, `href="../status.css"`) || !strings.Contains(got, `href="../index.html"`) {
			t.Errorf("%s", got)
		}
		page := func(opt verify.Options) verify.Report { return verify.Page(os.DirFS(w.page.Folder), opt) }
		key, err := w.journal.Key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r := page(verify.Options{Keys: []string{key}}); r.Code != verify.True || r.SelfAsserted || r.Leaves != 1 {
			t.Errorf("%s", r.Text())
		}
		recorded := func() int {
			es, err := w.journal.List(t.Context(), journal.Query{Act: "incident.page-exported"})
			if err != nil {
				t.Error(err)
			}
			return len(es)
		}
		first := read("proof.json")
		w.kit.Clock.Advance(6 * time.Minute)
		was := read("index.html")
		publish()
		if read("proof.json") != first || read("index.html") == was || recorded() != 1 {
			t.Errorf("after five minutes pages are new and nothing else is: %d entries", recorded())
		}
		old := map[string]string{"SHA256SUMS": read("SHA256SUMS"), "proof.json": first}
		w.says(c.Ref(), status.Identified)
		publish()
		if got := read("api/v2/summary.json"); !strings.Contains(got, `"identified"`) || !json.Valid([]byte(got)) || recorded() != 2 {
			t.Error("the folder does not follow")
		}
		now := maps.Collect(func(yield func(string, string) bool) {
			for _, n := range []string{"SHA256SUMS", "proof.json", "api/v2/incidents.json"} {
				if !yield(n, read(n)) {
					return
				}
			}
		})
		write := func(files map[string]string) {
			for n, body := range files {
				if err := os.WriteFile(at(n), []byte(body), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		for what, files := range map[string]map[string]string{"another text": {"api/v2/incidents.json": strings.Replace(now["api/v2/incidents.json"], "Some people", "No people", 1)},
			"an old proof": {"proof.json": old["proof.json"]}, "old sums with their proof": old, "a sum left out": {"SHA256SUMS": now["SHA256SUMS"][strings.Index(now["SHA256SUMS"], "\n")+1:]}} {
			write(files)
			if r := page(verify.Options{}); r.Code != verify.False {
				t.Errorf("%s: %s", what, r.Text())
			}
			write(now)
		}
		if r := page(verify.Options{Keys: []string{"other+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}); r.Code != verify.False {
			t.Errorf("another journal's key: %s", r.Text())
		}
		if r := page(verify.Options{}); r.Code != verify.True || !r.SelfAsserted {
			t.Errorf("put back: %s", r.Text())
		}
		if r := verify.Page(os.DirFS(t.TempDir()), verify.Options{}); r.Code != verify.Unreadable {
			t.Errorf("nothing: %s", r.Text())
		}
	}, tables...)
}

// A place that fails delays neither posts nor other places, grows old, which is measured, and
// gets everything once it is back; the first page comes after what it leads to.
func TestPlacesFailAlone(t *testing.T) { // breaks: inc.public-notice
	kit := ledgertest.Open(t, tables...)
	good, bad := &place{files: map[string]string{}}, &place{files: map[string]string{}, away: true}
	w := placed(t, kit, map[string]status.Put{"good": good.put, "bad": bad.put})
	c := w.active()
	w.says(c.Ref(), status.Investigating)
	if err := w.published(); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("the bad one: %v", err)
	}
	id := w.show(c.Ref()).Posts[0].Public
	if good.files["index.html"] == "" || good.files["incidents/"+id+".html"] == "" || good.files["proof.json"] == "" || len(bad.files) != 0 {
		t.Errorf("%d files, %d files", len(good.files), len(bad.files))
	}
	for i, name := range good.order {
		if name == "index.html" && i+3 != len(good.order) { // the sums and the proof come last
			t.Errorf("the first page is number %d of %d", i+1, len(good.order))
		}
	}
	sent := len(good.order)
	w.kit.Clock.Advance(time.Minute)
	w.says(c.Ref(), status.Identified)
	_ = w.published() // the bad one, again
	if again := good.order[sent:]; len(again) == 0 || strings.Contains(strings.Join(again, " "), "status.css") {
		t.Errorf("sent again: %v", again)
	}
	w.kit.Clock.Advance(20 * time.Minute)
	_ = w.published()
	if b := w.page.Behind(); b["bad"] < 20 || b["good"] > 1 || b["folder"] > 1 {
		t.Errorf("minutes behind: %v", b)
	}
	bad.mu.Lock()
	bad.away = false
	bad.mu.Unlock()
	w.kit.Clock.Advance(time.Minute)
	if err := w.published(); err != nil || w.page.Behind()["bad"] != 0 || len(bad.files) != len(good.files) {
		t.Errorf("back: %v, %v, %d files", err, w.page.Behind(), len(bad.files))
	}
}

// placed has its page published to places.
func placed(t *testing.T, kit *ledgertest.Kit, places map[string]status.Put) *world {
	t.Helper()
	w := with(t, kit, nil)
	d := w.page.Deps
	d.Places, d.Jobs = places, handless{w.queue}
	var err error
	if w.page, err = status.New(d); err != nil {
		t.Fatal(err)
	}
	return w
}

// handless is a queue whose handlers are there already.
type handless struct{ *jobs.Jobs }

func (handless) Handle(string, jobs.Handler) {}
