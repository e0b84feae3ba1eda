package transfer

import (
	"context"
	"errors"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Values is what this package needs of vault.Service.
type Values interface {
	Plan(ctx context.Context, who actor.Actor, puts []vault.Put) ([]vault.Planned, error)
	PutMany(ctx context.Context, who actor.Actor, form string, puts []vault.Put) error
	Everything(ctx context.Context, who actor.Actor, path, reason string) ([]vault.Named, error)
}

// Access decides and records refusals.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Deps are what a Service is made of. All are needed.
type Deps struct {
	DB     *ledger.DB
	Values Values
	Access Access
	Now    func() time.Time
}

// Service is the module. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Values == nil || d.Access == nil || d.Now == nil {
		return nil, errors.New("transfer: a dependency is missing")
	}
	return &Service{d}, nil
}

// Import is a file, and how it is to be taken.
type Import struct {
	Form, Path string
	Text       secret.Text
	Overwrite  bool // a name that is there gets a new version
	Plain      bool // new names become settings, not secrets
	Dry        bool // say what would be done
}

// Result is what became of a row, or would.
type Result struct {
	Key, Name string
	Does      string // new, version, refused
	Version   int64
	Problem   string
}

// The words of Result.Does.
const (
	doesNew     = "new"
	doesVersion = "version"
	doesRefused = "refused"
)

// Import writes all values of a file, or none; which would be refused is said row by row.
func (s *Service) Import(ctx context.Context, who actor.Actor, in Import) (rows []Result, done bool, err error) { // clause: vault.secret-home
	if err := s.Access.Allow(ctx, who, access.VaultWrite, "param/"); err != nil {
		return nil, false, err
	}
	read, err := Read(in.Form, in.Path, in.Text)
	if err != nil {
		return nil, false, err
	}
	if len(read) > vault.MaxMany {
		return nil, false, fault.New(fault.Invalid, "import_many", fault.Public{Problem: "The file has more than 100 values, and all are written together.", Next: "Split it by path."})
	}
	var puts []vault.Put
	for _, r := range read {
		p := vault.Put{Name: r.Name, Value: r.Value, New: vault.SecureString, Overwrite: in.Overwrite, Tier: vault.Intelligent}
		if in.Plain {
			p.New = vault.String
		}
		if r.Type != "" {
			p.New = r.Type
		}
		if r.Problem != "" && r.Name == "" {
			p.Name = "/unnamed" // its own problem is told, not that of its name
		}
		puts = append(puts, p)
	}
	plan, err := s.Values.Plan(ctx, who, puts)
	if err != nil {
		return nil, false, err
	}
	good := true
	for i, r := range read {
		res := Result{Key: r.Key, Name: r.Name, Does: doesVersion, Version: plan[i].Version, Problem: r.Problem}
		if plan[i].Version == 1 {
			res.Does = doesNew
		}
		if res.Problem == "" && plan[i].Err != nil {
			_, p := fault.PublicOf(plan[i].Err)
			res.Problem = p.Problem
		}
		if res.Problem != "" {
			res.Does, res.Version, good = doesRefused, 0, false
		}
		rows = append(rows, res)
	}
	if in.Dry || !good {
		return rows, false, nil
	}
	return rows, true, s.Values.PutMany(ctx, who, in.Form, puts)
}
