package rota

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/notify"
)

// Ask is a turn that somebody should take over, and perhaps another in return.
type Ask struct {
	Rota                string
	By                  string // handle, address or id
	From, Until         string // 2026-11-30 09:00 in the rota's zone, or a time of RFC 3339; From "" = now
	BackFrom, BackUntil string
}

const (
	mostOverrides = 200
	farthest      = 180 * 24 * time.Hour
	atOnCall      = "/-/console/watch/oncall"
)

// Override asks for it. Whoever asks and is one of the two agrees by that; it stands when the
// other has agreed as well, or both have.
func (s *Service) Override(ctx context.Context, who actor.Actor, a Ask) (Override, error) { // clause: mon.notify
	if err := s.Access.Allow(ctx, who, access.WatchAct, object(a.Rota)); err != nil {
		return Override{}, err //nolint:wrapcheck // a fault for the reader
	}
	p, err := s.plan(ctx, s.DB)
	if err != nil {
		return Override{}, err
	}
	all, err := s.People(ctx)
	if err != nil {
		return Override{}, fmt.Errorf("who can be told: %w", err)
	}
	o, err := p.read(&a, all, s.Now())
	if err != nil {
		return Override{}, err
	}
	o.ID, o.MadeBy = s.DB.ID(), who.String()
	switch person(who) {
	case o.Of:
		o.OfAgreed = s.Now()
	case o.By:
		o.ByAgreed = s.Now()
	}
	ps, err := s.letters(ctx, all, &o, "asked", "Somebody should take over a turn of being on call", "It stands when both of you have agreed.")
	if err != nil {
		return Override{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM watch_override WHERE ended = 0 AND (ends > $1 OR back_ends > $1)`, []any{&n}, us(tx.Now())); err != nil {
			return nil, err
		}
		if n >= mostOverrides {
			return nil, fault.Newf(fault.Limited, "overrides_full", "There are %d overrides already.", n)
		}
		o.Made = tx.Now()
		if _, err := tx.Exec(ctx, insertOverride, o.ID, o.Rota, us(o.From), us(o.Until), us(o.BackFrom), us(o.BackUntil), o.Of, o.By, us(o.Made), o.MadeBy, us(o.OfAgreed), us(o.ByAgreed)); err != nil {
			return nil, err
		}
		return OverrideAsked{Override: o.ID, Rota: o.Rota, Of: o.Of, Taker: o.By, From: o.From, Until: o.Until, Swap: !o.BackFrom.IsZero()}, s.Notify.Queue(ctx, tx, ps...) //nolint:wrapcheck // says which act
	})
	return o, err //nolint:wrapcheck // the ledger says what failed
}

// person is whose word it is; "" where it is nobody's in particular.
func person(who actor.Actor) string {
	if who.Kind != actor.Person {
		return ""
	}
	return who.ID
}

// read finds whose turn it is, and that it is one person's.
func (p *plan) read(a *Ask, all []Person, now time.Time) (Override, error) {
	r := p.first
	if a.Rota == Second {
		r = p.second
	}
	if r == nil || a.Rota != r.Name {
		return Override{}, unknownRota()
	}
	by, err := find(all, a.By, "by")
	if err != nil {
		return Override{}, err
	}
	o := Override{Rota: a.Rota, By: by.ID, From: now}
	if a.From != "" {
		if o.From, err = r.read(a.From, "from"); err != nil {
			return o, err
		}
	}
	if o.Until, err = r.read(a.Until, "until"); err != nil {
		return o, err
	}
	if o.Of, err = p.span(a.Rota, "from", o.From, o.Until, now); err != nil {
		return o, err
	}
	if o.Of == o.By {
		return o, bad("by", "It is their own turn already.", "Somebody else.")
	}
	if a.BackFrom == "" && a.BackUntil == "" {
		return o, nil
	}
	if o.BackFrom, err = r.read(a.BackFrom, "back_from"); err != nil {
		return o, err
	}
	if o.BackUntil, err = r.read(a.BackUntil, "back_until"); err != nil {
		return o, err
	}
	back, err := p.span(a.Rota, "back_from", o.BackFrom, o.BackUntil, now)
	if err == nil && back != o.By {
		err = bad("back_from", "The turn in return is not theirs.", "A span of a turn of whoever takes over.")
	}
	return o, err
}

// span is whose turn the whole of it is.
func (p *plan) span(rota, field string, from, until, now time.Time) (string, error) {
	switch {
	case !until.After(from) || !until.After(now):
		return "", bad(field, "The span is over, or ends before it begins.", "A beginning, and an end after it and ahead.")
	case until.After(now.Add(farthest)):
		return "", bad(field, "The span is too far ahead.", "Within 180 days.")
	}
	of := p.sole(rota, from, until)
	if of == "" {
		return "", bad(field, "The span holds the turns of several people.", "A span of one turn: ask for each by itself.")
	}
	return of, nil
}

// read is a time as people write it.
func (r *Rota) read(text, field string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, text, r.place); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, bad(field, "A time is not understood.", "Such as 2026-11-30 09:00, by the clock in "+r.Zone+".")
}

// Agree is the consent of one of the two.
func (s *Service) Agree(ctx context.Context, who actor.Actor, id string) (Override, error) { // clause: mon.notify
	o, all, err := s.word(ctx, who, id, func(o *Override) bool { return person(who) == o.Of || person(who) == o.By })
	if err != nil {
		return o, err
	}
	o.agree(person(who), s.Now())
	var ps []notify.Prepared
	if o.Stands() {
		if ps, err = s.letters(ctx, all, &o, "stands", "A turn of being on call has changed hands", "Both of you have agreed."); err != nil {
			return o, err
		}
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := s.plan(ctx, tx)
		if err != nil {
			return nil, err
		}
		if p.first == nil || p.sole(o.Rota, o.From, o.Until) != o.Of || !o.BackFrom.IsZero() && p.sole(o.Rota, o.BackFrom, o.BackUntil) != o.By {
			return nil, fault.New(fault.Conflict, "override_moved", fault.Public{Problem: "It is not that person's turn any more.", Next: "Decline it, and ask again: writ watch oncall show"})
		}
		n, err := tx.Exec(ctx, agreeOverride, id, person(who), us(tx.Now()))
		if err == nil && n == 0 {
			err = settled()
		}
		if err != nil {
			return nil, err
		}
		return OverrideAgreed{Override: id, Stands: o.Stands()}, s.Notify.Queue(ctx, tx, ps...) //nolint:wrapcheck // says which act
	})
	return o, err //nolint:wrapcheck // the ledger says what failed
}

func (o *Override) agree(who string, now time.Time) {
	if who == o.Of && o.OfAgreed.IsZero() {
		o.OfAgreed = now
	}
	if who == o.By && o.ByAgreed.IsZero() {
		o.ByAgreed = now
	}
}

// Decline ends one that does not stand yet: by one of the two, or whoever asked.
func (s *Service) Decline(ctx context.Context, who actor.Actor, id string) error {
	if _, _, err := s.word(ctx, who, id, func(o *Override) bool {
		return person(who) == o.Of || person(who) == o.By || who.String() == o.MadeBy
	}); err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_override SET ended = $2 WHERE id = $1 AND ended = 0 AND (of_agreed = 0 OR taker_agreed = 0)`, id, us(tx.Now()))
		if err == nil && n == 0 {
			err = settled()
		}
		return OverrideDeclined{Override: id}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// word reads one about which somebody says something, and whether it is theirs to say.
func (s *Service) word(ctx context.Context, who actor.Actor, id string, may func(*Override) bool) (o Override, all []Person, err error) {
	if err := s.Access.Allow(ctx, who, access.WatchAct, override(id)); err != nil {
		return o, nil, err //nolint:wrapcheck // a fault for the reader
	}
	os, err := s.overrides(ctx, s.DB)
	if err != nil {
		return o, nil, err
	}
	for i := range os {
		if os[i].ID == id {
			o = os[i]
		}
	}
	switch {
	case o.ID == "":
		return o, nil, fault.New(fault.NotFound, "override_unknown", fault.Public{Problem: "There is no such override, or it is over.", Next: "Look at: writ watch oncall show"})
	case !may(&o):
		return o, nil, s.DB.Refuse(ctx, who, OverrideRefused{Override: id, Code: "override_theirs"}, //nolint:wrapcheck // a fault for the reader
			fault.New(fault.Denied, "override_theirs", fault.Public{Problem: "This is for the two people concerned to say.", Next: "Ask them: each agrees for themselves."}))
	case o.Stands():
		return o, nil, settled()
	}
	all, err = s.People(ctx)
	return o, all, err
}

func settled() error {
	return fault.New(fault.Conflict, "override_settled", fault.Public{Problem: "It is settled already.", Next: "Look at: writ watch oncall show"})
}

// letters tell the two of a turn, each where they can be told.
func (s *Service) letters(ctx context.Context, all []Person, o *Override, key, subject, says string) ([]notify.Prepared, error) {
	name := func(id string) string { return called(all, id) }
	text := fmt.Sprintf("%s would be on call (%s) from %s to %s; %s takes it.", name(o.Of), o.Rota, utc(o.From), utc(o.Until), name(o.By))
	if !o.BackFrom.IsZero() {
		text += fmt.Sprintf(" In return %s takes the turn of %s from %s to %s.", name(o.Of), name(o.By), utc(o.BackFrom), utc(o.BackUntil))
	}
	return s.mail(ctx, all, []string{o.Of, o.By}, key+"/"+o.ID, override(o.ID), subject, text+"\n\n"+says)
}

// mail prepares a letter to each of some people who can be told.
func (s *Service) mail(ctx context.Context, all []Person, to []string, key, about, subject, text string) ([]notify.Prepared, error) {
	var ms []notify.Message
	for _, id := range to {
		if x, err := find(all, id, "by"); err == nil {
			ms = append(ms, notify.Message{Key: "oncall/" + key, Channel: notify.Mail, To: x.Email, Subject: subject, Text: text, Severity: notify.Notice, About: about, Link: &mail.Link{Text: "See who is on call", URL: s.Origin + atOnCall}})
		}
	}
	ps, err := s.Notify.Prepare(ctx, ms...)
	if err != nil {
		return nil, fmt.Errorf("prepare letters about a turn: %w", err)
	}
	return ps, nil
}

// called is how a person is named in a letter.
func called(all []Person, id string) string {
	if x, err := find(all, id, "by"); err == nil {
		return x.Email
	}
	return "somebody who has left"
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// overrides reads those whose time is not over and that nobody declined.
func (s *Service) overrides(ctx context.Context, r ledger.Reader) (out []Override, err error) {
	err = r.Each(ctx, readOverrides, func(scan ledger.Scan) error {
		var o Override
		var from, until, backFrom, backUntil, made, of, by int64
		if err := scan(&o.ID, &o.Rota, &from, &until, &backFrom, &backUntil, &o.Of, &o.By, &made, &o.MadeBy, &of, &by); err != nil {
			return err
		}
		o.From, o.Until, o.BackFrom, o.BackUntil, o.Made, o.OfAgreed, o.ByAgreed = at(from), at(until), at(backFrom), at(backUntil), at(made), at(of), at(by)
		out = append(out, o)
		return nil
	}, us(s.Now()))
	return out, err //nolint:wrapcheck // the ledger says what failed
}

const (
	insertOverride = `INSERT INTO watch_override (id, rota, starts, ends, back_starts, back_ends, of_person, taker, made, made_by, of_agreed, taker_agreed, ended) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)`
	readOverrides  = `SELECT id, rota, starts, ends, back_starts, back_ends, of_person, taker, made, made_by, of_agreed, taker_agreed FROM watch_override WHERE ended = 0 AND (ends > $1 OR back_ends > $1) ORDER BY starts, id`
	agreeOverride  = `UPDATE watch_override SET of_agreed = CASE WHEN of_person = $2 AND of_agreed = 0 THEN $3 ELSE of_agreed END, taker_agreed = CASE WHEN taker = $2 AND taker_agreed = 0 THEN $3 ELSE taker_agreed END
		WHERE id = $1 AND ended = 0 AND (of_person = $2 AND of_agreed = 0 OR taker = $2 AND taker_agreed = 0)`
)
