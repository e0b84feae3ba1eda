package incident

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

const (
	linesAPart   = 2000
	partsAChange = 10 // a change's time is limited
	maxPart      = 8 << 20
)

// NewScope says what is to be looked for.
type NewScope struct {
	Selector  breach.Selector     // principals as staff name them
	Data      map[string][]string // "METHOD route", "route", or a field that is open → categories
	Statement string              // about what nobody can know, and what has no category
	Audits    []string            // ids of files of the incident: audits of databases
	Unasked   bool                // the application is not asked whose its records are: it may be down
}

// Scope is a version of the set of those concerned.
type Scope struct {
	breach.Result
	Statement string
	By        string
	At        time.Time
	Signed    []string

	id, author string
	counts     [breach.Obtained + 1]int64
	parts      int64
	stated     bool
	filled     bool
	box        []byte
}

// kept is what is sealed of a version.
type keptScope struct {
	Result    breach.Result `json:"result"`
	Statement string        `json:"statement"`
}

// FreezeScope computes whose data it is and freezes it as the next version: nobody of the
// version before leaves it. Errors: fault.Invalid, fault.Denied, *Kept.
func (s *Service) FreezeScope(ctx context.Context, who actor.Actor, ref string, in NewScope) (Case, error) { // clause: inc.breach-scope
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	if err := s.insider(ctx, s.DB, who, c); err != nil {
		return Case{}, err
	}
	if at := c.States[engine.B]; at == "" || at == "BX" || at == "B8" {
		return Case{}, s.DB.Refuse(ctx, who, StepRefused{Incident: c.ID, State: at, Wanted: "scope"}, kept(c, engine.B, "scope", nil))
	}
	input, err := s.scopeInput(ctx, c, &in)
	if err != nil {
		return Case{}, err
	}
	id := s.DB.ID()
	var whose [][]byte
	if r := s.world(c).Resolver; r != nil {
		var all []ownedRecord
		if !in.Unasked {
			if all, err = s.askWhose(ctx, c, r, input); err != nil {
				return Case{}, err
			}
		}
		if whose, err = s.sealWhose(ctx, c, id, all); err != nil {
			return Case{}, err
		}
		input.Whose = subjectsOf(all)
	}
	k := &scopeKeeper{s: s, ctx: ctx, who: who, c: c, id: id}
	r, err := breach.Compute(ctx, input, k.add)
	if err == nil {
		err = k.pack()
	}
	if err != nil {
		return Case{}, err
	}
	stated := !r.Must() || utf8.RuneCountInString(in.Statement) >= 20
	text, err := json.Marshal(keptScope{r, in.Statement})
	if err != nil {
		return Case{}, fmt.Errorf("encode the set: %w", err)
	}
	box, err := s.seal(ctx, c.ID, "incident_scope.box", id, string(text))
	if err != nil {
		return Case{}, err
	}
	return s.actBreach(ctx, who, c.ID, "scope", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if err := errors.Join(k.flush(tx), s.keepWhose(ctx, tx, *c, id, whose)); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, insertScope, id, c.ID, int64(r.Version), r.Hash, r.Counts[breach.Obtained], r.Counts[breach.Accessed], r.Counts[breach.Possibly], stated, k.n, by(who), us(tx.Now()), box)
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "scope_version", "Somebody has frozen this version in between. Look at it, then compute again.")
		}
		return ScopeFrozen{Incident: c.ID, Version: int64(r.Version), Hash: r.Hash, Obtained: r.Counts[breach.Obtained], Accessed: r.Counts[breach.Accessed], Possibly: r.Counts[breach.Possibly], Cleared: r.Counts[breach.Cleared],
			Whole: r.Whole(), Stated: stated, Size: r.Coverage.Size, statement: in.Statement}, err
	})
}

// scopeInput is what a set is computed from.
func (s *Service) scopeInput(ctx context.Context, c Case, in *NewScope) (breach.Input, error) {
	reads := s.world(c).Reads
	if reads == nil {
		return breach.Input{}, fault.Newf(fault.Unavailable, "no_reads", "There is no record of accesses to compute from.")
	}
	in.Statement = strings.TrimSpace(in.Statement)
	if len(in.Statement) > 500 || !utf8.ValidString(in.Statement) {
		return breach.Input{}, badPaper("scope", "statement", "At most 500 bytes.")
	}
	var names []string
	for _, p := range in.Selector.Principals {
		as, err := reads.Named(ctx, p)
		if err != nil {
			return breach.Input{}, err
		}
		names = append(names, as...)
	}
	in.Selector.Principals = names
	if err := in.Selector.Check(s.Now()); err != nil {
		return breach.Input{}, err
	}
	for route, data := range in.Data {
		if len(route) > 600 || len(in.Data) > 500 || slices.ContainsFunc(data, func(d string) bool { return !slices.Contains(breach.Categories(), d) }) {
			return breach.Input{}, badPaper("scope", "data", "A route or a field has one of: "+strings.Join(breach.Categories(), ", ")+".")
		}
	}
	out := breach.Input{Version: 1, Selector: in.Selector, Data: in.Data, Tagged: reads.Tagged, People: reads.Everybody,
		Records: func(ctx context.Context, fn func(*breach.Record) error) (breach.Coverage, error) {
			cover, err := reads.Walk(ctx, in.Selector, 0, fn)
			if err == nil {
				err = s.walkAudits(ctx, c, in.Audits, in.Selector, &cover, fn)
			}
			return cover, err
		}}
	former, err := newestScope(ctx, s.DB, c.ID)
	if errors.Is(err, fault.NotFound) {
		return out, nil
	}
	out.Version, out.Former = former.Version+1, s.lines(c, former)
	return out, err
}

// scopeKeeper keeps lines as they come: parts of some thousand, sealed.
type scopeKeeper struct {
	s     *Service
	ctx   context.Context //nolint:containedctx // it lives for one computation
	who   actor.Actor
	c     Case
	id    string
	lines []breach.Line
	boxes [][]byte
	n     int64 // parts
	in    int64 // of which are written
}

func (k *scopeKeeper) add(l breach.Line) error {
	if k.lines = append(k.lines, l); len(k.lines) < linesAPart {
		return nil
	}
	return k.pack()
}

func (k *scopeKeeper) pack() error {
	if len(k.lines) == 0 {
		return nil
	}
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		err = errors.Join(json.NewEncoder(z).Encode(k.lines), z.Close())
	}
	if err != nil {
		return fmt.Errorf("encode a part of the set: %w", err)
	}
	box, err := k.s.seal(k.ctx, k.c.ID, "incident_scope_part.box", k.id+"/"+strconv.FormatInt(k.n, 10), b.String())
	if err != nil {
		return err
	}
	k.lines, k.boxes, k.n = k.lines[:0], append(k.boxes, box), k.n+1
	if len(k.boxes) < partsAChange {
		return nil
	}
	_, err = k.s.DB.Change(k.ctx, k.who, func(tx *ledger.Tx) (ledger.Event, error) {
		return ScopeKept{Incident: k.c.ID, Scope: k.id, Parts: k.n}, k.flush(tx)
	})
	k.boxes, k.in = k.boxes[:0], k.n
	return err
}

// flush writes what is not written, inside a change.
func (k *scopeKeeper) flush(tx *ledger.Tx) error {
	for i, box := range k.boxes {
		if _, err := tx.Exec(k.ctx, insertPart, k.id, k.in+int64(i), k.c.ID, us(tx.Now()), box); err != nil {
			return err
		}
	}
	return nil
}

// newestScope is the last version that was frozen, closed; fault.NotFound when there is none.
func newestScope(ctx context.Context, r ledger.Reader, id string) (Scope, error) {
	return readScope(ctx, r, lastScope, id)
}

func readScope(ctx context.Context, r ledger.Reader, query string, args ...any) (Scope, error) {
	var x Scope
	var t, version int64
	err := ledger.One(ctx, r, query, []any{&x.id, &version, &x.Hash, &x.counts[breach.Obtained], &x.counts[breach.Accessed], &x.counts[breach.Possibly], &x.stated, &x.parts, &x.filled, &x.author, &t, &x.box}, args...)
	x.At, x.Version = at(t), int(version)
	return x, err
}

// scope is a version with its words; 0 = the newest.
func (s *Service) scope(ctx context.Context, c Case, version int64) (Scope, error) {
	x, err := newestScope(ctx, s.DB, c.ID)
	if version > 0 {
		x, err = readScope(ctx, s.DB, oneScope, c.ID, version)
	}
	if err != nil {
		return Scope{}, err
	}
	text, err := s.open(ctx, "incident_scope.box", x.id, x.box)
	if err != nil {
		return Scope{}, err
	}
	var k keptScope
	if err := json.Unmarshal([]byte(text), &k); err == nil { // else erased
		x.Result, x.Statement = k.Result, k.Statement
	}
	x.By = s.name(ctx, x.author)
	signed, err := signersOf(ctx, s.DB, c, objectScope, x.Hash)
	for _, p := range signed {
		x.Signed = append(x.Signed, s.name(ctx, p))
	}
	return x, err
}

// lines gives the lines of a version in their order.
func (s *Service) lines(c Case, x Scope) func(context.Context, func(breach.Line) error) error {
	return func(ctx context.Context, fn func(breach.Line) error) error {
		for n := range x.parts {
			var box []byte
			if err := ledger.One(ctx, s.DB, onePart, []any{&box}, x.id, n); err != nil {
				return fmt.Errorf("read a part of the set: %w", err)
			}
			text, err := s.open(ctx, "incident_scope_part.box", x.id+"/"+strconv.FormatInt(n, 10), box)
			if err != nil {
				return err
			}
			var lines []breach.Line
			if err := json.NewDecoder(io.LimitReader(flate.NewReader(strings.NewReader(text)), maxPart)).Decode(&lines); err != nil {
				return fault.Wrap(fault.Gone, "scope_erased", err)
			}
			for _, l := range lines {
				if err := fn(l); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// BundleScope writes a version with all that it was computed from. It computes it again on the
// way, and refuses when something else comes of it.
func (s *Service) BundleScope(ctx context.Context, who actor.Actor, ref string, version int64, w io.Writer) error { // clause: inc.breach-scope
	c, err := s.known(ctx, who, ref, "scope-bundle")
	if err != nil {
		return err
	}
	x, err := s.scope(ctx, c, version)
	if err != nil {
		return err
	}
	reads := s.world(c).Reads
	if reads == nil {
		return fault.Newf(fault.Unavailable, "no_reads", "There is no record of accesses to compute from.")
	}
	in := breach.Input{Version: x.Version, Selector: x.Selector, Data: x.Data, Tagged: x.Told,
		People: func(ctx context.Context, fn func(string) error) error {
			return s.lines(c, x)(ctx, func(l breach.Line) error { return fn(l.Subject) })
		},
		Records: func(ctx context.Context, fn func(*breach.Record) error) (breach.Coverage, error) {
			if _, err := reads.Walk(ctx, x.Selector, x.Coverage.Size, fn); err != nil {
				return x.Coverage, err
			}
			return x.Coverage, s.walkAudits(ctx, c, x.audits(), x.Selector, &breach.Coverage{}, fn)
		}}
	if x.Whose != "" {
		in.Whose = map[string][]string{}
		if err := s.whose(ctx, c, x.id, func(r ownedRecord) { in.Whose[r.Record] = subjectsOf([]ownedRecord{r})[r.Record] }); err != nil {
			return err
		}
	}
	if x.Version > 1 {
		former, err := readScope(ctx, s.DB, oneScope, c.ID, int64(x.Version-1))
		if err != nil {
			return err
		}
		in.Former = s.lines(c, former)
	}
	_, err = breach.Write(ctx, in, x.Hash, w)
	return err
}

// Lines are those of a version, of one class or of all, after a subject, at most a hundred.
func (s *Service) Lines(ctx context.Context, who actor.Actor, ref string, version int64, class breach.Class, skip int) (out []breach.Line, more bool, err error) {
	c, err := s.known(ctx, who, ref, "scope-lines")
	if err != nil {
		return nil, false, err
	}
	x, err := s.scope(ctx, c, version)
	if err != nil {
		return nil, false, err
	}
	const page = 100
	enough := errors.New("enough")
	err = s.lines(c, x)(ctx, func(l breach.Line) error {
		switch {
		case class != 0 && l.Class != class:
			return nil
		case skip > 0:
			skip--
			return nil
		case len(out) == page:
			more = true
			return enough
		}
		out = append(out, l)
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return out, more, err
}

const (
	scopeColumns = `SELECT id, version, hash, obtained, accessed, possibly, stated, parts, filled, author, at, box FROM incident_scope`
	lastScope    = scopeColumns + ` WHERE case_id = $1 ORDER BY version DESC LIMIT 1`
	oneScope     = scopeColumns + ` WHERE case_id = $1 AND version = $2`
	insertScope  = `INSERT INTO incident_scope (id, case_id, version, hash, obtained, accessed, possibly, stated, parts, filled, author, at, box)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, FALSE, $10, $11, $12) ON CONFLICT (case_id, version) DO NOTHING`
	insertPart = `INSERT INTO incident_scope_part (scope_id, n, case_id, made, box) VALUES ($1, $2, $3, $4, $5)`
	onePart    = `SELECT box FROM incident_scope_part WHERE scope_id = $1 AND n = $2`
)
