package holders

import (
	"fmt"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/seal"
	"writ/internal/web"
)

// far is how far a gathering has come.
func far(d seal.State) string { return fmt.Sprintf("%d of %d", d.Given, d.Need) }

// holderPage is what a holder sees of their own share.
type holderPage struct {
	Holder   Holder
	Passkeys bool
	Form     web.Form
	Command  web.Code
}

func (s *Service) page(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return s.show(w, r, who, http.StatusOK, nil)
}

func (s *Service) show(w http.ResponseWriter, r *http.Request, who actor.Actor, status int, fail error) error {
	h, err := s.mine(r.Context(), who)
	if err != nil {
		return err
	}
	p := holderPage{Holder: h, Passkeys: s.Enroller != nil, Command: web.Code{Label: "Make a key file on your own machine", Text: "writ vault holder-key vault-share.key"},
		Form: web.Form{Action: atHolder, Act: "Enrol this key", Quiet: true, Fault: fail, Fields: []web.Field{
			{Name: "line", Label: "Its line", Required: true, Complete: "off", Max: 200, Hint: "The command prints it. It begins with writ-holder-1 and is no secret."}}}}
	v := web.View{Title: "Your share of the vault", Frame: web.Plain, Data: p, Scripts: []string{seal.Script}, Lead: "You are asked to be one of those who open the vault together. Enrol a key, to which your share is sealed."}
	if h.State == enrolled {
		v.Lead = "You have enrolled. When the vault is sealed you give your share at " + s.Origin + seal.At + "."
	}
	return s.set.Render(w, r, status, "holder", v)
}

func (s *Service) doEnrol(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	k, err := seal.ReadLine(f.Get("line"))
	if err == nil {
		err = s.Enrol(r.Context(), who, k)
	}
	return s.enrolledNow(w, r, who, err)
}

func (s *Service) doPasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	return s.enrolledNow(w, r, who, s.EnrolPasskey(r.Context(), who, []byte(f.Get("credential")), f.Get("public"), f.Get("wrapped")))
}

func (s *Service) enrolledNow(w http.ResponseWriter, r *http.Request, who actor.Actor, err error) error {
	switch fault.KindOf(err) {
	case "":
		web.Tell(w, web.Notice{Says: "You are enrolled. Your share is sealed to your key, and new ones will be."})
		return web.Redirect(w, r, atHolder)
	case fault.Invalid, fault.Conflict, fault.Gone:
		return s.show(w, r, who, fault.KindOf(err).Status(), err)
	}
	return err
}
