package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// What package rotate needs to replace a value by itself: it acts as the server, in a team,
// on what a person with the right had it do.

// CanaryTeam is the reserved team of controls.
const CanaryTeam = canaryTeam

// Named reads a name that somebody typed, for an act, and asks for the right first.
func (s *Service) Named(ctx context.Context, who actor.Actor, action access.Action, typed string) (string, error) {
	return s.named(ctx, who, action, typed)
}

// Hand reads the newest value for work of the server itself. Nobody is shown it, and it is
// an entry all the same, before the value is used.
func (s *Service) Hand(ctx context.Context, who actor.Actor, name, why string) (Value, error) { // clause: vault.access-logged
	return s.HandVersion(ctx, who, name, 0, why)
}

// HandVersion is Hand for one version.
func (s *Service) HandVersion(ctx context.Context, who actor.Actor, name string, version int64, why string) (Value, error) {
	v, err := s.value(ctx, teamOf(who), Selector{Name: name, Version: version}, Read{Decrypt: true})
	if err != nil {
		return Value{}, err
	}
	return v, s.seen(ctx, who, Read{Decrypt: true, Reason: why}, v)
}

// ValueKey is what the values of a team are sealed under; it is asked for before a change.
func (s *Service) ValueKey(ctx context.Context, team string) (envelope.Key, error) {
	return s.Keys.Ensure(ctx, keyFor(team))
}

// WriteNext writes the next version of a secret inside the change of somebody else, who
// records the event beside their own. after is the version that it follows, 0 where there is
// none; where another one came in between it refuses with fault.Conflict.
func (s *Service) WriteNext(ctx context.Context, tx *ledger.Tx, who actor.Actor, name string, v secret.Text, after int64, k envelope.Key) (int64, ledger.Event, error) {
	p, err := s.writeNext(ctx, tx, who, name, Put{Name: name, Value: v, Type: SecureString, Overwrite: true, Tier: Intelligent}, k)
	if err == nil && p.Version != after+1 {
		err = errChanged()
	}
	return p.Version, ParamPut{Param: p.ID, Name: name, Version: p.Version, Type: string(p.Type), Tier: p.Tier, Key: p.KeyID, Value: v}, err
}

// WriteAgain is WriteNext with the value of an earlier version: whoever knew it knows it again.
func (s *Service) WriteAgain(ctx context.Context, tx *ledger.Tx, who actor.Actor, v Value, after int64, k envelope.Key) (int64, ledger.Event, error) {
	team := teamOf(who)
	p, _, err := takeParam(ctx, tx, team, v.Name, true)
	if err == nil && p.Version != after {
		err = errChanged()
	}
	if err != nil {
		return 0, nil, err
	}
	p.copyOf(v)
	if err := noPlainHere(ctx, tx, team, p); err != nil {
		return 0, nil, err
	}
	p.Changed, p.ChangedBy = tx.Now(), who.String()
	return p.Version, ParamRolledBack{Param: p.ID, Name: v.Name, From: v.Version, Version: p.Version, Value: v.Text},
		p.write(ctx, tx, team, false, k.Seal([]byte(v.Text.Reveal()), valueAt(team, p.ID, p.Version)), v.Origin)
}

// Changed reports whether a write was refused because another one came in between.
func Changed(err error) bool {
	code, _ := fault.PublicOf(err)
	return err != nil && code == changedCode
}

// Standing is a name's newest version and what is said about it; version 0 = there is none.
func (s *Service) Standing(ctx context.Context, team, name string) (Param, About, error) {
	p, err := readParam(ctx, s.DB, team, name)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return Param{}, About{}, err
	}
	all, err := abouts(ctx, s.DB, team)
	return p, aboutIn(all, name), err
}

// LeftWith reports whether somebody who is not there any more knows a name's value as it is.
func (s *Service) LeftWith(ctx context.Context, team, name string) (bool, error) {
	p, err := readParam(ctx, s.DB, team, name)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	var who []string
	if err == nil {
		err = s.DB.Each(ctx, selectKnowers, func(scan ledger.Scan) error {
			var w string
			var when time.Time
			err := scan(&w, timeInto{&when})
			who = append(who, w)
			return err
		}, "param/"+p.ID, p.ID, p.Version)
	}
	if err != nil {
		return false, fmt.Errorf("read who knows a parameter: %w", err)
	}
	for _, w := range who {
		if !strings.HasPrefix(w, string(actor.Person)+"/") {
			continue
		}
		if _, err := s.ownerOf(ctx, w); errors.Is(err, fault.Denied) {
			return true, nil
		} else if err != nil {
			return false, fmt.Errorf("find who knows a parameter: %w", err)
		}
	}
	return false, nil
}

// Overdue counts names that are due for another value by their own period.
func (s *Service) Overdue(ctx context.Context) (with, over int64, err error) {
	var teams []string
	err = s.DB.Each(ctx, `SELECT DISTINCT team FROM vault_about WHERE rotation > 0 ORDER BY team`, func(scan ledger.Scan) error {
		var team string
		err := scan(&team)
		teams = append(teams, team)
		return err
	})
	for _, team := range teams {
		if err != nil {
			break
		}
		var all []About
		if all, err = abouts(ctx, s.DB, team); err != nil {
			break
		}
		err = s.DB.Each(ctx, `SELECT name, changed FROM vault_param WHERE team = $1`, func(scan ledger.Scan) error {
			var p Param
			if err := scan(textInto{&p.Name}, timeInto{&p.Changed}); err != nil {
				return err
			}
			if due := aboutIn(all, p.Name).due(p); !due.IsZero() {
				if with++; due.Before(s.Now()) {
					over++
				}
			}
			return nil
		}, team)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count what is due for another value: %w", err)
	}
	return with, over, nil
}

// probeDue wants every value replaced within the period that is said about its name.
func (s *Service) probeDue(ctx context.Context) (clause.Result, error) { // clause: crypto.key-rotation
	with, over, err := s.Overdue(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	r := clause.Passed(fmt.Sprintf("of %d parameters with a period of their own, %d are due for another value", with, over))
	if r.Population = with; over > 0 {
		r.Outcome = clause.Fail
		r.Summary += ": writ vault find --due lists them"
	}
	return r, nil
}

// MayLend says what an access key like this would be, and refuses where who asks could not
// make it: it is made later, again and again.
func (s *Service) MayLend(ctx context.Context, who actor.Actor, in NewKey) (AccessKey, error) {
	path, err := s.pathed(ctx, who, access.VaultRead, in.Path)
	if err != nil {
		return AccessKey{}, err
	}
	k := AccessKey{Owner: in.Owner, Team: teamOf(who), Path: path, Reads: in.Reads, Issuer: who.String()}
	if k.Owner == "" {
		k.Owner = who.String()
	}
	owner, err := s.ownerOf(ctx, k.Owner)
	if err != nil {
		return AccessKey{}, fmt.Errorf("find the owner of the key: %w", err)
	}
	if teamOf(owner) != k.Team {
		return AccessKey{}, fault.New(fault.Denied, "other_team", fault.Public{Problem: "The owner of a key acts in the team whose vault it opens."})
	}
	return k, s.mayLend(ctx, who, owner, k)
}

// DrawKey draws an access key that is not there yet.
func DrawKey() (id string, text secret.Text) { return newKeyID(false), secret.RandomText(30) }

// SealKey seals the secret of a drawn key for its place.
func (s *Service) SealKey(ctx context.Context, id string, text secret.Text) ([]byte, error) {
	return s.seal(ctx, keyring.Class(accessClass), secretAt(id), []byte(text.Reveal()))
}

// AddKey makes a drawn key inside the change of somebody else; nil where it is made already.
func (s *Service) AddKey(ctx context.Context, tx *ledger.Tx, k IssuedKey, box []byte, life time.Duration) (ledger.Event, error) {
	until := tx.Now().Add(min(life, keyMost))
	n, err := tx.Exec(ctx, insertKey+` ON CONFLICT (id) DO NOTHING`, k.ID, box, k.Team, k.Owner, k.Path, k.Reads, k.Issuer, us(tx.Now()), us(until), "")
	if err != nil || n == 0 {
		return nil, err
	}
	return KeyIssued{Key: k.ID, Owner: k.Owner, Path: k.Path, Reads: k.Reads, Until: until, Text: k.Secret}, nil
}

// DropKey ends a key inside the change of somebody else; nil where it has ended. ForgetKey
// comes after it.
func (s *Service) DropKey(ctx context.Context, tx *ledger.Tx, team, id string) (ledger.Event, error) {
	n, err := tx.Exec(ctx, endKey, id, team, us(tx.Now()))
	if err != nil || n == 0 {
		return nil, err
	}
	return KeyEnded{Key: id}, nil
}

// ForgetKey has the next call of a key look at its row again.
func (s *Service) ForgetKey(id string) { s.rows.forget(id) }

// KeyOf reads an access key of a team with its secret, for work of the server itself;
// fault.NotFound where the team has none of that id.
func (s *Service) KeyOf(ctx context.Context, team, id string) (IssuedKey, error) {
	k, err := s.keyRow(ctx, id)
	if err == nil && (k.Team != team || k.Session) {
		err = fault.Newf(fault.NotFound, "key_unknown", "There is no access key of that id.")
	}
	if err != nil {
		return IssuedKey{}, err
	}
	b, err := s.open(ctx, secretAt(id), k.box)
	if err != nil {
		return IssuedKey{}, err
	}
	defer b.Wipe()
	return IssuedKey{AccessKey: k.AccessKey, Secret: secret.NewText(string(b.Reveal()))}, nil
}

// OwnerActs reports whether the owner of a key is there, and acts in the team.
func (s *Service) OwnerActs(ctx context.Context, team, owner string) (bool, error) {
	who, err := s.ownerOf(ctx, owner)
	if errors.Is(err, fault.Denied) {
		return false, nil
	}
	return err == nil && teamOf(who) == team, err
}
