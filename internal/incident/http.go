package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/web"
)

// Routes are the JSON API. The console has the pages, package status the public one.
func (s *Service) Routes() []web.Route {
	const v1, atDrills = "/-/api/v1/incidents", "/-/api/v1/drills"
	on := func(pattern string, limit int64, h web.Handler, d web.Doc) web.Route {
		d.Errors = append(d.Errors, "incident_unknown", "step_unmet", "step_not_now", "role_needed")
		if strings.HasPrefix(pattern, "POST ") { // before what was sent is looked at: it may tell what is there
			h = s.acting(h)
		}
		return web.Route{Pattern: pattern, Who: web.Staff, Limit: limit, Handle: told(h), Doc: d}
	}
	const few, many = 16 << 10, 128 << 10
	bundle := on("GET "+v1+"/{ref}/bundle", few, s.getWhole, web.Doc{Summary: "All of it as a zip that writ verify checks without this server"})
	bundle.Time = -time.Second // as long as it takes
	return append(slices.Concat(s.breachRoutes(on), s.reportRoutes(), s.accountRoutes(), s.textRoutes(on)), []web.Route{
		on("GET "+v1, few, s.getList, web.Doc{Summary: "Incidents, the newest first", Query: []string{"open", "signal"}, Out: listOut{}}),
		on("POST "+v1, few, s.postDeclare, web.Doc{Summary: "Declare an incident", In: declareIn{}, Out: declaredOut{}, Status: http.StatusCreated, Errors: []string{"incident_title", "incident_onset", "incident_component"}}),
		on("POST "+v1+"/import", 4*maxSheet, s.postImport, web.Doc{Summary: "Make incidents of those that are open in another tool, from its CSV file: all or none, each once", In: bringIn{}, Out: bringOut{}, Errors: []string{"sheet_bad", "sheet_large"}}),
		on("GET /-/api/v1/deploys", few, s.getDeploys, web.Doc{Summary: "Whether something may be deployed now, and which incidents keep it", Out: deploysOut{}}),
		on("GET "+v1+"/{ref}", few, s.getShow, web.Doc{Summary: "One incident: where it stands, what is next, who does it", Out: viewOut{}}),
		on("GET "+v1+"/{ref}/timeline", few, s.getTimeline, web.Doc{Summary: "Its timeline: the journal of it with the words of its notes", Out: timelineOut{}}),
		on("GET "+v1+"/{ref}/accounts", few, s.getTotals, web.Doc{Summary: "Which teams it affected, and the sums of their accounts", Out: totalsOut{}, Errors: []string{"account_drill"}}),
		on("GET "+v1+"/{ref}/accounts/{team}", few, s.getAccountOf, web.Doc{Summary: "What a team's admins read of it, and whether they may by now", Out: accountOut{}, Errors: []string{"account_drill"}}),
		on("POST "+v1+"/{ref}/steps", few, s.postStep, web.Doc{Summary: "Take a step that needs nothing but itself", In: stepIn{}, Out: caseOut{}, Errors: []string{"step_unknown", "reason_long", "incident_changed"}}),
		on("POST "+v1+"/{ref}/kind", few, s.postKind, web.Doc{Summary: "Decide what it is and how bad", In: kindIn{}, Out: caseOut{}, Errors: []string{"kind_unknown", "severity"}}),
		on("POST "+v1+"/{ref}/severity", few, s.postSeverity, web.Doc{Summary: "Change the severity", In: severityIn{}, Out: caseOut{}, Errors: []string{"severity"}}),
		on("POST "+v1+"/{ref}/roles", few, s.postRole, web.Doc{Summary: "Take a role, or hand it to somebody", In: roleIn{}, Out: caseOut{}, Errors: []string{"role_unknown", "no_person", "role_held"}}),
		on("POST "+v1+"/{ref}/notes", many, s.postNote, web.Doc{Summary: "Add a line to the timeline, or correct one by another", In: noteBody{}, Out: caseOut{}, Errors: []string{"note_empty", "note_large", "note_unknown"}}),
		on("POST "+v1+"/{ref}/updates", few, s.postUpdate, web.Doc{Summary: "Post to the status page", In: updateIn{}, Out: caseOut{}, Errors: []string{"post_state", "post_body", "post_title", "drill_public"}}),
		on("POST "+v1+"/{ref}/fix", few, s.postFix, web.Doc{Summary: "Take a step of the repair", In: fixIn{}, Out: caseOut{}, Errors: []string{"fix_what", "step_up_required"}}),
		on("POST "+v1+"/{ref}/review", many, s.postReview, web.Doc{Summary: "Write what was learned, with root causes and actions", In: reviewIn{}, Out: caseOut{}, Errors: []string{"review_text", "review_causes", "review_actions"}}),
		on("POST "+v1+"/{ref}/approvals", few, s.postApproval, web.Doc{Summary: "Approve the review, a text, or as the second reviewer the temporary fix, as it stands", In: approvalIn{}, Out: caseOut{}, Errors: []string{"no_person", "object_unknown", "approval_void", "approved", "no_plan", "step_up_required"}}),
		on("POST "+v1+"/{ref}/waivers", few, s.postWaiver, web.Doc{Summary: "Let a guard pass: the first asks, a second person agrees", In: waiverIn{}, Out: caseOut{}, Errors: []string{"no_person", "guard_unknown", "guard_firm", "waived", "step_up_required"}}),
		on("POST "+v1+"/{ref}/alone", few, s.postAlone, web.Doc{Summary: "Ask all others for a second person, and pass a guard of lost data alone where nobody answers as long as the policy says", In: aloneIn{}, Out: caseOut{}, Errors: []string{"no_person", "solo_off", "solo_never", "passed", "no_plan", "step_up_required"}}),
		on("POST "+v1+"/{ref}/told", few, s.postTold, web.Doc{Summary: "A team that letters do not reach was told otherwise", In: toldIn{}, Out: caseOut{}, Errors: []string{"audience_not_failed", "reason_missing"}}),
		on("POST "+v1+"/{ref}/posted", few, s.postPosted, web.Doc{Summary: "Say where the public was told on another channel", In: postedIn{}, Out: caseOut{}, Errors: []string{"channel_unknown", "url", "posted"}}),
		on("POST "+v1+"/{ref}/split", few, s.postSplit, web.Doc{Summary: "Make what told of it an incident of its own", In: splitIn{}, Out: caseOut{}, Errors: []string{"signal_alone", "reason_missing"}}),
		on("POST "+v1+"/{ref}/answers", few, s.postAnswer, web.Doc{Summary: "Write to whoever reported something", In: answerIn{}, Out: caseOut{}, Errors: []string{"report_unknown", "report_no_address", "report_text"}}),
		on("POST "+v1+"/{ref}/files", FileLimit, s.postFile, web.Doc{Summary: "Keep a file with it, of at most 25 MiB", In: fileIn{}, Out: caseOut{}, Errors: []string{"file_bad", "file_large", "files_full"}}),
		on("GET "+v1+"/{ref}/files/{id}", few, s.getFile, web.Doc{Summary: "A file of it, to keep; that somebody took it is recorded", Errors: []string{"file_unknown"}}),
		bundle,
		on("POST "+v1+"/{ref}/join", few, s.postJoin, web.Doc{Summary: "Make it part of another incident", In: joinIn{}, Out: caseOut{}, Errors: []string{"join_other"}}),
		on("POST "+v1+"/{ref}/links", few, s.postLink, web.Doc{Summary: "Link it to another incident: caused-by, related; none takes the link away", In: linkIn{}, Out: caseOut{}, Errors: []string{"link_kind", "link_other", "link_cycle", "link_known", "link_unknown", "link_many"}}),
		on("GET "+v1+"/{ref}/loss", few, s.getLoss, web.Doc{Summary: "Lost data: the checks, the plan, who has signed it, what is to be done by hand", Out: lossOut{}, Errors: []string{"no_loss"}}),
		on("POST "+v1+"/{ref}/loss/plan", few, s.postPlan, web.Doc{Summary: "Make the plan of a restore, and sign it by that", In: planIn{}, Out: caseOut{}, Errors: []string{"ledger_target", "no_point", "plan_onset", "plan_rule", "plan_at", "plan_point", "plan_target", "plan_says", "step_up_required"}}),
		on("POST "+v1+"/{ref}/loss/onsets", few, s.postLook, web.Doc{Summary: "Look through the record again for what may have damaged the data", In: lookIn{}, Out: caseOut{}, Errors: []string{"scope_audits", "file_unknown", "not_begun"}}),
		on("POST "+v1+"/{ref}/loss/hand", few, s.postHand, web.Doc{Summary: "Record what was done by hand, where the server cannot", In: handIn{}, Out: caseOut{}, Errors: []string{"hand_text", "not_by_hand"}}),
		on("POST "+v1+"/{ref}/loss/hand/{id}/sign", few, s.postSignHand, web.Doc{Summary: "Sign what somebody else has recorded", Out: caseOut{}, Errors: []string{"no_person", "hand_unknown", "signed", "step_up_required"}}),
		on("GET "+v1+"/{ref}/loss/lost/{team}", few, s.getLost, web.Doc{Summary: "The writes of a team that are gone, for it; that somebody read them is recorded", Out: writesOut{}, Errors: []string{"lost_unknown"}}),
		on("POST "+v1+"/{ref}/again/{act}", few, s.postAgain, web.Doc{Summary: "Have the server do once more what it did badly", Out: caseOut{}, Errors: []string{"act_unknown"}}),
		on("POST "+v1+"/{ref}/play", few, s.postPlay, web.Doc{Summary: "Have a drill's script take the next step, as you", Out: playedOut{}, Errors: []string{"drill_by_people", "drill_other", "drill_suspended"}}),
		on("POST "+atDrills, few, s.postDrill, web.Doc{Summary: "Begin a drill of a kind, or of a past incident that is played again", In: drillIn{}, Out: caseOut{}, Status: http.StatusCreated, Errors: []string{"drill_kind", "drill_with", "drill_open", "drill_suspended", "drill_from", "drill_speed"}}),
		on("POST "+v1+"/{ref}/followed", few, s.postFollowed, web.Doc{Summary: "Say that you followed a drill that is over", Out: caseOut{}, Errors: []string{"no_person", "no_drill", "drill_under_way", "drill_old", "drill_followed"}}),
		on("GET "+atDrills, few, s.getDrills, web.Doc{Summary: "The last drills, and what they were worth", Out: scoresOut{}}),
		on("POST "+v1+"/{ref}/actions/{id}/done", few, s.postDone, web.Doc{Summary: "An action is done", Out: caseOut{}, Errors: []string{"action_unknown"}}),
	}...)
}

// acting refuses who may not act in incidents.
func (s *Service) acting(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		if err := s.Access.Allow(r.Context(), who, access.IncidentAct, ""); err != nil {
			return err
		}
		return h(w, r, who)
	}
}

// told answers a step that was kept with where it stands and each guard, beside the problem.
func told(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
		err := h(w, r, who)
		k, ok := errors.AsType[*Kept](err)
		if !ok || fault.KindOf(err) == fault.Unavailable { // what cannot be recorded is that
			return err
		}
		lacks := k.Unmet
		if lacks == nil {
			lacks = []engine.Lack{}
		}
		p := web.ProblemOf(r, err)
		b, err := json.Marshal(struct {
			web.Problem
			State  string        `json:"state"`
			Wanted string        `json:"wanted"`
			Unmet  []engine.Lack `json:"unmet"`
		}{p, k.State, k.Wanted, lacks})
		if err != nil {
			return fmt.Errorf("encode refusal: %w", err)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		_, err = w.Write(b)
		return err
	}
}

type (
	caseOut struct {
		ID         string            `json:"id"`
		Ref        string            `json:"ref"`
		Title      string            `json:"title"`
		Drill      bool              `json:"drill"`
		Round      int64             `json:"round"`
		Version    int64             `json:"version"`
		State      string            `json:"state"`
		States     map[string]string `json:"states"`
		Kinds      []string          `json:"kinds"`
		Severity   int               `json:"severity"`
		Component  string            `json:"component,omitempty"`
		Joined     string            `json:"joined,omitempty"`
		Onset      time.Time         `json:"onset"`
		Declared   time.Time         `json:"declared"`
		Taken      *time.Time        `json:"acknowledged,omitempty"`
		Categor    *time.Time        `json:"categorised,omitempty"`
		Mitigated  *time.Time        `json:"mitigated,omitempty"`
		Resolved   *time.Time        `json:"resolved,omitempty"`
		Closed     *time.Time        `json:"closed,omitempty"`
		ImpactOver *time.Time        `json:"impact_over,omitempty"`
	}
	listOut struct {
		Incidents []caseOut `json:"incidents"`
	}
	declareIn struct {
		Title     string    `json:"title"`
		Component string    `json:"component,omitempty"`
		Onset     time.Time `json:"onset,omitzero"`
		Drill     bool      `json:"drill,omitempty"`
	}
	declaredOut struct {
		caseOut
		Near []caseOut `json:"near"` // open about the same component: it may be one of them
	}
	wayOut struct {
		Event string        `json:"event"`
		Says  string        `json:"says"`
		Role  string        `json:"role,omitempty"`
		Who   string        `json:"who"`
		Unmet []engine.Lack `json:"unmet"`
		Due   *time.Time    `json:"due,omitempty"`
	}
	standOut struct {
		Region string     `json:"region"`
		Name   string     `json:"name"`
		State  string     `json:"state"`
		Word   string     `json:"word"`
		Says   string     `json:"says"`
		Due    *time.Time `json:"due,omitempty"`
		Late   bool       `json:"late"`
		Ways   []wayOut   `json:"steps"`
	}
	roleOut struct {
		Role  string    `json:"role"`
		Name  string    `json:"name"`
		Since time.Time `json:"since"`
	}
	noteOut struct {
		ID       string    `json:"id"`
		By       string    `json:"by"`
		At       time.Time `json:"at"`
		Text     string    `json:"text"`
		Corrects string    `json:"corrects,omitempty"`
	}
	audienceOut struct {
		Team  string    `json:"team"`
		State string    `json:"state"`
		At    time.Time `json:"at"`
	}
	actionOut struct {
		ID       string     `json:"id"`
		Cause    int        `json:"cause"`
		Prevents bool       `json:"prevents"`
		Owner    string     `json:"owner"`
		Due      time.Time  `json:"due"`
		Done     *time.Time `json:"done,omitempty"`
		What     string     `json:"what"`
	}
	reviewOut struct {
		Author   string      `json:"author"`
		At       time.Time   `json:"at"`
		Hash     string      `json:"hash"`
		Text     string      `json:"text"`
		Causes   []string    `json:"causes"`
		Actions  []actionOut `json:"actions"`
		Approved []string    `json:"approved"`
	}
	postOut struct {
		Public   string     `json:"public"` // id of the incident on the status page
		State    string     `json:"state"`
		Body     string     `json:"body"`
		Estimate *time.Time `json:"estimate,omitempty"`
		Next     *time.Time `json:"next,omitempty"`
		At       time.Time  `json:"at"`
	}
	toldOut struct {
		Signal string    `json:"signal"` // alarm/ID, entry/ID, report/ID
		Kind   string    `json:"kind"`   // of incident that it suggests
		Says   string    `json:"says"`
		At     time.Time `json:"at"`
	}
	sentOut struct {
		Channel string     `json:"channel"`
		Network string     `json:"network"`
		Account string     `json:"account"`
		Update  string     `json:"update"`
		State   string     `json:"state"` // queued, sending, posted, rejected, unknown
		URL     string     `json:"url,omitempty"`
		Code    string     `json:"code,omitempty"`
		Tries   int64      `json:"tries"`
		Made    time.Time  `json:"made"`
		Ended   *time.Time `json:"ended,omitempty"`
	}
	viewOut struct {
		caseOut
		Sent     []sentOut     `json:"posts_elsewhere"`
		Source   string        `json:"source"` // person, operator, alarm, spending, report
		Links    []linkOut     `json:"links"`
		Similar  []similarOut  `json:"similar"`                // earlier ones, while it is to be reviewed
		Draft    string        `json:"review_draft,omitempty"` // the review as it stands, else its beginning
		Waivers  []waiverOut   `json:"waivers"`                // of this round
		Solos    []soloOut     `json:"alone"`                  // of this round
		Told     []toldOut     `json:"signals"`
		Reports  []reportOut   `json:"reports"` // of people outside, for who may act
		Files    []fileOut     `json:"files"`   // likewise
		Posts    []postOut     `json:"posts"`
		Stands   []standOut    `json:"regions"`
		Next     *wayOut       `json:"next"`
		Roles    []roleOut     `json:"roles"`
		Notes    []noteOut     `json:"notes"`
		Audience []audienceOut `json:"audience"`
		Review   *reviewOut    `json:"review,omitempty"`
		Fix      *fixOut       `json:"fix,omitempty"`
		Past     *rehearsalOut `json:"rehearsal,omitempty"` // the past incident that a drill plays again
		Forecast *forecastOut  `json:"forecast,omitempty"`  // while it is not resolved and its kind is decided
	}
	lineOut struct {
		Entry  int64     `json:"entry"`
		At     time.Time `json:"at"`
		Who    string    `json:"who"`
		What   string    `json:"what"`
		Detail string    `json:"detail,omitempty"`
	}
	timelineOut struct {
		Lines []lineOut `json:"lines"`
	}
	stepIn struct {
		Event   string `json:"event"`
		Reason  string `json:"reason,omitempty"`
		Version int64  `json:"version,omitempty"`
	}
	kindIn struct {
		Kinds    []string `json:"kinds"`
		Severity int      `json:"severity,omitempty"`
		Public   bool     `json:"public,omitempty"`
		Version  int64    `json:"version,omitempty"`
	}
	severityIn struct {
		Severity int    `json:"severity"`
		Reason   string `json:"reason,omitempty"`
	}
	roleIn struct {
		Role string `json:"role"`
		To   string `json:"to,omitempty"`
	}
	noteBody struct {
		Text     string `json:"text"`
		Corrects string `json:"corrects,omitempty"`
	}
	updateIn struct {
		Title      string            `json:"title,omitempty"`
		State      string            `json:"state"`
		Body       string            `json:"body"`
		Estimate   time.Time         `json:"estimate,omitzero"`
		Next       time.Time         `json:"next,omitzero"`
		Impact     string            `json:"impact,omitempty"`
		Components map[string]string `json:"components,omitempty"`
		Corrects   string            `json:"corrects,omitempty"`
		Version    int64             `json:"version,omitempty"`
	}
	fixIn struct {
		Event string    `json:"event"`
		What  string    `json:"what,omitempty"`
		Owner string    `json:"owner,omitempty"`
		Ends  time.Time `json:"ends,omitzero"`
		Test  string    `json:"test,omitempty"`
	}
	actionIn struct {
		Cause    int       `json:"cause"`
		Prevents bool      `json:"prevents"`
		Owner    string    `json:"owner"`
		Due      time.Time `json:"due"`
		What     string    `json:"what"`
	}
	reviewIn struct {
		Text    string     `json:"text"`
		Causes  []string   `json:"causes"`
		Actions []actionIn `json:"actions"`
	}
	approvalIn struct {
		Object string `json:"object"`
		Hash   string `json:"hash,omitempty"`
	}
	waiverIn struct {
		Region string `json:"region"`
		Guard  string `json:"guard"`
		Reason string `json:"reason"`
	}
	toldIn struct {
		Team string `json:"team"`
		How  string `json:"how"`
	}
	postedIn struct {
		Channel string `json:"channel"`
		URL     string `json:"url"`
	}
	splitIn struct {
		Signal string `json:"signal"`
		Reason string `json:"reason"`
	}
	joinIn struct {
		Into   string `json:"into"`
		Reason string `json:"reason,omitempty"`
	}
)

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func wireCase(c Case) caseOut {
	out := caseOut{ID: c.ID, Ref: c.Ref(), Title: c.Title, Drill: c.Drill, Round: c.Round, Version: c.Version, State: c.State(), States: map[string]string{}, Kinds: c.Categories, Severity: c.Severity, Component: c.Component, Joined: c.Joined,
		Onset: c.OnsetFrom, Declared: c.Declared, Taken: known(c.Taken), Categor: known(c.Sorted), Mitigated: known(c.Mitigated), Resolved: known(c.Resolved), Closed: known(c.Closed), ImpactOver: known(c.Green)}
	if out.Kinds == nil {
		out.Kinds = []string{}
	}
	for r, at := range c.States {
		out.States[string(r)] = at
	}
	return out
}

func wireWay(w Way) wayOut {
	out := wayOut{Event: w.Step.Event, Says: w.Step.Says, Role: string(w.Step.Role), Who: w.Who, Unmet: w.Unmet, Due: known(w.Due)}
	if out.Unmet == nil {
		out.Unmet = []engine.Lack{}
	}
	return out
}

func wireView(v View) viewOut {
	out := viewOut{caseOut: wireCase(v.Case), Source: v.Source, Told: []toldOut{}, Waivers: wireWaivers(v), Solos: wireSolos(v), Links: []linkOut{}, Similar: []similarOut{}, Draft: v.Draft(), Reports: wireReports(v.Reports), Files: wireFiles(v.Files), Sent: []sentOut{}, Posts: []postOut{}, Stands: []standOut{}, Roles: []roleOut{}, Notes: []noteOut{}, Audience: []audienceOut{}}
	out.wirePast(v)
	for _, x := range v.Stands {
		st := standOut{Region: string(x.Machine.Region), Name: x.Machine.Name, State: x.State.ID, Word: x.State.Name, Says: x.State.Says, Due: known(x.Due), Late: x.Missed, Ways: []wayOut{}}
		for _, w := range x.Ways {
			st.Ways = append(st.Ways, wireWay(w))
		}
		out.Stands = append(out.Stands, st)
	}
	if n := v.Next(); n != nil {
		w := wireWay(*n)
		out.Next = &w
	}
	for _, x := range v.Sent {
		out.Sent = append(out.Sent, sentOut{x.Channel, x.Network, x.Account, x.Update, x.State, x.URL, x.Code, x.Tries, x.Made, known(x.Ended)})
	}
	for _, t := range v.Told {
		out.Told = append(out.Told, toldOut{t.ID, t.Kind, t.Says, t.At})
	}
	for _, h := range v.Held {
		out.Roles = append(out.Roles, roleOut{string(h.Role), h.Name, h.Since})
	}
	for _, n := range v.Notes {
		out.Notes = append(out.Notes, noteOut{n.ID, n.Name, n.At, n.Text, n.Corrects})
	}
	for _, p := range v.Posts {
		out.Posts = append(out.Posts, postOut{p.Public, p.State, p.Body, known(p.Estimate), known(p.Next), p.At})
	}
	for _, a := range v.Audience {
		out.Audience = append(out.Audience, audienceOut(a))
	}
	out.Fix = wireFix(v.Fix)
	if l := v.Learned; l.Hash != "" {
		out.Review = &reviewOut{Author: l.Name, At: l.At, Hash: l.Hash, Text: l.Text, Causes: append([]string{}, l.Causes...), Actions: []actionOut{}, Approved: append([]string{}, l.Approved...)}
		for _, a := range l.Actions {
			out.Review.Actions = append(out.Review.Actions, actionOut{a.ID, a.Cause, a.Prevents, a.Name, a.Due, known(a.Done), a.What})
		}
	}
	return out
}

func (s *Service) getList(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	list := func() ([]Case, error) { return s.List(r.Context(), who, q.Get("open") != "") }
	if q.Has("signal") {
		list = func() ([]Case, error) { return s.OfSignal(r.Context(), who, q.Get("signal")) }
	}
	cs, err := list()
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, listOut{wireCases(cs)})
}

func wireCases(cs []Case) []caseOut {
	out := []caseOut{}
	for _, c := range cs {
		out = append(out, wireCase(c))
	}
	return out
}

func (s *Service) postDeclare(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[declareIn](r)
	if err != nil {
		return err
	}
	c, near, err := s.Declare(r.Context(), who, Signal(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, declaredOut{wireCase(c), wireCases(near)})
}

func (s *Service) getShow(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := s.Show(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireView(v))
}

func (s *Service) getTimeline(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ls, err := s.Timeline(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, timelineOut{wireLines(ls)})
}

func wireLines(ls []Line) []lineOut {
	out := []lineOut{}
	for _, l := range ls {
		out = append(out, lineOut{l.N, l.At, l.Who, l.What, l.Detail})
	}
	return out
}

// acted reads the body, acts, and answers with the incident as it is then.
func acted[In any](w http.ResponseWriter, r *http.Request, act func(ref string, in In) (Case, error)) error {
	in, err := web.ReadJSON[In](r)
	if err != nil {
		return err
	}
	c, err := act(r.PathValue("ref"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireCase(c))
}

func (s *Service) postStep(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in stepIn) (Case, error) {
		return s.Take(r.Context(), who, ref, Step{Event: in.Event, Reason: in.Reason, Version: in.Version})
	})
}

func (s *Service) postKind(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in kindIn) (Case, error) {
		return s.Categorise(r.Context(), who, ref, Sorting(in))
	})
}

func (s *Service) postSeverity(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in severityIn) (Case, error) {
		return s.Grade(r.Context(), who, ref, in.Severity, in.Reason)
	})
}

func (s *Service) postRole(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in roleIn) (Case, error) {
		return s.TakeRole(r.Context(), who, ref, engine.Role(in.Role), in.To)
	})
}

func (s *Service) postNote(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in noteBody) (Case, error) {
		return s.Write(r.Context(), who, ref, in.Text, in.Corrects)
	})
}

func (s *Service) postUpdate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in updateIn) (Case, error) {
		return s.Update(r.Context(), who, ref, in.post(), in.Version)
	})
}

func (in updateIn) post() status.Post {
	return status.Post{Title: in.Title, State: in.State, Body: in.Body, Estimate: in.Estimate, Next: in.Next, Impact: in.Impact, Touched: in.Components, Corrects: in.Corrects}
}

func (s *Service) postFix(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in fixIn) (Case, error) { return s.Mend(r.Context(), who, ref, NewFix(in)) })
}

func (s *Service) postReview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in reviewIn) (Case, error) {
		x := NewReview{Text: in.Text, Causes: in.Causes}
		for _, a := range in.Actions {
			x.Actions = append(x.Actions, Action{Cause: a.Cause, Prevents: a.Prevents, Owner: a.Owner, Due: a.Due, What: a.What})
		}
		return s.Learn(r.Context(), who, ref, x)
	})
}

func (s *Service) postApproval(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in approvalIn) (Case, error) {
		return s.Approve(r.Context(), who, ref, in.Object, in.Hash)
	})
}

func (s *Service) postWaiver(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in waiverIn) (Case, error) {
		return s.Waive(r.Context(), who, ref, engine.Region(in.Region), in.Guard, in.Reason)
	})
}

func (s *Service) postTold(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in toldIn) (Case, error) {
		return s.ToldOtherwise(r.Context(), who, ref, in.Team, in.How)
	})
}

func (s *Service) postPosted(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in postedIn) (Case, error) {
		return s.Posted(r.Context(), who, ref, in.Channel, in.URL)
	})
}

func (s *Service) postJoin(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in joinIn) (Case, error) {
		return s.Join(r.Context(), who, ref, in.Into, in.Reason)
	})
}

func (s *Service) postSplit(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in splitIn) (Case, error) {
		return s.Split(r.Context(), who, ref, in.Signal, in.Reason)
	})
}

func (s *Service) postDone(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.Done(r.Context(), who, r.PathValue("ref"), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireCase(c))
}
