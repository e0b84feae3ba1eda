package bundle

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/parcel"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Values is what this package needs of vault.Service.
type Values interface {
	GetMany(ctx context.Context, who actor.Actor, sels []vault.Selector, how vault.Read) (found []vault.Found, missing []vault.Selector, err error)
}

// Keys is what it needs of a keyring.Ring.
type Keys interface {
	Named(ctx context.Context, name string, n int) (secret.Bytes, error)
}

// Access decides and records refusals.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Deps are what a Service is made of. All are needed.
type Deps struct {
	DB     *ledger.DB
	Values Values
	Keys   Keys
	Access Access
	Origin string // https://app.example.com
	Now    func() time.Time
}

// Service is the module. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Values == nil || d.Keys == nil || d.Access == nil || d.Origin == "" || d.Now == nil {
		return nil, errors.New("bundle: a dependency is missing")
	}
	return &Service{d}, nil
}

// Issued is a bundle as the record has it.
type Issued struct {
	ID      string
	Machine string // fingerprint
	Names   []string
	Issuer  string
	Made    time.Time
	Ends    time.Time
	Revoked time.Time
	Used    int64 // times that were reported
	Seen    time.Time
}

// Wish is what a bundle shall hold.
type Wish struct {
	Names   []string // NAME, NAME:VERSION, NAME:LABEL
	Machine string   // its public key
	Life    time.Duration
	Reason  string
}

// signing is the named secret that bundles are signed with.
const signing = "vault/bundles"

func (s *Service) key(ctx context.Context) (ed25519.PrivateKey, error) {
	seed, err := s.Keys.Named(ctx, signing, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("read the key of bundles: %w", err)
	}
	defer seed.Wipe()
	return ed25519.NewKeyFromSeed(seed.Reveal()), nil
}

// Server is the public key that machines keep, to know bundles by.
func (s *Service) Server(ctx context.Context, who actor.Actor) (string, error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return "", err
	}
	k, err := s.key(ctx)
	if err != nil {
		return "", err
	}
	return parcel.Server(k.Public().(ed25519.PublicKey)), nil
}

// Issue reads values and seals them to a machine. Whoever asks must be allowed to read them;
// they are handed the sealed bundle alone.
func (s *Service) Issue(ctx context.Context, who actor.Actor, in Wish) ([]byte, Issued, error) { // clause: vault.access-logged
	var sels []vault.Selector
	for _, n := range in.Names {
		sel, err := vault.ParseSelector(n)
		if err != nil {
			return nil, Issued{}, errors.Join(s.Access.Allow(ctx, who, access.VaultRead, "param/"), err)
		}
		sels = append(sels, sel)
	}
	if err := s.Access.Allow(ctx, who, access.VaultRead, "param/"); err != nil {
		return nil, Issued{}, err
	}
	to, err := parcel.ParseMachine(in.Machine)
	if err != nil {
		return nil, Issued{}, err
	}
	now := s.Now()
	h := parcel.Head{ID: s.DB.ID(), Origin: s.Origin, Issued: now, Ends: now.Add(in.Life)}
	if in.Life <= 0 || in.Life > parcel.MaxLife || len(sels) == 0 || len(sels) > parcel.MaxNames { // before anything is read
		return nil, Issued{}, fault.New(fault.Invalid, "bundle_wish", fault.Public{Problem: "A bundle holds 1 to 200 values, for seven days at most.", Next: "Choose fewer names, or a shorter life."})
	}
	found, missing, err := s.Values.GetMany(ctx, who, sels, vault.Read{Decrypt: true, Reason: strings.TrimSpace("for a bundle; " + in.Reason)})
	if err != nil {
		return nil, Issued{}, err
	}
	if len(missing) > 0 {
		return nil, Issued{}, fault.New(fault.NotFound, "param_unknown", fault.Public{Problem: "There is no parameter " + missing[0].Name + missing[0].String() + ".", Next: "Look at the list of names."})
	}
	var vs []parcel.Value
	for _, f := range found {
		h.Names = append(h.Names, f.Name+":"+strconv.FormatInt(f.Version, 10))
		vs = append(vs, parcel.Value{Name: f.Name, Text: f.Text})
	}
	k, err := s.key(ctx)
	if err != nil {
		return nil, Issued{}, err
	}
	text, h, err := parcel.Seal(h, vs, to, k)
	if err != nil {
		return nil, Issued{}, err
	}
	out := Issued{ID: h.ID, Machine: h.Machine, Names: h.Names, Issuer: who.String(), Made: h.Issued, Ends: h.Ends}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, insertBundle, out.ID, vault.TeamOf(who), out.Machine, strings.Join(out.Names, "\n"), out.Issuer, us(out.Made), us(out.Ends))
		return BundleIssued{Bundle: out.ID, Machine: out.Machine, Names: out.Names, Ends: out.Ends}, err
	})
	if err != nil {
		return nil, Issued{}, fmt.Errorf("record the bundle: %w", err)
	}
	return text, out, nil
}

// Bundles lists those of the team, the newest first.
func (s *Service) Bundles(ctx context.Context, who actor.Actor) ([]Issued, error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return nil, err
	}
	return s.find(ctx, selectBundles+` WHERE team = $1 ORDER BY issued DESC, id LIMIT 500`, vault.TeamOf(who))
}

func (s *Service) find(ctx context.Context, query string, args ...any) (out []Issued, err error) {
	err = s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var b Issued
		var names string
		var made, ends, revoked, seen int64
		if err := scan(&b.ID, &b.Machine, &names, &b.Issuer, &made, &ends, &revoked, &b.Used, &seen); err != nil {
			return err
		}
		b.Names, b.Made, b.Ends, b.Revoked, b.Seen = strings.Split(names, "\n"), at(made), at(ends), at(revoked), at(seen)
		out = append(out, b)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("list bundles: %w", err)
	}
	return out, nil
}

// Revoke ends a bundle for machines that report after it. One that stays away opens it
// until its end.
func (s *Service) Revoke(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.VaultWrite, "param/"); err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, revokeBundle, id, vault.TeamOf(who), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "bundle_unknown", fault.Public{Problem: "There is no live bundle of that id.", Next: "Look at the list: writ vault bundle list."})
		}
		return BundleRevoked{Bundle: id}, err
	})
	if err != nil {
		return fmt.Errorf("revoke the bundle: %w", err)
	}
	return nil
}

// Use is that a machine opened a bundle while the server was away.
type Use struct {
	Bundle string
	At     time.Time // by the machine's clock
	Path   string
	Count  int64
	Host   string
}

// maxUses is how many are reported in one call.
const maxUses = 100

// Report takes the uses of a machine into the record, and answers which bundles it must not
// open any more.
func (s *Service) Report(ctx context.Context, who actor.Actor, uses []Use) (revoked []string, err error) { // clause: vault.access-logged
	if err := s.Access.Allow(ctx, who, access.VaultRead, "param/"); err != nil {
		return nil, err
	}
	if len(uses) > maxUses {
		return nil, fault.Newf(fault.Invalid, "uses_many", "One report has at most %d uses.", maxUses)
	}
	for _, u := range uses {
		if len(u.Path) > 1011 || len(u.Host) > 100 || len(u.Bundle) > 64 || u.Count < 0 {
			return nil, fault.Newf(fault.Invalid, "use_form", "A use is not as writ run notes it.")
		}
		_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, useBundle, u.Bundle, vault.TeamOf(who), us(u.At))
			if err == nil && n == 0 {
				err = fault.New(fault.NotFound, "bundle_unknown", fault.Public{Problem: "There is no bundle " + u.Bundle + " of this team.", Next: "Take the line out of the machine's notes."})
			}
			return BundleUsed{Bundle: u.Bundle, Path: u.Path, Count: u.Count, Opened: u.At, Host: u.Host}, err
		})
		if err != nil && fault.KindOf(err) != fault.NotFound { // a bundle that is forgotten must not keep the others from being told
			return nil, fmt.Errorf("record the use of a bundle: %w", err)
		}
	}
	bs, err := s.find(ctx, selectBundles+` WHERE team = $1 AND revoked > 0 AND ends > $2 ORDER BY id LIMIT 500`, vault.TeamOf(who), us(s.Now()))
	for _, b := range bs {
		revoked = append(revoked, b.ID)
	}
	return revoked, err
}

func us(t time.Time) int64 { return t.UnixMicro() }

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

const (
	insertBundle  = `INSERT INTO vault_bundle (id, team, machine, names, issuer, issued, ends, revoked, used, seen) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0)`
	selectBundles = `SELECT id, machine, names, issuer, issued, ends, revoked, used, seen FROM vault_bundle`
	revokeBundle  = `UPDATE vault_bundle SET revoked = $3 WHERE id = $1 AND team = $2 AND revoked = 0 AND ends > $3`
	useBundle     = `UPDATE vault_bundle SET used = used + 1, seen = CASE WHEN seen < $3 THEN $3 ELSE seen END WHERE id = $1 AND team = $2`
)
