package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"writ/internal/fault"
	"writ/internal/shamir"
)

// Name is the file in the server's folder.
const Name = "boot.json"

const (
	version = 1
	maxBoot = 1 << 20 // bytes of boot.json
	maxLog  = 1000    // lines that wait for the journal
	idLen   = 32      // hexadecimal digits of every id
)

// Boot is DIR/boot.json: what must be known before anything is opened.
type Boot struct {
	V      int            `json:"v"`
	Socket string         `json:"socket"`           // where the local socket lies
	Sealed bool           `json:"sealed,omitempty"` // by command: a start does not open by itself
	Set    *Set           `json:"set,omitempty"`    // of shares, the one in force
	Tries  map[string]Try `json:"tries,omitempty"`  // wrong shares, by holder
	Log    []Line         `json:"log,omitempty"`    // what the journal does not have yet
	Last   Line           `json:"last,omitzero"`    // the newest line that the journal has
	Lost   int            `json:"lost,omitempty"`   // lines that found no room
}

// Set is a root split among holders.
type Set struct {
	ID     string  `json:"id"`
	Root   string  `json:"root"` // fingerprint of the root key
	Need   int     `json:"need"`
	Shares []Share `json:"shares"`
}

// Share is one holder's, which only their key opens.
type Share struct {
	Key
	Box   []byte `json:"box"`
	Print string `json:"print"` // SHA-256 of the share
}

// Try counts wrong shares of one holder.
type Try struct {
	From int64 `json:"from"` // µs; when the first of them was
	N    int   `json:"n"`
}

// What lines tell.
const (
	WasSealed  = "sealed"
	WasGiven   = "share-given"
	WasRefused = "share-refused"
	WasDropped = "shares-dropped"
	WasOpened  = "unsealed"
	WasAuto    = "auto-unsealed"
)

// Line is one thing that happened while the journal was closed.
type Line struct {
	N      int    `json:"n"`
	At     int64  `json:"at"` // µs
	What   string `json:"what"`
	Set    string `json:"set,omitempty"`
	Holder string `json:"holder,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Given  int    `json:"given,omitempty"`
	Need   int    `json:"need,omitempty"`
	Prev   string `json:"prev,omitempty"`
	Hash   string `json:"hash"`
}

// Time is when it was.
func (l Line) Time() time.Time { return time.UnixMicro(l.At).UTC() }

// sum is the hash over all but the hash itself.
func (l Line) sum() string {
	l.Hash = ""
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // numbers and texts
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// room is how long the list may be for a line to be added: what a stranger can cause, or a
// server that starts over and over, takes none from what holders do, nor that from the opening.
func room(what string) int {
	switch what {
	case WasOpened:
		return maxLog
	case WasGiven:
		return maxLog - 1
	case WasRefused:
		return maxLog * 4 / 10
	}
	return maxLog / 2
}

// Note adds a line. What finds no room is only counted, but a share and an opening, which do
// not happen unless they are noted.
func (b *Boot) Note(at time.Time, l Line) error {
	if len(b.Log) >= room(l.What) {
		if l.What == WasGiven || l.What == WasOpened {
			return fault.New(fault.Sealed, "boot_full", fault.Public{Problem: "The list in " + Name + " is full: this could not be recorded.",
				Expected: fmt.Sprintf("At most %d lines until the vault is open again.", maxLog), Next: "Keep a copy of the file as evidence, take all lines of its log out but the last, and start again; the record will say that the list was altered."})
		}
		b.Lost++
		return nil
	}
	last := b.Last
	if n := len(b.Log); n > 0 {
		last = b.Log[n-1]
	}
	l.N, l.At, l.Prev = last.N+1, at.UnixMicro(), last.Hash
	l.Hash = l.sum()
	b.Log = append(b.Log, l)
	return nil
}

// Whole reports whether each line follows from the one before.
func (b Boot) Whole() bool {
	last := b.Last
	for _, l := range b.Log {
		if l.N != last.N+1 || l.Prev != last.Hash || l.Hash != l.sum() {
			return false
		}
		last = l
	}
	return true
}

// Parse reads boot.json strictly: no unknown member, nothing after it, every id, key and
// size as this package writes them. It says what is wrong in the words of fault.Sealed.
func Parse(b []byte) (Boot, error) {
	var out Boot
	if len(b) > maxBoot {
		return Boot{}, damaged(fmt.Errorf("%d bytes are more than %d", len(b), maxBoot))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return Boot{}, damaged(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Boot{}, damaged(errors.New("something follows the value"))
	}
	if out.V == 0 && out.Set == nil && out.Log == nil && out.Tries == nil { // of a server from before there were shares
		out.V = version
	}
	if err := out.check(); err != nil {
		return Boot{}, damaged(err)
	}
	return out, nil
}

func damaged(err error) error {
	return &fault.Error{Kind: fault.Sealed, Code: "boot_damaged", Err: err, Public: fault.Public{
		Problem: Name + " cannot be read: " + err.Error() + ".", Expected: "The file as this server wrote it.", Next: "Put it back from a backup: without it the shares of the holders open nothing."}}
}

func (b Boot) check() error {
	switch {
	case b.V != version:
		return fmt.Errorf("its version is %d, not %d", b.V, version)
	case len(b.Log) > maxLog || len(b.Tries) > shamir.MaxShares+1 || b.Lost < 0:
		return errors.New("a list is too long")
	}
	for id, t := range b.Tries {
		if id != "" && !isID(id) || t.N < 0 {
			return errors.New("a counter is of nobody")
		}
	}
	if b.Set == nil {
		return nil
	}
	return b.Set.check()
}

func (s Set) check() error {
	n := len(s.Shares)
	if !isID(s.ID) || s.Root == "" || len(s.Root) > 100 || s.Need < shamir.MinNeed || n < s.Need || n > shamir.MaxShares {
		return fmt.Errorf("the set is of %d of %d, or has no id or fingerprint", s.Need, n)
	}
	seen := map[string]bool{}
	for _, x := range s.Shares {
		if err := x.Key.check(); err != nil {
			return err
		}
		if seen[x.ID] || seen[x.Print] || len(x.Box) == 0 || len(x.Box) > 1024 || len(x.Print) != 2*sha256.Size {
			return errors.New("a share is there twice, or no share")
		}
		seen[x.ID], seen[x.Print] = true, true
	}
	return nil
}

func isID(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(s) == idLen && hex.EncodeToString(b) == s
}

// share finds a holder's.
func (s Set) share(holder string) (Share, bool) {
	i := slices.IndexFunc(s.Shares, func(x Share) bool { return x.ID == holder })
	if i < 0 {
		return Share{}, false
	}
	return s.Shares[i], true
}

// File is boot.json of one folder. One process has it: the folder's lock sees to that.
type File struct {
	path string
	mu   sync.Mutex
	step func(string) // tests end the process here; nil otherwise
}

// In is the file of a folder.
func In(dir string) *File { return &File{path: filepath.Join(dir, Name)} }

// Step makes the file call fn at each step of being replaced: tests end a process there.
func (f *File) Step(fn func(string)) { f.step = fn }

// Read gives what is there; a folder without the file gives an empty one.
func (f *File) Read() (Boot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

func (f *File) read() (Boot, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Boot{V: version}, nil
	}
	if err != nil {
		return Boot{}, fmt.Errorf("read %s: %w", Name, err)
	}
	return Parse(b)
}

// Change reads the file, lets fn change it and puts the new one in its place whole: a
// process that ends in between leaves the old one or the new one.
func (f *File) Change(fn func(*Boot) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := f.read()
	if err != nil {
		return err
	}
	if err := fn(&b); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	text, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	if err := f.replace(append(text, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", Name, err)
	}
	return nil
}

func (f *File) replace(text []byte) (err error) {
	temp := f.path + ".new"
	t, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = t.Write(text)
	if err = errors.Join(err, t.Sync(), t.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	f.at("written")
	if err := os.Rename(temp, f.path); err != nil {
		return err
	}
	f.at("renamed")
	d, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *File) at(step string) {
	if f.step != nil {
		f.step(step)
	}
}

// Note adds a line to the list.
func (f *File) Note(at time.Time, l Line) error {
	return f.Change(func(b *Boot) error { return b.Note(at, l) })
}

// Taken removes the lines up to one that the journal has now, and what it was told of those
// that found no room.
func (f *File) Taken(up Line, lost int) error {
	return f.Change(func(b *Boot) error {
		b.Log = slices.DeleteFunc(b.Log, func(l Line) bool { return l.N <= up.N })
		if up.N > b.Last.N {
			b.Last = up
		}
		b.Lost = max(0, b.Lost-lost)
		return nil
	})
}
