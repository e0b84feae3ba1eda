package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// take takes a step as whoever plays.
func (d *drill) take(ctx context.Context, s *Service, event string) (string, error) {
	c, err := s.Take(ctx, d.who, d.v.ID, Step{Event: event})
	if err != nil {
		return "", err
	}
	r := regionOf(event)
	m, _ := engine.Of(r)
	st, _ := m.State(c.States[r])
	return strings.ReplaceAll(event, "-", " ") + ": " + st.Says, nil
}

func (d *drill) holds(r engine.Role) bool {
	return slices.ContainsFunc(d.v.Held, func(h Held) bool { return h.Role == r && h.By == by(d.who) })
}

func (d *drill) noted(words string) bool {
	return slices.ContainsFunc(d.v.Notes, func(n Note) bool { return strings.HasPrefix(n.Text, words) })
}

func (d *drill) good(guard string) bool {
	return slices.ContainsFunc(d.v.Proofs, func(p Proof) bool { return p.Guard == guard && p.Good })
}

// playLife is what all drills share: the lifecycle, with what one kind does while it is active.
func (s *Service) playLife(ctx context.Context, d *drill, category string, active func() (string, error)) (string, error) {
	roles := []engine.Role{engine.Commander, engine.Technical, engine.Communications}
	if category == "data-loss" {
		roles = append(roles, engine.Recovery)
	}
	switch d.v.States[engine.L] {
	case "L0":
		return d.take(ctx, s, "acknowledge")
	case "L1":
		for _, r := range roles {
			if !d.holds(r) {
				_, err := s.TakeRole(ctx, d.who, d.v.ID, r, "")
				return "takes the role " + string(r), err
			}
		}
		_, err := s.Categorise(ctx, d.who, d.v.ID, Sorting{Kinds: []string{category}, Severity: d.severity})
		return fmt.Sprintf("decides: %s, severity %d", category, d.severity), err
	case "L2":
		says, err := active()
		if says != "" || err != nil {
			return says, err
		}
		return "", nil
	case "L3":
		return s.playSoak(ctx, d)
	case "L4":
		return "", s.Tend(ctx) // the server goes on once everybody was told
	case "L5":
		return s.playReview(ctx, d)
	}
	return "", nil
}

// playSoak does not watch a sandbox for a quarter of an hour: two whom the sandbox plays say so.
func (s *Service) playSoak(ctx context.Context, d *drill) (string, error) {
	if slices.ContainsFunc(d.v.Waivers, func(w Waiver) bool { return w.Guard == "soaked" && w.Other != "" }) {
		return d.take(ctx, s, "resolve")
	}
	const why = "nobody uses a sandbox"
	id := s.DB.ID()
	box, err := s.seal(ctx, d.v.ID, "incident_waiver.reason", id, why)
	if err != nil {
		return "", err
	}
	err = s.played(ctx, d, playedFirst, func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, insertWaiver, id, c.ID, c.Round, string(engine.L), "soaked", box, us(tx.Now()), person); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, agreeWaiver, c.ID, c.Round, string(engine.L), "soaked", us(tx.Now()), playedSecond)
		return GuardWaived{Incident: c.ID, Round: c.Round, Region: string(engine.L), Guard: "soaked", People: []string{person, playedSecond}, reason: why}, err
	})
	return "does not watch it for a quarter of an hour: nobody uses a sandbox", err
}

// playReview writes what was learned, has it approved, and closes.
func (s *Service) playReview(ctx context.Context, d *drill) (string, error) {
	l := d.v.Learned
	if l.Hash == "" || l.Round != d.v.Round {
		owner, err := s.ownerOf(ctx, d.who)
		if err != nil {
			return "", err
		}
		_, err = s.Learn(ctx, d.who, d.v.ID, NewReview{Text: "A drill of " + d.kind + ": the steps were taken in their order, and what came of each stands in the timeline.",
			Causes: []string{"It was a practice"}, Actions: []Action{{Cause: 1, Prevents: true, Owner: owner, Due: s.Now().Add(s.Rules.Get().Drill), What: "Practise it again"}}})
		return "writes the review", err
	}
	if len(l.Approved) == 0 {
		err := s.beside(ctx, d, "approve the review: writ incident approve "+d.v.Ref()+" review", func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error) {
			_, err := tx.Exec(ctx, insertApproval, c.ID, tx.ID(), objectReview, l.Hash, person, us(tx.Now()))
			return Approved{Incident: c.ID, Round: c.Round, Object: objectReview, Hash: l.Hash, Person: person}, err
		})
		return "the sandbox's second person approves the review (played)", err
	}
	return d.take(ctx, s, "close")
}

// ownerOf is a member of staff to whom an action can be given: whoever plays, if they are one.
func (s *Service) ownerOf(ctx context.Context, who actor.Actor) (string, error) {
	all, err := s.People.Staff(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if p.ID == who.ID {
			return p.ID, nil
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return all[0].ID, nil
}

// playLoss takes the sandbox's application down, restores it and opens it again.
func (s *Service) playLoss(ctx context.Context, d *drill) (string, error) {
	return s.playLife(ctx, d, "data-loss", func() (string, error) {
		l := d.v.Loss
		at := d.v.States[engine.R]
		switch {
		case at == "R12":
			return d.take(ctx, s, "mitigate")
		case l == nil || l.Begun.IsZero(), l.Running != "":
			return "", nil
		case l.Red != "":
			return "", waiting("It is red: " + l.Red + " Look at it, and go on by hand.")
		case len(l.ByHand) > 0 && !d.good(l.ByHand[0]):
			return s.playHand(ctx, d, l)
		case (at == "R3" || at == "R4" || at == "R5") && !l.Enough:
			return s.playPlan(ctx, d, l)
		case at == "R10" && !d.good("some-in"):
			return d.take(ctx, s, "open-some")
		case at == "R10" && !d.good("all-in"):
			return d.take(ctx, s, "open-all")
		case at == "R10":
			return d.take(ctx, s, "tell-customers")
		case at == "R11" && !d.good("backup-proved"):
			return d.take(ctx, s, "back-up")
		}
		m, _ := engine.Of(engine.R)
		for _, st := range m.From(at) {
			if forward(d.v.Case, engine.R, st) && st.Event != "back-up" {
				return d.take(ctx, s, st.Event)
			}
		}
		return "", nil
	})
}

// playPlan makes the plan, and has it signed.
func (s *Service) playPlan(ctx context.Context, d *drill, l *Loss) (string, error) {
	if l.Plan == nil || d.who.Kind == actor.Person && !l.Signed {
		in := NewPlan{}
		if s.world(d.v.Case).Recovery == nil {
			in = NewPlan{At: d.v.OnsetFrom.Add(-2 * time.Minute), Point: "the last backup", Target: "the application's database", Says: "Table-top: restored as the runbook of the backups says."}
		}
		_, err := s.MakePlan(ctx, d.who, d.v.ID, in)
		return "makes the plan, and signs it by that", err
	}
	sign := func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error) {
		return s.signPlan(ctx, tx, c, person, l.Hash)
	}
	if d.who.Kind != actor.Person && len(l.Signers) == 0 {
		return "the sandbox's first person signs the plan (played)", s.played(ctx, d, playedFirst, sign)
	}
	return "the sandbox's second person signs the plan (played)", s.beside(ctx, d, "sign the plan: writ incident approve "+d.v.Ref()+" plan", sign)
}

// playHand records what people would do, where the sandbox reaches nothing: a table-top.
func (s *Service) playHand(ctx context.Context, d *drill, l *Loss) (string, error) {
	guard := l.ByHand[0]
	for _, h := range l.Hands {
		if h.Guard == guard && h.Other == "" {
			err := s.beside(ctx, d, "sign what was recorded by hand: writ incident loss sign "+d.v.Ref()+" "+h.ID, func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error) {
				return s.signHand(ctx, tx, c, person, h.ID)
			})
			return "the sandbox's second person signs it (played)", err
		}
	}
	_, err := s.RecordHand(ctx, d.who, d.v.ID, guard, "Table-top: talked through who does this, with what, and where the evidence lies.")
	return "by hand: " + strings.ReplaceAll(guard, "-", " "), err
}

// playOutage talks through an outage: what the public would read is held against the guard of
// texts, and the repair is planned.
func (s *Service) playOutage(ctx context.Context, d *drill) (string, error) {
	return s.playLife(ctx, d, "usability", func() (string, error) {
		notices := []status.Post{
			{Title: "The service is not available", State: status.Investigating, Body: "Our service does not answer at the moment. We are looking for the cause.", Next: s.Now().Add(30 * time.Minute)},
			{Title: "The service is not available", State: status.Monitoring, Body: "Our service answers again. We watch it.", Next: s.Now().Add(30 * time.Minute)}}
		return s.playTable(ctx, d, notices, []string{"Who rings the provider, by which number, and who else holds it?", "What brings it back: restart, another zone, a rollback? Who may do it alone?"})
	})
}

// playThirdParty talks through an incident at somebody else's.
func (s *Service) playThirdParty(ctx context.Context, d *drill) (string, error) {
	return s.playLife(ctx, d, "third-party", func() (string, error) {
		notices := []status.Post{{Title: "A part of the service is not available", State: status.Investigating, Body: "A provider of ours has a problem, and a part of our service does not work. We are in touch with them.", Next: s.Now().Add(30 * time.Minute)}}
		return s.playTable(ctx, d, notices, []string{"Which vendor is it, what is their emergency contact, and what do they hold of our customers?", "Their procedure: which questions do we put to them, and by when must they have answered?", "What do we switch off or replace while they are away?"})
	})
}

// playTable is a table-top: texts that would be posted, questions, and a repair with an owner.
func (s *Service) playTable(ctx context.Context, d *drill, notices []status.Post, questions []string) (string, error) {
	for _, p := range notices {
		text := "Would post (" + status.Word(p.State) + "): " + p.Body
		if d.noted(text) {
			continue
		}
		leaks, err := s.Page.Check(ctx, p)
		if err != nil {
			return "", err
		}
		if len(leaks) > 0 || !p.Estimated() {
			return "", fmt.Errorf("the text of the drill would be refused: %v", leaks)
		}
		_, err = s.Write(ctx, d.who, d.v.ID, text, "")
		return "writes what the public would read; it holds nothing that must not be public", err
	}
	for _, q := range questions {
		if !d.noted("Table-top: " + q) {
			_, err := s.Write(ctx, d.who, d.v.ID, "Table-top: "+q+" Talked through.", "")
			return q, err
		}
	}
	if d.v.States[engine.F] == "F0" {
		owner, err := s.ownerOf(ctx, d.who)
		if err != nil {
			return "", err
		}
		_, err = s.Mend(ctx, d.who, d.v.ID, NewFix{Event: "plan", What: "What the drill has shown to be missing", Owner: owner, Ends: s.Now().Add(14 * 24 * time.Hour)})
		return "plans the repair", err
	}
	return d.take(ctx, s, "mitigate")
}
