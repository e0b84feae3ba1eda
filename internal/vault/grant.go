package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The rights of a grant.
const (
	Reader = "reader" // names and values
	Writer = "writer" // names and new values; what is there already is not shown
)

// The life of a grant.
const (
	grantDefault = 30 * 24 * time.Hour
	grantMost    = 366 * 24 * time.Hour
	grantKept    = 400 * 24 * time.Hour // after its end
)

// Grant lets one person do under one path what their role does not let them.
type Grant struct {
	ID      string
	Who     string // kind/id
	Path    string
	Rights  string
	Granter string
	Granted time.Time
	Until   time.Time
	Ended   bool // before Until
}

// NewGrant is the wish for one.
type NewGrant struct {
	Who    string
	Path   string
	Rights string
	Reason string
	Life   time.Duration // 0 = 30 days
}

// grantsTo is what each right of a grant covers. None brings another with it.
var grantsTo = map[string][]access.Action{
	Reader: {access.VaultList, access.VaultRead},
	Writer: {access.VaultList, access.VaultWrite},
}

// GrantPath gives somebody rights under a path until an end. Nobody gives them to
// themselves, so that managing keys does not bring reading with it.
func (s *Service) GrantPath(ctx context.Context, who actor.Actor, in NewGrant) (Grant, error) {
	path, err := s.pathed(ctx, who, access.VaultKeys, in.Path)
	if err != nil {
		return Grant{}, err
	}
	if in.Life == 0 {
		in.Life = grantDefault
	}
	g := Grant{ID: s.DB.ID(), Who: in.Who, Path: path, Rights: in.Rights, Granter: who.String()}
	switch {
	case who.ByToken():
		err = fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A key cannot give rights.", Next: "Sign in, or use the server's own account."})
	case in.Who == g.Granter:
		err = s.DB.Refuse(ctx, who, ReadRefused{Name: path, Code: "own_grant"}, fault.New(fault.Denied, "own_grant", fault.Public{Problem: "Nobody gives rights to themselves.", Next: "Ask somebody else who manages keys."}))
	case grantsTo[in.Rights] == nil:
		err = fault.New(fault.Invalid, "rights_unknown", fault.Public{Problem: "There is no such right.", Expected: Reader + " or " + Writer + "."})
	case strings.TrimSpace(in.Reason) == "":
		err = fault.New(fault.Invalid, "reason_needed", fault.Public{Problem: "A grant has a reason.", Next: "Say why they need it."})
	case in.Life < time.Minute || in.Life > grantMost:
		err = fault.New(fault.Invalid, "grant_life", fault.Public{Problem: "A grant cannot live that long or short.", Expected: "Between a minute and 366 days."})
	}
	if err != nil {
		return Grant{}, err
	}
	holder, err := s.ownerOf(ctx, g.Who)
	if errors.Is(err, fault.Denied) {
		return Grant{}, fault.New(fault.Invalid, "person_gone", fault.Public{Problem: "There is no active person of that id.", Expected: "person/ and the id.", Next: "Look at the list of people."})
	}
	if err != nil {
		return Grant{}, fmt.Errorf("find who gets the grant: %w", err)
	}
	if holder.Kind != actor.Person || teamOf(holder) != teamOf(who) {
		return Grant{}, fault.New(fault.Denied, "other_team", fault.Public{Problem: "A grant is for a person of the team whose vault it opens."})
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		g.Granted, g.Until = tx.Now(), tx.Now().Add(in.Life)
		_, err := tx.Exec(ctx, insertGrant, g.ID, teamOf(who), g.Who, g.Path, g.Rights, g.Granter, us(g.Granted), us(g.Until))
		return PathGranted{Grant: g.ID, Who: g.Who, Path: g.Path, Rights: g.Rights, Until: g.Until, Why: in.Reason}, err
	})
	if err != nil {
		return Grant{}, fmt.Errorf("grant a path: %w", err)
	}
	return g, nil
}

// EndGrant takes a grant back, for the next call.
func (s *Service) EndGrant(ctx context.Context, who actor.Actor, id string) error {
	if err := s.may(ctx, who, access.VaultKeys, "/"); err != nil {
		return err
	}
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endGrant, id, teamOf(who), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "grant_unknown", fault.Public{Problem: "There is no live grant of that id.", Next: "Look at the list of grants."})
		}
		return PathGrantEnded{Grant: id}, err
	})
	if err != nil {
		return fmt.Errorf("end a grant: %w", err)
	}
	return nil
}

// Grants lists the team's grants that live, the newest first.
func (s *Service) Grants(ctx context.Context, who actor.Actor) ([]Grant, error) {
	if err := s.Access.Allow(ctx, who, access.VaultAudit, "vault"); err != nil {
		return nil, err
	}
	return s.grants(ctx, ` WHERE team = $1 AND ended IS NULL AND until > $2 ORDER BY granted DESC, id LIMIT 1000`, teamOf(who), us(s.Now()))
}

func (s *Service) grants(ctx context.Context, where string, args ...any) ([]Grant, error) {
	var out []Grant
	err := s.DB.Each(ctx, selectGrant+where, func(scan ledger.Scan) error {
		var g Grant
		err := scan(&g.ID, &g.Who, &g.Path, &g.Rights, &g.Granter, timeInto{&g.Granted}, timeInto{&g.Until}, &g.Ended)
		out = append(out, g)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	return out, nil
}

// borrows reports whether a grant can be what lets somebody act: a person at work, also by an
// access key of theirs, never by a token.
func borrows(who actor.Actor) bool {
	return who.Kind == actor.Person && who.Via != "token" && (!who.ByToken() || who.Via == "aws")
}

// granted reports whether a grant lets somebody do this to a name. It is for people at
// work: whoever acts by a program, on a loan or in an emergency does what those allow.
func (s *Service) granted(ctx context.Context, who actor.Actor, action access.Action, name string) (bool, error) { // clause: access.least-privilege
	if !borrows(who) {
		return false, nil
	}
	gs, err := s.grants(ctx, ` WHERE who = $1 AND team = $2 AND ended IS NULL AND until > $3`, who.String(), teamOf(who), us(s.Now()))
	if err != nil {
		return false, err
	}
	for _, g := range gs {
		for _, a := range grantsTo[g.Rights] {
			if a == action && under(name, g.Path) {
				return true, nil
			}
		}
	}
	return false, nil
}

// dropGrants forgets grants that ended long ago.
func (s *Service) dropGrants(ctx context.Context) error {
	old := us(s.Now().Add(-grantKept))
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM vault_grant WHERE until < $1 OR ended < $1`, old)
		return err
	})
}

// leftGrants counts live grants of people who are not there any more.
func (s *Service) leftGrants(ctx context.Context) (live, left int64, err error) {
	gs, err := s.grants(ctx, ` WHERE ended IS NULL AND until > $1`, us(s.Now()))
	if err != nil {
		return 0, 0, err
	}
	for _, g := range gs {
		switch _, err := s.ownerOf(ctx, g.Who); {
		case errors.Is(err, fault.Denied):
			left++
		case err != nil:
			return 0, 0, fmt.Errorf("find the holder of a grant: %w", err)
		}
	}
	return int64(len(gs)), left, nil
}

const (
	insertGrant = `INSERT INTO vault_grant (id, team, who, path, rights, granter, granted, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	endGrant    = `UPDATE vault_grant SET ended = $3 WHERE id = $1 AND team = $2 AND ended IS NULL`
	selectGrant = `SELECT id, who, path, rights, granter, granted, until, ended IS NOT NULL FROM vault_grant`
)
