package console

import (
	"net/http"
	"strings"

	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/gateway/cache"
	"writ/internal/web"
)

// placesTable lists where the application is reached.
func placesTable(s gateway.State) web.Table {
	t := web.Table{Caption: "Where the application is reached", Columns: []web.Column{{Name: "Place"}, {Name: "Zone"}, {Name: "State"}, {Name: "Requests, 10 s", Figure: true}, {Name: "Failed", Figure: true}}}
	for _, u := range s.Upstreams {
		m := &web.Mark{State: web.Holds, Word: "in use"}
		switch u.State {
		case "out":
			m = &web.Mark{State: web.Broken, Word: "out: two checks failed"}
		case "resting":
			m = &web.Mark{State: web.StaleNow, Word: "rests: requests failed"}
		}
		zone := web.Cell{Text: u.Zone}
		if u.Local {
			zone.Sub = "ours, first"
		}
		if u.Zone == "" {
			zone.Text = "not named"
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: u.URL, Code: true}, zone, {Mark: m, Sub: u.Problem}, {Text: web.Number(u.Requests)}, {Text: web.Number(u.Failed)}}})
	}
	return t
}

// cacheTable lists the policy's classes of static files.
func cacheTable(s gateway.State) web.Table {
	t := web.Table{Caption: "Static files from memory, by class of the policy, since the start", Columns: []web.Column{{Name: "Class"}, {Name: "Routes"}, {Name: "From the cache", Figure: true}, {Name: "Asked", Figure: true}, {Name: "Files", Figure: true}},
		Empty: web.Empty{Says: "The policy names no class of static files."}}
	for _, c := range s.Cache {
		at := web.Cell{Text: strings.Join(c.Routes, ", "), Code: true}
		if len(c.Routes) == 0 {
			at = web.Cell{Mark: &web.Mark{State: web.Broken, Word: "no route"}, Sub: "routes.yaml: cache: " + c.Class}
		}
		rate := "nothing asked"
		if c.Asked() > 0 {
			rate = web.Number(c.Rate) + " %"
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: c.Class, Href: "/-/console/clauses/host.cdn"}, at, {Text: rate}, {Text: web.Number(c.Asked())}, {Text: web.Number(c.Stored)}}})
	}
	return t
}

func purgeForm(fail error) *web.Form {
	return &web.Form{Action: atGate + "/purge", Act: "Purge", Quiet: true, Part: "purge", Fault: fail, Fields: []web.Field{
		{Name: "what", Label: "Path or tag", Required: true, Max: 300, Hint: "/x is that file, /x/ all below, / everything; or a tag that the application gives its answers."},
		{Name: "reason", Label: "Reason", Max: 300, Hint: "Recorded; not shown to customers."}}}
}

func (c *Console) purge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	what := strings.TrimSpace(f.Get("what"))
	wish := cache.Wish{Tag: what}
	if strings.HasPrefix(what, "/") {
		wish = cache.Wish{Path: what}
	}
	n, err := c.Gateway.Purge(r.Context(), who, wish, strings.TrimSpace(f.Get("reason")))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.gatePage(w, r, who, err, true)
	}
	return c.done(w, r, atGate, web.Number(int64(n))+" cached files are forgotten here; other servers follow within two seconds.")
}
