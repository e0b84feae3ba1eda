package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/waf"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

const injection = "1' UNION SELECT password FROM users--"

var block, detect = gateway.WAF{Mode: gateway.WAFBlock}, gateway.WAF{Mode: gateway.WAFDetect}

// posted sends a body of a type to a public path.
func (k *gate) posted(path, kind string, body []byte) answer {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), "POST", k.base+path, bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "tests")
	res, err := k.client().Do(r) // over HTTP/2 a refusal arrives while the body is still on its way
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return answer{res, string(b)}
}

// form is a body in parts: one field and one file.
func form(field string, file []byte) (kind string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField("comment", field)
	p, _ := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="photo"; filename="photo.png"`}, "Content-Type": {"image/png"}})
	p.Write(file)
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

// Every place where an attack may stand is looked at: where finds are refused the
// application never sees it, elsewhere it does, and the find is recorded.
func TestAttacksAreFound(t *testing.T) { // breaks: use.no-automation
	escaped := url.QueryEscape(injection)
	partKind, parts := form(injection, nil)
	places := map[string]func(*gate) answer{
		"query": func(k *gate) answer { return k.do(http1(k), "GET", "/open/x?id="+escaped, "User-Agent: tests") },
		"cookie": func(k *gate) answer {
			return k.do(http1(k), "GET", "/open/x", "User-Agent: tests", "Cookie: id="+escaped)
		},
		"referrer": func(k *gate) answer {
			return k.do(http1(k), "GET", "/open/x", "User-Agent: tests", "Referer: "+injection)
		},
		"form": func(k *gate) answer {
			return k.posted("/open/x", "application/x-www-form-urlencoded", []byte("id="+escaped))
		},
		"JSON": func(k *gate) answer {
			return k.posted("/open/x", "application/json", []byte(`{"a":[{"b":"`+injection+`"}]}`))
		},
		"XML": func(k *gate) answer {
			return k.posted("/open/x", "application/xml", []byte(`<a><b>`+injection+`</b></a>`))
		},
		"parts":        func(k *gate) answer { return k.posted("/open/x", partKind, parts) },
		"unknown type": func(k *gate) answer { return k.posted("/open/x", "text/plain", []byte("id="+escaped)) },
	}
	for _, mode := range []gateway.WAF{block, detect} {
		var reached atomic.Int64
		k := open(t, options{waf: mode, upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Add(1); echo(w, r) })})
		for name, send := range places {
			before := reached.Load()
			a := send(k)
			if mode == block && (a.StatusCode != 403 || !strings.Contains(a.body, `"code":"refused"`) || strings.Contains(a.body, "942") || strings.Contains(a.body, "UNION") || reached.Load() != before) {
				t.Errorf("%s: %d %s, reached %d", name, a.StatusCode, a.body, reached.Load()-before)
			}
			if mode == detect && (a.StatusCode != 200 || reached.Load() != before+1) {
				t.Errorf("%s only detected: %d", name, a.StatusCode)
			}
			if err := k.g.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			finds, err := k.g.Finds(t.Context())
			if err != nil || !slices.ContainsFunc(finds, func(f gateway.Find) bool { return f.Rule == 942100 && f.Route == "*" && f.Refused == (mode == block) }) {
				t.Errorf("%s %s: finds %+v %v", mode.Mode, name, finds, err)
			}
			for _, r := range k.kit.Recorded() {
				if strings.Contains(fmt.Sprintf("%+v", r), "UNION") {
					t.Errorf("%s: the record holds what was found: %+v", name, r)
				}
			}
		}
		good := k.posted("/open/x", "application/json", []byte(`{"name":"Ilse Brandt","note":"Please select a table by the window, and call me."}`))
		if good.StatusCode != 200 {
			t.Errorf("%s: a good request: %d %s", mode.Mode, good.StatusCode, good.body)
		}
	}
}

// The first find of a kind is told at once, the others of that minute as a number.
func TestFindsAreCounted(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := open(t, options{kit: kit, now: kit.Clock.Now, waf: detect})
		for range 5 {
			k.do(http1(k), "GET", "/open/x?id="+url.QueryEscape(injection), "User-Agent: tests")
		}
		if err := k.g.FlushFinds(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.do(http1(k), "GET", "/open/x?id="+url.QueryEscape(injection), "User-Agent: tests")
		for range 2 {
			if err := k.g.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var counts []string
		for _, r := range kit.Recorded("gateway.waf-matched") {
			if fmt.Sprint(r.Fields["rule"]) == "942100" {
				counts = append(counts, fmt.Sprint(r.Fields["count"], " ", r.Fields["variable"], " ", r.Fields["field"], " ", r.Fields["mode"]))
			}
		}
		if fmt.Sprint(counts) != "[5 ARGS id detect 1 ARGS id detect]" {
			t.Errorf("recorded %q", counts)
		}
		finds, err := k.g.Finds(t.Context())
		if err != nil || !slices.ContainsFunc(finds, func(f gateway.Find) bool { return f.Rule == 942100 && f.Count == 6 && f.Field == "id" }) {
			t.Errorf("for review: %+v %v", finds, err)
		}
		kit.Clock.Advance(31 * 24 * time.Hour)
		if err := k.g.WAFTick(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := 0
		if err := ledger.One(t.Context(), kit.DB, `SELECT COUNT(*) FROM gateway_waf_seen`, []any{&left}); err != nil || left != 0 {
			t.Errorf("after a month %d finds are kept, %v", left, err)
		}
	}, gateway.Schema())
}

// Who sprays finds fills no memory, and a made-up name is in no record.
func TestFindsAreBounded(t *testing.T) {
	k := open(t, options{waf: detect})
	for i := range 40 {
		k.do(http1(k), "GET", fmt.Sprintf("/open/x?%s%d=%s", strings.Repeat("4111111111111111", 1+i%2), i, url.QueryEscape(injection)), "User-Agent: tests")
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	finds, err := k.g.Finds(t.Context())
	if err != nil || len(finds) == 0 {
		t.Fatalf("%d finds, %v", len(finds), err)
	}
	for _, f := range finds {
		if strings.ContainsAny(f.Field, "0123456789") {
			t.Errorf("the record holds a made-up name: %+v", f)
		}
	}
}

// A body that cannot be looked at is refused where finds are; an address for files takes
// files, of which the other fields are looked at all the same.
func TestBodiesPastTheLook(t *testing.T) {
	large := bytes.Repeat([]byte("picture "), 40<<10)
	k := open(t, options{waf: block, routes: "- {path: /open/files, who: anyone, body: 1MiB}\n- {path: /open/x, who: anyone}"})
	json := []byte(`{"a":"` + string(large) + `"}`)
	kind, file := form("a fine picture", append(large, injection...))
	_, attack := form(injection, large)
	attackKind := strings.Replace(kind, kind[strings.Index(kind, "boundary="):], "boundary="+boundary(attack), 1)
	for name, c := range map[string]struct {
		path, kind string
		body       []byte
		want       int
	}{
		"JSON":                            {"/open/x", "application/json", json, 413},
		"JSON where files come":           {"/open/files", "application/json", json, 413},
		"a file":                          {"/open/x", kind, file, 413},
		"a file where files come":         {"/open/files", kind, file, 200},
		"an attack beside a file":         {"/open/files", attackKind, attack, 403},
		"a picture where files come":      {"/open/files", "image/png", large, 200},
		"a picture elsewhere":             {"/open/x", "image/png", large, 413},
		"more than files may be":          {"/open/files", "image/png", bytes.Repeat(large, 4), 413},
		"an attack that says picture":     {"/open/x", "image/png", []byte("id=" + url.QueryEscape(injection)), 403},
		"an attack in the file's name":    {"/open/files", "multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.php\"\r\n\r\nx\r\n--b--\r\n"), 403},
		"parts that nobody can read":      {"/open/files", "multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"f\r\n\r\nx"), 403},
		"a field said to be in parts":     {"/open/files", "multipart/form-data", []byte("id=" + url.QueryEscape(injection)), 403},
		"JSON that is too deep":           {"/open/x", "application/json", []byte(strings.Repeat("[", 200) + strings.Repeat("]", 200)), 403},
		"JSON as deep as it may be":       {"/open/x", "application/json", nested(64), 200},
		"JSON that is one deeper":         {"/open/x", "application/json", nested(65), 403},
		"as many parts as there may be":   {"/open/x", "multipart/form-data; boundary=b", parts(100), 200},
		"a part more":                     {"/open/x", "multipart/form-data; boundary=b", parts(101), 403},
		"more arguments than looked at":   {"/open/x", "application/x-www-form-urlencoded", []byte(strings.Repeat("a=1&", 1100)), 403},
		"a plain form of a modest length": {"/open/x", "application/x-www-form-urlencoded", []byte("a=" + strings.Repeat("word+", 2000)), 200},
	} {
		if a := k.posted(c.path, c.kind, c.body); a.StatusCode != c.want {
			t.Errorf("%s: %d, want %d: %.200s", name, a.StatusCode, c.want, a.body)
		}
	}
	k = open(t, options{waf: detect})
	if a := k.posted("/open/x", "application/json", json); a.StatusCode != 200 || len(a.body) != len("app:")+len(json) {
		t.Errorf("only detected: %d, %d bytes", a.StatusCode, len(a.body))
	}
	if n := k.g.WAFNow().Unlooked; n != 1 {
		t.Errorf("%d bodies were not looked at, want 1", n)
	}
}

func nested(deep int) []byte {
	return []byte(strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep))
}

// parts is a body of so many plain fields.
func parts(n int) []byte {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary("b")
	for i := range n {
		_ = w.WriteField(fmt.Sprint("field", i), "word")
	}
	_ = w.Close()
	return b.Bytes()
}

func boundary(body []byte) string {
	line, _, _ := bytes.Cut(body, []byte("\r\n"))
	return string(line[2:])
}

// A route may want more of the rules than the machine's settings, never less.
func TestRoutesTightenTheRules(t *testing.T) {
	k := open(t, options{routes: "- {path: /open/strict, who: anyone, waf: block}\n- {path: /open/loose, who: anyone}"})
	for path, want := range map[string]int{"/open/strict": 403, "/open/loose": 200} {
		if a := k.do(http1(k), "GET", path+"?id="+url.QueryEscape(injection), "User-Agent: tests"); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
		}
	}
	odd := "/open/%s?q=" + url.QueryEscape("a, b; c: {d} [e] (f) ~ !")
	k = open(t, options{waf: block, routes: "- {path: /open/suspicious, who: anyone, paranoia: 4}\n- {path: /open/usual, who: anyone}"})
	for path, want := range map[string]int{"suspicious": 403, "usual": 200} {
		if a := k.do(http1(k), "GET", strings.Replace(odd, "%s", path, 1), "User-Agent: tests"); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
		}
	}
	for _, bad := range []string{"waf: off", "waf: on", "paranoia: 5", "paranoia: -1"} {
		k.write("- {path: /open/x, who: anyone, " + bad + "}")
		if err := k.g.Reload(t.Context(), k.engineer()); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// An exception is for some rules in one field of one route, and ends by itself.
func TestExceptions(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := open(t, options{kit: kit, now: kit.Clock.Now, waf: block, routes: "- {path: /open/notes, who: anyone}\n- {path: /open/x, who: anyone}"})
		ask := func(path, field string) int {
			return k.do(http1(k), "GET", path+"?"+field+"="+url.QueryEscape(injection), "User-Agent: tests").StatusCode
		}
		if got := ask("/open/notes", "note"); got != 403 {
			t.Fatalf("before: %d", got)
		}
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		finds, err := k.g.Finds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var rules []int
		for _, f := range finds {
			rules = append(rules, int(f.Rule))
		}
		eng := actor.Actor{Kind: actor.Operator, ID: "uid-0", Via: "socket"}
		good := gateway.WAFException{Rules: rules, Route: "/open/notes", Field: "ARGS:note", Reason: "notes are about databases", Until: kit.Clock.Now().Add(24 * time.Hour)}
		x, err := k.g.Except(t.Context(), eng, good)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			path, field string
			want        int
		}{{"/open/notes", "note", 200}, {"/open/notes", "other", 403}, {"/open/x", "note", 403}} {
			if got := ask(c.path, c.field); got != c.want {
				t.Errorf("excepted: %s %s: %d, want %d", c.path, c.field, got, c.want)
			}
		}
		kit.Clock.Advance(24 * time.Hour)
		if got := ask("/open/notes", "note"); got != 403 {
			t.Errorf("past its end: %d", got)
		}
		if err := k.g.WAFTick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rec := kit.Recorded("gateway.waf-exception-ended"); len(rec) != 1 || rec[0].Fields["how"] != "time is over" {
			t.Errorf("its end is recorded as %+v", rec)
		}
		good.Until = kit.Clock.Now().Add(90 * 24 * time.Hour)
		if x, err = k.g.Except(t.Context(), eng, good); err != nil {
			t.Fatal(err)
		}
		if err := k.g.EndException(t.Context(), eng, x.ID); err != nil || ask("/open/notes", "note") != 403 {
			t.Errorf("ended: %v", err)
		}
		if err := k.g.EndException(t.Context(), eng, x.ID); fault.KindOf(err) != fault.NotFound {
			t.Errorf("ended twice: %v", err)
		}
		if made := kit.Recorded("gateway.waf-excepted"); len(made) != 2 {
			t.Errorf("%d exceptions are recorded, want 2", len(made))
		}
		if all, err := k.g.WAFExceptions(t.Context()); err != nil || len(all) != 2 || all[0].Owner != eng.String() || all[0].EndedBy == "" {
			t.Errorf("listed: %+v %v", all, err)
		}
		refusedExceptions(t, k, good)
	}, gateway.Schema())
}

// refusedExceptions tries what would be more than an exception.
func refusedExceptions(t *testing.T, k *gate, good gateway.WAFException) {
	for name, change := range map[string]func(*gateway.WAFException){
		"all rules":         func(x *gateway.WAFException) { x.Rules = nil },
		"a rule of reading": func(x *gateway.WAFException) { x.Rules = []int{104} },
		"the sum itself":    func(x *gateway.WAFException) { x.Rules = []int{949110} },
		"all fields":        func(x *gateway.WAFException) { x.Field = "ARGS:*" },
		"no field":          func(x *gateway.WAFException) { x.Field = "" },
		"no route":          func(x *gateway.WAFException) { x.Route = "" },
		"a route of nobody": func(x *gateway.WAFException) { x.Route = "/open/" },
		"no reason":         func(x *gateway.WAFException) { x.Reason = " " },
		"for ever":          func(x *gateway.WAFException) { x.Until = time.Time{} },
		"91 days":           func(x *gateway.WAFException) { x.Until = x.Until.Add(24 * time.Hour) },
		"the past":          func(x *gateway.WAFException) { x.Until = k.now().Add(-time.Second) },
	} {
		x := good
		change(&x)
		if _, err := k.g.Except(t.Context(), actor.Actor{Kind: actor.Operator, ID: "uid-0"}, x); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.g.Except(t.Context(), person("ana", "member"), good); fault.KindOf(err) != fault.Denied {
		t.Errorf("a member excepts: %v", err)
	}
	if err := k.g.EndException(t.Context(), person("ana", "member"), "x"); fault.KindOf(err) != fault.Denied {
		t.Errorf("a member ends: %v", err)
	}
}

// The canary sees each way in which the rules may be no good.
func TestAttackControl(t *testing.T) { // breaks: use.no-automation
	for name, o := range map[string]options{"refused at the door": {waf: block}, "recorded": {waf: detect}, "nobody may come": {waf: block, values: clause.Values{"use.no-automation/public_paths": []string{}}}} {
		k := open(t, o)
		go k.g.BeginWAF()
		if r := control(t, k, k.door(), "gateway.attacks"); r.Outcome != clause.Pass {
			t.Errorf("%s: %s %s", name, r.Outcome, r.Summary)
		}
		k.g.BreakWAF(func() (*waf.Engine, error) { return waf.Open(waf.Options{Setup: "SecRuleEngine DetectionOnly\n"}) })
		if r := control(t, k, k.door(), "gateway.attacks"); r.Outcome != clause.Fail {
			t.Errorf("%s, with rules that only detect: %s %s", name, r.Outcome, r.Summary)
		}
		k.g.BreakWAF(func() (*waf.Engine, error) { return waf.Open(waf.Options{Setup: "SecRuleEngine Off\n"}) })
		if r := control(t, k, k.door(), "gateway.attacks"); r.Outcome != clause.Fail {
			t.Errorf("%s, with no rules: %s %s", name, r.Outcome, r.Summary)
		}
		k.g.BreakWAF(func() (*waf.Engine, error) {
			return waf.Open(waf.Options{Setup: `SecAction "id:109,phase:1,deny,status:403,nolog"` + "\n"})
		})
		if r := control(t, k, k.door(), "gateway.attacks"); r.Outcome == clause.Pass && o.waf == block {
			t.Errorf("%s, with rules that refuse everything: %s %s", name, r.Outcome, r.Summary)
		}
	}
	if k := open(t, options{}); slices.ContainsFunc(k.g.Controls(k.door()), func(c clause.Control) bool { return c.ID == "gateway.attacks" }) {
		t.Error("rules that are off are promised")
	}
}

const leak = "<html>You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the right syntax to use near 'x' at line 1 in /var/www/a.php</html>"

// A page that shows the application's inside is held back; streams and everything that is
// no page pass as they come.
func TestPagesAreLookedAt(t *testing.T) {
	wait := make(chan struct{})
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		io.WriteString(w, leak)
		w.(http.Flusher).Flush()
		if r.URL.Query().Get("wait") != "" {
			<-wait
		}
	})
	k := open(t, options{waf: block, upstream: app})
	if a := k.do(http1(k), "GET", "/open/x?type=text%2fhtml", "User-Agent: tests"); a.StatusCode != 502 || strings.Contains(a.body, "MySQL") || !strings.Contains(a.body, "answer_held_back") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := k.do(http1(k), "GET", "/open/x?type=application%2fjson", "User-Agent: tests"); a.StatusCode != 200 || a.body != leak {
		t.Errorf("no page: %d %s", a.StatusCode, a.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", k.base+"/open/x?wait=1&type=text%2fevent-stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "tests")
	res, err := http1(k).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len(leak))); err != nil { // before the application has said its end
		t.Error(err)
	}
	close(wait)
	k = open(t, options{waf: detect, upstream: app})
	if a := k.do(http1(k), "GET", "/open/x?type=text%2fhtml", "User-Agent: tests"); a.StatusCode != 200 || a.body != leak {
		t.Errorf("only detected: %d %s", a.StatusCode, a.body)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if finds, err := k.g.Finds(t.Context()); err != nil || !slices.ContainsFunc(finds, func(f gateway.Find) bool { return f.Variable == "RESPONSE_BODY" }) {
		t.Errorf("the page's find: %+v %v", finds, err)
	}
}
