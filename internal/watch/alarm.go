package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/notify"
)

// The states of an alarm.
const (
	Pending      = "pending" // not yet for long enough
	Firing       = "firing"
	Acknowledged = "acknowledged"
	Cleared      = "cleared" // over, and nobody has said what it was
	Closed       = "closed"
)

// The verdicts.
const (
	VerdictTrue   = "true"   // what the rule is for
	VerdictBenign = "benign" // it was so, and it was meant
	VerdictFalse  = "false"  // it was not so
	VerdictTest   = "test"
)

var verdicts = []string{VerdictTrue, VerdictBenign, VerdictFalse, VerdictTest}

// Alarm is a rule that fired, about one thing.
type Alarm struct {
	ID          string
	Rule        string
	Fingerprint string
	Labels      map[string]string
	Severity    string
	Clause      string
	Part        string
	State       string
	Test        bool
	Silenced    bool
	Inhibited   string    // what makes it no news: maintenance, or a rule that fires
	Opened      time.Time // when it began to be pending, or fired
	Fired       time.Time
	Seen        time.Time // when its cause was last there
	Told        time.Time
	Level       int64
	AckedBy     string // kind/id
	AckedUntil  time.Time
	Cleared     time.Time
	Closed      time.Time
	Verdict     string
	Flaps       int64
	Count       int64
	Value       string

	ground                       string
	due, ends                    int64
	flapFrom, flapHour, flapping int64
}

// Open reports whether it is going on.
func (a *Alarm) Open() bool { return a.State == Firing || a.State == Acknowledged }

const (
	ackLives = 4 * time.Hour    // then somebody must look again
	settles  = 2 * time.Minute  // a reading stays good so long before an alarm clears
	gathers  = 30 * time.Second // a ticket waits for others of its kind
)

// sighting is what a rule saw.
type sighting struct {
	rule    *Rule
	who     string
	more    map[string]string // further labels
	at      time.Time
	n       int64
	window  *window // with what came before; nil = the rule has none
	value   string
	ground  string // of a reading
	entries []int64
	test    bool
	hold    bool      // readings: it stays until they are good again
	ends    time.Time // when it clears by itself; zero = as the rule says
}

func (h *sighting) labels() map[string]string {
	more := maps.Clone(h.more)
	if more == nil {
		more = map[string]string{}
	}
	more["instance"] = h.who
	if h.test {
		more["test"] = "true"
	}
	return h.rule.labels(more)
}

// fingerprint is the same for the same labels.
func fingerprint(labels map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(h, "%d:%s%d:%s", len(k), k, len(labels[k]), labels[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// raise opens an alarm, or adds to the one that is open.
func (s *Service) raise(ctx context.Context, tx *ledger.Tx, h sighting) ([]ledger.Event, error) { // clause: mon.alarms
	r, now := h.rule, tx.Now()
	labels := h.labels()
	mark := fingerprint(labels)
	found, err := s.read(ctx, tx, sameAlarm, mark, now.Add(-rejoins).UnixMicro())
	if err != nil {
		return nil, err
	}
	if len(found) == 0 && h.who != others {
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM watch_alarm WHERE rule = $1 AND closed = 0 AND state IN ('pending', 'firing', 'acknowledged')`, []any{&n}, r.ID); err != nil {
			return nil, err
		}
		if n >= mostSame {
			h.who, h.more = others, nil
			return s.raise(ctx, tx, h)
		}
	}
	ends := int64(0)
	if !h.hold {
		ends = now.Add(r.quietFor()).UnixMicro()
		if h.ends.After(now) {
			ends = us(h.ends)
		}
	}
	if len(found) == 0 {
		return s.openAlarm(ctx, tx, &h, labels, mark, ends)
	}
	a := &found[0]
	if err := s.witness(ctx, tx, a.ID, h.entries); err != nil {
		return nil, err
	}
	if a.State != Cleared {
		_, err := tx.Exec(ctx, `UPDATE watch_alarm SET seen = $2, ends = $3, count = count + $4, value = $5 WHERE id = $1`, a.ID, us(now), ends, h.n, h.value)
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE watch_alarm SET seen = $2, ends = $3, count = count + $4, value = $5 WHERE id = $1`, a.ID, us(now), ends, h.n, h.value); err != nil {
		return nil, err
	}
	ev, err := s.reopen(ctx, tx, a)
	return []ledger.Event{ev}, err
}

func (s *Service) openAlarm(ctx context.Context, tx *ledger.Tx, h *sighting, labels map[string]string, mark string, ends int64) ([]ledger.Event, error) {
	r, now, id := h.rule, tx.Now(), tx.ID()
	b, err := json.Marshal(labels)
	if err != nil {
		return nil, fmt.Errorf("encode labels: %w", err)
	}
	if h.window != nil { // it begins with all that was counted
		h.n = h.window.n
		if h.entries, err = h.window.entries(ctx, tx, r.ID); err != nil {
			return nil, err
		}
	}
	state, fired, due := Firing, us(now), now
	if r.For > 0 && !h.test {
		state, fired, due = Pending, 0, now.Add(r.For)
	} else if r.Severity != notify.Page {
		due = now.Add(gathers)
	}
	if _, err := tx.Exec(ctx, insertAlarm, id, r.ID, mark, string(b), r.Severity, r.Clause, r.Part, state, h.test, us(now), fired, us(due), ends, max(h.n, 1), h.value, h.ground); err != nil {
		return nil, err
	}
	if err := s.witness(ctx, tx, id, h.entries); err != nil {
		return nil, err
	}
	if state == Pending {
		return nil, nil
	}
	return s.fired(ctx, tx, id, r, h.ground, h.test)
}

// fired is the moment at which an alarm begins to count.
func (s *Service) fired(ctx context.Context, tx *ledger.Tx, id string, r *Rule, ground string, test bool) ([]ledger.Event, error) {
	if _, err := tx.Exec(ctx, ruleFired, r.ID, us(tx.Now())); err != nil {
		return nil, err
	}
	return []ledger.Event{AlarmOpened{Alarm: id, Rule: r.ID, Severity: r.Severity, Version: r.version(), Bounds: r.tuned, Ground: ground, Test: test, clause: r.Clause}}, s.happened(ctx, tx, id, "fired", "writ/watch")
}

func (s *Service) witness(ctx context.Context, tx *ledger.Tx, id string, entries []int64) error {
	for _, n := range entries {
		if _, err := tx.Exec(ctx, addEvidence, id, n, evidence); err != nil {
			return err
		}
	}
	return nil
}

// happened notes a step in the life of an alarm, with the entry that records it.
func (s *Service) happened(ctx context.Context, tx *ledger.Tx, id, what, who string) error {
	_, err := tx.Exec(ctx, `INSERT INTO watch_alarm_event (alarm, at, what, who, entry) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, id, us(tx.Now()), what, who, tx.Entry())
	return err
}

// end clears what a rule has open about somebody.
func (s *Service) end(ctx context.Context, tx *ledger.Tx, r *Rule, who string) (evs []ledger.Event, err error) {
	h := sighting{rule: r, who: who}
	found, err := s.read(ctx, tx, sameAlarm, fingerprint(h.labels()), us(tx.Now()))
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].Open() {
			more, err := s.clearAlarm(ctx, tx, &found[i])
			if err != nil {
				return nil, err
			}
			evs = append(evs, more...)
		}
	}
	return evs, nil
}

func (s *Service) clearAlarm(ctx context.Context, tx *ledger.Tx, a *Alarm) ([]ledger.Event, error) {
	if _, err := tx.Exec(ctx, `UPDATE watch_alarm SET state = 'cleared', cleared = $2, due = 0, ends = 0 WHERE id = $1`, a.ID, us(tx.Now())); err != nil {
		return nil, err
	}
	return []ledger.Event{AlarmCleared{Alarm: a.ID, Rule: a.Rule}}, s.happened(ctx, tx, a.ID, "cleared", "writ/watch")
}

// Query selects alarms. Empty members select all.
type Query struct {
	Open  bool // firing or acknowledged
	Undue bool // cleared, and nobody has said what it was
	Rule  string
	Limit int // 1 to 500; 0 = 100
}

// Alarms lists them, those that fire first, then the newest.
func (s *Service) Alarms(ctx context.Context, who actor.Actor, q Query) ([]Alarm, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, ""); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	if q.Limit <= 0 || q.Limit > 500 {
		q.Limit = 100
	}
	which := ""
	if q.Open {
		which = "open"
	} else if q.Undue {
		which = "cleared"
	}
	return s.read(ctx, s.DB, listAlarms, which, q.Rule, q.Limit)
}

// Step is one thing that happened to an alarm.
type Step struct {
	At    time.Time
	What  string
	Who   string // kind/id
	Entry string // id of the journal's entry
}

// Detail is one alarm with what it rests on.
type Detail struct {
	Alarm
	Evidence   []int64 // numbers of entries
	Steps      []Step
	Deliveries []notify.Delivery
}

// Alarm reads one.
func (s *Service) Alarm(ctx context.Context, who actor.Actor, id string) (Detail, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "alarm/"+id); err != nil {
		return Detail{}, err //nolint:wrapcheck // a fault for the reader
	}
	a, err := s.one(ctx, s.DB, id)
	d := Detail{Alarm: a}
	if err != nil {
		return d, err
	}
	if d.Evidence, err = s.evidenceOf(ctx, id); err != nil {
		return d, err
	}
	if err := s.DB.Each(ctx, `SELECT at, what, who, entry FROM watch_alarm_event WHERE alarm = $1 ORDER BY at, entry, what`, func(scan ledger.Scan) error {
		var e Step
		var when int64
		err := scan(&when, &e.What, &e.Who, &e.Entry)
		e.At = at(when)
		d.Steps = append(d.Steps, e)
		return err
	}, id); err != nil {
		return d, err //nolint:wrapcheck // the ledger says what failed
	}
	d.Deliveries, err = s.Notify.Deliveries(ctx, notify.Query{About: "alarm/" + id})
	return d, err //nolint:wrapcheck // the kit says what failed
}

// evidenceOf are the numbers of the entries that an alarm rests on, rising; the first twenty.
func (s *Service) evidenceOf(ctx context.Context, id string) (ns []int64, err error) {
	err = s.DB.Each(ctx, `SELECT n FROM watch_evidence WHERE alarm = $1 ORDER BY n`, func(scan ledger.Scan) error {
		var n int64
		err := scan(&n)
		ns = append(ns, n)
		return err
	}, id)
	return ns, err //nolint:wrapcheck // the ledger says what failed
}

// Acknowledge says that somebody looks at it: it is told no more for four hours.
func (s *Service) Acknowledge(ctx context.Context, who actor.Actor, id, note string) error { // clause: mon.notify
	if err := s.Access.Allow(ctx, who, access.WatchAct, "alarm/"+id); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	return s.acknowledge(ctx, who, []string{id}, note, nil)
}

func (s *Service) acknowledge(ctx context.Context, who actor.Actor, ids []string, note string, also func(tx *ledger.Tx) error) error {
	if len(note) > mostNote {
		return bad("note", "The note is too long.", "At most 500 bytes.")
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var first ledger.Event
		if also != nil {
			if err := also(tx); err != nil {
				return nil, err
			}
		}
		for _, id := range ids {
			a, err := s.one(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if a.State != Firing {
				if len(ids) > 1 {
					continue
				}
				return nil, fault.New(fault.Conflict, "alarm_state", fault.Public{Problem: "The alarm is " + a.State + ", so there is nothing to acknowledge.", Next: "Look at it again."})
			}
			until := tx.Now().Add(ackLives)
			if _, err := tx.Exec(ctx, `UPDATE watch_alarm SET state = 'acknowledged', acked_by = $2, acked_until = $3, due = $3 WHERE id = $1`, id, who.String(), us(until)); err != nil {
				return nil, err
			}
			if err := s.happened(ctx, tx, id, "acknowledged", who.String()); err != nil {
				return nil, err
			}
			ev := AlarmAcknowledged{Alarm: id, Rule: a.Rule, Until: until, Note: note}
			if first == nil {
				first = ev
			} else {
				tx.Also(ev)
			}
		}
		if first == nil {
			return nil, fault.New(fault.Conflict, "alarm_state", fault.Public{Problem: "None of these alarms fires any more.", Next: "Look at the list of alarms."})
		}
		return first, nil
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

const mostNote = 500

// Close ends an alarm by saying what it was.
func (s *Service) Close(ctx context.Context, who actor.Actor, id, verdict, note string) error { // clause: mon.alarms
	if err := s.Access.Allow(ctx, who, access.WatchAct, "alarm/"+id); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	return s.Settle(ctx, who, id, verdict, note)
}

// Known is an alarm and its rule, for another part of the server.
func (s *Service) Known(ctx context.Context, id string) (Alarm, Rule, error) {
	a, err := s.one(ctx, s.DB, id)
	if r := s.pack().byID[a.Rule]; r != nil {
		return a, *r, err
	}
	return a, Rule{Title: a.Rule}, err
}

// Settle says what an alarm was on behalf of whoever was allowed to elsewhere.
func (s *Service) Settle(ctx context.Context, who actor.Actor, id, verdict, note string) error {
	if !slices.Contains(verdicts, verdict) {
		return bad("verdict", "There is no such verdict.", "true, benign, false or test.")
	}
	if len(note) > mostNote {
		return bad("note", "The note is too long.", "At most 500 bytes.")
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_alarm SET state = 'closed', closed = $2, verdict = $3, due = 0, ends = 0, flapping = 0 WHERE id = $1 AND state IN ('firing', 'acknowledged', 'cleared')`, id, us(tx.Now()), verdict)
		if err != nil {
			return nil, err
		}
		a, err := s.one(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.New(fault.Conflict, "alarm_state", fault.Public{Problem: "The alarm is " + a.State + " already.", Next: "Look at it again."})
		}
		return AlarmClosed{Alarm: id, Rule: a.Rule, Verdict: verdict, Note: note}, s.happened(ctx, tx, id, "closed as "+verdict, who.String())
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

func (s *Service) one(ctx context.Context, r ledger.Reader, id string) (Alarm, error) {
	as, err := s.read(ctx, r, `SELECT `+alarmColumns+` FROM watch_alarm WHERE id = $1`, id)
	if err == nil && len(as) == 0 {
		err = fault.New(fault.NotFound, "alarm_unknown", fault.Public{Problem: "There is no such alarm.", Next: "Look at: writ watch alarms"})
	}
	if err != nil {
		return Alarm{}, err
	}
	return as[0], nil
}

func (s *Service) read(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Alarm, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var a Alarm
		var labels string
		var opened, fired, seen, told, acked, cleared, closed int64
		if err := scan(&a.ID, &a.Rule, &a.Fingerprint, &labels, &a.Severity, &a.Clause, &a.Part, &a.State, &a.Test, &a.Silenced, &opened, &fired, &seen, &a.due, &a.ends, &told, &a.Level,
			&a.AckedBy, &acked, &cleared, &closed, &a.Verdict, &a.Flaps, &a.Count, &a.Value, &a.Inhibited, &a.flapFrom, &a.flapHour, &a.flapping, &a.ground); err != nil {
			return err
		}
		a.Opened, a.Fired, a.Seen, a.Told, a.AckedUntil, a.Cleared, a.Closed = at(opened), at(fired), at(seen), at(told), at(acked), at(cleared), at(closed)
		if err := json.Unmarshal([]byte(labels), &a.Labels); err != nil {
			return errors.New("read an alarm: its labels are something else")
		}
		out = append(out, a)
		return nil
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// indexed are the rules by what they look at.
type indexed struct {
	all     []Rule
	byID    map[string]*Rule
	streams map[string][]*Rule
	reads   map[string][]*Rule
}

// index are the rules as shipped.
var index = sync.OnceValue(func() *indexed { return indexOf(Pack()) })

func indexOf(rules []Rule) *indexed {
	x := &indexed{all: rules, byID: map[string]*Rule{}, streams: map[string][]*Rule{}, reads: map[string][]*Rule{}}
	for i := range x.all {
		r := &x.all[i]
		x.byID[r.ID] = r
		for _, name := range slices.Concat(r.Streams, r.Ends) {
			x.streams[name] = append(x.streams[name], r)
		}
		if r.Reads != "" {
			x.reads[r.Reads] = append(x.reads[r.Reads], r)
		}
	}
	return x
}

const (
	alarmColumns = `id, rule, fingerprint, labels, severity, clause, part, state, test, silenced, opened, fired, seen, due, ends, told, level, acked_by, acked_until, cleared, closed, verdict, flaps, count, value, inhibited, flap_from, flap_hour, flapping, ground`
	insertAlarm  = `INSERT INTO watch_alarm (` + alarmColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, FALSE, $10, $11, $10, $12, $13, 0, 0, '', 0, 0, 0, '', 0, $14, $15, '', 0, 0, 0, $16)`
	sameAlarm    = `SELECT ` + alarmColumns + ` FROM watch_alarm WHERE fingerprint = $1 AND (state IN ('pending', 'firing', 'acknowledged') OR state = 'cleared' AND cleared >= $2) ORDER BY id DESC`
	listAlarms   = `SELECT ` + alarmColumns + ` FROM watch_alarm WHERE state <> 'pending' AND rule <> 'heartbeat' AND ($1 = '' OR $1 = 'open' AND state IN ('firing', 'acknowledged') OR $1 = 'cleared' AND state = 'cleared') AND (rule = $2 OR $2 = '')
		ORDER BY CASE state WHEN 'firing' THEN 0 WHEN 'acknowledged' THEN 1 WHEN 'cleared' THEN 2 ELSE 3 END, CASE severity WHEN 'page' THEN 0 WHEN 'ticket' THEN 1 ELSE 2 END, id DESC LIMIT $3`
	addEvidence = `INSERT INTO watch_evidence (alarm, n) SELECT $1, $2 WHERE (SELECT COUNT(*) FROM watch_evidence WHERE alarm = $1) < $3 ON CONFLICT (alarm, n) DO NOTHING`
	ruleFired   = `INSERT INTO watch_rule (id, fired, tried) VALUES ($1, $2, 0) ON CONFLICT (id) DO UPDATE SET fired = excluded.fired`
)
