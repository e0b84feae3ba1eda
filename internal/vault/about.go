package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// About is what is said about a name, or about all names at and below a path.
type About struct {
	Name      string
	Owner     string // kind/id; "" = nobody is named
	Clause    string // of the policy, that it serves
	Rotation  int64  // days after which a value is due for another; 0 = none
	Critical  bool
	Sensitive bool // SecureString only
}

// AboutChange is the wish to say something else; nil fields keep what was said.
type AboutChange struct {
	Owner, Clause       *string
	Rotation            *int64
	Critical, Sensitive *bool
}

var clauseForm = regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z0-9]+(-[a-z0-9]+)*$`)

// maxRotation is ten years.
const maxRotation = 3650

func (c AboutChange) check(ctx context.Context, s *Service, team string) error {
	bad := func(code, problem, expected string) error {
		return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: expected, Next: "Correct this and try again."})
	}
	if c.Clause != nil && *c.Clause != "" && !clauseForm.MatchString(*c.Clause) {
		return bad("clause_form", "This is no id of a clause.", "Such as vault.encrypted-store.")
	}
	if c.Rotation != nil && (*c.Rotation < 0 || *c.Rotation > maxRotation) {
		return bad("rotation_days", "A value cannot be due after that many days.", "0 for never, or 1 to 3650.")
	}
	if c.Owner == nil || *c.Owner == "" {
		return nil
	}
	switch owner, err := s.ownerOf(ctx, *c.Owner); {
	case errors.Is(err, fault.Denied) || err == nil && teamOf(owner) != team:
		return bad("owner_unknown", "There is no such owner in this team.", "person/ID of somebody who is active, or machine/ID of a service.")
	case err != nil:
		return fmt.Errorf("find the owner: %w", err)
	}
	return nil
}

// aboutName reads the name that something is said about: of a parameter, or a path.
func aboutName(typed string) (string, error) {
	if !strings.HasPrefix(strings.TrimSpace(typed), "/") {
		name, err := parseName(typed)
		return rooted(name), err
	}
	return parsePath(typed)
}

// SetAbout says something about a name or a path. To call it sensitive is refused while a
// plain value lies there; to call it so no more takes the right to manage keys.
func (s *Service) SetAbout(ctx context.Context, who actor.Actor, typed string, to AboutChange) (About, error) {
	name, err := s.parsed(ctx, who, access.VaultWrite, typed, aboutName)
	if err != nil {
		return About{}, err
	}
	if to.Sensitive != nil && !*to.Sensitive {
		if err := s.may(ctx, who, access.VaultKeys, name); err != nil {
			return About{}, err
		}
	}
	team := teamOf(who)
	if err := to.check(ctx, s, team); err != nil {
		return About{}, err
	}
	var a About
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if a, err = readAbout(ctx, tx, team, name); err != nil {
			return nil, err
		}
		for _, f := range []struct{ to, from *string }{{&a.Owner, to.Owner}, {&a.Clause, to.Clause}} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		for _, f := range []struct{ to, from *bool }{{&a.Critical, to.Critical}, {&a.Sensitive, to.Sensitive}} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		if to.Rotation != nil {
			a.Rotation = *to.Rotation
		}
		if a.Sensitive {
			if err := noPlainBelow(ctx, tx, team, name); err != nil {
				return nil, err
			}
		}
		_, err := tx.Exec(ctx, putAbout, team, []byte(name), a.Owner, a.Clause, a.Rotation, a.Critical, a.Sensitive)
		return AboutSet{Name: name, Owner: a.Owner, Clause: a.Clause, Rotation: a.Rotation, Critical: a.Critical, Sensitive: a.Sensitive}, err
	})
	if err != nil {
		return About{}, fmt.Errorf("say something about a name: %w", err)
	}
	return a, nil
}

// noPlainBelow refuses where a value of another type than SecureString lies.
func noPlainBelow(ctx context.Context, r ledger.Reader, team, path string) error {
	var plain string
	low, high := below(path)
	err := ledger.One(ctx, r, firstPlain, []any{textInto{&plain}}, team, []byte(path), []byte(strings.TrimPrefix(path, "/")), []byte(low), []byte(high))
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "plain_below", fault.Public{Problem: plain + " is no SecureString.", Expected: "Sensitive names are of the type SecureString.", Next: "Delete it and write it again as one."})
}

// below are the bounds of the names below a path.
func below(path string) (low, high string) {
	if path == "/" {
		return "", "\U0010ffff"
	}
	return path + "/", path + "0" // "0" follows "/"
}

func readAbout(ctx context.Context, r ledger.Reader, team, name string) (About, error) {
	a := About{Name: name}
	err := ledger.One(ctx, r, selectAbout+` AND name = $2`, a.dest(), team, []byte(name))
	if errors.Is(err, fault.NotFound) {
		return About{Name: name}, nil
	}
	return a, err
}

func (a *About) dest() []any {
	return []any{textInto{&a.Name}, &a.Owner, &a.Clause, &a.Rotation, &a.Critical, &a.Sensitive}
}

// abouts is all that is said in a team; there is little of it.
func abouts(ctx context.Context, r ledger.Reader, team string) ([]About, error) {
	var out []About
	err := r.Each(ctx, selectAbout+` ORDER BY name`, func(scan ledger.Scan) error {
		var a About
		err := scan(a.dest()...)
		out = append(out, a)
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read what is said about names: %w", err)
	}
	return out, nil
}

// aboutIn is what holds for one name: of owner, clause and rotation the nearest word, and
// whatever was called critical or sensitive anywhere above is.
func aboutIn(all []About, name string) About {
	out := About{Name: name}
	for _, a := range all { // the shorter names come first
		if !under(name, a.Name) {
			continue
		}
		if a.Owner != "" {
			out.Owner = a.Owner
		}
		if a.Clause != "" {
			out.Clause = a.Clause
		}
		if a.Rotation > 0 {
			out.Rotation = a.Rotation
		}
		out.Critical, out.Sensitive = out.Critical || a.Critical, out.Sensitive || a.Sensitive
	}
	return out
}

// AboutOf is what holds for a name or a path.
func (s *Service) AboutOf(ctx context.Context, who actor.Actor, typed string) (About, error) {
	name, err := s.parsed(ctx, who, access.VaultList, typed, aboutName)
	if err != nil {
		return About{}, err
	}
	all, err := abouts(ctx, s.DB, teamOf(who))
	return aboutIn(all, name), err
}

// noPlainHere refuses a plain value where the name is sensitive.
func noPlainHere(ctx context.Context, r ledger.Reader, team string, p Param) error { // clause: vault.encrypted-store
	if p.Type == SecureString {
		return nil
	}
	all, err := abouts(ctx, r, team)
	if err != nil {
		return err
	}
	if aboutIn(all, p.Name).Sensitive {
		return fault.New(fault.Invalid, "sensitive_plain", fault.Public{Problem: "The name is sensitive.", Expected: "The type SecureString.", Next: "Write it with the type SecureString."})
	}
	return nil
}

// heard are refusals of a value that the policy stands behind: they are entries.
var heard = []string{"sensitive_plain", "database_public", "database_unencrypted"}

// refusedValue records a refusal where it is one of those.
func (s *Service) refusedValue(ctx context.Context, who actor.Actor, name string, err error) error {
	if code, _ := fault.PublicOf(err); err != nil && slices.Contains(heard, code) {
		return s.DB.Refuse(ctx, who, ValueRefused{Name: name, Code: code}, err)
	}
	return err
}

const (
	selectAbout = `SELECT name, owner, clause, rotation, critical, sensitive FROM vault_about WHERE team = $1`
	putAbout    = `INSERT INTO vault_about (team, name, owner, clause, rotation, critical, sensitive) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (team, name) DO UPDATE SET owner = EXCLUDED.owner, clause = EXCLUDED.clause, rotation = EXCLUDED.rotation, critical = EXCLUDED.critical, sensitive = EXCLUDED.sensitive`
	firstPlain = `SELECT name FROM vault_param WHERE team = $1 AND type <> 'SecureString' AND (name = $2 OR name = $3 OR name >= $4 AND name < $5) ORDER BY name LIMIT 1`
)
