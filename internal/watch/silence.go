package watch

import (
	"cmp"
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
	"writ/internal/mail"
	"writ/internal/notify"
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

// Silence keeps alarms from being told for a while. An edit is a new version of it.
type Silence struct {
	ID         string
	Matchers   []Matcher
	Made       time.Time
	MadeBy     string // kind/id
	Starts     time.Time
	Ends       time.Time
	Hid        int64
	Version    int64
	Needs      string // why a second person must approve: wide, long; "" = nobody
	Approved   time.Time
	ApprovedBy string // kind/id
	Link       string // clause/ID or incident/ID that it belongs to; "" = none

	root, former string
}

// Why a second person must approve a silence.
const (
	Wide = "wide" // it covers more than a quarter of the rules
	Long = "long" // it lasts longer than a day: it is an exception to what the policy says
)

// Waits reports whether a second person has yet to approve it.
func (x *Silence) Waits() bool { return x.Needs != "" && x.Approved.IsZero() }

const (
	longestSilence = 30 * 24 * time.Hour
	aloneSilence   = 24 * time.Hour // that nobody need approve
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

// Wish is a silence as somebody asks for it.
type Wish struct {
	Matchers []Matcher
	Reason   string
	Ends     time.Time // zero: in two hours
	Link     string    // clause/ID or incident/ID that it belongs to; "" = none
	Former   string    // id of the one that it takes the place of; "" = it is the first
}

// Silence makes one: of a few rules, for a reason, and with an end. One that covers more than a
// quarter of the rules, or lasts longer than a day, holds once a second person has approved it.
func (s *Service) Silence(ctx context.Context, who actor.Actor, ms []Matcher, reason string, ends time.Time) (Silence, error) { // clause: mon.notify
	return s.MakeSilence(ctx, who, Wish{Matchers: ms, Reason: reason, Ends: ends})
}

// EditSilence makes a new version of one, which ends when the new one holds.
func (s *Service) EditSilence(ctx context.Context, who actor.Actor, former string, ms []Matcher, reason string, ends time.Time) (Silence, error) { // clause: mon.notify
	return s.MakeSilence(ctx, who, Wish{Matchers: ms, Reason: reason, Ends: ends, Former: former})
}

// MakeSilence makes what is wished for, or a new version. What may not be is refused and recorded.
func (s *Service) MakeSilence(ctx context.Context, who actor.Actor, in Wish) (Silence, error) { // clause: mon.notify
	ms, reason, former := in.Matchers, in.Reason, in.Former
	x := Silence{Matchers: ms, MadeBy: who.String(), Ends: in.Ends, Version: 1, Link: in.Link, former: former}
	if err := s.Access.Allow(ctx, who, access.WatchAct, "watch/silences"); err != nil {
		return x, err //nolint:wrapcheck // a fault for the reader
	}
	if x.Ends.IsZero() {
		x.Ends = s.Now().Add(usualSilence)
	}
	err := s.mayBeSilent(&x, reason)
	if err == nil {
		err = s.belongs(ctx, who, x.Link)
	}
	if err != nil {
		code, _ := fault.PublicOf(err)
		return x, s.DB.Refuse(ctx, who, SilenceRefused{Matchers: spell(ms), Code: code}, err) //nolint:wrapcheck // a fault for the reader
	}
	b, err := json.Marshal(ms)
	if err != nil {
		return x, fmt.Errorf("encode matchers: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		x.ID, x.Made, x.Starts = tx.ID(), tx.Now(), tx.Now()
		x.root = x.ID
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM watch_silence WHERE ends > $1`, []any{&n}, us(tx.Now())); err != nil {
			return nil, err
		}
		if n >= mostSilences {
			return nil, fault.Newf(fault.Limited, "silences_full", "There are %d silences already.", n)
		}
		if former != "" {
			old, err := s.silence(ctx, tx, former)
			if err == nil && !old.Ends.After(tx.Now()) {
				err = noSilence()
			}
			if err != nil {
				return nil, err
			}
			x.Link = cmp.Or(x.Link, old.Link)
			if x.root, x.Version = old.root, old.Version+1; !x.Waits() {
				if err := s.stopSilence(ctx, tx, former); err != nil {
					return nil, err
				}
			}
		}
		_, err := tx.Exec(ctx, insertSilence, x.ID, string(b), us(x.Made), x.MadeBy, us(x.Ends), x.root, x.Version, former, x.Needs, x.Link)
		return SilenceMade{Silence: x.ID, Link: x.Link, Matchers: spell(ms), Ends: x.Ends, Version: x.Version, Former: former, Needs: x.Needs, reason: reason}, err
	})
	return x, err //nolint:wrapcheck // the ledger says what failed
}

// belongs looks whether there is what a silence is said to belong to.
func (s *Service) belongs(ctx context.Context, who actor.Actor, link string) error {
	if link == "" {
		return nil
	}
	kind, id, _ := strings.Cut(link, "/")
	if id == "" || len(link) > 120 || kind != "clause" && kind != "incident" || s.Exists == nil || s.Exists(ctx, who, kind, id) != nil {
		return bad("link", "There is no such clause or incident.", "clause/mon.load, or incident/I-3.")
	}
	return nil
}

// ApproveSilence is the word of a second person on a wide or a long one.
func (s *Service) ApproveSilence(ctx context.Context, who actor.Actor, id string) error { // clause: mon.notify
	if err := s.Access.Allow(ctx, who, access.WatchManage, "silence/"+id); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	x, err := s.silence(ctx, s.DB, id)
	if err != nil {
		return err
	}
	if err := mayApprove(&x, who); err != nil {
		code, _ := fault.PublicOf(err)
		return s.DB.Refuse(ctx, who, SilenceRefused{Matchers: spell(x.Matchers), Code: code}, err) //nolint:wrapcheck // a fault for the reader
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_silence SET approved = $2, approved_by = $3 WHERE id = $1 AND approved = 0 AND needs <> '' AND ends > $2`, id, us(tx.Now()), who.String())
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "silence_state", fault.Public{Problem: "The silence waits for nobody's approval.", Next: "Look at: writ watch silence list"})
		}
		if err != nil {
			return nil, err
		}
		if x.former != "" {
			if err := s.stopSilence(ctx, tx, x.former); err != nil {
				return nil, err
			}
		}
		return SilenceApproved{Silence: id, Ends: x.Ends, Needs: x.Needs}, nil
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// mayApprove wants somebody else than its maker.
func mayApprove(x *Silence, who actor.Actor) error {
	switch {
	case who.Kind != actor.Person:
		return fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A silence is approved by a person.", Next: "Sign in, and look at it in the console."})
	case who.String() == x.MadeBy:
		return fault.New(fault.Denied, "own_silence", fault.Public{Problem: "You made this silence yourself.", Expected: "A second person approves it.", Next: "Ask an engineer or an owner."})
	}
	return nil
}

// stopSilence ends one that is not over; what it kept quiet is looked at now.
func (s *Service) stopSilence(ctx context.Context, tx *ledger.Tx, id string) error {
	if _, err := tx.Exec(ctx, `UPDATE watch_silence SET ends = $2 WHERE id = $1 AND ends > $2`, id, us(tx.Now())); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	_, err := tx.Exec(ctx, `UPDATE watch_alarm SET due = $1 WHERE silenced AND state = 'firing'`, us(tx.Now()))
	return err //nolint:wrapcheck // the ledger says what failed
}

func spell(ms []Matcher) string {
	var out []string
	for _, m := range ms {
		out = append(out, m.String())
	}
	s := strings.Join(out, ", ")
	return strings.ToValidUTF8(s[:min(len(s), 400)], "")
}

// mayBeSilent looks whether a silence may be, and whether a second person must say so too.
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
		return bad("ends", "The silence is too long.", "At most 30 days, and a second person's approval for more than one.")
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
	switch {
	case 4*hits > len(s.allRules()):
		x.Needs = Wide
	case x.Ends.After(now.Add(aloneSilence)):
		x.Needs = Long
	}
	return nil
}

// EndSilence ends one before its time; what it kept quiet is told now.
func (s *Service) EndSilence(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.WatchAct, "silence/"+id); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		x, err := s.silence(ctx, tx, id)
		if err == nil && !x.Ends.After(tx.Now()) {
			err = noSilence()
		}
		if err != nil {
			return nil, err
		}
		return SilenceEnded{Silence: id}, s.stopSilence(ctx, tx, id)
	})
	if err == nil {
		s.nudge()
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

func noSilence() error {
	return fault.New(fault.NotFound, "silence_unknown", fault.Public{Problem: "There is no such silence, or it is over.", Next: "Look at: writ watch silence list"})
}

// Silences lists them, the newest first: those in force, and what the others kept quiet.
func (s *Service) Silences(ctx context.Context, who actor.Actor) ([]Silence, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/silences"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.readSilences(ctx, s.DB, `SELECT `+silenceColumns+` FROM watch_silence ORDER BY id DESC LIMIT 500`)
}

// Kept is a silence with its versions and what it kept quiet.
type Kept struct {
	Silence
	Versions []Silence // all of them, the first one first
	Alarms   []Alarm   // the newest first, at most 200
}

// SilenceOf reads one.
func (s *Service) SilenceOf(ctx context.Context, who actor.Actor, id string) (k Kept, err error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "silence/"+id); err != nil {
		return k, err //nolint:wrapcheck // a fault for the reader
	}
	if k.Silence, err = s.silence(ctx, s.DB, id); err != nil {
		return k, err
	}
	if k.Versions, err = s.readSilences(ctx, s.DB, `SELECT `+silenceColumns+` FROM watch_silence WHERE root = $1 OR id = $1 ORDER BY version, id`, k.root); err != nil {
		return k, err
	}
	k.Alarms, err = s.read(ctx, s.DB, `SELECT `+alarmColumns+` FROM watch_alarm WHERE id IN (SELECT alarm FROM watch_hidden WHERE silence = $1) ORDER BY id DESC LIMIT 200`, id)
	return k, err
}

func (s *Service) silence(ctx context.Context, r ledger.Reader, id string) (Silence, error) {
	xs, err := s.readSilences(ctx, r, `SELECT `+silenceColumns+` FROM watch_silence WHERE id = $1`, id)
	if err == nil && len(xs) == 0 {
		err = noSilence()
	}
	if err != nil {
		return Silence{}, err
	}
	return xs[0], nil
}

// inForce are those that keep something quiet now.
func (s *Service) inForce(ctx context.Context) ([]Silence, error) {
	return s.readSilences(ctx, s.DB, `SELECT `+silenceColumns+` FROM watch_silence WHERE ends > $1 AND (needs = '' OR approved > 0) ORDER BY id`, s.Now().UnixMicro())
}

// tendSilences tells who made a silence an hour before it ends, where it lasts longer.
func (s *Service) tendSilences(ctx context.Context) error { // clause: mon.notify
	now := s.Now()
	xs, err := s.readSilences(ctx, s.DB, endingSilences, us(now), us(now.Add(endsSoon)), endsSoon.Microseconds())
	if err != nil || len(xs) == 0 {
		return err
	}
	people, err := s.ever(ctx)
	if err != nil {
		return err
	}
	for i := range xs {
		if err := s.warn(ctx, &xs[i], people); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) warn(ctx context.Context, x *Silence, people []Person) error {
	var ms []notify.Message
	for _, p := range people {
		if "person/"+p.ID == x.MadeBy {
			ms = append(ms, notify.Message{Key: "silence/" + x.ID, Channel: notify.Mail, To: p.Email, Subject: "A silence ends soon: " + spell(x.Matchers), Severity: notify.Notice, About: "silence/" + x.ID, Link: &mail.Link{Text: "See the silence", URL: s.Origin + atAlarm + "silences"},
				Text: "It ends at " + x.Ends.UTC().Format("2006-01-02 15:04") + " UTC. What still fires then is told at once. If nobody need hear for longer, make another."})
		}
	}
	ps, err := s.Notify.Prepare(ctx, ms...)
	if err != nil {
		return fmt.Errorf("prepare a letter about a silence: %w", err)
	}
	_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_silence SET warned = $2 WHERE id = $1 AND warned = 0`, x.ID, us(tx.Now()))
		if err == nil && n == 0 {
			err = errQuiet
		}
		if err != nil {
			return nil, err
		}
		return SilenceEnding{Silence: x.ID, Ends: x.Ends, People: int64(len(ms))}, s.Notify.Queue(ctx, tx, ps...) //nolint:wrapcheck // says which act
	})
	if errors.Is(err, errQuiet) {
		return nil
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

func (s *Service) readSilences(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Silence, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var x Silence
		var ms string
		var made, starts, ends, approved int64
		if err := scan(&x.ID, &ms, &made, &x.MadeBy, &starts, &ends, &x.Hid, &x.root, &x.Version, &x.former, &x.Needs, &approved, &x.ApprovedBy, &x.Link); err != nil {
			return err
		}
		if x.root == "" { // made before there were versions
			x.root = x.ID
		}
		x.Made, x.Starts, x.Ends, x.Approved = at(made), at(starts), at(ends), at(approved)
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
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

const endsSoon = time.Hour

const (
	silenceColumns = `id, matchers, made, made_by, starts, ends, hid, root, version, former, needs, approved, approved_by, link`
	insertSilence  = `INSERT INTO watch_silence (id, matchers, made, made_by, starts, ends, hid, root, version, former, needs, approved, approved_by, warned, link) VALUES ($1, $2, $3, $4, $3, $5, 0, $6, $7, $8, $9, 0, '', 0, $10)`
	endingSilences = `SELECT ` + silenceColumns + ` FROM watch_silence WHERE ends > $1 AND ends <= $2 AND ends - starts > $3 AND warned = 0 AND (needs = '' OR approved > 0) ORDER BY id LIMIT 100`
)
