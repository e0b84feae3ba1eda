package incident

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/web"
)

type (
	planIn struct {
		Rule   string    `json:"rule,omitempty"`
		Point  string    `json:"point,omitempty"`
		Onset  time.Time `json:"onset,omitzero"`
		At     time.Time `json:"at,omitzero"`
		Target string    `json:"target,omitempty"`
		Says   string    `json:"says,omitempty"`
	}
	lookIn struct {
		Audits []string `json:"audits,omitempty"` // ids of files of the incident
	}
	handIn struct {
		Guard string `json:"guard"`
		Text  string `json:"text"`
	}
	checkedOut struct {
		Act    string  `json:"act"`
		Checks []Check `json:"checks"`
	}
	handOut struct {
		ID     string     `json:"id"`
		Guard  string     `json:"guard"`
		By     string     `json:"by"`
		At     time.Time  `json:"at"`
		Text   string     `json:"text"`
		Other  string     `json:"signed_by,omitempty"`
		Signed *time.Time `json:"signed,omitempty"`
	}
	lostOut struct {
		Team   string `json:"team"`
		Writes int64  `json:"writes"`
		Hash   string `json:"sha256"`
	}
	lossOut struct {
		State   string       `json:"state"`
		Says    string       `json:"says"`
		Down    *time.Time   `json:"down,omitempty"`
		Frozen  *time.Time   `json:"frozen,omitempty"`
		Up      *time.Time   `json:"up,omitempty"`
		Share   int64        `json:"share"`
		RTO     int64        `json:"rto_seconds"`
		RPO     int64        `json:"rpo_seconds"`
		Onsets  []Onset      `json:"onsets"`
		Points  []Point      `json:"points"`
		Plan    *Plan        `json:"plan,omitempty"`
		Hash    string       `json:"plan_hash,omitempty"`
		Signers []string     `json:"signers"`
		Running string       `json:"running,omitempty"`
		Trouble string       `json:"trouble,omitempty"`
		Red     string       `json:"red,omitempty"`
		Again   string       `json:"again,omitempty"`
		Checks  []checkedOut `json:"checks"`
		ByHand  []string     `json:"by_hand"`
		Hands   []handOut    `json:"recorded"`
		Lost    []lostOut    `json:"lost"`
	}
	writesOut struct {
		Writes []Write `json:"writes"`
	}
)

func (s *Service) getLoss(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := s.Show(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	if v.Loss == nil {
		return noLoss(v.Case)
	}
	return web.WriteJSON(w, http.StatusOK, wireLoss(v))
}

func noLoss(c Case) error {
	return fault.Newf(fault.NotFound, "no_loss", "No data was lost in %s.", c.Ref())
}

func wireLoss(v View) lossOut {
	l := v.Loss
	out := lossOut{Down: known(l.Down), Frozen: known(l.Frozen), Up: known(l.Up), Share: l.Share, RTO: l.RTO, RPO: l.RPO, Onsets: append([]Onset{}, l.Onsets...), Points: append([]Point{}, l.Points...), Plan: l.Plan, Hash: l.Hash,
		Signers: append([]string{}, l.Signers...), Running: l.Running, Trouble: l.Trouble, Red: l.Red, Again: l.RedAct, Checks: []checkedOut{}, ByHand: append([]string{}, l.ByHand...), Hands: []handOut{}, Lost: []lostOut{}}
	for _, x := range v.Stands {
		if x.Machine.Region == engine.R {
			out.State, out.Says = x.State.ID, x.State.Says
		}
	}
	for _, c := range l.Checks {
		out.Checks = append(out.Checks, checkedOut(c))
	}
	for _, h := range l.Hands {
		out.Hands = append(out.Hands, handOut{h.ID, h.Guard, h.Name, h.At, h.Text, h.Other, known(h.Signed)})
	}
	for _, x := range l.Lost {
		out.Lost = append(out.Lost, lostOut{x.Team, x.Writes, x.Hash})
	}
	return out
}

func (s *Service) postPlan(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in planIn) (Case, error) { return s.MakePlan(r.Context(), who, ref, NewPlan(in)) })
}

func (s *Service) postLook(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in lookIn) (Case, error) { return s.LookBack(r.Context(), who, ref, in.Audits) })
}

func (s *Service) postHand(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in handIn) (Case, error) {
		return s.RecordHand(r.Context(), who, ref, in.Guard, in.Text)
	})
}

func (s *Service) postSignHand(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.SignHand(r.Context(), who, r.PathValue("ref"), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireCase(c))
}

func (s *Service) postAgain(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.Again(r.Context(), who, r.PathValue("ref"), r.PathValue("act"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireCase(c))
}

func (s *Service) getLost(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ws, err := s.LostOf(r.Context(), who, r.PathValue("ref"), r.PathValue("team"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, writesOut{ws})
}
