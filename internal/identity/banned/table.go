package banned

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/data"
)

const (
	maxLines = 10_000_000
	maxLine  = 64 << 10
)

// The commonest entries of each dictionary, those that two of which joined are
// still guessable: about 7,000 words, 50 million pairs.
const (
	commonWords = 3000
	commonNames = 500
)

// base is the loaded list without the words of one place.
type base struct {
	passwords, listed, words, names set
	common                          set // may stand in a joined pair
	lengths                         [maxPoints + 1]int
	sum                             [sha256.Size]byte
	steps                           steps
}

func (b *base) has(k key) bool {
	return b.passwords.has(k) || b.listed.has(k) || b.words.has(k) || b.names.has(k)
}

// builder collects entries. Exact hashes by length live only until finish has
// counted the distinct ones; nothing is decided by them, so they need no SHA-256.
type builder struct {
	base
	exact [maxPoints + 1][]uint64
	seed  maphash.Seed
	hash  hash.Hash

	folded, closed []rune // scratch
	text           []byte
}

func newBuilder() *builder {
	b := &builder{hash: sha256.New(), seed: maphash.MakeSeed()}
	io.WriteString(b.hash, "banned list, form 1\n")
	return b
}

// add puts an entry into the sets, as it is and collapsed.
func (b *builder) add(entry string, into ...*set) {
	b.folded = foldInto(b.folded, entry)
	f := b.folded
	if len(f) == 0 || len(f) > maxPoints {
		return
	}
	b.text = b.text[:0]
	for _, r := range f {
		b.text = utf8.AppendRune(b.text, r)
	}
	b.exact[len(f)] = append(b.exact[len(f)], maphash.Bytes(b.seed, b.text))
	k := keyOf(f)
	for _, s := range into {
		*s = append(*s, k)
	}
	if b.closed = collapseInto(b.closed, f); len(b.closed) != len(f) {
		k := keyOf(b.closed)
		for _, s := range into {
			*s = append(*s, k)
		}
	}
}

// addEmbedded reads the dictionaries out of zxcvbn-go. Its data package alone is
// imported: the others parse everything at program start.
func (b *builder) addEmbedded() {
	for _, d := range []struct {
		name   string
		into   *set
		common int
	}{
		{"Passwords", &b.passwords, commonWords},
		{"English", &b.words, commonWords},
		{"MaleNames", &b.names, commonNames},
		{"FemaleNames", &b.names, commonNames},
		{"Surnames", &b.names, commonNames},
	} {
		raw, err := data.Asset("data/" + d.name + ".json")
		var doc struct{ List []string }
		if err == nil {
			err = json.Unmarshal(raw, &doc)
		}
		if err != nil || len(doc.List) == 0 {
			panic(fmt.Sprintf("banned: dictionary %s inside this program cannot be read: %v", d.name, err))
		}
		fmt.Fprintf(b.hash, "%s %d\n", d.name, len(raw))
		b.hash.Write(raw)
		*d.into = slices.Grow(*d.into, len(doc.List)*3/2)
		for i, w := range doc.List {
			if i < d.common && len(w) >= minWord && isLetters(w) {
				b.add(w, d.into, &b.common)
			} else {
				b.add(w, d.into)
			}
		}
	}
}

func isLetters(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// addFile reads the operator's list.
func (b *builder) addFile(name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", name)
	}
	fmt.Fprintf(b.hash, "file %d\n", st.Size())
	sc := bufio.NewScanner(io.TeeReader(f, b.hash))
	sc.Buffer(make([]byte, 0, maxLine), maxLine)
	n := 0
	for ; sc.Scan(); n++ {
		if n == maxLines {
			return fmt.Errorf("%s has more than %d lines", name, maxLines)
		}
		if line := sc.Text(); utf8.ValidString(line) && utf8.RuneCountInString(line) <= maxPoints {
			b.add(line, &b.listed)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("%s line %d: %w", name, n+1, err)
	}
	return nil
}

// finish sorts, counts, and lets go of everything but the keys.
func (b *builder) finish() *base {
	for i, s := range b.exact {
		slices.Sort(s)
		b.lengths[i] = len(slices.Compact(s))
		b.exact[i] = nil
	}
	for _, s := range []*set{&b.passwords, &b.listed, &b.words, &b.names, &b.common} {
		slices.Sort(*s)
		*s = slices.Clone(slices.Compact(*s)) // the grown array goes
	}
	b.hash.Sum(b.sum[:0])
	b.steps = newSteps()
	out := b.base
	return &out
}
