package status

import (
	"encoding/json"
	"fmt"
	"time"
)

// The shapes of Statuspage v2, which readers of status pages know.
type (
	wirePage struct {
		ID        string    `json:"id"`
		Name      string    `json:"name"`
		URL       string    `json:"url"`
		TimeZone  string    `json:"time_zone"`
		UpdatedAt time.Time `json:"updated_at"`
	}
	wireStatus struct {
		Indicator   string `json:"indicator"`
		Description string `json:"description"`
	}
	wireComponent struct {
		ID                 string    `json:"id"`
		Name               string    `json:"name"`
		Status             string    `json:"status"`
		CreatedAt          time.Time `json:"created_at"`
		UpdatedAt          time.Time `json:"updated_at"`
		Position           int       `json:"position"`
		Description        *string   `json:"description"`
		Showcase           bool      `json:"showcase"`
		StartDate          string    `json:"start_date"`
		GroupID            *string   `json:"group_id"`
		PageID             string    `json:"page_id"`
		Group              bool      `json:"group"`
		Components         []string  `json:"components,omitempty"`
		OnlyShowIfDegraded bool      `json:"only_show_if_degraded"`
	}
	wireAffected struct {
		Code      string `json:"code"`
		Name      string `json:"name"`
		NewStatus string `json:"new_status"`
	}
	wireUpdate struct {
		ID                 string         `json:"id"`
		Status             string         `json:"status"`
		Body               string         `json:"body"`
		IncidentID         string         `json:"incident_id"`
		CreatedAt          time.Time      `json:"created_at"`
		UpdatedAt          time.Time      `json:"updated_at"`
		DisplayAt          time.Time      `json:"display_at"`
		AffectedComponents []wireAffected `json:"affected_components"`
		Estimate           *time.Time     `json:"estimate"`    // Writ's own: when service returns
		NextUpdate         *time.Time     `json:"next_update"` // Writ's own
	}
	wireIncident struct {
		ID              string          `json:"id"`
		Name            string          `json:"name"`
		Status          string          `json:"status"`
		Impact          string          `json:"impact"`
		Shortlink       string          `json:"shortlink"`
		CreatedAt       time.Time       `json:"created_at"`
		UpdatedAt       time.Time       `json:"updated_at"`
		MonitoringAt    *time.Time      `json:"monitoring_at"`
		ResolvedAt      *time.Time      `json:"resolved_at"`
		StartedAt       time.Time       `json:"started_at"`
		PageID          string          `json:"page_id"`
		IncidentUpdates []wireUpdate    `json:"incident_updates"`
		Components      []wireComponent `json:"components"`
		ScheduledFor    *time.Time      `json:"scheduled_for"`
		ScheduledUntil  *time.Time      `json:"scheduled_until"`
		Overdue         bool            `json:"update_overdue"` // Writ's own
	}
)

// pageID is one for all pages: a reader asks one address for one page.
const pageID = "writstatus00"

// wire adds the JSON API.
func (w world) wire(out map[string]file) error {
	page := wirePage{ID: pageID, Name: w.Company, URL: w.Origin + At, TimeZone: "Etc/UTC", UpdatedAt: w.changed()}
	status := wireStatus{w.Indicator(), w.Says()}
	components := w.wireComponents()
	open, all := []wireIncident{}, []wireIncident{}
	for _, p := range w.Open {
		open, all = append(open, w.wireIncident(p)), append(all, w.wireIncident(p))
	}
	for _, p := range w.Past {
		all = append(all, w.wireIncident(p))
	}
	windows, upcoming, active := []wireIncident{}, []wireIncident{}, []wireIncident{}
	for _, x := range append(append([]Window{}, w.Windows...), w.Done...) {
		m := w.wireWindow(x)
		windows = append(windows, m)
		switch x.State {
		case Scheduled:
			upcoming = append(upcoming, m)
		case InProgress, Verifying:
			active = append(active, m)
		}
	}
	planned := append(append([]wireIncident{}, active...), upcoming...)
	for name, v := range map[string]map[string]any{
		"summary":                         {"page": page, "status": status, "components": components, "incidents": open, "scheduled_maintenances": planned},
		"status":                          {"page": page, "status": status},
		"components":                      {"page": page, "components": components},
		"incidents":                       {"page": page, "incidents": all},
		"incidents/unresolved":            {"page": page, "incidents": open},
		"scheduled-maintenances":          {"page": page, "scheduled_maintenances": windows},
		"scheduled-maintenances/upcoming": {"page": page, "scheduled_maintenances": upcoming},
		"scheduled-maintenances/active":   {"page": page, "scheduled_maintenances": active},
	} {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		f := made("application/json; charset=utf-8", b)
		f.open = true
		out["api/v2/"+name+".json"] = f
	}
	return nil
}

// changed is when anything on the page changed last.
func (w world) changed() (t time.Time) {
	later := func(x time.Time) {
		if x.After(t) {
			t = x
		}
	}
	for _, c := range w.Components {
		later(c.Since)
	}
	for _, list := range [][]Public{w.Open, w.Past} {
		for _, p := range list {
			later(p.Changed())
		}
	}
	for _, list := range [][]Window{w.Windows, w.Done} {
		for _, x := range list {
			later(x.Changed)
		}
	}
	return t
}

// wireState is a word as readers of such pages know it: they have none for what was taken back.
func wireState(state string) string {
	if state == Retracted {
		return Resolved
	}
	return state
}

// groupID is the id of a group, which has no row of its own.
func groupID(name string) string {
	const n = 12
	id := []byte("g00000000000")
	h := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	for i := 1; i < n; i++ {
		id[i] = alphabet[h%32]
		h /= 32
		if h == 0 {
			break
		}
	}
	return string(id)
}

func (w world) wireComponents() []wireComponent {
	out := []wireComponent{}
	groups := map[string]int{}
	for _, c := range w.Components {
		x := wireComponent{ID: c.ID, Name: c.Name, Status: c.State, CreatedAt: c.Made, UpdatedAt: c.Since, Position: c.Place, Showcase: true, StartDate: c.Made.Format(time.DateOnly), PageID: pageID}
		if c.Group != "" {
			id := groupID(c.Group)
			x.GroupID = &id
			i, ok := groups[c.Group]
			if !ok {
				i = len(out)
				groups[c.Group] = i
				out = append(out, wireComponent{ID: id, Name: c.Group, Status: c.State, CreatedAt: c.Made, UpdatedAt: c.Since, Position: c.Place, StartDate: c.Made.Format(time.DateOnly), PageID: pageID, Group: true})
			}
			out[i].Components = append(out[i].Components, c.ID)
			if worse(c.State, out[i].Status) {
				out[i].Status = c.State
			}
		}
		out = append(out, x)
	}
	return out
}

func (w world) wireIncident(p Public) wireIncident {
	out := wireIncident{ID: p.ID, Name: p.Title, Status: wireState(p.State()), Impact: p.Impact, Shortlink: w.Origin + At + "/incidents/" + p.ID, CreatedAt: p.Made, UpdatedAt: p.Changed(), ResolvedAt: known(p.Ended), StartedAt: p.Made, PageID: pageID,
		IncidentUpdates: []wireUpdate{}, Components: []wireComponent{}, Overdue: p.Overdue}
	touched := map[string]bool{}
	for _, u := range p.Posts {
		x := wireUpdate{ID: u.ID, Status: wireState(u.State), Body: u.Body, IncidentID: p.ID, CreatedAt: u.At, UpdatedAt: u.At, DisplayAt: u.At, AffectedComponents: []wireAffected{}, Estimate: known(u.Estimate), NextUpdate: known(u.Next)}
		for _, t := range u.Touched {
			id, state := split(t)
			touched[id] = true
			x.AffectedComponents = append(x.AffectedComponents, wireAffected{id, w.names[id], state})
		}
		if u.State == Monitoring {
			out.MonitoringAt = known(u.At)
		}
		out.IncidentUpdates = append(out.IncidentUpdates, x)
	}
	for _, c := range w.wireComponents() {
		if touched[c.ID] {
			out.Components = append(out.Components, c)
		}
	}
	return out
}

func (w world) wireWindow(x Window) wireIncident {
	out := wireIncident{ID: x.ID, Name: x.Title, Status: x.State, Impact: "maintenance", Shortlink: w.Origin + At + "#maintenance", CreatedAt: x.Made, UpdatedAt: x.Changed, StartedAt: x.Starts, PageID: pageID, ScheduledFor: &x.Starts, ScheduledUntil: &x.Ends,
		IncidentUpdates: []wireUpdate{{ID: x.ID + "-1", Status: x.State, Body: x.Body, IncidentID: x.ID, CreatedAt: x.Made, UpdatedAt: x.Changed, DisplayAt: x.Made, AffectedComponents: []wireAffected{}}}, Components: []wireComponent{}}
	if x.State == Completed {
		out.ResolvedAt = known(x.Changed)
	}
	for _, c := range w.wireComponents() {
		for _, id := range x.Touched {
			if c.ID == id {
				out.Components = append(out.Components, c)
			}
		}
	}
	return out
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func split(touched string) (id, state string) {
	for i := range touched {
		if touched[i] == '=' {
			return touched[:i], touched[i+1:]
		}
	}
	return touched, ""
}
