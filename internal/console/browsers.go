package console

import (
	"net/http"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/web"
)

// forgetForm takes away the leave of a person's browsers to skip the second factor. The
// person reads the reason.
func forgetForm(at string, bs []identity.Remembered, fail error) *web.Form {
	which := web.Field{Name: "browser", Label: "Browser", Type: "select", Options: []web.Option{{Text: "all of them"}}}
	for _, b := range bs {
		which.Options = append(which.Options, web.Option{Value: b.ID, Text: b.Name + ", since " + b.Since.UTC().Format("2 January 2006")})
	}
	return &web.Form{Action: at + "/browsers/forget", Act: "Ask for the second factor again", Quiet: true, Part: "forget", Fault: fail, Fields: []web.Field{which,
		{Name: "reason", Label: "Reason", Hint: "The person can read it.", Required: true, Max: 300, Complete: "off"}}}
}

func (c *Console) forgetBrowsers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	n, err := c.Identity.ForgetBrowserOf(r.Context(), who, r.PathValue("id"), f.Get("browser"), f.Get("reason"))
	if err != nil {
		if !formed(err) {
			return err
		}
		return c.personPage(w, r, who, personTries{forget: err})
	}
	return c.done(w, r, personHref(r.PathValue("id")), web.Count(n, "browser")+" forgotten: the second factor is asked for at the next sign-in.")
}
