package incident

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/incident/wording"
	"writ/internal/web"
)

type (
	textOut struct {
		Kind    string     `json:"kind"`
		State   string     `json:"state"`
		Version int64      `json:"version"` // 0 = it came with the build
		Body    string     `json:"body"`
		Shipped bool       `json:"shipped"` // it is the text of this build
		By      string     `json:"by,omitempty"`
		At      *time.Time `json:"at,omitempty"`
	}
	placeOut struct {
		Place string `json:"place"` // as it is written
		Says  string `json:"says"`
	}
	textsOut struct {
		Places []placeOut `json:"places"`
		Texts  []textOut  `json:"texts"`
	}
	versionsOut struct {
		Versions []textOut `json:"versions"` // the newest first; the last came with the build
	}
	textIn struct {
		Body    string `json:"body"`
		Version int64  `json:"version"` // the one that it replaces
	}
	resetIn struct {
		Version int64 `json:"version"`
	}
	draftOut struct {
		Kind    string   `json:"kind"`
		State   string   `json:"state"`
		Version int64    `json:"version"`
		Text    string   `json:"text"`
		Open    []string `json:"open"` // places of it that nothing is known for
	}
	channelOut struct {
		Channel string `json:"channel"`
		Account string `json:"account,omitempty"`
		Network string `json:"network,omitempty"`
		Text    string `json:"text"`
		Counts  int    `json:"counts,omitempty"` // characters, as the network counts them
		Most    int    `json:"most,omitempty"`
		Cut     bool   `json:"cut"`
	}
	previewsOut struct {
		Hash  string        `json:"hash"`
		Leaks []status.Leak `json:"leaks"`
		Each  []channelOut  `json:"channels"`
	}
)

// textRoutes are the texts that notices begin with, and what is seen before one is posted.
func (s *Service) textRoutes(on func(pattern string, limit int64, h web.Handler, d web.Doc) web.Route) []web.Route {
	const texts, one, few = "/-/api/v1/status/templates", "/-/api/v1/status/templates/{kind}/{state}", 32 << 10
	return []web.Route{
		on("GET "+texts, few, s.getTexts, web.Doc{Summary: "The texts that public notices begin with, and the places that they may have", Out: textsOut{}}),
		on("GET "+one, few, s.getText, web.Doc{Summary: "The versions of one, the newest first", Out: versionsOut{}, Errors: []string{"text_unknown"}}),
		on("PUT "+one, few, s.acting(s.putTextOf), web.Doc{Summary: "Write another one", In: textIn{}, Out: textOut{}, Errors: []string{"text_unknown", "notice_text", "text_changed"}}),
		on("DELETE "+one, few, s.acting(s.deleteText), web.Doc{Summary: "Return to the one that comes with the build", In: resetIn{}, Out: textOut{}, Errors: []string{"text_unknown", "text_changed"}}),
		on("GET /-/api/v1/incidents/{ref}/draft", few, s.getDraft, web.Doc{Summary: "A notice to begin with: the text of a kind and a word, filled from the incident", Query: []string{"kind", "state", "component", "estimate", "next"}, Out: draftOut{}, Errors: []string{"text_unknown", "drill_public"}}),
		on("POST /-/api/v1/incidents/{ref}/preview", few, s.postPreview, web.Doc{Summary: "How an update would stand on each channel; nothing is posted", In: updateIn{}, Out: previewsOut{}, Errors: []string{"post_state", "post_body", "post_title", "drill_public"}}),
	}
}

func wireText(x NoticeText) textOut {
	return textOut{x.Kind, x.State, x.Version, x.Body, x.Shipped, x.By, known(x.At)}
}

func wireTexts(xs []NoticeText) []textOut {
	out := []textOut{}
	for _, x := range xs {
		if x.Version == 0 {
			x.At = time.Time{}
		}
		out = append(out, wireText(x))
	}
	return out
}

func (s *Service) getTexts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.Texts(r.Context(), who)
	if err != nil {
		return err
	}
	out := textsOut{Places: []placeOut{}, Texts: wireTexts(xs)}
	for _, p := range wording.Places() {
		out.Places = append(out.Places, placeOut{p.String(), p.Says})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getText(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.TextVersions(r.Context(), who, r.PathValue("kind"), r.PathValue("state"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, versionsOut{wireTexts(xs)})
}

func (s *Service) putTextOf(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[textIn](r)
	if err != nil {
		return err
	}
	x, err := s.SetText(r.Context(), who, r.PathValue("kind"), r.PathValue("state"), in.Body, in.Version)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireText(x))
}

func (s *Service) deleteText(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[resetIn](r)
	if err != nil {
		return err
	}
	x, err := s.ResetText(r.Context(), who, r.PathValue("kind"), r.PathValue("state"), in.Version)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireText(x))
}

func (s *Service) getDraft(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	in := Wanted{Kind: q.Get("kind"), State: q.Get("state"), Touched: q["component"]}
	for name, t := range map[string]*time.Time{"estimate": &in.Estimate, "next": &in.Next} {
		if v := q.Get(name); v != "" {
			var err error
			if *t, err = time.Parse(time.RFC3339, v); err != nil {
				return fault.New(fault.Malformed, "post_"+name, fault.Public{Problem: "This is no time.", Expected: "Such as 2026-05-03T14:10:00Z.", Fields: []fault.Field{{Name: name, Code: "post_" + name, Problem: "This is no time."}}})
			}
		}
	}
	d, err := s.Draft(r.Context(), who, r.PathValue("ref"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, draftOut{d.Kind, d.State, d.Version, d.Text, append([]string{}, d.Open...)})
}

func (s *Service) postPreview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[updateIn](r)
	if err != nil {
		return err
	}
	x, err := s.PreviewPost(r.Context(), who, r.PathValue("ref"), in.post())
	if err != nil {
		return err
	}
	out := previewsOut{Hash: x.Hash, Leaks: append([]status.Leak{}, x.Leaks...), Each: []channelOut{}}
	for _, p := range x.Each {
		out.Each = append(out.Each, channelOut(p))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
