package watch_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/watch"
	"writ/internal/watch/watchtest"
)

// A crowd of people who are seen once puts none of those who are seen most out of memory, which holds
// no more than before; who is not seen any more goes when two days are over.
func TestSeenMostStay(t *testing.T) { // breaks: mon.abnormal
	k := ledgertest.Open(t, jobs.Schema(), notify.Schema(), watch.Schema())
	_, err := k.Ring.Ensure(t.Context(), keyring.Person("all"))
	must(t, err)
	s := benchOver(t, k, oneKey{k.Ring, keyring.Person("all")})
	const most, regulars = 3000, 200
	s.Crowd(most)
	see := func(id string) {
		s.Answered(answered(k.Clock.Now(), person(id, "t"), "10.0.0.0/24", browsers[0], 0, 1))
	}
	drain := func() { must(t, s.DrainRequests(t.Context())) }
	visitors := 0
	crowd := func(n int) {
		for i := range n {
			visitors++
			if see(fmt.Sprint("visitor-", visitors)); i%1000 == 999 {
				drain()
			}
		}
		drain()
	}
	// in memory is who is known though there are no rows.
	inMemory := func() (n int) {
		must(t, s.KeepHabits(t.Context()))
		must(t, k.DB.Quiet(t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM watch_principal`)
			return err
		}))
		for i := range regulars {
			_, found, err := s.Habits(t.Context(), fmt.Sprint("regular-", i))
			if must(t, err); found {
				n++
			}
		}
		_, l, err := s.Usuals(t.Context(), watchtest.Operator)
		if must(t, err); l.People > most {
			t.Errorf("%d people are in memory, of at most %d", l.People, most)
		}
		return n
	}
	for range 20 {
		for i := range regulars {
			see(fmt.Sprint("regular-", i))
		}
		drain()
	}
	crowd(9000)
	if n := inMemory(); n != regulars {
		t.Errorf("%d of %d who are seen most are in memory after a crowd", n, regulars)
	}
	k.Clock.Advance(24 * time.Hour)
	crowd(3500)
	if n := inMemory(); n != regulars {
		t.Errorf("%d of %d who were seen most yesterday are in memory after another crowd", n, regulars)
	}
	k.Clock.Advance(24 * time.Hour)
	crowd(6500)
	if n := inMemory(); n != 0 {
		t.Errorf("%d who were not seen for two days are in memory yet", n)
	}
}
