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
		have, ok := c.Param(a.Name)
		if !ok {
			c.Params = append(c.Params, a)
			added = true
			continue
		}
		widen(have, &a)
	}
	if added {
		c.Says = tc.Says
	}
}

// widen gives a table the columns that a newer template has after those it has itself,
// with the template's cells in the rows that both have. A row that the template does not
// have has no cells to take, and then the table stays as it is: its owners fill it in.
func widen(have, tmpl *document.Param) {
	n := len(have.Columns)
	if have.Type != document.Table || tmpl.Type != document.Table || n >= len(tmpl.Columns) || !slices.Equal(have.Columns, tmpl.Columns[:n]) {
		return
	}
	cells := map[string][]string{}
	for _, row := range tmpl.Literal.Rows {
		cells[row[0]] = row[n:]
	}
	var rows, values [][]string
	for i, row := range have.Literal.Rows {
		more, ok := cells[row[0]]
		if !ok {
			return
		}
		rows = append(rows, slices.Concat(row, more))
		values = append(values, slices.Concat(have.Value.([][]string)[i], more))
	}
	have.Columns, have.Literal.Rows, have.Value = slices.Clone(tmpl.Columns), rows, values
}
