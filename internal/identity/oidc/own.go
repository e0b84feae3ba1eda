package oidc

import (
	"context"
	"fmt"
	"time"

	"writ/internal/identity"
	"writ/internal/ledger"
)

// Own adds to a person's copy the applications they allowed something or signed in to,
// those that are gone too.
func (s *Service) Own(ctx context.Context, person string, d *identity.OwnData) error {
	place := map[string]int{}
	err := s.DB.Each(ctx, ownConsents, func(scan ledger.Scan) error {
		a := identity.OwnApplication{SignIns: []identity.OwnSignIn{}}
		var scopes string
		var given int64
		if err := scan(&a.Client, &a.Name, &scopes, &given); err != nil {
			return err
		}
		if given > 0 {
			a.Scopes, a.Given = words(scopes), moment(&given)
		}
		place[a.Client] = len(d.Applications)
		d.Applications = append(d.Applications, a)
		return nil
	}, person)
	if err != nil {
		return fmt.Errorf("read own applications: %w", err)
	}
	err = s.DB.Each(ctx, ownSignIns, func(scan ledger.Scan) error {
		var x identity.OwnSignIn
		var client, scopes string
		var began int64
		var ends, ended *int64
		if err := scan(&client, &began, &scopes, &x.Offline, &ends, &ended, &x.Cause); err != nil {
			return err
		}
		x.Began, x.Scopes, x.Ends, x.Ended = *moment(&began), words(scopes), moment(ends), moment(ended)
		a := &d.Applications[place[client]]
		a.SignIns = append(a.SignIns, x)
		return nil
	}, person)
	if err != nil {
		return fmt.Errorf("read own sign-ins to applications: %w", err)
	}
	return nil
}

func moment(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := at(*us)
	return &t
}

const (
	ownConsents = `SELECT c.id, c.name, COALESCE(k.scopes, ''), COALESCE(k.given, 0) FROM identity_oidc_client c LEFT JOIN identity_oidc_consent k ON k.client = c.id AND k.person = $1
		WHERE k.person IS NOT NULL OR c.id IN (SELECT client FROM identity_oidc_family WHERE person = $1) OR c.id IN (SELECT client FROM identity_oidc_login WHERE person = $1) ORDER BY c.name, c.id`
	ownSignIns = `SELECT client, created, scopes, offline, ends, ended, cause FROM identity_oidc_family WHERE person = $1
		UNION ALL SELECT l.client, l.created, '', FALSE, NULL, NULL, '' FROM identity_oidc_login l WHERE l.person = $1
			AND NOT EXISTS (SELECT 1 FROM identity_oidc_family f WHERE f.sid = l.sid AND f.person = $1)
		ORDER BY 2 DESC`
)
