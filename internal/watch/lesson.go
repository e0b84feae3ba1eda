package watch

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch/sigma"
)

// Incident is one, and what is known of it by which its events are found.
type Incident struct {
	ID     string   // what is kept lies under its key
	Name   string   // I-7
	Alarms []string // ids, of those that told of it
	// Reads gives the accesses that a breach came of: requests, or where entry is above 0 an entry
	// with that number, of which a has the time alone. nil = there is no breach.
	Reads func(ctx context.Context, fn func(a *Handled, entry int64) error) error
}

// Lesson is what is kept of an incident.
type Lesson struct {
	Incident    string
	Name        string
	At          time.Time
	From, Until time.Time // of its events
	Alarms      []string  // the rules that told of it
	Events      int64
	Missed      int64 // that found no room
	SHA256      string
	Erased      bool
	Seen        []Rule // of one's own that watch, and fire on it

	events []keptEvent
	seen   []string // rules of one's own that fired on it when it was kept
	box    []byte
}

// keptEvent is an entry, or a request whose network stands under the journal's pseudonym.
type keptEvent struct {
	Entry  *journal.Entry `json:"entry,omitempty"`
	Record *Handled       `json:"record,omitempty"`
}

func (k *keptEvent) at() time.Time {
	if k.Entry != nil {
		return k.Entry.Happened
	}
	return k.Record.At
}

func (k *keptEvent) event(ref int64) *sigma.Event {
	ev := (*sigma.Event)(nil)
	if k.Entry != nil {
		ev = eventOfEntry(k.Entry)
	} else {
		ev = eventOfRecord(k.Record, ref)
	}
	ev.Ref = ref
	return ev
}

const (
	mostLesson = 2000     // events of one incident
	mostUnpack = 16 << 20 // bytes
	keepLesson = 7 * 365 * 24 * time.Hour
	slack      = 5 * time.Minute // an alarm is opened a moment after its event
)

// KeepLesson keeps the events that an incident rests on. What was kept of it before stays, so that
// keeping it again takes nothing away; it returns how many there are, and their hash. fault.Gone:
// the incident is erased.
func (s *Service) KeepLesson(ctx context.Context, in Incident) (events int64, hash string, err error) { // clause: mon.alarms
	var k Lesson
	found, err := s.readKept(ctx, s.DB, `SELECT `+keptColumns+` FROM watch_kept WHERE incident = $1`, in.ID)
	if err != nil {
		return 0, "", err
	}
	if len(found) > 0 {
		k = found[0]
	}
	had := k.SHA256
	if err := s.gather(ctx, &in, &k); err != nil {
		return 0, "", err
	}
	raw, err := json.Marshal(k.events)
	if err != nil {
		return 0, "", fmt.Errorf("encode the events of an incident: %w", err)
	}
	sum := sha256.Sum256(raw)
	if hash = hex.EncodeToString(sum[:]); hash == had {
		return k.Events, hash, nil
	}
	key, err := s.Keys.Key(ctx, keyring.Subject{Kind: "incident", ID: in.ID})
	if err != nil {
		return 0, "", fmt.Errorf("key of an incident: %w", err)
	}
	packed, err := pack(raw)
	if err != nil {
		return 0, "", err
	}
	now, err := s.watching(ctx, s.DB)
	if err != nil {
		return 0, "", err
	}
	is, err := now.fired(&k)
	if err != nil {
		return 0, "", err
	}
	box, rules, seen := key.Seal(packed, placeOfLesson(in.ID)), strings.Join(k.Alarms, " "), strings.Join(slices.Sorted(maps.Keys(is)), " ")
	_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, putKept, in.ID, in.Name, us(tx.Now()), us(k.From), us(k.Until), rules, seen, k.Events, k.Missed, hash, box)
		return LessonKept{Incident: in.ID, Events: k.Events, Missed: k.Missed, SHA256: hash}, err
	})
	return k.Events, hash, err //nolint:wrapcheck // the ledger says what failed
}

func placeOfLesson(incident string) envelope.AAD {
	return envelope.AAD{Table: "watch_kept", Column: "box", Row: incident, Version: 1}
}

func pack(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		_, err = z.Write(raw)
		err = errors.Join(err, z.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("pack the events of an incident: %w", err)
	}
	return b.Bytes(), nil
}

// quarry is what one alarm is looked for by.
type quarry struct {
	from, until time.Time
	rule        *Rule // one that is there from the first start; nil = one's own
	who         string
	parts       *sigma.Engine // of a rule of one's own: each fires by itself
}

// takes reports whether an entry counted towards the alarm, or could have.
func (q *quarry) takes(e *journal.Entry) bool {
	switch {
	case e.Happened.Before(q.from) || e.Happened.After(q.until):
		return false
	case q.parts != nil:
		return len(q.parts.Feed(eventOfEntry(e))) > 0
	case q.rule == nil || !slices.Contains(q.rule.Streams, e.Stream):
		return false
	}
	f := &fact{}
	return weigh(q.rule, e, f) == nil && f.n > 0 && (q.rule.By == nil || q.who == others || f.who == q.who)
}

// gathering is the events of an incident on their way.
type gathering struct {
	s       *Service
	k       *Lesson
	have    map[string]bool
	numbers map[int64]bool // entries that count whatever they are
	hunts   []*quarry
}

func (g *gathering) add(e keptEvent) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	name := string(b)
	if e.Entry != nil {
		name = fmt.Sprint(e.Entry.N)
	}
	switch {
	case g.have[name]:
	case len(g.k.events) >= mostLesson:
		g.k.Missed++
	default:
		g.have[name] = true
		g.k.events = append(g.k.events, e)
	}
	return nil
}

// entry adds one without what people wrote in it.
func (g *gathering) entry(e *journal.Entry) error {
	bare := *e
	bare.Leaf, bare.Fields = nil, slices.DeleteFunc(slices.Clone(e.Fields), func(f journal.Field) bool { return f.State != journal.Public })
	return g.add(keptEvent{Entry: &bare})
}

// record adds one, with its network under a pseudonym.
func (g *gathering) record(ctx context.Context, a *Handled) error {
	hid := *a
	if hid.Network != "" {
		hid.Network = g.s.hidden(ctx, a.Network, a.At)
	}
	return g.add(keptEvent{Record: &hid})
}

// gather finds the events of an incident in what is stored, beside those that k has.
func (s *Service) gather(ctx context.Context, in *Incident, k *Lesson) error {
	g := &gathering{s: s, k: k, have: map[string]bool{}, numbers: map[int64]bool{}}
	k.Missed = 0
	had := k.events
	k.events = []keptEvent{}
	for _, e := range had {
		if err := g.add(e); err != nil {
			return err
		}
	}
	since := s.Now()
	if in.Reads != nil {
		if err := in.Reads(ctx, func(a *Handled, entry int64) error {
			if entry == 0 {
				return g.record(ctx, a)
			}
			if g.numbers[entry] = true; a.At.Before(since) {
				since = a.At
			}
			return nil
		}); err != nil {
			return fmt.Errorf("read the accesses of a breach: %w", err)
		}
	}
	first, ofRecords, err := s.hunts(ctx, g, in.Alarms)
	if err != nil {
		return err
	}
	if first.Before(since) {
		since = first
	}
	if len(g.hunts)+len(g.numbers) > 0 {
		if err := s.History.Entries(ctx, since, func(es []journal.Entry) error { return g.entries(ctx, es) }); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
	}
	if ofRecords {
		if err := s.History.Records(ctx, system, first, func(as []Handled) error { return g.records(ctx, as) }); err != nil {
			return fmt.Errorf("read the access records: %w", err)
		}
	}
	g.settle()
	return nil
}

// hunts reads what is to be looked for of some alarms, and from when on.
func (s *Service) hunts(ctx context.Context, g *gathering, alarms []string) (first time.Time, ofRecords bool, err error) {
	first = s.Now()
	told := map[string]bool{}
	for _, id := range alarms {
		a, err := s.one(ctx, s.DB, id)
		if fault.KindOf(err) == fault.NotFound {
			continue // it is over for five years
		}
		if err != nil {
			return first, false, err
		}
		told[a.Rule] = true
		q := &quarry{from: a.Opened, until: a.Opened, who: a.Labels["instance"], rule: s.pack().byID[a.Rule]}
		if q.until = q.until.Add(slack); a.Seen.After(a.Opened) {
			q.until = a.Seen.Add(slack)
		}
		reach := time.Duration(0)
		if q.rule != nil {
			reach = q.rule.Within
		} else if err := s.partsOf(ctx, a.Rule, q, &reach, &ofRecords); err != nil {
			return first, false, err
		}
		q.from = q.from.Add(-reach - slack)
		if q.from.Before(first) {
			first = q.from
		}
		g.hunts = append(g.hunts, q)
		if err := s.DB.Each(ctx, `SELECT n FROM watch_evidence WHERE alarm = $1 ORDER BY n`, func(scan ledger.Scan) error {
			var n int64
			err := scan(&n)
			g.numbers[n] = true
			return err
		}, id); err != nil {
			return first, false, err //nolint:wrapcheck // the ledger says what failed
		}
	}
	for _, r := range g.k.Alarms {
		told[r] = true
	}
	g.k.Alarms = slices.Sorted(maps.Keys(told))
	return first, ofRecords, nil
}

// partsOf takes a rule of one's own apart, as it watched last: each of its parts is asked by itself.
func (s *Service) partsOf(ctx context.Context, rule string, q *quarry, reach *time.Duration, ofRecords *bool) error {
	vs, err := s.versions(ctx, s.DB, `SELECT `+versionColumns+` FROM watch_rule_version WHERE rule = $1 AND enabled > 0 ORDER BY n DESC LIMIT 1`, rule)
	if err != nil || len(vs) == 0 {
		return err
	}
	u, err := readOwn(vs[0].Text)
	if err != nil { // its evidence is all there is
		return nil //nolint:nilerr // a rule that cannot be read is an alarm of its own
	}
	var units []sigma.Unit
	for i, r := range u.rules {
		if r.Correlation != nil {
			*reach = max(*reach, r.Correlation.Within)
			continue
		}
		_, of := kindOf(r.Source)
		*ofRecords = *ofRecords || of
		units = append(units, sigma.Unit{Key: fmt.Sprint(i), Rules: []*sigma.Rule{r}})
	}
	e, errs := sigma.New(units...)
	if len(errs) > 0 {
		return errs[0]
	}
	q.parts = e
	return nil
}

func (g *gathering) entries(ctx context.Context, es []journal.Entry) error {
	for i := range es {
		e := &es[i]
		takes := g.numbers[e.N]
		for _, q := range g.hunts {
			takes = takes || q.takes(e)
		}
		if !takes {
			continue
		}
		if canary, err := g.s.isCanary(ctx, e); err != nil {
			return err
		} else if canary {
			continue
		}
		if err := g.entry(e); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (g *gathering) records(ctx context.Context, as []Handled) error {
	for i := range as {
		a := &as[i]
		if a.ofCanary() || !slices.ContainsFunc(g.hunts, func(q *quarry) bool {
			return q.parts != nil && !a.At.Before(q.from) && !a.At.After(q.until) && len(q.parts.Feed(eventOfRecord(a, 1))) > 0
		}) {
			continue
		}
		if err := g.record(ctx, a); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// settle puts the events in the order in which they happened.
func (g *gathering) settle() {
	k := g.k
	slices.SortStableFunc(k.events, func(a, b keptEvent) int {
		if c := a.at().Compare(b.at()); c != 0 || a.Entry == nil || b.Entry == nil {
			return c
		}
		return cmp.Compare(a.Entry.N, b.Entry.N)
	})
	if k.Events = int64(len(k.events)); k.Events > 0 {
		k.From, k.Until = k.events[0].at(), k.events[k.Events-1].at()
	}
}

// readKept reads what is kept, with the events where their key is still there.
func (s *Service) readKept(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Lesson, err error) {
	if err := r.Each(ctx, query, func(scan ledger.Scan) error {
		var k Lesson
		var kept, from, until int64
		var rules, seen string
		err := scan(&k.Incident, &k.Name, &kept, &from, &until, &rules, &seen, &k.Events, &k.Missed, &k.SHA256, &k.box)
		k.At, k.From, k.Until, k.Alarms, k.seen = at(kept), at(from), at(until), strings.Fields(rules), strings.Fields(seen)
		out = append(out, k)
		return err
	}, args...); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	for i := range out {
		if err := s.unpack(ctx, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unpack opens what is kept of an incident.
func (s *Service) unpack(ctx context.Context, k *Lesson) error {
	b, err := keyring.OpenBox(ctx, s.Keys, placeOfLesson(k.Incident), k.box)
	if errors.Is(err, fault.Gone) {
		k.Erased = true
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // says which box
	}
	d := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(b.Reveal())), mostUnpack))
	d.UseNumber()
	if err := d.Decode(&k.events); err != nil {
		return fmt.Errorf("read the events of %s: %w", k.Name, err)
	}
	for _, e := range k.events {
		if e.Entry == nil && e.Record == nil {
			return fmt.Errorf("read the events of %s: one is neither an entry nor a request", k.Name)
		}
		if e.Entry != nil {
			for i := range e.Entry.Fields {
				e.Entry.Fields[i].Value = plain(e.Entry.Fields[i].Value)
			}
		}
	}
	return nil
}

// plain is a value as the journal gives it.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

const (
	keptColumns = `incident, name, kept, since, until, alarms, seen, events, missed, sha256, box`
	putKept     = `INSERT INTO watch_kept (` + keptColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (incident) DO UPDATE SET name = excluded.name, kept = excluded.kept, since = excluded.since, until = excluded.until, alarms = excluded.alarms, seen = excluded.seen, events = excluded.events, missed = excluded.missed, sha256 = excluded.sha256, box = excluded.box`
)
