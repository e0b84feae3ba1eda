package console

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/vault/bundle"
	"writ/internal/vault/scan"
	"writ/internal/web"
)

// Scans is what the pages of scans need.
type Scans interface {
	Scans(ctx context.Context, who actor.Actor) ([]scan.Place, error)
	Decide(ctx context.Context, who actor.Actor, in scan.Decision) error
}

// Bundles is what the page of bundles needs.
type Bundles interface {
	Bundles(ctx context.Context, who actor.Actor) ([]bundle.Issued, error)
	Revoke(ctx context.Context, who actor.Actor, id string) error
}

const (
	atScans   = atSecrets + "/scans"
	atBundles = atSecrets + "/bundles"
)

// scanRoutes are the pages of where secrets should not be, and of those that travel; none
// without them.
func (c *Console) scanRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	var out []web.Route
	if c.Scans != nil {
		out = append(out, staff("GET /-/console/secrets/scans", access.VaultList, atSecrets, c.showScans),
			staff("GET /-/console/secrets/scans/hit", access.VaultWrite, atSecrets, c.showHit),
			staff("POST "+atScans+"/hit", access.VaultWrite, atSecrets, c.decideHit))
	}
	if c.Bundles != nil {
		out = append(out, staff("GET /-/console/secrets/bundles", access.VaultList, atSecrets, c.showBundles),
			staff("POST "+atBundles+"/revoke", access.VaultWrite, atSecrets, c.revokeBundle))
	}
	return out
}

type scansPage struct {
	Acts   []web.Link
	Facts  []fact
	Tables []web.Table
	Form   *web.Form
}

func placeName(p scan.Place) string {
	if p.Host != "" {
		return p.Host + ":" + p.Path
	}
	return p.Path
}

// showScans lists the places that were searched, and what was found in them.
func (c *Console) showScans(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ps, err := c.Scans.Scans(r.Context(), who)
	if err != nil {
		return err
	}
	places := web.Table{Caption: "Places", Columns: []web.Column{{Name: "Place"}, {Name: "Searched"}, {Name: "Files", Figure: true}, {Name: "Open", Figure: true}},
		Empty: web.Empty{Says: "No place was searched. Name repositories, images and folders of configuration in writ.yaml (vault: scan), or run writ vault scan."}}
	hits := web.Table{Caption: "What was found", Columns: []web.Column{{Name: "What"}, {Name: "Where"}, {Name: "Shown"}, {Name: "State"}}, Empty: web.Empty{Says: "Nothing that is open or excepted."}}
	may := c.Access.May(who, access.VaultWrite)
	for _, p := range ps {
		open := 0
		for _, h := range p.Open {
			row, isOpen := c.hitRow(r.Context(), p, h, may)
			if hits.Rows = append(hits.Rows, row); isOpen {
				open++
			}
		}
		places.Rows = append(places.Rows, c.placeRow(r.Context(), p, open))
	}
	return c.show(w, r, "scans", web.View{Title: "Where secrets should not be", Lead: "Repositories, images and files that were searched for credentials: by the looks of them, and by the values that are kept here.",
		Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: scansPage{Tables: []web.Table{places, hits}}})
}

func (c *Console) placeRow(ctx context.Context, p scan.Place, open int) web.Row {
	how := "by itself, twice a day"
	if !p.Declared {
		how = "by " + c.acted(ctx, p.Scanner)
	}
	at := web.Cell{At: p.Scanned}
	switch {
	case p.Failed != "":
		at = web.Cell{Mark: &web.Mark{State: web.Broken, Word: p.Failed, At: p.Tried}}
	case p.Scanned.IsZero():
		at = web.Cell{Text: "not yet"}
	case p.Unread > 0:
		at.Sub = web.Count(p.Unread, "file") + " could not be read"
	}
	name := web.Cell{Text: placeName(p), Sub: how}
	if p.ID != "" {
		name.Href = atJournal + "?object=scan/" + p.ID
	}
	return web.Row{Cells: []web.Cell{name, at, {Text: web.Number(p.Files)}, {Text: strconv.Itoa(open)}}}
}

func (c *Console) hitRow(ctx context.Context, p scan.Place, h scan.Hit, may bool) (web.Row, bool) {
	what := web.Cell{Text: h.Says, Sub: h.Name}
	if may {
		what.Href = atScans + "/hit?" + url.Values{"place": {p.ID}, "hit": {h.ID}}.Encode()
	}
	at := h.File
	if h.Line > 0 {
		at += ":" + strconv.FormatInt(h.Line, 10)
	}
	place := web.Cell{Text: at, Sub: "in " + placeName(p)}
	if h.Commit != "" {
		place.Sub += ", in the history since " + h.Commit[:min(12, len(h.Commit))]
	}
	open := h.State != "excepted" || !c.Now().Before(h.Until)
	state := web.Cell{Mark: &web.Mark{State: web.Broken, Word: "open", At: h.Found}}
	if !open {
		state = web.Cell{Mark: &web.Mark{State: web.Excepted, Word: "excepted until " + day(h.Until)}, Sub: h.Reason + ", said by " + c.acted(ctx, h.Decided)}
	}
	return web.Row{Cells: []web.Cell{what, place, {Text: h.Masked, Code: true}, state}}, open
}

// showHit asks what became of one hit.
func (c *Console) showHit(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	return c.hitPage(w, r, who, http.StatusOK, scan.Decision{Place: q.Get("place"), Hit: q.Get("hit")}, "", nil)
}

func (c *Console) hitPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, d scan.Decision, until string, fail error) error {
	ps, err := c.Scans.Scans(r.Context(), who)
	if err != nil {
		return err
	}
	for _, p := range ps {
		i := slices.IndexFunc(p.Open, func(h scan.Hit) bool { return h.ID == d.Hit })
		if p.ID != d.Place || p.ID == "" || i < 0 {
			continue
		}
		h := p.Open[i]
		out := scansPage{Facts: []fact{{Name: "What", Text: h.Says, Sub: h.Name}, {Name: "Where", Text: path.Join(placeName(p), h.File), Sub: h.Commit}, {Name: "Shown", Text: h.Masked}, {Name: "Found", Time: h.Found}, {Name: "Seen last", Time: h.Seen}}}
		out.Form = &web.Form{Action: atScans + "/hit", Act: "Say what became of it", Fault: fail, Hidden: []web.Pair{{Name: "place", Value: p.ID}, {Name: "hit", Value: h.ID}}, Other: &web.Link{Text: "Not now", Href: atScans},
			Fields: []web.Field{{Name: "reason", Label: "What was done, or why it may stay", Value: d.Reason, Required: true, Max: 300, Complete: "off", Hint: "Such as: revoked at the provider, and removed."},
				{Name: "until", Label: "Excepted until", Value: until, Max: 10, Complete: "off", Hint: "A day such as 2027-03-31. Empty: it is mended. If the next scan sees it again, it is open again."}}}
		return c.answer(w, r, st, "scans", web.View{Title: "A credential that was found", Lead: "It is a finding until it is mended or excepted.", Up: &web.Link{Text: "Where secrets should not be", Href: atScans}, Data: out})
	}
	return fault.New(fault.NotFound, "hit_unknown", fault.Public{Problem: "There is no such open hit.", Next: "Look at the list of scans."})
}

func (c *Console) decideHit(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	d := scan.Decision{Place: f.Get("place"), Hit: f.Get("hit"), Reason: f.Get("reason")}
	until := strings.TrimSpace(f.Get("until"))
	if until != "" {
		if d.Until, err = time.Parse(time.DateOnly, until); err != nil {
			d.Until = c.Now() // no day within a year: refused like others
		}
	}
	if err := c.Scans.Decide(r.Context(), who, d); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		return c.hitPage(w, r, who, status(err), d, until, err)
	}
	if until != "" {
		return c.done(w, r, atScans, "The hit is excepted until "+day(d.Until)+".")
	}
	return c.done(w, r, atScans, "The hit is marked as mended.")
}

// showBundles lists values that machines carry for the time they are cut off.
func (c *Console) showBundles(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	bs, err := c.Bundles.Bundles(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Bundles", Columns: []web.Column{{Name: "Holds"}, {Name: "Machine"}, {Name: "Made by"}, {Name: "Used", Figure: true}, {Name: "State"}},
		Empty: web.Empty{Says: "No machine carries values. writ vault bundle create makes a bundle for one that may be cut off."}}
	var live []web.Option
	for _, b := range bs {
		state := web.Mark{State: web.Holds, Word: "until " + day(b.Ends)}
		switch {
		case !b.Revoked.IsZero():
			state = web.Mark{State: web.Excepted, Word: "revoked", At: b.Revoked}
		case !c.Now().Before(b.Ends):
			state = web.Mark{State: web.Unproved, Word: "ended"}
		default:
			live = append(live, web.Option{Value: b.ID, Text: strings.Join(b.Names, ", ")})
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: strings.Join(b.Names, ", "), Href: atJournal + "?object=bundle/" + b.ID}, {Text: b.Machine, Code: true}, {Text: c.acted(r.Context(), b.Issuer)},
			{Text: web.Number(b.Used)}, {Mark: &state}}})
	}
	out := scansPage{Tables: []web.Table{t}}
	if len(live) > 0 && c.Access.May(who, access.VaultWrite) {
		out.Form = &web.Form{Action: atBundles + "/revoke", Act: "Revoke it", Fields: []web.Field{{Name: "bundle", Label: "Bundle", Type: "select", Options: live}},
			Loses: "The machine does not open it after it has reported. One that stays cut off opens it until its end: where that matters, change the values."}
	}
	return c.show(w, r, "scans", web.View{Title: "Bundles for machines", Lead: "Values sealed to one machine, for the time the server cannot be reached. Each use is told when the machine is back.", Up: &web.Link{Text: "Parameters", Href: atSecrets}, Data: out})
}

func (c *Console) revokeBundle(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.Bundles.Revoke(r.Context(), who, strings.TrimSpace(f.Get("bundle"))); err != nil {
		return err
	}
	return c.done(w, r, atBundles, "The bundle is revoked.")
}
