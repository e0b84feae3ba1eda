package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/web"
)

// name is the name behind a handle such as person/ana.
func (c *Console) name(ctx context.Context, handle string) string {
	bare := strings.TrimPrefix(handle, "person/")
	for _, h := range []string{bare, handle} {
		if id, _, err := c.Identity.PersonByHandle(ctx, h); err == nil {
			return c.Identity.Name(ctx, id)
		}
	}
	return bare
}

// handle is the signed-in person's own, as the policy spells it; "" for others.
func (c *Console) handle(ctx context.Context, who actor.Actor) string {
	if who.Kind != actor.Person {
		return ""
	}
	h, err := c.Identity.Handle(ctx, who.ID)
	if err != nil {
		return ""
	}
	return "person/" + strings.TrimPrefix(h, "person/")
}

// entryName is how an entry is shown and where it leads. Entries have an id at once and a
// number a moment later.
func entryName(e string) string {
	if n, err := strconv.ParseInt(e, 10, 64); err == nil && len(e) < 16 {
		return web.Number(n)
	}
	if len(e) > 8 {
		return "…" + e[len(e)-8:]
	}
	return e
}

// linked is a line with the entry linked for readers who may open it.
func (c *Console) linked(who actor.Actor, ev web.Evidence, entry string) web.Evidence {
	if entry == "" {
		return ev
	}
	ev.Entry = entryName(entry)
	if c.Access.May(who, access.JournalRead) {
		ev.Href = atJournal + "/" + url.PathEscape(entry)
		ev.Verify = ev.Href + "#proof"
	}
	return ev
}

// evidence is linked with the entry's number, which it has a moment after its id.
func (c *Console) evidence(ctx context.Context, who actor.Actor, ev web.Evidence, entry string) web.Evidence {
	if _, err := strconv.ParseInt(entry, 10, 64); err != nil && entry != "" {
		if e, err := c.Journal.ByID(ctx, entry); err == nil {
			entry = strconv.FormatInt(e.N, 10)
		}
	}
	return c.linked(who, ev, entry)
}

var handles = regexp.MustCompile(`\bperson/[a-z][a-z0-9-]*`)

// named puts names in the place of handles.
func (c *Console) named(ctx context.Context, s string) string {
	return handles.ReplaceAllStringFunc(s, func(h string) string { return c.name(ctx, h) })
}

// cut shortens a sentence at a word.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	at := strings.LastIndexByte(s[:n], ' ')
	if at < n/2 {
		at = n
		for at > 0 && s[at]&0xC0 == 0x80 {
			at--
		}
	}
	return strings.TrimRight(s[:at], " ,;:") + " …"
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	first, _, _ := strings.Cut(s, " ")
	if s[0] >= 'a' && s[0] <= 'z' && !strings.ContainsAny(first, "_/.") { // a name in code stays as it is
		s = string(s[0]-'a'+'A') + s[1:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".!?…") {
		s += "."
	}
	return s
}

// formed reports whether err is for the person who filled in a form, who shall see it
// beside what they wrote.
func formed(err error) bool {
	code, _ := fault.PublicOf(err)
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Malformed, fault.Conflict, fault.Gone, fault.Limited, fault.NotFound:
		return true
	case fault.Denied:
		return code != "denied" && code != "step_up_required" // a role that may not act at all gets the page that says so; a proof is asked for on a page of its own
	}
	return false
}

// beside puts a refusal beside the field that its code names.
func beside(err error, fields map[string]string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || len(f.Public.Fields) > 0 || fields[f.Code] == "" {
		return err
	}
	g := *f
	g.Public = fault.Public{Problem: "This was not done: one thing is to be mended.", Expected: f.Public.Expected, Next: f.Public.Next,
		Fields: []fault.Field{{Name: fields[f.Code], Code: f.Code, Problem: f.Public.Problem}}}
	return &g
}

// status is the answer of a refused form.
func status(err error) int { return fault.KindOf(err).Status() }

// signing is what a page needs to let somebody sign a text.
type signing struct {
	Who      string // name
	Mine     bool
	Text     string
	File     string // name of the download
	Href     string // of the download
	Command  web.Code
	HasKey   bool
	Form     web.Form
	Register string
}

// sign makes the three steps of a signature: fetch, sign, paste.
func sign(file, href, action, act string, hidden []web.Pair, err error) signing {
	return signing{File: file, Href: href, Register: atKeys,
		Command: web.Code{Label: "Sign it with your registered key", Text: "ssh-keygen -Y sign -n " + policy.Namespace + " -f ~/.ssh/id_ed25519 " + file},
		Form: web.Form{Action: action, Act: act, Hidden: hidden, Fault: err, Fields: []web.Field{{Name: "signature", Label: "Signature", Type: "textarea", Rows: 7,
			Required: true, Hint: "The whole of " + file + ".sig, from BEGIN to END SSH SIGNATURE. Who pastes it does not matter, whose key made it does."}}}}
}

var signFields = map[string]string{"signature": "signature", "unknown_key": "signature", "self_approval": "signature", "not_owner": "signature",
	"not_active": "signature", "signed_before": "signature", "author": "signature"}

// text answers with the exact bytes to sign.
func text(w http.ResponseWriter, file, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+file+`"`)
	_, err := w.Write([]byte(text))
	return err
}

// fileName makes a name for a download of parts that come from handles and versions.
func fileName(parts ...string) string {
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
	return strings.Trim(s, "-.") + ".txt"
}

// packed renders into memory and sends it compressed where the browser takes that. For
// the two long pages only: they hold no secret and nothing a request could plant.
func packed(w http.ResponseWriter, r *http.Request, render func(http.ResponseWriter) error) error {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return render(w)
	}
	p := &packer{ResponseWriter: w, status: http.StatusOK}
	if err := render(p); err != nil {
		return err
	}
	var z bytes.Buffer
	g, err := gzip.NewWriterLevel(&z, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := g.Write(p.body.Bytes()); err != nil {
		return err
	}
	if err := g.Close(); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Encoding", "gzip")
	h.Set("Content-Length", strconv.Itoa(z.Len()))
	h.Add("Vary", "Accept-Encoding")
	w.WriteHeader(p.status)
	_, err = w.Write(z.Bytes())
	return err
}

type packer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (p *packer) WriteHeader(status int)      { p.status = status }
func (p *packer) Write(b []byte) (int, error) { return p.body.Write(b) }
