package identity_test

import (
	"database/sql"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// BenchmarkManyPeople compares sign-ins among a thousand people with those among
// WRIT_BENCH_PEOPLE (such as 1000000), each with five live sessions, on PostgreSQL, in
// turns. Hashes are cheap, so that all that is left is what grows. The mark is a ratio of
// at most 1.2. It also says what a start of the large one takes, in time and memory.
func BenchmarkManyPeople(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("WRIT_BENCH_PEOPLE"))
	if err != nil {
		b.Skip("not measured: set WRIT_BENCH_PEOPLE=1000000")
	}
	crowd := func(people int) *world {
		kit := ledgertest.With(b, "postgres", nil, jobs.Schema(), identity.Schema())
		fill(b, kit, people)
		before := heap()
		begin := time.Now()
		w := with(b, kit)
		b.Logf("%d people, %d sessions: loaded in %s, %d in memory, %d MB more heap", people, 5*people, time.Since(begin).Round(time.Millisecond), w.svc.Held(), max(heap()-before, 0)>>20)
		return w
	}
	small, large := crowd(1000), crowd(n)
	took := map[*world][]time.Duration{}
	for _, w := range []*world{small, large} {
		for i := range 20 {
			w.customer(fmt.Sprint("one", i))
		}
	}
	one := func(w *world, i int) {
		begin := time.Now()
		if _, err := w.svc.SignIn(b.Context(), stranger(i%200), identity.SignIn{Email: mailbox(fmt.Sprint("one", i%20)), Password: secret.NewText(good)}); err != nil {
			b.Fatal(err)
		}
		took[w] = append(took[w], time.Since(begin))
	}
	for i := 0; b.Loop(); i++ {
		one(small, i)
		one(large, i)
	}
	middle := func(w *world) float64 { return float64(slices.Sorted(slices.Values(took[w]))[len(took[w])/2]) }
	b.ReportMetric(middle(small)/1e3, "small-µs")
	b.ReportMetric(middle(large)/1e3, "large-µs")
	b.ReportMetric(middle(large)/middle(small), "large/small")
	begin := time.Now()
	for _, err := range large.svc.Housekeeping(b.Context()) {
		if err != nil {
			b.Error(err)
		}
	}
	b.Logf("one round of all housekeeping among %d people: %s", n, time.Since(begin).Round(time.Millisecond))
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill makes people with a team, an address, a password and five sessions each. What is
// sealed is one byte: nobody signs in as them.
func fill(b *testing.B, kit *ledgertest.Kit, people int) {
	b.Helper()
	db, err := sql.Open("pgx", kit.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	now := kit.Clock.Now().UnixMicro()
	for _, q := range []string{
		`INSERT INTO identity_person (id, handle, state, created) SELECT 'p' || g, 'h' || g, 'active', %[2]d FROM generate_series(1, %[1]d) g`,
		`INSERT INTO identity_address (idx, person, address, confirmed, how) SELECT md5(g::text), 'p' || g, '\x00', 1, 'link' FROM generate_series(1, %[1]d) g`,
		`INSERT INTO identity_team (id, kind, created) SELECT 't' || g, 'customer', %[2]d FROM generate_series(1, %[1]d) g`,
		`INSERT INTO identity_member (team, person, roles, since) SELECT 't' || g, 'p' || g, 'admin', %[2]d FROM generate_series(1, %[1]d) g`,
		`INSERT INTO identity_password (person, phc, scheme, passed, list, set_at) SELECT 'p' || g, '\x00', 'argon2id', 12, '', %[2]d FROM generate_series(1, %[1]d) g`,
		`INSERT INTO identity_session (id, token, person, team, device, acr, amr, started, factor_at, seen, place, ended, cause, change, level, low)
			SELECT 's' || g, md5(g::text) || md5('x' || g), 'p' || (g %% %[1]d + 1), 't' || (g %% %[1]d + 1), 'd' || g, 1, 'pwd', %[2]d, %[2]d, %[2]d, '\x00', NULL, '', g, 'full', 0
			FROM generate_series(1, 5 * %[1]d) g`,
		`UPDATE identity_counter SET n = 5 * %[1]d + 0 * %[2]d`,
		`ANALYZE`,
	} {
		text := q
		if q != `ANALYZE` {
			text = fmt.Sprintf(q, people, now)
		}
		if _, err := db.ExecContext(b.Context(), text); err != nil {
			b.Fatalf("%s: %v", text, err)
		}
	}
}
