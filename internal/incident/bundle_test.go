package incident_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/journal/verify"
	"writ/internal/ledger/ledgertest"
)

// A bundle tells all of an incident, and anybody checks without this server that nothing of it was
// changed: a word of it that differs from what was recorded is found, whoever packs it anew.
func TestBundleIsProved(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.active()
		if _, err := w.svc.Write(t.Context(), w.as("dev"), c.Ref(), "We restart <the> database.", ""); err != nil {
			t.Fatal(err)
		}
		w.ok(w.svc.Attach(t.Context(), w.as("dev"), c.Ref(), "shot.png", []byte("what it looked like")))
		stamp, err := w.svc.Stamp(t.Context(), stranger.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Report(t.Context(), stranger, incident.NewReport{Kind: "broken", Text: "Nothing loads since today.", Email: "joe@example.test", Network: stranger.ID, Stamp: stamp}); err != nil {
			t.Fatal(err)
		}
		w.numbered()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.journal.Run(ctx) }()
		defer func() { stop(); <-done }()
		var out bytes.Buffer
		if err := w.svc.Bundle(t.Context(), w.as("dev"), c.Ref(), &out); err != nil {
			t.Fatal(err)
		}
		key, err := w.journal.Key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		opt := verify.Options{Keys: []string{key}}
		r := verify.Bundle(bytes.NewReader(out.Bytes()), int64(out.Len()), opt)
		if r.Code != verify.True || r.Leaves < 8 || !slices.ContainsFunc(r.Steps, func(s string) bool { return strings.HasPrefix(s, "2 files under incident/") }) {
			t.Fatalf("%s", r.Text())
		}
		files := unpacked(t, out.Bytes())
		h := sha256.Sum256([]byte("what it looked like"))
		said := string(files["incident/incident.json"])
		for _, want := range []string{"Nobody can sign in", "We restart", hex.EncodeToString(h[:]), "Nothing loads since today.", `"audience"`, `"letters"`} {
			if !strings.Contains(said, want) {
				t.Errorf("it does not say %s", want)
			}
		}
		if strings.Contains(said, "joe@example.test") || !strings.Contains(string(files["incident/index.html"]), "We restart &lt;the&gt; database.") {
			t.Error("it names who reported, or its page does not tell")
		}
		for what, change := range map[string]func(map[string][]byte){
			"another word": func(f map[string][]byte) {
				f["incident/incident.json"] = bytes.Replace(f["incident/incident.json"], []byte("We restart"), []byte("We removed"), 1)
			},
			"another page":  func(f map[string][]byte) { f["incident/index.html"] = []byte("all was well") },
			"one more file": func(f map[string][]byte) { f["incident/more.txt"] = []byte("trust me") },
			"one left out":  func(f map[string][]byte) { delete(f, "incident/index.html") },
			"without its entry": func(f map[string][]byte) {
				for name, b := range f {
					if strings.HasPrefix(name, "leaves/") && bytes.Contains(b, []byte(`"stream":"incident.bundled"`)) {
						delete(f, name)
					}
				}
			},
		} {
			f := unpacked(t, out.Bytes())
			change(f)
			b := packed(t, f)
			if r := verify.Bundle(bytes.NewReader(b), int64(len(b)), opt); r.Code != verify.False || !slices.ContainsFunc(r.Problems, func(p verify.Problem) bool { return p.What == "incident/" }) {
				t.Errorf("%s: %s", what, r.Text())
			}
		}
		if err := w.svc.Bundle(t.Context(), w.as("fay"), c.Ref(), io.Discard); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor: %v", err)
		}
	}, tables...)
}

func unpacked(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// packed makes a bundle of files, with sums that are right.
func packed(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	delete(files, "SHA256SUMS")
	var names []string
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	var list strings.Builder
	for _, n := range names {
		h := sha256.Sum256(files[n])
		list.WriteString(hex.EncodeToString(h[:]) + "  " + n + "\n")
	}
	files["SHA256SUMS"] = []byte(list.String())
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, n := range append(names, "SHA256SUMS") {
		if err := verify.Store(z, n, files[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
