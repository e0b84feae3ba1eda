package item

import (
	"context"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/secret"
)

// EachSecret hands over the secret fields of a team's items as they are now, by the ids of item
// and field, to be compared with something: nothing of it leaves the server, and who asks may
// read it. To a person these are the fields that they may reveal without saying why: not of a
// critical or sensitive item, not of what somebody else has checked out, and no seed. The server
// itself compares all.
func (s *Service) EachSecret(ctx context.Context, who actor.Actor, team string, fn func(name string, v secret.Text) error) error { // clause: vault.secret-home, vault.company-creds
	itself := who.Kind == actor.Writ
	if !itself && !s.Access.May(who, access.VaultReveal) {
		return nil
	}
	rows, err := s.all(ctx, team)
	if err != nil {
		return err
	}
	for _, it := range rows {
		if !it.Deleted.IsZero() || !itself && (levelOf(who, it.Holders) == "" || it.Critical || it.Sensitive || it.free(who, s.Now()) != nil) {
			continue
		}
		c, _, err := s.contents(ctx, it, it.Version)
		if err != nil {
			return err
		}
		for id, v := range c.secrets {
			if id == seedField && !itself {
				continue
			}
			if id == seedField { // as people write it down, not as the address in which it is kept
				sd, err := parseSeed(v)
				if err != nil {
					return err
				}
				v = sd.key
			}
			if err := fn(thing(it.ID)+"/"+id, v); err != nil {
				return err
			}
		}
	}
	return nil
}
