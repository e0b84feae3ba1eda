package journal_test

import (
	"errors"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
)

// Hidden values are about people; a session that shares opened reads entries without them.
// breaks: access.least-privilege
func TestEmergencyOpensNothing(t *testing.T) {
	j := build(t, ledgertest.Open(t, journal.Schema()))
	glass := actor.Actor{Kind: actor.BreakGlass, ID: "g-1", Session: "g-1", TeamKind: "staff", Roles: []string{"owner"}, Via: "https"}
	e := journal.Entry{N: 1, Fields: []journal.Field{{Name: "address", State: journal.Hidden}}}
	if err := j.Open(t.Context(), glass, &e); !errors.Is(err, fault.Denied) || e.Fields[0].State != journal.Hidden {
		t.Errorf("%v, %+v", err, e.Fields)
	}
}
