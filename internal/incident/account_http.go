package incident

import (
	"bytes"
	"embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/incident/status"
	"writ/internal/web"
)

//go:embed templates/*.html
var pageFS embed.FS

const atAccounts = "/-/account/incidents"

// accountRoutes are what a team's admins read of incidents. No address names a team: it is the one that
// whoever is signed in acts in.
func (s *Service) accountRoutes() []web.Route {
	const v1 = " /-/api/v1/team/incidents"
	return []web.Route{
		{Pattern: "GET /-/account/incidents", Who: web.SignedIn, Handle: s.getAccountsPage},
		{Pattern: "GET /-/account/incidents/{ref}", Who: web.SignedIn, Handle: s.getAccountPage},
		{Pattern: "POST /-/account/incidents/{ref}", Who: web.SignedIn, Time: time.Minute, Handle: s.postAccountProof},
		{Pattern: "GET" + v1, Who: web.SignedIn, Handle: s.getAccounts, Doc: web.Doc{Summary: "What incidents did to my team, for its admins", Out: accountsOut{}, Errors: []string{"account_staff"}}},
		{Pattern: "GET" + v1 + "/{ref}", Who: web.SignedIn, Handle: s.getAccount, Doc: web.Doc{Summary: "What an incident did to my team: time out, lost changes, exposed data, letters; that it was read is recorded", Out: accountOut{}, Errors: []string{"account_staff", "account_unknown"}}},
		{Pattern: "POST" + v1 + "/{ref}/proof", Who: web.SignedIn, Time: time.Minute, Handle: s.postAccountProof, Doc: web.Doc{Summary: "The account as a zip that writ verify checks without this server", Errors: []string{"account_staff", "account_unknown"}}},
	}
}

type (
	outageOut struct {
		Down    int64 `json:"down_seconds"`
		Partial int64 `json:"partial_seconds"`
		Unseen  int64 `json:"unseen_seconds"`
	}
	accountOut struct {
		Ref      string     `json:"ref"`
		Team     string     `json:"team"`
		Shown    bool       `json:"shown"`
		Affected string     `json:"affected"` // yes, no, unknown
		Title    string     `json:"title,omitempty"`
		State    string     `json:"state,omitempty"`
		Page     string     `json:"url,omitempty"`
		From     time.Time  `json:"from"`
		Until    *time.Time `json:"until,omitempty"`
		outageOut
		Writes   int64     `json:"lost_writes"`
		Lost     []Write   `json:"lost"`
		Data     []Exposed `json:"data"`
		Held     bool      `json:"held_back,omitempty"` // there may be more, for those with a role in the incident
		Messages []Message `json:"messages"`
		Entries  []int64   `json:"entries"` // of the journal, about when it was out
	}
	accountsOut struct {
		Accounts []accountOut `json:"accounts"`
	}
	totalsOut struct {
		Ref     string   `json:"ref"`
		TeamIDs []string `json:"teams"`
		Teams   int64    `json:"count"`
		outageOut
		Writes  int64     `json:"lost_writes"`
		Letters int64     `json:"letters"`
		Outside int64     `json:"letters_outside"`
		Data    []Exposed `json:"data"`
		Held    bool      `json:"held_back,omitempty"`
	}
)

func wireOutage(o status.Outage) outageOut {
	return outageOut{int64(o.Down / time.Second), int64(o.Partial / time.Second), int64(o.Unseen / time.Second)}
}

func wireAccount(a Account) accountOut {
	return accountOut{a.Ref, a.Team, a.Shown, a.Affected, a.Title, a.State, a.Page, a.From, known(a.Until), wireOutage(a.Out), a.Writes, append([]Write{}, a.Lost...), append([]Exposed{}, a.Data...), a.Held, append([]Message{}, a.Messages...), append([]int64{}, a.Entries...)}
}

func (s *Service) getAccounts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.Accounts(r.Context(), who)
	if err != nil {
		return err
	}
	out := accountsOut{Accounts: []accountOut{}}
	for _, a := range all {
		out.Accounts = append(out.Accounts, wireAccount(a))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getAccount(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	a, err := s.Account(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireAccount(a))
}

func (s *Service) postAccountProof(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	var zip bytes.Buffer
	if err := s.ProveAccount(r.Context(), who, r.PathValue("ref"), &zip); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="account.zip"`)
	_, err := w.Write(zip.Bytes())
	return err //nolint:wrapcheck // the reader went away
}

func (s *Service) getAccountOf(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	a, err := s.AccountOf(r.Context(), who, r.PathValue("ref"), r.PathValue("team"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireAccount(a))
}

func (s *Service) getTotals(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t, teams, err := s.AccountTotals(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, totalsOut{strings.ToUpper(r.PathValue("ref")), append([]string{}, teams...), t.Teams, wireOutage(t.Out), t.Writes, t.Letters, t.Outside, append([]Exposed{}, t.Data...), t.Held})
}

func (s *Service) getAccountsPage(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.Accounts(r.Context(), who)
	if err != nil {
		return err
	}
	t := web.Table{Caption: "Incidents, the newest first", Columns: []web.Column{{Name: "Incident"}, {Name: "Your team"}, {Name: "Out", Figure: true}, {Name: "Lost changes", Figure: true}, {Name: "Began"}},
		Empty: web.Empty{Says: "No incident has affected your team.", Next: web.Link{Text: "Look at the status page", Href: status.At}}}
	for _, a := range all {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: a.named(), Href: atAccounts + "/" + a.Ref, Sub: a.State}, {Text: affectedWords[a.Affected]}, {Text: lasted(a.Out.Down + a.Out.Partial)}, {Text: web.Number(a.Writes)}, {At: a.From}}})
	}
	return s.set.Render(w, r, http.StatusOK, "accounts", web.View{Title: "Incidents", Lead: "What each incident did to your team: for its admins alone.", Frame: web.Document, Tabs: s.tabs(), Data: t})
}

var affectedWords = map[string]string{affectedYes: "was affected", affectedNo: "was not affected", affectedUnknown: "is not decided yet"}

// named is what an incident is called in an account. Its title inside is nothing for customers.
func (a Account) named() string {
	if a.Title == "" {
		return "Incident " + a.Ref
	}
	return a.Title
}

func lasted(d time.Duration) string {
	switch {
	case d == 0:
		return "none"
	case d < time.Minute:
		return "less than a minute"
	}
	return web.Duration(d.Truncate(time.Minute))
}

// tabs are those of the account.
func (s *Service) tabs() []web.Link {
	if s.Tabs == nil {
		return nil
	}
	return s.Tabs(atAccounts)
}

// accountPage is what a team's admins see of one incident.
type accountPage struct {
	Facts, Data, Lost, Messages web.Table
	Proof                       web.Form
}

const mostShown = 200 // lost writes on the page; the JSON has all of them

func (s *Service) getAccountPage(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	a, err := s.Account(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	p := accountPage{Proof: web.Form{Action: atAccounts + "/" + a.Ref, Act: "Get the proof", Quiet: true}, Facts: a.facts(),
		Data:     web.Table{Caption: "Data of your team", Columns: []web.Column{{Name: "What happened to it"}, {Name: "Records", Figure: true}, {Name: "People", Figure: true}, {Name: "Kinds of data"}}},
		Lost:     web.Table{Caption: "Changes that are gone", Columns: []web.Column{{Name: "Change"}, {Name: "Record"}, {Name: "Who"}, {Name: "When"}}},
		Messages: web.Table{Caption: "What your people were told", Columns: []web.Column{{Name: "About"}, {Name: "Letters", Figure: true}, {Name: "State"}, {Name: "Since"}, {Name: "Entries"}}, Empty: web.Empty{Says: "No letter was sent to your people."}}}
	for _, x := range a.Data {
		what := classWords[x.Class]
		if x.Whole > 0 {
			what += "; also of the team as a whole"
		}
		p.Data.Rows = append(p.Data.Rows, web.Row{Cells: []web.Cell{{Text: what}, {Text: web.Number(x.Records)}, {Text: web.Number(x.People)}, {Text: strings.Join(x.Data, ", ")}}})
	}
	for _, x := range a.Lost[:min(len(a.Lost), mostShown)] {
		p.Lost.Rows = append(p.Lost.Rows, web.Row{Cells: []web.Cell{{Text: x.Route, Code: true}, {Text: x.Record, Code: true}, {Text: s.name(r.Context(), x.Person)}, {Text: stamp(x.At)}}})
	}
	p.Lost.Count = web.Count(a.Writes, "change")
	if len(a.Lost) > mostShown {
		p.Lost.Export = []web.Link{{Text: "all of them as JSON", Href: "/-/api/v1/team/incidents/" + a.Ref}}
	}
	for _, m := range a.Messages {
		about := aboutWords[m.About]
		if m.Class != "" {
			about += ": " + strings.ToLower(classWords[m.Class])
		}
		p.Messages.Rows = append(p.Messages.Rows, web.Row{Cells: []web.Cell{{Text: about}, {Text: web.Number(m.Letters)}, {Text: stateWords(m.State)}, {At: m.At}, {Text: numbers(m.Entries)}}})
	}
	return s.set.Render(w, r, http.StatusOK, "account", web.View{Title: a.named(), Lead: "What " + a.Ref + " did to your team.", Frame: web.Document, Tabs: s.tabs(), Data: p})
}

var (
	classWords = map[string]string{"obtained": "Taken by somebody who had no right to it", "accessed": "Looked at", "possibly": "Possibly seen", cannotKnow: "We cannot know: our record is not whole"}
	aboutWords = map[string]string{"outage": "What happened", "lost-writes": "Lost changes", "exposed-data": "Exposed data"}
)

// stateWords is how a message stands. Nobody knows of a letter that it was read.
func stateWords(state string) string {
	return map[string]string{handed: "sent", queued: "on its way", failed: "nobody could be reached", otherwise: "told in another way", letterTaken: "taken by the mail host", letterTold: "told",
		letterRefused: "refused by the mail host", letterUnknown: "nobody knows whether it arrived", letterNoWay: "no address that works", letterStopped: "not sent", "sent": "sent"}[state]
}

func (a Account) facts() web.Table {
	t := web.Table{Columns: []web.Column{{Name: "What"}, {Name: "Your team"}}}
	row := func(what, says, sub string) {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: what}, {Text: says, Sub: sub}}})
	}
	row("Your team", affectedWords[a.Affected], "")
	until := "goes on"
	if !a.Until.IsZero() {
		until = "until " + stamp(a.Until)
	}
	row("From", stamp(a.From), until)
	row("Down", lasted(a.Out.Down), "of what was seen; "+entriesIn(a.Entries))
	row("Working in part", lasted(a.Out.Partial), "")
	if a.Out.Unseen > 0 {
		row("Nobody was there to see", lasted(a.Out.Unseen), "it may have been down")
	}
	row("Changes of your team that are lost", web.Number(a.Writes), "")
	if a.Page != "" {
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: "What everybody reads"}, {Text: "The status page", Href: a.Page}}})
	}
	return t
}

func entriesIn(ns []int64) string {
	if len(ns) == 0 {
		return "no entry of the journal"
	}
	return "entries " + numbers(ns)
}

// numbers are those of entries, the first ten.
func numbers(ns []int64) string {
	var out []string
	for _, n := range ns[:min(len(ns), 10)] {
		out = append(out, strconv.FormatInt(n, 10))
	}
	if len(ns) > len(out) {
		out = append(out, fmt.Sprintf("%d more", len(ns)-len(out)))
	}
	return strings.Join(out, ", ")
}
