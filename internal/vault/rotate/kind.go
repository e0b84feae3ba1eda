package rotate

import (
	"context"

	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// kind is what a value is of: what is done at its source. Each act may be done again.
type kind interface {
	// check refuses a wish, in the name of who asks, and completes it.
	check(ctx context.Context, who actor.Actor, r *row) error
	// whose is the role or key that a value is of; value_foreign for one of neither slot.
	whose(ctx context.Context, r *row, v secret.Text) (string, error)
	// draw makes up the value that comes after one of old ("" = there is none).
	draw(r *row, old string) (pair, error)
	// create has the source know it; what is to be written here is done in the same change
	// as the step is recorded.
	create(ctx context.Context, r *row, p pair) (within, error)
	// try logs in with a value; login_refused where it is not let in.
	try(ctx context.Context, r *row, v secret.Text) error
	// checked tries that something else is refused.
	checked(ctx context.Context, r *row, p pair) error
	// revoke ends what is old.
	revoke(ctx context.Context, r *row) (within, error)
	// discard ends what was made and will not be used.
	discard(r *row) within
	// settled comes after a change that made or ended something.
	settled(ctx context.Context, id string)
}

// within is the part of an act that lies in this server's own database; nil = none. to is
// the row as it will be.
type within func(ctx context.Context, tx *ledger.Tx, to *row) (ledger.Event, error)

// pair is what a round replaces, and with what. It lies sealed in the row.
type pair struct {
	ID     string // role or key
	Secret secret.Text
	Value  secret.Text
	Former secret.Text // the value that goes
}

func (s *Service) kind(name string) kind {
	switch name {
	case AccessKey:
		return accessKeys{s}
	case ServiceToken:
		return tokens{s}
	}
	return roles{s}
}
