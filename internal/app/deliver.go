package app

import (
	"path/filepath"

	"writ/internal/clause"
	"writ/internal/vault/bundle"
	"writ/internal/vault/scan"
	"writ/internal/vault/transfer"
)

// deliver are the parts of the vault that hand values on, and look where they should not be.
type deliver struct {
	scan   *scan.Service
	bundle *bundle.Service

	transfer *transfer.Service
}

func (a *App) buildDeliver() (err error) {
	var places []string
	for _, p := range a.config.Vault.Scan {
		if !filepath.IsAbs(p) {
			p = a.path(p)
		}
		places = append(places, filepath.Clean(p))
	}
	if a.scan, err = scan.New(scan.Deps{DB: a.db, Values: a.vault, Access: a.access, Record: a.journal, Rules: clause.NewLive[scan.Rules](a.now), Places: places,
		Now: a.now, Log: a.log.With("module", "scan")}); err != nil {
		return err
	}
	a.scan.Schedule(a.jobs)
	a.bundle, err = bundle.New(bundle.Deps{DB: a.db, Values: a.vault, Keys: a.ring, Access: a.access, Origin: a.config.Origin(), Now: a.now})
	if err != nil {
		return err
	}
	a.transfer, err = transfer.New(transfer.Deps{DB: a.db, Values: a.vault, Access: a.access, Now: a.now})
	return err
}
