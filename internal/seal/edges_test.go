package seal_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/seal"
)

// A third share after the second changes nothing: the root is not made again, and there is
// no line about it.
func TestOneShareMoreThanNeeded(t *testing.T) {
	d := open(t)
	d.gives(d.offer(0), 1, "")
	third := d.offer(2)
	d.gives(d.offer(1), 2, "")
	d.got = ""
	lines := len(d.lines)
	d.gives(third, 2, "")
	if d.got != "" || len(d.lines) != lines {
		t.Errorf("the root was made again, or it was told: %d lines after %d", len(d.lines), lines)
	}
}

// After ten minutes a holder who had used up the tries has all of them again.
func TestTriesBeginAnew(t *testing.T) {
	d := open(t)
	wrong := func() seal.Offer { o := d.offer(0); o.Box = d.offer(1).Box; return o }
	for range 2 {
		for range seal.TryMost {
			d.gives(wrong(), 0, "share_refused")
		}
		d.gives(wrong(), 0, "too_many_shares")
		d.now = d.now.Add(seal.TryWindow)
	}
}

// A share that a holder gave for one act does not count for another: to practise is not to open.
//
// breaks: people.no-sole-holder
func TestShareIsForItsAct(t *testing.T) {
	d := open(t)
	x, st, err := d.gate.Box(t.Context(), d.keys[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	o := st.Operation
	if o.Act == seal.Drill {
		t.Fatal("this gate is of a drill")
	}
	o.Act = seal.Drill
	box, err := d.keys[0].Offer(o, x.Box)
	if err != nil {
		t.Fatal(err)
	}
	d.gives(seal.Offer{Set: st.Set, Holder: d.keys[0].ID, Box: box}, 0, "share_refused")
}

// A line that was taken out of the middle shows, also when those behind it were counted anew.
func TestMissingLineShows(t *testing.T) {
	d := open(t)
	for _, what := range []string{seal.WasSealed, seal.WasRefused, seal.WasGiven, seal.WasGiven} {
		if err := d.file.Note(d.now, seal.Line{What: what}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := d.file.Read()
	if err != nil || !b.Whole() {
		t.Fatalf("%+v %v", b.Log, err)
	}
	b.Log = slices.Delete(b.Log, 1, 2)
	for i := 1; i < len(b.Log); i++ {
		b.Log[i].N--
		b.Log[i].Hash = b.Log[i].Sum()
	}
	if b.Whole() {
		t.Error("nothing shows")
	}
}

// A set in which a key stands under another id, or two shares are one, is damaged.
func TestSetsThatAreNone(t *testing.T) {
	d := open(t)
	b, err := d.file.Read()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*seal.Set){
		"an id of nobody":    func(s *seal.Set) { s.Shares[0].ID = strings.Repeat("0", len(s.Shares[0].ID)) },
		"one share for two":  func(s *seal.Set) { s.Shares[0].Print = s.Shares[1].Print },
		"a key without line": func(s *seal.Set) { s.Shares[0].Public = s.Shares[0].Public[:64] },
	} {
		set := *b.Set
		set.Shares = slices.Clone(b.Set.Shares)
		change(&set)
		c := b
		c.Set = &set
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Parse(text); fault.KindOf(err) != fault.Sealed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
