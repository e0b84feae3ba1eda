package policy

import (
	"net/http"

	"writ/internal/actor"
	"writ/internal/web"
)

func (s *Service) getExceptions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	out := exceptionsView{Exceptions: []ExceptionToSign{}}
	m, err := s.Current()
	if err != nil {
		return err
	}
	if out.Waived, err = s.Waived(r.Context()); err != nil {
		return err
	}
	for _, e := range s.Exceptions() {
		v := ExceptionToSign{Exception: e}
		if e.State == ExceptionOpen && e.inName() && e.Confirmed == "" {
			v.ToSign = append(v.ToSign, ToSign{Approver: e.Requester, Kind: "requester", Text: string(e.Text(m.Policy.ID, e.Requester))})
		}
		for _, o := range m.Policy.Owners {
			if e.State == ExceptionOpen && o != e.Requester {
				v.ToSign = append(v.ToSign, ToSign{Approver: o, Kind: ByOwner, Text: string(e.Text(m.Policy.ID, o))})
			}
		}
		out.Exceptions = append(out.Exceptions, v)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postException(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[exceptionIn](r)
	if err != nil {
		return err
	}
	e, err := s.RequestException(r.Context(), who, ExceptionRequest(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, e)
}

func (s *Service) postExceptionApprove(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[signatureIn](r)
	if err != nil {
		return err
	}
	e, err := s.ApproveException(r.Context(), who, r.PathValue("id"), []byte(in.Signature))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, e)
}

func (s *Service) postExceptionRevoke(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[reasonIn](r)
	if err != nil {
		return err
	}
	e, err := s.RevokeException(r.Context(), who, r.PathValue("id"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, e)
}
