package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/mail"
)

const (
	aboutTest   = "channel/"
	testEvery   = 6 * 24 * time.Hour // a test a week, with a day to spare
	keepText    = 30 * 24 * time.Hour
	keepRecords = 5 * 365 * 24 * time.Hour
	forgetMost  = 500 // rows a round
)

// Test queues a test message on a channel; to is an address, for mail.
func (s *Service) Test(ctx context.Context, who actor.Actor, name, to string) (delivery string, err error) {
	return s.test(ctx, who, name, to, s.Now())
}

// test does so where the last test was before a time; fault.Conflict where it was not.
func (s *Service) test(ctx context.Context, who actor.Actor, name, to string, before time.Time) (delivery string, err error) { // clause: mon.notify
	if _, err := s.channel(ctx, name); err != nil {
		return "", noChannel()
	}
	if name == Mail && to == "" {
		return "", fault.Newf(fault.Invalid, "message_invalid", "A test by mail needs somebody who reads it.")
	}
	ps, err := s.Prepare(ctx, Message{Key: "test/" + s.DB.ID(), Channel: name, To: to, Subject: "Test of the channel " + name, Severity: Notice, About: aboutTest + name,
		Text: "This shows that alarms arrive here. Nothing is wrong, and there is nothing to do."})
	if err != nil {
		return "", err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if name == Mail { // there is no row of it before its first test
			if _, err := tx.Exec(ctx, mailChannel, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		n, err := tx.Exec(ctx, `UPDATE notify_channel SET tested = $2 WHERE name = $1 AND tested <= $3`, name, us(tx.Now()), us(before))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.Newf(fault.Conflict, "channel_tested", "The channel %s was tested just now.", name)
		}
		return ChannelTested{Channel: name, Delivery: ps[0].id}, s.Queue(ctx, tx, ps...)
	})
	return ps[0].id, err //nolint:wrapcheck // the ledger says what failed
}

// tend tests every channel once a week, and forgets what was said after a month. It looks
// often, so that a new channel is proven soon.
func (s *Service) tend(ctx context.Context) error {
	if s.Tester != nil {
		if err := s.testAll(ctx); err != nil {
			return err
		}
	}
	now := s.Now()
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		for _, q := range []string{forgetAnswers, forgetAddresses, forgetMessages} {
			if _, err := tx.Exec(ctx, q, now.Add(-keepText).UnixMicro(), forgetMost); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, forgetDead, now.Add(-keepDead).UnixMicro(), forgetMost); err != nil {
			return err
		}
		for _, q := range []string{forgetAttempts, forgetDeliveries} {
			if _, err := tx.Exec(ctx, q, now.Add(-keepRecords).UnixMicro(), forgetMost); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) testAll(ctx context.Context) error {
	cs, err := s.Channels(ctx)
	if err != nil {
		return err
	}
	for _, c := range cs {
		if s.Now().Sub(c.Tested) < testEvery {
			continue
		}
		to := ""
		if c.Kind == Mail {
			if to, err = s.Tester(ctx); err != nil || to == "" {
				return err
			}
		}
		if _, err := s.test(ctx, actor.System("notify"), c.Name, to, s.Now().Add(-testEvery)); err != nil && !errors.Is(err, fault.Conflict) {
			return fmt.Errorf("test the channel %s: %w", c.Name, err)
		}
	}
	return nil
}

// file lays a message into the folder, whole or not at all.
func (s *Service) file(t *try) outcome {
	b, err := json.MarshalIndent(struct {
		At    time.Time  `json:"at"`
		Title string     `json:"subject"`
		Text  string     `json:"text"`
		Level string     `json:"severity"`
		About string     `json:"about,omitempty"`
		Link  *mail.Link `json:"link,omitempty"`
	}{s.Now(), t.Subject, t.Text, t.Severity, t.About, t.Link}, "", "  ")
	if err == nil {
		err = os.MkdirAll(s.Folder, 0o700)
	}
	tmp, name := filepath.Join(s.Folder, "."+t.id), filepath.Join(s.Folder, t.id+".json")
	if err == nil {
		err = os.WriteFile(tmp, append(b, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		return outcome{state: Deferred, code: "folder", text: err.Error()}
	}
	return outcome{state: Accepted, code: "written"}
}

const (
	mailChannel = `INSERT INTO notify_channel (id, name, kind, box, made, made_by, tested, accepted) VALUES ('mail', 'mail', 'mail', '', $1, 'writ/notify', 0, 0) ON CONFLICT (id) DO NOTHING`

	forgetAnswers   = `UPDATE notify_attempt SET box = '' WHERE delivery IN (SELECT id FROM notify_delivery WHERE ended > 0 AND ended < $1 AND box <> '' ORDER BY ended LIMIT $2)`
	forgetAddresses = `UPDATE notify_delivery SET box = '' WHERE id IN (SELECT id FROM notify_delivery WHERE ended > 0 AND ended < $1 AND box <> '' ORDER BY ended LIMIT $2)`
	forgetMessages  = `DELETE FROM notify_message WHERE id IN (SELECT id FROM notify_message WHERE made < $1 ORDER BY made LIMIT $2)`

	forgetAttempts   = `DELETE FROM notify_attempt WHERE delivery IN (SELECT id FROM notify_delivery WHERE ended > 0 AND ended < $1 ORDER BY ended LIMIT $2)`
	forgetDeliveries = `DELETE FROM notify_delivery WHERE id IN (SELECT id FROM notify_delivery WHERE ended > 0 AND ended < $1 ORDER BY ended LIMIT $2)`
)
