package waf_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/corazawaf/coraza-coreruleset/v4/tests"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/goccy/go-yaml"

	"writ/internal/gateway/waf"
)

// The regression cases of the rule set, as the set ships them: each is sent byte for byte
// over TCP to a net/http server with the engine in it, at the highest level of paranoia.
//
//	WRIT_WAF_CASES=all go test -run TestRegressionCases ./internal/gateway/waf

// misses are the cases that do not end as the rule set says, each with its reason. That a
// miss is nothing worse is tested too: the request was refused, or arrived as one request.
var misses = map[string]string{
	"920100-5": "CONNECT: the rule set asks for a refusal by the server; the gate refuses the method",
	"920100-8": "CONNECT: the rule set asks for a refusal by the server; the gate refuses the method",
	"920290-4": "an empty host is none to our server, and another rule matches; the gate knows no such host",
	"920270-4": "the rule set asks for a refusal by the server; ours takes it, and the rule matches",
	"920274-1": "the rule set asks for a refusal by the server; ours takes it, and the rule matches",
	"920280-3": "refused before any handler: 505 instead of 400",
	"920290-1": "an empty host: the rule set asks for a refusal by the server",
	"920430-3": "refused before any handler: 505 instead of 400",
	"920430-5": "refused before any handler: the version is none",
	"920430-8": "refused before any handler: the version is none that is served",
	"920430-9": "refused before any handler: 505 instead of 400",
	"920610-2": "a fragment in the target: the rule set asks for a refusal by the server",
	"920620-1": "two media types are two to our server, where the rule set's joins them",
	"922130-1": "such a header of a part ends the reading: refused as a body that is not clear",
	"922130-2": "such a header of a part ends the reading: refused as a body that is not clear",
	"922130-7": "such a header of a part ends the reading: refused as a body that is not clear",
}

type testCase struct {
	ID     int `yaml:"test_id"`
	Stages []struct {
		Input struct {
			Method  string        `yaml:"method"`
			URI     string        `yaml:"uri"`
			Version *string       `yaml:"version"`
			Headers yaml.MapSlice `yaml:"headers"`
			Data    string        `yaml:"data"`
			Encoded string        `yaml:"encoded_request"`
			Auto    *bool         `yaml:"autocomplete_headers"`
		} `yaml:"input"`
		Output struct {
			Status int  `yaml:"status"`
			Error  bool `yaml:"expect_error"`
			Log    struct {
				Expect  []int  `yaml:"expect_ids"`
				None    []int  `yaml:"no_expect_ids"`
				Match   string `yaml:"match_regex"`
				NoMatch string `yaml:"no_match_regex"`
			} `yaml:"log"`
		} `yaml:"output"`
	} `yaml:"stages"`
}

type namedCase struct {
	name string
	testCase
}

func cases(t testing.TB) (all []namedCase) {
	t.Helper()
	err := fs.WalkDir(tests.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := tests.FS.ReadFile(name)
		if err != nil {
			return err
		}
		var file struct {
			Rule  int        `yaml:"rule_id"`
			Tests []testCase `yaml:"tests"`
		}
		if err := yaml.Unmarshal(b, &file); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range file.Tests {
			all = append(all, namedCase{fmt.Sprintf("%d-%d", file.Rule, c.ID), c})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// raw is a case's request as it goes over the wire.
func raw(c testCase, stage int) []byte {
	in := c.Stages[stage].Input
	if in.Encoded != "" {
		b, _ := base64.StdEncoding.DecodeString(in.Encoded)
		return b
	}
	has := func(name string) (string, bool) {
		for _, h := range in.Headers {
			if strings.EqualFold(fmt.Sprint(h.Key), name) {
				return text(h.Value), true
			}
		}
		return "", false
	}
	kind, typed := has("Content-Type")
	data := in.Data
	auto := in.Auto == nil || *in.Auto
	if strings.HasPrefix(strings.ToLower(kind), "multipart/") {
		data = strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\n", "\r\n")
	}
	version := "HTTP/1.1"
	if in.Version != nil {
		version = *in.Version
	}
	method := in.Method
	if method == "" {
		method = "GET"
	}
	uri := in.URI
	if uri == "" {
		uri = "/"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s", method, uri)
	if version != "" {
		fmt.Fprintf(&b, " %s", version)
	}
	b.WriteString("\r\n")
	for _, h := range in.Headers {
		fmt.Fprintf(&b, "%v: %s\r\n", h.Key, text(h.Value))
	}
	if auto {
		if data != "" && !typed {
			b.WriteString("Content-Type: application/x-www-form-urlencoded\r\n")
		}
		_, long := has("Content-Length")
		_, coded := has("Transfer-Encoding")
		if !long && !coded && (data != "" || method == "POST") {
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(data))
		}
		if _, ok := has("Connection"); !ok {
			b.WriteString("Connection: close\r\n")
		}
	}
	b.WriteString("\r\n")
	b.WriteString(data)
	return b.Bytes()
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// seen is what a request met.
type seen struct {
	ids      map[int]bool
	log      strings.Builder
	arrived  int
	requests []*waf.Request
}

func (s *seen) rule(m types.MatchedRule) {
	s.ids[m.Rule().ID()] = true
	s.log.WriteString(m.ErrorLog() + "\n")
}

// bench is a server with the engine in it.
type bench struct {
	e    *waf.Engine
	addr string
	mu   sync.Mutex
	seen *seen
}

func newBench(t testing.TB, e *waf.Engine) *bench {
	b := &bench{e: e}
	s := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(s.Close)
	b.addr = s.Listener.Addr().String()
	return b
}

func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, _ := io.ReadAll(r.Body) // of a body that breaks off, what came
	b.seen.arrived++
	req := &waf.Request{Method: r.Method, Target: r.RequestURI, Proto: r.Proto, Host: r.Host, Header: r.Header, Coding: r.TransferEncoding, Body: body, Level: waf.LevelMost}
	b.seen.requests = append(b.seen.requests, req)
	if _, err := b.e.Whole(req, b.seen.rule); err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	a := &waf.Answer{Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Type": {"text/html"}}, Level: waf.LevelMost}
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil && u.Path == "/reflect" {
		reflected(body, a)
	}
	if _, err := b.e.WholeAnswer(a, b.seen.rule); err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.WriteHeader(200)
}

// reflected makes the answer that a case asks its application for.
func reflected(body []byte, a *waf.Answer) {
	var wish struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Encoded string            `json:"encodedBody"`
	}
	if json.Unmarshal(body, &wish) != nil {
		return
	}
	if wish.Status > 0 {
		a.Status = wish.Status
	}
	for k, v := range wish.Headers {
		a.Header.Set(k, v)
	}
	a.Body = []byte(wish.Body)
	if wish.Encoded != "" {
		a.Body, _ = base64.StdEncoding.DecodeString(wish.Encoded)
	}
}

// send returns the status of the answer; 0 when the connection was closed without one.
func (b *bench) send(t testing.TB, c testCase, stage int) (status int, s *seen) {
	t.Helper()
	s = &seen{ids: map[int]bool{}}
	b.mu.Lock()
	b.seen = s
	b.mu.Unlock()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write(raw(c, stage)); err != nil {
		return 0, s
	}
	conn.(*net.TCPConn).CloseWrite()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, s
	}
	res.Body.Close()
	b.mu.Lock() // the handler is through
	defer b.mu.Unlock()
	return res.StatusCode, s
}

// wrong says how a case did not end as it must; "" when it did.
func wrong(c testCase, stage, status int, s *seen) string {
	out := c.Stages[stage].Output
	for _, id := range out.Log.Expect {
		if !s.ids[id] {
			return fmt.Sprintf("rule %d did not match; status %d", id, status)
		}
	}
	for _, id := range out.Log.None {
		if s.ids[id] {
			return fmt.Sprintf("rule %d matched", id)
		}
	}
	if out.Log.Match != "" && !regexp.MustCompile(out.Log.Match).MatchString(s.log.String()) {
		return "the log lacks " + out.Log.Match
	}
	if out.Log.NoMatch != "" && regexp.MustCompile(out.Log.NoMatch).MatchString(s.log.String()) {
		return "the log has " + out.Log.NoMatch
	}
	if out.Status != 0 && out.Status != status {
		return fmt.Sprintf("status %d, want %d", status, out.Status)
	}
	return ""
}

// setup is what the rule set's own tests run with.
const setup = `SecAction "id:109,phase:1,pass,nolog,setvar:tx.crs_validate_utf8_encoding=1,setvar:tx.arg_name_length=100,setvar:tx.arg_length=400,setvar:tx.total_arg_length=64000,setvar:tx.max_num_args=255,setvar:tx.max_file_size=64100,setvar:tx.combined_file_sizes=65535"
`

var engine = sync.OnceValues(func() (*waf.Engine, error) { return waf.Open(waf.Options{Setup: setup}) })

func open(t testing.TB) *waf.Engine {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// quick leaves one case in so many for make test; make more takes all.
func quick(all []namedCase) []namedCase {
	if os.Getenv("WRIT_WAF_CASES") == "all" {
		return all
	}
	every := 12
	var some []namedCase
	for i, c := range all {
		if _, miss := misses[c.name]; miss || i%every == 0 {
			some = append(some, c)
		}
	}
	return some
}

func TestRegressionCases(t *testing.T) {
	all := cases(t)
	if len(all) < 4674 {
		t.Errorf("%d cases, want 4674", len(all))
	}
	if len(misses) > 16 {
		t.Errorf("%d misses are more than 16", len(misses))
	}
	b := newBench(t, open(t))
	missed := map[string]bool{}
	run := quick(all)
	for _, c := range run {
		bad, status, s := "", 0, (*seen)(nil)
		for stage := 0; stage < len(c.Stages) && bad == ""; stage++ {
			status, s = b.send(t, c.testCase, stage)
			bad = wrong(c.testCase, stage, status, s)
		}
		if bad == "" {
			continue
		}
		missed[c.name] = true
		if misses[c.name] == "" {
			t.Errorf("%s: %s", c.name, bad)
		} else if refused := status >= 400 || status == 0; !refused && s.arrived != 1 {
			t.Errorf("%s: missed, and it was read as %d requests", c.name, s.arrived)
		}
	}
	for name := range misses {
		if !missed[name] && slices.ContainsFunc(run, func(c namedCase) bool { return c.name == name }) {
			t.Errorf("%s is no miss any more", name)
		}
	}
	t.Logf("%d of %d cases end as the rule set says", len(run)-len(missed), len(run))
}
