package verify_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/merkle"
	"writ/internal/secret"
)

func packed(t testing.TB, add func(z *zip.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add(z)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t testing.TB, z *zip.Writer, name string, content []byte) {
	t.Helper()
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What could harm or confuse the verifier is refused before it is unpacked.
func TestRefusesDangerousArchives(t *testing.T) {
	raw := func(h *zip.FileHeader, announced uint64) func(z *zip.Writer) {
		return func(z *zip.Writer) {
			h.UncompressedSize64, h.CompressedSize64 = announced, 3
			w, err := z.CreateRaw(h)
			if err == nil {
				_, err = w.Write([]byte("abc"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	link := &zip.FileHeader{Name: "leaves/1.json"}
	link.SetMode(fs.ModeSymlink | 0o777)
	for name, c := range map[string]struct {
		zip  []byte
		says string
	}{
		"not a zip":                {[]byte("hello"), "not a zip"},
		"empty":                    {packed(t, func(*zip.Writer) {}), "SHA256SUMS is missing"},
		"leaves the folder":        {packed(t, func(z *zip.Writer) { put(t, z, "../../etc/passwd", nil) }), ""},
		"absolute":                 {packed(t, func(z *zip.Writer) { put(t, z, "/etc/passwd", nil) }), ""},
		"backslash":                {packed(t, func(z *zip.Writer) { put(t, z, `a\..\b`, nil) }), ""},
		"drive":                    {packed(t, func(z *zip.Writer) { put(t, z, "c:x", nil) }), "plain name"},
		"dots inside":              {packed(t, func(z *zip.Writer) { put(t, z, "leaves/./1.json", nil) }), "plain name"},
		"a folder":                 {packed(t, func(z *zip.Writer) { put(t, z, "leaves/", nil) }), ""},
		"a name twice":             {packed(t, func(z *zip.Writer) { put(t, z, "a", nil); put(t, z, "a", nil) }), "stands twice"},
		"a link":                   {packed(t, raw(link, 3)), "plain file"},
		"unknown packing":          {packed(t, raw(&zip.FileHeader{Name: "a", Method: 12}, 3)), "packed"},
		"announces too much":       {packed(t, raw(&zip.FileHeader{Name: "a", Method: zip.Deflate}, 1<<40)), "larger"},
		"zip bomb":                 {packed(t, func(z *zip.Writer) { put(t, z, "a", make([]byte, 10<<20)) }), "times its size"},
		"many large files":         {packed(t, func(z *zip.Writer) { raw(&zip.FileHeader{Name: "a", Method: zip.Deflate}, 60<<20)(z) }), "times its size"},
		"length is not so":         {packed(t, raw(&zip.FileHeader{Name: "SHA256SUMS"}, 2)), ""},
		"sums are not sums":        {packed(t, func(z *zip.Writer) { put(t, z, "SHA256SUMS", []byte("x")) }), "not a list"},
		"no manifest":              {packed(t, func(z *zip.Writer) { put(t, z, "SHA256SUMS", nil) }), "manifest.json is missing"},
		"another version":          {packed(t, func(z *zip.Writer) { put(t, z, "SHA256SUMS", nil); put(t, z, "manifest.json", []byte(`{"v":2}`)) }), "version 1"},
		"manifest not in its form": {packed(t, func(z *zip.Writer) { put(t, z, "SHA256SUMS", nil); put(t, z, "manifest.json", []byte(`{"v": 1}`)) }), "manifest.json"},
	} {
		t.Run(name, func(t *testing.T) {
			r := verify.Bundle(bytes.NewReader(c.zip), int64(len(c.zip)), verify.Options{})
			if r.Code != verify.Unreadable || len(r.Problems) == 0 || !strings.Contains(r.Problems[len(r.Problems)-1].Says, c.says) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Two files on the same bytes multiply what unpacks.
func TestRefusesOverlap(t *testing.T) {
	b := packed(t, func(z *zip.Writer) {
		put(t, z, "aaaa", bytes.Repeat([]byte("x"), 5000))
		put(t, z, "bbbb", []byte("y"))
	})
	// Point the second directory entry at the first file.
	at := bytes.LastIndex(b, []byte("bbbb")) - 46
	if string(b[at:at+4]) != "PK\x01\x02" {
		t.Fatal("the directory entry was not found")
	}
	copy(b[at+42:], []byte{0, 0, 0, 0})
	r := verify.Bundle(bytes.NewReader(b), int64(len(b)), verify.Options{})
	if r.Code != verify.Unreadable || !strings.Contains(r.Problems[0].Says, "share") {
		t.Errorf("%+v", r)
	}
}

// The verifier's commitments are the ledger's.
func TestCommitmentIsTheLedgers(t *testing.T) {
	salt := bytes.Repeat([]byte{9}, 32)
	c := ledger.Commit("email", salt, []byte(`"ana@example.test"`))
	const text = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"
	enc := b64(c[:])
	if err := verify.Opens(enc, "email", text, "ana@example.test"); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"value": verify.Opens(enc, "email", text, "eva@example.test"),
		"name":  verify.Opens(enc, "mail", text, "ana@example.test"),
		"salt":  verify.Opens(enc, "email", text[:42]+"g", "ana@example.test"),
		"short": verify.Opens(enc, "email", text[:40], "ana@example.test"),
		"type":  verify.Opens(enc, "email", text, int64(1)),
		"float": verify.Opens(enc, "email", text, 1.5),
	} {
		if err == nil {
			t.Errorf("another %s passed", name)
		}
	}
}

func TestParseLeaf(t *testing.T) {
	good := `{"at":5,"body":{"act":"a.b","f":{"x":{"c":"q"},"y":1},"id":"1"},"n":7,"sn":2,"stream":"a.b","v":1}`
	l, err := verify.ParseLeaf([]byte(good))
	if err != nil || l.N != 7 || l.SN != 2 || l.Stream != "a.b" || l.At != 5 || l.Text("act") != "a.b" || l.Field("y") != int64(1) {
		t.Fatalf("%+v %v", l, err)
	}
	if c, ok := verify.Commitment(l.Field("x")); !ok || c != "q" {
		t.Error("the commitment was not found")
	}
	for name, bad := range map[string]string{
		"space":      strings.Replace(good, ":", ": ", 1),
		"order":      `{"v":1,"at":5,"body":{},"n":7,"sn":2,"stream":"a.b"}`,
		"version":    strings.Replace(good, `"v":1`, `"v":2`, 1),
		"more":       strings.Replace(good, `"v":1`, `"v":1,"w":1`, 1),
		"no body":    strings.Replace(good, `"body":{"act":"a.b","f":{"x":{"c":"q"},"y":1},"id":"1"},`, "", 1),
		"negative n": strings.Replace(good, `"n":7`, `"n":-7`, 1),
		"sn zero":    strings.Replace(good, `"sn":2`, `"sn":0`, 1),
		"text n":     strings.Replace(good, `"n":7`, `"n":"7"`, 1),
		"array":      `[]`,
		"nothing":    ``,
	} {
		if _, err := verify.ParseLeaf([]byte(bad)); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func FuzzLeaf(f *testing.F) {
	f.Add([]byte(`{"at":5,"body":{"act":"a.b"},"n":7,"sn":2,"stream":"a.b","v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if l, err := verify.ParseLeaf(b); err == nil && (l.N < 0 || l.SN < 1 || l.Body == nil) {
			t.Errorf("%+v", l)
		}
		if o, err := verify.ParseOpened(b); err == nil {
			_ = verify.Leaf{}.Check(o)
		}
	})
}

func FuzzBundle(f *testing.F) {
	f.Add(packed(f, func(z *zip.Writer) {
		put(f, z, "SHA256SUMS", nil)
		put(f, z, "manifest.json", []byte(`{"complete":"range","form":"tiles","v":1}`))
		put(f, z, "key.txt", []byte("a+b+c"))
		put(f, z, "leaves/0.json", []byte(`{"at":5,"body":{"act":"a.b"},"n":0,"sn":2,"stream":"a.b","v":1}`))
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		r := verify.Bundle(bytes.NewReader(b), int64(len(b)), verify.Options{})
		if r.Code == verify.True && (r.Leaves == 0 || r.Key == "") {
			t.Errorf("true of nothing: %+v", r)
		}
		if (r.Code == verify.False || r.Code == verify.Unreadable) != (len(r.Problems) > 0) {
			t.Errorf("code %d with %d problems", r.Code, len(r.Problems))
		}
	})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// FuzzParts gets behind the signature: the checkpoint is good, all else is not.
func FuzzParts(f *testing.F) {
	leaf := []byte(`{"at":5,"body":{"act":"journal.exported","f":{"totals":["a.b=1"]}},"n":0,"sn":1,"stream":"a.b","v":1}`)
	s, key, err := merkle.NewSigner("x/journal", secret.NewBytes(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		f.Fatal(err)
	}
	cp, err := merkle.Sign(merkle.Checkpoint{Origin: "x/journal", Size: 1, Root: merkle.LeafHash(leaf)}, s)
	if err != nil {
		f.Fatal(err)
	}
	proof := merkle.Proof{Index: 0, Checkpoint: cp}.Marshal()
	f.Add([]byte(`{"complete":"range","form":"proofs","from":0,"origin":"x/journal","receipt":0,"size":1,"to":1,"v":1}`), leaf, proof, []byte("0\n"), []byte(`{"a.b":1}`), []byte(`{}`), []byte(`[]`))
	f.Add([]byte(`{"complete":"stream","form":"tiles","origin":"x/journal","receipt":0,"size":1,"stream":"a.b","v":1}`), leaf, proof, []byte("0\n"), []byte(`{}`), []byte(`{"reason":{"s":"","v":1}}`), []byte(`["x"]`))
	f.Fuzz(func(t *testing.T, manifest, l, p, selection, totals, opened, consistency []byte) {
		z := packed(t, func(z *zip.Writer) {
			var sums strings.Builder
			for _, x := range []struct {
				name string
				b    []byte
			}{{"manifest.json", manifest}, {"leaves/0.json", l}, {"proofs/0.tlog-proof", p}, {"selection.txt", selection}, {"totals.json", totals},
				{"opened/0.json", opened}, {"consistency/0.json", consistency}, {"checkpoint", cp}, {"key.txt", []byte(key)}, {"tile/entries/000.p/1", l}, {"tile/0/000.p/1", p}} {
				put(t, z, x.name, x.b)
				fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(x.b), x.name)
			}
			put(t, z, "SHA256SUMS", []byte(sums.String()))
		})
		r := verify.Bundle(bytes.NewReader(z), int64(len(z)), verify.Options{Keys: []string{key}})
		if (r.Code == verify.True || r.Code == verify.Incomplete) && !bytes.Equal(l, leaf) {
			t.Errorf("true with another leaf: %+v", r)
		}
	})
}

// Whatever is given as a certificate is read or refused; nothing but the real one is true.
func FuzzCertificate(f *testing.F) {
	for _, s := range []string{"", "{}", "[]", `{"certificate":{"id":"a","v":1},"entry":0,"leaf":"{}","proof":"","key":""}`, `{"certificate":{"v":1,"id":"a"}}`, `{"certificate":{"id":"a"},"more":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := verify.Certificate(b, verify.Options{}); r.Code != verify.False && r.Code != verify.Unreadable {
			t.Fatalf("taken: %s", b)
		}
	})
}

// Whatever is given as a copy of a page is read or refused; nothing but a real one is true.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"entry":0,"leaf":"","proof":"","key":""}`), []byte(strings.Repeat("0", 64)+"  a.json\n"))
	f.Add([]byte(`{}`), []byte("x  ../a\n"))
	f.Fuzz(func(t *testing.T, proof, sums []byte) {
		dir := fstest.MapFS{"proof.json": {Data: proof}, "SHA256SUMS": {Data: sums}, "a.json": {Data: []byte("{}")}}
		if r := verify.Page(dir, verify.Options{}); r.Code != verify.False && r.Code != verify.Unreadable {
			t.Fatalf("taken: %s %s", proof, sums)
		}
	})
}
