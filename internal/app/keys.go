package app

import (
	"context"
	"errors"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/vault/item"
	"writ/internal/vault/keys"
)

// buildKeys makes what replaces keys and ends them.
func (a *App) buildKeys() (err error) {
	a.keys, err = keys.New(keys.Deps{DB: a.db, Ring: a.ring, Access: a.access, People: a.identity, Acting: a.acting, Teams: a.identity, Journal: proofs{a.journal},
		Holders: []keys.Holder{heldName(a.identity), heldEntries(a.journal)}, Stores: item.Stores(), Rules: clause.NewLive[keys.Rules](a.now), Quorum: func() int { return a.holders.Rules.Get().QuorumNeed }, Now: a.now, Log: a.log.With("module", "keys")})
	return err
}

// acting says whether a person may do something, had they just signed in with a factor.
func (a *App) acting(ctx context.Context, person string, do access.Action) (bool, error) {
	p, err := a.identity.ActivePerson(ctx, person)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && a.access.May(actor.Actor{Kind: actor.Person, ID: p.ID, Session: "-", Team: p.Team, TeamKind: p.Kind, Roles: p.Roles, ACR: 2, FactorAt: a.now()}, do), err
}

// held asks for legal holds, which are made after identity.
func (a *App) held(ctx context.Context, tx *ledger.Tx, person string) error {
	if err := a.keys.Held(ctx, tx, person); err != nil {
		return err
	}
	return a.incident.HoldKeeps(ctx, tx)
}

// heldTeam is held for what a team has.
func (a *App) heldTeam(ctx context.Context, tx *ledger.Tx, team string) error {
	return a.keys.HeldTeam(ctx, tx, team)
}

// proofs shows entries to whoever holds a certificate.
type proofs struct{ j *journal.Journal }

// ProofOf implements keys.Journal.
func (p proofs) ProofOf(ctx context.Context, entry string) (keys.Proof, error) {
	e, err := p.j.ByID(ctx, entry)
	if err != nil {
		return keys.Proof{}, err
	}
	proof, leaf, err := p.j.Proof(ctx, e.N)
	if err != nil {
		return keys.Proof{}, err
	}
	key, err := p.j.Key(ctx)
	return keys.Proof{N: e.N, Leaf: leaf, Proof: proof, Key: key}, err
}

// heldName is what identity seals about a person that its rows still have.
func heldName(s *identity.Service) keys.Holder {
	return func(ctx context.Context, sub keyring.Subject, _ int) (keys.Held, error) {
		out := keys.Held{Data: "accounts"}
		if sub.Kind != "person" {
			return out, nil
		}
		place, box, err := s.SealedName(ctx, sub.ID)
		if out.Rows = 1; box != nil {
			out.Sample = []keys.Sealed{{Place: place, Box: box}}
		}
		return out, err
	}
}

// heldEntries are the entries of the journal whose hidden values a key opens.
func heldEntries(j *journal.Journal) keys.Holder {
	return func(ctx context.Context, sub keyring.Subject, most int) (keys.Held, error) {
		out := keys.Held{Data: "hidden values of journal entries"}
		n, err := j.Sealed(ctx, sub, most, func(entry string, box []byte) {
			out.Sample = append(out.Sample, keys.Sealed{Place: ledger.PayloadAAD(entry), Box: box})
		})
		if out.Rows = n; errors.Is(err, fault.NotFound) {
			err = nil
		}
		return out, err
	}
}
