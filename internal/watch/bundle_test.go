package watch_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/canon"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/watch"
)

// happened is an event of another module.
type happened struct {
	name string
	Door string `class:"public"`
}

// About implements ledger.Event.
func (h happened) About() ledger.About { return ledger.About{Name: h.name, Object: "thing/1"} }

var stranger = actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24", Via: "https"}

// numbering runs the journal until stop.
func (w *world) numbering() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.journal.Run(ctx) }()
	return func() { cancel(); <-done }
}

// recorded lets so many events happen, numbered by the journal, and watch follows.
func (w *world) recorded(n int, who actor.Actor, ev ledger.Event) {
	w.t.Helper()
	stop := w.numbering()
	defer stop()
	var last ledger.Receipt
	for range n {
		var err error
		last, err = w.DB.Change(w.t.Context(), who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
		must(w.t, err)
	}
	_, err := w.journal.Wait(w.t.Context(), last.ID)
	must(w.t, err)
	w.past.Numbered = nil
	must(w.t, w.journal.Past(w.t.Context(), time.Time{}, func(es []journal.Entry) error {
		w.past.Numbered = append(w.past.Numbered, es...)
		return w.s.Follow(w.t.Context(), es)
	}))
}

// bundle is an alarm with its evidence, and the journal's key.
func (w *world) bundle(id string) ([]byte, string) {
	w.t.Helper()
	stop := w.numbering()
	defer stop()
	var out bytes.Buffer
	must(w.t, w.s.Bundle(w.t.Context(), engineer, id, &out))
	key, err := w.journal.Key(w.t.Context())
	must(w.t, err)
	return out.Bytes(), key
}

func checked(b []byte, key string) verify.Report {
	return verify.Bundle(bytes.NewReader(b), int64(len(b)), verify.Options{Keys: []string{key}, Alarm: watch.Asked})
}

// again packs the files of a bundle anew, with sums that are right, after a change.
func repacked(t *testing.T, b []byte, change func(files map[string][]byte)) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	must(t, err)
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		files[f.Name], err = io.ReadAll(r)
		must(t, err)
	}
	change(files)
	delete(files, "SHA256SUMS")
	var sums string
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(t, verify.Store(zw, name, files[name]))
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(files[name]), name)
	}
	must(t, verify.Store(zw, "SHA256SUMS", []byte(sums)))
	must(t, zw.Close())
	return out.Bytes()
}

func said(r verify.Report, what string) bool { return strings.Contains(r.Text(), what) }

// An alarm comes with the entries that it rests on, and anybody asks its rule again without the
// server: of a count, of a reading, and of what a company wrote itself.
func TestAlarmWithItsEvidence(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		v := w.enable(burst)
		for i := range 20 {
			w.recorded(1, actor.Actor{Kind: actor.Stranger, ID: fmt.Sprintf("203.0.%d.0/24", i), Via: "https"}, happened{name: "identity.sign-in-refused"})
		}
		for i := range 3 {
			w.recorded(12, stranger, happened{"identity.sign-in-refused", []string{"sign-in", "factor", "token"}[i]})
		}
		w.judge("host.oom", "", 1)
		w.recorded(1, operator, happened{name: "other.thing"})
		for rule, want := range map[string]string{"signin-failures-network": "fires on these 30 entries", "oom-kill": "1 was read, and it fires above 0.5", v.Rule: "fires on these"} {
			a := w.alarm(rule, watch.Firing)
			b, key := w.bundle(a.ID)
			if r := checked(b, key); r.Code != verify.True || !said(r, want) {
				w.t.Errorf("%s: %s", rule, r.Text())
			}
			if r := verify.Bundle(bytes.NewReader(b), int64(len(b)), verify.Options{Keys: []string{key}}); r.Code != verify.Incomplete {
				w.t.Errorf("%s, by whom the rules are not known: %s", rule, r.Text())
			}
		}
	})
}

// What was changed in a bundle is found, whoever packs it anew; and so is an alarm whose rule does
// not fire on what it is said to rest on.
func TestAlarmEvidenceIsChecked(t *testing.T) { // breaks: mon.alarms
	both(t, func(w *world) {
		w.recorded(31, stranger, happened{name: "identity.sign-in-refused"})
		a := w.alarm("signin-failures-network", watch.Firing)
		w.recorded(1, operator, happened{name: "other.thing"})
		b, key := w.bundle(a.ID)
		if r := checked(b, key); r.Code != verify.True {
			w.t.Fatalf("%s", r.Text())
		}
		repacked(w.t, b, func(f map[string][]byte) {
			for name, body := range f { // a bundle may go to a customer
				if bytes.Contains(body, []byte("other.thing")) {
					w.t.Errorf("%s names a stream that the alarm has nothing of: %s", name, body)
				}
			}
		})
		first := fmt.Sprintf("leaves/%d.json", w.past.Numbered[slices.IndexFunc(w.past.Numbered, func(e journal.Entry) bool { return e.Stream == "identity.sign-in-refused" })].N)
		for what, c := range map[string]struct {
			change func(files map[string][]byte)
			says   string
		}{
			"an event":         {func(f map[string][]byte) { f[first] = bytes.Replace(f[first], []byte("thing/1"), []byte("thing/2"), 1) }, "entry "},
			"an event is gone": {func(f map[string][]byte) { delete(f, first) }, "missing or not proved"},
			"what is said of the alarm": {func(f map[string][]byte) {
				f["alarm/alarm.json"] = bytes.Replace(f["alarm/alarm.json"], []byte(`"severity": "ticket"`), []byte(`"severity": "notice"`), 1)
			}, "not what was written then"},
			"one more file": {func(f map[string][]byte) { f["alarm/more.txt"] = []byte("trust me") }, "not what was written then"},
		} {
			if r := checked(repacked(w.t, b, c.change), key); r.Code != verify.False || !said(r, c.says) {
				w.t.Errorf("%s: %s", what, r.Text())
			}
		}

		// The server itself says that the alarm rests on fewer.
		w.quiet(`DELETE FROM watch_evidence WHERE alarm = $1`, a.ID)
		w.quiet(`INSERT INTO watch_evidence (alarm, n) VALUES ($1, $2)`, a.ID, w.past.Numbered[0].N)
		w.past.Numbered = w.past.Numbered[:10]
		b, key = w.bundle(a.ID)
		if r := checked(b, key); r.Code != verify.False || !said(r, "does not fire on these") {
			w.t.Errorf("fewer than it takes: %s", r.Text())
		}
		if err := w.s.Bundle(w.t.Context(), support, a.ID, io.Discard); err == nil {
			w.t.Error("support has it")
		}
	})
}

// opened is the entry of an alarm, as the journal hashed it.
func opened(rule, version, ground string) []byte {
	return canon.MustEncode(map[string]any{"v": int64(1), "n": int64(4), "sn": int64(1), "at": int64(1), "stream": "watch.alarm-opened", "body": map[string]any{"id": "e", "act": "watch.alarm-opened",
		"actor": "writ/watch", "kind": "writ", "happened": int64(1), "object": "alarm/a1", "f": map[string]any{"alarm": "a1", "rule": rule, "version": version, "ground": ground, "test": false}}})
}

// Whatever a bundle says of an alarm, asking its rule ends with an answer, and is no pass for what
// is not a bundle.
func FuzzAsked(f *testing.F) {
	version := watch.VersionOf("signin-failures-network")
	leaf := opened("signin-failures-network", version, "")
	f.Add([]byte(`{"v":1,"alarm":"a1","rule":"signin-failures-network","about":"s:1","opened":4,"events":[4]}`), []byte(burst), leaf)
	f.Add([]byte(`{"v":1,"alarm":"a1","rule":"`+burstID+`","own":true,"opened":4,"events":[]}`), []byte(burst), opened(burstID, fmt.Sprintf("%x", sha256.Sum256([]byte(burst))), ""))
	f.Add([]byte(`{"v":1,"alarm":"a1","rule":"cpu-high","opened":4,"events":[]}`), []byte{}, opened("cpu-high", watch.VersionOf("cpu-high"), `{"reading":1e999}`))
	f.Fuzz(func(t *testing.T, about, rule, leaf []byte) {
		says, err := watch.Asked(verify.Alarm{Files: map[string][]byte{"alarm.json": about, "rule.yaml": rule}, Leaf: func(int64) ([]byte, error) { return leaf, nil }})
		if (says == "") != (err != nil) {
			t.Fatalf("%q, %v", says, err)
		}
	})
}

// A rule that rests on what is usual is held against what was usual at that minute, and a program
// with another version of the rule says that it cannot tell.
func TestEvidenceOfTheUnusual(t *testing.T) {
	asked := func(rule, version, ground string) error {
		e := opened(rule, version, ground)
		_, err := watch.Asked(verify.Alarm{Files: map[string][]byte{"alarm.json": fmt.Appendf(nil, `{"v":1,"alarm":"a1","rule":%q,"opened":4,"events":[]}`, rule)},
			Leaf: func(int64) ([]byte, error) { return e, nil }})
		return err
	}
	version := watch.VersionOf("traffic-spike")
	const high = `{"reading":1.4,"usual":{"meter":"requests","dimension":"","at":"2026-01-01T00:00:00Z","value":%d,"low":10,"expected":20,"high":90}}`
	if err := asked("traffic-spike", version, fmt.Sprintf(high, 400)); err != nil {
		t.Error(err)
	}
	if err := asked("traffic-spike", version, fmt.Sprintf(high, 80)); err == nil || !strings.Contains(err.Error(), "within what was usual") {
		t.Errorf("what is usual: %v", err)
	}
	if err := asked("traffic-spike", "0", fmt.Sprintf(high, 400)); !errors.Is(err, verify.ErrNotAsked) {
		t.Errorf("another version: %v", err)
	}
	if err := asked("cpu-high", watch.VersionOf("cpu-high"), `{"reading":90}`); err == nil || !strings.Contains(err.Error(), "does not fire at 90") {
		t.Errorf("a reading that is not too much: %v", err)
	}
}
