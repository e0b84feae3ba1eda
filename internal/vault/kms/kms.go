package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Keys is what the door needs of a keyring.Ring.
type Keys interface {
	Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	Renew(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	Key(ctx context.Context, s keyring.Subject) (envelope.Key, error)
	ByID(ctx context.Context, id string) (envelope.Key, error)
}

// Deps are what a Service is made of.
type Deps struct {
	DB    *ledger.DB
	Keys  Keys
	Vault *vault.Service
	Now   func() time.Time
}

// Service is the door. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Keys == nil || d.Vault == nil || d.Now == nil {
		return nil, errors.New("kms: a dependency is missing")
	}
	return &Service{d}, nil
}

// Key is a key that programs encrypt with, without the key itself.
type Key struct {
	ID          string // a UUID
	Path        string
	Description string
	Enabled     bool
	Version     int64
	Made        time.Time
	MadeBy      string
	Renewed     time.Time // when the newest version was made
	Aliases     []string
	Destroyed   bool // by writ vault shred; what it encrypted opens no more
}

// Alias is a name of a key.
type Alias struct {
	Name    string
	Key     string
	Made    time.Time
	Changed time.Time
}

// subject is whose key it is in the keyring. Data of Writ's own is under other kinds.
func subject(key string) keyring.Subject { return keyring.Subject{Kind: "kms", ID: key} }

var goodAlias = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)

func checkAlias(name string) error {
	if !goodAlias.MatchString(name) {
		return fault.New(fault.Invalid, "alias_invalid", fault.Public{Problem: "This is no name of a key.", Expected: "alias/ and letters, digits, / _ -.", Next: "Choose another name."})
	}
	if strings.HasPrefix(name, "alias/aws/") {
		return fault.New(fault.Invalid, "alias_reserved", fault.Public{Problem: "Names under alias/aws/ are the provider's.", Next: "Choose another name."})
	}
	return nil
}

func errNoKey(ref string) *fault.Error {
	return fault.New(fault.NotFound, "kms_key_unknown", fault.Public{Problem: "There is no key " + ref + ".", Next: "Look at the list of keys."})
}

// NewKey is the wish for a key.
type NewKey struct {
	Alias       string // "" = it has no name yet
	Path        string // which access keys reach it; "" = those that reach everything
	Description string
}

// Create makes a key.
func (s *Service) Create(ctx context.Context, who actor.Actor, in NewKey) (Key, error) {
	k := Key{ID: newID(), Path: strings.TrimSuffix(in.Path, "/"), Description: in.Description, Enabled: true, Version: 1, MadeBy: who.String()}
	if k.Path == "" {
		k.Path = "/"
	}
	if err := s.manages(ctx, who, k.Path, k.ID); err != nil {
		return Key{}, err
	}
	if in.Alias != "" {
		if err := checkAlias(in.Alias); err != nil {
			return Key{}, err
		}
		k.Aliases = []string{in.Alias}
	}
	if !strings.HasPrefix(k.Path, "/") || len(k.Path) > 1000 || len(k.Description) > 8192 {
		return Key{}, fault.New(fault.Invalid, "kms_key_invalid", fault.Public{Problem: "The path or the description is not good.", Expected: "A path begins with /, and a description has at most 8192 bytes."})
	}
	if _, err := s.Keys.Ensure(ctx, subject(k.ID)); err != nil { // one without a row is harmless
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	team := vault.TeamOf(who)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		k.Made, k.Renewed = tx.Now(), tx.Now()
		if _, err := tx.Exec(ctx, insertKey, k.ID, team, k.Path, k.Description, true, k.Version, us(k.Made), k.MadeBy, us(k.Renewed)); err != nil {
			return nil, err
		}
		if in.Alias != "" {
			n, err := tx.Exec(ctx, insertAlias, team, []byte(in.Alias), k.ID, us(tx.Now()))
			if err != nil {
				return nil, err
			}
			if n == 0 {
				return nil, errAliasTaken(in.Alias)
			}
		}
		return KeyMade{Key: k.ID, Alias: in.Alias, Path: k.Path}, nil
	})
	if err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	return k, nil
}

func errAliasTaken(name string) error {
	return fault.New(fault.Conflict, "alias_taken", fault.Public{Problem: "There is a key of the name " + name + " already.", Next: "Choose another name, or point it elsewhere."})
}

// Enable lets a key be used, or no more.
func (s *Service) Enable(ctx context.Context, who actor.Actor, ref string, on Wanted) error {
	return s.changeKey(ctx, who, ref, func(tx *ledger.Tx, k Key) (ledger.Event, error) {
		_, err := tx.Exec(ctx, enableKey, k.ID, on == Enabled)
		return KeyState{Key: k.ID, State: string(on)}, err
	})
}

// Wanted is whether a key shall be used.
type Wanted string

// The states that somebody can ask for.
const (
	Enabled  Wanted = "Enabled"
	Disabled Wanted = "Disabled"
)

// Name points a name at a key, taking it from another one.
func (s *Service) Name(ctx context.Context, who actor.Actor, ref, alias string) error {
	if err := checkAlias(alias); err != nil {
		return errors.Join(s.manages(ctx, who, "/", ref), err)
	}
	return s.changeKey(ctx, who, ref, func(tx *ledger.Tx, k Key) (ledger.Event, error) {
		_, err := tx.Exec(ctx, putAlias, vault.TeamOf(who), []byte(alias), k.ID, us(tx.Now()))
		return AliasSet{Key: k.ID, Alias: alias}, err
	})
}

// Rotate gives a key another version: it makes what is encrypted from now on, and the
// former ones open what they made.
func (s *Service) Rotate(ctx context.Context, who actor.Actor, ref string) error {
	k, err := s.find(ctx, vault.TeamOf(who), ref)
	if err != nil {
		return errors.Join(s.manages(ctx, who, "/", ref), err)
	}
	if err := s.manages(ctx, who, k.Path, k.ID); err != nil {
		return err
	}
	if _, err := s.Keys.Renew(ctx, subject(k.ID)); err != nil {
		return fmt.Errorf("renew a key: %w", err)
	}
	return s.changeKey(ctx, who, ref, func(tx *ledger.Tx, k Key) (ledger.Event, error) {
		_, err := tx.Exec(ctx, renewKey, k.ID, us(tx.Now()))
		return KeyRenewed{Key: k.ID, Version: k.Version + 1}, err
	})
}

func (s *Service) manages(ctx context.Context, who actor.Actor, path, key string) error {
	return s.Vault.MayReach(ctx, who, access.VaultKeys, "kms/"+key, path)
}

func (s *Service) changeKey(ctx context.Context, who actor.Actor, ref string, change func(*ledger.Tx, Key) (ledger.Event, error)) error {
	k, err := s.find(ctx, vault.TeamOf(who), ref)
	if err != nil {
		return errors.Join(s.manages(ctx, who, "/", ref), err)
	}
	if err := s.manages(ctx, who, k.Path, k.ID); err != nil {
		return err
	}
	if _, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) { return change(tx, k) }); err != nil {
		return fmt.Errorf("change a key: %w", err)
	}
	return nil
}

// List lists the keys that somebody reaches, with their names.
func (s *Service) List(ctx context.Context, who actor.Actor) ([]Key, error) {
	if err := s.Vault.MayReach(ctx, who, access.VaultList, "kms", vault.PathOf(who)); err != nil {
		return nil, err
	}
	as, err := s.aliases(ctx, vault.TeamOf(who))
	if err != nil {
		return nil, err
	}
	var out []Key
	err = s.DB.Each(ctx, selectKey+` WHERE team = $1 ORDER BY id LIMIT 1000`, func(scan ledger.Scan) error {
		k, err := scanKey(scan)
		if err != nil || !vault.Within(k.Path, vault.PathOf(who)) {
			return err
		}
		out = append(out, k.named(as))
		return nil
	}, vault.TeamOf(who))
	for i := range out {
		if err == nil {
			out[i].Destroyed, err = s.destroyed(ctx, out[i].ID)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return out, nil
}

// Show is one key, as List has it.
func (s *Service) Show(ctx context.Context, who actor.Actor, ref string) (Key, error) {
	k, err := s.use(ctx, who, access.VaultList, ref)
	if err != nil {
		return Key{}, err
	}
	as, err := s.aliases(ctx, vault.TeamOf(who))
	if err == nil {
		k.Destroyed, err = s.destroyed(ctx, k.ID)
	}
	return k.named(as), err
}

func (k Key) named(as []Alias) Key {
	for _, a := range as {
		if a.Key == k.ID {
			k.Aliases = append(k.Aliases, a.Name)
		}
	}
	return k
}

func (s *Service) destroyed(ctx context.Context, key string) (bool, error) {
	_, err := s.Keys.Key(ctx, subject(key))
	if errors.Is(err, fault.Gone) {
		return true, nil
	}
	return false, err
}

func (s *Service) aliases(ctx context.Context, team string) ([]Alias, error) {
	var out []Alias
	err := s.DB.Each(ctx, selectAliases, func(scan ledger.Scan) error {
		var a Alias
		var name []byte
		var made, changed int64
		if err := scan(&name, &a.Key, &made, &changed); err != nil {
			return err
		}
		a.Name, a.Made, a.Changed = string(name), at(made), at(changed)
		out = append(out, a)
		return nil
	}, team)
	if err != nil {
		return nil, fmt.Errorf("list names of keys: %w", err)
	}
	return out, nil
}

// find looks a key up by its id, its ARN, a name, or the ARN of one.
func (s *Service) find(ctx context.Context, team, ref string) (Key, error) {
	name := ref
	if rest, ok := strings.CutPrefix(ref, "arn:aws:kms:"); ok {
		parts := strings.SplitN(rest, ":", 3) // region, account, resource
		if len(parts) != 3 {
			return Key{}, errNoKey(ref)
		}
		name = strings.TrimPrefix(parts[2], "key/")
	}
	where, arg := ` WHERE team = $1 AND id = $2`, any(name)
	if strings.HasPrefix(name, "alias/") {
		where, arg = ` WHERE team = $1 AND id = (SELECT key_id FROM vault_kms_alias WHERE team = $1 AND alias = $2)`, []byte(name)
	}
	var k Key
	var made, renewed int64
	err := ledger.One(ctx, s.DB, selectKey+where, []any{&k.ID, &k.Path, &k.Description, &k.Enabled, &k.Version, &made, &k.MadeBy, &renewed}, team, arg)
	if errors.Is(err, fault.NotFound) {
		return Key{}, errNoKey(ref)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read a key: %w", err)
	}
	k.Made, k.Renewed = at(made), at(renewed)
	return k, nil
}

func scanKey(scan ledger.Scan) (Key, error) {
	var k Key
	var made, renewed int64
	err := scan(&k.ID, &k.Path, &k.Description, &k.Enabled, &k.Version, &made, &k.MadeBy, &renewed)
	k.Made, k.Renewed = at(made), at(renewed)
	return k, err
}

// newID is a random UUID (RFC 9562, version 4), as the clients expect of a key.
func newID() string {
	b := secret.Random(16).Reveal()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func us(t time.Time) int64 { return t.UnixMicro() }

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

const (
	selectKey     = `SELECT id, path, description, enabled, version, made, made_by, renewed FROM vault_kms_key`
	insertKey     = `INSERT INTO vault_kms_key (id, team, path, description, enabled, version, made, made_by, renewed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	enableKey     = `UPDATE vault_kms_key SET enabled = $2 WHERE id = $1`
	renewKey      = `UPDATE vault_kms_key SET version = version + 1, renewed = $2 WHERE id = $1`
	insertAlias   = `INSERT INTO vault_kms_alias (team, alias, key_id, made, changed) VALUES ($1, $2, $3, $4, $4) ON CONFLICT (team, alias) DO NOTHING`
	putAlias      = `INSERT INTO vault_kms_alias (team, alias, key_id, made, changed) VALUES ($1, $2, $3, $4, $4) ON CONFLICT (team, alias) DO UPDATE SET key_id = EXCLUDED.key_id, changed = EXCLUDED.changed`
	selectAliases = `SELECT alias, key_id, made, changed FROM vault_kms_alias WHERE team = $1 ORDER BY alias LIMIT 1000`
)
