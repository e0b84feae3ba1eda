package watch

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/notify"
	"writ/internal/web"
)

type (
	reportIn struct {
		File []byte `json:"file"` // the notice, as the mail server sent it
	}
	reportOut struct {
		Receivers int `json:"receivers"` // it was about
	}
	unreachableWire struct {
		ID      string    `json:"id"`
		Address string    `json:"address"` // shortened
		Since   time.Time `json:"since"`
		Code    string    `json:"code"`
	}
	unreachableOut struct {
		Addresses []unreachableWire `json:"addresses"`
	}
)

// ReportRoutes are those of what mail servers say of letters.
func (s *Service) ReportRoutes() []web.Route {
	const v1 = "/-/api/v1/notify"
	on := func(pattern string, h web.Handler, d web.Doc) web.Route {
		d.Tag = "notify"
		return web.Route{Pattern: pattern, Who: web.Staff, Tokens: true, Limit: 2 << 20, Handle: h, Doc: d}
	}
	return []web.Route{
		on("POST "+v1+"/reports", s.postReport, web.Doc{Summary: "Bring a mail server's notice about a delivery (RFC 3464)", In: reportIn{}, Out: reportOut{}, Errors: []string{"report_invalid", "report_stray", "reports_many"}}),
		on("GET "+v1+"/unreachable", s.getUnreachable, web.Doc{Summary: "Addresses that letters came back from, shortened", Out: unreachableOut{}}),
		on("DELETE "+v1+"/unreachable/{id}", s.deleteUnreachable, web.Doc{Summary: "Say that letters reach an address again", Errors: []string{"address_unknown"}}),
	}
}

// UnreachableFor lists addresses that letters do not reach, for somebody: enough of each to
// know one's own again.
func (s *Service) UnreachableFor(ctx context.Context, who actor.Actor) ([]notify.Unreachable, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/deliveries"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	xs, err := s.Notify.Unreachable(ctx)
	for i := range xs {
		name, host, _ := strings.Cut(xs[i].Address, "@")
		xs[i].Address = string([]rune(name + "?")[:1]) + "…@" + host
	}
	return xs, err //nolint:wrapcheck // the kit says what failed
}

func (s *Service) postReport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/deliveries"); err != nil {
		return err
	}
	in, err := web.ReadJSON[reportIn](r)
	if err != nil {
		return err
	}
	n, err := s.Notify.Bounce(r.Context(), who, bytes.NewReader(in.File))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, reportOut{n})
}

func (s *Service) getUnreachable(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.UnreachableFor(r.Context(), who)
	if err != nil {
		return err
	}
	out := unreachableOut{Addresses: []unreachableWire{}}
	for _, x := range xs {
		out.Addresses = append(out.Addresses, unreachableWire{x.Mark, x.Address, x.Since, x.Code})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) deleteUnreachable(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/deliveries"); err != nil {
		return err
	}
	if err := s.Notify.Reachable(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
