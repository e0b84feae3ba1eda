package identity

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"writ/internal/clause"
	"writ/internal/identity/legacy"
	"writ/internal/web"
)

// Forecast implements clause.Forecaster: what other rules would do to the people, sessions,
// tokens, links and browsers that are there. It asks the very functions that will decide
// then, with the facts that are kept of each: thresholds, kinds, times. No password, hash or
// seed is opened. People of canaries are left out, as in every list.
func (s *Service) Forecast(ctx context.Context, next clause.Values) ([]clause.Effect, error) {
	rules, err := clause.Decode[Rules](next)
	if err != nil {
		return nil, fmt.Errorf("read the values of the forecast: %w", err)
	}
	f := &forecast{s: s, now: s.Now(), was: s.Rules.Get(), next: &rules, changed: map[string]bool{}}
	for key, v := range s.Rules.Running() {
		if fmt.Sprint(v) != fmt.Sprint(next[key]) {
			f.changed[key] = true
		}
	}
	if len(f.changed) == 0 {
		return nil, nil
	}
	if f.people, err = s.foreseen(ctx); err != nil {
		return nil, err
	}
	for _, look := range []func(context.Context) error{f.factors, f.passwords, f.imported, f.sessions, f.programs, f.links, f.browsers, f.terms, f.support} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	f.onwards()
	return f.effects, nil
}

// forecast is one on its way.
type forecast struct {
	s         *Service
	now       time.Time
	was, next *Rules
	changed   map[string]bool
	people    map[string]*facts
	graced    map[string]bool // whose grace begins with the new rules
	effects   []clause.Effect
}

// facts are what is kept of a person that a rule decides on.
type facts struct {
	teams        []seat
	enrolled     bool
	began, until *int64 // of the grace
	passed       *int64 // by the password; nil = there is none
	scheme, list *string
	set          *int64
	terms        int64
}

type seat struct {
	kind  string
	need  int64
	roles []string
}

// of are those of keys that change.
func (f *forecast) of(keys ...string) []string {
	return slices.DeleteFunc(keys, func(k string) bool { return !f.changed[k] })
}

// say adds a line; without a count it says that nobody is touched.
func (f *forecast) say(params []string, n int64, format string, a ...any) *clause.Effect {
	f.effects = append(f.effects, clause.Effect{Params: params, Count: n, Says: fmt.Sprintf(format, a...)})
	return &f.effects[len(f.effects)-1]
}

func (p *facts) any(is func(seat) bool) bool { return slices.ContainsFunc(p.teams, is) }
func (p *facts) staff() bool {
	return p.any(func(m seat) bool { return isStaff(m.kind, m.roles) })
}
func (p *facts) owner() bool {
	return p.any(func(m seat) bool { return m.kind == Staff && slices.Contains(m.roles, "owner") })
}

// demanded reports whether a second factor is demanded of the person, by the policy or a team.
func (p *facts) demanded(r *Rules) bool {
	return p.any(func(m seat) bool { return m.need > 1 || r.demands(m.kind, m.roles) })
}

// always reports whether it is demanded at every sign-in: see Service.always.
func (p *facts) always(r *Rules) bool {
	return (p.enrolled || p.demanded(r)) && (p.staff() || r.RememberDevice == 0)
}

// graceEnds is as graceOf says.
func (p *facts) graceEnds(r *Rules) time.Time {
	if p.began == nil {
		return time.Time{}
	}
	end := at(*p.until)
	if most := at(*p.began).Add(r.Grace); most.Before(end) {
		end = most
	}
	return end
}

const (
	keyWho   = "access.mfa-by-technology/who"
	keyGrace = "access.mfa-by-technology/grace"
)

// factors: who must have a second factor then and has none, and how long they are given.
func (f *forecast) factors(context.Context) error {
	params := f.of(keyWho, keyGrace)
	if len(params) == 0 {
		return nil
	}
	f.graced = map[string]bool{}
	var lack, owners, fresh, shorter, over int64
	for id, p := range f.people {
		if p.enrolled || !p.demanded(f.next) {
			continue
		}
		lack++
		if p.owner() {
			owners++
		}
		if !p.demanded(f.was) {
			fresh++
		}
		was, then := p.graceEnds(f.was), p.graceEnds(f.next)
		switch {
		case p.began == nil && f.next.Grace > 0:
			f.graced[id] = true
		case f.now.Before(was) && then.Before(was):
			shorter++
			if !f.now.Before(then) {
				over++
			}
		}
	}
	f.say(params, lack, "%s the second factor that will be demanded of them, %d of them owners; %d come under this demand only now", counted(lack, "person lacks", "people lack"), owners, fresh)
	if n := int64(len(f.graced)); f.next.Grace > 0 {
		f.say(params, n, "%s %s to set up a second factor, from the moment the policy takes hold and only once", people(n), "given "+web.Duration(f.next.Grace)).Within = f.next.Grace
	}
	if f.changed[keyGrace] {
		f.say(f.of(keyGrace), shorter, "%s a grace that runs and ends earlier then, for %d of them at once", peopleHave(shorter), over)
	}
	return nil
}

// passwords: those that were held to less than is asked then.
func (f *forecast) passwords(context.Context) error {
	length, alg, words := f.of("auth.min-length/min", "auth.min-length/min_with_factor"), f.of("auth.hash/alg"), f.of("auth.banned/words")
	list := ""
	if len(words) > 0 {
		list = f.s.Banned.With(f.s.bannedWords(f.next)).Hash()
	}
	var lower, older, renewed int64
	for _, p := range f.people {
		if p.passed == nil || imported(*p.scheme) {
			continue
		}
		if n := *p.passed; 0 < n && n < int64(f.next.least(p.always(f.next))) { // 0: was never held to any
			lower++
		}
		if *p.scheme != f.next.Alg {
			renewed++
		}
		if *p.passed > 0 && *p.list != list {
			older++
		}
	}
	if len(length) > 0 {
		f.say(length, lower, "%s less than is asked then; such a password opens the account until it is changed, and how long it is nobody knows", held(lower, "to"))
	}
	if len(alg) > 0 {
		f.say(alg, renewed, "%s made in another way; each is renewed at its owner's next sign-in", counted(renewed, "password hash was", "password hashes were"))
	}
	if len(words) > 0 {
		f.say(words, older, "%s another list; each is held to the new one when it is changed", held(older, "against"))
	}
	return nil
}

// imported reports a password that still is as another system had it.
func imported(scheme string) bool { return slices.Contains(legacy.Formats(), legacy.Format(scheme)) }

// opens is as Service.over says of a password that was brought over.
func (r *Rules) opens(scheme string, set, now time.Time) bool { // clause: auth.hash
	return slices.Contains(r.Import, scheme) && now.Before(set.Add(r.LegacyDeadline))
}

// imported: hashes of another system that open nothing then, and those that do again.
func (f *forecast) imported(context.Context) error {
	params := f.of("auth.hash/import", "auth.hash/legacy_deadline")
	if len(params) == 0 {
		return nil
	}
	var shut, again, sooner int64
	for _, p := range f.people {
		if p.passed == nil || !imported(*p.scheme) {
			continue
		}
		set := at(*p.set)
		was, then := f.was.opens(*p.scheme, set, f.now), f.next.opens(*p.scheme, set, f.now)
		switch {
		case was && !then:
			shut++
		case !was && then:
			again++
		case was && f.next.LegacyDeadline < f.was.LegacyDeadline:
			sooner++
		}
	}
	f.say(params, shut, "%s from another system pass their deadline or their format; their owners set new ones", counted(shut, "password hash", "password hashes"))
	if again > 0 {
		f.say(params, again, "%s from another system open their accounts again", counted(again, "password hash", "password hashes"))
	}
	if sooner > 0 {
		f.say(params, sooner, "%s from another system must be used here sooner, within %s of the day they came", counted(sooner, "password hash", "password hashes"), web.Duration(f.next.LegacyDeadline))
	}
	return nil
}

// sessions: the open ones that the rules end.
func (f *forecast) sessions(ctx context.Context) error {
	const k = "auth.best-practice/"
	old, idle, factor, proof := f.of(k+"staff_absolute", k+"customer_absolute"), f.of(k+"staff_idle", k+"customer_idle"), f.of(keyWho, keyGrace), f.of(k+"step_up_max_age")
	if len(old)+len(idle)+len(factor)+len(proof) == 0 {
		return nil
	}
	ended := map[string]int64{}
	var asked int64
	for _, l := range f.s.table.all() {
		if f.people[l.person] == nil || !f.s.stands(ctx, l, f.now, f.was) {
			continue
		}
		seen := at(l.seen.Load())
		limit := f.next.idle(l.staff)
		switch {
		case !f.now.Before(l.ends(f.next)):
			ended["old"]++
		case f.now.Sub(seen) >= limit && !f.s.seenElsewhere(ctx, l, f.now, limit):
			ended["idle"]++
		case l.lacks(f.next, f.now) && !f.graced[l.person]:
			ended["factor"]++
		case f.now.Sub(l.factorAt) < f.was.StepUpAge && f.now.Sub(l.factorAt) >= f.next.StepUpAge:
			asked++
		}
	}
	line := func(params []string, n int64, why string) {
		if len(params) > 0 {
			f.say(params, n, "%s %s", counted(n, "open session ends at once:", "open sessions end at once:"), why)
		}
	}
	line(old, ended["old"], "older than the new limit")
	line(idle, ended["idle"], "not used for longer than the new limit")
	line(factor, ended["factor"], "begun with a password alone")
	if len(proof) > 0 {
		f.say(proof, asked, "%s asked for a proof again at the next sensitive act", counted(asked, "open session is", "open sessions are"))
	}
	return nil
}

// all are the sessions of this process.
func (t *table) all() []*live {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.byID))
}

// programs: tokens that live longer than the new maximum.
func (f *forecast) programs(context.Context) error {
	params := f.of("auth.best-practice/token_max")
	if len(params) == 0 {
		return nil
	}
	var n, over int64
	f.s.tokens.mu.RLock()
	defer f.s.tokens.mu.RUnlock()
	for _, l := range f.s.tokens.byID {
		was, then := l.ends(f.was), l.ends(f.next)
		if !f.now.Before(was) || !then.Before(was) || l.person != "" && f.people[l.person] == nil {
			continue
		}
		n++
		if !f.now.Before(then) {
			over++
		}
	}
	f.say(params, n, "%s longer than the new maximum, and %d of them at once", counted(n, "token ends earlier, for it would live", "tokens end earlier, for they would live"), over)
	return nil
}

// links: those on their way that die.
func (f *forecast) links(ctx context.Context) error {
	const reset, confirm, invite = "auth.reset-link-lifetime/ttl", "auth.signup-email/confirm_ttl", "auth.admin-invite/ttl"
	dies := map[string]int64{}
	count := func(l link) {
		was, then := f.was.ttl(l.kind), f.next.ttl(l.kind)
		if was != then && l.dead(f.now, was) == "" && l.dead(f.now, then) != "" {
			switch l.kind {
			case ResetLink:
				dies[reset]++
			case InviteLink:
				dies[invite]++
			default:
				dies[confirm]++
			}
		}
	}
	for _, query := range []string{openLinks, openInvitations} {
		err := f.s.DB.Each(ctx, query, func(scan scanner) error {
			var l link
			var issued, expires int64
			if err := scan(&l.kind, &l.person, &issued, &expires); err != nil {
				return err
			}
			l.issued, l.expires = at(issued), at(expires)
			if l.person == "" || f.people[l.person] != nil { // a sign-up is nobody yet
				count(l)
			}
			return nil
		}, us(f.now))
		if err != nil {
			return fmt.Errorf("read open links: %w", err)
		}
	}
	for _, x := range []struct{ key, one, many string }{
		{reset, "reset link stops", "reset links stop"}, {confirm, "link that confirms an address stops", "links that confirm an address stop"}, {invite, "invitation stops", "invitations stop"},
	} {
		if params := f.of(x.key); len(params) > 0 {
			f.say(params, dies[x.key], "%s working at once", counted(dies[x.key], x.one, x.many))
		}
	}
	return nil
}

// browsers: remembered ones that must show the second factor again.
func (f *forecast) browsers(ctx context.Context) error {
	params := f.of("auth.best-practice/remember_device")
	if len(params) == 0 {
		return nil
	}
	var n int64
	err := f.s.DB.Each(ctx, trustedBrowsers, func(scan scanner) error {
		var person string
		var since int64
		if err := scan(&person, &since); err != nil {
			return err
		}
		p := f.people[person]
		skips := func(r *Rules) bool { return f.now.Before(at(since).Add(r.RememberDevice)) }
		if p != nil && p.enrolled && !p.staff() && skips(f.was) && !skips(f.next) {
			n++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read remembered browsers: %w", err)
	}
	f.say(params, n, "%s asked for the second factor again at the next sign-in", counted(n, "remembered browser is", "remembered browsers are"))
	return nil
}

// terms: customers who have not accepted what is in force then.
func (f *forecast) terms(context.Context) error {
	params := f.of("use.terms/version")
	if len(params) == 0 {
		return nil
	}
	var n int64
	for _, p := range f.people {
		if !p.any(func(m seat) bool { return m.kind == Staff }) && p.terms < int64(f.next.Terms) {
			n++
		}
	}
	f.say(params, n, "%s asked to accept version %d of the terms before they go on", counted(n, "customer is", "customers are"), f.next.Terms)
	return nil
}

// support: looks of staff that are over.
func (f *forecast) support(ctx context.Context) error {
	params := f.of("use.need-to-see/ttl")
	if len(params) == 0 {
		return nil
	}
	looks, err := f.s.looks(ctx, `g.ended IS NULL AND g.until > $1`, us(f.now))
	if err != nil {
		return err
	}
	var n int64
	for _, l := range looks {
		if f.people[l.Person] != nil && f.now.Before(l.ends(f.was)) && !f.now.Before(l.ends(f.next)) {
			n++
		}
	}
	f.say(params, n, "%s at once", counted(n, "look of staff at a customer's data ends", "looks of staff at customers' data end"))
	return nil
}

// onwards names the parameters that bind nothing that is there already.
func (f *forecast) onwards() {
	for _, x := range [][2]string{{"auth.best-practice/token_default", "token"}, {"auth.reset-link/entropy", "link"}, {"auth.admin-invite/per_team_per_day", "invitation"},
		{"auth.reset-sets-new/ends", "reset"}, {"access.least-privilege/lent", "loan"}, {"use.need-to-see/reason", "look"}, {"use.need-to-see/notify", "look"}} {
		if f.changed[x[0]] {
			f.say([]string{x[0]}, 0, "no %s that is there already", x[1])
		}
	}
}

// counted is a number with what follows it for one and for others.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return web.Number(n) + " " + many
}

func people(n int64) string     { return counted(n, "person is", "people are") }
func peopleHave(n int64) string { return counted(n, "person has", "people have") }
func held(n int64, to string) string {
	return counted(n, "password was held "+to, "passwords were held "+to)
}

// foreseen reads the facts of everybody active who is no canary.
func (s *Service) foreseen(ctx context.Context) (map[string]*facts, error) {
	out := map[string]*facts{}
	err := s.DB.Each(ctx, factsOf, func(scan scanner) error {
		var id, roles string
		var m seat
		p := &facts{}
		if err := scan(&id, &m.kind, &m.need, &roles, &p.enrolled, &p.began, &p.until, &p.passed, &p.scheme, &p.list, &p.set, &p.terms); err != nil {
			return err
		}
		if out[id] == nil {
			out[id] = p
		}
		m.roles = rolesOf(roles)
		out[id].teams = append(out[id].teams, m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is kept of people: %w", err)
	}
	return out, nil
}

const (
	factsOf = `SELECT m.person, t.kind, t.need, m.roles,
		EXISTS (SELECT 1 FROM identity_factor f WHERE f.person = m.person AND f.confirmed IS NOT NULL) OR EXISTS (SELECT 1 FROM identity_passkey k WHERE k.person = m.person),
		g.began, g.until, w.passed, w.scheme, w.list, w.set_at, COALESCE((SELECT MAX(a.version) FROM identity_terms a WHERE a.person = m.person), 0)
		FROM identity_member m JOIN identity_team t ON t.id = m.team JOIN identity_person p ON p.id = m.person
		LEFT JOIN identity_grace g ON g.person = m.person LEFT JOIN identity_password w ON w.person = m.person
		WHERE p.state = 'active' AND t.kind <> 'canary'`
	openLinks       = `SELECT kind, person, issued, expires FROM identity_link WHERE ended IS NULL AND expires > $1`
	openInvitations = `SELECT 'invitation', '', i.issued, i.expires FROM identity_invitation i JOIN identity_team t ON t.id = i.team WHERE i.ended IS NULL AND i.expires > $1 AND t.kind <> 'canary'`
	trustedBrowsers = `SELECT person, trusted FROM identity_device WHERE trusted IS NOT NULL`
)
