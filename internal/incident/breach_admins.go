package incident

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/mail"
)

const (
	paperAdmins = "admins"
	mostHanded  = 1000 // letters at a time
)

// handedOn are the letters whose people's admins were asked to hand it on.
type handedOn struct {
	Letters []string `json:"letters"`
	Admins  int      `json:"admins"`
}

// AskAdmins writes to the admins of those whom no letter reached: each is named once, and each
// admin gets one letter with the names of their own team. That somebody was told so, a person says
// (LetterTold); until then the banner stands. Errors: fault.NotFound (nobody is left, or they have
// no admin with an address).
func (s *Service) AskAdmins(ctx context.Context, who actor.Actor, ref string) (Case, error) { // clause: inc.breach-notify
	if err := s.mayAct(ctx, who, ref); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	concerned := s.world(c).Concerned
	if concerned == nil {
		return Case{}, fault.Newf(fault.Unavailable, "no_concerned", "Nobody can say whom to write to.")
	}
	admins, err := concerned.Admins(ctx)
	if err != nil {
		return Case{}, err
	}
	done, names, err := s.toHandOn(ctx, c, admins)
	if err != nil {
		return Case{}, err
	}
	if len(names) == 0 {
		return Case{}, fault.Newf(fault.NotFound, "nobody_left", "Nobody is left whom no letter reached and whose team has another admin with an address.")
	}
	done.Admins = len(names)
	var made []letterJob
	for _, to := range slices.Sorted(maps.Keys(names)) {
		slices.Sort(names[to])
		j, err := s.prepare(ctx, to, handOnLetter(slices.Compact(names[to])))
		if err != nil {
			return Case{}, err
		}
		made = append(made, j)
	}
	return s.write(ctx, who, ref, paperAdmins, done, func(tx *ledger.Tx, c *Case) error {
		if !s.mayTake(ctx, tx, who, *c, engine.Step{Role: engine.Privacy}) {
			return roleLacks(*c, engine.B, engine.Step{Event: "admins", Role: engine.Privacy})
		}
		if c.Drill { // it reaches nobody outside
			return nil
		}
		return s.enqueue(ctx, tx, made)
	})
}

// toHandOn are the letters that reached nobody and whose people's admins were not asked yet, and
// the names by the address of the admin.
func (s *Service) toHandOn(ctx context.Context, c Case, admins func(person string) []Recipient) (done handedOn, names map[string][]string, err error) {
	asked := map[string]bool{}
	papers, err := s.papers(ctx, c, paperAdmins)
	if err != nil {
		return done, nil, err
	}
	for _, p := range papers {
		var x handedOn
		if p.Read(&x) {
			for _, id := range x.Letters {
				asked[id] = true
			}
		}
	}
	type row struct {
		id, person string
		box        []byte
	}
	var rows []row
	if err := s.DB.Each(ctx, unreachedPeople, func(scan ledger.Scan) error {
		var r row
		err := scan(&r.id, &r.person, &r.box)
		if !asked[r.id] && len(rows) < mostHanded {
			rows = append(rows, r)
		}
		return err
	}, c.ID); err != nil {
		return done, nil, fmt.Errorf("read letters: %w", err)
	}
	names = map[string][]string{}
	for _, r := range rows {
		x, err := s.rowOf(ctx, r.id, r.box)
		if err != nil {
			return done, nil, err
		}
		some := false
		for _, a := range admins(r.person) {
			if a.Email != "" && a.Person != r.person && !strings.EqualFold(a.Email, x.Email) {
				names[a.Email], some = append(names[a.Email], x.Name), true
			}
		}
		if some {
			done.Letters = append(done.Letters, r.id)
		}
	}
	return done, names, nil
}

// handOnLetter says nothing of what was exposed: that is for the person alone.
func handOnLetter(names []string) letter {
	return letter{kind: "incident.unreached", Letter: mail.Letter{Title: "Our letter did not reach members of your team",
		Lines: []string{"We have something to tell these members of your team, and our letters to them come back: " + strings.Join(names, ", ") + ".",
			"Please ask them to sign in, where they read about it, and to mend their address in their account. If you know how else to reach them, answer this letter."}}}
}

const unreachedPeople = `SELECT id, person, box FROM incident_letter WHERE case_id = $1 AND state IN ('refused', 'failed', 'stopped', 'unreachable') ORDER BY id`
