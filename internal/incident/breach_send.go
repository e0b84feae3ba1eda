package incident

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
)

type letterJob = jobs.Job

const (
	lettersATick = 25               // a second: 90,000 in an hour
	handLimit    = 2 * time.Minute  // after it nobody knows what became of a letter that is being sent
	deliverLimit = 45 * time.Second // of one try
	lettersLive  = 24 * time.Hour   // how long one is tried
)

// tryAgain are the pauses between tries; the last one stays.
var tryAgain = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

// outgoing is a letter that is to be sent.
type outgoing struct {
	id, caseID, text string
	version, tries   int64
	class            breach.Class
	at               time.Time
	box              []byte
}

// TendLetters sends what is due, a few each second, gives up what nobody knows of, and reports once a
// day.
func (s *Service) TendLetters(ctx context.Context) error { // clause: inc.breach-notify
	return errors.Join(s.lose(ctx), s.refill(ctx), s.sendSome(ctx), s.place(ctx), s.reportDaily(ctx))
}

// lose makes unknown what a process began to send and did not end. It is never sent again by
// itself: it may have arrived.
func (s *Service) lose(ctx context.Context) error {
	lost, err := s.outgoing(ctx, lostLetters, us(s.Now()))
	if err != nil {
		return err
	}
	for _, o := range lost {
		if err := s.settle(ctx, o, letterUnknown, mail.Answer{Text: "the server ended while it was handed over"}, ""); err != nil {
			return err
		}
	}
	return nil
}

// refill makes letters for a version that was signed after the first letters went out.
func (s *Service) refill(ctx context.Context) error {
	later, err := s.cases(ctx, s.DB, laterScopes)
	if err != nil {
		return err
	}
	for _, c := range later {
		x, err := newestScope(ctx, s.DB, c.ID)
		if err != nil {
			return err
		}
		signers, err := signersOf(ctx, s.DB, c, objectScope, x.Hash)
		if err != nil {
			return err
		}
		if len(signers) < pairs || !x.stated {
			continue
		}
		if _, _, err := s.fill(ctx, c); err != nil && !errors.Is(err, fault.Conflict) { // a text is not signed yet
			return err
		}
	}
	return nil
}

func (s *Service) sendSome(ctx context.Context) error {
	texts := map[string]*LetterText{}
	for turn, sent := 0, 0; turn < mostTurns; turn++ {
		due, err := s.outgoing(ctx, dueLetters, us(s.Now()))
		if err != nil {
			return err
		}
		for _, o := range due[:min(len(due), lettersATick-sent)] {
			off, err := s.sendOne(ctx, o, texts)
			if err != nil {
				return err
			}
			if !off {
				sent++
			}
		}
		if sent == lettersATick || len(due) < lettersATick {
			return nil
		}
	}
	return nil
}

func (s *Service) outgoing(ctx context.Context, query string, now int64) ([]outgoing, error) {
	var out []outgoing
	err := s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var o outgoing
		var class, t int64
		err := scan(&o.id, &o.caseID, &o.version, &class, &o.text, &o.tries, &t, &o.box)
		o.class, o.at = breach.Class(class), at(t)
		out = append(out, o)
		return err
	}, now)
	if err != nil {
		return nil, fmt.Errorf("read letters: %w", err)
	}
	return out, nil
}

// sendOne takes a letter for itself, sends it, and writes down what became of it. Whoever
// finds it taken leaves it. off = it was put off, because its host has had enough for now.
func (s *Service) sendOne(ctx context.Context, o outgoing, texts map[string]*LetterText) (off bool, err error) {
	c, err := s.find(ctx, s.DB, o.caseID)
	if err != nil {
		return false, err
	}
	post := s.world(c).Post
	if post == nil {
		return false, fault.Newf(fault.Unavailable, "no_post", "Nobody sends letters of %s.", c.Ref())
	}
	m, err := s.letterOf(ctx, c, o, texts)
	if err != nil {
		return false, err
	}
	reached := true
	if r := s.world(c).Reach; r != nil {
		if reached, err = r.Reaches(ctx, m.To); err != nil {
			return false, err
		}
	}
	if reached {
		if until := s.pace.at(hostOf(m.To), s.Now(), cmp.Or(s.PerHost, perHost)); until.After(s.Now()) {
			return true, s.putOff(ctx, o.id, until)
		}
	}
	mine, until := false, time.Time{}
	if err := s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		until = tx.Now().Add(handLimit)
		n, err := tx.Exec(ctx, takeLetter, o.id, us(until))
		mine = n == 1
		return err
	}); err != nil || !mine {
		return false, err
	}
	if !reached { // its person is told in another way
		return false, s.settle(ctx, o, letterNoWay, mail.Answer{Text: "letters came back from this address before"}, "")
	}
	o.tries++
	s.point("sending")
	if s.Now().Add(deliverLimit).After(until) { // this server was stopped, and others may count it as unknown
		return false, nil
	}
	limit, stop := context.WithTimeout(ctx, deliverLimit)
	a, err := post.Deliver(limit, m)
	stop()
	s.point("sent")
	state := stateOf(a, err)
	if state == letterQueued && s.Now().Sub(o.at) > lettersLive {
		state = letterFailed
	}
	return false, s.settle(context.WithoutCancel(ctx), o, state, a, digest(m.Subject, m.Text))
}

// stateOf is what an answer of a mail host means. Without a code, once the whole letter was
// handed over, nobody knows.
func stateOf(a mail.Answer, err error) string {
	switch {
	case err == nil:
		return letterTaken
	case errors.Is(err, fault.Invalid), a.Code >= 500 && a.Code < 600:
		return letterRefused
	case a.Handed && a.Code == 0:
		return letterUnknown
	}
	return letterQueued
}

// letterOf renders a letter from the text that was signed.
func (s *Service) letterOf(ctx context.Context, c Case, o outgoing, texts map[string]*LetterText) (mail.Message, error) {
	key := c.ID + o.text
	if texts[key] == nil {
		all, err := s.papers(ctx, c, paperLetter+o.class.String())
		if err != nil {
			return mail.Message{}, err
		}
		i := slices.IndexFunc(all, func(p Paper) bool { return p.Hash == o.text })
		t := &LetterText{}
		if i < 0 || !all[i].Read(t) {
			return mail.Message{}, fault.Newf(fault.Gone, "letter_erased", "The text of a letter of %s is not there.", c.Ref())
		}
		texts[key] = t
	}
	r, err := s.rowOf(ctx, o.id, o.box)
	if err != nil {
		return mail.Message{}, err
	}
	return s.render(c, o.id, texts[key], r)
}

func (s *Service) rowOf(ctx context.Context, id string, box []byte) (concernedRow, error) {
	var r concernedRow
	text, err := s.open(ctx, "incident_letter.box", id, box)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fault.Wrap(fault.Gone, "letter_erased", err)
	}
	return r, nil
}

// settle writes down what became of a try.
func (s *Service) settle(ctx context.Context, o outgoing, state string, a mail.Answer, body string) error {
	answer, err := s.seal(ctx, o.caseID, "incident_letter.answer", o.id, strings.ToValidUTF8(a.Text[:min(len(a.Text), 500)], ""))
	if err != nil {
		return err
	}
	code := ""
	if a.Code != 0 {
		code = strings.TrimSpace(strconv.Itoa(a.Code) + " " + a.Enhanced)
	}
	if state == letterQueued { // tried again: the ledger of the last try is enough
		wait := tryAgain[min(int(o.tries), len(tryAgain))-1]
		return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, deferLetter, o.id, us(tx.Now().Add(wait)), code, answer)
			return err
		})
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endLetter, o.id, state, us(tx.Now()), code, body, answer)
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "settled", errors.New("another node was first"))
		}
		return LetterFollowed{Incident: o.caseID, Letter: o.id, Version: o.version, State: state, Code: code, Tries: o.tries, Body: body}, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// Pace pauses the letters of a breach, lets them go on, or stops them for good.
func (s *Service) Pace(ctx context.Context, who actor.Actor, ref, pace, reason string) (Case, error) { // clause: inc.breach-notify
	if !slices.Contains([]string{"going", "paused", "stopped"}, pace) {
		return Case{}, badPaper("pace", "pace", "One of: going, paused, stopped.")
	}
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	return s.actBreach(ctx, who, ref, "pace", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !s.mayTake(ctx, tx, who, *c, engine.Step{Role: engine.Privacy}) {
			return nil, roleLacks(*c, engine.B, engine.Step{Event: "pace", Role: engine.Privacy})
		}
		n, err := tx.Exec(ctx, setPace, c.ID, pace)
		if err == nil && n != 1 {
			err = kept(*c, engine.B, "pace", []engine.Lack{{Guard: "pace", Words: "They are so already, or were stopped.", Who: "nobody"}})
		}
		if err != nil {
			return nil, err
		}
		ev := PaceSet{Incident: c.ID, Pace: pace, reason: reason}
		if pace == "stopped" {
			ev.Stopped, err = tx.Exec(ctx, stopLetters, c.ID, us(tx.Now()))
		}
		return ev, err
	})
}

// DecideLetter is a person's decision about a letter of which nobody knows whether it arrived:
// it is sent again, or it did arrive.
func (s *Service) DecideLetter(ctx context.Context, who actor.Actor, ref, id string, again bool, reason string) (Case, error) { // clause: inc.breach-notify
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	to := letterTold
	if again {
		to = letterQueued
	}
	return s.moveLetter(ctx, who, ref, id, to, reason, letterUnknown)
}

// LetterTold says how somebody was told whom letters do not reach.
func (s *Service) LetterTold(ctx context.Context, who actor.Actor, ref, id, how string) (Case, error) { // clause: inc.breach-notify
	how, err := needReason(how)
	if err != nil {
		return Case{}, err
	}
	return s.moveLetter(ctx, who, ref, id, letterTold, how, letterRefused, letterFailed, letterStopped, letterNoWay)
}

func (s *Service) moveLetter(ctx context.Context, who actor.Actor, ref, id, to, reason string, from ...string) (Case, error) {
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	answer, err := s.seal(ctx, c.ID, "incident_letter.answer", id, reason)
	if err != nil {
		return Case{}, err
	}
	return s.actBreach(ctx, who, c.ID, "letter", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		var state string
		var version, tries int64
		if err := ledger.One(ctx, tx, letterState, []any{&state, &version, &tries}, id, c.ID); err != nil {
			return nil, fault.Newf(fault.NotFound, "letter_unknown", "There is no such letter.")
		}
		if !slices.Contains(from, state) {
			return nil, kept(*c, engine.B, "letter", []engine.Lack{{Guard: "letter-state", Words: "This letter is " + state + ".", Who: "nobody"}})
		}
		_, err := tx.Exec(ctx, moveLetter, id, to, us(tx.Now()), answer)
		return LetterFollowed{Incident: c.ID, Letter: id, Version: version, State: to, Tries: tries, reason: reason}, err
	})
}

// LetterRow is a letter as it is shown.
type LetterRow struct {
	ID, Person, Name, Email, State, Code, Answer string
	Version, Tries                               int64
	Class                                        breach.Class
	Teams                                        []string
	At                                           time.Time
}

// LetterRows are letters of some states, the oldest first, at most a thousand, after an id.
func (s *Service) LetterRows(ctx context.Context, who actor.Actor, ref, after string, states ...string) ([]LetterRow, error) {
	c, err := s.known(ctx, who, ref, "letters")
	if err != nil {
		return nil, err
	}
	var out []LetterRow
	var boxes, answers [][]byte
	if err := s.DB.Each(ctx, lettersOf, func(scan ledger.Scan) error {
		var x LetterRow
		var class, t int64
		var box, answer []byte
		err := scan(&x.ID, &x.Person, &x.Version, &class, &x.State, &x.Tries, &x.Code, &t, &box, &answer)
		if len(states) > 0 && !slices.Contains(states, x.State) {
			return err
		}
		x.Class, x.At = breach.Class(class), at(t)
		out, boxes, answers = append(out, x), append(boxes, box), append(answers, answer)
		return err
	}, c.ID, after); err != nil {
		return nil, fmt.Errorf("read letters: %w", err)
	}
	for i := range out {
		r, err := s.rowOf(ctx, out[i].ID, boxes[i])
		if err != nil && !errors.Is(err, fault.Gone) {
			return nil, err
		}
		out[i].Name, out[i].Email, out[i].Teams = r.Name, r.Email, r.Teams
		if out[i].Answer, err = s.open(ctx, "incident_letter.answer", out[i].ID, answers[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Unreached are the states of those who need a second channel.
func Unreached() []string { return []string{letterRefused, letterFailed, letterStopped, letterNoWay} }

// Owed reports whether somebody is owed word of a breach that no letter brought them: they are
// told when they sign in next.
func (s *Service) Owed(ctx context.Context, person string) (bool, error) { // clause: inc.breach-notify
	var n int64
	err := ledger.One(ctx, s.DB, owedLetters, []any{&n}, person)
	return n > 0, err
}

// counts of letters by their state.
func (s *Service) letterCounts(ctx context.Context, id string) (map[string]int64, error) {
	out := map[string]int64{}
	err := s.DB.Each(ctx, countLetters, func(scan ledger.Scan) error {
		var state string
		var n int64
		err := scan(&state, &n)
		out[state] = n
		return err
	}, id)
	return out, err
}

// mayAct asks for the right to act, and for a role in the incident, before anything is looked at.
func (s *Service) mayAct(ctx context.Context, who actor.Actor, ref string) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return err
	}
	return s.insider(ctx, s.DB, who, c)
}

const (
	outColumns   = `SELECT l.id, l.case_id, l.version, l.class, l.text, l.tries, l.at, l.box FROM incident_letter l`
	lostLetters  = outColumns + ` WHERE l.state = 'sending' AND l.next <= $1 ORDER BY l.id LIMIT 200`
	dueLetters   = outColumns + ` JOIN incident_breach b ON b.case_id = l.case_id WHERE l.state = 'queued' AND l.next <= $1 AND b.pace = 'going' ORDER BY l.next, l.id LIMIT 25`
	takeLetter   = `UPDATE incident_letter SET state = 'sending', tries = tries + 1, next = $2 WHERE id = $1 AND state = 'queued'`
	deferLetter  = `UPDATE incident_letter SET state = 'queued', next = $2, code = $3, answer = $4 WHERE id = $1 AND state = 'sending'`
	endLetter    = `UPDATE incident_letter SET state = $2, next = $3, at = $3, code = $4, body = $5, answer = $6 WHERE id = $1 AND state = 'sending'`
	moveLetter   = `UPDATE incident_letter SET state = $2, next = $3, at = $3, answer = $4 WHERE id = $1`
	letterState  = `SELECT state, version, tries FROM incident_letter WHERE id = $1 AND case_id = $2`
	setPace      = `UPDATE incident_breach SET pace = $2 WHERE case_id = $1 AND pace <> $2 AND pace <> 'stopped'`
	stopLetters  = `UPDATE incident_letter SET state = 'stopped', at = $2 WHERE case_id = $1 AND state = 'queued'`
	lettersOf    = `SELECT id, person, version, class, state, tries, code, at, box, answer FROM incident_letter WHERE case_id = $1 AND id > $2 ORDER BY id LIMIT 1000`
	owedLetters  = `SELECT COUNT(*) FROM incident_letter WHERE person = $1 AND state IN ('refused', 'failed', 'stopped', 'unreachable')`
	countLetters = `SELECT state, COUNT(*) FROM incident_letter WHERE case_id = $1 GROUP BY state`
	laterScopes  = caseColumns + ` WHERE b IN ('B5', 'B6', 'B7') AND EXISTS (SELECT 1 FROM incident_scope x WHERE x.case_id = incident_case.id AND NOT x.filled AND x.version > 1
		AND x.version = (SELECT MAX(version) FROM incident_scope y WHERE y.case_id = x.case_id)) ORDER BY id LIMIT 20`
)
