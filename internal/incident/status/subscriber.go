package status

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Subscriber is one that is told of updates, or was suspended.
type Subscriber struct {
	ID        string
	Kind      string
	Where     string   // shortened: enough to know one's own again
	Parts     []string // ids of components; none = all
	Since     time.Time
	Suspended time.Time // since when it is told nothing; zero = it is told
	Refused   int64     // messages one after another, or letters that came back
}

const mostListed = 100

// List is some of the subscribers, for who may read incidents: those after an id, in its order.
func (s *Service) List(ctx context.Context, who actor.Actor, after string) ([]Subscriber, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, "status/subscribers"); err != nil {
		return nil, err
	}
	var out []Subscriber
	var boxes [][]byte
	if err := s.DB.Each(ctx, listSubscribers, func(scan ledger.Scan) error {
		var x Subscriber
		var parts string
		var since int64
		var suspended *int64
		var box []byte
		err := scan(&x.ID, &x.Kind, &box, &parts, &since, &suspended, &x.Refused)
		x.Parts, x.Since, x.Suspended = strings.Fields(parts), at(since), when(suspended)
		out, boxes = append(out, x), append(boxes, box)
		return err
	}, after, mostListed); err != nil {
		return nil, err
	}
	for i, box := range boxes {
		to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, out[i].ID), box)
		if errors.Is(err, fault.Gone) { // unsubscribed at this moment
			continue
		}
		if err != nil {
			return nil, err
		}
		if out[i].Kind == byHook {
			h, err := readHook(to)
			if err != nil {
				return nil, err
			}
			out[i].Where = shortHook(h.address.Reveal())
			continue
		}
		out[i].Where = shortMail(string(to.Reveal()))
	}
	return out, nil
}

func shortMail(address string) string {
	name, host, _ := strings.Cut(address, "@")
	return string([]rune(name + "?")[:1]) + "…@" + host
}

// shortHook leaves out what may be a secret of the receiver.
func shortHook(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "…"
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// Remove ends a subscription by somebody of staff, with a reason, and erases how it was reached.
func (s *Service) Remove(ctx context.Context, who actor.Actor, id, reason string) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/subscribers"); err != nil {
		return err
	}
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n < 3 || n > 500 || !utf8.ValidString(reason) || strings.ContainsFunc(reason, odd) {
		return fault.New(fault.Invalid, "reason", fault.Public{Problem: "Say why, in 3 to 500 characters.", Fields: []fault.Field{{Name: "reason", Code: "reason", Problem: "3 to 500 characters."}}})
	}
	if err := ledger.One(ctx, s.DB, subscriberRow, []any{new(string)}, id); errors.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "subscriber_unknown", fault.Public{Problem: "There is no such subscriber.", Next: "Look at the list: writ status subscribers list"})
	} else if err != nil {
		return err
	}
	return s.drop(ctx, who, id, SubscriberRemoved{Subscriber: id, Reason: reason})
}

type (
	subscriberOut struct {
		ID         string     `json:"id"`
		Kind       string     `json:"kind"`       // mail, webhook
		Where      string     `json:"where"`      // shortened
		Components []string   `json:"components"` // ids; none = all
		State      string     `json:"state"`      // told, suspended
		Since      time.Time  `json:"since"`
		Suspended  *time.Time `json:"suspended,omitempty"`
		Refused    int64      `json:"refused"` // messages one after another, or letters that came back
	}
	subscribersOut struct {
		Subscribers []subscriberOut `json:"subscribers"`
		Next        string          `json:"next,omitempty"` // after, of the next ones
	}
	removeIn struct {
		Reason string `json:"reason"`
	}
)

func (s *Service) getSubscribers(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.List(r.Context(), who, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	out := subscribersOut{Subscribers: []subscriberOut{}}
	for _, x := range xs {
		y := subscriberOut{x.ID, x.Kind, x.Where, append([]string{}, x.Parts...), "told", x.Since, known(x.Suspended), x.Refused}
		if y.Suspended != nil {
			y.State = "suspended"
		}
		out.Subscribers = append(out.Subscribers, y)
	}
	if len(xs) == mostListed {
		out.Next = xs[len(xs)-1].ID
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) deleteSubscriber(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.IncidentAct, "status/subscribers"); err != nil {
		return err
	}
	in, err := web.ReadJSON[removeIn](r)
	if err != nil {
		return err
	}
	if err := s.Remove(r.Context(), who, r.PathValue("id"), in.Reason); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

// SubscriberRemoved is a subscription that somebody of staff ended; the address is erased.
type SubscriberRemoved struct {
	Subscriber string `class:"public"`
	Reason     string `class:"personal"`
}

// About implements ledger.Event.
func (e SubscriberRemoved) About() ledger.About {
	return ledger.About{Name: "incident.subscriber-removed", Object: "subscriber/" + e.Subscriber}
}

const listSubscribers = `SELECT id, kind, box, parts, confirmed, suspended, CASE WHEN refused > bounced THEN refused ELSE bounced END FROM incident_status_subscriber WHERE confirmed IS NOT NULL AND id > $1 ORDER BY id LIMIT $2`
