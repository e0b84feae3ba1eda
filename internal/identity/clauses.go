package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity/legacy"
	"writ/internal/ledger"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// Controls are the proofs of this module's clauses.
func (s *Service) Controls(door *canary.Door) []clause.Control {
	attack := func(id, of, says string, story func(*trial) string) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: clause.Canary, Says: says, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Run: s.canary(door, "identity."+id, story)}
	}
	look := func(id, of, says string, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: of, Kind: clause.Probe, Says: says, Every: 30 * time.Minute, FreshFor: 2 * time.Hour, Run: run}
	}
	replay := look("reset-ages", "auth.reset-link-lifetime", "Measures how old each reset link was when it was used", s.probeAges)
	replay.Kind = clause.Replay
	taken := look("invited-addresses", "auth.admin-invite", "Compares the address of each invitation with that of whoever accepted it", s.probeInvitations)
	taken.Kind = clause.Replay
	shared := look("distant", "auth.unique-login", "Looks for people whom two desks in distant networks use at once", s.probeDistant)
	shared.Kind = clause.Replay
	recompute := look("recompute", "auth.compare", "Hashes and verifies right, wrong and altered values, and times them", s.probeCompare)
	recompute.Every, recompute.FreshFor = 6*time.Hour, 13*time.Hour // nine hashes
	return slices.Concat(s.factorControls(door), s.passkeyControls(door), s.hostingControls(door), s.supportControls(door), []clause.Control{
		attack("practice", "auth.best-practice", "Signs in, hammers and compares answers as an attacker would", (*trial).practice),
		s.answersControl(door),
		look("standards", "auth.best-practice", "Compares the values in force with the standards, and says where the owner chose less", s.probeStandards),
		look("sessions-end", "auth.best-practice", "Looks for sessions that live beyond their time", s.probeSessions),
		attack("tokens", "auth.best-practice", "Uses a program's token in every wrong place, and after its end", (*trial).tokens),
		look("tokens-end", "auth.best-practice", "Looks for tokens that outlive their time or their owner", s.probeTokens),
		look("services-owned", "auth.best-practice", "Looks for services that act though nobody stands behind them", s.probeServices),
		attack("confirm-first", "auth.signup-email", "Signs up and tries to sign in before confirming", (*trial).confirmFirst),
		look("confirmed", "auth.signup-email", "Counts sign-ins by people whose address is not confirmed", s.probeConfirmed),
		attack("invitation", "auth.admin-invite", "Accepts an invitation as somebody else, twice, too late, and after a newer link", (*trial).invitation), taken,
		attack("one-login", "auth.unique-login", "Signs up with another spelling of a known address", (*trial).oneLogin),
		look("addresses", "auth.unique-login", "Compares the number of people with that of their addresses", s.probeAddresses), shared,
		look("own-credentials", "auth.unique-credentials", "Looks for a credential that belongs to two people", s.probeCredentials),
		attack("no-cleartext", "auth.no-cleartext", "Sends a password through every door and searches for it in everything stored", (*trial).clear),
		look("one-way", "auth.one-way", "Looks at what the tables can hold and at each stored password", s.probeOneWay),
		look("schemes", "auth.hash", "Counts the schemes of stored passwords", s.probeHash),
		look("salts", "auth.salt", "Compares the number of salts with that of passwords", s.probeSalt),
		attack("near-miss", "auth.compare", "Signs in with near misses of a password", (*trial).compares),
		recompute,
		attack("short", "auth.min-length", "Tries a password one character too short at every door", (*trial).tooShort),
		attack("listed", "auth.banned", "Tries a listed password in disguise at every door", (*trial).listed),
		look("list", "auth.banned", "Counts the list of bad passwords", s.probeList),
		attack("needs-current", "auth.change-needs-current", "Tries to change a password without the present one", (*trial).needsCurrent),
		attack("same-answer", "auth.reset-link", "Asks for reset links for a known and an unknown address", (*trial).sameAnswer),
		look("links", "auth.reset-link", "Looks at how links are kept", s.probeLinks),
		attack("late-link", "auth.reset-link-lifetime", "Opens a reset link one second after its end", (*trial).lifetime),
		replay,
		attack("used-link", "auth.reset-sets-new", "Uses a reset link twice and goes on with the former session", (*trial).once),
		attack("auditor-acts", "access.roles", "Signs in with a role that may only look and tries to act", (*trial).auditorActs),
		look("roles-signed", "access.roles", "Looks for rights that no role of the signed list explains", s.probeRoles),
		look("unused-rights", "access.least-privilege", "Looks for rights that went unused and were not put up for removal", s.probeUnused),
		look("reviews", "access.review", "Looks whether all rights were reviewed in time, by others than their holders", s.probeReviews),
		attack("late-loan", "access.need-ends", "Uses a lent role one second after its end, and after its ticket is over", (*trial).lateLoan),
		look("leavers", "access.need-ends", "Looks for anything that people who left could still act with", s.probeLeavers),
		look("loans", "access.need-ends", "Looks for roles that count though their reason has ended", s.probeLoans),
	})
}

func (s *Service) count(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	if err := ledger.One(ctx, s.DB, query, []any{&n}, args...); err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}

// none passes when a count is zero. what is said of the population either way.
func (s *Service) none(ctx context.Context, total, bad, what string) (clause.Result, error) {
	all, err := s.count(ctx, total)
	if err != nil {
		return clause.Result{}, err
	}
	n, err := s.count(ctx, bad)
	if err != nil {
		return clause.Result{}, err
	}
	return judged(n == 0, all, fmt.Sprintf("%s: %d of %d", what, n, all)), nil
}

// judged is the result of looking at a whole population. An empty one holds, and says so
// in words: "0 of 0" would look like a measurement.
func judged(ok bool, population int64, summary string) clause.Result {
	r := clause.Failed(summary)
	switch {
	case ok && population == 0:
		r = clause.Passed("there is nothing yet that could break it")
	case ok:
		r = clause.Passed(summary)
	}
	r.Population = population
	return r
}

func (s *Service) probeSessions(ctx context.Context) (clause.Result, error) {
	now, r := s.Now(), s.Rules.Get()
	slack := 5 * time.Minute // the sweeper's round, and minutes of last use
	var over int64
	err := s.DB.Each(ctx, expiredSessions, func(scan scanner) error { over++; return nil },
		us(now.Add(-r.StaffIdle-slack)), us(now.Add(-r.StaffAbsolute-slack)), us(now.Add(-r.CustomerIdle-slack)), us(now.Add(-r.CustomerAbsolute-slack)))
	if err != nil {
		return clause.Result{}, fmt.Errorf("find sessions: %w", err)
	}
	all, err := s.count(ctx, liveSessions)
	if err != nil {
		return clause.Result{}, err
	}
	return judged(over == 0, all, fmt.Sprintf("sessions that live beyond their time: %d of %d", over, all)), nil
}

func (s *Service) probeConfirmed(ctx context.Context) (clause.Result, error) {
	return s.none(ctx, countPeople, unconfirmedActive, "people with a session or device and no confirmed address")
}

func (s *Service) probeAddresses(ctx context.Context) (clause.Result, error) {
	people, err := s.count(ctx, countPeople)
	if err != nil {
		return clause.Result{}, err
	}
	without, err := s.count(ctx, peopleWithoutOne)
	if err != nil {
		return clause.Result{}, err
	}
	type row struct {
		idx string
		box []byte
	}
	var rows []row
	err = s.DB.Each(ctx, newestAddresses, func(scan scanner) error {
		var r row
		if err := scan(&r.idx, &r.box); err != nil {
			return err
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read addresses: %w", err)
	}
	wrong := 0
	for _, r := range rows {
		text, err := s.text(ctx, "identity_address.address", r.idx, r.box)
		if err != nil {
			wrong++
			continue
		}
		a, err := ParseAddress(text)
		if err != nil {
			wrong++
			continue
		}
		if idx, err := s.index(ctx, a); err != nil {
			return clause.Result{}, err
		} else if idx != r.idx {
			wrong++
		}
	}
	return judged(without == 0 && wrong == 0, people, fmt.Sprintf("%d of %d people have not exactly one login; of the %d newest addresses %d are kept under another key than their own", without, people, len(rows), wrong)), nil
}

// eachPassword opens every stored password. A row that does not open is passed with an error.
func (s *Service) eachPassword(ctx context.Context, see func(person, scheme string, phc secret.Text, err error)) (int64, error) {
	type row struct {
		person, scheme string
		box            []byte
	}
	var rows []row
	err := s.DB.Each(ctx, allPasswords, func(scan scanner) error {
		var r row
		if err := scan(&r.person, &r.scheme, &r.box); err != nil {
			return err
		}
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read passwords: %w", err)
	}
	for _, r := range rows {
		b, err := s.open(ctx, "identity_password.phc", r.person, r.box)
		if errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable) {
			return 0, err
		}
		if err != nil {
			see(r.person, r.scheme, secret.Text{}, err)
			continue
		}
		see(r.person, r.scheme, secret.NewText(string(b.Reveal())), nil)
	}
	return int64(len(rows)), nil
}

func (s *Service) probeCredentials(ctx context.Context) (clause.Result, error) {
	seen := map[[32]byte]bool{}
	shared, foreign := 0, 0
	n, err := s.eachPassword(ctx, func(_, _ string, phc secret.Text, err error) {
		if err != nil { // sealed for another person, or not at all
			foreign++
			return
		}
		if seen[phc.Sum()] {
			shared++
		}
		seen[phc.Sum()] = true
	})
	if err != nil {
		return clause.Result{}, err
	}
	return judged(shared+foreign == 0, n, fmt.Sprintf("of %d passwords %d are another person's and %d are not bound to their person", n, shared, foreign)), nil
}

// columns is everything that the tables of passwords may hold.
var columns = map[string][]string{
	"identity_password": {"list", "locked", "passed", "person", "phc", "scheme", "set_at"},
	"identity_attempt":  {"about", "created", "expires", "flow", "id", "idx", "list", "passed", "phc", "scheme"},
}

func (s *Service) probeOneWay(ctx context.Context) (clause.Result, error) {
	for _, table := range slices.Sorted(maps.Keys(columns)) {
		query := columnsSQLite
		if s.DB.Engine() == "postgres" {
			query = columnsPostgres
		}
		var have []string
		err := s.DB.Each(ctx, query, func(scan scanner) error {
			var c string
			if err := scan(&c); err != nil {
				return err
			}
			have = append(have, c)
			return nil
		}, table)
		if err != nil {
			return clause.Result{}, fmt.Errorf("read columns: %w", err)
		}
		slices.Sort(have)
		if !slices.Equal(have, columns[table]) {
			return clause.Failed(fmt.Sprintf("table %s has columns %s, expected %s", table, strings.Join(have, " "), strings.Join(columns[table], " "))), nil
		}
	}
	var other int
	n, err := s.eachPassword(ctx, func(_, _ string, phc secret.Text, err error) {
		if err == nil && legacy.Is(phc) {
			_, _, err = legacy.Of(phc)
		} else if err == nil {
			_, err = passhash.Inspect(phc)
		}
		if err != nil {
			other++
		}
	})
	if err != nil {
		return clause.Result{}, err
	}
	return judged(other == 0, n, fmt.Sprintf("of %d stored passwords %d are something else than a one-way hash; no column could hold one", n, other)), nil
}

// behind reports whether a hash is weaker than what this server writes with its scheme.
func (s *Service) behind(phc secret.Text) bool {
	in, err := passhash.Inspect(phc)
	if err != nil {
		return true
	}
	p := passhash.Default(in.Scheme, 16)
	if s.Seam != nil && s.Seam.Params != nil {
		p = s.Seam.Params(p)
	}
	p.SaltBytes = min(p.SaltBytes, in.SaltBytes) // salts have a control of their own
	return p.Check() != nil || passhash.NeedsRehash(phc, p)
}

func (s *Service) probeHash(ctx context.Context) (clause.Result, error) {
	by := map[string]int{}
	weak, waiting := 0, 0
	want := s.params()
	n, err := s.eachPassword(ctx, func(_, scheme string, phc secret.Text, err error) {
		if err != nil {
			weak++
			by["unsealed or damaged"]++
			return
		}
		if f, inner, err := legacy.Of(phc); err == nil { // a bare digest has no form that Of reads
			by[scheme]++
			if waiting++; string(f) != scheme || f == legacy.SaltedSHA256 && s.behind(inner) {
				weak++
			}
			return
		}
		in, err := passhash.Inspect(phc)
		if err != nil || string(in.Scheme) != scheme || s.behind(phc) {
			weak++
		} else if passhash.NeedsRehash(phc, want) {
			waiting++
		}
		by[scheme]++
	})
	if err != nil {
		return clause.Result{}, err
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, by[k]))
	}
	return judged(weak == 0, n, fmt.Sprintf("%d passwords (%s): %d below the scheme's cost, unreadable or a bare digest, %d waiting to be renewed at the next sign-in", n, strings.Join(parts, ", "), weak, waiting)), nil
}

func (s *Service) probeSalt(ctx context.Context) (clause.Result, error) {
	seen := map[string]bool{}
	short, twice, unread, brought := 0, 0, 0, 0 // brought: salts that another system drew, until the next sign-in
	want := s.Rules.Get().SaltBytes
	n, err := s.eachPassword(ctx, func(_, _ string, phc secret.Text, err error) {
		if err != nil {
			unread++
			return
		}
		text, own, err := saltOf(phc)
		if err != nil {
			unread++
			return
		}
		sum := sha256.Sum256([]byte(text))
		salt := string(sum[:])
		if seen[salt] {
			twice++
		}
		seen[salt] = true
		if !own {
			brought++
		} else if raw, err := base64.RawStdEncoding.DecodeString(text); err != nil || len(raw) < want {
			short++
		}
	})
	if err != nil {
		return clause.Result{}, err
	}
	return judged(short+twice+unread == 0, n, fmt.Sprintf("%d salts for %d passwords; %d shared, %d too short, %d unreadable, %d brought over and replaced at the next sign-in", len(seen), n, twice, short, unread, brought)), nil
}

func (s *Service) probeCompare(ctx context.Context) (clause.Result, error) {
	return s.tellsApart(func(phc, typed secret.Text) (bool, error) { return s.verify(ctx, "probe", true, phc, typed) })
}

// tellsApart judges a verifier of the hashes that are made now.
func (s *Service) tellsApart(verify func(phc, typed secret.Text) (bool, error)) (clause.Result, error) {
	p := s.params()
	right, wrong := secret.NewText(letters(20)), secret.NewText(letters(20))
	phc, err := passhash.Hash(p, right)
	if err != nil {
		return clause.Result{}, err
	}
	text := phc.Reveal()
	flip := byte('A')
	cutAt := len(text) - 8
	if text[cutAt] == flip {
		flip = 'B'
	}
	altered := secret.NewText(text[:cutAt] + string(flip) + text[cutAt+1:])
	times := map[bool][]time.Duration{}
	for range 3 {
		for _, c := range []struct {
			phc, pw secret.Text
			want    bool
		}{{phc, right, true}, {phc, wrong, false}, {altered, right, false}} {
			start := time.Now()
			ok, err := verify(c.phc, c.pw)
			if err != nil {
				return clause.Result{}, err
			}
			times[c.want] = append(times[c.want], time.Since(start))
			if ok != c.want {
				return clause.Failed("a wrong password or an altered hash was taken for right, or the right one for wrong"), nil
			}
		}
	}
	for _, t := range times {
		slices.Sort(t)
	}
	return clause.Passed(fmt.Sprintf("right, wrong and altered values were told apart; medians %s right, %s wrong",
		times[true][1].Round(100*time.Microsecond), times[false][3].Round(100*time.Microsecond))), nil
}

func (s *Service) probeList(context.Context) (clause.Result, error) {
	l, r := s.banned(), s.Rules.Get()
	n, usable := l.Entries(), l.Usable(r.Min)
	return judged(n >= r.MinEntries, int64(n), fmt.Sprintf("the list has %d entries, at least %d are asked for; %d of them have %d characters or more; version %s", n, r.MinEntries, usable, r.Min, l.Hash()[:12])), nil
}

func (s *Service) probeLinks(ctx context.Context) (clause.Result, error) {
	r := s.Rules.Get()
	var n, bad, weak int64
	seen := map[string]bool{}
	err := s.DB.Each(ctx, allLinks, func(scan scanner) error {
		var token string
		var bits int64
		var ended *int64
		if err := scan(&token, &bits, &ended); err != nil {
			return err
		}
		n++
		if raw, err := hex.DecodeString(token); err != nil || len(raw) != 32 || seen[token] {
			bad++
		}
		seen[token] = true
		if ended == nil && bits < int64(r.ResetBits) {
			weak++
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read links: %w", err)
	}
	return judged(bad+weak == 0, n, fmt.Sprintf("of %d links %d are kept in clear or twice, %d live ones have less than %d bits", n, bad, weak, r.ResetBits)), nil
}

func (s *Service) probeAges(ctx context.Context) (clause.Result, error) {
	var n, late int64
	var oldest time.Duration
	err := s.DB.Each(ctx, usedResets, func(scan scanner) error {
		var issued, expires, ended int64
		if err := scan(&issued, &expires, &ended); err != nil {
			return err
		}
		n++
		age := at(ended).Sub(at(issued))
		oldest = max(oldest, age)
		if ended >= expires || age >= 24*time.Hour {
			late++
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read used links: %w", err)
	}
	return judged(late == 0, n, fmt.Sprintf("of %d reset links that were used %d were older than they may be; the oldest was %s old", n, late, oldest.Round(time.Second))), nil
}

// spellings are the forms in which text may lie in a file.
func spellings(s string) [][]byte {
	return [][]byte{[]byte(s), []byte(hex.EncodeToString([]byte(s))), []byte(base64.RawStdEncoding.EncodeToString([]byte(s))[:len(s)])}
}

// openedHits searches what is sealed about a planted account.
func (s *Service) openedHits(ctx context.Context, person, signedUp, needle string) (int, error) {
	hits := 0
	pw, err := s.password(ctx, person)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return 0, err
	}
	if strings.Contains(pw.phc.Reveal(), needle) {
		hits++
	}
	acc, err := s.account(ctx, person)
	if err != nil {
		return 0, err
	}
	if strings.Contains(acc.name+acc.email+acc.handle, needle) {
		hits++
	}
	addr, err := ParseAddress(signedUp)
	if err != nil {
		return 0, err
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return 0, err
	}
	var ids []string
	if err := s.DB.Each(ctx, attemptsOf, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, idx); err != nil {
		return 0, fmt.Errorf("read sign-ups: %w", err)
	}
	for _, id := range ids {
		_, a, err := s.readAttempt(ctx, id)
		if err != nil {
			return 0, err
		}
		if strings.Contains(a.Email+a.Name+a.Agent, needle) {
			hits++
		}
	}
	return hits, nil
}

const (
	liveSessions      = `SELECT COUNT(*) FROM identity_session WHERE ended IS NULL`
	countPeople       = `SELECT COUNT(*) FROM identity_person WHERE state IN ('active', 'disabled')`
	unconfirmedActive = `SELECT COUNT(*) FROM identity_person p LEFT JOIN identity_address a ON a.person = p.id
		WHERE p.state IN ('active', 'disabled') AND a.confirmed IS NULL
		AND (EXISTS (SELECT 1 FROM identity_session s WHERE s.person = p.id) OR EXISTS (SELECT 1 FROM identity_device d WHERE d.person = p.id))`
	peopleWithoutOne = `SELECT COUNT(*) FROM identity_person p WHERE p.state IN ('active', 'disabled')
		AND (SELECT COUNT(*) FROM identity_address a WHERE a.person = p.id) <> 1`
	newestAddresses = `SELECT a.idx, a.address FROM identity_address a JOIN identity_person p ON p.id = a.person ORDER BY p.created DESC LIMIT 500`
	allPasswords    = `SELECT person, scheme, phc FROM identity_password`
	allLinks        = `SELECT token, bits, ended FROM identity_link`
	usedResets      = `SELECT issued, expires, ended FROM identity_link WHERE kind = 'reset' AND cause = 'used'`
	countToken      = `SELECT COUNT(*) FROM identity_link WHERE token = $1`
	attemptsOf      = `SELECT id FROM identity_attempt WHERE idx = $1`
	columnsSQLite   = `SELECT name FROM pragma_table_info($1)`
	columnsPostgres = `SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`
)
