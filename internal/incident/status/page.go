package status

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"writ/internal/ledger"
	"writ/internal/web"
)

//go:embed page/*.html page/status.css page/icon.svg
var pageFS embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"clock": func(t time.Time) template.HTML {
		if t.IsZero() {
			return ""
		}
		u := t.UTC()
		return template.HTML(`<time datetime="` + u.Format(time.RFC3339) + `">` + u.Format("2 January, 15:04 UTC") + `</time>`) //nolint:gosec // made here, from a time
	},
	"word":  Word,
	"lines": func(s string) []string { return strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") },
	"drawn": func(s string) template.HTML { return template.HTML(s) }, //nolint:gosec // drawn here, from states and dates
}).ParseFS(pageFS, "page/*.html"))

// Word is a state as people read it.
func Word(state string) string {
	if state == "" {
		return ""
	}
	w := strings.ReplaceAll(state, "_", " ")
	return strings.ToUpper(w[:1]) + w[1:]
}

// file is an answer that was made beforehand.
type file struct {
	kind string
	body []byte
	etag string
	open bool // other sites' scripts may read it
}

// shown is everything that the page is made of, by its address below At; "" is the page.
type shown struct {
	turn  int64
	made  time.Time
	files map[string]file
	alone map[string]file // as they are at a name of the page's own
	world world
}

// world is what is told.
type world struct {
	Company    string
	Origin     string
	Made       time.Time
	Components []bar
	Open       []Public
	Past       []Public
	Windows    []Window
	Done       []Window
	names      map[string]string
}

// bar is a component with its days.
type bar struct {
	Component
	Days   []Day
	Uptime string
	Drawn  string
}

// Indicator is how bad it is: none, minor, major, critical or maintenance.
func (w world) Indicator() string {
	worst := Operational
	for _, c := range w.Components {
		if worse(c.State, worst) {
			worst = c.State
		}
	}
	switch worst {
	case MajorOutage:
		return "critical"
	case PartialOutage:
		return "major"
	case Degraded:
		return "minor"
	case UnderWork:
		return "maintenance"
	}
	if len(w.Open) > 0 {
		return "minor"
	}
	return "none"
}

// Says is the state in one sentence.
func (w world) Says() string {
	return map[string]string{"none": "Everything works", "minor": "Some things do not work as they should", "major": "A part of the service does not work", "critical": "The service does not work", "maintenance": "Maintenance is under way"}[w.Indicator()]
}

// Refresh makes everything anew from the database, for this node.
func (s *Service) Refresh(ctx context.Context) error {
	x := &shown{made: s.Now()}
	if err := ledger.One(ctx, s.DB, readTurn, []any{&x.turn}); err != nil {
		return fmt.Errorf("read the turn of the page: %w", err)
	}
	var err error
	if x.world, err = s.look(ctx, x.made); err != nil {
		return err
	}
	if x.files, err = x.world.files(live); err != nil {
		return err
	}
	if s.Host != "" {
		if x.alone, err = x.world.files(apart); err != nil {
			return err
		}
	}
	s.shown.Store(x)
	return nil
}

// Tend keeps the page: a change of another node shows within a second, ages and bars within a
// minute; what is seen is written down.
func (s *Service) Tend(ctx context.Context) error {
	errs := []error{s.see(ctx), s.turnDue(ctx), s.remind(ctx)}
	var turn int64
	if err := ledger.One(ctx, s.DB, readTurn, []any{&turn}); err != nil {
		return errors.Join(append(errs, err)...)
	}
	if x := s.shown.Load(); x == nil || x.turn != turn || s.Now().Sub(x.made) >= time.Minute {
		errs = append(errs, s.Refresh(ctx))
	}
	return errors.Join(errs...)
}

func (s *Service) look(ctx context.Context, now time.Time) (world, error) {
	w := world{Company: s.Company(), Origin: s.Origin, Made: now, names: map[string]string{}}
	cs, err := s.Components(ctx)
	if err != nil {
		return world{}, err
	}
	of, seen, err := s.spans(ctx, now)
	if err != nil {
		return world{}, err
	}
	for _, c := range cs {
		b := bar{Component: c, Days: bars(of[c.ID], seen, now)}
		b.Drawn = draw(c, b.Days)
		if up := uptime(b.Days); up >= 0 {
			b.Uptime = fmt.Sprintf("%d.%02d %%", up/100, up%100)
		}
		w.names[c.ID] = c.Name
		w.Components = append(w.Components, b)
	}
	all, err := s.incidents(ctx)
	if err != nil {
		return world{}, err
	}
	for _, p := range all {
		if p.Ended.IsZero() {
			w.Open = append(w.Open, p)
		} else {
			w.Past = append(w.Past, p)
		}
	}
	ws, err := windows(ctx, s.DB, lastWindows)
	if err != nil {
		return world{}, err
	}
	for _, x := range ws {
		if x.State == Completed {
			w.Done = append(w.Done, x)
		} else {
			w.Windows = append([]Window{x}, w.Windows...)
		}
	}
	return w, nil
}

// place is how addresses are written: on the server, or in a folder of files.
type place struct{ root, up, ext, home string }

var (
	live   = place{root: At + "/", up: At + "/", home: At}
	folder = place{up: "../", ext: ".html", home: "index.html"}
)

// view is the dot of a page.
type view struct {
	world
	Title string
	Root  string // before addresses of this page
	Home  string
	Ext   string
	More  string // before addresses of what is more than reading; "" = this server may be away
	One   *Public
}

// files makes all answers.
func (w world) files(p place) (map[string]file, error) {
	out := map[string]file{}
	var errs []error
	html := func(name, tmpl string, v view) {
		var b bytes.Buffer
		errs = append(errs, pages.ExecuteTemplate(&b, tmpl, v))
		out[name] = made("text/html; charset=utf-8", b.Bytes())
	}
	v := view{world: w, Title: w.Says(), Root: p.root, Home: p.home, Ext: p.ext}
	switch p {
	case live:
		v.More = p.root
	case apart:
		v.More = w.Origin + At + "/"
	}
	html("", "status.html", v)
	for _, list := range [][]Public{w.Open, w.Past} {
		for i := range list {
			v.One, v.Title, v.Root = &list[i], list[i].Title, p.up
			if p == folder {
				v.Home = p.up + p.home
			}
			html("incidents/"+list[i].ID, "incident.html", v)
		}
	}
	css, err := pageFS.ReadFile("page/status.css")
	out["status.css"] = made("text/css; charset=utf-8", css)
	icon, err2 := pageFS.ReadFile("page/icon.svg")
	out["icon.svg"] = made("image/svg+xml", icon)
	w.ical(out)
	errs = append(errs, err, err2, w.wire(out), w.feeds(out))
	return out, errors.Join(errs...)
}

func made(kind string, body []byte) file {
	h := sha256.Sum256(body)
	return file{kind: kind, body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(h[:12]) + `"`}
}

// draw is the bar of a component: one path of the days on which all was well, and a shape of
// its own for each other day, so that it is not the colour alone that tells.
func draw(c Component, ds []Day) string {
	var good, rest strings.Builder
	bad, blind := 0, 0
	for i, d := range ds {
		x := i * 5
		says := d.Date.Format("2 January") + ": "
		switch d.State {
		case Operational:
			fmt.Fprintf(&good, "M%d 2h3v28h-3z", x)
			continue
		case "":
			blind++
			fmt.Fprintf(&rest, `<path class="unseen" d="M%d 16h3v14h-3z"><title>%snot observed</title></path>`, x, says)
			continue
		case UnderWork:
			fmt.Fprintf(&rest, `<path class="work" d="M%d 9h3v21h-3z"><title>%smaintenance</title></path>`, x, says)
			continue
		}
		bad++
		top := map[string]int{Degraded: 6, PartialOutage: 14, MajorOutage: 22}[d.State]
		fmt.Fprintf(&rest, `<path class="%s" d="M%d %dh3V30h-3z"><title>%s%s, %s</title></path>`, d.State, x, top, says, strings.ToLower(Word(d.State)), web.Duration(d.Bad.Round(time.Minute)))
	}
	label := fmt.Sprintf("%s, the last %d days: %s with trouble, %s not observed", c.Name, days, web.Count(int64(bad), "day"), web.Count(int64(blind), "day"))
	return `<svg viewBox="0 0 450 32" preserveAspectRatio="none" role="img" aria-label="` + template.HTMLEscapeString(label) + `"><path class="good" d="` + good.String() + `"/>` + rest.String() + `</svg>`
}
