package policy

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy/document"
	"writ/internal/web"
)

func (s *Service) getRecords(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	records, err := s.Records(r.Context(), r.FormValue("clause"))
	if err != nil {
		return err
	}
	v := recordsView{Records: records}
	if text := r.FormValue("statement"); text != "" {
		st := Statement{Clause: r.FormValue("clause"), Statement: text, Signer: r.FormValue("signer")}
		if at := r.FormValue("observed_at"); at != "" {
			if st.Observed, err = ParseTime(at); err != nil {
				return err
			}
		}
		if st.ValidFor, err = lifetime(r.FormValue("valid_for")); err != nil {
			return err
		}
		if v.Text, st, err = s.RecordText(r.Context(), who, st); err != nil {
			return err
		}
		v.Observed, v.ValidFor = st.Observed, document.Cell(st.ValidFor)
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

// lifetime reads a duration as a policy spells it; empty is zero.

func lifetime(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := document.ParseDuration(s)
	if err != nil {
		return 0, fault.New(fault.Invalid, "valid_for", fault.Public{Problem: "The time a record is valid for could not be read.", Expected: "Such as 365d."})
	}
	return d, nil
}

func (s *Service) postRecord(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[recordIn](r)
	if err != nil {
		return err
	}
	d, err := lifetime(in.ValidFor)
	if err != nil {
		return err
	}
	rec, err := s.Attest(r.Context(), who, Statement{Clause: in.Clause, Statement: in.Statement, Observed: in.Observed, ValidFor: d}, []byte(in.Signature))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, rec)
}
