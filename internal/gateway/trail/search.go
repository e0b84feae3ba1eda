package trail

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Query says which records. Empty fields match everything.
type Query struct {
	Person      string // an id, or a pseudonym as records show it; who acted, or on whose behalf
	Team        string
	Session     string // of a person, or the look of staff
	Token       string
	Route       string // the pattern
	Method      string
	Resource    string // "name=value"
	Network     string // as records show it, or as the journal names it
	Clause      string // that it was refused for
	Status      int    // 404, or 4 for all of 400 to 499
	From, Until time.Time
	Staff       bool // by staff alone
	Limit       int  // 1 to 1000; 0 = 100

	from func(*line) bool // whether a record is of Network; nil = any
}

const (
	usual = 100
	most  = 1000
)

// check gives a query its bounds.
func (q *Query) check(now time.Time) error {
	bad := func(field, want string) error {
		return fault.New(fault.Invalid, "bad_query", fault.Public{Problem: "A part of the search is not good: " + field + ".", Expected: want, Fields: []fault.Field{{Name: field, Code: "bad_query", Problem: "Expected " + want}}})
	}
	for name, v := range map[string]string{"person": q.Person, "team": q.Team, "session": q.Session, "token": q.Token, "route": q.Route, "method": q.Method, "resource": q.Resource, "network": q.Network, "clause": q.Clause} {
		if len(v) > 300 {
			return bad(name, "at most 300 bytes.")
		}
	}
	switch {
	case q.Limit < 0 || q.Limit > most:
		return bad("limit", "1 to 1000.")
	case q.Status != 0 && (q.Status < 1 || q.Status > 5) && (q.Status < 100 || q.Status > 599):
		return bad("status", "a status such as 404, or 4 for all of them.")
	}
	if q.Limit == 0 {
		q.Limit = usual
	}
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.From.IsZero() {
		q.From = q.Until.Add(-24 * time.Hour)
	}
	if !q.From.Before(q.Until) {
		return bad("from", "a time before until.")
	}
	return nil
}

// words are the query for the record of the search: what was asked about, and whose
// pseudonym, never a person's id. Names of records are the application's, and may be personal:
// that one was asked for is told, not which.
func (q *Query) words(who []string) string {
	var out []string
	for _, p := range []struct{ name, v string }{{"team", q.Team}, {"session", q.Session}, {"token", q.Token}, {"route", q.Route}, {"method", q.Method}, {"clause", q.Clause}} {
		if p.v != "" {
			out = append(out, p.name+" "+p.v)
		}
	}
	if len(who) > 0 {
		out = append(out, "person "+who[0])
	}
	if q.Resource != "" {
		out = append(out, "a record of the application")
	}
	switch {
	case strings.HasPrefix(q.Network, strange):
		out = append(out, "network "+q.Network)
	case q.Network != "":
		out = append(out, "a network")
	}
	if q.Status != 0 {
		out = append(out, fmt.Sprintf("status %d", q.Status))
	}
	if q.Staff {
		out = append(out, "staff")
	}
	if len(out) == 0 {
		return "everything"
	}
	return strings.Join(out, ", ")
}

func (q *Query) matches(l *line, who []string) bool {
	switch {
	case l.At < q.From.UnixMicro() || l.At > q.Until.UnixMicro(),
		q.Team != "" && l.Team != q.Team && !slices.Contains(l.Teams, q.Team), q.Session != "" && l.Session != q.Session, q.Token != "" && l.Token != q.Token, q.Route != "" && l.Route != q.Route, q.Clause != "" && l.Clause != q.Clause,
		q.Method != "" && l.Method != q.Method, q.Resource != "" && !slices.Contains(l.Resource, q.Resource), q.Staff && !l.Staff && l.Kind != string(actor.Support),
		q.from != nil && !q.from(l), len(who) > 0 && !slices.Contains(who, l.Who) && !slices.Contains(who, l.For),
		q.Status >= 100 && l.Status != q.Status, q.Status > 0 && q.Status < 100 && l.Status/100 != q.Status:
		return false
	}
	return true
}

// who is a person as records name them: under the pseudonym of the id, or as was given.
func (t *Trail) who(q *Query) []string {
	if q.Person == "" {
		return nil
	}
	return []string{t.Keys.Pseudonym(keyring.Person(q.Person)), q.Person}
}

// strange begins the name of a network in the journal.
const strange = "s:"

// networks tells records of one network. The journal names a network by the key of its month,
// so a name fits records of that month alone.
func (t *Trail) networks(ctx context.Context, q *Query) (func(*line) bool, error) {
	want := q.Network
	if !strings.HasPrefix(want, strange) {
		if want == "" {
			return nil, nil
		}
		return func(l *line) bool { return l.Net == want }, nil
	}
	keys := map[string][]envelope.Key{} // by month
	for at := max(q.From.Unix(), t.Now().Add(-keep).Unix()); at <= q.Until.Unix()+24*60*60; at += 24 * 60 * 60 {
		month := keyring.Strangers(time.Unix(at, 0))
		if _, ok := keys[month.ID]; ok {
			continue
		}
		ks, err := t.Keys.Versions(ctx, month)
		if err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Gone) {
			return nil, fmt.Errorf("find the names of networks: %w", err)
		}
		keys[month.ID] = ks
	}
	is := map[string]bool{} // by month and network
	return func(l *line) bool {
		month := keyring.Strangers(time.UnixMicro(l.At)).ID
		fits, ok := is[month+l.Net]
		if !ok {
			fits = slices.ContainsFunc(keys[month], func(k envelope.Key) bool { return ledger.Pseudonym(k, string(actor.Stranger), l.Net) == want })
			is[month+l.Net] = fits
		}
		return fits
	}, nil
}

// Search finds the newest records. That somebody searched is recorded before they see any.
func (t *Trail) Search(ctx context.Context, who actor.Actor, q Query) ([]Found, error) {
	if err := t.allow(ctx, who, access.JournalRead, &q, ""); err != nil {
		return nil, err
	}
	var out []Found
	err := t.walk(ctx, q, true, func(fs []Found) error {
		slices.Reverse(fs)
		if out = append(out, fs...); len(out) >= q.Limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return out[:min(len(out), q.Limit)], nil
}

var errEnough = errors.New("trail: enough")

// allow asks for the right, checks the query and records the search.
func (t *Trail) allow(ctx context.Context, who actor.Actor, do access.Action, q *Query, export string) error {
	if err := t.Access.Allow(ctx, who, do, "gateway/records"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	if err := q.check(t.Now()); err != nil {
		return err
	}
	_, err := t.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return Searched{Of: q.words(t.who(q)), From: q.From, Until: q.Until, Export: export}, nil
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// walk goes through segments and gives what matches, the oldest record of a segment first, in lists
// that are good until fn returns; segments come the newest first, each in one list, or the oldest, in short ones.
func (t *Trail) walk(ctx context.Context, q Query, newest bool, fn func([]Found) error) error {
	if err := t.Flush(ctx); err != nil { // what was just answered is found
		return err
	}
	var rows []row
	if err := t.each(ctx, q.From, q.Until, func(r row) error { rows = append(rows, r); return nil }); err != nil {
		return err
	}
	t.write.Lock()
	if s := t.open; s != nil {
		rows = slices.Insert(rows, 0, row{id: s.id, size: s.size})
	}
	t.write.Unlock()
	if !newest {
		slices.Reverse(rows)
	}
	who := t.who(&q)
	var err error
	if q.from, err = t.networks(ctx, &q); err != nil {
		return err
	}
	a := t.ahead(everything, func(l *line) bool { return q.matches(l, who) })
	for _, r := range rows {
		if err := t.search(ctx, a, r, newest, fn); err != nil {
			return err
		}
	}
	return nil
}

// search gives what matches in one segment: all of it together where the newest is asked for, else
// list by list.
func (t *Trail) search(ctx context.Context, a *ahead, r row, newest bool, fn func([]Found) error) error {
	f, err := os.Open(t.path(r.id))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Unavailable, "records_missing", fault.Public{Problem: "A segment of the access records is not in its folder: " + r.id + ".", Expected: "Every segment of the last 90 days.", Next: "Bring DIR/segments back from a backup, or search from this server's other node."})
	}
	if err != nil {
		return fmt.Errorf("read access records: %w", err)
	}
	defer f.Close()
	give, all := fn, []Found(nil)
	if newest {
		give = func(fs []Found) error { all = append(all, fs...); return nil }
	}
	heard, err := a.read(ctx, r.id, bufio.NewReaderSize(io.LimitReader(f, r.size), 64<<10), give)
	if heard != nil {
		return heard
	}
	if err != nil {
		return fmt.Errorf("read the segment %s: %w", r.id, err)
	}
	if len(all) == 0 {
		return nil
	}
	return fn(all)
}

// Whole compares every closed segment since a time with its hash, and says which are not
// as they were closed.
func (t *Trail) Whole(ctx context.Context, since time.Time) (segments, records int64, broken []string, err error) { // clause: inc.breach-scope
	err = t.each(ctx, since, time.Time{}, func(r row) error {
		segments, records = segments+1, records+r.count
		f, err := os.Open(t.path(r.id))
		if errors.Is(err, fs.ErrNotExist) {
			broken = append(broken, r.id+" is missing")
			return nil
		}
		if err != nil {
			return fmt.Errorf("read access records: %w", err)
		}
		defer f.Close()
		h := sha256.New()
		n, err := io.Copy(h, f)
		if err != nil {
			return fmt.Errorf("read access records: %w", err)
		}
		if n != r.size || hex.EncodeToString(h.Sum(nil)) != r.sum {
			broken = append(broken, r.id+" was altered")
		}
		return nil
	})
	aside, globErr := filepath.Glob(t.path("*") + damaged)
	for _, name := range aside {
		broken = append(broken, strings.TrimSuffix(filepath.Base(name), suffix+damaged)+" was laid aside as damaged")
	}
	return segments, records, broken, errors.Join(err, globErr)
}
