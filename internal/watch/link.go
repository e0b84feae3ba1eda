package watch

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

const (
	atLink    = "/-/watch/acknowledge/"
	atAlarm   = "/-/console/watch/"
	linkLives = 7 * 24 * time.Hour
)

// Everybody is the level of an audience at which all are told who ever are.
const Everybody = 99

// link lets one person acknowledge from a letter, once. To look at it does nothing:
// scanners of mail do.
type link struct {
	token  secret.Text
	person string
	alarms string
}

func hashOf(t secret.Text) string { h := t.Sum(); return hex.EncodeToString(h[:]) }

// planted is the link of a control.
func planted(alarm string) link {
	return link{token: secret.RandomText(24), person: trialWho, alarms: alarm}
}

func (l *link) keep(ctx context.Context, tx *ledger.Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO watch_link (hash, alarms, person, made, used) VALUES ($1, $2, $3, $4, 0)`, hashOf(l.token), l.alarms, l.person, us(tx.Now()))
	return err //nolint:wrapcheck // the ledger says what failed
}

// Linked is what a link of a letter is about; it changes nothing.
func (s *Service) Linked(ctx context.Context, token secret.Text) ([]Alarm, error) {
	return s.linked(ctx, s.DB, token)
}

func (s *Service) linked(ctx context.Context, r ledger.Reader, token secret.Text) ([]Alarm, error) {
	l, err := s.link(ctx, r, token)
	if err != nil {
		return nil, err
	}
	var out []Alarm
	for id := range strings.FieldsSeq(l.alarms) {
		a, err := s.one(ctx, r, id)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// AcknowledgeByLink does so for the person to whom the letter went.
func (s *Service) AcknowledgeByLink(ctx context.Context, stranger actor.Actor, token secret.Text) error { // clause: mon.notify
	l, err := s.link(ctx, s.DB, token)
	if err != nil {
		return s.DB.Refuse(ctx, stranger, LinkRefused{Cause: "over"}, err) //nolint:wrapcheck // a fault for the reader
	}
	people, err := s.ever(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(people, func(p Person) bool { return p.ID == l.person }) { // has left since
		return s.DB.Refuse(ctx, stranger, LinkRefused{Cause: "left"}, deadLink()) //nolint:wrapcheck // a fault for the reader
	}
	who := actor.Actor{Kind: actor.Person, ID: l.person, Via: "https"}
	return s.acknowledge(ctx, who, strings.Fields(l.alarms), "by the link of a letter", func(tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE watch_link SET used = $2 WHERE hash = $1 AND used = 0`, hashOf(token), us(tx.Now()))
		if err == nil && n == 0 {
			err = deadLink()
		}
		return err
	})
}

func (s *Service) link(ctx context.Context, r ledger.Reader, token secret.Text) (link, error) {
	l := link{token: token}
	var used int64
	err := ledger.One(ctx, r, `SELECT alarms, person, used FROM watch_link WHERE hash = $1 AND made > $2`, []any{&l.alarms, &l.person, &used}, hashOf(token), s.Now().Add(-linkLives).UnixMicro())
	if errors.Is(err, fault.NotFound) || err == nil && used > 0 {
		return l, deadLink()
	}
	return l, err //nolint:wrapcheck // the ledger says what failed
}

func deadLink() error {
	return fault.New(fault.Gone, "link_dead", fault.Public{Problem: "This link does not work any more.", Expected: "A link works once, for a week.", Next: "Sign in and look at the alarms."})
}
