package policy

import (
	"fmt"
	"slices"

	"writ/internal/policy/document"
)

// merge adds to base what the template has and base lacks: clauses, and parameters with
// the sentence that shows them. What base says already stays as it is.
func merge(base, template *document.Policy) (*document.Policy, error) {
	out, err := document.FromCanonical(base.Canonical()) // a copy
	if err != nil {
		return nil, fmt.Errorf("copy the revision: %w", err)
	}
	for _, ts := range template.Sections {
		var lacking []document.Clause
		for _, tc := range ts.Clauses {
			c, ok := out.Clause(tc.ID)
			if !ok {
				lacking = append(lacking, tc)
				continue
			}
			complete(c, tc)
		}
		if len(lacking) == 0 {
			continue
		}
		i := slices.IndexFunc(out.Sections, func(s document.Section) bool { return s.ID == ts.ID })
		if i < 0 {
			ts.Clauses = lacking
			out.Sections = append(out.Sections, ts)
		} else {
			out.Sections[i].Clauses = append(out.Sections[i].Clauses, lacking...)
		}
		// The index of out is stale for the clauses moved by append; copy again.
		if out, err = document.FromCanonical(out.Canonical()); err != nil {
			return nil, fmt.Errorf("add section %s: %w", ts.ID, err)
		}
	}
	return document.FromCanonical(out.Canonical())
}

// complete adds the template's parameters that c lacks, and then its sentence.
func complete(c *document.Clause, tc document.Clause) {
	added := false
	for _, a := range tc.Params {
		if _, ok := c.Param(a.Name); !ok {
			c.Params = append(c.Params, a)
			added = true
		}
	}
	if added {
		c.Says = tc.Says
	}
}
