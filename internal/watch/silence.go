package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Matcher compares one label.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Regex   bool   `json:"isRegex"`
	Unequal bool   `json:"not,omitempty"`

	re *regexp.Regexp
}

// String is the matcher as people write it.
func (m Matcher) String() string {
	op := "="
	switch {
	case m.Regex && m.Unequal:
		op = "!~"
	case m.Regex:
		op = "=~"
	case m.Unequal:
		op = "!="
	}
	return m.Name + op + m.Value
}

var goodMatcher = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$`)

// ParseMatcher reads name=value, with != for another one, and =~ and !~ for an expression.
func ParseMatcher(s string) (Matcher, error) {
	p := goodMatcher.FindStringSubmatch(s)
	if p == nil || len(s) > mostMatcher {
		return Matcher{}, bad("matcher", "A matcher is not understood.", "name=value, name!=value, name=~expression or name!~expression.")
	}
	m := Matcher{Name: p[1], Value: p[3], Regex: strings.HasSuffix(p[2], "~"), Unequal: p[2][0] == '!'}
	return m, m.compile()
}

const (
	mostMatcher  = 500
	mostMatchers = 10
)

func (m *Matcher) compile() error {
	if !m.Regex {
		return nil
	}
	re, err := regexp.Compile("^(?:" + m.Value + ")$")
	if err != nil {
		return bad("matcher", "The expression of a matcher is not understood: "+err.Error()+".", "An expression of RE2, without look-around.")
	}
	m.re = re
	return nil
}

// matches compares a label; one that is absent is empty.
func (m *Matcher) matches(labels map[string]string) bool {
	v := labels[m.Name]
	hit := v == m.Value
	if m.Regex {
		hit = m.re != nil && m.re.MatchString(v)
	}
	return hit != m.Unequal
}

// Silence keeps alarms from being told for a while.
type Silence struct {
	ID       string
	Matchers []Matcher
	Made     time.Time
	MadeBy   string // kind/id
	Starts   time.Time
	Ends     time.Time
	Hid      int64
}

const (
	longestSilence = 24 * time.Hour
	usualSilence   = 2 * time.Hour
	leastReason    = 10
	mostSilences   = 500
)

// matches reports whether all of its matchers do.
func (x *Silence) matches(labels map[string]string) bool {
	return len(x.Matchers) > 0 && !slices.ContainsFunc(x.Matchers, func(m Matcher) bool { return !m.matches(labels) })
}

// hides reports whether an alarm is not told. What watches trust, and watch itself, always is.
func (x *Silence) hides(a *Alarm) bool {
	r := index().byID[a.Rule]
	return (a.Part == Own || r != nil && !r.keeps()) && x.matches(a.Labels)
}

// Silence makes one. It is of a few rules, for a reason, and ends: whatever should last
// longer than a day is an exception to the policy.
func (s *Service) Silence(ctx context.Context, who actor.Actor, ms []Matcher, reason string, ends time.Time) (Silence, error) { // clause: mon.notify
	x := Silence{Matchers: ms, MadeBy: who.String(), Ends: ends}
	if err := s.Access.Allow(ctx, who, access.WatchAct, "watch/silences"); err != nil {
		return x, err //nolint:wrapcheck // a fault for the reader
	}
	if x.Ends.IsZero() {
		x.Ends = s.Now().Add(usualSilence)
	}
	if err := s.mayBeSilent(&x, reason); err != nil {
		code, _ := fault.PublicOf(err)
		return x, s.DB.Refuse(ctx, who, SilenceRefused{Matchers: spell(ms), Code: code}, err) //nolint:wrapcheck // a fault for the reader
	}
	b, err := json.Marshal(ms)
	if err != nil {
		return x, fmt.Errorf("encode matchers: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		x.ID, x.Made, x.Starts = tx.ID(), tx.Now(), tx.Now()
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM watch_silence WHERE ends > $1`, []any{&n}, us(tx.Now())); err != nil {
			return nil, err
		}
		if n >= mostSilences {
			return nil, fault.Newf(fault.Limited, "silences_full", "There are %d silences already.", n)
		}
		_, err := tx.Exec(ctx, `INSERT INTO watch_silence (id, matchers, made, made_by, starts, ends, hid) VALUES ($1, $2, $3, $4, $3, $5, 0)`, x.ID, string(b), us(x.Made), x.MadeBy, us(x.Ends))
		return SilenceMade{Silence: x.ID, Matchers: spell(ms), Ends: x.Ends, reason: reason}, err
	})
	return x, err //nolint:wrapcheck // the ledger says what failed
}

func spell(ms []Matcher) string {
	var out []string
	for _, m := range ms {
		out = append(out, m.String())
	}
	s := strings.Join(out, ", ")
	return strings.ToValidUTF8(s[:min(len(s), 400)], "")
}

func (s *Service) mayBeSilent(x *Silence, reason string) error {
	now := s.Now()
	switch {
	case len(x.Matchers) == 0 || len(x.Matchers) > mostMatchers:
		return bad("matcher", "A silence says of which alarms it is.", "One to ten matchers, such as alertname=cpu-high.")
	case len(strings.TrimSpace(reason)) < leastReason || len(reason) > mostNote:
		return bad("reason", "A silence has a reason.", "10 to 500 bytes: what is being done, and why nobody need hear.")
	case !x.Ends.After(now):
		return bad("ends", "The silence would be over already.", "A time ahead.")
	case x.Ends.After(now.Add(longestSilence)):
		return bad("ends", "The silence is too long.", "At most a day. What should last longer is an exception to the policy.")
	}
	var hits, trust int
	for _, r := range s.allRules() {
		if !x.matches(r.labels(nil)) {
			continue
		}
		if hits++; r.keeps() {
			trust++
		}
	}
	for _, m := range x.Matchers { // what names a rule, or its part, means it whatever the other labels say
		if r := index().byID[m.Value]; m.Name == "alertname" && !m.Unequal && !m.Regex && r != nil && r.keeps() || m.Name == "part" && !m.Unequal && (m.Value == Trust || m.Value == Meta) {
			trust++
		}
	}
	if trust > 0 {
		return bad("trust", "Rules that watch trust, or watch itself, are never silent.", "Matchers that leave out part trust and part watch.")
	}
	if 4*hits > len(s.allRules()) {
		return bad("wide", fmt.Sprintf("The silence would cover %d of %d rules.", hits, len(s.allRules())), "At most a quarter of them: name the rules.")
	}
	return nil
}

// EndSilence ends one before its time; what it kept quiet is told now.
func (s *Service) EndSilence(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.WatchAct, "silence/"+id); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_silence SET ends = $2 WHERE id = $1 AND ends > $2`, id, us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "silence_unknown", fault.Public{Problem: "There is no such silence, or it is over.", Next: "Look at: writ watch silences"})
		}
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE watch_alarm SET due = $1 WHERE silenced AND state = 'firing'`, us(tx.Now()))
		return SilenceEnded{Silence: id}, err
	})
	if err == nil {
		s.nudge()
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

// Silences lists them, the newest first: those in force, and what the others kept quiet.
func (s *Service) Silences(ctx context.Context, who actor.Actor) ([]Silence, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/silences"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.readSilences(ctx, `SELECT id, matchers, made, made_by, starts, ends, hid FROM watch_silence WHERE ends > $1 ORDER BY id DESC LIMIT 500`, int64(0))
}

func (s *Service) inForce(ctx context.Context) ([]Silence, error) {
	return s.readSilences(ctx, `SELECT id, matchers, made, made_by, starts, ends, hid FROM watch_silence WHERE ends > $1 ORDER BY id`, s.Now().UnixMicro())
}

func (s *Service) readSilences(ctx context.Context, query string, after int64) (out []Silence, err error) {
	err = s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var x Silence
		var ms string
		var made, starts, ends int64
		if err := scan(&x.ID, &ms, &made, &x.MadeBy, &starts, &ends, &x.Hid); err != nil {
			return err
		}
		x.Made, x.Starts, x.Ends = at(made), at(starts), at(ends)
		if err := json.Unmarshal([]byte(ms), &x.Matchers); err != nil {
			return errors.New("read a silence: its matchers are something else")
		}
		for i := range x.Matchers {
			if err := x.Matchers[i].compile(); err != nil {
				return err
			}
		}
		out = append(out, x)
		return nil
	}, after)
	return out, err //nolint:wrapcheck // the ledger says what failed
}
