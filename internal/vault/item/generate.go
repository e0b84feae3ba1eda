package item

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/ccojocar/zxcvbn-go/data"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/secret"
)

// Recipe says what a password is made of: characters, or words.
type Recipe struct {
	Length  int      // characters; 0 = 20
	Classes []string // of lower, upper, digit, symbol; empty = all
	Words   int      // a passphrase of so many words instead
	Between string   // of words; "" = a hyphen
}

// Generated is a password, and how many bits of chance are in it.
type Generated struct {
	Text secret.Text
	Bits float64
}

var classes = map[string]string{
	"lower":  "abcdefghijkmnopqrstuvwxyz", // without l, O, 0, 1 and I, which look alike
	"upper":  "ABCDEFGHJKLMNPQRSTUVWXYZ",
	"digit":  "23456789",
	"symbol": "!#$%&*+-./:=?@_",
}

// Generate makes a password for somebody of the team.
func (s *Service) Generate(ctx context.Context, who actor.Actor, r Recipe) (Generated, error) {
	if err := s.Access.Allow(ctx, who, access.VaultItems, ""); err != nil {
		return Generated{}, err
	}
	return Generate(r)
}

// Generate makes a password by chance alone.
func Generate(r Recipe) (Generated, error) {
	if r.Words != 0 {
		return phrase(r)
	}
	if r.Length == 0 {
		r.Length = 20
	}
	if r.Length < 8 || r.Length > 128 {
		return Generated{}, invalid("length", "generate", "A password has 8 to 128 characters.")
	}
	if len(r.Classes) == 0 {
		r.Classes = []string{"lower", "upper", "digit", "symbol"}
	}
	pool := ""
	for _, c := range slices.Compact(slices.Sorted(slices.Values(r.Classes))) {
		if classes[c] == "" {
			return Generated{}, invalid("classes", "generate", "The kinds of characters are lower, upper, digit and symbol.")
		}
		pool += classes[c]
	}
	for {
		b := make([]byte, r.Length)
		for i := range b {
			b[i] = pool[draw(len(pool))]
		}
		// One of each kind, because many pages ask for it; drawn anew otherwise, so that every
		// such password is as likely as any other.
		if !slices.ContainsFunc(r.Classes, func(c string) bool { return !strings.ContainsAny(string(b), classes[c]) }) {
			return Generated{secret.NewText(string(b)), float64(r.Length) * math.Log2(float64(len(pool)))}, nil
		}
	}
}

func phrase(r Recipe) (Generated, error) {
	if r.Words < 4 || r.Words > 12 || len(r.Between) > 3 {
		return Generated{}, invalid("words", "generate", "A passphrase has 4 to 12 words, and at most 3 characters between them.")
	}
	if r.Between == "" {
		r.Between = "-"
	}
	list := wordList()
	out := make([]string, r.Words)
	for i := range out {
		out[i] = list[draw(len(list))]
	}
	return Generated{secret.NewText(strings.Join(out, r.Between)), float64(r.Words) * math.Log2(float64(len(list)))}, nil
}

// draw is a number below n, each as likely as the others.
func draw(n int) int {
	most := math.MaxUint32 - math.MaxUint32%uint32(n)
	for {
		if v := binary.BigEndian.Uint32(secret.Random(4).Reveal()); v < most {
			return int(v % uint32(n))
		}
	}
}

// wordList is the 8,192 most used English words of 4 to 8 letters, of the frequency lists
// that come with zxcvbn-go: 13 bits a word.
var wordList = sync.OnceValue(func() []string {
	const most = 8192
	raw, err := data.Asset("data/English.json")
	var doc struct{ List []string }
	if err == nil {
		err = json.Unmarshal(raw, &doc)
	}
	var out []string
	for _, w := range doc.List {
		if len(w) >= 4 && len(w) <= 8 && !strings.ContainsFunc(w, func(r rune) bool { return r < 'a' || r > 'z' }) && len(out) < most {
			out = append(out, w)
		}
	}
	if err != nil || len(out) != most {
		panic(fmt.Sprintf("item: the words inside this program cannot be read: %d, %v", len(out), err))
	}
	return out
})

// weakBelow is how many bits a password needs to be called strong enough for a tool that
// somebody else guards: an attacker has the hashes, and half a year.
const weakBelow = 60

// Strength is how many bits a password is worth at most: by length and kinds of characters,
// less for repetition, runs, common words and years. A password on the list of banned ones is
// worth nothing, and that is asked apart (NIST SP 800-63B: length and a list, not rules).
func Strength(t secret.Text) float64 {
	text := []rune(t.Reveal())
	pool := 0
	for _, k := range []struct {
		in string
		n  int
	}{{"abcdefghijklmnopqrstuvwxyz", 26}, {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26}, {"0123456789", 10}, {" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 33}} {
		if strings.ContainsAny(string(text), k.in) {
			pool += k.n
		}
	}
	each := math.Log2(float64(max(pool, 2)))
	parts := map[string]bool{} // a part that comes again is worth nothing more
	bits := 0.0
	for i := 0; i < len(text); {
		n, worth := part(text[i:], each)
		if w := string(text[i : i+n]); !parts[w] || n == 1 && i+1 < len(text) && !parts[string(text[i:i+2])] {
			bits += worth
			parts[w] = true
		}
		if i+1 < len(text) {
			parts[string(text[i:i+2])] = true
		}
		i += n
	}
	return bits
}

// part is how many characters hang together at the beginning of a text, and what they are
// worth: a common word, a year, a run of the same or of neighbours, else one character.
func part(text []rune, each float64) (int, float64) {
	for n := min(8, len(text)); n >= 4; n-- {
		if commonWords()[strings.ToLower(string(text[:n]))] {
			return n, 13
		}
	}
	if len(text) >= 4 && (string(text[:2]) == "19" || string(text[:2]) == "20") && unicode.IsDigit(text[2]) && unicode.IsDigit(text[3]) {
		return 4, 7
	}
	n := 1
	for n < len(text) && text[n]-text[n-1] >= -1 && text[n]-text[n-1] <= 1 {
		n++
	}
	if n >= 3 {
		return n, each + math.Log2(float64(n))
	}
	return 1, each
}

var commonWords = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for _, w := range wordList() {
		set[w] = true
	}
	return set
})
