package holders_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/ledger/ledgertest"
	"writ/internal/seal"
	"writ/internal/vault/holders"
)

// anyKey takes every passkey.
type anyKey struct{}

func (anyKey) Ask(string, []byte) ([]byte, json.RawMessage, error) {
	return []byte("c"), json.RawMessage(`{}`), nil
}
func (anyKey) Judge([]byte, []byte) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }

// A question to a browser is answered within five minutes, and once.
func TestQuestionOfAPasskeyEnds(t *testing.T) { // breaks: people.no-sole-holder
	w := open(t, ledgertest.Open(t, tables...))
	w.svc.Enroller = anyKey{}
	if _, err := w.svc.Appoint(t.Context(), owner("ana"), []string{"ana"}); err != nil {
		t.Fatal(err)
	}
	ask := func() {
		t.Helper()
		if _, _, err := w.svc.AskPasskey(t.Context(), owner("ana")); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(code string) {
		t.Helper()
		refused(t, w.svc.EnrolPasskey(t.Context(), owner("ana"), nil, "!", "!"), code)
	}
	answer("flow_over")
	ask()
	w.kit.Clock.Advance(5*time.Minute - time.Second)
	answer("holder_key") // in time: it is looked at
	answer("flow_over")
	ask()
	w.kit.Clock.Advance(5 * time.Minute)
	answer("flow_over")
}

// four makes dev a holder beside the three, all at once.
func (w *world) four() {
	w.t.Helper()
	if _, err := w.svc.Appoint(w.t.Context(), owner("ana"), []string{"ana", "ben", "chloe", "dev"}); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range []string{"ana", "ben", "chloe", "dev"} {
		if w.state().Set != nil {
			w.t.Errorf("the set was made before %s enrolled", n)
		}
		if err := w.enrol(n); err != nil {
			w.t.Fatal(err)
		}
	}
}

// The set waits for everybody who was appointed, and the probe wants every holder here, not
// only as many as open the vault.
func TestEveryHolderCounts(t *testing.T) { // breaks: people.no-sole-holder
	w := open(t, ledgertest.Open(t, tables...))
	w.four()
	w.wants("vault.key-holders", clause.Pass, "2 of 4", "4 can give")
	w.people.gone["dev"] = true
	w.wants("vault.key-holders", clause.Fail, "3 can give")
}

// Another set in boot.json than in the record shows, and nothing is sealed that it would open.
func TestAnotherSetInTheFile(t *testing.T) { // breaks: people.no-sole-holder
	w := open(t, ledgertest.Open(t, tables...))
	w.three()
	w.wants("vault.key-holders", clause.Pass, "3 can give")
	if err := w.file.Change(func(b *seal.Boot) error {
		set := *b.Set
		set.ID = strings.Repeat("0", len(set.ID))
		b.Set = &set
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.wants("vault.key-holders", clause.Fail, "holds another set than the record")
	refused(t, w.svc.Put(t.Context(), owner("ana"), "a thief"), "no_shares")
	if w.sealed != 0 {
		t.Error("it was sealed, and nobody could open it")
	}
}

// As many remain as the policy wants, also where fewer open the vault.
func TestMoreHoldersThanOpen(t *testing.T) { // breaks: people.no-sole-holder
	w := open(t, ledgertest.Open(t, tables...))
	w.policy(clause.Values{"people.no-sole-holder/min_holders": int64(3)})
	w.three()
	refused(t, w.svc.Remove(t.Context(), owner("ana"), "chloe"), "last_but_one")
}

// A set that was prepared and never written to the file is given up; the former one counts.
func TestPreparedSetIsGivenUp(t *testing.T) { // breaks: people.no-sole-holder
	w := open(t, ledgertest.Open(t, tables...))
	w.three()
	was := w.state().Set.ID
	stop := errors.New("stop")
	w.svc.Step(func(step string) error {
		if step == "prepared" {
			return stop
		}
		return nil
	})
	if _, err := w.svc.Reshare(t.Context(), owner("ana")); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	w.alive(w.fileRoot())
	if st := w.state(); st.Set == nil || st.Set.ID != was || len(st.Due) != 0 {
		t.Errorf("the set is %+v, want %s", st.Set, was)
	}
	if n := len(w.kit.Recorded(holders.SetAbandoned{}.About().Name)); n != 1 {
		t.Errorf("%d were given up, want 1", n)
	}
}

// Of two holders at least, whatever the policy says.
func TestRulesOfOne(t *testing.T) { // breaks: people.no-sole-holder
	r := holders.Rules{MinHolders: 1, QuorumNeed: 2, QuorumOf: 3}
	if r.Validate() == nil {
		t.Error("one holder is taken")
	}
	r.MinHolders = 2
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}
