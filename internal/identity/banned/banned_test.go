package banned_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/ccojocar/zxcvbn-go/data"

	"writ/internal/identity/banned"
	"writ/internal/secret"
)

// shared is loaded once: every test reads it, none changes it.
var shared = sync.OnceValue(func() *banned.List {
	l, err := banned.New(banned.Options{Words: []string{"Quorvex", "Quorvex Systems GmbH", "app.quorvex.test", "Blaufelsen"}})
	if err != nil {
		panic(err)
	}
	return l
})

func check(pw string, about ...string) (string, bool) {
	r, bad := shared().Check(secret.NewText(pw), about...)
	if bad && r.Code != banned.Code {
		panic("a refusal without its code")
	}
	return r.Kind, bad
}

func TestRefused(t *testing.T) {
	about := []string{"Ana María Silva-Ortiz", "ana.silva@fernwerk.test"}
	for _, c := range []struct{ pw, kind string }{
		{"password", "a common password"},
		{"PassWord", "a common password"},
		{"Password1234!", "a common password with digits and symbols added"},
		{"password2024", "a common password with digits added"},
		{"!!password!!", "a common password with symbols added"},
		{"ｐａｓｓｗｏｒｄ", "a common password"},
		{"pässwörd", "a common password"},
		{"p@55w0rd", "a common password with digits or symbols for letters"},
		{"P@ssw0rd2024!", "a common password with digits or symbols for letters and with digits and symbols added"},
		{"4dm1n157r4t0r", "a common"},
		{"yadretsey", "a common word written backwards"},
		{"99y4dretsey", "a common word written backwards and with digits or symbols for letters and with digits added"},
		{"paaasssswooord", "a common password with letters doubled"},
		{"passwordpassword", "a common password repeated"},
		{"dragon1dragon1", "a common password repeated"},
		{"dragonmaster", "two common words joined"},
		{"dragon-master", "two common words joined"},
		{"Sunshine2024Princess", "two common words joined"},
		{"iloveyou12345", "a common"},
		{"responsibility", "a common word"},
		{"christopher99", "a common"},
		{"qwertyuiop", ""},
		{"qwertyuiopasdf", "a run"},
		{"qazwsxedcrfv", "a run"},
		{"1q2w3e4r5t6y", "a run"},
		{"abcdefghijklmn", "a run"},
		{"zyxwvutsrqpo", "a run"},
		{"123456789012", "a run"},
		{"!@#$%^&*()_+", "a run"},
		{"abcdefghijkl2024!", "a run along the keyboard or the alphabet with digits and symbols added"},
		{"йцукенгшщзхъ", "a run"},
		{"aaaaaaaaaaaa", "a few characters repeated"},
		{"abababababab", "a few characters repeated"},
		{"110101101011", "a few characters repeated"},
		{"Quorvex2024!!", "a word of this company or product with digits and symbols added"},
		{"qu0rv3xSystems", "two common words joined"},
		{"quorvexsystemsgmbh", "a word of this company or product"},
		{"Bl4ufelsen!", "a word of this company or product"},
		{"AnaMariaSilvaOrtiz1", "your own name or address with digits added"},
		{"fernwerk2024", "your own name or address with digits added"},
		{"ana.silva@fernwerk.test", "your own name or address"},
		{"anafernwerk!", "two common words joined"},
	} {
		kind, bad := check(c.pw, about...)
		if !bad || !strings.HasPrefix(kind, c.kind) {
			t.Errorf("%q: %v %q, want %q", c.pw, bad, kind, c.kind)
		}
		if len(c.pw) > 8 && strings.Contains(kind, c.pw) {
			t.Errorf("%q: the kind shows the entry: %q", c.pw, kind)
		}
	}
}

func TestAccepted(t *testing.T) {
	for _, pw := range []string{
		"correct horse battery staple", "vK7#pQ2m!xRw", "tr4ctor-viol3t-mumble-9",
		"purple monkeys eat waffles", "8305729164837", "",
		"Wir essen um halb neun", "银河系漫游指南很好看", "🔑🌵🎷🚲🧀🦉🪁⛵", "d8f1-44ae-90bc-77e2-1b3d",
		"fernwerk2024", // only its owner may not
		"hydrangea quorvex cobblestone marmalade",
	} {
		if kind, bad := check(pw); bad {
			t.Errorf("%q refused as %q", pw, kind)
		}
	}
}

func TestWith(t *testing.T) {
	a := shared()
	b := a.With([]string{"Zimbelstern"})
	pw := secret.NewText("zimbelstern77")
	if _, bad := a.Check(pw); bad {
		t.Error("refused before the word was given")
	}
	if _, bad := b.Check(pw); !bad {
		t.Error("accepted with the word given")
	}
	if _, bad := b.Check(secret.NewText("Quorvex2024!!")); bad {
		t.Error("the old words stayed")
	}
	if a.Hash() == b.Hash() || len(a.Hash()) != 64 || a.Hash() != shared().Hash() {
		t.Errorf("hashes %s, %s", a.Hash(), b.Hash())
	}
	if a.With([]string{"x y z", "Foo"}).Hash() != a.With([]string{"foo", "x y z"}).Hash() {
		t.Error("the hash depends on the order of the words")
	}
}

// The numbers that the report prints.
func TestUsable(t *testing.T) {
	l := shared().With(nil)
	for min, want := range map[int]int{0: 85088, 8: 30019, 10: 8796, 12: 1919, 15: 98, 300: 0} {
		if got := l.Usable(min); got != want {
			t.Errorf("Usable(%d) = %d, want %d", min, got, want)
		}
	}
	if l.Entries() != 85088 {
		t.Errorf("Entries = %d", l.Entries())
	}
	if n := l.With([]string{"zimbelstern", "password"}).Entries(); n != 85089 {
		t.Errorf("with one new word and one known: %d", n)
	}
}

func TestOperatorFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	l, err := banned.New(banned.Options{WithoutEmbedded: true, File: write("list", "Frühlingsgarten\r\nhummelflug99\n\n\xff\xfe\n"+
		strings.Repeat("y", 300)+"\nhummelflug99\nzzz-last-line")})
	if err != nil {
		t.Fatal(err)
	}
	for pw, want := range map[string]bool{
		"frühlingsgarten": true, "fruhlingsgarten!": true, "HUMMELFLUG99": true, "hummelflug991": true,
		"zzz-last-line": true, "password": false,
	} {
		r, bad := l.Check(secret.NewText(pw))
		if bad != want || bad && !strings.HasPrefix(r.Kind, "a password on this company's list") {
			t.Errorf("%q: %v %q", pw, bad, r.Kind)
		}
	}
	if l.Entries() != 3 || l.Usable(15) != 1 {
		t.Errorf("%d entries, %d of 15 and more; want 3 and 1", l.Entries(), l.Usable(15))
	}
	other, err := banned.New(banned.Options{WithoutEmbedded: true, File: write("other", "hummelflug98\n")})
	if err != nil {
		t.Fatal(err)
	}
	if other.Hash() == l.Hash() {
		t.Error("two files, one hash")
	}
	for name, p := range map[string]string{
		"missing": filepath.Join(dir, "none"), "a folder": dir, "a line over 64 KiB": write("long", strings.Repeat("x", 70_000)),
	} {
		if _, err := banned.New(banned.Options{File: p}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFileTooLong(t *testing.T) {
	p := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(p, []byte(strings.Repeat("\n", 10_000_001)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := banned.New(banned.Options{File: p, WithoutEmbedded: true}); err == nil || !strings.Contains(err.Error(), "10000000 lines") {
		t.Errorf("ten million and one lines: %v", err)
	}
}

// dictionary reads the entries the way the package under test does not keep them.
func dictionary(t testing.TB) []string {
	var all []string
	for _, n := range []string{"Passwords", "English", "MaleNames", "FemaleNames", "Surnames"} {
		var doc struct{ List []string }
		if err := json.Unmarshal(data.MustAsset("data/"+n+".json"), &doc); err != nil {
			t.Fatal(err)
		}
		all = append(all, doc.List...)
	}
	return all
}

func testEveryEntryIsBanned(t *testing.T) {
	for _, w := range dictionary(t) {
		if _, bad := check(w); !bad {
			t.Fatalf("%q is on the list and passes", w)
		}
	}
}

var signs = map[rune]string{'a': "4@", 'b': "8", 'c': "({[<", 'e': "3", 'g': "69", 'i': "1!|", 'l': "1|7", 'o': "0", 's': "$5", 't': "+7", 'x': "%", 'z': "2"}

// disguises are the changes that must not help. Each leaves at least one letter.
var disguises = map[string]func(r *rand.Rand, s string) string{
	"case": func(r *rand.Rand, s string) string {
		return strings.Map(func(c rune) rune {
			if r.IntN(2) == 0 {
				return unicode.ToUpper(c)
			}
			return c
		}, s)
	},
	"leet": func(r *rand.Rand, s string) string {
		out := []rune(s)
		keep := r.IntN(len(out))
		for i, c := range out {
			if alt := signs[c]; alt != "" && i != keep && r.IntN(2) == 0 {
				out[i] = rune(alt[r.IntN(len(alt))])
			}
		}
		return string(out)
	},
	"affix": func(r *rand.Rand, s string) string {
		const tail = "0123456789!?.-_#*"
		pick := func() (p string) {
			for range r.IntN(5) {
				p += string(tail[r.IntN(len(tail))])
			}
			return p
		}
		return pick() + s + pick()
	},
	"long affix": func(r *rand.Rand, s string) string { return s + fmt.Sprintf("%012d", r.Int64N(1e12)) },
	"twice":      func(_ *rand.Rand, s string) string { return s + s },
	"thrice":     func(_ *rand.Rand, s string) string { return s + s + s },
	"pulled": func(r *rand.Rand, s string) string {
		out, at := "", r.IntN(len(s))
		for i, c := range s {
			out += string(c)
			if i == at {
				out += strings.Repeat(string(c), 1+r.IntN(4))
			}
		}
		return out
	},
	"backwards": func(_ *rand.Rand, s string) string {
		out := ""
		for _, c := range s {
			out = string(c) + out
		}
		return out
	},
}

// banned(x) ⇒ banned(x disguised), for every entry that could be a password.
func TestDisguisesDoNotHelp(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for name, change := range disguises {
		t.Run(name, func(t *testing.T) {
			tried, missed := 0, 0
			for _, w := range dictionary(t) {
				if len(w) < 6 || r.IntN(8) != 0 {
					continue
				}
				tried++
				if x := change(r, w); !bannedNow(x) {
					if missed++; missed < 10 {
						t.Errorf("%q is banned, %q is not", w, x)
					}
				}
			}
			if tried < 1000 {
				t.Fatalf("only %d tried", tried)
			}
		})
	}
}

// The same for things that are banned without being an entry.
func TestDisguisedKindsDoNotHelp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, x := range []string{
		"password1234!", "quorvex2024!!", "dragonmaster", "dragon-master", "qwertyuiop", "asdfghjkl99",
		"passwordpassword", "abcdefghijkl", "christopher99!", "sunshineprincess",
	} {
		for _, name := range []string{"case", "affix", "twice", "backwards"} {
			for range 30 {
				if y := disguises[name](r, x); !bannedNow(y) {
					t.Errorf("%q is banned, %q (%s) is not", x, y, name)
				}
			}
		}
	}
}

func bannedNow(s string) bool { _, bad := check(s); return bad }

const plainWords = `acorn anchor apple arrow autumn bakery balloon bamboo banner barley basket beacon bicycle biscuit blanket blossom
bottle branch breeze bridge bucket button cabin camera candle canyon carpet castle cellar chalk cherry circle citrus cliff clover
cobalt coffee comet copper coral cotton cradle crater crayon cricket crystal curtain dairy daisy desert dinner donkey drawer
eagle earth easel elbow ember engine fabric falcon feather fender fiddle flannel forest fossil fountain galaxy garden garlic
ginger glacier goblet granite gravel guitar hammer harbor harvest hazel helmet hollow honey island ivory jacket jungle kettle
kitten ladder lagoon lantern lemon library linen lizard magnet mango maple marble meadow melon mirror mitten morning mosaic
mountain muffin napkin needle nickel noodle ocean olive onion orchid otter oyster paddle palace panda paper parrot pebble pencil
pepper piano picnic pigeon pillow planet pocket pollen potato prairie puddle pumpkin puzzle quarry quilt rabbit radish raven
ribbon river rocket saddle salmon sandal saturn scarf school shadow shelter silver sketch snow spider spruce squash stable
station stone summer sunset tablet teapot temple thunder ticket timber tomato tower tractor trumpet tulip tunnel turtle valley
velvet violet violin walnut water whistle willow window winter wizard yellow zebra
anvil badger cedar dolphin fabulous gondola hammock iguana juniper kernel`

func testPassphrasesPass(t *testing.T) {
	words := strings.Fields(plainWords)
	if len(words) < 200 {
		t.Fatalf("%d words", len(words))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, sep := range []string{"", " ", "-"} {
		refused := 0
		const n = 10_000
		for range n {
			var p []string
			for range 4 {
				p = append(p, words[r.IntN(len(words))])
			}
			if bannedNow(strings.Join(p, sep)) {
				refused++
			}
		}
		if refused*200 >= n {
			t.Errorf("separator %q: %d of %d refused", sep, refused, n)
		}
	}
}

// What password managers make is next to never refused. Twelve hexadecimal digits
// are mostly digits, and what is left without them is sometimes a word.
func TestRandomPasswordsPass(t *testing.T) {
	most := map[string]int{"all": 2, "lower": 2, "hex": 50, "alnum": 5, "base32": 5}
	for name, set := range map[string]string{
		"all":    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&*+-=?@^_~",
		"lower":  "abcdefghijklmnopqrstuvwxyz",
		"hex":    "0123456789abcdef",
		"alnum":  "abcdefghijklmnopqrstuvwxyz0123456789",
		"base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
	} {
		r := rand.New(rand.NewPCG(4, uint64(len(set)))) // of its own: maps have no order
		refused := 0
		for range 5000 {
			b := make([]byte, 12)
			for i := range b {
				b[i] = set[r.IntN(len(set))]
			}
			if bannedNow(string(b)) {
				refused++
			}
		}
		if refused > most[name] {
			t.Errorf("%s: %d of 5000 refused, want at most %d", name, refused, most[name])
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"Password1234!", "\xff\xfe", strings.Repeat("ﷺ", 256), strings.Repeat("1!l|7", 60), strings.Repeat("a1", 128), "é\u0301"} {
		f.Add(s, "Ana Silva")
	}
	f.Fuzz(func(t *testing.T, pw, about string) {
		kind, bad := check(pw, about)
		if bad != (kind != "") {
			t.Fatalf("%v with kind %q", bad, kind)
		}
		if again, b := check(pw, about); b != bad || again != kind {
			t.Fatal("two answers to one question")
		}
		if upper, b := check(strings.Map(asciiUpper, pw), about); b != bad || upper != kind {
			t.Fatalf("case changed the answer: %q, %q", kind, upper)
		}
	})
}

func asciiUpper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 32
	}
	return r
}

func BenchmarkCheck(b *testing.B) {
	for name, pw := range map[string]string{
		"ordinary":   "tr4ctor-viol3t-mumble-9",
		"passphrase": "correct horse battery staple",
		"all signs":  strings.Repeat("1!|7+0$", 36),
		"long edges": strings.Repeat("1!|7", 30) + "qvk" + strings.Repeat("1!|7", 30),
		"letters":    strings.Repeat("ilovethe", 32),
		"wide":       strings.Repeat("ﷺ", 256),
		"pairs":      strings.Repeat("the", 30) + "q",
	} {
		b.Run(name, func(b *testing.B) {
			l, s := shared(), secret.NewText(pw)
			l.Entries()
			for b.Loop() {
				l.Check(s, "Ana Silva", "ana.silva@fernwerk.test")
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var l *banned.List
	for b.Loop() {
		l, _ = banned.New(banned.Options{})
		l.Entries()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
	runtime.KeepAlive(l)
}
