package watch

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// View is a part of what goes on that can be looked into: from a span to groups, and from
// there to the records behind them.
type View struct {
	ID     string // as the policy lists it: traffic
	Title  string
	Says   string
	Meters []string // what shows it, the first one first
	By     []string // along what it is grouped, the first one first
	Rare   bool     // that nothing of it happens for a month is no wonder
}

// Views lists them, in the order in which people read them.
func Views() []View {
	return []View{
		{"traffic", "Traffic", "What the gate answered, and how much of it went out.", []string{"requests", "bytes.out", "records"}, []string{byKind, byRoute, byTeam}, false},
		{"endpoints", "Endpoints", "Which routes are asked for.", []string{"requests", "requests.refused"}, []string{byRoute}, false},
		{"teams", "Teams", "Which teams use it.", []string{"requests", "bytes.out", "teams.different"}, []string{byTeam}, false},
		{"people", "People", "Who uses it. People stand here as in the journal.", []string{"requests", "bytes.out", "records", "people.different"}, []string{byPerson}, false},
		{"networks", "Networks", "From where it is used. Networks stand here as in the journal, under another name each month.", []string{"requests", "bytes.out", "requests.refused", "networks.different"}, []string{byNetwork}, false},
		{"latency", "Latency", "How long answers took: the middle one, and the range up to the slowest in a hundred.", []string{"latency"}, []string{byRoute, byTeam}, false},
		{"errors", "Errors", "Answers of 500 and above.", []string{"requests.failed", "requests.refused"}, []string{byRoute, byTeam}, true},
		{"saturation", "Saturation", "How full this machine is.", []string{"host.cpu", "host.memory", "host.disk", "host.pressure", "process.files"}, []string{byPart}, false},
		{"database", "Database", "How the database keeps up.", []string{"db.commit", "db.connections", "db.log", "db.waiting", "db.dead", lagOf, lagBytes, archiveAge}, []string{byPart}, false},
		{"sign-ins", "Sign-ins", "Who came in, and who was refused.", []string{"sign-ins", "sign-ins.refused"}, []string{byKind, byPerson, byNetwork}, false},
		{"staff-views", "Staff views", "When staff looked as a customer.", []string{"staff-views"}, []string{byTeam, byPerson}, true},
		{"secret-reads", "Secret reads", "Secrets that somebody was given.", []string{"secret-reads", "exports"}, []string{byKind, byPerson}, true},
		{"detections", "Detections", "Alarms that opened.", []string{"detections"}, []string{byRule, byKind}, true},
		{"delivery", "Delivery", "What became of messages about alarms, and letters.", []string{"deliveries", "mails"}, []string{byKind, byChannel}, true},
		{"health", "Own health", "Whether this server keeps up.", []string{"entries", "journal.waiting", "watch.behind", latency, "queue.overdue", "process.tasks"}, []string{byKind, byTeam}, false},
	}
}

// ViewOf finds a view.
func ViewOf(id string) (View, bool) {
	vs := Views()
	i := slices.IndexFunc(vs, func(v View) bool { return v.ID == id })
	if i < 0 {
		return View{}, false
	}
	return vs[i], true
}

// personal are dimensions whose labels are people or where they are.
var personal = []string{byPerson, byNetwork}

// Question is what somebody wants to see of a meter.
type Question struct {
	Meter       string
	By          string // a dimension; "" = all together
	Label       string // of By; "" = the groups of it
	From, Until time.Time
	Step        time.Duration // 0 = one that suits the span
	Top         int           // groups, at most; 0 = 20
}

// Picture is what there is to see.
type Picture struct {
	Question
	Of     series.Meter
	Points []series.Point
	Groups []series.Row // the greatest first; none of a label, or without By
	Usual  []Expect     // of each point; none where it is not known
}

const usualSpan = 24 * time.Hour

// QuestionOf reads a question from an address. Times are RFC 3339, 2006-01-02 15:04 in UTC, or
// an age such as 24h; the span ends now and is a day long where it says nothing.
func QuestionOf(v url.Values, now time.Time) (q Question, err error) {
	q = Question{Meter: v.Get("meter"), By: v.Get("by"), Label: v.Get("label"), Until: now}
	if q.Until, err = moment(v, "until", now, now); err != nil {
		return q, err
	}
	if q.From, err = moment(v, "from", now, q.Until.Add(-usualSpan)); err != nil {
		return q, err
	}
	if s := v.Get("step"); s != "" {
		if q.Step, err = time.ParseDuration(s); err != nil || q.Step <= 0 {
			return q, bad("step", "The step cannot be read.", "A time such as 1m or 24h.")
		}
	}
	if !q.Until.After(q.From) {
		return q, bad("from", "The span ends before it begins.", "A time before until.")
	}
	return q, nil
}

func moment(v url.Values, name string, now, usual time.Time) (time.Time, error) {
	s := strings.TrimSpace(v.Get(name))
	if s == "" {
		return usual, nil
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return usual, bad(name, "The time cannot be read.", "A time such as 2026-05-01 12:00, in UTC, or an age such as 24h.")
}

// Look answers a question. Groups and labels that are people, or where they are, are for whoever
// may read the journal, and that somebody saw them is an entry before they do.
func (s *Service) Look(ctx context.Context, who actor.Actor, q Question) (Picture, error) { // clause: mon.drill-down, use.need-to-see
	a := Picture{Question: q}
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/series"); err != nil {
		return a, err //nolint:wrapcheck // a fault for the reader
	}
	m := s.series.Meter(q.Meter)
	if m == nil {
		return a, fault.New(fault.NotFound, "meter_unknown", fault.Public{Problem: "There is no such meter.", Expected: "One of " + strings.Join(s.meterNames(), ", ") + "."})
	}
	if q.Label != "" && q.By == "" || q.Top < 0 || q.Top > 1000 || len(q.Label) > 64 {
		return a, bad("by", "A group is of a dimension.", "by= beside label=, a label of at most 64 bytes, and at most 1,000 groups.")
	}
	if q.Step != 0 && q.Step < time.Second {
		return a, bad("step", "The step is too short.", "A second or more.")
	}
	if slices.Contains(personal, q.By) {
		if err := s.Access.Allow(ctx, who, access.JournalRead, "watch/series"); err != nil {
			return a, err //nolint:wrapcheck // a fault for the reader
		}
		if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
			return SeriesLooked{Meter: q.Meter, Dimension: q.By, Label: q.Label, From: q.From, Until: q.Until}, nil
		}); err != nil {
			return a, err //nolint:wrapcheck // the ledger says what failed
		}
	}
	a.Of = *m
	if a.Step == 0 {
		a.Step = s.fitting(q.From, q.Until)
	}
	err := s.answer(ctx, &a)
	a.Usual = s.expected(&a)
	return a, err
}

// fitting is a step that suits a span, of rows that are there still: seconds of the last ten
// minutes, minutes of five weeks, hours of a year.
func (s *Service) fitting(from, until time.Time) time.Duration {
	step, age := series.StepFor(until.Sub(from)), s.Now().Sub(from)
	switch {
	case age > 399*24*time.Hour:
		return max(step, 24*time.Hour)
	case age > 34*24*time.Hour:
		return max(step, time.Hour)
	case age > 9*time.Minute:
		return max(step, time.Minute)
	}
	return step
}

func (s *Service) answer(ctx context.Context, a *Picture) (err error) {
	q := series.Query{Meter: a.Meter, From: a.From, Until: a.Until, Step: a.Step}
	if a.Label != "" {
		q.Dimension, q.Label = a.By, a.Label
	}
	if a.Points, err = s.series.Range(ctx, q); err != nil || a.By == "" || a.Label != "" {
		return err //nolint:wrapcheck // a fault for the reader
	}
	q.Dimension = a.By
	if a.Top == 0 {
		a.Top = 20
	}
	a.Groups, err = s.series.Top(ctx, q, a.Top)
	return err //nolint:wrapcheck // a fault for the reader
}

func (s *Service) meterNames() (out []string) {
	for _, m := range s.Catalogue() {
		out = append(out, m.Name)
	}
	return out
}

// The control of mon.drill-down.
const (
	drillDown = "mon.drill-down"
	viewSpan  = 28 * 24 * time.Hour
	inTime    = 2 * time.Second
	hour      = time.Hour
)

// probeViews opens the view of each part that the policy lists, and wants it to answer in time
// from a source that is there. A part of which nothing was counted is not shown to work.
func (s *Service) probeViews(ctx context.Context) (clause.Result, error) { // clause: mon.drill-down
	var none, silent, slow, empty []string
	now, parts := s.Now(), s.Rules.Get().Coverage
	for _, id := range parts {
		v, ok := ViewOf(id)
		if !ok {
			none = append(none, id)
			continue
		}
		a := Picture{Question: Question{Meter: v.Meters[0], By: v.By[0], From: now.Add(-viewSpan), Until: now, Step: series.StepFor(viewSpan)}, Of: *s.series.Meter(v.Meters[0])}
		begun := s.Now()
		if err := s.answer(ctx, &a); err != nil {
			return clause.Result{}, fmt.Errorf("open the view of %s: %w", id, err)
		}
		if s.Now().Sub(begun) > inTime {
			slow = append(slow, id)
		}
		there, err := s.series.Observed(ctx, a.Of.Source, now.Add(-hour), now)
		if err != nil {
			return clause.Result{}, err //nolint:wrapcheck // says what could not be read
		}
		switch {
		case there == 0 && now.Sub(s.begun) > hour:
			silent = append(silent, id)
		case len(a.Groups) == 0 && !v.Rare:
			empty = append(empty, id)
		}
	}
	switch {
	case len(none) > 0:
		return clause.Failed("no view shows " + few(none)), nil
	case len(silent) > 0:
		return clause.Failed("nothing was counted for an hour that the views of " + few(silent) + " could show"), nil
	case len(slow) > 0:
		return clause.Failed("the views of " + few(slow) + " took more than two seconds"), nil
	case len(empty) > 0:
		return clause.Result{Outcome: clause.Unknown, Summary: "in 28 days nothing happened that the views of " + few(empty) + " could show"}, nil
	}
	r := clause.Passed(fmt.Sprintf("each of %d parts has a view that answered in time, with groups and the records behind them: %s", len(parts), strings.Join(parts, ", ")))
	r.Population = int64(len(parts))
	return r, nil
}
