package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Mute is a time of the week in which tickets are not told: nights, weekends. Pages always are,
// and so is what watches trust, or watch itself.
type Mute struct {
	Name       string
	Days       []time.Weekday // on which it begins
	From, To   int            // minutes of the day; To at or before From: on the next one
	Zone       string
	Made       time.Time
	MadeBy     string // kind/id
	place      *time.Location
	dayIsKnown [7]bool
}

const (
	mostMutes = 20
	leastOpen = 20 * time.Hour // of each week in which tickets are told
)

var goodMute = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Clock is its hours, such as 20:00 to 07:00.
func (m *Mute) Clock() string { return minuteText(m.From) + " to " + minuteText(m.To) }

func minuteText(n int) string { return fmt.Sprintf("%02d:%02d", n/60, n%60) }

// DayNames are its days as they are written.
func (m *Mute) DayNames() (out []string) {
	for _, d := range m.Days {
		out = append(out, strings.ToLower(d.String()[:3]))
	}
	return out
}

// until is when it ends, where it goes on at a time.
func (m *Mute) until(t time.Time) (time.Time, bool) {
	l := t.In(m.place)
	for back := range 2 {
		day := time.Date(l.Year(), l.Month(), l.Day()-back, 0, 0, 0, 0, m.place)
		if !m.dayIsKnown[day.Weekday()] {
			continue
		}
		from := time.Date(day.Year(), day.Month(), day.Day(), 0, m.From, 0, 0, m.place)
		next := 0
		if m.To <= m.From {
			next = 1
		}
		to := time.Date(day.Year(), day.Month(), day.Day()+next, 0, m.To, 0, 0, m.place)
		if !t.Before(from) && t.Before(to) {
			return to, true
		}
	}
	return time.Time{}, false
}

// MuteWish is a mute as people write it.
type MuteWish struct {
	Name     string
	Days     []string // mon, tuesday; empty = every day
	From, To string   // 20:00, 07:00
	Zone     string   // "" = UTC
	Reason   string
}

// ReadMute reads one.
func ReadMute(w MuteWish) (m Mute, err error) {
	m = Mute{Name: w.Name, Zone: w.Zone}
	if !goodMute.MatchString(w.Name) {
		return m, bad("name", "The name is not good.", "Small letters, digits and hyphens, at most 40.")
	}
	if m.Zone == "" {
		m.Zone = "UTC"
	}
	if m.place, err = time.LoadLocation(m.Zone); err != nil || m.Zone == "Local" || len(m.Zone) > 64 {
		return m, bad("zone", "The time zone is not known here.", "A name such as Europe/Berlin, or UTC.")
	}
	if len(w.Days) == 0 {
		w.Days = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	}
	for _, text := range w.Days {
		text = strings.ToLower(strings.TrimSpace(text))
		found := false
		for d := time.Sunday; d <= time.Saturday; d++ {
			if name := strings.ToLower(d.String()); text == name || text == name[:3] {
				if found = true; !m.dayIsKnown[d] {
					m.Days, m.dayIsKnown[d] = append(m.Days, d), true
				}
			}
		}
		if !found {
			return m, bad("days", "A day is not understood.", "Days of the week, such as mon or saturday.")
		}
	}
	for _, x := range []struct {
		field, text string
		to          *int
	}{{"from", w.From, &m.From}, {"to", w.To, &m.To}} {
		t, err := time.Parse("15:04", x.text)
		if err != nil {
			return m, bad(x.field, "The hour is not good.", "An hour and minutes, such as 20:00.")
		}
		*x.to = t.Hour()*60 + t.Minute()
	}
	return m, nil
}

// SetMute makes one, or changes it.
func (s *Service) SetMute(ctx context.Context, who actor.Actor, w MuteWish) (Mute, error) { // clause: mon.notify
	if err := s.Access.Allow(ctx, who, access.WatchManage, "watch/mutes"); err != nil {
		return Mute{}, err //nolint:wrapcheck // a fault for the reader
	}
	m, err := ReadMute(w)
	if err == nil && (len(strings.TrimSpace(w.Reason)) < leastReason || len(w.Reason) > mostNote) {
		err = bad("reason", "A time without tickets has a reason.", "10 to 500 bytes: why nobody need hear then.")
	}
	if err != nil {
		return m, err
	}
	days, err := json.Marshal(m.Days)
	if err != nil {
		return m, fmt.Errorf("encode days: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		m.Made, m.MadeBy = tx.Now(), who.String()
		all, err := s.readMutes(ctx, tx)
		if err != nil {
			return nil, err
		}
		all = append(slices.DeleteFunc(all, func(x Mute) bool { return x.Name == m.Name }), m)
		if len(all) > mostMutes {
			return nil, fault.Newf(fault.Limited, "mutes_full", "There are %d such times already.", mostMutes)
		}
		if open := openHours(all, tx.Now()); open < leastOpen {
			return nil, bad("wide", fmt.Sprintf("Tickets would be told in %.0f hours of the week.", open.Hours()), "At least 20 hours in which they are.")
		}
		_, err = tx.Exec(ctx, setMute, m.Name, string(days), int64(m.From), int64(m.To), m.Zone, us(m.Made), m.MadeBy)
		return MuteSet{Mute: m.Name, Days: m.DayNames(), From: minuteText(m.From), To: minuteText(m.To), Zone: m.Zone, reason: w.Reason}, err
	})
	return m, err //nolint:wrapcheck // the ledger says what failed
}

// openHours is how much of the coming week is muted by none of them, to a quarter of an hour.
func openHours(all []Mute, from time.Time) (open time.Duration) {
	const step = 15 * time.Minute
	for t := from; t.Before(from.Add(7 * 24 * time.Hour)); t = t.Add(step) {
		if !slices.ContainsFunc(all, func(m Mute) bool { _, ok := m.until(t); return ok }) {
			open += step
		}
	}
	return open
}

// RemoveMute ends one; tickets that waited for its end are told now.
func (s *Service) RemoveMute(ctx context.Context, who actor.Actor, name string) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, "watch/mutes"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `DELETE FROM watch_mute WHERE name = $1`, name)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "mute_unknown", fault.Public{Problem: "There is no such time.", Next: "Look at: writ watch mute list"})
		}
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE watch_alarm SET due = $1 WHERE state = 'firing' AND severity = 'ticket' AND level = 0 AND told < fired AND due > $1`, us(tx.Now()))
		return MuteRemoved{Mute: name}, err
	})
	if err == nil {
		s.nudge()
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

// Mutes lists them by name.
func (s *Service) Mutes(ctx context.Context, who actor.Actor) ([]Mute, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/mutes"); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	return s.mutes(ctx)
}

func (s *Service) mutes(ctx context.Context) ([]Mute, error) { return s.readMutes(ctx, s.DB) }

func (s *Service) readMutes(ctx context.Context, r ledger.Reader) (out []Mute, err error) {
	err = r.Each(ctx, `SELECT name, days, begins, ends, zone, made, made_by FROM watch_mute ORDER BY name`, func(scan ledger.Scan) error {
		var m Mute
		var days string
		var from, to, made int64
		if err := scan(&m.Name, &days, &from, &to, &m.Zone, &made, &m.MadeBy); err != nil {
			return err
		}
		m.From, m.To, m.Made = int(from), int(to), at(made)
		if err := json.Unmarshal([]byte(days), &m.Days); err != nil {
			return errors.New("read a mute: its days are something else")
		}
		for _, d := range m.Days {
			if d < 0 || d > 6 {
				return errors.New("read a mute: its days are something else")
			}
			m.dayIsKnown[d] = true
		}
		if m.place, err = time.LoadLocation(m.Zone); err != nil {
			return fmt.Errorf("zone of a mute: %w", err)
		}
		out = append(out, m)
		return nil
	})
	return out, err //nolint:wrapcheck // the ledger says what failed
}

const setMute = `INSERT INTO watch_mute (name, days, begins, ends, zone, made, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
	ON CONFLICT (name) DO UPDATE SET days = excluded.days, begins = excluded.begins, ends = excluded.ends, zone = excluded.zone, made = excluded.made, made_by = excluded.made_by`
