package seal_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// desk is a folder with a set of 2 of 3, and a gate before it.
type desk struct {
	t     testing.TB
	now   time.Time
	root  secret.Bytes
	keys  []seal.Private
	set   seal.Set
	file  *seal.File
	gate  *seal.Gate
	lines []seal.Line
	got   string // the root that came out
}

// print is a fingerprint for tests.
func print(b secret.Bytes) string {
	h := secret.NewText(string(b.Reveal())).Sum()
	return hex.EncodeToString(h[:8])
}

func open(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2026, 5, 3, 3, 0, 0, 0, time.UTC), root: secret.Random(32), file: seal.In(t.TempDir())}
	var public []seal.Key
	for range 3 {
		k, err := seal.NewPrivate()
		if err != nil {
			t.Fatal(err)
		}
		d.keys, public = append(d.keys, k), append(public, k.Key)
	}
	var err error
	if d.set, err = seal.Split(d.root, print(d.root), 2, public); err != nil {
		t.Fatal(err)
	}
	if err := d.file.Change(func(b *seal.Boot) error { b.Set = &d.set; return nil }); err != nil {
		t.Fatal(err)
	}
	d.restart()
	return d
}

// restart is another process on the same folder.
func (d *desk) restart() {
	d.t.Helper()
	var err error
	d.gate, err = seal.NewGate(seal.Deps{File: d.file, Act: seal.Open, Now: func() time.Time { return d.now }, Fingerprint: print,
		Note: func(_ context.Context, l seal.Line) error { d.lines = append(d.lines, l); return d.file.Note(d.now, l) },
		Whole: func(_ context.Context, set string, root secret.Bytes) error {
			d.got = string(root.Reveal())
			return nil
		}})
	if err != nil {
		d.t.Fatal(err)
	}
}

// offer is what a holder's command sends.
func (d *desk) offer(i int) seal.Offer {
	d.t.Helper()
	x, st, err := d.gate.Box(d.t.Context(), d.keys[i].ID)
	if err != nil {
		d.t.Fatal(err)
	}
	box, err := d.keys[i].Offer(st.Operation, x.Box)
	if err != nil {
		d.t.Fatal(err)
	}
	return seal.Offer{Set: st.Set, Holder: d.keys[i].ID, Box: box}
}

// gives says how many shares count after one, or why it does not.
func (d *desk) gives(o seal.Offer, given int, code string) {
	d.t.Helper()
	st, err := d.gate.Give(d.t.Context(), o)
	if got, _ := fault.PublicOf(err); err != nil && got != code || err == nil && code != "" {
		d.t.Fatalf("%v, want %q", err, code)
	}
	if err == nil && st.Given != given {
		d.t.Fatalf("%d shares count, want %d", st.Given, given)
	}
}

// Two of three open, whichever two; the root is the one that was split.
//
// breaks: people.no-sole-holder
func TestOpening(t *testing.T) {
	for _, two := range [][2]int{{0, 1}, {0, 2}, {2, 1}} {
		d := open(t)
		d.gives(d.offer(two[0]), 1, "")
		if d.got != "" {
			t.Fatal("one share opened it")
		}
		d.gives(d.offer(two[1]), 2, "")
		if d.got != string(d.root.Reveal()) {
			t.Fatal("another root came out")
		}
		if last := d.lines[len(d.lines)-1]; last.What != seal.WasGiven || last.Given != 2 || last.Need != 2 {
			t.Errorf("told %+v", last)
		}
	}
}

// Each thing that must count for nothing, and why.
//
// breaks: people.no-sole-holder
func TestRefusals(t *testing.T) {
	foreign := func(d *desk) seal.Offer { o := d.offer(1); o.Box = d.offer(2).Box; return o }
	for name, c := range map[string]struct {
		offer func(*desk) seal.Offer
		code  string
		cause string
	}{
		"the same holder twice": {func(d *desk) seal.Offer { return d.offer(0) }, "share_twice", "twice"},
		"an old set":            {func(d *desk) seal.Offer { o := d.offer(1); o.Set = strings.Repeat("0", 32); return o }, "set_over", "set"},
		"nobody's key":          {func(d *desk) seal.Offer { o := d.offer(1); o.Holder = strings.Repeat("0", 32); return o }, "share_refused", "holder"},
		"another's share":       {foreign, "share_refused", "share"},
		"a share of another root, rightly sealed": {func(d *desk) seal.Offer {
			st, _ := d.gate.State(t.Context())
			return seal.Offer{Set: st.Set, Holder: d.keys[1].ID, Box: seal.SealFor(st.Operation, d.keys[1].ID, append(secret.Random(32).Reveal(), 2))}
		}, "share_refused", "share"},
		"a flipped bit": {func(d *desk) seal.Offer { o := d.offer(1); o.Box[len(o.Box)-1] ^= 1; return o }, "share_refused", "share"},
		"nothing":       {func(d *desk) seal.Offer { o := d.offer(1); o.Box = nil; return o }, "share_refused", "share"},
		"of another gathering": {func(d *desk) seal.Offer {
			o := d.offer(1)
			d.restart()
			d.gives(d.offer(0), 1, "")
			return o
		}, "share_refused", "share"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			d.gives(d.offer(0), 1, "")
			d.gives(c.offer(d), 0, c.code)
			if last := d.lines[len(d.lines)-1]; last.What != seal.WasRefused || last.Cause != c.cause {
				t.Errorf("told %+v", last)
			}
			if st, err := d.gate.State(t.Context()); err != nil || st.Given != 1 || d.got != "" {
				t.Errorf("%+v, %v", st, err)
			}
			d.gives(d.offer(1), 2, "")
		})
	}
}

// judge is passkeys that answer with the challenge they were asked.
type judge struct{ asked string }

func (j *judge) Ask(challenge []byte, of []seal.Passkey) (json.RawMessage, error) {
	j.asked = string(challenge)
	return json.RawMessage(`{}`), nil
}

func (j *judge) Judge(challenge []byte, of []seal.Passkey, answer []byte) (int, json.RawMessage, error) {
	if string(answer) != string(challenge) {
		return 0, nil, errors.New("another challenge")
	}
	return 0, json.RawMessage(`{"count":2}`), nil
}

// The share of a holder with a passkey counts only shortly after the passkey has signed the
// hash of this very operation.
//
// breaks: people.no-sole-holder
func TestPasskeyProves(t *testing.T) {
	d := open(t)
	held, err := seal.NewKey(d.keys[0].Public, &seal.Passkey{Record: json.RawMessage(`{"count":1}`), Salt: make([]byte, 32), Wrapped: make([]byte, 60)})
	if err != nil {
		t.Fatal(err)
	}
	if d.set, err = seal.Split(d.root, print(d.root), 2, []seal.Key{held, d.keys[1].Key, d.keys[2].Key}); err != nil {
		t.Fatal(err)
	}
	if err := d.file.Change(func(b *seal.Boot) error { b.Set = &d.set; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.gate.Box(t.Context(), held.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a passkey's share is handed out without a proof: %v", err)
	}
	j := &judge{}
	d.gate.Passkeys = j
	if _, err := d.gate.Question(t.Context()); err != nil {
		t.Fatal(err)
	}
	offer := func() seal.Offer {
		st, _ := d.gate.State(t.Context())
		box, err := d.keys[0].Offer(st.Operation, d.set.Shares[0].Box)
		if err != nil {
			t.Fatal(err)
		}
		return seal.Offer{Set: st.Set, Holder: held.ID, Box: box}
	}
	d.gives(offer(), 0, "proof_missing")
	if _, err := d.gate.Prove(t.Context(), []byte("something else")); fault.KindOf(err) != fault.Denied {
		t.Errorf("another challenge is taken: %v", err)
	}
	x, err := d.gate.Prove(t.Context(), []byte(j.asked))
	if err != nil || x.ID != held.ID || len(j.asked) != 32 {
		t.Fatalf("%+v %v", x, err)
	}
	d.now = d.now.Add(2 * time.Minute)
	d.gives(offer(), 0, "proof_missing")
	if _, err := d.gate.Prove(t.Context(), []byte(j.asked)); err != nil {
		t.Fatal(err)
	}
	d.gives(offer(), 1, "")
	if b, _ := d.file.Read(); !strings.Contains(string(b.Set.Shares[0].Passkey.Record), "2") {
		t.Error("the passkey's counter is not kept")
	}
	before := j.asked
	d.restart()
	d.gate.Passkeys = j
	if _, err := d.gate.Question(t.Context()); err != nil || j.asked == before {
		t.Errorf("another gathering is the same operation: %v", err)
	}
}

// The root is held against its fingerprint before anything is done with it: shares that
// pass one by one, because somebody changed the fingerprints, make nothing.
func TestForeignRoot(t *testing.T) {
	d := open(t)
	if err := d.file.Change(func(b *seal.Boot) error { b.Set.Root = "another"; return nil }); err != nil {
		t.Fatal(err)
	}
	d.gives(d.offer(0), 1, "")
	d.gives(d.offer(1), 0, "share_refused")
	if d.got != "" {
		t.Error("a root was used that is not the one")
	}
	if st, err := d.gate.State(t.Context()); err != nil || st.Given != 0 {
		t.Errorf("what was given was kept: %+v, %v", st, err)
	}
}

// What was given is dropped after its time, with an entry, and the operation is another.
func TestDropped(t *testing.T) {
	d := open(t)
	late := d.offer(1)
	d.gives(d.offer(0), 1, "")
	st, _ := d.gate.State(t.Context())
	if d.now = d.now.Add(seal.Gathering - time.Second); st.Until != d.now.Add(time.Second) {
		t.Errorf("dropped at %s", st.Until)
	}
	if st, err := d.gate.State(t.Context()); err != nil || st.Given != 1 {
		t.Fatalf("dropped too early: %+v %v", st, err)
	}
	d.now = d.now.Add(time.Second)
	next, err := d.gate.State(t.Context())
	if err != nil || next.Given != 0 || next.Sum() == st.Sum() {
		t.Fatalf("%+v %v", next, err)
	}
	if last := d.lines[len(d.lines)-1]; last.What != seal.WasDropped || last.Given != 1 {
		t.Errorf("told %+v", last)
	}
	d.gives(late, 0, "share_refused")
	d.gives(d.offer(1), 1, "")
	d.gives(d.offer(0), 2, "")
}

// Wrong shares of a holder are counted, over a restart too; a right one is taken all the same.
func TestTries(t *testing.T) {
	d := open(t)
	wrong := func() seal.Offer { o := d.offer(0); o.Box = d.offer(1).Box; return o }
	for range seal.TryMost {
		d.gives(wrong(), 0, "share_refused")
	}
	d.restart()
	told, refused := len(d.lines), wrong()
	d.file.Step(func(step string) { t.Errorf("beyond the limit the file is still %s", step) })
	d.gives(refused, 0, "too_many_shares")
	if d.file.Step(nil); len(d.lines) != told {
		t.Error("beyond the limit lines are still written")
	}
	o := d.offer(2)
	o.Box = d.offer(1).Box
	d.gives(o, 0, "share_refused") // others have their own
	d.gives(d.offer(0), 1, "")
	d.now = d.now.Add(seal.TryWindow)
	d.gives(func() seal.Offer { o := d.offer(1); o.Box = nil; return o }(), 0, "share_refused")
}

// The set that is in use may change while shares are gathered: what was given is void.
func TestSetChanges(t *testing.T) {
	d := open(t)
	old := d.offer(1)
	d.gives(d.offer(0), 1, "")
	next, err := seal.Split(d.root, print(d.root), 2, []seal.Key{d.keys[0].Key, d.keys[1].Key, d.keys[2].Key})
	if err == nil {
		err = d.file.Change(func(b *seal.Boot) error { b.Set = &next; return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	d.gives(old, 0, "set_over")
	d.gives(d.offer(1), 1, "")
}

// The list of what happened hangs together, and shows when somebody changed it.
func TestLog(t *testing.T) {
	d := open(t)
	d.gives(d.offer(0), 1, "")
	d.gives(d.offer(0), 0, "share_twice")
	d.gives(d.offer(1), 2, "")
	b, err := d.file.Read()
	if err != nil || len(b.Log) != 3 || !b.Whole() {
		t.Fatalf("%+v %v", b.Log, err)
	}
	for name, change := range map[string]func(*seal.Boot){
		"a changed line": func(b *seal.Boot) { b.Log[1].Cause = "holder" },
		"a missing line": func(b *seal.Boot) { b.Log = slices.Delete(b.Log, 1, 2) },
		"another order":  func(b *seal.Boot) { b.Log[0], b.Log[1] = b.Log[1], b.Log[0] },
		"a missing head": func(b *seal.Boot) { b.Log = b.Log[1:] },
	} {
		c := b
		c.Log = slices.Clone(b.Log)
		if change(&c); c.Whole() {
			t.Errorf("%s does not show", name)
		}
	}
	if err := d.file.Taken(b.Log[1], 0); err != nil {
		t.Fatal(err)
	}
	if b, err = d.file.Read(); err != nil || len(b.Log) != 1 || b.Last.N != 2 || !b.Whole() {
		t.Errorf("%+v %v", b, err)
	}
}

// A flood of refusals, or of starts, leaves room for what holders do and for the opening;
// neither happens where it cannot be noted.
//
// breaks: people.no-sole-holder
func TestLogFull(t *testing.T) {
	d := open(t)
	fill := func(what string, most int) {
		t.Helper()
		err := d.file.Change(func(b *seal.Boot) error {
			for range seal.MaxLog {
				if err := b.Note(d.now, seal.Line{What: what}); err != nil {
					t.Fatal(err)
				}
			}
			return nil
		})
		if b, no := d.file.Read(); err != nil || no != nil || len(b.Log) != most || !b.Whole() {
			t.Fatalf("%s: %d lines, %v %v", what, len(b.Log), err, no)
		}
	}
	fill(seal.WasRefused, seal.MaxLog*4/10)
	fill(seal.WasSealed, seal.MaxLog/2)
	d.gives(d.offer(0), 1, "")
	err := d.file.Change(func(b *seal.Boot) error {
		for len(b.Log) < seal.MaxLog-1 {
			if err := b.Note(d.now, seal.Line{What: seal.WasGiven}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.gives(d.offer(1), 0, "boot_full")
	if d.got != "" {
		t.Error("it opened, and nothing tells")
	}
	opened := seal.Line{What: seal.WasOpened, Set: d.set.ID}
	if err := d.file.Note(d.now, opened); err != nil {
		t.Error(err)
	}
	if err := d.file.Note(d.now, opened); fault.KindOf(err) != fault.Sealed {
		t.Errorf("an opening found no room, and %v", err)
	}
	if b, err := d.file.Read(); err != nil || len(b.Log) != seal.MaxLog || b.Lost != seal.MaxLog*15/10 || !b.Whole() {
		t.Errorf("%d lines, %d lost, %v", len(b.Log), b.Lost, err)
	}
}

// The file holds no share in clear, no root and no private half; it is the owner's alone.
func TestFileTellsNothing(t *testing.T) {
	d := open(t)
	text, err := json.Marshal(d.set)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range d.keys {
		share, err := k.ShareIn(d.set.ID, d.set.Shares[i].Box)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{string(share), hex.EncodeToString(share), hex.EncodeToString(share[:32])} {
			if strings.Contains(string(text), form) {
				t.Error("a share is in clear")
			}
		}
		if _, err := d.keys[(i+1)%3].ShareIn(d.set.ID, d.set.Shares[i].Box); err == nil {
			t.Error("another holder's key opens a share")
		}
		if _, err := k.ShareIn(strings.Repeat("0", 32), d.set.Shares[i].Box); err == nil {
			t.Error("a share opens as one of another set")
		}
	}
}

// What is stored is shares as package shamir makes them, whose layout sops and others read:
// any two combine there to the root.
func TestSharesAreOfShamir(t *testing.T) {
	d := open(t)
	var parts []secret.Bytes
	for i, k := range d.keys {
		b, err := k.ShareIn(d.set.ID, d.set.Shares[i].Box)
		if err != nil || len(b) != shamir.ShareLen {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		parts = append(parts, secret.NewBytes(b))
	}
	if root, err := shamir.Combine(parts[2], parts[0]); err != nil || !root.Equal(d.root) {
		t.Error("the shares are not of the root")
	}
}

// Keys: a file with and without a passphrase, and everything that is no key.
func TestKeyFiles(t *testing.T) {
	k, err := seal.NewPrivate()
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte, phrase string) error {
		got, err := seal.ReadPrivate(b, secret.NewText(phrase))
		if err == nil && got.ID != k.ID {
			t.Error("another key came back")
		}
		return err
	}
	plain, err := k.Bytes(secret.Text{})
	if err != nil || read(plain, "") != nil {
		t.Fatal(err)
	}
	locked, err := k.Bytes(secret.NewText("correct horse"))
	if err != nil || read(locked, "correct horse") != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(locked), `"private"`) {
		t.Error("a locked file holds the private half in clear")
	}
	for _, phrase := range []string{"", "Correct horse"} {
		if err := read(locked, phrase); !errors.Is(err, seal.ErrPassphrase) {
			t.Errorf("passphrase %q: %v", phrase, err)
		}
	}
	other, _ := seal.NewPrivate()
	swapped, _ := other.Bytes(secret.Text{})
	var a, b map[string]any
	_ = json.Unmarshal(plain, &a)
	_ = json.Unmarshal(swapped, &b)
	a["private"] = b["private"]
	mixed, _ := json.Marshal(a)
	for name, text := range map[string]string{"nothing": "", "another file": "{}", "halves of two keys": string(mixed), "too long": strings.Repeat(" ", 5000) + string(plain)} {
		if _, err := seal.ReadPrivate([]byte(text), secret.Text{}); err == nil {
			t.Errorf("%s is read as a key", name)
		}
	}
	if got, err := seal.ReadLine("  " + k.Line() + "\n"); err != nil || got.ID != k.ID {
		t.Errorf("%+v %v", got, err)
	}
	for _, line := range []string{"", "writ-holder-1 ", "writ-holder-2 " + strings.TrimPrefix(k.Line(), "writ-holder-1 "), k.Line() + "x", "writ-holder-1 " + strings.Repeat("AAAA", 21) + "AAA="} {
		if _, err := seal.ReadLine(line); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// A process that is killed while boot.json is replaced leaves the old one or the new one.
func TestKilledWhileWriting(t *testing.T) {
	if dir := os.Getenv("SEAL_DIR"); dir != "" {
		f := seal.In(dir)
		f.Step(func(step string) {
			if step == os.Getenv("SEAL_STEP") {
				p, _ := os.FindProcess(os.Getpid())
				_ = p.Kill()
				select {}
			}
		})
		_ = f.Change(func(b *seal.Boot) error { b.Socket = "new"; return nil })
		os.Exit(0)
	}
	for step, want := range map[string]string{"written": "old", "renamed": "new"} {
		dir := t.TempDir()
		if err := seal.In(dir).Change(func(b *seal.Boot) error { b.Socket = "old"; return nil }); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(os.Args[0], "-test.run=^TestKilledWhileWriting$")
		c.Env = append(os.Environ(), "SEAL_DIR="+dir, "SEAL_STEP="+step)
		if err := c.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process was not killed: %v", err)
		}
		if b, err := seal.In(dir).Read(); err != nil || b.Socket != want {
			t.Errorf("killed when %s: %q, %v", step, b.Socket, err)
		}
		if err := seal.In(dir).Change(func(b *seal.Boot) error { return nil }); err != nil {
			t.Errorf("killed when %s: it cannot be written any more: %v", step, err)
		}
		if i, err := os.Stat(filepath.Join(dir, seal.Name)); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", i.Mode(), err)
		}
	}
}

// Whatever lies in boot.json, it is read without a panic, and what is accepted is written
// and read again.
func FuzzParse(f *testing.F) {
	d := open(f)
	d.gives(d.offer(0), 1, "")
	d.gives(d.offer(0), 0, "share_twice")
	b, err := d.file.Read()
	if err != nil {
		f.Fatal(err)
	}
	whole, err := json.Marshal(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"socket":"/run/x"}`))
	f.Add([]byte(`{"v":1,"socket":"","set":{"id":"","root":"","need":2,"shares":null}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		boot, err := seal.Parse(b)
		if err != nil {
			if fault.KindOf(err) != fault.Sealed {
				t.Errorf("%v", err)
			}
			return
		}
		boot.Whole()
		dir := seal.In(t.TempDir())
		if err := dir.Change(func(x *seal.Boot) error { *x = boot; return nil }); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := dir.Read(); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}

// Whatever a key file holds, it is read without a panic.
func FuzzReadPrivate(f *testing.F) {
	k, err := seal.NewPrivate()
	if err != nil {
		f.Fatal(err)
	}
	b, err := k.Bytes(secret.Text{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(k.Line()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := seal.ReadPrivate(b, secret.Text{}); err == nil && k.Line() == "" {
			t.Error("a key without a line")
		}
		if k, err := seal.ReadLine(string(b)); err == nil && k.Line() != strings.TrimSpace(string(b)) {
			t.Error("a line that reads otherwise")
		}
	})
}

// Strangers' files are refused, each for its reason; a file of before there were shares is
// read.
func TestParse(t *testing.T) {
	d := open(t)
	b, err := d.file.Read()
	if err != nil {
		t.Fatal(err)
	}
	if old, err := seal.Parse([]byte(`{"socket":"/run/writ.sock"}`)); err != nil || old.Socket != "/run/writ.sock" {
		t.Errorf("%+v %v", old, err)
	}
	for name, change := range map[string]func(*seal.Boot){
		"another version":            func(b *seal.Boot) { b.V = 2 },
		"need of one":                func(b *seal.Boot) { b.Set.Need = 1 },
		"more needed than there are": func(b *seal.Boot) { b.Set.Need = 4 },
		"a share twice":              func(b *seal.Boot) { b.Set.Shares[1] = b.Set.Shares[0] },
		"a foreign id":               func(b *seal.Boot) { b.Set.Shares[0].ID = b.Set.Shares[1].ID },
		"no point":                   func(b *seal.Boot) { b.Set.Shares[0].Public = make([]byte, 65) },
		"no box":                     func(b *seal.Boot) { b.Set.Shares[0].Box = nil },
		"no root":                    func(b *seal.Boot) { b.Set.Root = "" },
		"a kind":                     func(b *seal.Boot) { b.Set.Shares[0].Kind = "paper" },
		"a counter":                  func(b *seal.Boot) { b.Tries = map[string]seal.Try{"me": {}} },
	} {
		c := b
		set := *b.Set
		set.Shares = slices.Clone(b.Set.Shares)
		c.Set = &set
		change(&c)
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Parse(text); fault.KindOf(err) != fault.Sealed {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, _ := json.Marshal(b)
	for name, s := range map[string]string{"an unknown member": strings.Replace(string(text), `"v":1`, `"v":1,"x":1`, 1), "something behind": string(text) + "{}", "half": string(text)[:len(text)/2], "nothing": "", "too large": strings.Repeat(" ", 2<<20) + string(text)} {
		if _, err := seal.Parse([]byte(s)); fault.KindOf(err) != fault.Sealed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// From the last share to the root: the mark is 100 ms, with boot.json written and synced.
func BenchmarkUnseal(b *testing.B) {
	d := open(b)
	for b.Loop() {
		d.got = ""
		d.restart()
		d.gives(d.offer(0), 1, "")
		d.gives(d.offer(1), 2, "")
		if d.got == "" {
			b.Fatal("it did not open")
		}
		if boot, _ := d.file.Read(); len(boot.Log) > 400 {
			_ = d.file.Taken(boot.Log[len(boot.Log)-1], 0)
		}
	}
}
