package gateway

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
)

// Where a route is tagged browser, what its pages' forms send must come from such a page, shown
// to whoever sends it in a browser: the gate puts a field into each form that a program which
// only knows the address does not have, and one that a person does not see and leaves empty.
// It needs no script, no cookie and no picture to read. Programs with tokens are not asked.
//
//	page ─► form with method post, to this site ─► fields for that address ─► ... ─► step browser
//
// A field is good for the address of one form, one session (strangers: one kind of browser), from
// two seconds after the page was made, since nobody fills a form faster, up to four hours.

const (
	formField  = "writ-form"
	formTrap   = "writ-website"
	formHeader = "Writ-Form" // where scripts say what is in the field
	formSoon   = 2 * time.Second
	formLate   = 4 * time.Hour
	formHead   = 8 << 10 // bytes of a body, in which the fields stand: they come first in a form
)

var (
	refuseBrowser = deny(noAutomation, fault.Denied, "browser_required", fault.Public{
		Problem: "What you sent did not come from a form of this site, shown in a browser.", Expected: "The form as the page shows it, sent from that page within four hours; programs use the interface, with a token.", Next: "Open the page again and send the form from there."})
	refuseHaste = deny(noAutomation, fault.Denied, "browser_required", fault.Public{
		Problem: "The form was sent the moment it was shown.", Expected: "At least two seconds between.", Next: "Go back, and send it again."})
)

func isBrowser(r *rule) bool { return r.browser }

// forms make and check what stands in forms.
type forms struct{ key envelope.Key }

func (f forms) sum(at time.Time, to, session string) []byte {
	sum := f.key.MAC("form", strconv.FormatInt(at.Unix(), 10), to, session)
	return sum[:18]
}

// mark is the field's value for a form that goes to an address.
func (f forms) mark(at time.Time, to, session string) string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, uint32(at.Unix())), f.sum(at, to, session)...)) //nolint:gosec // until 2106
}

// check says what is wrong with a value; nil = nothing.
func (f forms) check(value string, now time.Time, to, session string) *refusal {
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) != 22 {
		return refuseBrowser
	}
	at := time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
	switch age := now.Sub(at); {
	case subtle.ConstantTimeCompare(b[4:], f.sum(at, to, session)) != 1, age > formLate, age < 0:
		return refuseBrowser
	case age < formSoon:
		return refuseHaste
	}
	return nil
}

// bearer is whom a form is for: a session, or a stranger's kind of browser.
func (v *visit) bearer() string {
	if v.who.Session != "" {
		return "session " + v.who.Session
	}
	return "stranger " + v.r.Header.Get("User-Agent")
}

// browser asks for the proof. Nothing but the beginning of the body is read for it.
func (v *visit) browser() *refusal { // clause: use.no-automation
	if !v.need.tagged(isBrowser) || v.asked || !v.changes() || v.who.ByToken() {
		return nil
	}
	if v.dry {
		v.note("It must come from a form of this site, shown in a browser.")
		return nil
	}
	if !v.fromHere() {
		return refuseBrowser
	}
	mark, trap := v.r.Header.Get(formHeader), ""
	if mark == "" {
		var ref *refusal
		if mark, trap, ref = v.formFields(); ref != nil {
			return ref
		}
	}
	if trap != "" {
		return refuseBrowser
	}
	return v.g.forms.check(mark, v.g.now(), v.target.path, v.bearer())
}

// fromHere reports whether the browser says that one of this site's pages sent the request.
func (v *visit) fromHere() bool {
	switch v.r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
		return true
	case "":
		u, err := url.Parse(v.r.Header.Get("Origin"))
		return err == nil && u.Host == v.r.Host
	}
	return false
}

// formFields reads the two fields at the beginning of a form.
func (v *visit) formFields() (mark, trap string, bad *refusal) {
	r := v.r
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.Body == nil || r.ContentLength == 0 || packing(r.Header) != bare {
		return "", "", refuseBrowser
	}
	head := make([]byte, formHead)
	n, err := io.ReadFull(r.Body, head)
	head = head[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if ref := bodyFault(err); ref != nil {
			return "", "", ref
		}
		return "", "", refuseBody
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	switch kind {
	case "application/x-www-form-urlencoded":
		mark, trap = inQuery(string(head))
	case "multipart/form-data":
		mark, trap = inForm(head, params["boundary"])
	}
	return mark, trap, nil
}

const formFirst = 50 // fields among which the two are looked for

// inQuery looks for the two fields.
func inQuery(s string) (mark, trap string) {
	for pair := range strings.SplitSeq(s, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case formField:
			mark = value
		case formTrap:
			trap = value
		}
	}
	return mark, trap
}

func inForm(head []byte, boundary string) (mark, trap string) {
	m := multipart.NewReader(bytes.NewReader(head), boundary)
	for range formFirst {
		p, err := m.NextRawPart()
		if err != nil {
			break
		}
		b, _ := io.ReadAll(io.LimitReader(p, 100)) // of memory; a longer value is none of ours
		switch p.FormName() {
		case formField:
			mark = string(b)
		case formTrap:
			trap = string(b)
		}
	}
	return mark, trap
}

var formWords = regexp.MustCompile(`(?is)[\s"'](method|action)\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+)`)

// stamp is what goes into a form, behind its tag: nothing where it is not sent by POST to this site.
func (v *visit) stamp(tag []byte) string { // clause: use.no-automation
	method, action := "", ""
	for _, m := range formWords.FindAllSubmatch(tag, 8) {
		value := html.UnescapeString(strings.Trim(string(m[2]), `"'`))
		if strings.EqualFold(string(m[1]), "method") && method == "" {
			method = value
		} else if strings.EqualFold(string(m[1]), "action") && action == "" {
			action = value
		}
	}
	if !strings.EqualFold(method, http.MethodPost) {
		return ""
	}
	page := &url.URL{Scheme: "https", Host: v.r.Host, Path: v.target.path}
	to, err := page.Parse(strings.TrimSpace(action))
	if err != nil || to.Scheme != "https" || to.Host != v.r.Host {
		return ""
	}
	t, ref := parseTarget(to.EscapedPath())
	if ref != nil {
		return ""
	}
	return `<input type="hidden" name="` + formField + `" value="` + v.g.forms.mark(v.g.now(), t.path, v.bearer()) + `"><input type="text" name="` + formTrap + `" value="" hidden autocomplete="off" tabindex="-1">`
}

// forOne says that a page is made for whoever asked: its fields are good for nobody else, and not for long.
func forOne(h http.Header) { h["Cache-Control"] = []string{"no-store"} }
