package console

import (
	"net/http"
	"net/url"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/web"
)

const atProvisioning = "/-/console/provisioning"

// provisioningRoutes are the page of the directories that make and end people.
func (c *Console) provisioningRoutes(staff func(pattern string, need access.Action, at string, h web.Handler) web.Route) []web.Route {
	return []web.Route{
		staff("GET "+atProvisioning, access.ProvisioningManage, atPeople, c.showProvisioning),
		staff("POST "+atProvisioning, access.ProvisioningManage, atPeople, c.connect),
		staff("POST "+atProvisioning+"/{id}/token", access.ProvisioningManage, atPeople, c.renewConnection),
		staff("POST "+atProvisioning+"/{id}/end", access.ProvisioningManage, atPeople, c.disconnect),
	}
}

type connectionRow struct {
	Name, Team, Made string
	Facts            []fact
	Token, End       string
}

type provisioningPage struct {
	OneTime     *web.Code
	Address     web.Code
	Connections []connectionRow
	Form        web.Form
}

func (c *Console) showProvisioning(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.provisioningPage(w, r, who, url.Values{}, nil, "")
}

func (c *Console) provisioningPage(w http.ResponseWriter, r *http.Request, who actor.Actor, v url.Values, fail error, token string) error {
	list, err := c.Identity.Connections(r.Context(), who)
	if err != nil {
		return err
	}
	p := provisioningPage{Address: web.Code{Label: "The address to give to the directory (its tenant or base URL)", Text: c.Origin + identity.ProvisionBase}, Form: connectForm(v, fail)}
	if token != "" {
		p.OneTime = &web.Code{Label: "The token for the directory. It is shown this once.", Text: token}
	}
	for _, n := range list {
		p.Connections = append(p.Connections, c.connectionRow(r, n))
	}
	st := http.StatusOK
	if fail != nil {
		st = status(fail)
	}
	return c.answer(w, r, st, "provisioning", web.View{Title: "Directories", Lead: "A directory such as Microsoft Entra or Okta makes the people of a team, and ends everything of those who leave.",
		Up: &web.Link{Text: "People", Href: atPeople}, Data: p})
}

func (c *Console) connectionRow(r *http.Request, n identity.Connection) connectionRow {
	none := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	var groups []string
	for _, g := range n.Groups {
		groups = append(groups, g.Group+" = "+g.Role)
	}
	row := connectionRow{Name: n.Name, Team: none(c.Identity.TeamName(r.Context(), n.Team), n.Team), Token: atProvisioning + "/" + n.ID + "/token", End: atProvisioning + "/" + n.ID + "/end"}
	row.Facts = []fact{
		{Name: "May give", Text: none(strings.Join(n.Roles, ", "), "no role")},
		{Name: "Without a group", Text: none(n.Standard, "no role")},
		{Name: "Groups", Text: none(strings.Join(groups, "; "), "none")},
		{Name: "Domains", Text: none(strings.Join(n.Domains, ", "), "none: every address gets a letter first")},
		{Name: "Made", At: n.Made},
	}
	for _, t := range n.Tokens {
		f := fact{Name: "Token", Text: "never used", Time: t.Expires, Sub: "ends then"}
		if !t.Seen.IsZero() {
			f.Text = "last used " + web.Age(c.Now(), t.Seen)
		}
		row.Facts = append(row.Facts, f)
	}
	return row
}

func connectForm(v url.Values, fail error) web.Form {
	return web.Form{Action: atProvisioning, Act: "Connect and show the token", Fault: fail, Fields: []web.Field{
		{Name: "name", Label: "Name", Value: v.Get("name"), Required: true, Complete: "off", Max: 63, Hint: "Such as entra. Lower-case letters, digits and hyphens."},
		{Name: "team", Label: "Team", Value: v.Get("team"), Complete: "off", Max: 64, Hint: "The id of a customer's team. Empty: the staff."},
		{Name: "roles", Label: "Roles it may give", Value: v.Get("roles"), Complete: "off", Max: 200, Hint: "With a space between. Staff: engineer, support, auditor, never owner. Customers: admin, member."},
		{Name: "standard", Label: "Role without a group", Value: v.Get("standard"), Complete: "off", Max: 20, Hint: "Empty: member for customers, none for staff."},
		{Name: "domains", Label: "Domains", Value: v.Get("domains"), Complete: "off", Max: 2000, Hint: "Addresses in these count as confirmed by the directory's word: name only domains that are the team's own."},
		{Name: "groups", Label: "Groups that mean a role", Type: "textarea", Rows: 4, Value: v.Get("groups"), Hint: "One a line: Name of the group = role."}}}
}

// groupLines reads "Name = role" lines. A line without a role comes out with none, which
// identity refuses by name.
func groupLines(s string) (out []identity.GroupRole) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, role := line, ""
		if i := strings.LastIndexByte(line, '='); i >= 0 {
			name, role = strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:])
		}
		out = append(out, identity.GroupRole{Group: name, Role: role})
	}
	return out
}

func (c *Console) connect(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	words := func(name string) []string { return strings.Fields(strings.ReplaceAll(f.Get(name), ",", " ")) }
	_, t, err := c.Identity.Connect(r.Context(), who, identity.NewConnection{Team: strings.TrimSpace(f.Get("team")), Name: strings.TrimSpace(f.Get("name")), Roles: words("roles"),
		Standard: strings.TrimSpace(f.Get("standard")), Domains: words("domains"), Groups: groupLines(f.Get("groups"))})
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.provisioningPage(w, r, who, f, err, "")
	}
	return c.provisioningPage(w, r, who, url.Values{}, nil, t.Text.Reveal()) // a secret never goes through a cookie or an address
}

func (c *Console) renewConnection(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t, err := c.Identity.RenewConnection(r.Context(), who, r.PathValue("id"), 0)
	if err != nil {
		return err
	}
	return c.provisioningPage(w, r, who, url.Values{}, nil, t.Text.Reveal())
}

func (c *Console) disconnect(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := c.Identity.Disconnect(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return c.done(w, r, atProvisioning, "Disconnected: its tokens work no more. The people stay as they are.")
}
