package vault

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The limits of labels and tags.
const (
	maxLabels   = 10 // of one version
	maxTags     = 50 // of one parameter
	maxTagName  = 128
	maxTagValue = 256
)

var labelForm = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.\-]{0,99}$`)

// goodLabel reports whether a text can be a label: no number, and not of the provider's.
func goodLabel(l string) bool {
	low := strings.ToLower(l)
	return labelForm.MatchString(l) && !strings.HasPrefix(low, "aws") && !strings.HasPrefix(low, "ssm")
}

// Label points labels at a version (0 = the newest), taking them from others. It says
// which ones cannot be labels; those that can are set.
func (s *Service) Label(ctx context.Context, who actor.Actor, name string, version int64, labels []string) (bad []string, on int64, err error) {
	if name, err = s.named(ctx, who, access.VaultWrite, name); err != nil {
		return nil, 0, err
	}
	var good []string
	for _, l := range labels {
		if goodLabel(l) {
			good = append(good, l)
		} else {
			bad = append(bad, l)
		}
	}
	slices.Sort(good)
	good = slices.Compact(good)
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := s.versionFor(ctx, tx, teamOf(who), name, version)
		if err != nil {
			return nil, err
		}
		on = p.Version
		for _, l := range good {
			if _, err := tx.Exec(ctx, putLabel, p.ID, l, on); err != nil {
				return nil, err
			}
		}
		var n int64
		if err := ledger.One(ctx, tx, countLabels, []any{&n}, p.ID, on); err != nil {
			return nil, err
		}
		if n > maxLabels {
			return nil, fault.Newf(fault.Limited, "labels_full", "A version can have a maximum of %d labels. Move one or more labels to another version and try again.", maxLabels)
		}
		return ParamLabelled{Param: p.ID, Name: name, Version: on, Labels: good}, nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("label version: %w", err)
	}
	return bad, on, nil
}

// Unlabel takes labels from a version, and says which ones it did not have.
func (s *Service) Unlabel(ctx context.Context, who actor.Actor, name string, version int64, labels []string) (removed, bad []string, err error) {
	if name, err = s.named(ctx, who, access.VaultWrite, name); err != nil {
		return nil, nil, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		removed, bad = nil, nil
		p, err := s.versionFor(ctx, tx, teamOf(who), name, version)
		if err != nil {
			return nil, err
		}
		for _, l := range labels {
			n, err := tx.Exec(ctx, dropLabel, p.ID, l, p.Version)
			if err != nil {
				return nil, err
			}
			if n == 1 {
				removed = append(removed, l)
			} else {
				bad = append(bad, l)
			}
		}
		return ParamLabelled{Param: p.ID, Name: name, Version: p.Version, Labels: removed, Removed: true}, nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("unlabel version: %w", err)
	}
	return removed, bad, nil
}

// versionFor is the parameter with the version asked for, which must be there.
func (s *Service) versionFor(ctx context.Context, tx *ledger.Tx, team, name string, version int64) (Param, error) {
	p, err := readParam(ctx, tx, team, name)
	if err != nil || version == 0 {
		return p, err
	}
	var n int64
	if err := ledger.One(ctx, tx, countVersion, []any{&n}, p.ID, version); err != nil {
		return Param{}, err
	}
	if n == 0 {
		return Param{}, errNoVersion(name, strconv.FormatInt(version, 10))
	}
	p.Version = version
	return p, nil
}

// labelsOf are the labels of a parameter's versions, sorted.
func labelsOf(ctx context.Context, r ledger.Reader, param string) (map[int64][]string, error) {
	out := map[int64][]string{}
	err := r.Each(ctx, selectLabels, func(scan ledger.Scan) error {
		var l string
		var v int64
		if err := scan(&l, &v); err != nil {
			return err
		}
		out[v] = append(out[v], l)
		return nil
	}, param)
	for _, ls := range out {
		slices.Sort(ls)
	}
	return out, err
}

// Tag is a word about a parameter, for whoever looks for it.
type Tag struct{ Name, Value string }

// SetTags adds tags to a parameter, or changes those of the same names.
func (s *Service) SetTags(ctx context.Context, who actor.Actor, name string, tags []Tag) error {
	return s.changeTags(ctx, who, name, ParamTagged{Tags: tagNames(tags)}, func(tx *ledger.Tx, param string) error {
		return putTags(ctx, tx, param, tags)
	})
}

// DropTags removes tags by their names.
func (s *Service) DropTags(ctx context.Context, who actor.Actor, name string, names []string) error {
	return s.changeTags(ctx, who, name, ParamTagged{Tags: names, Removed: true}, func(tx *ledger.Tx, param string) error {
		for _, n := range names {
			if _, err := tx.Exec(ctx, dropTag, param, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) changeTags(ctx context.Context, who actor.Actor, name string, ev ParamTagged, change func(*ledger.Tx, string) error) error {
	name, err := s.named(ctx, who, access.VaultWrite, name)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := readParam(ctx, tx, teamOf(who), name)
		if err != nil {
			return nil, err
		}
		ev.Param, ev.Name = p.ID, name
		return ev, change(tx, p.ID)
	})
	if err != nil {
		return fmt.Errorf("change tags: %w", err)
	}
	return nil
}

// Tags lists a parameter's tags by name.
func (s *Service) Tags(ctx context.Context, who actor.Actor, name string) ([]Tag, error) {
	name, err := s.named(ctx, who, access.VaultList, name)
	if err != nil {
		return nil, err
	}
	p, err := readParam(ctx, s.DB, teamOf(who), name)
	if err != nil {
		return nil, err
	}
	return tagsOf(ctx, s.DB, p.ID)
}

func tagNames(ts []Tag) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.Name)
	}
	return out
}

func putTags(ctx context.Context, tx *ledger.Tx, param string, tags []Tag) error {
	for _, t := range tags {
		if t.Name == "" || len(t.Name) > maxTagName || len(t.Value) > maxTagValue || strings.HasPrefix(strings.ToLower(t.Name), "aws:") {
			return fault.New(fault.Invalid, "tag_invalid", fault.Public{Problem: "A tag cannot be named or valued like that.", Expected: "A name of 1 to 128 characters that does not begin with aws:, and a value of at most 256."})
		}
		if _, err := tx.Exec(ctx, putTag, param, t.Name, t.Value); err != nil {
			return err
		}
	}
	if len(tags) == 0 {
		return nil
	}
	var n int64
	if err := ledger.One(ctx, tx, countTags, []any{&n}, param); err != nil {
		return err
	}
	if n > maxTags {
		return fault.Newf(fault.Limited, "tags_full", "A parameter can have a maximum of %d tags.", maxTags)
	}
	return nil
}

func tagsOf(ctx context.Context, r ledger.Reader, param string) ([]Tag, error) {
	var out []Tag
	err := r.Each(ctx, selectTags, func(scan ledger.Scan) error {
		var t Tag
		if err := scan(&t.Name, &t.Value); err != nil {
			return err
		}
		out = append(out, t)
		return nil
	}, param)
	slices.SortFunc(out, func(a, b Tag) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

const (
	putLabel     = `INSERT INTO vault_label (param, label, version) VALUES ($1, $2, $3) ON CONFLICT (param, label) DO UPDATE SET version = EXCLUDED.version`
	dropLabel    = `DELETE FROM vault_label WHERE param = $1 AND label = $2 AND version = $3`
	countLabels  = `SELECT COUNT(*) FROM vault_label WHERE param = $1 AND version = $2`
	countVersion = `SELECT COUNT(*) FROM vault_version WHERE param = $1 AND version = $2`
	selectLabels = `SELECT label, version FROM vault_label WHERE param = $1`
	putTag       = `INSERT INTO vault_tag (param, name, value) VALUES ($1, $2, $3) ON CONFLICT (param, name) DO UPDATE SET value = EXCLUDED.value`
	dropTag      = `DELETE FROM vault_tag WHERE param = $1 AND name = $2 AND name <> '` + plantedTag + `'`
	countTags    = `SELECT COUNT(*) FROM vault_tag WHERE param = $1 AND name <> '` + plantedTag + `'`
	selectTags   = `SELECT name, value FROM vault_tag WHERE param = $1 AND name <> '` + plantedTag + `'`
)
