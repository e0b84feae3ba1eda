package incident

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Elsewhere is a channel beside the status page, and where the public was told there.
type Elsewhere struct {
	Channel string
	URL     string // "" = not yet
	At      time.Time
}

// Posted says where a person has told the public on another channel: they post it there, and
// paste the address here.
func (s *Service) Posted(ctx context.Context, who actor.Actor, ref, channel, address string) (Case, error) { // clause: inc.public-notice
	if !slices.Contains(s.elsewhere(), channel) {
		return Case{}, fault.New(fault.Invalid, "channel_unknown", fault.Public{Problem: fmt.Sprintf("The policy names no channel %q.", channel), Expected: "One of: " + strings.Join(s.elsewhere(), ", ") + ".",
			Fields: []fault.Field{{Name: "channel", Code: "channel_unknown", Problem: "The policy names no such channel."}}})
	}
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > 500 {
		return Case{}, fault.New(fault.Invalid, "url", fault.Public{Problem: "This is no address of a post.", Expected: "https://…", Fields: []fault.Field{{Name: "url", Code: "url", Problem: "Paste the address of the post, https://…"}}})
	}
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if at := c.States[engine.C]; at == "" || at == "C0" || at == "C1" {
			return nil, kept(*c, engine.C, "posted-elsewhere", []engine.Lack{{Guard: "posted", Words: "The first notice does not stand on the status page yet.", Who: "communications"}})
		}
		n, err := tx.Exec(ctx, insertElsewhere, c.ID, channel, u.String(), by(who), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "posted", "Where it stands on %s is known already.", channel)
		}
		return PostedElsewhere{Incident: c.ID, Channel: channel, URL: u.String()}, err
	})
}

// elsewhere are the channels of the policy beside the status page.
func (s *Service) elsewhere() []string {
	return slices.DeleteFunc(slices.Clone(s.Rules.Get().Channels), func(c string) bool { return c == "status-page" })
}

func (s *Service) postedAt(ctx context.Context, c Case) ([]Elsewhere, error) {
	if at := c.States[engine.C]; at == "" || at == "C0" || at == "C1" || c.Drill {
		return nil, nil
	}
	var out []Elsewhere
	for _, channel := range s.elsewhere() {
		out = append(out, Elsewhere{Channel: channel})
	}
	err := s.DB.Each(ctx, elsewhereOf, func(scan ledger.Scan) error {
		var e Elsewhere
		var t int64
		err := scan(&e.Channel, &e.URL, &t)
		e.At = at(t)
		if i := slices.IndexFunc(out, func(x Elsewhere) bool { return x.Channel == e.Channel }); i >= 0 {
			out[i] = e
		} else {
			out = append(out, e)
		}
		return err
	}, c.ID)
	return out, err
}

// PostedElsewhere is where the public was told on another channel.
type PostedElsewhere struct {
	Incident string `class:"public"`
	Channel  string `class:"public"`
	URL      string `class:"public"`
}

// About implements ledger.Event.
func (e PostedElsewhere) About() ledger.About {
	return ledger.About{Name: "incident.posted-elsewhere", Clause: "inc.public-notice", Object: thing(e.Incident)}
}

const (
	insertElsewhere = `INSERT INTO incident_elsewhere (case_id, channel, url, person, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (case_id, channel) DO NOTHING`
	elsewhereOf     = `SELECT channel, url, at FROM incident_elsewhere WHERE case_id = $1 ORDER BY channel`
)
