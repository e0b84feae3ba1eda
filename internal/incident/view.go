package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Way is a step that a region has from where it stands.
type Way struct {
	Step  engine.Step
	Unmet []engine.Lack
	Who   string // who takes it: names of who has the role, or what role lacks
	Mine  bool   // whoever looks may take it by their role
	Due   time.Time
}

// Stand is where a region is, and how it goes on.
type Stand struct {
	Machine engine.Machine
	State   engine.State
	Due     time.Time
	Missed  bool
	Ways    []Way
}

// View is an incident with all that belongs to it.
type View struct {
	Case
	Declarer string
	Stands   []Stand
	Held     []Held
	Notes    []Note
	Posts    []status.Shown
	Fix      Fix
	Learned  Review
	Similar  []Similar // earlier ones, while it is to be reviewed
	Waivers  []Waiver
	Solos    []Solo
	Alone    []string // guards that whoever looks could ask a second person for, and pass alone if nobody answers
	Audience []Audience
	Acts     []Act
	Proofs   []Proof
	Also     []Elsewhere // the other channels of the policy
	Near     []Case
	Links    []Link
	Sent     []Sent   // posts on other networks
	Told     []Told   // what told of it
	Reports  []Report // of people outside, for who may act
	Files    []File   // likewise
	Notice   string   // a first notice, from what the gate saw
	Suggests []string // kinds: those decided, before that what the first signal suggests
	Kinds    []string
	Loss     *Loss // nil where no data was lost
	Practice *Practice
	Past     *Rehearsal // nil where no past incident is played again
	Forecast Forecast   // when it may be over; without kinds where that is no question
}

// Next is the one step that an incident waits for: the first in the order of the process that
// somebody can take, else the first that lacks something; nil when nothing is left.
func (v View) Next() *Way {
	var first *Way
	order := []engine.Region{engine.R, engine.C, engine.L, engine.F, engine.B} // what is lost grows while the application writes
	if at := v.States[engine.L]; at == "L0" || at == "L1" {
		order = []engine.Region{engine.L}
	}
	for _, r := range order {
		for i := range v.Stands {
			if v.Stands[i].Machine.Region != r {
				continue
			}
			for j := range v.Stands[i].Ways {
				w := &v.Stands[i].Ways[j]
				if !forward(v.Case, r, w.Step) {
					continue
				}
				if len(w.Unmet) == 0 || askable(w) || r == engine.R && v.Loss.waits() {
					return w
				}
				if first == nil {
					first = w
				}
			}
		}
	}
	return first
}

// askable are steps whose guards are met by the form itself.
func askable(w *Way) bool {
	own := []string{"estimate-given", "reason-given", "impact-over", "has-category", "has-severity", "lasting-owned", "expiry-set", "regression-test"}
	return !slices.ContainsFunc(w.Unmet, func(l engine.Lack) bool { return !slices.Contains(own, l.Guard) })
}

// forward are the steps that lead on, of those that a tired person is to be shown first.
func forward(c Case, r engine.Region, st engine.Step) bool {
	switch st.Event {
	case "cancel", "relapse", "reopen", "draft", "lapse", "publish-review", "false-alarm", "fail", "red", "lost-again", "dismiss", "withdraw-fix", "retract":
		return false
	case "update": // only when it is owed, or the word changes
		return c.States[engine.C] == "C3'" || c.States[engine.C] == "C2" && c.States[engine.L] == "L2"
	case "finish":
		return c.States[engine.L] == "L3"
	case "propose", "plan", "replace", "approve-fix", "deploy":
		return c.States[engine.L] == "L2" || c.States[engine.L] == "L5"
	}
	return true
}

// Show is an incident with all that belongs to it. Looking at a breach is recorded.
func (s *Service) Show(ctx context.Context, who actor.Actor, ref string) (View, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return View{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return View{}, err
	}
	// What the server works at is read before all that comes of it. An act that ends meanwhile
	// still shows as running; never as ended without what it has proved, which looks like a step
	// that nobody took yet.
	acts, err := s.workOf(ctx, c.ID)
	if err != nil {
		return View{}, err
	}
	if c, err = s.find(ctx, s.DB, c.ID); err != nil {
		return View{}, err
	}
	v := View{Case: c, Acts: acts, Declarer: s.name(ctx, c.DeclaredBy), Kinds: s.kinds()}
	for _, read := range []func() error{
		func() (err error) { v.Held, err = s.held(ctx, s.DB, c.ID); return err },
		func() (err error) { v.Notes, err = s.notes(ctx, c.ID); return err },
		func() (err error) { v.Posts, err = s.shown(ctx, c); return err },
		func() (err error) {
			if c.States[engine.F] != "F0" { // a withdrawn one is history
				v.Fix, err = s.fix(ctx, c.ID)
			}
			return err
		},
		func() (err error) { v.Links, err = s.links(ctx, c.ID); return err },
		func() (err error) {
			if c.resolves() {
				v.Forecast, err = s.forecast(ctx, v)
			}
			return err
		},
		func() (err error) { v.Learned, err = s.review(ctx, c.ID); return err },
		func() (err error) { v.Waivers, err = s.waivers(ctx, c); return err },
		func() (err error) { v.Solos, err = s.solos(ctx, c); return err },
		func() (err error) { v.Audience, err = s.audience(ctx, c); return err },
		func() (err error) { v.Also, err = s.postedAt(ctx, c); return err },
		func() (err error) {
			v.Told, err = s.told(ctx, c.ID)
			v.Suggests, v.Notice = suggestedKinds(c, v.Told), suggestion(v.Told)
			return err
		},
		func() (err error) {
			if s.mayReport(who) {
				v.Files, err = s.files(ctx, c.ID)
			}
			if s.mayReport(who) && err == nil {
				v.Reports, err = s.reports(ctx, c.ID)
			}
			return err
		},
		func() (err error) { v.Sent, err = s.sent(ctx, c.ID); return err },
		func() (err error) { v.Proofs, err = s.proofs(ctx, c); return err },
		func() (err error) { v.Loss, err = s.lossView(ctx, who, v); return err },
		func() (err error) { v.Practice, err = s.practice(ctx, who, c); return err },
		func() (err error) {
			if v.Past, err = s.rehearsal(ctx, c); err == nil && v.Past != nil && v.Practice != nil {
				v.Past.Compared = v.Practice.Compared
			}
			return err
		},
		func() (err error) {
			v.Stands, err = s.stands(ctx, who, v)
			v.Alone = s.aloneWays(c, v, who)
			return err
		},
	} {
		if err := read(); err != nil {
			return View{}, err
		}
	}
	if v.Similar, err = s.similar(ctx, v); err != nil {
		return View{}, err
	}
	if c.Open() {
		v.Near, err = s.cases(ctx, s.DB, nearCases, c.Drill, c.Component, us(c.Declared.Add(-alike)), c.ID)
	}
	return v, err
}

func (s *Service) stands(ctx context.Context, who actor.Actor, v View) ([]Stand, error) {
	f, err := s.facts(ctx, s.DB, who, v.Case)
	if err != nil {
		return nil, err
	}
	due := map[engine.Region]Clock{}
	if err := s.DB.Each(ctx, openClocks, func(scan ledger.Scan) error {
		var k Clock
		var region string
		var t int64
		var missed *int64
		err := scan(&k.ID, &k.Case, &region, &k.State, &k.Clause, &t, &missed, &k.told)
		k.Due, k.Missed = at(t), when(missed)
		due[engine.Region(region)] = k
		return err
	}, v.ID); err != nil {
		return nil, fmt.Errorf("read deadlines: %w", err)
	}
	var out []Stand
	for _, m := range engine.Machines() {
		state, open := m.State(v.States[m.Region])
		if !open {
			continue
		}
		x := Stand{Machine: m, State: state, Due: due[m.Region].Due}
		x.Missed = !x.Due.IsZero() && !s.Now().Before(x.Due)
		for _, st := range m.From(state.ID) {
			if st.Role == engine.Writ {
				continue
			}
			x.Ways = append(x.Ways, s.way(m.Region, st, f, v, who, x.Due))
		}
		out = append(out, x)
	}
	return out, nil
}

func (s *Service) way(r engine.Region, st engine.Step, f *engine.Facts, v View, who actor.Actor, due time.Time) Way {
	w := Way{Step: st, Unmet: engine.Unmet(r, st, f), Mine: st.Role == engine.Anybody, Who: "anybody who may act"}
	if st.Due != "" {
		w.Due = due
	}
	if st.Role != engine.Anybody {
		w.Who = "nobody is " + roleWords(st.Role) + " yet"
		for _, h := range v.Held {
			if h.Role == st.Role {
				w.Who, w.Mine = h.Name+", "+roleWords(st.Role), h.By == by(who)
			}
		}
	}
	return w
}

// Line is one of the timeline.
type Line struct {
	N      int64 // number of the entry; 0 = not numbered yet
	ID     string
	At     time.Time
	Who    string
	What   string
	Detail string
}

// Timeline is the journal of an incident, the newest first, at most a thousand lines, with
// the words of its notes.
func (s *Service) Timeline(ctx context.Context, who actor.Actor, ref string) ([]Line, error) {
	v, err := s.Show(ctx, who, ref)
	if err != nil {
		return nil, err
	}
	entries, err := s.Record.List(ctx, journal.Query{Object: thing(v.ID), Limit: 1000})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	names, err := s.pseudonyms(ctx)
	if err != nil {
		return nil, err
	}
	words := map[string]string{}
	for _, n := range v.Notes {
		words[n.ID] = n.Text
	}
	out := make([]Line, 0, len(entries))
	for _, e := range entries {
		l := Line{N: e.N, ID: e.ID, At: e.Happened, Who: names[e.Actor]}
		if l.Who == "" {
			l.Who = s.name(ctx, e.Actor)
			if strings.HasPrefix(e.Actor, "p:") {
				l.Who = "somebody who has left"
			}
		}
		l.What, l.Detail = said(e)
		if note, ok := e.Field("note"); ok {
			l.Detail = words[fmt.Sprint(note)]
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b Line) int { return int(b.N - a.N) })
	return out, nil
}

// pseudonyms are the names of staff by how entries show them.
func (s *Service) pseudonyms(ctx context.Context) (map[string]string, error) {
	all, err := s.People.Staff(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, p := range all {
		marks, err := s.DB.Pseudonyms(ctx, keyring.Person(p.ID))
		if err != nil {
			continue // no key yet: they have done nothing
		}
		for _, m := range marks {
			out[m] = p.Name
		}
	}
	return out, nil
}

// said is an entry in words, and one line more.
func said(e journal.Entry) (what, detail string) {
	get := func(name string) string {
		v, _ := e.Field(name)
		switch v := v.(type) {
		case nil:
			return ""
		case []any:
			var parts []string
			for _, x := range v {
				parts = append(parts, fmt.Sprint(x))
			}
			return strings.Join(parts, ", ")
		}
		return fmt.Sprint(v)
	}
	state := func(region, id string) string {
		m, _ := engine.Of(engine.Region(region))
		st, _ := m.State(id)
		return st.Name
	}
	_, act, _ := strings.Cut(e.Stream, ".")
	switch act {
	case "step-done":
		m, _ := engine.Of(engine.Region(get("region")))
		what = m.Name + ": " + state(get("region"), get("to"))
		if w := get("waived"); w != "" {
			detail = "Let pass by exception: " + w + "."
		}
	case "step-refused":
		what, detail = "refused: "+strings.ReplaceAll(get("wanted"), "-", " "), get("unmet")
	case "waiver-asked", "guard-waived", "second-asked", "passed-alone":
		what, detail = map[string]string{"waiver-asked": "one of two wants it to pass", "guard-waived": "two people let it pass, as an exception", "second-asked": "all others are asked for a second person", "passed-alone": "passed by one person alone, as an exception"}[act], get("guard")
	case "categorised":
		what = "decided: " + get("categories") + ", severity " + get("severity")
	case "severity-set":
		what = "severity " + get("from") + " is now " + get("to")
	case "role-taken":
		what = get("role") + " has changed hands"
	case "probe-red":
		what = "red again: " + get("probes")
	case "deadline-lost":
		what = "late: " + state(get("region"), get("state"))
	case "affected-told":
		what, detail = "message to a team: "+get("state"), "team/"+get("team")
	default:
		what = strings.ReplaceAll(act, "-", " ")
	}
	return what, detail
}
