package banned

// sequences are the paths a finger or a child follows: alphabet, digits, keyboard
// rows of the common Latin layouts, slanted columns both ways, columns of the keypad.
var sequences = [...]string{
	"abcdefghijklmnopqrstuvwxyz", "01234567890",
	"qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./",
	"qwertzuiopü", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
	"1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik,", "9ol.", "0p;/",
	"0okm", "9ijn", "8uhb", "7ygv", "6tfc", "5rdx", "4esz",
	"147", "258", "369", "159", "357",
	"йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "абвгдежзийклмнопрстуфхцчшщъыьэюя",
}

// way is the sequences a step follows, forward and backward.
type way struct{ on, back uint64 }

// anywhere is the step that belongs to every run: the same key twice.
var anywhere = way{^uint64(0), ^uint64(0)}

func (w way) and(o way) way { return way{w.on & o.on, w.back & o.back} }

func (w way) none() bool { return w.on|w.back == 0 }

// unshift gives the digit under a shifted one on the US layout, so that "!@#$" runs like "1234".
func unshift(r rune) rune {
	const shifted, plain = "!@#$%^&*()_+", "1234567890-="
	for i, s := range shifted {
		if r == s {
			return rune(plain[i])
		}
	}
	return r
}

// steps says which sequences lead from one rune to the next.
type steps map[[2]rune]way

func newSteps() steps {
	m := steps{}
	put := func(a, b rune, w way) {
		had := m[[2]rune{a, b}]
		m[[2]rune{a, b}] = way{had.on | w.on, had.back | w.back}
	}
	for i, s := range sequences {
		r := []rune(s)
		for k := 1; k < len(r); k++ {
			put(r[k-1], r[k], way{on: 1 << i})
			put(r[k], r[k-1], way{back: 1 << i})
		}
	}
	return m
}

// path returns, for each position, the ways that lead to it from the rune that
// lies back positions before.
func (m steps) path(r []rune, back int) []way {
	out := make([]way, len(r))
	for i := back; i < len(r); i++ {
		a, b := unshift(r[i-back]), unshift(r[i])
		out[i] = m[[2]rune{a, b}]
		if a == b {
			out[i] = anywhere
		}
	}
	return out
}

// isRun reports whether positions i..j are runs of at least three, one after
// another, but for at most one rune in eight and two in all.
func isRun(path []way, i, j int) bool {
	n, loose := j-i, 0
	for a := i; a < j; {
		b, w := a+1, anywhere
		for b < j && !w.and(path[b]).none() {
			w = w.and(path[b])
			b++
		}
		if b-a >= 3 {
			a = b
			continue
		}
		a++
		if loose++; loose > 2 || loose*8 > n {
			return false
		}
	}
	return true
}

// isWoven reports whether two runs alternate, as in "1q2w3e4r".
func isWoven(path2 []way, i, j int) bool {
	w := [2]way{anywhere, anywhere}
	for k := i + 2; k < j; k++ {
		if w[(k-i)%2] = w[(k-i)%2].and(path2[k]); w[(k-i)%2].none() {
			return false
		}
	}
	return true
}
