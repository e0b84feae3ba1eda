package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
)

// tell sends one message about alarms of one kind and route, by every way of it. Until
// somebody acknowledges, it goes out again, to more people.
func (s *Service) tell(ctx context.Context, as []*Alarm) error { // clause: mon.notify
	as, err := s.heard(ctx, as)
	if err != nil || len(as) == 0 {
		return err
	}
	first := as[0]
	level := first.Level
	for _, a := range as {
		level = max(level, a.Level)
	}
	if wait, err := s.justTold(ctx, first, level); err != nil || wait > 0 {
		return errOr(err, func() error { return s.postpone(ctx, as, wait) })
	}
	return s.deliver(ctx, as, level, s.message(as, level), func(tx *ledger.Tx, d delivered) (ledger.Event, error) {
		return s.told(ctx, tx, as, level, d)
	})
}

// delivered is how a message goes out.
type delivered struct {
	way    route
	names  []string // of channels
	people int
}

// deliver queues a message about alarms for those at a level and by the ways of its route, in one
// change with what write notes.
func (s *Service) deliver(ctx context.Context, as []*Alarm, level int64, base notify.Message, write func(tx *ledger.Tx, d delivered) (ledger.Event, error)) error {
	first := as[0]
	way, people, err := s.toTell(ctx, routeOf(s.routes(), first), level)
	if err != nil {
		return fmt.Errorf("who is told: %w", err)
	}
	chans, err := s.Notify.Channels(ctx)
	if err != nil {
		return fmt.Errorf("how they are told: %w", err)
	}
	chans = way.through(chans)
	links := make([]link, 0, len(people))
	var ms []notify.Message
	d := delivered{way: way, people: len(people)}
	for _, c := range chans {
		d.names = append(d.names, c.Name)
		m := base
		m.Channel = c.Name
		if c.Kind != notify.Mail {
			m.Link, m.Ack = &mail.Link{Text: "Acknowledge it", URL: s.Origin + atAlarm + first.ID}, s.buttonOf(c.Kind, as)
			ms = append(ms, m)
			continue
		}
		for _, p := range people {
			l := link{token: secret.RandomText(24), person: p.ID, alarms: ids(as)}
			links = append(links, l)
			m.To, m.Link = p.Email, &mail.Link{Text: "Say that you look at it", URL: s.Origin + atLink + l.token.Reveal()}
			ms = append(ms, m)
		}
	}
	ps, err := s.Notify.Prepare(ctx, ms...)
	if err != nil {
		return fmt.Errorf("prepare an alarm's messages: %w", err)
	}
	_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		ev, err := write(tx, d)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if err := l.keep(ctx, tx); err != nil {
				return nil, err
			}
		}
		return ev, s.Notify.Queue(ctx, tx, ps...) //nolint:wrapcheck // says which act
	})
	if errors.Is(err, errQuiet) {
		return nil
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

func errOr(err error, fn func() error) error {
	if err != nil {
		return err
	}
	return fn()
}

func ids(as []*Alarm) string {
	var out []string
	for _, a := range as {
		out = append(out, a.ID)
	}
	return strings.Join(out, " ")
}

// told writes down that alarms were told, and when they are told again.
func (s *Service) told(ctx context.Context, tx *ledger.Tx, as []*Alarm, level int64, d delivered) (ledger.Event, error) {
	now := tx.Now()
	due := int64(0)
	if w := d.way.again(as[0].Severity); len(w) > 0 {
		due = us(now.Add(w[min(level, int64(len(w)-1))]))
	}
	var first ledger.Event
	for _, a := range as {
		n, err := tx.Exec(ctx, `UPDATE watch_alarm SET told = $2, level = $3, due = $4, silenced = FALSE, inhibited = '' WHERE id = $1 AND state = 'firing' AND told = $5`, a.ID, us(now), level+1, due, us(a.Told))
		if err != nil {
			return nil, err
		}
		if n == 0 { // acknowledged or cleared meanwhile, or another node told it
			continue
		}
		if err := s.happened(ctx, tx, a.ID, toldWord(level), "writ/watch"); err != nil {
			return nil, err
		}
		ev := AlarmTold{Alarm: a.ID, Rule: a.Rule, Level: level, Channels: d.names, People: int64(d.people)}
		if first == nil {
			first = ev
		} else {
			tx.Also(ev)
		}
	}
	if first == nil {
		return nil, errQuiet
	}
	return first, nil
}

func toldWord(level int64) string {
	if level == 0 {
		return "told"
	}
	return fmt.Sprintf("told again, level %d", level)
}

// justTold is how long alarms that are new wait, because their kind was told a moment ago.
func (s *Service) justTold(ctx context.Context, a *Alarm, level int64) (time.Duration, error) {
	if level > 0 {
		return 0, nil
	}
	var last int64
	if err := ledger.One(ctx, s.DB, `SELECT COALESCE(MAX(told), 0) FROM watch_alarm WHERE clause = $1 AND part = $2 AND severity = $3`, []any{&last}, a.Clause, a.Part, a.Severity); err != nil {
		return 0, err //nolint:wrapcheck // the ledger says what failed
	}
	left := max(at(last).Add(group).Sub(s.Now()), 0)
	rs := s.routes()
	if left == 0 || len(rs) == 0 {
		return left, nil
	}
	told, err := s.read(ctx, s.DB, justTold, a.Clause, a.Part, a.Severity, us(s.Now().Add(-group)), aStep)
	way := routeOf(rs, a).name
	for i := range told {
		if routeOf(rs, &told[i]).name == way {
			return max(told[i].Told.Add(group).Sub(s.Now()), 0), err
		}
	}
	return 0, err // those of another route keep none back
}

const justTold = `SELECT ` + alarmColumns + ` FROM watch_alarm WHERE clause = $1 AND part = $2 AND severity = $3 AND told > $4 ORDER BY told DESC, id LIMIT $5`

func (s *Service) postpone(ctx context.Context, as []*Alarm, wait time.Duration) error {
	return s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		for _, a := range as {
			if _, err := tx.Exec(ctx, `UPDATE watch_alarm SET due = $2 WHERE id = $1 AND state = 'firing'`, a.ID, us(tx.Now().Add(wait))); err != nil {
				return err
			}
		}
		return nil
	})
}

// message is what is said of alarms: what, since when, what to do, and where the entries are.
func (s *Service) message(as []*Alarm, level int64) notify.Message {
	first := as[0]
	var paras []string
	for _, a := range as[:min(len(as), tops)] {
		paras = append(paras, s.about(a))
	}
	if n := len(as) - tops; n > 0 {
		paras = append(paras, fmt.Sprintf("And %d more of this kind.", n))
	}
	if level > 0 {
		paras = append([]string{"Nobody has acknowledged this yet."}, paras...)
	}
	if first.Rule != beatRule.ID {
		paras = append(paras, "The evidence, which anybody can check with writ verify: "+s.Origin+atAlarm+"evidence/"+first.ID)
	}
	ended := ""
	if slices.ContainsFunc(as, func(a *Alarm) bool { return a.Silenced }) {
		ended = silenceEnded
		paras = append([]string{"A silence has ended, and this still fires."}, paras...)
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d%s", ids(as), level, first.Flaps, ended))
	subject := strings.ToUpper(first.Severity) + ": " + s.title(first)
	if len(as) > 1 {
		subject += fmt.Sprintf(", and %d more", len(as)-1)
	}
	subject += ended
	if first.Test {
		subject = "[test] " + subject
	}
	return notify.Message{Key: hex.EncodeToString(h[:16]), Subject: subject, Text: strings.Join(paras, "\n\n"), Severity: first.Severity, About: "alarm/" + first.ID, Thread: first.ID, Repeat: true}
}

const silenceEnded = " (silence ended)"

func (s *Service) title(a *Alarm) string {
	if r := s.ruleOf(a.Rule); r != nil && a.Rule != pushedRule {
		return r.Title
	}
	return cmp.Or(a.Labels["alertname"], a.Rule)
}

// about is one alarm in words.
func (s *Service) about(a *Alarm) string {
	r := s.ruleOf(a.Rule)
	if r == nil {
		return a.Rule
	}
	lines := []string{s.title(a) + "."}
	if who := a.Labels["instance"]; who != "" {
		lines = append(lines, "It is about "+who+".")
	}
	if a.Test && r.drill {
		lines = append(lines, "This is a test: "+r.Says+".")
	} else if a.Test {
		lines = append(lines, "This is a test: somebody fired the rule by hand.")
	} else {
		lines = append(lines, r.Says+"; seen: "+a.Value+", since "+a.Fired.Format("2006-01-02 15:04")+" UTC.")
	}
	return strings.Join(append(lines, r.Next), " ")
}

// unsilenced leaves out alarms that nobody wants to hear of for now; they are looked at
// again when the silence ends.
func (s *Service) unsilenced(ctx context.Context, as []*Alarm) ([]*Alarm, error) {
	silences, err := s.inForce(ctx)
	if err != nil || len(silences) == 0 {
		return as, err
	}
	var out []*Alarm
	for _, a := range as {
		i := slices.IndexFunc(silences, func(x Silence) bool { return x.hides(a) })
		if i < 0 {
			out = append(out, a)
			continue
		}
		x := silences[i]
		if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			n, err := tx.Exec(ctx, `UPDATE watch_alarm SET silenced = TRUE, due = $2 WHERE id = $1 AND state = 'firing'`, a.ID, us(x.Ends))
			if err != nil || n == 0 {
				return err
			}
			if n, err = tx.Exec(ctx, `INSERT INTO watch_hidden (silence, alarm, at) VALUES ($1, $2, $3) ON CONFLICT (silence, alarm) DO NOTHING`, x.ID, a.ID, us(tx.Now())); err != nil || n == 0 {
				return err
			}
			_, err = tx.Exec(ctx, `UPDATE watch_silence SET hid = hid + 1 WHERE id = $1`, x.ID)
			return err
		}); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
	}
	return out, nil
}
