package waf_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"writ/internal/gateway/waf"
)

// The screen against the whole set on requests that are made up by their number, so that a million
// can be tried in parts (scripts/screen.sh). Half of what they carry are the attacks of the rule set's
// own cases with some bytes changed: what lies just beside a rule is where a screen would be wrong.
//
// Where the screen is not sure the whole set is asked anyway, so there is nothing to compare; what is
// counted as compared are requests that the screen lets through.
func TestScreenAndWholeSetAgree(t *testing.T) {
	from, to := 0, 400
	if part := os.Getenv("WRIT_SCREEN"); part != "" {
		a, b, _ := strings.Cut(part, "-")
		var err1, err2 error
		from, err1 = strconv.Atoi(a)
		to, err2 = strconv.Atoi(b)
		if err1 != nil || err2 != nil || to <= from {
			t.Fatalf("WRIT_SCREEN is %q, want FROM-TO", part)
		}
	}
	e, texts := openShipped(t), attacks(t)
	if len(texts) < 3000 {
		t.Fatalf("only %d texts of attacks", len(texts))
	}
	let, taken := 0, 0
	for n := from; n < to; n++ {
		r := made(texts, n)
		if !e.Screened(r) {
			taken++
			continue
		}
		let++
		if v, err := e.Whole(r, nil); err != nil || len(v.Matches) > 0 || v.Refuse {
			t.Errorf("request %d passes the screen at level %d; the whole set says %+v, %v\n%s %s\n%v\n%q", n, r.Level, v, err, r.Method, r.Target, r.Header, r.Body)
		}
	}
	t.Logf("%d requests, %d let through by the screen and compared", to-from, let)
	if let < (to-from)/8 || taken < (to-from)/8 {
		t.Errorf("of %d requests the screen lets %d through: these try too little", to-from, let)
	}
}

// Look is the screen's word where it is sure, and the whole set's otherwise.
func TestLookAsksTheWholeSet(t *testing.T) {
	e, texts := openShipped(t), attacks(t)
	for n, asked := 0, 0; asked < 50; n++ {
		if r := made(texts, n); !e.Screened(r) {
			asked++
			same(t, e, fmt.Sprint("request ", n), r)
		}
	}
}

// attacks are the texts that the rule set's own cases carry.
func attacks(t testing.TB) []string {
	t.Helper()
	seen := map[string]bool{}
	var all []string
	add := func(s string) {
		if len(s) > 1 && len(s) < 300 && !seen[s] {
			seen[s] = true
			all = append(all, s)
		}
	}
	for _, c := range cases(t) {
		for _, s := range c.Stages {
			in := s.Input
			_, query, _ := strings.Cut(in.URI, "?")
			for _, pairs := range []string{query, in.Data} {
				for pair := range strings.SplitSeq(pairs, "&") {
					_, value, named := strings.Cut(pair, "=")
					if !named {
						value = pair
					}
					add(value)
					if plain, err := url.QueryUnescape(value); err == nil {
						add(plain)
					}
				}
			}
			for _, h := range in.Headers {
				add(text(h.Value))
			}
		}
	}
	return all
}

// made is the request of a number.
func made(texts []string, n int) *waf.Request {
	rnd := rand.New(rand.NewPCG(20, uint64(n))) //nolint:gosec // a number of a request
	say := func() string { return spoken(rnd, texts) }
	var r *waf.Request
	switch rnd.IntN(8) {
	case 0:
		r = get("/orders/" + url.PathEscape(say()))
	case 1:
		r = get("/orders?" + url.QueryEscape(name(rnd, say)) + "=" + url.QueryEscape(say()) + "&page=2")
	case 2:
		r = get("/orders?q=" + strings.NewReplacer(" ", "+", "#", "", "\r", "", "\n", "").Replace(say())) // as it is
	case 3:
		r = post("application/x-www-form-urlencoded", url.Values{name(rnd, say): {say()}, "b": {plain(rnd)}}.Encode())
	case 4:
		r = post("application/json", fmt.Sprintf(`{%q:%q,"n":%d,"list":[%q,{"deep":%q}]}`, strings.ToValidUTF8(name(rnd, say), ""), strings.ToValidUTF8(say(), ""), rnd.IntN(9999), plain(rnd), strings.ToValidUTF8(say(), "")))
	case 5:
		r = post("application/xml", "<a b=\""+html.EscapeString(say())+"\">"+html.EscapeString(say())+"</a>")
	case 6:
		r = post("multipart/form-data; boundary=cut", "--cut\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"+say()+"\r\n--cut\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n"+say()+"\r\n--cut--\r\n")
	default:
		r = get("/")
		r.Header["Cookie"] = []string{"a=" + say()}
		r.Header[[]string{"Referer", "User-Agent", "X-Thing", "Accept-Language", "X-Forwarded-For"}[rnd.IntN(5)]] = []string{say()}
	}
	r.Level = 1 + rnd.IntN(4)
	return r
}

func name(rnd *rand.Rand, say func() string) string {
	if rnd.IntN(4) == 0 {
		return say()
	}
	return []string{"a", "text", "user[name]", "items.0.note", "q"}[rnd.IntN(5)]
}

// plain is what people and programs send all day.
func plain(rnd *rand.Rand) string {
	words := strings.Fields(sentence)
	switch rnd.IntN(5) {
	case 0:
		return strconv.Itoa(rnd.IntN(1 << 30))
	case 1:
		return fmt.Sprintf("%08x-7c11-7d2e-9a43-5b1c8e2f6d70", rnd.Uint32())
	case 2:
		return fmt.Sprintf("20%02d-%02d-%02d", rnd.IntN(99), 1+rnd.IntN(12), 1+rnd.IntN(28))
	}
	at := rnd.IntN(len(words))
	return strings.Join(words[at:min(len(words), at+1+rnd.IntN(8))], " ")
}

// spoken is a text: a plain one, or an attack of which some bytes were changed.
func spoken(rnd *rand.Rand, texts []string) string {
	switch rnd.IntN(6) {
	case 0:
		return plain(rnd)
	case 1:
		return word(rnd)
	}
	s := texts[rnd.IntN(len(texts))]
	for range rnd.IntN(5) {
		if s == "" {
			break
		}
		at := rnd.IntN(len(s))
		end := min(len(s), at+1+rnd.IntN(6))
		switch rnd.IntN(9) {
		case 0:
			s = s[:at] + s[end:]
		case 1:
			s = s[:at] + s[at:end] + s[at:]
		case 2:
			s = s[:at] + pieces[rnd.IntN(len(pieces))] + s[at:]
		case 3:
			s = s[:at] + string(rune(" \t\n\\'\"/*;()<>%&|.,:-_=+x0"[rnd.IntN(25)])) + s[at+1:]
		case 4:
			s = s[:at] + strings.ToUpper(s[at:end]) + s[end:]
		case 5:
			other := texts[rnd.IntN(len(texts))]
			s = s[:at] + other[rnd.IntN(len(other)):]
		case 6:
			s = s[at:]
		case 7:
			s = s[:at+1]
		default:
			s = strings.Map(func(c rune) rune { // letters that some take for one of ASCII
				if to, ok := map[rune]rune{'s': 'ſ', 'k': '\u212a', 'S': 'ſ', 'K': '\u212a'}[c]; ok && rnd.IntN(2) == 0 {
					return to
				}
				return c
			}, s)
		}
	}
	switch rnd.IntN(14) {
	case 0:
		return url.QueryEscape(s)
	case 1:
		return base64.StdEncoding.EncodeToString([]byte(s))
	case 2:
		return html.EscapeString(s)
	case 3:
		return fmt.Sprintf("%+q", s)
	case 4:
		return strings.ReplaceAll(s, "a", "%u0061")
	}
	return s
}
