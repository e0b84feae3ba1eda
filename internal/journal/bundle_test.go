package journal_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/merkle"
	"writ/internal/secret"
)

func export(t *testing.T, j *journal.Journal, ev journal.Evidence) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := j.Export(t.Context(), ana, ev, &b); err != nil {
		t.Fatalf("export: %v", err)
	}
	return b.Bytes()
}

func check(zipped []byte, opt verify.Options) verify.Report {
	return verify.Bundle(bytes.NewReader(zipped), int64(len(zipped)), opt)
}

func unzip(t *testing.T, zipped []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = b
	}
	return files
}

// rezip is what a forger does: sums are made anew.
func rezip(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var names []string
	for n := range files {
		if n != "SHA256SUMS" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var sums strings.Builder
	for _, n := range names {
		s := sha256.Sum256(files[n])
		sums.WriteString(hex.EncodeToString(s[:]) + "  " + n + "\n")
	}
	files["SHA256SUMS"] = []byte(sums.String())
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range append(names, "SHA256SUMS") {
		w, err := z.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func problem(r verify.Report, what, says string) bool {
	return slices.ContainsFunc(r.Problems, func(p verify.Problem) bool {
		return strings.Contains(p.What, what) && strings.Contains(p.Says, says)
	})
}

func TestBundleVerifies(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		fill(t, kit, j, 30)
		key, err := j.Key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		since, err := j.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := j.Proof(t.Context(), 3); err != nil { // sends and keeps that checkpoint
			t.Fatal(err)
		}
		fill(t, kit, j, 7)
		for name, c := range map[string]struct {
			ev       journal.Evidence
			complete string
			least    int64
		}{
			"all":            {journal.Evidence{Reason: "yearly audit"}, "range", 37},
			"a part":         {journal.Evidence{Query: journal.Query{From: 5, Before: 12}}, "range", 8},
			"a stream":       {journal.Evidence{Query: journal.Query{Act: "test.other"}}, "stream", 18},
			"a clause":       {journal.Evidence{Query: journal.Query{Clause: "test.clause"}}, "selection", 37},
			"a person":       {journal.Evidence{Query: journal.Query{Actor: "ana"}}, "selection", 37},
			"closed":         {journal.Evidence{Closed: true}, "range", 37},
			"nothing at all": {journal.Evidence{Query: journal.Query{Act: "test.never"}}, "stream", 1},
		} {
			z := export(t, j, c.ev)
			r := check(z, verify.Options{Keys: []string{key}, Since: since.Note})
			if r.Code != verify.True || r.Complete != c.complete || r.Leaves < c.least || r.SelfAsserted {
				t.Errorf("%s: %+v %+v", name, r.Code, r.Problems)
			}
			if c.ev.Closed != (r.Opened == 0) && c.least > 1 {
				t.Errorf("%s: %d opened", name, r.Opened)
			}
			if r := check(z, verify.Options{}); r.Code != verify.True || !r.SelfAsserted {
				t.Errorf("%s, without a key: %d %+v", name, r.Code, r.Problems)
			}
			files := unzip(t, z)
			if !bytes.Contains(files["README.txt"], []byte("writ verify")) {
				t.Errorf("%s: no README", name)
			}
			if n := bytes.Count(files["totals.json"], []byte(":")); (n > 1) != (c.complete == "range") || n > 0 && c.complete == "selection" {
				t.Errorf("%s: it names the totals of others: %s", name, files["totals.json"])
			}
		}
	})
}

// breaks: log.tamper-evident
func TestForgedBundles(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	run(t, j)
	es := fill(t, kit, j, 30)
	key, err := j.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Proof(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	fill(t, kit, j, 2)
	whole := export(t, j, journal.Evidence{})
	stream := export(t, j, journal.Evidence{Query: journal.Query{Act: "test.other"}})
	clause := export(t, j, journal.Evidence{Query: journal.Query{Clause: "test.clause"}})
	var others []int64
	for _, e := range es {
		if e.Stream == "test.other" {
			others = append(others, e.N)
		}
	}
	file := func(dir string, n int64, ext string) string { return fmt.Sprintf("%s/%d%s", dir, n, ext) }
	drop := func(f map[string][]byte, n int64) {
		delete(f, file("leaves", n, ".json"))
		delete(f, file("proofs", n, ".tlog-proof"))
		delete(f, file("opened", n, ".json"))
		f["selection.txt"] = []byte(strings.Replace("\n"+string(f["selection.txt"]), fmt.Sprintf("\n%d\n", n), "\n", 1)[1:])
	}
	n := es[7].N
	for _, c := range []struct {
		name       string
		from       []byte
		forge      func(f map[string][]byte)
		what, says string
	}{
		{"a leaf is altered", whole, func(f map[string][]byte) {
			f[file("leaves", n, ".json")] = altered(f[file("leaves", n, ".json")])
		}, fmt.Sprintf("entry %d", n), ""},
		{"a leaf is dropped", whole, func(f map[string][]byte) {
			delete(f, file("leaves", n, ".json"))
			delete(f, file("proofs", n, ".tlog-proof"))
			delete(f, file("opened", n, ".json"))
		}, fmt.Sprintf("entry %d", n), "missing"},
		{"a leaf is dropped from leaves and selection", whole, func(f map[string][]byte) { drop(f, n) }, "manifest.json", "selection"},
		{"two leaves change places", whole, func(f map[string][]byte) {
			a, b := file("leaves", n, ".json"), file("leaves", n+1, ".json")
			f[a], f[b] = f[b], f[a]
		}, fmt.Sprintf("entry %d", n), "in its place"},
		{"two leaves and proofs change places", whole, func(f map[string][]byte) {
			for _, p := range [][2]string{{"leaves", ".json"}, {"proofs", ".tlog-proof"}} {
				a, b := file(p[0], n, p[1]), file(p[0], n+1, p[1])
				f[a], f[b] = f[b], f[a]
			}
		}, fmt.Sprintf("entry %d", n), "in its place"},
		{"the end of the range is cut off", whole, func(f map[string][]byte) {
			for k := range int64(3) {
				drop(f, es[29].N-k)
			}
		}, "manifest.json", "selection"},
		{"the last of a stream is dropped and the total lowered", stream, func(f map[string][]byte) {
			drop(f, others[len(others)-1])
			f["totals.json"] = bytes.Replace(f["totals.json"], []byte("16"), []byte("15"), 1)
		}, "totals.json", "differs"},
		{"one of a stream is dropped", stream, func(f map[string][]byte) { drop(f, others[4]) }, "test.other numbers 5 to 5", "missing"},
		{"one of a selection is dropped", clause, func(f map[string][]byte) { drop(f, n) }, "manifest.json", "selection"},
		{"an opened value is altered", whole, func(f map[string][]byte) {
			o := file("opened", n, ".json")
			f[o] = bytes.Replace(f[o], []byte("ana@"), []byte("eva@"), 1)
		}, fmt.Sprintf("entry %d", n), "commitment"},
		{"the export's own entry is dropped", whole, func(f map[string][]byte) {
			for name := range f {
				if bytes.Contains(f[name], []byte(`"act":"journal.exported"`)) && strings.HasPrefix(name, "leaves/") {
					delete(f, name)
				}
			}
		}, "manifest.json", "own entry is missing"},
		{"a former checkpoint is altered", whole, func(f map[string][]byte) {
			for name := range f {
				if strings.HasPrefix(name, "checkpoints/") {
					f[name] = bytes.Replace(f[name], []byte("\n"), []byte("\n1"), 1)
				}
			}
		}, "checkpoints/", ""},
		{"a proof of consistency is dropped", whole, func(f map[string][]byte) {
			for name := range f {
				if strings.HasPrefix(name, "consistency/") {
					delete(f, name)
				}
			}
		}, "checkpoints/", "nothing proves"},
		{"the range is said to be a selection", whole, func(f map[string][]byte) {
			drop(f, n)
			f["manifest.json"] = bytes.Replace(f["manifest.json"], []byte(`"complete":"range"`), []byte(`"complete":"selection"`), 1)
		}, "manifest.json", "complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := unzip(t, c.from)
			c.forge(files)
			r := check(rezip(t, files), verify.Options{Keys: []string{key}})
			if r.Code != verify.False || !problem(r, c.what, c.says) {
				t.Errorf("code %d, %+v", r.Code, r.Problems)
			}
		})
	}
	t.Run("a file is changed and its sum is not", func(t *testing.T) {
		files := unzip(t, whole)
		sums := files["SHA256SUMS"]
		files["README.txt"] = []byte("trust me")
		rezip(t, files)
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, content := range files {
			if name == "SHA256SUMS" {
				content = sums
			}
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write(content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if r := check(b.Bytes(), verify.Options{}); r.Code != verify.False || !problem(r, "README.txt", "changed") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("another key", func(t *testing.T) {
		h, err := j.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, foreign, err := merkle.NewSigner(h.Origin, secret.Random(32))
		if err != nil {
			t.Fatal(err)
		}
		if r := check(whole, verify.Options{Keys: []string{foreign}}); r.Code != verify.False || !problem(r, "checkpoint", "not signed") {
			t.Errorf("%+v", r)
		}
		if r := check(whole, verify.Options{Keys: []string{foreign, key}}); r.Code != verify.True {
			t.Errorf("one good key among two: %+v", r)
		}
	})
	t.Run("a checkpoint of another history was kept", func(t *testing.T) {
		// The same key over another tree: what a rewritten journal looks like.
		h, err := j.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seed, err := kit.Ring.Named(t.Context(), "journal/sign", 32)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := merkle.NewSigner(h.Origin, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{5, h.Size, h.Size + 100} {
			other, err := merkle.Sign(merkle.Checkpoint{Origin: h.Origin, Size: size, Root: merkle.LeafHash([]byte("other"))}, s)
			if err != nil {
				t.Fatal(err)
			}
			if r := check(export(t, j, journal.Evidence{Since: size}), verify.Options{Keys: []string{key}, Since: other}); r.Code != verify.False || !problem(r, "you kept", "") {
				t.Errorf("size %d: %+v", size, r)
			}
		}
	})
}

// Above 1,000 entries tiles prove them.
func TestLargeBundle(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	run(t, j)
	var last string
	for i := range 2300 {
		r, err := kit.DB.Change(t.Context(), actor.System("test"), func(*ledger.Tx) (ledger.Event, error) {
			return noted{Title: fmt.Sprint(i), stream: []string{"test.a", "test.b"}[i%2]}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		last = r.ID
	}
	wait(t, j, last)
	key, err := j.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ev    journal.Evidence
		entry string
	}{
		{journal.Evidence{Query: journal.Query{From: 300, Before: 1900}}, "tile/entries/003"},
		{journal.Evidence{Query: journal.Query{Act: "test.a"}}, "tile/0/003"},
	} {
		z := export(t, j, c.ev)
		files := unzip(t, z)
		if files[c.entry] == nil {
			t.Fatalf("no %s", c.entry)
		}
		if r := check(z, verify.Options{Keys: []string{key}}); r.Code != verify.True || r.Leaves < 1100 {
			t.Errorf("%+v", r)
		}
		files[c.entry][1000] ^= 1
		if r := check(rezip(t, files), verify.Options{Keys: []string{key}}); r.Code != verify.False {
			t.Errorf("one bit of %s: %+v", c.entry, r)
		}
	}
}

// data.crypto-erase: proofs and old bundles outlive the person's key.
func TestErasedSubject(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		es := fill(t, kit, j, 6)
		e := es[2]
		if err := j.Open(t.Context(), ana, &e); err != nil {
			t.Fatal(err)
		}
		if v, ok := e.Field("email"); !ok || v != "ana@example.test" {
			t.Fatalf("opened: %+v", e.Fields)
		}
		file, leaf, err := j.Proof(t.Context(), e.N)
		if err != nil {
			t.Fatal(err)
		}
		old := export(t, j, journal.Evidence{})
		key, err := j.Key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kit.Ring.Erase(t.Context(), keyring.Person("ana")); err != nil {
			t.Fatal(err)
		}
		again := es[2]
		if err := j.Open(t.Context(), actor.System("test"), &again); err != nil {
			t.Fatal(err)
		}
		if again.Hidden() || again.Fields[0].State != journal.Redacted {
			t.Errorf("after the erasure: %+v", again.Fields)
		}
		if r, err := j.Verify(t.Context(), nil); err != nil || !r.OK() {
			t.Errorf("the journal: %v %+v", err, r)
		}
		if r := check(old, verify.Options{Keys: []string{key}}); r.Code != verify.True {
			t.Errorf("the old bundle: %+v", r)
		}
		p, err := merkle.ParseProof(file)
		if err != nil {
			t.Fatal(err)
		}
		v := verifier(t, key)
		if _, err := p.Verify(leaf, v); err != nil {
			t.Errorf("the old proof: %v", err)
		}
		if _, _, err := j.Proof(t.Context(), e.N); err != nil {
			t.Errorf("a new proof: %v", err)
		}
		var b bytes.Buffer
		if err := j.Export(t.Context(), actor.Actor{Kind: actor.Operator, ID: "0"}, journal.Evidence{}, &b); err != nil {
			t.Fatal(err)
		}
		if r := check(b.Bytes(), verify.Options{Keys: []string{key}}); r.Code != verify.True {
			t.Errorf("a new bundle: %+v", r)
		}
		for name, content := range unzip(t, b.Bytes()) {
			if bytes.Contains(content, []byte("ana@example")) {
				t.Errorf("%s still holds the address", name)
			}
		}
	})
}
