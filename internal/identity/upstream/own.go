package upstream

import (
	"context"
	"fmt"
	"time"

	"writ/internal/identity"
	"writ/internal/ledger"
)

// Own adds to a person's copy the accounts elsewhere that sign them in, also at providers
// that are no longer in the settings.
func (s *Service) Own(ctx context.Context, person string, d *identity.OwnData) error {
	err := s.DB.Each(ctx, ownLinks, func(scan ledger.Scan) error {
		var e identity.OwnElsewhere
		var linked int64
		if err := scan(&e.Provider, &e.How, &linked); err != nil {
			return err
		}
		if p := s.all[e.Provider]; p != nil {
			e.Provider = p.Title
		}
		e.Linked = time.UnixMicro(linked).UTC()
		d.Elsewhere = append(d.Elsewhere, e)
		return nil
	}, person)
	if err != nil {
		return fmt.Errorf("read own accounts elsewhere: %w", err)
	}
	return nil
}

const ownLinks = `SELECT provider, how, linked FROM identity_upstream_link WHERE person = $1 ORDER BY linked, provider`
