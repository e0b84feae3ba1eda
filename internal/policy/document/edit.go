package document

import (
	"maps"
	"slices"
	"strings"

	"writ/internal/canon"
)

// Apply returns a copy of the policy with other literals for some parameters, named
// "clause/param". The old policy stays as it is. On any problem there is no policy.
func Apply(p *Policy, edits map[string]Literal) (*Policy, []Problem) {
	out, err := FromCanonical(p.Canonical())
	if err != nil {
		return nil, []Problem{{Found: "a policy that cannot be copied", Expected: "a policy from Load", Severity: Error}}
	}
	r := &reader{}
	for _, key := range slices.Sorted(maps.Keys(edits)) {
		a, ok := out.Param(key)
		if !ok {
			r.at = key
			r.refuseNear(position{}, "no parameter "+quote(key), "a parameter of the policy", nearest(key, out.keys()))
			continue
		}
		r.within(key, func() { r.edit(a, edits[key]) })
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return out, nil
}

// edit reads a literal the way Load reads one from a file.
func (r *reader) edit(a *Param, l Literal) {
	n := r.fromAny(literalAny(l))
	if len(r.problems) > 0 {
		return
	}
	lit, ok := r.literal(n, a.Type)
	if !ok {
		return
	}
	read, value, err := a.parse(lit)
	if r.wrong(position{}, err); err == nil {
		a.Literal, a.Value = read, value
	}
}

func literalAny(l Literal) any {
	switch {
	case l.Rows != nil:
		table := make([]any, len(l.Rows))
		for i, row := range l.Rows {
			table[i] = anys(row)
		}
		return table
	case l.List != nil:
		return anys(l.List)
	}
	return l.Text
}

func (p *Policy) keys() []string {
	var keys []string
	for c, a := range p.Params() {
		keys = append(keys, c.Key(a.Name))
	}
	return keys
}

// Fill returns a copy of the policy with another header; an empty field of h keeps
// what the policy has.
func Fill(p *Policy, h Header) (*Policy, []Problem) {
	tree := p.tree()
	head := tree["policy"].(map[string]any)
	for key, v := range map[string]string{"id": h.ID, "title": h.Title, "contact": h.Contact, "author": h.Author} {
		put(head, key, v)
	}
	if len(h.Owners) > 0 {
		owners := slices.Clone(h.Owners)
		slices.Sort(owners)
		head["owners"] = anys(owners)
	}
	b, err := canon.Encode(tree)
	if err != nil {
		return nil, []Problem{{At: "policy", Found: "text that is not in normal form NFC", Expected: "composed characters", Severity: Error}}
	}
	v, err := canon.Parse(b, 4*maxFile)
	if err != nil {
		return nil, []Problem{{At: "policy", Found: strings.TrimSpace(err.Error()), Expected: "a header", Severity: Error}}
	}
	return fromTree(v)
}
