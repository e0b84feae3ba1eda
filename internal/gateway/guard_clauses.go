package gateway

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/gateway/guard"
	"writ/internal/secret"
)

// Store is a place where this server itself keeps or writes text.
type Store struct {
	Name string
	// Each shows the texts of the last time, or of all time where they are few.
	Each func(ctx context.Context, look func(text []byte)) error
}

// Planted is somebody who is there for one run of a control.
type Planted struct {
	Email    string
	Password secret.Text
}

// The test numbers: a bank's own, which is no account, and one of social security that was
// in an advertisement and is nobody's.
const (
	testCard = "4111 1111 1111 1111"
	testSSN  = "219-09-9998"
)

// guardControls check the clauses of the leak guard.
func (g *Gateway) guardControls(door *canary.Door) []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	return []clause.Control{
		{ID: "gateway.test-card", Clause: noCard, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryCard(ctx, door) },
			Says: "Sends a test card's number in JSON, a form, an upload, an office file, a PDF and a query, which must be stopped or masked as the policy says, and the same without the number, which must pass"},
		{ID: "gateway.masked-answers", Clause: cardSummary, Kind: clause.Canary, Every: hour, FreshFor: day, Run: g.tryAnswers,
			Says: "Lets a test card's number come back in answers, cut over chunks, packed and escaped: no more than the policy's last digits may leave"},
		{ID: "gateway.own-stores", Clause: cardSummary, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeStores,
			Says: "Searches what this server itself keeps, the journal and its letters, for numbers of cards"},
		{ID: "gateway.test-ssn", Clause: noSSN, Kind: clause.Canary, Every: hour, FreshFor: day, Run: g.trySSN,
			Says: "Sends a social security number through the guard, which must answer as the policy says"},
		{ID: "gateway.notice-ssn", Clause: noSSN, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeNotices,
			Says: "Fetches the addresses that are tagged with notice: each must say that social security numbers are not wanted"},
		{ID: "gateway.notice-phi", Clause: noPHI, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeNotices,
			Says: "Fetches the addresses that are tagged with notice: each must say that health data is not wanted"},
	}
}

// carriers are the ways in which a number is sent.
func carriers(number string) map[string]func(v *canary.Visitor, path string) (*http.Request, error) {
	post := func(kind, body string) func(*canary.Visitor, string) (*http.Request, error) {
		return func(v *canary.Visitor, path string) (*http.Request, error) {
			r, err := http.NewRequest(http.MethodPost, v.Base+path, strings.NewReader(body))
			if err == nil {
				r.Header.Set("Content-Type", kind)
			}
			return r, err //nolint:wrapcheck // an address of our own
		}
	}
	quoted, _ := json.Marshal(number) // a string
	return map[string]func(*canary.Visitor, string) (*http.Request, error){
		"JSON":   post("application/json", `{"note":`+string(quoted)+`}`),
		"a form": post("application/x-www-form-urlencoded", url.Values{"note": {number}}.Encode()),
		"an upload": post("multipart/form-data; boundary=canary", "--canary\r\nContent-Disposition: form-data; name=\"note\"; filename=\"note.csv\"\r\nContent-Type: text/csv\r\n\r\nnote\n"+
			number+"\n\r\n--canary--\r\n"),
		"an office file": post("application/vnd.openxmlformats-officedocument.wordprocessingml.document", officeFile(number)),
		"a PDF":          post("application/pdf", pdfFile(number)),
		"a query": func(v *canary.Visitor, path string) (*http.Request, error) {
			return http.NewRequest(http.MethodGet, v.Base+path+"?note="+url.QueryEscape(number), nil) //nolint:wrapcheck // an address of our own
		},
	}
}

// officeFile is a document with a text that is cut into two runs, as programs do.
func officeFile(text string) string {
	var b strings.Builder
	z := zip.NewWriter(&b)
	w, err := z.Create("word/document.xml")
	if err == nil {
		_, err = fmt.Fprintf(w, `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>%s</w:t></w:r><w:r><w:t xml:space="preserve">%s</w:t></w:r></w:p></w:body></w:document>`, text[:6], text[6:])
	}
	if errors.Join(err, z.Close()) != nil {
		return "" // memory takes what is written
	}
	return b.String()
}

// pdfFile is a page that shows a text, packed.
func pdfFile(text string) string {
	var b strings.Builder
	z := zlib.NewWriter(&b)
	_, err := fmt.Fprintf(z, "BT /F1 12 Tf 72 700 Td (%s) Tj ET", text)
	if errors.Join(err, z.Close()) != nil {
		return "" // likewise
	}
	return fmt.Sprintf("%%PDF-1.7\n1 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream\nendobj\n%%%%EOF\n", b.Len(), b.String())
}

// tryCard is the canary of data.no-card: through the door where the policy wants a number
// stopped, else through the step.
func (g *Gateway) tryCard(ctx context.Context, door *canary.Door) (clause.Result, error) {
	if g.rules.Get().NoCard != "block" {
		return g.tryStep(ctx, guard.Card, testCard, g.rules.Get().NoCard)
	}
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	v := door.Visitor()
	defer v.Close()
	path, end, err := g.openPath(ctx, door, v)
	if err != nil {
		return clause.Result{}, err
	}
	defer end()
	var steps []clause.Step
	for _, c := range []struct{ number, want string }{{testCard, "422 sensitive_data"}, {"4111 1111 1111 1112", "passed on"}} {
		for _, name := range []string{"JSON", "a form", "an upload", "an office file", "a PDF", "a query"} {
			req, err := carriers(c.number)[name](v, path)
			if err != nil {
				return clause.Result{}, err
			}
			req = req.WithContext(ctx)
			req.Header.Set("Accept", "application/json")
			a, err := v.Send(req)
			if err != nil {
				return clause.Result{}, fmt.Errorf("send %s: %w", name, err)
			}
			got := "passed on"
			if m := problemCode.FindStringSubmatch(a.Body); m != nil && a.Status >= http.StatusBadRequest {
				got = fmt.Sprint(a.Status, " ", m[1])
			}
			control := c.want == "passed on"
			steps = append(steps, clause.Step{Act: "send a number in " + name, Expected: c.want, Got: got, OK: got == c.want || control && got != "422 sensitive_data", Control: control})
		}
	}
	return clause.Judge("a test card's number was stopped in JSON, a form, an upload, an office file, a PDF and a query", steps...), nil
}

// openPath is an address that takes a visitor's POST: a public one, or one for whoever is signed in.
func (g *Gateway) openPath(ctx context.Context, door *canary.Door, v *canary.Visitor) (string, func(), error) {
	t := g.current()
	for _, p := range t.rules.PublicPaths {
		if d := t.decide(http.MethodPost, unescape(p)); d.deny == nil && d.need == anyone && t.decide(http.MethodGet, unescape(p)).need == anyone {
			return p, func() {}, nil
		}
	}
	path := "/" + strings.ToLower(secret.RandomText(9).Reveal())
	switch d := t.decide(http.MethodPost, path); {
	case d.deny != nil || d.need == byRole:
		return "", nil, errors.New("no address takes a request from whoever is signed in")
	case d.need == anyone:
		return path, func() {}, nil
	case g.plant == nil:
		return "", nil, errors.New("nobody can be signed in for this control")
	}
	p, end, err := g.plant(ctx, door, "gateway.test-card")
	if err != nil {
		return "", nil, fmt.Errorf("sign somebody in: %w", err)
	}
	body, _ := json.Marshal(map[string]string{"email": p.Email, "password": p.Password.Reveal()}) // strings
	a, err := v.Do(ctx, http.MethodPost, "/-/api/v1/sign-in", string(body))
	if err != nil || a.Status != http.StatusOK {
		end()
		return "", nil, fmt.Errorf("sign somebody in: %d %w", a.Status, err)
	}
	return path, end, nil
}

// tryStep sends a number through the guard's step alone, and says what came of it.
func (g *Gateway) tryStep(ctx context.Context, class guard.Class, number, mode string) (clause.Result, error) {
	var steps []clause.Step
	want := map[string]string{"block": "refused", "redact": "masked", "warn": "noted", "notice": "passed on"}[mode]
	for _, c := range []struct {
		number, want string
		control      bool
	}{{number, want, false}, {"nothing", "passed on", true}} {
		got, err := g.throughStep(ctx, class, c.number)
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, clause.Step{Act: "send a form through the guard", Expected: c.want, Got: got, OK: got == c.want, Control: c.control})
	}
	return clause.Judge(fmt.Sprintf("a number sent in a form was %s, as the policy says: %s", want, mode), steps...), nil
}

func (g *Gateway) throughStep(ctx context.Context, class guard.Class, number string) (string, error) {
	body := url.Values{"note": {number}}.Encode()
	r := (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/"}, RequestURI: "/", Host: g.origin.Host, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), RemoteAddr: "127.0.0.1:0"}).WithContext(ctx)
	seen := sights{}
	seen.init()
	v := &visit{g: g, r: r, table: g.current()}
	w := &watcher{sights: &seen, rules: v.table.guards.in, in: true}
	v.need.node = v.table.rest
	if ref := v.guardBody(w); ref != nil {
		return "refused", nil
	}
	b, err := io.ReadAll(v.r.Body)
	if err != nil {
		return "", fmt.Errorf("read what was passed on: %w", err)
	}
	_ = v.r.Body.Close() // of memory
	switch {
	case string(b) != body:
		return "masked", nil
	case len(seen.n) > 0:
		return "noted", nil
	}
	return "passed on", nil
}

func (g *Gateway) trySSN(ctx context.Context) (clause.Result, error) {
	return g.tryStep(ctx, guard.SSN, testSSN, g.rules.Get().NoSSN)
}

// inParts is a body that comes in small pieces.
type inParts struct {
	rest []byte
	n    int
}

func (p *inParts) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.n, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

func (p *inParts) Close() error { return nil }

// tryAnswers lets answers with a number through the gate's last step.
func (g *Gateway) tryAnswers(ctx context.Context) (clause.Result, error) {
	rules := g.rules.Get()
	if cardActions[rules.NoCard] < guard.Mask {
		return clause.Failed("the policy only warns of cards' numbers: answers are not masked"), nil
	}
	const text = `{"note":"4111 1111 1111 1111","again":4111111111111111,"third":"\u0034111111111111111"}`
	var steps []clause.Step
	for _, c := range []struct {
		act    string
		packed bool
		length int64
		n      int
	}{{"whole", false, int64(len(text)), len(text)}, {"byte by byte", false, -1, 1}, {"cut in its middle", false, -1, 16}, {"packed", true, -1, 7}} {
		got, err := g.answered(ctx, []byte(text), c.packed, c.length, c.n)
		if err != nil {
			return clause.Result{}, err
		}
		found := "none"
		if !json.Valid(got) {
			found = "a document that does not parse"
		} else if bytes.Contains(got, []byte("411")) {
			found = "more than its end"
		}
		steps = append(steps, clause.Step{Act: "let a number come back " + c.act, Expected: "none", Got: found, OK: found == "none"})
	}
	got, err := g.answered(ctx, []byte(`{"note":"4111 1111 1111 1112"}`), false, -1, 5)
	if err != nil {
		return clause.Result{}, err
	}
	steps = append(steps, clause.Step{Act: "let another number come back", Expected: "as it is", Got: map[bool]string{true: "as it is", false: "changed"}[bytes.Contains(got, []byte("4111 1111 1111 1112"))],
		OK: bytes.Contains(got, []byte("4111 1111 1111 1112")), Control: true})
	return clause.Judge(fmt.Sprintf("of a number that comes back, however cut, packed or written, no more than the last %d digits leave", rules.Keep), steps...), nil
}

// answered is what is left of an answer after the gate's last step.
func (g *Gateway) answered(ctx context.Context, text []byte, packed bool, length int64, n int) ([]byte, error) {
	v := g.newVisit()
	v.table = g.current()
	v.need.node = v.table.rest
	v.r = (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}}).WithContext(ctx)
	res := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: length}
	if packed {
		p := guard.NewPacker()
		text = p.End(p.Pack(nil, text))
		res.Header.Set("Content-Encoding", "gzip")
	}
	res.Body = &inParts{text, n}
	if err := v.modify(res); err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var from io.Reader = res.Body
	if packed {
		from = guard.Unpack(res.Body, answerRatio)
	}
	b, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("read what is left of an answer: %w", err)
	}
	return b, nil
}

// probeStores looks for numbers of cards in what this server keeps.
func (g *Gateway) probeStores(ctx context.Context) (clause.Result, error) {
	if g.stores == nil {
		return clause.Result{}, errors.New("nobody told the gate what this server keeps")
	}
	all := g.stores()
	rules := guard.Rules{}
	rules.Do[guard.Card] = guard.Count
	var texts int64
	for _, st := range all {
		hits := 0
		err := st.Each(ctx, func(text []byte) {
			if texts++; guard.Harmless(text) {
				return
			}
			var s guard.Scanner
			s.Reset(rules, guard.Text, func(guard.Find) { hits++ })
			s.Close(s.Write(nil, text))
		})
		if err != nil {
			return clause.Result{}, fmt.Errorf("search the %s: %w", st.Name, err)
		}
		if hits > 0 {
			return clause.Failed(fmt.Sprintf("the %s holds %d numbers of cards", st.Name, hits)), nil
		}
	}
	r := clause.Passed(fmt.Sprintf("%d texts in %d places of this server hold no number of a card", texts, len(all)))
	r.Population = texts
	return r, nil
}

// probeNotices fetches what is tagged, as the application gives it to nobody.
func (g *Gateway) probeNotices(ctx context.Context) (clause.Result, error) { // clause: data.no-ssn, data.no-phi
	t, n := g.current(), int64(0)
	for i := range t.file.routes {
		r := &t.file.routes[i]
		if !r.Notice {
			continue
		}
		n++
		rec := g.answerTo(ctx, t.file.paths[i])
		if rec.status >= http.StatusBadGateway {
			return clause.Result{}, fmt.Errorf("the application answered %d at %s", rec.status, r.Path)
		}
		if rec.header.Get(NoticeHeader) == "" {
			return clause.Failed("the answer at " + r.Path + " carries no notice"), nil
		}
		if b := bytes.ToLower(rec.body.Bytes()); strings.HasPrefix(rec.header.Get("Content-Type"), "text/html") && bytes.Contains(b, []byte("<form")) && !bytes.Contains(b, []byte("writ-notice")) {
			return clause.Failed("the form at " + r.Path + " carries no notice"), nil
		}
	}
	if n == 0 {
		return clause.Result{}, errors.New("no route is tagged notice: true, so no form can say what is not wanted")
	}
	res := clause.Passed(fmt.Sprintf("%d tagged addresses say that such data is not wanted", n))
	res.Population = n
	return res, nil
}
