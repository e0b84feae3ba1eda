package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// rightsRoutes are lent roles, uses of rights and reviews. The service asks access for each.
func (s *Service) rightsRoutes() []web.Route {
	rs := []web.Route{
		{Pattern: "GET /-/api/v1/grants", Handle: s.getGrants, Doc: web.Doc{Summary: "Roles that are lent, newest first; ended=true also those that ended", Query: []string{"ended", "person"}, Out: grantsOut{}}},
		{Pattern: "POST /-/api/v1/grants", Handle: s.postGrant, Doc: web.Doc{Summary: "Lend a role to a member of staff for a while, or ask for one for yourself", In: grantIn{}, Out: grantWire{}, Status: 201,
			Errors: []string{"no_person", "not_staff", "role_unknown", "role_held", "too_long", "need_text", "need_not_held", "need_over", "reason_missing", "duration_text"}}},
		{Pattern: "POST /-/api/v1/grants/{id}/approve", Handle: s.postApprove, Doc: web.Doc{Summary: "Agree to a role that waits for somebody's yes", Out: grantWire{}, Errors: []string{"no_grant", "second_person", "grant_state", "need_over"}}},
		{Pattern: "DELETE /-/api/v1/grants/{id}", Handle: s.deleteGrant, Doc: web.Doc{Summary: "Take a lent role back at once", Errors: []string{"no_grant", "grant_ended"}}},
		{Pattern: "POST /-/api/v1/needs/end", Handle: s.postNeedEnd, Doc: web.Doc{Summary: "A ticket or project is over: all that was lent for it ends", In: needIn{}, Out: endedOut{}, Errors: []string{"need_text"}}},
		{Pattern: "GET /-/api/v1/rights", Handle: s.getRights, Doc: web.Doc{Summary: "Roles of staff and what was used of them; unused=true only those that nothing needed for long", Query: []string{"unused"}, Out: rightsOut{}}},
		{Pattern: "GET /-/api/v1/reviews", Handle: s.getReviews, Doc: web.Doc{Summary: "Reviews of rights, newest first", Out: reviewsOut{}}},
		{Pattern: "POST /-/api/v1/reviews", Handle: s.postReview, Doc: web.Doc{Summary: "Open a review of all rights of staff", Out: reviewWire{}, Status: 201, Errors: []string{"review_open"}}},
		{Pattern: "GET /-/api/v1/reviews/{id}", Handle: s.getReview, Doc: web.Doc{Summary: "One review with its rights", Out: reviewOut{}, Errors: []string{"no_review"}}},
		{Pattern: "POST /-/api/v1/reviews/{id}/items/{item}", Handle: s.postDecision, Doc: web.Doc{Summary: "Keep or revoke a right of somebody else", In: decisionIn{}, Out: itemWire{},
			Errors: []string{"no_review", "own_right", "reason_missing", "decision_unknown", "review_decided", "last_owner"}}},
		{Pattern: "POST /-/api/v1/reviews/{id}/close", Handle: s.postReviewClose, Doc: web.Doc{Summary: "Close a review in which all is decided", Out: reviewWire{}, Errors: []string{"no_review", "review_undecided", "review_closed"}}},
	}
	for i := range rs {
		rs[i].Who = web.Staff
	}
	return rs
}

type (
	grantIn struct {
		Person string `json:"person"`
		Role   string `json:"role"`
		For    string `json:"for"`  // such as 90m, 8h
		Need   string `json:"need"` // ticket/…, project/… or role/…; empty for the moment
		Reason string `json:"reason"`
	}
	grantWire struct {
		ID       string    `json:"id"`
		Person   string    `json:"person"`
		Handle   string    `json:"handle"`
		Role     string    `json:"role"`
		Need     string    `json:"need"`
		Reason   string    `json:"reason"`
		State    string    `json:"state"` // waits, counts, ended
		Asked    time.Time `json:"asked"`
		Until    time.Time `json:"until"`
		Grantor  string    `json:"grantor"` // "" while nobody has agreed to what its holder asked for
		Approver string    `json:"approver,omitempty"`
		Ended    time.Time `json:"ended,omitzero"`
		Cause    string    `json:"cause,omitempty"`
	}
	grantsOut struct {
		Grants []grantWire `json:"grants"`
	}
	needIn struct {
		Need string `json:"need"`
	}
	rightWire struct {
		Person   string    `json:"person"`
		Handle   string    `json:"handle"`
		Role     string    `json:"role"`
		Since    time.Time `json:"since"`
		Used     time.Time `json:"used,omitzero"` // the last day, UTC
		Unused   bool      `json:"unused"`        // nothing needed it for as long as the policy says
		Proposed bool      `json:"proposed"`      // put up for removal
	}
	rightsOut struct {
		Rights []rightWire `json:"rights"`
	}
	reviewWire struct {
		ID      string    `json:"id"`
		Kind    string    `json:"kind"`
		Opened  time.Time `json:"opened"`
		Due     time.Time `json:"due"`
		Closed  time.Time `json:"closed,omitzero"`
		Opener  string    `json:"opener"`
		Items   int64     `json:"items"`
		Decided int64     `json:"decided"`
	}
	reviewsOut struct {
		Reviews []reviewWire `json:"reviews"`
	}
	itemWire struct {
		ID       string    `json:"id"`
		Person   string    `json:"person"`
		Handle   string    `json:"handle"`
		Kind     string    `json:"kind"`
		Role     string    `json:"role"`
		Why      string    `json:"why,omitempty"`
		Decision string    `json:"decision"`
		Outcome  string    `json:"outcome"`
		Reviewer string    `json:"reviewer,omitempty"`
		Reason   string    `json:"reason,omitempty"`
		Decided  time.Time `json:"decided,omitzero"`
	}
	reviewOut struct {
		Review reviewWire `json:"review"`
		Items  []itemWire `json:"items"`
	}
	decisionIn struct {
		Decision string `json:"decision"`
		Reason   string `json:"reason"`
	}
)

func (s *Service) wireGrant(g Grant) grantWire {
	return grantWire{g.ID, g.Person, g.Handle, g.Role, g.Need, g.Reason, g.State(s.Now()), g.Asked, g.Until, g.Grantor, g.Approver, g.Ended, g.Cause}
}

func wireReview(r Review) reviewWire {
	return reviewWire(r)
}

func wireItem(i ReviewItem) itemWire {
	return itemWire{i.ID, i.Person, i.Handle, i.Kind, i.Role, i.Why, i.Decision, i.Outcome, i.Reviewer, i.Reason, i.Decided}
}

func (s *Service) getGrants(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	gs, err := s.Grants(r.Context(), who, GrantFilter{Person: q.Get("person"), Ended: q.Get("ended") == "true"})
	if err != nil {
		return err
	}
	out := grantsOut{Grants: []grantWire{}}
	for _, g := range gs {
		out.Grants = append(out.Grants, s.wireGrant(g))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postGrant(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[grantIn](r)
	if err != nil {
		return err
	}
	d, err := LendFor(in.For)
	if err != nil {
		return err
	}
	g, err := s.GrantRole(r.Context(), who, Lend{Person: in.Person, Role: in.Role, For: d, Need: in.Need, Reason: in.Reason})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, s.wireGrant(g))
}

// LendFor reads for how long a role is lent, such as 90m or 8h.
func LendFor(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || len(text) > 20 {
		return 0, fault.New(fault.Invalid, "duration_text", fault.Public{Problem: "How long is written as 90m or 8h.", Next: "Correct this and try again.",
			Fields: []fault.Field{{Name: "for", Code: "duration_text", Problem: "Minutes or hours, such as 90m or 8h."}}})
	}
	return d, nil
}

func (s *Service) postApprove(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	g, err := s.ApproveGrant(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.wireGrant(g))
}

func (s *Service) deleteGrant(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RevokeGrant(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postNeedEnd(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[needIn](r)
	if err != nil {
		return err
	}
	n, err := s.EndNeed(r.Context(), who, in.Need)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, endedOut{n})
}

func (s *Service) getRights(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rs, err := s.Rights(r.Context(), who)
	if err != nil {
		return err
	}
	only := r.URL.Query().Get("unused") == "true"
	out := rightsOut{Rights: []rightWire{}}
	for _, x := range rs {
		if x.Idle || !only {
			out.Rights = append(out.Rights, rightWire{x.Person, x.Handle, x.Role, x.Since, x.Used, x.Idle, x.Proposed})
		}
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getReviews(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rs, err := s.Reviews(r.Context(), who)
	if err != nil {
		return err
	}
	out := reviewsOut{Reviews: []reviewWire{}}
	for _, x := range rs {
		out.Reviews = append(out.Reviews, wireReview(x))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postReview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rv, err := s.OpenReview(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireReview(rv))
}

func (s *Service) getReview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rv, items, err := s.ShowReview(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := reviewOut{Review: wireReview(rv), Items: []itemWire{}}
	for _, it := range items {
		out.Items = append(out.Items, wireItem(it))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postDecision(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[decisionIn](r)
	if err != nil {
		return err
	}
	it, err := s.DecideRight(r.Context(), who, Decision{Review: r.PathValue("id"), Item: r.PathValue("item"), Decision: in.Decision, Reason: in.Reason})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireItem(it))
}

func (s *Service) postReviewClose(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rv, err := s.CloseReview(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireReview(rv))
}
