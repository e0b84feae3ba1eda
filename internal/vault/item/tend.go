package item

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// Run ends what is over and erases what was deleted, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	err := jobs.Tend(ctx, 20*time.Second, s.Log, "housekeeping of the company's vault", s.Tend)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, s.writeFolded(last, time.Time{}))
}

// Tend ends check-outs whose time is over, erases items 30 days after they were deleted and
// what an import left behind, unless a legal hold keeps it, and records items whose last owner has left. Two nodes may do it at once.
func (s *Service) Tend(ctx context.Context) error {
	return errors.Join(s.writeFolded(ctx, s.Now()), s.endOuts(ctx), s.eraseDeleted(ctx), s.noteLeft(ctx))
}

var housekeeper = actor.System("vault-item")

func (s *Service) endOuts(ctx context.Context) error {
	type out struct{ item, person string }
	var outs []out
	err := s.DB.Each(ctx, `SELECT item, person FROM vault_item_out WHERE until <= $1 ORDER BY until LIMIT 200`, func(scan ledger.Scan) error {
		var o out
		err := scan(&o.item, &o.person)
		outs = append(outs, o)
		return err
	}, us(s.Now()))
	if err != nil {
		return fmt.Errorf("read check-outs: %w", err)
	}
	for _, o := range outs {
		if err := s.backAgain(ctx, housekeeper, o.item, o.person, "over"); err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

func (s *Service) eraseDeleted(ctx context.Context) error {
	type gone struct{ id, team string }
	last, before, staged := "", us(s.Now().Add(-keptDeleted)), us(s.Now().Add(-stageTime))
	for {
		var some []gone
		err := s.DB.Each(ctx, `SELECT id, team FROM vault_item WHERE (`+over+`) AND id > $5 ORDER BY id LIMIT 200`, func(scan ledger.Scan) error {
			var g gone
			err := scan(&g.id, &g.team)
			some = append(some, g)
			return err
		}, before, stagedTeam, stagedEnd, staged, last)
		if err != nil {
			return fmt.Errorf("read deleted items: %w", err)
		}
		for _, g := range some {
			_, err := s.change(ctx, housekeeper, func(tx *ledger.Tx) (ledger.Event, error) {
				n, err := tx.Exec(ctx, `UPDATE vault_item SET deleted = deleted WHERE id = $5 AND (`+over+`)`, before, stagedTeam, stagedEnd, staged, g.id)
				if err == nil && n != 1 {
					err = unknown() // another node did it, or an owner took it back
				}
				if err == nil {
					err = s.stays(ctx, tx, g.team)
				}
				if err != nil {
					return nil, err
				}
				return ItemErased{Item: g.id}, erase(ctx, tx, g.id)
			})
			if err != nil && !errors.Is(err, fault.NotFound) && !vault.IsHeld(err) {
				return fmt.Errorf("erase an item: %w", err)
			}
			last = g.id
		}
		if len(some) < 200 {
			return nil
		}
	}
}

// erase removes an item with all that belongs to it, and who saw it.
func erase(ctx context.Context, tx *ledger.Tx, id string) error {
	if err := vault.UnseenUnder(ctx, tx, thing(id)); err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM vault_item_field WHERE item = $1`, `DELETE FROM vault_item_version WHERE item = $1`, `DELETE FROM vault_item_file WHERE item = $1`,
		`DELETE FROM vault_item_holder WHERE item = $1`, `DELETE FROM vault_item_out WHERE item = $1`, `DELETE FROM vault_item_link WHERE item = $1`, `DELETE FROM vault_item WHERE id = $1`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// noteLeft takes items out of the hands of people who left, where somebody else owns them, and
// records those that have no owner any more: the last one stays written there until another
// takes over, so that the finding names them.
func (s *Service) noteLeft(ctx context.Context) error {
	var teams []string
	err := s.DB.Each(ctx, teamsWithItems, func(scan ledger.Scan) error {
		var t string
		err := scan(&t)
		teams = append(teams, t)
		return err
	}, stagedTeam, stagedEnd)
	if err != nil {
		return fmt.Errorf("read teams: %w", err)
	}
	for _, team := range teams {
		roster, err := s.People.Roster(ctx, team)
		if err != nil {
			return err
		}
		rows, err := s.all(ctx, team)
		if err != nil {
			return err
		}
		left, err := s.gone(ctx, team, rows, roster)
		if err != nil {
			return err
		}
		for _, id := range left { // first, while their holdings are there to tell of
			if err := s.farewell(ctx, team, id, rows, roster); err != nil {
				return fmt.Errorf("tell who left: %w", err)
			}
		}
		for _, it := range rows {
			if err := s.leave(ctx, it, roster); err != nil {
				return err
			}
		}
	}
	return nil
}

// leave ends the holding of people of a roster no more. A holder whose going leaves an item
// ownerless is marked as left.
func (s *Service) leave(ctx context.Context, it row, roster []Member) error {
	ownerless := len(owners(it.Holders, roster)) == 0
	for _, h := range it.Holders {
		id, isPerson := strings.CutPrefix(h.Who, "person/")
		if !isPerson || slices.ContainsFunc(roster, func(m Member) bool { return m.ID == id }) {
			continue
		}
		stays := ownerless && h.Level == Owner
		if stays && h.By == leftMark {
			continue
		}
		_, err := s.change(ctx, housekeeper, func(tx *ledger.Tx) (ledger.Event, error) {
			q, args := dropHolderOnce, []any{it.ID, h.Who}
			var ev ledger.Event = ItemUnshared{Item: it.ID, From: h.Who}
			if stays {
				q, ev = markLeft, ItemLeft{Item: it.ID, Holder: id}
				args = append(args, leftMark)
			}
			n, err := tx.Exec(ctx, q, args...)
			if err == nil && n != 1 {
				err = unknown() // another node was first
			}
			return ev, err
		})
		if err != nil && !errors.Is(err, fault.NotFound) {
			return fmt.Errorf("note who left: %w", err)
		}
	}
	return nil
}

// leftMark stands in place of who shared an item, when its last owner has left.
const leftMark = "writ/left"

const (
	stagedEnd = "staged0" // the next text after all that begin with stagedTeam
	// over are items that were deleted 30 days ago, or that an import left behind.
	over           = `deleted <= $1 OR team >= $2 AND team < $3 AND made <= $4`
	teamsWithItems = `SELECT DISTINCT team FROM vault_item WHERE team < $1 OR team >= $2 ORDER BY team`
	dropHolderOnce = `DELETE FROM vault_item_holder WHERE item = $1 AND who = $2`
	markLeft       = `UPDATE vault_item_holder SET by_ = $3 WHERE item = $1 AND who = $2 AND by_ <> $3`
)

// SeenName is what a seen thing (item/ID/FIELD) is called, and at which version the value that
// it has now first came.
func (s *Service) SeenName(ctx context.Context, seen string) (string, int64, error) {
	id, field, _ := strings.Cut(strings.TrimPrefix(seen, "item/"), "/")
	var team string
	if err := ledger.One(ctx, s.DB, `SELECT team FROM vault_item WHERE id = $1`, []any{&team}, id); err != nil {
		return "", 0, err
	}
	if strings.HasPrefix(team, stagedTeam) {
		return "", 0, unknown() // it does not count yet
	}
	it, err := load(ctx, s.DB, team, id)
	if err != nil {
		return "", 0, err
	}
	if err := s.readHead(ctx, &it); err != nil {
		return "", 0, err
	}
	if f, ok := it.Field(field); ok {
		var origin int64
		err := ledger.One(ctx, s.DB, `SELECT origin FROM vault_item_field WHERE item = $1 AND version = $2 AND field = $3`, []any{&origin}, id, it.Version, field)
		return it.Title + ": " + f.Label, origin, err
	}
	files, err := s.files(ctx, it)
	if err != nil {
		return "", 0, err
	}
	for _, f := range files {
		if f.ID == field {
			return it.Title + ": " + f.Name, 1, nil
		}
	}
	return "", 0, unknown()
}
