package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Dismissal is why no data was exposed.
type Dismissal struct {
	Reason string `json:"reason"`
}

// CutDone is something that the attacker held and does not hold any more.
type CutDone struct {
	Kind    string `json:"kind"` // session, sessions, token, key, network
	ID      string `json:"id"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Refused bool   `json:"refused"` // what the attacker did was tried again, and refused
	Says    string `json:"says"`
}

// Vendor is a third party that is involved.
type Vendor struct {
	Name      string   `json:"name"`
	Contact   string   `json:"contact"`
	Case      string   `json:"case"` // the number that they give it
	Questions []string `json:"questions"`
}

// Statement is what a third party says, as it was received.
type Statement struct {
	Vendor string `json:"vendor"`
	Text   string `json:"text"`
}

// Risk is how great the risk is for those concerned.
type Risk struct {
	Level     string `json:"level"` // none, risk, high
	Reason    string `json:"reason"`
	Exemption string `json:"exemption,omitempty"` // why those concerned need not be told, by 34(3)
}

// Receipt is the authority's, or why there is none.
type Receipt struct {
	Phase   string `json:"phase"` // first, further, last
	Pack    string `json:"pack"`  // hash of what was sent
	Number  string `json:"number,omitempty"`
	Reason  string `json:"reason,omitempty"` // why it need not know, or why it was late
	Contact string `json:"contact,omitempty"`
}

// Research is how it happened.
type Research struct {
	Way    string    `json:"way"`
	First  time.Time `json:"first"` // access
	Last   time.Time `json:"last"`
	Cause  string    `json:"cause"`
	Unseen string    `json:"unseen"` // why nobody saw it before
	Rule   string    `json:"rule"`   // of one's own, that fires on what happened
}

// Measure is what keeps it from happening again, with the test that shows it.
type Measure struct {
	What   string `json:"what"`
	Link   string `json:"link"`   // clause, change or check that it is tied to
	Test   string `json:"test"`   // by which it is known to work
	Failed string `json:"failed"` // evidence that the test failed before
	Passes string `json:"passes"` // and that it passes now
}

// cutGuard begins the name under which the proof of one cut stands; contained is all of them.
const cutGuard = "cut "

// line is a text that must be there: one of some length.
func line(kind, field, v string, least, most int) (string, error) {
	v = strings.TrimSpace(v)
	if n := utf8.RuneCountInString(v); n < least || n > most || !utf8.ValidString(v) {
		return "", badPaper(kind, field, fmt.Sprintf("%s: %d to %d characters.", field, least, most))
	}
	return v, nil
}

// linesOf checks several of them.
func linesOf(kind string, least, most int, fields map[string]*string) (err error) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if *fields[name], err = line(kind, name, *fields[name], least, most); err != nil {
			return err
		}
	}
	return nil
}

// Dismiss writes down why no data was exposed; two people sign it, then the step is free.
func (s *Service) Dismiss(ctx context.Context, who actor.Actor, ref string, in Dismissal) (Case, error) {
	if err := linesOf(paperDismissal, 20, 2000, map[string]*string{"reason": &in.Reason}); err != nil {
		return Case{}, err
	}
	return s.write(ctx, who, ref, paperDismissal, in, nil)
}

// Contain ends what the attacker holds, then tries what the attacker did once more. What was
// found is a paper; every one of them refused is what contained means.
func (s *Service) Contain(ctx context.Context, who actor.Actor, ref string, what Cut) (Case, error) { // clause: inc.breach-research
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	cuts := s.world(c).Cuts
	if cuts == nil || !slices.Contains(cuts.Kinds(), what.Kind) {
		return Case{}, badPaper("cut", "kind", "Nothing of this kind can be ended from here.")
	}
	if what.ID, err = line("cut", "id", what.ID, 1, 300); err != nil {
		return Case{}, err
	}
	if err := s.underWay(ctx, s.DB, who, c, paperCut); err != nil { // before anything is ended
		return Case{}, err
	}
	x := CutDone{Kind: what.Kind, ID: what.ID}
	if x.Before, x.After, err = cuts.Cut(ctx, who, c.Ref(), what); err != nil {
		return Case{}, err
	}
	if x.Refused, x.Says, err = cuts.Again(ctx, x.Kind, x.ID); err != nil {
		return Case{}, err
	}
	return s.write(ctx, who, ref, paperCut, x, func(tx *ledger.Tx, c *Case) error {
		return prove(ctx, tx, *c, "", proof{Guard: cutGuard + digest(x.Kind, x.ID)[:16], Good: x.Refused, Hash: digest(x.Kind, x.ID, x.Before, x.After), Says: x.Says})
	})
}

// Involve writes down that a third party is involved, with its case number and what it is asked.
func (s *Service) Involve(ctx context.Context, who actor.Actor, ref string, in Vendor) (Case, error) { // clause: inc.breach-third-party
	if err := linesOf(paperVendor, 2, 300, map[string]*string{"name": &in.Name, "contact": &in.Contact}); err != nil {
		return Case{}, err
	}
	if len(in.Case) > 100 || len(in.Questions) == 0 || len(in.Questions) > 50 {
		return Case{}, badPaper(paperVendor, "questions", "1 to 50 questions, and a case number of at most 100 bytes.")
	}
	for i := range in.Questions {
		var err error
		if in.Questions[i], err = line(paperVendor, "questions", in.Questions[i], 5, 1000); err != nil {
			return Case{}, err
		}
	}
	return s.write(ctx, who, ref, paperVendor, in, nil)
}

// Hear files a statement of a third party under its hash.
func (s *Service) Hear(ctx context.Context, who actor.Actor, ref string, in Statement) (Case, error) { // clause: inc.breach-third-party
	var err error
	if in.Vendor, err = line(paperStatement, "vendor", in.Vendor, 2, 300); err != nil {
		return Case{}, err
	}
	if in.Text, err = line(paperStatement, "text", in.Text, 5, 50_000); err != nil {
		return Case{}, err
	}
	return s.write(ctx, who, ref, paperStatement, in, nil)
}

// Task is something that a third party's procedure asks for.
type Task struct {
	ID, Owner, Name, What string
	Due, Done             time.Time
}

// AddTask gives somebody a task of a third party's procedure.
func (s *Service) AddTask(ctx context.Context, who actor.Actor, ref string, in Task) (Case, error) { // clause: inc.breach-third-party
	p, err := s.staff(ctx, in.Owner)
	if err != nil {
		return Case{}, err
	}
	if in.What, err = line("task", "what", in.What, 5, 1000); err != nil {
		return Case{}, err
	}
	if in.Due.Before(s.Now()) || in.Due.After(s.Now().AddDate(1, 0, 0)) {
		return Case{}, badPaper("task", "due", "A time within the next year.")
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	id := s.DB.ID()
	box, err := s.seal(ctx, c.ID, "incident_task.box", id, in.What)
	if err != nil {
		return Case{}, err
	}
	return s.actBreach(ctx, who, c.ID, "task", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		_, err := tx.Exec(ctx, insertTask, id, c.ID, p.ID, us(in.Due), box)
		return TaskSet{Incident: c.ID, Task: id, Due: in.Due}, err
	})
}

// EndTask marks a task as done.
func (s *Service) EndTask(ctx context.Context, who actor.Actor, ref, task string) (Case, error) {
	return s.actBreach(ctx, who, ref, "task", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endTask, task, c.ID, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.NotFound, "task_unknown", "There is no such task that is open.")
		}
		return TaskSet{Incident: c.ID, Task: task, Done: true}, err
	})
}

func (s *Service) tasks(ctx context.Context, id string) ([]Task, error) {
	var out []Task
	var boxes [][]byte
	if err := s.DB.Each(ctx, tasksOf, func(scan ledger.Scan) error {
		var x Task
		var due int64
		var done *int64
		var box []byte
		err := scan(&x.ID, &x.Owner, &due, &done, &box)
		x.Due, x.Done = at(due), when(done)
		out, boxes = append(out, x), append(boxes, box)
		return err
	}, id); err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	for i := range out {
		out[i].Name = s.name(ctx, out[i].Owner)
		var err error
		if out[i].What, err = s.open(ctx, "incident_task.box", out[i].ID, boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DecideRisk writes down how great the risk is. Another person signs it.
func (s *Service) DecideRisk(ctx context.Context, who actor.Actor, ref string, in Risk) (Case, error) { // clause: inc.breach-notify
	if !slices.Contains([]string{"none", "risk", "high"}, in.Level) {
		return Case{}, badPaper(paperRisk, "level", "One of: none, risk, high.")
	}
	if err := linesOf(paperRisk, 20, 4000, map[string]*string{"reason": &in.Reason}); err != nil {
		return Case{}, err
	}
	if in.Exemption != "" {
		if err := linesOf(paperRisk, 20, 2000, map[string]*string{"exemption": &in.Exemption}); err != nil {
			return Case{}, err
		}
	}
	return s.write(ctx, who, ref, paperRisk, in, func(tx *ledger.Tx, c *Case) error {
		if !s.mayTake(ctx, tx, who, *c, engine.Step{Role: engine.Privacy}) {
			return roleLacks(*c, engine.B, engine.Step{Event: "decide-risk", Role: engine.Privacy})
		}
		return nil
	})
}

// FileReceipt writes down that the authority has its report, or why it need not have one.
func (s *Service) FileReceipt(ctx context.Context, who actor.Actor, ref string, in Receipt) (Case, error) { // clause: inc.breach-notify
	if !slices.Contains([]string{"first", "further", "last"}, in.Phase) || len(in.Number) > 200 || len(in.Reason) > 2000 || len(in.Contact) > 300 || !utf8.ValidString(in.Number+in.Reason+in.Contact) {
		return Case{}, badPaper(paperReceipt, "phase", "A phase (first, further, last), and short texts.")
	}
	if in.Number == "" && utf8.RuneCountInString(in.Reason) < 20 {
		return Case{}, badPaper(paperReceipt, "number", "The number of the receipt, or in 20 characters or more why there is none.")
	}
	if in.Number != "" && len(in.Pack) != 64 {
		return Case{}, badPaper(paperReceipt, "pack", "The hash of what was sent: writ incident breach pack.")
	}
	return s.write(ctx, who, ref, paperReceipt, in, func(tx *ledger.Tx, c *Case) error {
		if !s.mayTake(ctx, tx, who, *c, engine.Step{Role: engine.Privacy}) {
			return roleLacks(*c, engine.B, engine.Step{Event: "report", Role: engine.Privacy})
		}
		says := "the authority has its report"
		if in.Number == "" {
			says = "it is written down why the authority need not have one"
		}
		var aware *int64
		if err := ledger.One(ctx, tx, awareOf, []any{&aware}, c.ID); err != nil {
			return err
		}
		late := aware != nil && tx.Now().After(at(*aware).Add(authorityTime))
		good := !late || utf8.RuneCountInString(in.Reason) >= 20
		if !good {
			says = "it is late, and no reason for the delay is given"
		}
		return prove(ctx, tx, *c, "", proof{Guard: "authority-told", Good: good, Hash: digest(in.Pack, in.Number, in.Reason), Says: says})
	})
}

// FindOut writes down how it happened, with a rule that fires on it: the next one like it is seen.
// Whoever wrote it and another person sign it.
func (s *Service) FindOut(ctx context.Context, who actor.Actor, ref string, in Research) (out Case, err error) { // clause: inc.breach-research
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if err := linesOf(paperResearch, 10, 4000, map[string]*string{"way": &in.Way, "cause": &in.Cause, "unseen": &in.Unseen}); err != nil {
		return Case{}, err
	}
	in.First, in.Last = in.First.UTC(), in.Last.UTC()
	if in.First.IsZero() || in.Last.Before(in.First) || in.Last.After(s.Now()) {
		return Case{}, badPaper(paperResearch, "first", "The first access, and the last one after it.")
	}
	if in.Rule, err = line(paperResearch, "rule", in.Rule, 1, 100); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	if err := s.insider(ctx, s.DB, who, c); err != nil {
		return Case{}, err
	}
	fires, err := s.firesOn(ctx, c, in.Rule)
	if err != nil {
		return Case{}, err
	}
	return s.write(ctx, who, ref, paperResearch, in, func(tx *ledger.Tx, c *Case) error { return prove(ctx, tx, *c, "", fires) })
}

// Prevent writes down what keeps it from happening again: with a test that failed before, and
// passes now. Two people sign it.
func (s *Service) Prevent(ctx context.Context, who actor.Actor, ref string, in Measure) (Case, error) { // clause: inc.breach-prevent
	if err := linesOf(paperMeasure, 3, 2000, map[string]*string{"what": &in.What, "link": &in.Link, "test": &in.Test, "failed": &in.Failed, "passes": &in.Passes}); err != nil {
		return Case{}, err
	}
	if in.Failed == in.Passes {
		return Case{}, badPaper(paperMeasure, "passes", "The evidence that it passes now is that it failed before.")
	}
	return s.write(ctx, who, ref, paperMeasure, in, nil)
}

// pack is the report to the authority by 33(3).
type pack struct {
	Notice       string           `json:"notice"`
	Incident     string           `json:"incident"`
	Company      string           `json:"company"`
	Made         time.Time        `json:"made"`
	Aware        time.Time        `json:"aware"`
	Nature       string           `json:"nature"`
	Set          string           `json:"set,omitempty"` // hash
	Concerned    map[string]int64 `json:"concerned,omitempty"`
	Data         []string         `json:"data,omitempty"`
	Unknown      []string         `json:"cannot_know,omitempty"`
	Risk         string           `json:"risk,omitempty"`
	Consequences string           `json:"likely_consequences,omitempty"`
	Contact      string           `json:"contact,omitempty"`
	Taken        []string         `json:"measures,omitempty"`
	Phases       []Receipt        `json:"phases,omitempty"`
}

const notAdvice = "Not legal advice: a draft from the record of the incident. Somebody who knows the law reads it before it is sent."

// Pack is the report to the authority as the record has it now, as JSON and as text, and the
// hash of the JSON.
func (s *Service) Pack(ctx context.Context, who actor.Actor, ref string) (doc []byte, text, hash string, err error) {
	c, err := s.known(ctx, who, ref, "authority-pack")
	if err != nil {
		return nil, "", "", err
	}
	return s.pack(ctx, c)
}

func (s *Service) pack(ctx context.Context, c Case) (doc []byte, text, hash string, err error) {
	p := pack{Notice: notAdvice, Incident: c.Ref(), Company: s.Company(), Made: s.Now().UTC().Truncate(time.Second), Nature: c.Title}
	var aware *int64
	if err := ledger.One(ctx, s.DB, awareOf, []any{&aware}, c.ID); err != nil {
		return nil, "", "", err
	}
	p.Aware = when(aware)
	if x, err := s.scope(ctx, c, 0); err == nil {
		p.Set, p.Unknown, p.Concerned = x.Hash, x.Unknown(), map[string]int64{}
		for class, n := range x.Counts {
			p.Concerned[class.String()] = n
		}
		for _, d := range x.Data {
			p.Data = append(p.Data, d...)
		}
		for _, d := range x.Tags {
			p.Data = append(p.Data, d...)
		}
		if len(x.Open) > 0 {
			p.Data = append(p.Data, breach.Unclassified)
		}
		slices.Sort(p.Data)
		p.Data = slices.DeleteFunc(slices.Compact(p.Data), func(d string) bool { return d == breach.None })
	}
	all, err := s.papers(ctx, c, "")
	if err != nil {
		return nil, "", "", err
	}
	for _, x := range all {
		switch x.Kind {
		case paperRisk:
			if r := (Risk{}); p.Risk == "" && x.Read(&r) {
				p.Risk, p.Consequences = r.Level, r.Reason
			}
		case paperCut:
			if d := (CutDone{}); x.Read(&d) {
				p.Taken = append(p.Taken, d.Kind+" ended: "+d.After)
			}
		case paperMeasure:
			if m := (Measure{}); x.Read(&m) {
				p.Taken = append(p.Taken, m.What)
			}
		case paperReceipt:
			if r := (Receipt{}); x.Read(&r) {
				p.Phases = append(p.Phases, r)
				if r.Contact != "" {
					p.Contact = r.Contact
				}
			}
		}
	}
	if doc, err = json.MarshalIndent(p, "", "  "); err != nil {
		return nil, "", "", fmt.Errorf("encode the report: %w", err)
	}
	return doc, p.text(), digest(string(doc)), nil
}

func (p pack) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nReport of a breach of personal data: %s, %s\n\nKnown since: %s\nNature: %s\n", p.Notice, p.Company, p.Incident, stamp(p.Aware), p.Nature)
	for _, class := range []string{"obtained", "accessed", "possibly"} {
		fmt.Fprintf(&b, "Concerned, %s: %d\n", class, p.Concerned[class])
	}
	for _, x := range []struct{ what, says string }{{"Categories of data", strings.Join(p.Data, ", ")}, {"What cannot be known", strings.Join(p.Unknown, " ")}, {"Risk", p.Risk}, {"Likely consequences", p.Consequences},
		{"Contact", p.Contact}, {"Measures", strings.Join(p.Taken, "; ")}, {"Hash of the set", p.Set}} {
		if x.says != "" {
			fmt.Fprintf(&b, "%s: %s\n", x.what, x.says)
		}
	}
	return b.String()
}

// actPack writes the report once more as it stands when the step is taken.
func (s *Service) actPack(ctx context.Context, c Case) (outcome, error) {
	_, _, hash, err := s.pack(ctx, c)
	return outcome{Output: hash, Says: "The report to the authority as it stands."}, err
}

const (
	cutsOf     = `SELECT COUNT(*), COALESCE(SUM(CASE WHEN good THEN 0 ELSE 1 END), 0) FROM incident_proof WHERE case_id = $1 AND round = $2 AND guard LIKE 'cut %'`
	insertTask = `INSERT INTO incident_task (id, case_id, owner, due, done, box) VALUES ($1, $2, $3, $4, NULL, $5)`
	endTask    = `UPDATE incident_task SET done = $3 WHERE id = $1 AND case_id = $2 AND done IS NULL`
	tasksOf    = `SELECT id, owner, due, done, box FROM incident_task WHERE case_id = $1 ORDER BY due, id`
)
