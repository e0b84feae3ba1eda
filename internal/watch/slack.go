package watch

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/web"
)

// Slack is how people acknowledge by a button of a message.
type Slack struct {
	Key    secret.Bytes      // signing secret of the app
	People map[string]string // Slack's id of a person → their address here
}

const (
	mostSlack   = 64 << 10 // bytes of a request of Slack: it brings the message along
	mostButtons = 40       // alarms that one button acknowledges: its value has 2,000 letters
)

// buttonOf is the value of the button under a message about alarms; "" = it has none.
func (s *Service) buttonOf(kind string, as []*Alarm) string {
	if s.Slack == nil || kind != notify.Slack {
		return ""
	}
	return ids(as[:min(len(as), mostButtons)])
}

// slackRoutes is the door that Slack calls, where it is set up.
func (s *Service) slackRoutes() []web.Route {
	if s.Slack == nil {
		return nil
	}
	return []web.Route{{Pattern: "POST /-/watch/slack", Who: web.Anyone, Limit: mostSlack, Handle: s.postSlack}}
}

// postSlack acknowledges for the person who pressed the button. Who is not named in the settings,
// or may not be told of alarms here, is refused, and that is recorded.
func (s *Service) postSlack(w http.ResponseWriter, r *http.Request, _ actor.Actor) error { // clause: mon.notify
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read a request of Slack: %w", err)
	}
	ctx, stranger := r.Context(), web.StrangerOf(r)
	p, err := notify.ReadSlack(s.Slack.Key, r.Header, body, s.Now())
	if err != nil {
		code, _ := fault.PublicOf(err)
		return s.DB.Refuse(ctx, stranger, ButtonRefused{Cause: code}, err) //nolint:wrapcheck // a fault for the reader
	}
	people, err := s.ever(ctx)
	if err != nil {
		return err
	}
	address := s.Slack.People[p.User]
	i := slices.IndexFunc(people, func(q Person) bool { return address != "" && strings.EqualFold(q.Email, address) })
	if i < 0 {
		err := fault.New(fault.Denied, "slack_person", fault.Public{Problem: "Nobody here is this person of Slack.", Next: "Name them under watch.slack in writ.yaml, by the address that they confirmed here."})
		return s.DB.Refuse(ctx, stranger, ButtonRefused{Cause: "slack_person", User: p.User}, err) //nolint:wrapcheck // a fault for the reader
	}
	who := actor.Actor{Kind: actor.Person, ID: people[i].ID, Via: "https"}
	alarms := strings.Fields(p.Value)
	err = s.acknowledge(ctx, who, alarms[:min(len(alarms), mostButtons)], "by a button of Slack", nil)
	if code, _ := fault.PublicOf(err); err != nil && cmp.Or(code, "") != "alarm_state" { // somebody looks already: that is what was wanted
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
