package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/secret"
)

// Frame is what stands around a page.
type Frame string

// The frames.
const (
	Plain    Frame = "plain"    // the customer's page: name, logo, one column
	Document Frame = "document" // public: trust, status
	Console  Frame = "console"  // rail and top line
)

// View is a page to render.
type View struct {
	Title   string // the page's one h1 and the window's title
	Lead    string // one sentence below the title; "" for none
	Frame   Frame
	Up      *Link   // the page above this one
	Tabs    []Link  // sister pages
	Notice  *Notice // nil takes the one left by Tell
	Fault   error   // shown above the page by template "errors", unless the page's Form shows it
	Data    any
	Scripts []string // names of assets, loaded with defer
}

// Funcs is what templates may call beyond the shared functions.
type Funcs struct {
	Now  func() time.Time // required
	More template.FuncMap
}

// Pages are a module's page templates, parsed with the shared pieces. A page is a file
// NAME.html, whose text is the page's body; files that begin with _ hold {{define}}s
// for all of them. Its dot has the fields of View, Brand, Chrome, Path, RequestID and
// the method Asset.
//
// All pages of a module are one set of templates, and a frame stands around a body that
// was rendered before: a copy of the shared pieces for each page would be most of the
// live memory of an idle server, and the collector's work.
type Pages struct{ set *template.Template }

// page is the dot of a frame.
type page struct {
	View
	Brand     Brand
	Chrome    Chrome
	Banner    *Banner
	Path      string
	RequestID string
	Main      template.HTML // the body, rendered by a template of its own
	site      *site
}

// Mark is the id of the named field of the page's own form.
func (p *page) Mark(name string) string { return Form{}.Mark(name) }

// Asset is the address of a shared or module asset by its base name.
func (p *page) Asset(name string) (string, error) {
	if p.site == nil {
		return "/-/assets/0/" + name, nil // a page rendered outside a server, in a test
	}
	return p.site.server.assets.url(name)
}

// NewPages parses *.html of fsys, or of its folder templates.
func NewPages(fsys fs.FS, f Funcs) (*Pages, error) {
	if f.Now == nil {
		return nil, errors.New("web: Funcs.Now is required")
	}
	funcs := functions(f.Now)
	maps.Copy(funcs, f.More)
	base, err := template.New("").Funcs(funcs).Option("missingkey=error").ParseFS(shared, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse shared pieces: %w", err)
	}
	files, err := fs.Glob(fsys, "*.html")
	if err != nil || len(files) == 0 {
		if files, err = fs.Glob(fsys, "templates/*.html"); err != nil || len(files) == 0 {
			return nil, errors.New("web: no templates")
		}
	}
	var bodies []string
	for _, name := range files {
		if !strings.HasPrefix(path.Base(name), "_") {
			bodies = append(bodies, name)
			continue
		}
		if base, err = base.ParseFS(fsys, name); err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
	}
	for _, name := range bodies {
		if err := body(base, fsys, name); err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
	}
	return &Pages{set: base}, nil
}

// main is what a page's body is called in the set.
func main(name string) string { return "main/" + name }

func body(base *template.Template, fsys fs.FS, name string) error {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	before := len(base.Templates())
	if _, err := base.New(main(strings.TrimSuffix(path.Base(name), ".html"))).Parse(string(text)); err != nil {
		return err
	}
	if len(base.Templates()) != before+1 {
		return errors.New("a page defines no pieces: they belong to a file that begins with _")
	}
	return nil
}

// Render answers with the page. It renders before it sends: an error leaves the answer unbegun.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, status int, name string, v View) error {
	if p.set.Lookup(main(name)) == nil {
		return fmt.Errorf("render: no page %q", name)
	}
	if v.Frame == "" {
		v.Frame = Document
	}
	d := &page{View: v, Path: r.URL.Path, RequestID: RequestID(r.Context())}
	if st, ok := r.Context().Value(siteKey{}).(*site); ok {
		d.site, d.Brand = st, st.server.deps.Brand()
		if f := st.server.banner.Load(); f != nil {
			if b, ok := (*f)(r.Context(), st.who); ok {
				d.Banner = &b
			}
		}
		if f := st.server.chrome.Load(); f != nil && v.Frame == Console {
			d.Chrome = (*f)(r.Context(), st.who)
		}
	}
	told, hasTold := takeNotice(r)
	if d.Notice == nil && hasTold {
		d.Notice = &told
	}
	var b bytes.Buffer
	if err := p.set.ExecuteTemplate(&b, main(name), d); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	d.Main = template.HTML(b.String())
	b.Reset()
	if err := p.set.ExecuteTemplate(&b, "frame-"+string(v.Frame), d); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	if hasTold {
		ClearCookie(w, noticeCookie)
	}
	return buffered(w, "text/html; charset=utf-8", status, &b)
}

const noticeCookie = "writ-notice"

// Tell leaves a notice for the next page this browser opens: an act is a POST, then a
// redirect, then the page that says what happened.
func Tell(w http.ResponseWriter, n Notice) {
	b, err := json.Marshal(n)
	if err != nil || len(b) > 2048 {
		return // a notice too long for a cookie is only a kindness lost
	}
	SetCookie(w, noticeCookie, secret.NewText(base64.RawURLEncoding.EncodeToString(b)), time.Minute)
}

func takeNotice(r *http.Request) (n Notice, ok bool) {
	c := Cookie(r, noticeCookie)
	if c.IsZero() {
		return n, false
	}
	b, err := base64.RawURLEncoding.DecodeString(c.Reveal())
	if err != nil || json.Unmarshal(b, &n) != nil || n.Says == "" {
		return Notice{}, false
	}
	if n.Href != "" && !local(n.Href) || n.Undo != "" && !local(n.Undo) {
		return Notice{}, false
	}
	return n, true
}

// fielded spreads the refusals of f.Fault over f.Fields.
func fielded(f Form) []Field {
	_, pub := publicOf(f.Fault)
	out := make([]Field, len(f.Fields))
	for i, field := range f.Fields {
		for _, e := range pub.Fields {
			if e.Name == field.Name { // all that is wrong with it at once
				field.Error = strings.TrimSpace(field.Error + " " + e.Problem)
			}
		}
		field.Part = f.Part
		out[i] = field
	}
	return out
}

func publicOf(err error) (string, fault.Public) {
	if err == nil {
		return "", fault.Public{}
	}
	return fault.PublicOf(translate(err))
}
