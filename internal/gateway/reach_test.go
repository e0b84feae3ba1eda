package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"writ/internal/actor"
	"writ/internal/clause"
)

// No path, method or spelling brings anybody to what its rule refuses. Tables and spellings are
// made up; what arrives at the application is classed again by an oracle that shares nothing with
// the gate: it takes the target for everything that some application may take it for, looks through
// the list of routes one by one, and asks whether who came may be there under each of its readings.
func TestNoSpellingReachesWhatItsRuleRefuses(t *testing.T) { // breaks: use.no-automation
	tables, each := 40, 60
	if os.Getenv("WRIT_JUDGES") != "" {
		tables, each = 1000, 200
	}
	rnd := rand.New(rand.NewPCG(5, 10))
	w := &world{t: t, came: map[string]arrival{}}
	w.k = open(t, options{upstream: http.HandlerFunc(w.application)})
	defer w.hangUp()
	for range tables {
		w.change(rnd)
		for range each {
			w.try(rnd)
		}
	}
	t.Logf("%d requests in %d tables: %d arrived, of them %d not as they are spelled in a route; %d answers of 400", w.n, tables, w.arrived, w.odd, w.bad)
	if w.n < tables*each*9/10 || w.arrived < w.n/10 || w.odd < w.arrived/20 || w.bad < w.n/10 {
		t.Error("these requests try too little")
	}
}

// ruling is a route as the oracle knows it.
type ruling struct {
	path    string // decoded
	methods []string
	who     string
	role    string
}

type arrival struct {
	method, target string
	header         http.Header
}

// world is a gate, the table it has now, and what arrived behind it.
type world struct {
	t       *testing.T
	k       *gate
	h1, h2  *tls.Conn     // nil = to be dialled
	in      *bufio.Reader // of h1
	frames  *http2.Framer // of h2
	stream  uint32
	came    map[string]arrival // by number; the gate is asked one thing after the other
	ceiling string
	routes  []ruling

	n, arrived, odd, bad int
}

func (w *world) application(rw http.ResponseWriter, r *http.Request) {
	w.came[r.Header.Get("X-Nr")] = arrival{r.Method, r.RequestURI, r.Header.Clone()}
	rw.Header().Set("Content-Length", "0")
}

var (
	segments = []string{"admin", "Admin", "kis", "é", "a", "b", "x y", "50%", "v1.0", "a;b", "list"}
	allVerbs = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"}
)

// change puts another table in force.
func (w *world) change(rnd *rand.Rand) {
	w.ceiling = []string{"anyone", "signed-in", "role"}[rnd.IntN(3)]
	if err := w.k.rules.Set([]clause.Period{{Values: values(clause.Values{"use.no-automation/default": w.ceiling, "use.no-automation/public_paths": []string{"/open/"}})}}); err != nil {
		w.t.Fatal(err)
	}
	for {
		w.routes = nil
		var file strings.Builder
		for range 1 + rnd.IntN(8) {
			r := ruling{who: []string{"anyone", "signed-in", "role", "role"}[rnd.IntN(4)]}
			if levelOf(r.who) < levelOf(w.ceiling) {
				r.who = w.ceiling
			}
			for range 1 + rnd.IntN(3) {
				r.path += "/" + segments[rnd.IntN(len(segments))]
			}
			if rnd.IntN(2) == 0 {
				r.path += "/"
			}
			if rnd.IntN(6) == 0 {
				r.path = "/open" + r.path
			}
			fmt.Fprintf(&file, "- {path: '%s', who: %s", escaped(r.path), r.who)
			if r.who == "role" {
				r.role = []string{"admin", "member", "owner"}[rnd.IntN(3)]
				fmt.Fprintf(&file, ", roles: [%s]", r.role)
			}
			if rnd.IntN(3) == 0 {
				for range 1 + rnd.IntN(2) {
					if m := allVerbs[rnd.IntN(len(allVerbs))]; !slices.Contains(r.methods, m) {
						r.methods = append(r.methods, m)
					}
				}
				fmt.Fprintf(&file, ", methods: [%s]", strings.Join(r.methods, ", "))
			}
			file.WriteString("}\n")
			w.routes = append(w.routes, r)
		}
		w.k.write(file.String())
		if w.k.g.Reload(w.t.Context(), actor.System("test")) == nil {
			return
		} // two say the same: another table
	}
}

func levelOf(who string) int { return slices.Index([]string{"anyone", "signed-in", "role"}, who) }

// escaped is a path as a careful client spells it.
func escaped(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c == ' ' || c == '%' || c == ';' || c >= 0x80 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// spelled is a path of the table, or near it, in some spelling.
func (w *world) spelled(rnd *rand.Rand) string {
	path := w.routes[rnd.IntN(len(w.routes))].path
	switch rnd.IntN(5) {
	case 0:
		path = strings.TrimSuffix(path, "/") + "/" + segments[rnd.IntN(len(segments))]
	case 1:
		path = strings.TrimSuffix(path, "/")
	case 2:
		path += "/"
	}
	out := escaped(path)
	for range rnd.IntN(4) {
		at := rnd.IntN(len(out) + 1)
		switch rnd.IntN(16) {
		case 0, 1, 2: // something put in
			out = out[:at] + oddities[rnd.IntN(len(oddities))] + out[at:]
		case 3, 4: // a byte escaped, once or twice
			if at < len(out) {
				out = out[:at] + fmt.Sprintf([]string{"%%%02x", "%%%02X", "%%25%02x"}[rnd.IntN(3)], out[at]) + out[at+1:]
			}
		case 5, 6, 7:
			out = strings.Map(func(c rune) rune {
				if rnd.IntN(3) == 0 && 'a' <= c && c <= 'z' {
					return c - 'a' + 'A'
				}
				return c
			}, out)
		case 8:
			out = strings.NewReplacer("k", "%E2%84%AA", "s", "%C5%BF", "%C3%A9", "%C3%89").Replace(out)
		case 9:
			out = strings.Replace(out, "/", []string{"//", "/./", "\\", "%2f", "%2F", "%5c", "/x/../", "/%2e%2e/", "/..;/", "/;/"}[rnd.IntN(10)], 1+rnd.IntN(2))
		case 10:
			out += []string{"?", "?a=/admin", "?_method=DELETE", "#", "%23", "%3f", "?x%2f..", ";jsessionid=1", "%00", ".", "%20", ".json", "..", "/.", "/.."}[rnd.IntN(15)]
		case 11:
			out = "/x/.." + out
		}
	}
	return out
}

var oddities = []string{"%2e", "%2f", "%5c", "\\", ";", "%3b", "%00", "%0a", "%09", "\t", "%c0%af", "%ff", "%252e", "%252f", "%2561", "%u0061", ".", "..", "/", "//", "%", "%2", "%zz", "é", "%CC%81", "*", "~", "|", "[", "@", ":", "%25", "%2525"}

// forgeries would make some application take another method or path than those of the request.
var forgeries = []string{"X-Http-Method-Override: DELETE", "X-Http-Method: GET", "X-Method-Override: PUT", "X-Original-Url: /admin", "X-Rewrite-Url: /open/x", "X-Forwarded-Prefix: /admin"}

// try sends one request as somebody, and looks at what came of it.
func (w *world) try(rnd *rand.Rand) {
	target, method := w.spelled(rnd), allVerbs[rnd.IntN(len(allVerbs))]
	if rnd.IntN(3) > 0 {
		method = "GET"
	}
	who := []string{"", "ana", "adm"}[rnd.IntN(3)]
	w.n++
	head := []string{"X-Nr: " + strconv.Itoa(w.n)}
	if who != "" {
		head = append(head, "Cookie: __Host-writ="+who)
	}
	for _, f := range forgeries {
		if rnd.IntN(12) == 0 {
			head = append(head, f)
		}
	}
	sent := target
	host, send := strings.TrimPrefix(w.k.base, "https://"), w.overHTTP1
	if rnd.IntN(3) == 0 {
		send = w.overHTTP2
	}
	switch rnd.IntN(12) {
	case 0:
		target = "https://" + host + target
	case 1:
		target = []string{"http://" + host, "https://elsewhere.example", "//" + host}[rnd.IntN(3)] + target
		sent = "" // not to arrive at all
	case 2:
		method = strings.ToLower(method)
	}
	status := send(method, target, host, head)
	if status == 400 {
		w.bad++
	}
	got, ok := w.came[strconv.Itoa(w.n)]
	clear(w.came)
	if !ok {
		if status >= 200 && status < 300 {
			w.t.Fatalf("%s %s: %d, and nothing arrived", method, target, status)
		}
		return
	}
	w.arrived++
	if path, _, _ := strings.Cut(got.target, "?"); !slices.ContainsFunc(w.routes, func(r ruling) bool { return escaped(r.path) == path }) {
		w.odd++
	}
	if got.method != method || got.target != sent {
		w.t.Fatalf("%s %s arrived as %s %s", method, target, got.method, got.target)
	}
	for _, f := range forgeries {
		if name, _, _ := strings.Cut(f, ":"); got.header.Get(name) != "" {
			w.t.Fatalf("%s %s: %s arrived", method, target, name)
		}
	}
	for _, path := range readings(got.target) {
		if why := w.refuses(who, method, path); why != "" {
			w.t.Fatalf("%s %s as %q arrived; it may be read as %q, where %s\nceiling %s, %+v", method, target, who, path, why, w.ceiling, w.routes)
		}
	}
}

// overHTTP2 writes frames by itself: a client that is in order would not send most of it.
// 0 = the stream or the connection was ended without an answer.
func (w *world) overHTTP2(method, target, host string, head []string) int {
	if w.h2 == nil {
		c, err := tls.Dial("tcp", w.k.addr, &tls.Config{RootCAs: w.k.ca.Roots(), ServerName: "localhost", NextProtos: []string{"h2"}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.h2, w.frames, w.stream = c, http2.NewFramer(c, c), 1
		w.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		io.WriteString(c, http2.ClientPreface)
		w.frames.WriteSettings()
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.SetMaxDynamicTableSize(0)
	for _, f := range append([]string{":method: " + method, ":scheme: https", ":authority: " + host, ":path: " + target}, head...) {
		name, value, _ := strings.Cut(f[1:], ": ")
		enc.WriteField(hpack.HeaderField{Name: strings.ToLower(f[:1] + name), Value: value})
	}
	id := w.stream
	w.stream += 2
	if err := w.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
		w.t.Fatal(err)
	}
	status := 0
	for {
		f, err := w.frames.ReadFrame()
		if err != nil {
			w.hangUp()
			return status
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status, _ = strconv.Atoi(f.PseudoValue("status"))
			if f.StreamEnded() && f.StreamID == id {
				return status
			}
		case *http2.DataFrame:
			w.frames.WriteWindowUpdate(0, max(f.Length, 1))
			if f.StreamEnded() && f.StreamID == id {
				return status
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return status
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				w.frames.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			w.hangUp()
			return status
		}
	}
}

func (w *world) hangUp() {
	for _, c := range []**tls.Conn{&w.h1, &w.h2} {
		if *c != nil {
			(*c).Close()
			*c = nil
		}
	}
}

func (w *world) overHTTP1(method, target, host string, head []string) int {
	if w.h1 == nil {
		c, err := tls.Dial("tcp", w.k.addr, &tls.Config{RootCAs: w.k.ca.Roots(), ServerName: "localhost"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.h1, w.in = c, bufio.NewReader(c)
	}
	fmt.Fprintf(w.h1, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", method, target, host, strings.Join(head, "\r\n"))
	res, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.Close {
		w.hangUp()
	}
	return res.StatusCode
}

// readings are the paths that some application may take a target for.
func readings(target string) []string {
	raw, _, _ := strings.Cut(target, "?")
	raw, _, _ = strings.Cut(raw, "#")
	out := []string{decoded(raw), decoded(decoded(raw))}
	if strings.Contains(raw, ";") { // parameters of a segment
		segs := strings.Split(raw, "/")
		for i := range segs {
			segs[i], _, _ = strings.Cut(segs[i], ";")
		}
		out = append(out, decoded(strings.Join(segs, "/")))
	}
	for _, p := range slices.Clone(out) {
		p = strings.ReplaceAll(p, "\\", "/")
		p, _, _ = strings.Cut(p, "\x00")
		p = strings.Map(func(c rune) rune {
			if c < ' ' || c == 0x7f {
				return -1
			}
			return c
		}, p)
		var segs []string
		for seg := range strings.SplitSeq(p, "/") {
			switch seg {
			case "", ".":
			case "..":
				segs = segs[:max(len(segs)-1, 0)]
			default:
				segs = append(segs, seg)
			}
		}
		short := "/" + strings.Join(segs, "/")
		if len(segs) > 0 && strings.HasSuffix(p, "/") {
			short += "/"
		}
		out = append(out, p, short)
	}
	return out
}

// decoded leaves what is no escape as it is.
func decoded(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// refuses says why somebody may not be at a path with a method; "" when they may.
func (w *world) refuses(who, method, path string) string {
	need := levelOf(w.ceiling)
	if strings.HasPrefix(path, "/open/") {
		need = 0
	}
	roles := map[string][]string{"ana": {"member"}, "adm": {"admin"}}[who]
	named := false
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, oneToSome} {
		best := -1
		for _, r := range w.routes {
			if n := fits(r.path, path, same); n > best {
				best = n
			}
		}
		if best < 0 {
			continue
		}
		taken := false
		for _, r := range w.routes {
			if fits(r.path, path, same) != best {
				continue
			}
			if len(r.methods) > 0 && !slices.Contains(r.methods, method) && (method != "HEAD" || !slices.Contains(r.methods, "GET")) {
				continue
			}
			taken = true
			need = max(need, levelOf(r.who))
			if named = named || r.role != ""; r.role != "" && !slices.Contains(roles, r.role) {
				return fmt.Sprintf("%s asks for %s", r.path, r.role)
			}
		}
		if !taken {
			return "no route takes the method"
		}
	}
	switch {
	case need > 0 && who == "":
		return "somebody must be signed in"
	case need > 1 && !named:
		return "a role is asked for, and no route says which"
	}
	return ""
}

// fits says how well a pattern fits a path: the page itself before one that differs in the last
// slash, both before all that lies above; -1 = not at all.
func fits(pattern, path string, same func(a, b string) bool) int {
	ps, xs := strings.Split(pattern, "/"), strings.Split(path, "/")
	begins := func(n int) bool {
		for i := range n {
			if !same(ps[i], xs[i]) {
				return false
			}
		}
		return true
	}
	below := ps[len(ps)-1] == ""
	switch {
	case len(ps) == len(xs) && begins(len(ps)):
		return 1 << 20
	case below && len(ps) == len(xs)+1 && begins(len(xs)), !below && len(ps)+1 == len(xs) && xs[len(xs)-1] == "" && begins(len(ps)):
		return 1 << 19
	case below && len(ps) <= len(xs) && begins(len(ps)-1):
		return len(ps)
	}
	return -1
}

// oneToSome reports whether some application takes two texts for the same.
func oneToSome(a, b string) bool {
	low, up := strings.ToLower, strings.ToUpper
	return strings.EqualFold(a, b) || low(a) == low(b) || up(a) == up(b)
}
