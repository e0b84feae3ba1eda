package app

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/cli"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/identity"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/web"
)

// seen is the record of who saw what: access records of the gate, and entries of the journal.
type seen struct {
	db      *ledger.DB
	ring    *keyring.Ring
	people  *identity.Service
	trail   *trail.Trail
	journal *journal.Journal
	gateway *gateway.Gateway
}

// leaving are the acts by which data of people or secrets leave by other ways than the gate, and
// what each means.
var leaving = map[string]breach.Class{
	"identity.person-exported": breach.Obtained, "journal.exported": breach.Obtained, "journal.opened": breach.Accessed,
	"vault.param-read": breach.Obtained, "vault.item-revealed": breach.Obtained, "vault.export-taken": breach.Obtained, "vault.link-opened": breach.Obtained,
}

// numbered is how long the newest entries are waited for.
const numbered = 30 * time.Second

// accessOf is what an access record says of whom was affected: who asked, and whose data the
// application says it showed them.
func accessOf(f *trail.Found) breach.Record { // clause: inc.breach-scope
	r := breach.Record{At: f.At, Who: f.Who, For: f.For, Team: f.Team, Staff: f.Staff, Person: f.Kind == string(actor.Person), Session: f.Session, Token: f.Token, Network: f.Network,
		Route: f.Route, Method: f.Method, Status: f.Status, Code: f.Code, Out: f.BytesOut, Resource: f.Resource}
	for _, team := range f.Teams {
		if team != f.Team && team != trail.Unread {
			r.About = append(r.About, "team/"+team)
		}
	}
	return r
}

// Walk implements incident.Reads.
func (s seen) Walk(ctx context.Context, sel breach.Selector, size int64, fn func(*breach.Record) error) (breach.Coverage, error) { // clause: inc.breach-scope
	var r breach.Record
	parts, entry, err := s.trail.Scan(ctx, actor.System("incident"), sel.From, sel.Until, func(f *trail.Found) error {
		r = accessOf(f)
		return fn(&r)
	})
	if err != nil {
		return breach.Coverage{}, err
	}
	if size == 0 {
		wait, stop := context.WithTimeout(ctx, numbered)
		e, err := s.journal.Wait(wait, entry)
		stop()
		if err != nil {
			return breach.Coverage{}, err
		}
		size = e.N
	}
	marks, err := s.marks(ctx)
	if err != nil {
		return breach.Coverage{}, err
	}
	for _, act := range slices.Sorted(maps.Keys(leaving)) {
		if err := s.entries(ctx, act, sel.From, size, func(e journal.Entry) error {
			if e.Happened.After(sel.Until) {
				return nil
			}
			r = breach.Record{At: e.Happened, Who: e.Actor, Session: e.Session, Route: e.Act, Entry: e.N, Means: leaving[act]}
			if e.Object != "" {
				r.About = append(r.About, e.Object)
			}
			if m := marks[e.Subject]; m != "" {
				r.About = append(r.About, "person/"+m)
			}
			return fn(&r)
		}); err != nil {
			return breach.Coverage{}, err
		}
	}
	return s.cover(ctx, sel.From, size, parts)
}

// entries gives those of an act since a time, the newest first.
func (s seen) entries(ctx context.Context, act string, from time.Time, before int64, fn func(journal.Entry) error) error {
	const page = 1000
	for before > 0 {
		es, err := s.journal.List(ctx, journal.Query{Act: act, Before: before, Limit: page})
		if err != nil {
			return err
		}
		for _, e := range es {
			if e.Happened.Before(from) {
				return nil
			}
			if err := fn(e); err != nil {
				return err
			}
			before = e.N
		}
		if len(es) < page {
			return nil
		}
	}
	return nil
}

// cover holds the segments that were read against what the journal knows of them: one that it
// does not have, or that it has otherwise, is a hole, as is what was dropped.
func (s seen) cover(ctx context.Context, from time.Time, size int64, parts []trail.Part) (breach.Coverage, error) {
	c := breach.Coverage{Size: size}
	read := map[string]*breach.Span{}
	for _, p := range parts {
		c.Spans = append(c.Spans, breach.Span{ID: p.ID, From: p.From, Until: p.Until, Count: p.Count, Read: p.Read, SHA256: p.SHA256, Broken: p.Broken})
	}
	for i := range c.Spans {
		read[c.Spans[i].ID] = &c.Spans[i]
	}
	sworn := map[string]bool{}
	err := s.entries(ctx, trail.Sealed{}.About().Name, from, size, func(e journal.Entry) error {
		id, sum, count := fieldText(e, "segment"), fieldText(e, "sha256"), fieldInt(e, "count")
		sworn[id] = true
		x := read[id]
		switch {
		case x == nil && fieldTime(e, "until").Before(from):
		case x == nil:
			c.Spans = append(c.Spans, breach.Span{ID: id, From: fieldTime(e, "from"), Until: fieldTime(e, "until"), Count: count, SHA256: sum, Broken: "is not on this server"})
		case x.SHA256 != sum || x.Count != count:
			x.Broken = "is not the one that the journal knows"
		}
		if recovered, _ := e.Field("recovered"); recovered == true {
			c.Holes = append(c.Holes, breach.Hole{From: fieldTime(e, "until"), Until: e.Happened, Why: "the server ended, and what it had not written is lost"})
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	for i := range c.Spans {
		if x := &c.Spans[i]; !sworn[x.ID] && x.Broken == "" {
			x.Broken = "is not known to the journal"
		}
	}
	slices.SortFunc(c.Spans, func(a, b breach.Span) int { return strings.Compare(a.ID, b.ID) })
	return s.gaps(ctx, c, from, size)
}

// gaps are the times of which there are no records, or not all.
func (s seen) gaps(ctx context.Context, c breach.Coverage, from time.Time, size int64) (breach.Coverage, error) {
	for act, why := range map[string]string{trail.Dropped{}.About().Name: "records were dropped, because the disk did not take them", trail.Damaged{}.About().Name: "a segment is damaged and was laid aside"} {
		if err := s.entries(ctx, act, from, size, func(e journal.Entry) error {
			since := fieldTime(e, "since")
			if since.Before(from) {
				since = from
			}
			c.Holes = append(c.Holes, breach.Hole{From: since, Until: e.Happened, Why: why})
			return nil
		}); err != nil {
			return c, err
		}
	}
	first, err := s.journal.Entry(ctx, 0)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return c, err
	}
	if err == nil && first.Happened.After(from) {
		c.Holes = append(c.Holes, breach.Hole{From: from, Until: first.Happened, Why: "no record was kept yet"})
	}
	slices.SortFunc(c.Holes, func(a, b breach.Hole) int { return a.From.Compare(b.From) })
	return c, nil
}

func fieldText(e journal.Entry, name string) string {
	v, _ := e.Field(name)
	s, _ := v.(string)
	return s
}

func fieldInt(e journal.Entry, name string) int64 {
	v, _ := e.Field(name)
	n, _ := v.(int64)
	return n
}

func fieldTime(e journal.Entry, name string) time.Time {
	if n := fieldInt(e, name); n != 0 {
		return time.UnixMicro(n).UTC()
	}
	return time.Time{}
}

// eachPerson gives everybody who has data here, by team.
func (s seen) eachPerson(ctx context.Context, fn func(team identity.Team, p identity.Person) error) error {
	teams, err := s.people.Customers(ctx)
	if err != nil {
		return err
	}
	for _, t := range append(teams, identity.Team{ID: "staff"}) {
		ps, err := s.people.Roster(ctx, t.ID)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if err := fn(t, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s seen) mark(person string) string { return s.ring.Pseudonym(keyring.Person(person)) }

// marks are how access records name people, by how entries do.
func (s seen) marks(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	err := s.eachPerson(ctx, func(_ identity.Team, p identity.Person) error {
		names, err := s.db.Pseudonyms(ctx, keyring.Person(p.ID))
		for _, n := range names { // none: they have done nothing, and nothing was done to them
			out[n] = s.mark(p.ID)
		}
		if err != nil && fault.KindOf(err) == fault.Sealed {
			return err
		}
		return nil
	})
	return out, err
}

// Everybody implements incident.Reads.
func (s seen) Everybody(ctx context.Context, fn func(subject string) error) error {
	told := map[string]bool{}
	return s.eachPerson(ctx, func(t identity.Team, p identity.Person) error {
		if t.ID == "staff" {
			return nil
		}
		if !told[t.ID] {
			told[t.ID] = true
			if err := fn("team/" + t.ID); err != nil {
				return err
			}
		}
		return fn("person/" + s.mark(p.ID))
	})
}

// Tagged implements incident.Reads: a field is what its own tag says, else the tags of its
// operation. Where a route has no tag at all, it is open as a whole.
func (s seen) Tagged(method, route string) (t breach.Told) { // clause: inc.breach-scope
	for _, op := range s.gateway.Data(method, route) {
		said, rest := toldOf(op)
		t.Data, t.Open = append(t.Data, said...), append(t.Open, rest...)
	}
	if slices.Sort(t.Data); len(t.Data) == 0 {
		return breach.Told{}
	}
	t.Data = slices.Compact(t.Data)
	return t
}

// toldOf are the categories of an operation, and what of it has none.
func toldOf(op gateway.Described) (data, open []string) {
	for _, f := range op.Fields {
		if f.Data != "" {
			data = append(data, f.Data)
			continue
		}
		open = append(open, strings.TrimSuffix(op.Name+" "+f.Pointer, " "))
	}
	all := len(data) == 0
	var tags []string
	for _, t := range op.Tags {
		if c := breach.Category(t); c != "" {
			tags = append(tags, c)
		}
	}
	switch {
	case len(tags) > 0 && (all || len(open) > 0):
		return append(data, tags...), nil
	case all:
		return nil, []string{op.Name}
	}
	return data, open
}

// Named implements incident.Reads: a person under all names that records have for them, or
// what was given, for a program or a pseudonym.
func (s seen) Named(ctx context.Context, ref string) ([]string, error) {
	out := []string{ref, string(actor.Machine) + "/" + ref}
	err := s.eachPerson(ctx, func(_ identity.Team, p identity.Person) error {
		if ref != p.ID && ref != p.Handle && !strings.EqualFold(ref, p.Email) {
			return nil
		}
		names, err := s.db.Pseudonyms(ctx, keyring.Person(p.ID))
		out = append(append([]string{s.mark(p.ID)}, names...), p.ID)
		if errors.Is(err, fault.NotFound) {
			err = nil
		}
		return err
	})
	return out, err
}

// Reach implements incident.Concerned: a person is told themselves, a team through its admins.
func (s seen) Reach(ctx context.Context) (func(subject string) []incident.Recipient, error) {
	to := map[string][]incident.Recipient{}
	err := s.eachPerson(ctx, func(t identity.Team, p identity.Person) error {
		if t.ID == "staff" {
			return nil
		}
		r := incident.Recipient{Person: p.ID, Team: t.ID, Name: p.Name, Email: p.Email}
		if r.Name == "" {
			r.Name = p.Handle
		}
		key := "person/" + s.mark(p.ID)
		to[key] = append(to[key], r) // once for each of their teams
		if slices.Contains(p.Roles, "admin") {
			to["team/"+t.ID] = append(to["team/"+t.ID], r)
		}
		return nil
	})
	return func(subject string) []incident.Recipient { return to[subject] }, err
}

// Admins implements incident.Concerned.
func (s seen) Admins(ctx context.Context) (func(person string) []incident.Recipient, error) {
	of, teams := map[string][]incident.Recipient{}, map[string][]string{}
	err := s.eachPerson(ctx, func(t identity.Team, p identity.Person) error {
		if t.ID == "staff" {
			return nil
		}
		teams[p.ID] = append(teams[p.ID], t.ID)
		if slices.Contains(p.Roles, "admin") {
			of[t.ID] = append(of[t.ID], incident.Recipient{Person: p.ID, Team: t.ID, Name: p.Name, Email: p.Email})
		}
		return nil
	})
	return func(person string) (out []incident.Recipient) {
		for _, t := range teams[person] {
			out = append(out, of[t]...)
		}
		return out
	}, err
}

// CheckSet computes the set of a bundle again, without a server.
func CheckSet(ctx context.Context, file io.ReaderAt, size int64) (cli.SetResult, []string, error) {
	r, wrong, err := breach.Check(ctx, file, size)
	out := cli.SetResult{Version: r.Version, Hash: r.Hash, Records: r.Records, Counts: map[string]int64{}, Unknown: r.Unknown()}
	for class, n := range r.Counts {
		out.Counts[class.String()] = n
	}
	return out, wrong, err
}

// banner says what stands above every page: a session that ends, or word of a breach that no
// letter brought.
func (a *App) banner(ctx context.Context, who actor.Actor) (web.Banner, bool) {
	if b, ok := a.glass.Banner(ctx, who); ok {
		return b, true
	}
	return owedBanner(ctx, a.incident.Owed, who)
}

// owedBanner is word of a breach for a person whom no letter about it reached.
func owedBanner(ctx context.Context, owed func(ctx context.Context, person string) (bool, error), who actor.Actor) (web.Banner, bool) { // clause: inc.breach-notify
	if who.Kind != actor.Person {
		return web.Banner{}, false
	}
	if is, err := owed(ctx, who.ID); err != nil || !is {
		return web.Banner{}, false
	}
	return web.Banner{Says: "Data of yours was exposed, and our letter about it did not reach you. Write to us, and mend your address in your account."}, true
}
