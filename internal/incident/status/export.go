package status

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
)

const (
	exportEvery = 5 * time.Minute  // how old files get while nothing changes
	exportAgain = 30 * time.Second // after one that failed
	exportLimit = time.Minute      // of one
	numbered    = 5 * time.Second  // how long the entry of what is exported is waited for
)

// Put writes one file of the page into a place that outlives this server.
type Put func(ctx context.Context, name, kind string, body []byte) error

// Record is what proves to whoever reads a copy that the page said so.
type Record interface {
	Wait(ctx context.Context, id string) (journal.Entry, error)
	Proof(ctx context.Context, n int64) (proof, leaf []byte, err error)
	Key(ctx context.Context) (string, error)
}

// copied is a place where the page is published, and what it has.
type copied struct {
	name string
	put  Put

	busy  sync.Mutex        // held while it is published; the next six belong to who holds it
	has   map[string]string // etags by name
	again time.Time
	held  jobs.Lease // of a place that all nodes share
	look  time.Time  // when this node asks for it again
	anew  time.Time  // when it is sent whole once more, after another node was at it
	sent  int        // files, by the last try

	mu   sync.Mutex
	turn int64     // of what it has; -1 = nothing yet
	made time.Time // likewise; before the first time when it was begun
}

// copies are the folder, where there is one, and the other places.
func copies(d Deps) (out []*copied) {
	begun := d.Now()
	if d.Folder != "" {
		out = append(out, &copied{name: folderName, put: inFolder(d.Folder), made: begun})
	}
	for name, put := range d.Places {
		out = append(out, &copied{name: name, put: put, made: begun})
	}
	slices.SortFunc(out, func(a, b *copied) int { return strings.Compare(a.name, b.name) })
	for _, c := range out {
		c.has, c.turn = map[string]string{}, -1
	}
	return out
}

const folderName = "folder"

// Publishers keep the copies of the page, one each, so that one that is slow or fails delays no
// other, and nothing else. Each is called every second.
func (s *Service) Publishers() (out []func(context.Context) error) {
	for _, c := range s.copies {
		out = append(out, func(ctx context.Context) error { return s.publish(ctx, c) })
	}
	return out
}

// publish brings a copy up to date: after each change, and every five minutes. The proof comes
// last, so that a page is out before its entry has a number.
func (s *Service) publish(ctx context.Context, c *copied) error {
	x := s.shown.Load()
	c.busy.Lock()
	defer c.busy.Unlock()
	if x == nil || s.Now().Before(c.again) {
		return nil
	}
	if mine, err := s.mine(ctx, c); err != nil || !mine {
		return err
	}
	if turn, at := c.state(); !c.sendAgain(s.Now()) && x.turn == turn && x.made.Sub(at) < exportEvery {
		return nil
	}
	err := s.carry(ctx, c, x)
	if err == nil {
		err = s.kept(ctx, c, x.turn, x.made)
	}
	if err != nil {
		if c.again = s.Now().Add(exportAgain); c.sent == 0 {
			s.letGo(ctx, c)
		}
		return fmt.Errorf("publish the status page to %s: %w", c.name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn, c.made = x.turn, x.made
	return nil
}

// carry is one try.
func (s *Service) carry(ctx context.Context, c *copied, x *shown) error {
	ctx, stop := context.WithTimeout(ctx, exportLimit)
	defer stop()
	defer s.keeping(ctx, c, stop)()
	c.sent = 0
	files, err := x.world.portable()
	if err != nil {
		return err
	}
	if err := c.send(ctx, files); err != nil {
		return err
	}
	_, proof, err := s.proved(ctx, files)
	if err != nil {
		return err
	}
	return c.send(ctx, proof)
}

func (c *copied) state() (turn int64, made time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turn, c.made
}

// send puts what the place does not have yet, the first page last.
func (c *copied) send(ctx context.Context, files map[string]file) error {
	names := make([]string, 0, len(files))
	for name := range files {
		if c.has[name] != files[name].etag {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if a == folder.home || b == folder.home {
			return map[bool]int{true: 1, false: -1}[a == folder.home]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if err := c.put(ctx, name, files[name].kind, files[name].body); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.has[name] = files[name].etag
		c.sent++
	}
	return nil
}

// portable are the files of a copy, by their names.
func (w world) portable() (map[string]file, error) {
	all, err := w.files(folder)
	out := make(map[string]file, len(all))
	for name, f := range all {
		switch {
		case name == "":
			name = folder.home
		case strings.HasPrefix(name, "incidents/"):
			name += folder.ext
		}
		out[name] = f
	}
	return out, err
}

// The files by which somebody proves a copy without this server: writ verify FOLDER.
const (
	sumsFile  = "SHA256SUMS"
	proofFile = "proof.json"
)

// proved are those files. The sums are of all that says something and is the same while nothing
// changes: pages say when they were made, and hold nothing that the API does not.
func (s *Service) proved(ctx context.Context, files map[string]file) (sum string, proof map[string]file, err error) {
	var list strings.Builder
	for _, name := range sortedNames(files) {
		if !strings.HasSuffix(name, folder.ext) {
			fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(files[name].body), name)
		}
	}
	h := sha256.Sum256([]byte(list.String()))
	sum = hex.EncodeToString(h[:])
	s.proofMu.Lock()
	defer s.proofMu.Unlock()
	if s.proofOf == sum {
		return sum, s.proof, nil
	}
	n := strings.Count(list.String(), "\n")
	id, err := s.entryOf(ctx, sum, int64(n))
	if err != nil {
		return "", nil, err
	}
	wait, stop := context.WithTimeout(ctx, numbered)
	defer stop()
	e, err := s.Record.Wait(wait, id)
	if err != nil {
		return "", nil, err
	}
	evidence, leaf, err := s.Record.Proof(ctx, e.N)
	if err != nil {
		return "", nil, err
	}
	key, err := s.Record.Key(ctx)
	if err != nil {
		return "", nil, err
	}
	b, err := json.Marshal(map[string]any{"entry": e.N, "leaf": string(leaf), "proof": string(evidence), "key": key})
	if err != nil {
		return "", nil, fmt.Errorf("encode a proof: %w", err)
	}
	s.proofOf, s.proof = sum, map[string]file{sumsFile: made("text/plain; charset=utf-8", []byte(list.String())), proofFile: made("application/json; charset=utf-8", b)}
	return sum, s.proof, nil
}

func sortedNames(m map[string]file) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// inFolder writes files so that a reader never sees half of one.
func inFolder(dir string) Put {
	return func(_ context.Context, name, _ string, body []byte) error {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, body) {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // a page for everybody
			return err
		}
		tmp := name + ".new"
		if err := os.WriteFile(tmp, body, 0o644); err != nil { //nolint:gosec // a page for everybody
			return err
		}
		return os.Rename(tmp, name)
	}
}

// Exported is when the oldest copy was last brought up to date; zero = there is none.
func (s *Service) Exported() (t time.Time) {
	for _, c := range s.copies {
		if turn, made := c.state(); turn >= 0 && (t.IsZero() || made.Before(t)) {
			t = made
		}
	}
	return t
}

// Behind is for how many minutes each copy was not brought up to date.
func (s *Service) Behind() map[string]float64 {
	out := map[string]float64{}
	for _, c := range s.copies {
		_, made := c.state()
		out[c.name] = max(s.Now().Sub(made).Minutes(), 0)
	}
	return out
}

// PageExported is a page that is published outside this server, with the sums of its files.
type PageExported struct {
	SHA256 string `class:"public"` // of SHA256SUMS
	Files  int64  `class:"public"`
}

// About implements ledger.Event.
func (e PageExported) About() ledger.About {
	return ledger.About{Name: "incident.page-exported", Clause: "inc.public-notice", Object: "status/page"}
}
