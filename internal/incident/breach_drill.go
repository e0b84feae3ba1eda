package incident

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// playBreach deals with data of people whom the sandbox has invented: the set is computed from
// the record that it planted, and letters go to its own box.
func (s *Service) playBreach(ctx context.Context, d *drill) (string, error) {
	return s.playLife(ctx, d, "breach", func() (string, error) {
		if !d.holds(engine.Privacy) {
			_, err := s.TakeRole(ctx, d.who, d.v.ID, engine.Privacy, "")
			return "takes the role " + string(engine.Privacy), err
		}
		switch d.v.States[engine.B] {
		case "B0":
			return d.take(ctx, s, "confirm")
		case "B1":
			return s.playScope(ctx, d)
		case "B2":
			return s.playPaper(ctx, d, paperRisk, 1, "decide-risk", func() error {
				_, err := s.DecideRisk(ctx, d.who, d.v.ID, Risk{Level: "high", Reason: "Contacts of customers can be used to deceive them. This is a drill."})
				return err
			})
		case "B3":
			return s.playReport(ctx, d)
		case "B4":
			return s.playTexts(ctx, d)
		case "B5":
			if !d.free("told") {
				return "", nil // letters are on their way
			}
			return d.take(ctx, s, "told")
		case "B6":
			return s.playResearch(ctx, d)
		case "B7":
			return s.playPaper(ctx, d, paperMeasure, pairs, "prevent", func() error {
				_, err := s.Prevent(ctx, d.who, d.v.ID, Measure{What: "Sessions of support end by themselves", Link: "auth.best-practice", Test: "the drill itself", Failed: "the planted session was live", Passes: "shown again it was refused"})
				return err
			})
		}
		return s.playTable(ctx, d, nil, nil) // plans the repair, and says that the impact is over
	})
}

// free reports whether nothing keeps a step.
func (d *drill) free(event string) bool {
	for _, st := range d.v.Stands {
		if i := slices.IndexFunc(st.Ways, func(w Way) bool { return w.Step.Event == event }); i >= 0 {
			return len(st.Ways[i].Unmet) == 0
		}
	}
	return false
}

// playSign has a thing signed by as many as it needs. It says what was done; "" = it has them.
func (s *Service) playSign(ctx context.Context, d *drill, object string, need int) (string, error) {
	hash, author, err := standsAs(ctx, s.DB, d.v.Case, object)
	if err != nil {
		return "", err
	}
	have, err := signersOf(ctx, s.DB, d.v.Case, object, hash)
	if err != nil || len(have) >= need {
		return "", err
	}
	mine := d.who.Kind == actor.Person && !slices.Contains(have, d.who.ID) && (object != paperRisk || author != d.who.ID)
	if mine {
		_, err := s.Sign(ctx, d.who, d.v.ID, object, hash)
		return "signs " + object, err
	}
	sign := func(tx *ledger.Tx, c *Case, person string) (ledger.Event, error) {
		_, err := tx.Exec(ctx, signAgain, c.ID, tx.ID(), object, hash, person, us(tx.Now()), us(tx.Now().Add(-approvalLife)))
		return Approved{Incident: c.ID, Round: c.Round, Object: object, Hash: hash, Person: person}, err
	}
	if d.who.Kind != actor.Person && need == pairs && !slices.Contains(have, playedFirst) {
		return "the sandbox's first person signs " + object + " (played)", s.played(ctx, d, playedFirst, sign)
	}
	return "the sandbox's second person signs " + object + " (played)", s.beside(ctx, d, "sign "+object+": writ incident breach sign "+d.v.Ref()+" "+object+" "+hash[:12], sign)
}

// playPaper writes a paper where there is none, has it signed, and takes the step that it is for.
func (s *Service) playPaper(ctx context.Context, d *drill, kind string, need int, event string, write func() error) (string, error) {
	_, err := newestPaper(ctx, s.DB, d.v.Case, kind)
	if errors.Is(err, fault.NotFound) {
		return "writes down: " + kind, write()
	}
	if err != nil {
		return "", err
	}
	if says, err := s.playSign(ctx, d, kind, need); says != "" || err != nil {
		return says, err
	}
	if event == "" {
		return "", nil
	}
	return d.take(ctx, s, event)
}

func (s *Service) playScope(ctx context.Context, d *drill) (string, error) {
	_, err := newestScope(ctx, s.DB, d.v.ID)
	if errors.Is(err, fault.NotFound) {
		until := s.Now().Truncate(time.Second)
		_, err := s.FreezeScope(ctx, d.who, d.v.ID, NewScope{Selector: breach.Selector{Principals: []string{DrillThief}, From: until.Add(-24 * time.Hour), Until: until},
			Data: map[string][]string{DrillRoute: {breach.Contact}}})
		return "computes whose data it is from the planted record", err
	}
	if err != nil {
		return "", err
	}
	if says, err := s.playSign(ctx, d, objectScope, pairs); says != "" || err != nil {
		return says, err
	}
	return d.take(ctx, s, "scope")
}

// What the sandbox plants: who reads, and where.
const (
	DrillThief   = "drill-thief"
	DrillRoute   = "/contacts/"
	DrillSession = "drill-session"
	DrillRule    = "4f1c6f0e-51d5-4c0e-9f5e-6d8a3b1c7e20" // fires on it
)

func (s *Service) playReport(ctx context.Context, d *drill) (string, error) {
	return s.playPaper(ctx, d, paperReceipt, 0, "report", func() error {
		_, _, hash, err := s.pack(ctx, d.v.Case)
		if err != nil {
			return err
		}
		_, err = s.FileReceipt(ctx, d.who, d.v.ID, Receipt{Phase: "first", Pack: hash, Number: "drill: nothing was sent"})
		return err
	})
}

func (s *Service) playTexts(ctx context.Context, d *drill) (string, error) {
	x, err := newestScope(ctx, s.DB, d.v.ID)
	if err != nil {
		return "", err
	}
	for _, class := range toldClasses() {
		if x.counts[class] == 0 {
			continue
		}
		says, err := s.playPaper(ctx, d, paperLetter+class.String(), pairs, "", func() error {
			_, err := s.WriteLetter(ctx, d.who, d.v.ID, class, LetterTemplate(class))
			return err
		})
		if says != "" || err != nil {
			return says, err
		}
		if _, err := newestPaper(ctx, s.DB, d.v.Case, paperTest+class.String()); errors.Is(err, fault.NotFound) {
			owner, err := s.ownerOf(ctx, d.who)
			if err != nil {
				return "", err
			}
			_, err = s.TestLetter(ctx, d.who, d.v.ID, class, []string{owner})
			return "sends the text for " + class.String() + " to the seed list", err
		} else if err != nil {
			return "", err
		}
	}
	return d.take(ctx, s, "notify")
}

func (s *Service) playResearch(ctx context.Context, d *drill) (string, error) {
	if !slices.ContainsFunc(d.v.Proofs, func(p Proof) bool { return strings.HasPrefix(p.Guard, cutGuard) && p.Good }) {
		_, err := s.Contain(ctx, d.who, d.v.ID, Cut{Kind: "session", ID: DrillSession})
		return "ends the planted session, and tries it again", err
	}
	return s.playPaper(ctx, d, paperResearch, pairs, "research", func() error {
		_, err := s.FindOut(ctx, d.who, d.v.ID, Research{Way: "A planted session read planted contacts.", First: d.v.OnsetFrom.Add(-time.Hour), Last: s.Now(), Cause: "It was a practice of exposed data", Unseen: "Nothing looks for it in a sandbox.", Rule: DrillRule})
		return err
	})
}
