package incident

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/ledger"
)

// entriesOf gives the entries of an act about an object, the newest first.
func (s *Service) entriesOf(ctx context.Context, act, object string, fn func(journal.Entry)) error {
	const page = 1000
	for before := int64(0); ; {
		es, err := s.Record.List(ctx, journal.Query{Act: act, Object: object, Before: before, Limit: page})
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		for _, e := range es {
			fn(e)
			before = e.N
		}
		if len(es) < page || before == 0 {
			return nil
		}
	}
}

// entered finds the entries that an account rests on: of its messages, and of when parts were out.
func (s *Service) entered(ctx context.Context, c Case, f footing, a *Account) error {
	is := func(e journal.Entry, name, want string) bool { v, _ := e.Field(name); return v == want }
	for i := range a.Messages {
		a.Messages[i].Entries = []int64{}
	}
	note := func(about, class string, n int64) {
		for i := range a.Messages {
			if m := &a.Messages[i]; m.About == about && m.Class == class && len(m.Entries) < mostEntries && !slices.Contains(m.Entries, n) {
				m.Entries = append(m.Entries, n)
			}
		}
	}
	for act, about := range map[string]string{"incident.affected-told": "outage", "incident.message-followed": "outage", "incident.loss-made-known": "lost-writes"} {
		if err := s.entriesOf(ctx, act, thing(c.ID), func(e journal.Entry) {
			if is(e, "team", a.Team) {
				note(about, "", e.N)
			}
		}); err != nil {
			return err
		}
	}
	if err := s.enteredLetters(ctx, c, f, a, is); err != nil {
		return err
	}
	type of struct{ act, object string }
	rests := []of{{"incident.application-taken-down", thing(c.ID)}, {"incident.application-opened", thing(c.ID)}}
	for _, id := range f.impacts {
		rests = append(rests, of{"incident.impact-began", impact + id}, of{"incident.impact-ended", impact + id})
	}
	for _, r := range rests {
		if err := s.entriesOf(ctx, r.act, r.object, func(e journal.Entry) { a.Entries = append(a.Entries, e.N) }); err != nil {
			return err
		}
	}
	for _, part := range f.parts {
		if err := s.entriesOf(ctx, "incident.component-set", "component/"+part, func(e journal.Entry) {
			if !e.Happened.Before(f.in.From) && !e.Happened.After(f.in.Until) {
				a.Entries = append(a.Entries, e.N)
			}
		}); err != nil {
			return err
		}
	}
	slices.Sort(a.Entries)
	a.Entries = slices.Compact(a.Entries)
	for i := range a.Messages {
		slices.Sort(a.Messages[i].Entries)
	}
	return nil
}

// enteredLetters finds those of letters about exposed data. An entry names its letter alone.
func (s *Service) enteredLetters(ctx context.Context, c Case, f footing, a *Account, is func(e journal.Entry, name, want string) bool) error {
	if f.version == 0 {
		return nil
	}
	type key struct{ class, state string }
	of := map[string]key{}
	if err := s.DB.Each(ctx, letterIDsOfTeam, func(scan ledger.Scan) error {
		var id string
		var k key
		err := scan(&id, &k.class, &k.state)
		of[id] = k
		return err
	}, c.ID, a.Team, f.version); err != nil {
		return fmt.Errorf("read letters to a team: %w", err)
	}
	if len(of) == 0 {
		return nil
	}
	return s.entriesOf(ctx, "incident.letter-followed", thing(c.ID), func(e journal.Entry) {
		v, _ := e.Field("letter")
		id, _ := v.(string)
		k, ok := of[id]
		if !ok {
			return
		}
		for i := range a.Messages {
			if m := &a.Messages[i]; m.About == "exposed-data" && m.Class == k.class && m.State == k.state && is(e, "state", k.state) && len(m.Entries) < mostEntries {
				m.Entries = append(m.Entries, e.N)
			}
		}
	})
}

// ProveAccount writes a team's account for anybody outside: what it says as JSON, and the entries that
// it rests on with their proofs and the signed checkpoint. writ verify holds one against the other
// without this server. What of the entries is hidden stays closed, and none is about another team.
func (s *Service) ProveAccount(ctx context.Context, who actor.Actor, ref string, w io.Writer) error { // clause: inc.tell-affected
	a, err := s.Account(ctx, who, ref)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(wireAccount(a), "", "  ")
	if err != nil {
		return fmt.Errorf("encode an account: %w", err)
	}
	ev := AccountProved{Incident: a.id, Team: a.Team, Files: []string{fmt.Sprintf("%x  account.json", sha256.Sum256(raw))}}
	r, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
	if err != nil {
		return fmt.Errorf("record the proof of an account: %w", err)
	}
	wait, stop := context.WithTimeout(ctx, 15*time.Second)
	defer stop()
	e, err := s.Record.Wait(wait, r.ID)
	if err != nil {
		return fmt.Errorf("record the proof of an account: %w", err)
	}
	also := append([]int64{e.N}, a.Entries...)
	for _, m := range a.Messages {
		also = append(also, m.Entries...)
	}
	return s.Record.Export(ctx, who, journal.Evidence{Query: journal.Query{Act: ev.About().Name, Object: ev.About().Object, From: e.N}, Also: also, Reason: "a team's account of " + a.Ref, Closed: true, Beside: map[string][]byte{"incident/account.json": raw}}, w)
}

// AccountProved is an account that was written down for somebody outside, with the sum of what it says.
type AccountProved struct {
	Incident string   `class:"public"`
	Team     string   `class:"public"`
	Files    []string `class:"public"` // SHA-256, two spaces, name
}

// About implements ledger.Event.
func (e AccountProved) About() ledger.About {
	return ledger.About{Name: "incident.account-proved", Clause: "inc.tell-affected", Object: accountThing(e.Incident, e.Team)}
}

const letterIDsOfTeam = `SELECT l.id, t.class, l.state FROM incident_letter_team t JOIN incident_letter l ON l.id = t.letter_id WHERE t.case_id = $1 AND t.team = $2 AND l.version <= $3`
