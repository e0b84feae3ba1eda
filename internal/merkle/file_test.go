package merkle_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/fault"
	"writ/internal/merkle"
	"writ/internal/secret"
)

const origin = "example.test/journal/2026"

func newSigner(t testing.TB, name string, fill byte) (note.Signer, note.Verifier) {
	t.Helper()
	s, vkey, err := merkle.NewSigner(name, secret.NewBytes(bytes.Repeat([]byte{fill}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func sign(t testing.TB, c merkle.Checkpoint, s ...note.Signer) []byte {
	t.Helper()
	msg, err := merkle.Sign(c, s...)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if fe, ok := errors.AsType[*fault.Error](err); !ok || fe.Kind != kind || fe.Code != code {
		t.Errorf("got %v, want %s %s", err, kind, code)
	}
}

func TestNewSigner(t *testing.T) {
	seed := bytes.Repeat([]byte{9}, 32)
	s, vkey, err := merkle.NewSigner(origin, secret.NewBytes(seed))
	if err != nil {
		t.Fatal(err)
	}
	// The key file format of x/mod, made by hand from the same seed, is the same key.
	hash := vkey[len(origin)+1 : len(origin)+9]
	ours, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.Sign([]byte("text\n"))
	b, _ := ours.Sign([]byte("text\n"))
	if !bytes.Equal(a, b) || s.KeyHash() != ours.KeyHash() || s.Name() != origin {
		t.Error("the signer is not the one of x/mod")
	}
	if shown := fmt.Sprintf("%v %+v %#v", s, s, []any{s}); strings.Contains(shown, "9 9 9") || strings.Contains(shown, "0x9, 0x9") {
		t.Errorf("the signer shows its seed: %s", shown)
	}
	for name, n := range map[string]int{"": 32, "a b": 32, "a+b": 32, "a\nb": 32, strings.Repeat("x", 256): 32, "ok": 31, "fine": 64} {
		if _, _, err := merkle.NewSigner(name, secret.NewBytes(make([]byte, n))); err == nil {
			t.Errorf("%q with %d bytes was taken", name, n)
		}
	}
}

func TestCheckpointText(t *testing.T) {
	c := merkle.Checkpoint{Origin: origin, Root: merkle.EmptyRoot()}
	if want := origin + "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"; c.Text() != want {
		t.Errorf("%q", c.Text())
	}
	c = newLog(9).at(9)
	got, err := merkle.ParseCheckpoint(c.Text())
	if err != nil || got != c {
		t.Errorf("%v, %v", got, err)
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	root := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for name, s := range map[string]string{
		"nothing": "", "no root": "o\n1\n", "no end": "o\n1\n" + root, "extension": "o\n1\n" + root + "\nmore\n", "empty line": "o\n1\n" + root + "\n\n",
		"no origin": "\n1\n" + root + "\n", "space": "o o\n1\n" + root + "\n", "plus": "o+\n1\n" + root + "\n", "tab": "o\t\n1\n" + root + "\n", "cr": "o\r\n1\r\n" + root + "\r\n", "not utf-8": "o\xff\n1\n" + root + "\n", "nul": "o\x00\n1\n" + root + "\n",
		"long origin": strings.Repeat("o", 256) + "\n1\n" + root + "\n",
		"zero first":  "o\n01\n" + root + "\n", "sign": "o\n+1\n" + root + "\n", "negative": "o\n-1\n" + root + "\n", "hex": "o\n0x1\n" + root + "\n", "no size": "o\n\n" + root + "\n", "2^53": "o\n9007199254740992\n" + root + "\n", "huge": "o\n99999999999999999999\n" + root + "\n",
		"short root": "o\n1\nAAAA\n", "no padding": "o\n1\n" + root[:43] + "\n", "loose bits": "o\n1\n" + root[:42] + "V=\n", "url alphabet": "o\n1\n" + strings.Replace(root, "+", "-", 1) + "\n", "cr in root": "o\n1\n" + root[:20] + "\r" + root[20:] + "\n",
		"false empty": "o\n0\n" + strings.Repeat("A", 43) + "=\n",
	} {
		if _, err := merkle.ParseCheckpoint(s); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			wantCode(t, err, fault.Malformed, "checkpoint_malformed")
		}
	}
}

func TestOpenCheckpoint(t *testing.T) {
	s, v := newSigner(t, origin, 1)
	s2, v2 := newSigner(t, origin, 2)
	w, wv := newSigner(t, "witness.test/w1", 3)
	c := newLog(9).at(9)
	msg := sign(t, c, s)
	check := func(name string, msg []byte, v note.Verifier, sigs, unknown int) {
		t.Helper()
		got, n, err := merkle.OpenCheckpoint(msg, v)
		if err != nil || got != c || len(n.Sigs) != sigs || len(n.UnverifiedSigs) != unknown {
			t.Errorf("%s: %v, %v, %v", name, got, n, err)
		}
	}
	check("one key", msg, v, 1, 0)
	both := sign(t, c, s, s2)
	check("change of keys, old", both, v, 1, 1)
	check("change of keys, new", both, v2, 1, 1)
	witnessed, err := note.Sign(&note.Note{Text: c.Text()}, s, w)
	if err != nil {
		t.Fatal(err)
	}
	check("witnessed", witnessed, v, 1, 1)

	open := func(msg []byte, v note.Verifier) error { _, _, err := merkle.OpenCheckpoint(msg, v); return err }
	wantCode(t, open(msg, v2), fault.Invalid, "checkpoint_unsigned")
	wantCode(t, open(msg, nil), fault.Invalid, "checkpoint_unsigned")
	wantCode(t, open(witnessed, wv), fault.Invalid, "checkpoint_unsigned") // a witness does not speak for the log
	forged := c
	forged.Size++
	wantCode(t, open(bytes.Replace(msg, []byte(c.Text()), []byte(forged.Text()), 1), v), fault.Invalid, "checkpoint_unsigned")
	line := msg[len(c.Text())+1:]
	bare, err := note.Sign(&note.Note{Text: "hello\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	many := slices.Clone(msg)
	for i := range 100 {
		many = fmt.Appendf(many, "— w%d %s\n", i, base64.StdEncoding.EncodeToString(make([]byte, 68)))
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "no signature": []byte(c.Text()), "no lines": []byte(c.Text() + "\n"), "bare text": bare,
		"cut": msg[:len(msg)-1], "same line twice": append(slices.Clone(msg), line...), "cr": bytes.ReplaceAll(msg, []byte("\n"), []byte("\r\n")),
		"loose bits": looseBits(msg), "more than 100": many, "too long": append(slices.Clone(msg), bytes.Repeat([]byte("x"), merkle.MaxCheckpoint)...),
	} {
		if err := open(bad, v); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			wantCode(t, err, fault.Malformed, "checkpoint_malformed")
		}
	}
	for i := range len(msg) * 8 {
		bad := slices.Clone(msg)
		bad[i/8] ^= 1 << (i % 8)
		if open(bad, v) == nil {
			t.Fatalf("bit %d changed: taken", i)
		}
	}
}

// looseBits spells the last signature so that a lax decoder reads the same bytes.
func looseBits(msg []byte) []byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	bad := slices.Clone(msg)
	i := len(bad) - 3 // 68 bytes end in one '=' and two unused bits
	bad[i] = digits[strings.IndexByte(digits, bad[i])|1]
	return bad
}

func TestSignRefuses(t *testing.T) {
	s, _ := newSigner(t, origin, 1)
	c := newLog(3).at(3)
	other, empty, negative := c, c, c
	other.Origin, empty.Size, negative.Size = "other.test", 0, -1
	for name, c := range map[string]merkle.Checkpoint{"other origin": other, "false empty": empty, "negative": negative, "zero": {}} {
		if _, err := merkle.Sign(c, s); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := merkle.Sign(c); err == nil {
		t.Error("signed by nobody")
	}
}

func newProof(t testing.TB, l *log, size, index int64, s note.Signer) merkle.Proof {
	t.Helper()
	hashes, err := merkle.InclusionProof(size, index, l)
	if err != nil {
		t.Fatal(err)
	}
	return merkle.Proof{Index: index, Hashes: hashes, Checkpoint: sign(t, l.at(size), s)}
}

func TestProofFile(t *testing.T) {
	s, v := newSigner(t, origin, 1)
	l := newLog(600)
	for _, size := range []int64{1, 2, 3, 255, 256, 257, 600} {
		for range 20 {
			index := rand.Int64N(size)
			p := newProof(t, l, size, index, s)
			if index%2 == 1 {
				p.Extra = []byte("a note")
			}
			file := p.Marshal()
			got, err := merkle.ParseProof(file)
			if err != nil || !bytes.Equal(got.Marshal(), file) || !slices.Equal(got.Hashes, p.Hashes) || !bytes.Equal(got.Extra, p.Extra) {
				t.Fatalf("%d in %d: %v", index, size, err)
			}
			c, err := got.Verify(l.leaves[index], v)
			if err != nil || c != l.at(size) {
				t.Fatalf("%d in %d: %v, %v", index, size, c, err)
			}
			_, err = got.Verify([]byte("another leaf"), v)
			wantCode(t, err, fault.Invalid, "proof_false")
			_, err = got.Verify(append(slices.Clone(l.leaves[index]), 0), v)
			wantCode(t, err, fault.Invalid, "proof_false")
			_, v2 := newSigner(t, origin, 2)
			_, err = got.Verify(l.leaves[index], v2)
			wantCode(t, err, fault.Invalid, "checkpoint_unsigned")
		}
	}
}

func TestProofFileLooksAsPublished(t *testing.T) {
	s, _ := newSigner(t, origin, 1)
	l := newLog(3)
	p := newProof(t, l, 3, 2, s)
	p.Extra = []byte("x")
	left := tlog.NodeHash(merkle.LeafHash(l.leaves[0]), merkle.LeafHash(l.leaves[1]))
	want := "c2sp.org/tlog-proof@v1\nextra eA==\nindex 2\n" + left.String() + "\n\n" + string(sign(t, l.at(3), s))
	if string(p.Marshal()) != want {
		t.Errorf("got:\n%s\nwant:\n%s", p.Marshal(), want)
	}
}

// No changed bit leaves a proof file that reads and verifies, but in the extra line,
// for which nobody vouches.
func TestProofFileBitByBit(t *testing.T) {
	s, v := newSigner(t, origin, 1)
	l := newLog(50)
	file := newProof(t, l, 50, 17, s).Marshal()
	for i := range len(file) * 8 {
		bad := slices.Clone(file)
		bad[i/8] ^= 1 << (i % 8)
		p, err := merkle.ParseProof(bad)
		if err != nil {
			wantCode(t, err, fault.Malformed, "proof_malformed")
			continue
		}
		if _, err := p.Verify(l.leaves[17], v); err == nil {
			t.Fatalf("bit %d of byte %d changed: verified", i%8, i/8)
		}
	}
}

func TestParseProofRefuses(t *testing.T) {
	s, _ := newSigner(t, origin, 1)
	l := newLog(9)
	good := string(newProof(t, l, 9, 5, s).Marshal())
	h := l.roots[3].String() + "\n"
	for name, f := range map[string]func() string{
		"nothing":       func() string { return "" },
		"other version": func() string { return strings.Replace(good, "@v1", "@v2", 1) },
		"crlf":          func() string { return strings.ReplaceAll(good, "\n", "\r\n") },
		"leading zero":  func() string { return strings.Replace(good, "index 5", "index 05", 1) },
		"plus":          func() string { return strings.Replace(good, "index 5", "index +5", 1) },
		"negative":      func() string { return strings.Replace(good, "index 5", "index -5", 1) },
		"beyond":        func() string { return strings.Replace(good, "index 5", "index 9", 1) },
		"no index":      func() string { return strings.Replace(good, "index 5\n", "", 1) },
		"two indexes":   func() string { return strings.Replace(good, "index 5\n", "index 5\nindex 5\n", 1) },
		"empty extra":   func() string { return strings.Replace(good, "index", "extra \nindex", 1) },
		"bad extra":     func() string { return strings.Replace(good, "index", "extra eA\nindex", 1) },
		"loose extra":   func() string { return strings.Replace(good, "index", "extra eB==\nindex", 1) },
		"two extras":    func() string { return strings.Replace(good, "index", "extra eA==\nextra eA==\nindex", 1) },
		"extra after":   func() string { return strings.Replace(good, "index 5\n", "index 5\nextra eA==\n", 1) },
		"long extra": func() string {
			return strings.Replace(good, "index", "extra "+strings.Repeat("AAAA", 22000)+"\nindex", 1)
		},
		"one hash more":     func() string { return strings.Replace(good, "index 5\n", "index 5\n"+h, 1) },
		"64 hashes":         func() string { return strings.Replace(good, "index 5\n", "index 5\n"+strings.Repeat(h, 64), 1) },
		"one hash less":     func() string { i := strings.Index(good, "index 5\n") + 8; return good[:i] + good[i+45:] },
		"space in a hash":   func() string { return strings.Replace(good, "index 5\n", "index 5\n ", 1) },
		"no empty line":     func() string { return strings.Replace(good, "\n\n", "\n", 1) },
		"two empty lines":   func() string { return strings.Replace(good, "\n\n", "\n\n\n", 1) },
		"no checkpoint":     func() string { return good[:strings.Index(good, "\n\n")+2] },
		"unsigned":          func() string { return good[:strings.LastIndex(good, "\n\n")+2] },
		"cut":               func() string { return good[:len(good)-1] },
		"text after":        func() string { return good + "more\n" },
		"too long":          func() string { return good + strings.Repeat("x", merkle.MaxProof) },
		"byte-order mark":   func() string { return "\xef\xbb\xbf" + good },
		"empty line before": func() string { return "\n" + good },
	} {
		bad := f()
		if bad == good {
			t.Errorf("%s: the case changes nothing", name)
		}
		if _, err := merkle.ParseProof([]byte(bad)); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			wantCode(t, err, fault.Malformed, "proof_malformed")
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	s, v := newSigner(f, origin, 1)
	l := newLog(5)
	f.Add(sign(f, l.at(5), s))
	f.Add(sign(f, l.at(0), s))
	f.Add([]byte(l.at(3).Text()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := merkle.ParseCheckpoint(string(b)); err == nil && c.Text() != string(b) {
			t.Fatalf("%q became %q", b, c.Text())
		}
		if c, n, err := merkle.OpenCheckpoint(b, v); err == nil && (c.Text() != n.Text || !bytes.HasPrefix(b, []byte(c.Text()+"\n— ")) || c != l.at(5) && c != l.at(0)) {
			t.Fatalf("%q was taken as signed", b)
		}
	})
}

func FuzzProof(f *testing.F) {
	s, v := newSigner(f, origin, 1)
	l := newLog(50)
	p := newProof(f, l, 50, 17, s)
	f.Add(p.Marshal())
	p.Extra = []byte("x")
	f.Add(p.Marshal())
	f.Add(newProof(f, l, 1, 0, s).Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := merkle.ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Marshal(), b) {
			t.Fatalf("%q became %q", b, p.Marshal())
		}
		if _, err := p.Verify([]byte("never a leaf"), v); err == nil {
			t.Fatalf("%q proves a leaf that is not there", b)
		}
	})
}
