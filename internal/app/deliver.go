package app

import (
	"context"
	"path/filepath"
	"time"

	"writ/internal/clause"
	"writ/internal/secret"
	"writ/internal/vault/aws"
	"writ/internal/vault/bundle"
	"writ/internal/vault/rotate"
	"writ/internal/vault/scan"
	"writ/internal/vault/transfer"
)

// deliver are the parts of the vault that hand values on, and look where they should not be.
type deliver struct {
	scan   *scan.Service
	bundle *bundle.Service

	transfer *transfer.Service
	rotate   *rotate.Service
}

func (a *App) buildDeliver() (err error) {
	var places []string
	for _, p := range a.config.Vault.Scan {
		if !filepath.IsAbs(p) {
			p = a.path(p)
		}
		places = append(places, filepath.Clean(p))
	}
	if a.scan, err = scan.New(scan.Deps{DB: a.db, Values: a.vault, Items: a.items, Access: a.access, Record: a.journal, Rules: clause.NewLive[scan.Rules](a.now), Places: places,
		Now: a.now, Log: a.log.With("module", "scan")}); err != nil {
		return err
	}
	a.scan.Schedule(a.jobs)
	a.bundle, err = bundle.New(bundle.Deps{DB: a.db, Values: a.vault, Keys: a.ring, Access: a.access, Origin: a.config.Origin(), Now: a.now})
	if err != nil {
		return err
	}
	if a.transfer, err = transfer.New(transfer.Deps{DB: a.db, Values: a.vault, Access: a.access, Now: a.now}); err != nil {
		return err
	}
	return a.buildRotate()
}

// buildRotate makes what replaces values at their source. The public door is there later.
func (a *App) buildRotate() (err error) {
	a.rotate, err = rotate.New(rotate.Deps{DB: a.db, Vault: a.vault, Keys: a.ring, Every: func() time.Duration { return a.keys.Rules.Get().Every },
		Knock: func(ctx context.Context, id string, key secret.Text) (string, error) {
			return aws.Knock(ctx, a.door, a.now(), id, key)
		},
		Tokens: programTokens{a}, Now: a.now, Log: a.log.With("module", "rotate")})
	if err == nil {
		a.rotate.Schedule(a.jobs)
	}
	return err
}
