package watch

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

const (
	mostBody = 600 << 10 // a rule of 256 KiB as JSON
	testTime = 10 * time.Minute
)

// ownRoutes are the doors to rules of one's own.
func (s *Service) ownRoutes(on func(string, bool, web.Handler, web.Doc) web.Route) []web.Route {
	add := on("POST /-/api/v1/watch/own", false, s.postOwn, web.Doc{Summary: "Keep a version of a rule of your own as a draft", In: ownIn{}, Out: ownAdded{}, Status: http.StatusCreated, Errors: []string{"watch_text", "rule_known", "rules_full"}})
	test := on("POST /-/api/v1/watch/own/test", false, s.postOwnTest, web.Doc{Summary: "Ask how often a rule would have fired; a version with this text is tested then", In: ownIn{}, Out: ownTested{}, Errors: []string{"watch_text", "watch_since"}})
	add.Limit, test.Limit, test.Time = mostBody, mostBody, testTime
	move := func(act string, do func(*http.Request, actor.Actor, string) (Version, error), d web.Doc) web.Route {
		d.Out = versionWire{}
		return on("POST /-/api/v1/watch/own/{id}/"+act, false, func(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
			v, err := do(r, who, r.PathValue("id"))
			if err != nil {
				return err
			}
			return web.WriteJSON(w, http.StatusOK, wireVersion(&v, ""))
		}, d)
	}
	return []web.Route{
		on("GET /-/api/v1/watch/own", true, s.getOwn, web.Doc{Summary: "Rules of your own: those that watch, and those on their way", Out: ownOut{}}),
		on("GET /-/api/v1/watch/own/{id}", true, s.getOwnRule, web.Doc{Summary: "The versions of a rule, with their texts", Out: ownOut{}, Errors: []string{"rule_unknown"}}),
		on("GET /-/api/v1/watch/lessons", true, s.getLessons, web.Doc{Summary: "What is kept of incidents, and which rules of your own fire on each", Out: lessonsOut{}}),
		add, test,
		move("approve", func(r *http.Request, who actor.Actor, id string) (Version, error) {
			return s.ApproveRule(r.Context(), who, id)
		}, web.Doc{Summary: "Approve a version that somebody else wrote", Errors: []string{"rule_unknown", "rule_untested", "rule_state", "own_rule", "person_needed"}}),
		move("enable", func(r *http.Request, who actor.Actor, id string) (Version, error) {
			return s.EnableRule(r.Context(), who, id)
		}, web.Doc{Summary: "Let an approved version watch", Errors: []string{"rule_unknown", "rule_untested", "rule_unapproved", "rule_state", "rule_loses", "rule_imprecise", "rules_moved", "watch_text"}}),
		move("retire", func(r *http.Request, who actor.Actor, id string) (Version, error) {
			if err := s.mayRule(r.Context(), who, access.WatchManage, id); err != nil { // before what is wrong with it
				return Version{}, err
			}
			in, err := web.ReadJSON[retireIn](r)
			if err != nil {
				return Version{}, err
			}
			return s.RetireRule(r.Context(), who, id, in.Reason)
		}, web.Doc{Summary: "End a rule", In: retireIn{}, Errors: []string{"rule_unknown", "rule_state", "rule_loses", "rules_moved", "watch_reason"}}),
	}
}

type (
	ownIn struct {
		Text  string `json:"text"`
		Hours int64  `json:"hours,omitzero"` // of a back-test; 0 = 30 days
	}
	retireIn struct {
		Reason string `json:"reason"`
	}
	versionWire struct {
		Rule     string    `json:"rule"`
		Version  int64     `json:"version"`
		Title    string    `json:"title"`
		State    string    `json:"state"`
		SHA256   string    `json:"sha256"`
		Author   string    `json:"author"`
		Made     time.Time `json:"made"`
		Tested   time.Time `json:"tested,omitzero"`
		Result   *BackTest `json:"result,omitempty"`
		Says     string    `json:"says,omitzero"` // of the result
		Approver string    `json:"approver,omitzero"`
		Approved time.Time `json:"approved,omitzero"`
		Enabled  time.Time `json:"enabled,omitzero"`
		Retired  time.Time `json:"retired,omitzero"`
		Problem  string    `json:"problem,omitzero"` // it is enabled and cannot be read
		Text     string    `json:"text,omitzero"`
	}
	ownOut struct {
		Rules []versionWire `json:"rules"`
	}
	ownAdded struct {
		Rule     versionWire `json:"rule"`
		Warnings []string    `json:"warnings"`
	}
	ownTested struct {
		Version int64    `json:"version"` // that is tested now; 0 = the text is not kept
		Says    string   `json:"says"`
		Result  BackTest `json:"result"`
	}
)

func wireVersion(v *Version, text string) versionWire {
	out := versionWire{v.Rule, v.N, v.Title, v.State, v.SHA256, v.Author, v.Made, v.Tested, v.Result, "", v.Approver, v.Approved, v.Enabled, v.Retired, v.Problem, text}
	if v.Result != nil {
		out.Says = v.Result.Says()
	}
	return out
}

func (s *Service) getOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	vs, err := s.OwnRules(r.Context(), who)
	if err != nil {
		return err
	}
	out := ownOut{Rules: []versionWire{}}
	for i := range vs {
		out.Rules = append(out.Rules, wireVersion(&vs[i], ""))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getOwnRule(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	vs, err := s.OwnRule(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := ownOut{Rules: []versionWire{}}
	for i := range vs {
		out.Rules = append(out.Rules, wireVersion(&vs[i], vs[i].Text))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// ownText reads a rule from whoever may write rules.
func (s *Service) ownText(r *http.Request, who actor.Actor) (ownIn, error) {
	if err := s.mayRule(r.Context(), who, access.WatchManage, "new"); err != nil { // before what is wrong with it
		return ownIn{}, err
	}
	return web.ReadJSON[ownIn](r)
}

func (s *Service) postOwn(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := s.ownText(r, who)
	if err != nil {
		return err
	}
	v, warns, err := s.AddRule(r.Context(), who, in.Text)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, ownAdded{wireVersion(&v, ""), append([]string{}, warns...)})
}

func (s *Service) postOwnTest(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := s.ownText(r, who)
	if err != nil {
		return err
	}
	if in.Hours < 0 || in.Hours > int64(longestTest/time.Hour) {
		in.Hours = int64(longestTest/time.Hour) + 1 // refused with its bounds
	}
	res, kept, err := s.TestRule(r.Context(), who, in.Text, time.Duration(in.Hours)*time.Hour)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, ownTested{kept, res.Says(), res})
}
