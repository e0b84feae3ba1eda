package check_test

import (
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/ledger"
)

// A stored result that was edited, replaced or removed is no evidence.
func TestEditedResultIsUnknown_regression(t *testing.T) {
	for name, queries := range map[string][]string{
		"outcome":    {`UPDATE policy_result SET outcome = 'pass'`},
		"life":       {`UPDATE policy_result SET valid_until = valid_until + 86400000000`},
		"older pass": {`UPDATE policy_latest SET result = (SELECT MIN(id) FROM policy_result)`},
		"a new one": {`INSERT INTO policy_result (id, control, clause, kind, revision, values_hash, observed, valid_until, outcome, summary, population, entry)
			SELECT 'zzz', control, clause, kind, revision, values_hash, observed, valid_until, 'pass', summary, population, entry FROM policy_result WHERE outcome = 'fail'`,
			`UPDATE policy_latest SET result = 'zzz'`},
		"gone": {`DELETE FROM policy_latest`},
	} {
		t.Run(name, func(t *testing.T) {
			k := &knob{res: clause.Passed("none")}
			b := newBench(t, nil, k.control())
			b.tick()
			k.turn(clause.Failed("one of 25h"), nil)
			b.kit.Clock.Advance(2 * time.Hour)
			b.tick()
			b.is(clause.Fail, "25h")
			err := b.kit.DB.Quiet(ctx, ledger.Cursor, func(tx *ledger.Tx) error {
				for _, q := range queries {
					if _, err := tx.Exec(ctx, q); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			b.is(clause.Unknown, "changed outside of Writ")
			b.kit.Clock.Advance(2 * time.Hour)
			b.tick()
			b.is(clause.Fail, "25h")
		})
	}
}

// A clock that was set back does not silence the checks until it has caught up.
func TestClockSetBackRunsAgain_regression(t *testing.T) {
	k := &knob{res: clause.Passed("none")}
	b := newBench(t, nil, k.control())
	b.tick()
	b.kit.Clock.Advance(-24 * time.Hour)
	b.is(clause.Stale, "ahead of the clock")
	k.turn(clause.Failed("one of 25h"), nil)
	b.tick()
	b.is(clause.Fail, "25h")
	b.kit.Clock.Advance(-24 * time.Hour)
	b.tick() // the same failure, seen at another time
	b.is(clause.Fail, "25h")
	if k.n != 3 {
		t.Errorf("ran %d times", k.n)
	}
}
