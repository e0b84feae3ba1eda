package policy_test

import (
	"context"
	"errors"
	"testing"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
)

// A revision under which fewer than two owners could sign in is refused, unless it is no
// worse than what is in force.
//
// breaks: access.mfa-by-technology
func TestOwnersCanStillSignIn(t *testing.T) {
	const key = "access.mfa-by-technology/min_factor"
	w := blankWorld(t, "sqlite")
	with := map[any]int{"any": 3, "phishing-resistant": 1} // who could sign in
	away := errors.New("the table is away")
	w.able = func(_ context.Context, v clause.Values, _ []string) (int, error) { return with[v[key]], away }
	w.wire()
	w.begin(shipped(t, nil))
	strict := policy.Draft{Policy: edit(t, w.doc, word(key, "phishing-resistant")), Summary: "Passkeys"}
	if _, err := w.s.Propose(t.Context(), person("eve"), strict); !errors.Is(err, fault.Unavailable) {
		t.Errorf("when it cannot be told: %v", err)
	}
	away = nil
	_, err := w.s.Propose(t.Context(), person("eve"), strict)
	if code, _ := fault.PublicOf(err); !errors.Is(err, fault.Conflict) || code != "last_owner" {
		t.Errorf("one owner with a passkey: %v", err)
	}
	with["phishing-resistant"] = 2
	if _, err := w.s.Propose(t.Context(), person("eve"), strict); err != nil {
		t.Errorf("two owners: %v", err)
	}
	with["any"], with["phishing-resistant"] = 1, 1 // an owner lost the key meanwhile
	title, ps := document.Fill(w.doc, document.Header{Title: "Another title"})
	if title == nil {
		t.Fatal(document.Refusal(ps))
	}
	if _, err := w.s.Propose(t.Context(), person("eve"), policy.Draft{Policy: title, Summary: "A title", Version: document.Version{}.Next().NextMajor()}); err != nil {
		t.Errorf("a revision that makes nothing worse: %v", err)
	}
}
