package policy_test

import (
	"errors"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
	"writ/internal/policy/template"
)

const table = "access.roles/roles"

// edited is a policy with another table of roles.
func edited(t *testing.T, p *document.Policy, edit func(row []string) []string) *document.Policy {
	t.Helper()
	a, ok := p.Param(table)
	if !ok {
		t.Fatal("no table of roles")
	}
	var rows [][]string
	for _, row := range a.Literal.Rows {
		if row = edit(append([]string{}, row...)); row != nil {
			rows = append(rows, row)
		}
	}
	q, ps := document.Apply(p, map[string]document.Literal{table: {Rows: rows}})
	if q == nil {
		t.Fatal(document.Refusal(ps))
	}
	return q
}

// The table is the configuration: what a revision says counts for the next request, and
// what would break the law is refused when proposed.
//
// breaks: access.roles
func TestTableOfRolesGoverns(t *testing.T) {
	w := blankWorld(t, "sqlite")
	w.ruled = true
	w.wire()
	w.begin(shipped(t, nil))
	doc, err := w.s.Document("1.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func(row []string) []string
		says string
	}{
		"an unknown action": {func(r []string) []string { r[2] += " policy.forget"; return r }, `no action "policy.forget"`},
		"no owner":          {func(r []string) []string { return map[bool][]string{false: r}[r[0] == "owner"] }, "no owner could sign"},
	} {
		_, err := w.s.Propose(ctx, person("eve"), policy.Draft{Policy: edited(t, doc, c.edit), Summary: "Roles anew"})
		if _, pub := fault.PublicOf(err); !errors.Is(err, fault.Invalid) || !strings.Contains(pub.Problem, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := w.propose("eve", policy.Draft{Policy: edited(t, doc, func(r []string) []string {
		if r[0] == "engineer" {
			r[2] = "policy.read"
		}
		return r
	}), Summary: "Engineers read only"})
	w.mustSign(q, "ben", policy.ByOwner)
	w.mustSign(q, "cid", policy.ByOwner)
	_, err = w.s.Propose(ctx, person("eve"), policy.Draft{Policy: doc, Summary: "And back"})
	if !errors.Is(err, fault.Denied) {
		t.Errorf("an engineer still proposes: %v", err)
	}
}

// A revision of before the table named actions still starts: the shipped table holds, and
// the proposal from the template brings the column.
//
// breaks: access.roles
func TestOlderTableOfRolesStarts(t *testing.T) {
	text := string(template.YAML())
	older := strings.Replace(text, ", {name: actions, type: text}, {name: tags, type: text}]", "]", 1)
	lines := strings.Split(older, "\n")
	for i, l := range lines {
		if s := strings.TrimSpace(l); strings.HasPrefix(s, "- [") && (strings.HasSuffix(s, `", none]`) || strings.HasSuffix(s, `", hosting]`)) {
			lines[i] = l[:strings.LastIndex(l, `, "`)] + "]"
		}
	}
	older = strings.Join(lines, "\n")
	p, ps := document.Load([]byte(older), document.Shipped())
	if p == nil {
		t.Fatal(document.Refusal(ps))
	}
	p, _ = document.Fill(p, header())
	if a, _ := p.Param(table); len(a.Columns) != 2 {
		t.Fatal("the template has changed; mend this test")
	}
	w := blankWorld(t, "sqlite")
	w.ruled = true
	w.wire()
	w.begin(shipped(t, nil))
	w.rewriteBootstrap(p, document.HashBody(p.Canonical()))
	w.wire()
	w.start()
	if why := w.s.Unbound()["access.roles"]; !strings.Contains(why, "2 columns") {
		t.Errorf("access.roles is not shown unbound: %q", why)
	}
	q := w.propose("eve", policy.Draft{Template: true, Summary: "What the new version brings"})
	if !strings.Contains(string(q.Body()), "policy.approve-exception") {
		t.Errorf("the proposal lacks the actions: %s", q.Changes)
	}
	w.mustSign(q, "ben", policy.ByOwner)
	w.mustSign(q, "cid", policy.ByOwner)
	if len(w.s.Unbound()) != 0 {
		t.Errorf("still unbound: %v", w.s.Unbound())
	}
}
