package vault

import (
	"cmp"
	"context"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
)

// Search says which parameters are looked for; empty fields match all. Values are not
// looked at: whoever may search may not read.
type Search struct {
	Path          string // "" = everything
	Name          string // some of it, in any case
	Types         []string
	Tags          map[string]string // "" = of any value
	Owner, Clause string
	Critical      bool
	Sensitive     bool
	Due           bool      // for another value, by its rotation
	ChangedBefore time.Time // not since
	ChangedAfter  time.Time
	MadeBefore    time.Time
	MadeAfter     time.Time
	ReadBefore    time.Time // not since; what was never read counts from when it was made
	ReadAfter     time.Time
}

// Described is a parameter with what holds for its name.
type Described struct {
	Param
	About
	Due  time.Time // for another value; zero = never
	Read time.Time // when it was last given to anybody; zero = never
}

// Search looks for parameters, in the order of their names.
func (s *Service) Search(ctx context.Context, who actor.Actor, f Search, page Page) ([]Described, string, error) {
	path, err := s.pathed(ctx, who, access.VaultList, cmp.Or(f.Path, PathOf(who)))
	if err != nil {
		return nil, "", err
	}
	for _, t := range f.Types {
		if Type(t) != String && Type(t) != StringList && Type(t) != SecureString {
			return nil, "", fault.Newf(fault.Invalid, "type_unknown", "The type %q is not one of String, StringList and SecureString.", t)
		}
	}
	all, err := abouts(ctx, s.DB, teamOf(who))
	if err != nil {
		return nil, "", err
	}
	q := Query{Path: path, Recursive: true, Types: Match{Values: f.Types}, Tags: map[string]Match{}, also: func(p Param) bool { return f.matches(p, aboutIn(all, p.Name), s.Now()) }}
	if !f.ReadBefore.IsZero() || !f.ReadAfter.IsZero() {
		q.then = func(ctx context.Context, p Param) (bool, error) {
			read, err := s.lastRead(ctx, p.ID)
			return f.readThen(p, read), err
		}
	}
	for name, v := range f.Tags {
		if q.Tags[name] = (Match{}); v != "" {
			q.Tags[name] = Match{Values: []string{v}}
		}
	}
	ps, next, err := s.find(ctx, teamOf(who), q, page)
	if err != nil {
		return nil, "", err
	}
	var out []Described
	for _, p := range ps {
		a := aboutIn(all, p.Name)
		read, err := s.lastRead(ctx, p.ID)
		if err != nil {
			return nil, "", err
		}
		out = append(out, Described{p, a, a.due(p), read})
	}
	return out, next, nil
}

// due is when a parameter wants another value.
func (a About) due(p Param) time.Time {
	if a.Rotation == 0 {
		return time.Time{}
	}
	return p.Changed.AddDate(0, 0, int(a.Rotation))
}

// readThen reports whether it was last read when the search wants.
func (f Search) readThen(p Param, read time.Time) bool {
	since := read
	if p.Made.After(since) {
		since = p.Made
	}
	return (f.ReadBefore.IsZero() || since.Before(f.ReadBefore)) && (f.ReadAfter.IsZero() || read.After(f.ReadAfter))
}

func (f Search) matches(p Param, a About, now time.Time) bool {
	due := a.due(p)
	switch {
	case f.Name != "" && !strings.Contains(strings.ToLower(p.Name), strings.ToLower(f.Name)),
		f.Owner != "" && a.Owner != f.Owner, f.Clause != "" && a.Clause != f.Clause,
		f.Critical && !a.Critical, f.Sensitive && !a.Sensitive, f.Due && (due.IsZero() || due.After(now)),
		!f.ChangedBefore.IsZero() && !p.Changed.Before(f.ChangedBefore), !f.ChangedAfter.IsZero() && !p.Changed.After(f.ChangedAfter),
		!f.MadeBefore.IsZero() && !p.Made.Before(f.MadeBefore), !f.MadeAfter.IsZero() && !p.Made.After(f.MadeAfter):
		return false
	}
	return true
}
