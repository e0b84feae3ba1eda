package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/journal/verify"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// The states of a field.
const (
	Public   = "public"   // the value stands in the leaf
	Hidden   = "hidden"   // a commitment, not opened
	Shown    = "shown"    // a commitment, opened; it matched
	Redacted = "redacted" // the subject's key is destroyed: nobody can open it any more
	Damaged  = "damaged"  // the sealed value was changed or does not match its commitment
)

// Field is one field of an entry.
type Field struct {
	Name  string `json:"name"`            // wire name; "reason" for the reason
	State string `json:"state"`           // public, hidden, shown, redacted or damaged
	Value any    `json:"value,omitempty"` // string, bool, int64 or []any; nil unless public or shown
}

// Entry is one entry of the journal.
type Entry struct {
	N        int64     `json:"n"`      // place, from 0
	ID       string    `json:"id"`     // ledger.Receipt.ID
	Stream   string    `json:"stream"` // the event's name
	SN       int64     `json:"sn"`     // number within the stream, from 1
	At       time.Time `json:"at"`     // numbered
	Happened time.Time `json:"happened"`
	Kind     string    `json:"kind"`  // of the actor
	Actor    string    `json:"actor"` // a pseudonym for persons and strangers, else kind/id
	Act      string    `json:"act"`
	Object   string    `json:"object,omitempty"`
	Subject  string    `json:"subject,omitempty"` // a pseudonym, or kind/id
	Clause   string    `json:"clause,omitempty"`
	Revision string    `json:"revision,omitempty"` // policy in force
	Team     string    `json:"team,omitempty"`
	Session  string    `json:"session,omitempty"`
	Via      string    `json:"via,omitempty"`
	Fields   []Field   `json:"fields"`
	Leaf     []byte    `json:"-"` // as hashed
}

// Field returns a field's value and whether it is there and readable.
func (e Entry) Field(name string) (any, bool) {
	for _, f := range e.Fields {
		if f.Name == name && (f.State == Public || f.State == Shown) {
			return f.Value, true
		}
	}
	return nil, false
}

// Hidden reports whether the entry has fields that Open could show.
func (e Entry) Hidden() bool {
	return slices.ContainsFunc(e.Fields, func(f Field) bool { return f.State == Hidden })
}

// EntryOf decodes a leaf as it is stored and hashed, with its hidden fields closed.
func EntryOf(leaf []byte) (Entry, error) {
	l, err := verify.ParseLeaf(leaf)
	if err != nil {
		return Entry{}, err
	}
	happened, _ := l.Body["happened"].(int64)
	e := Entry{N: l.N, ID: l.Text("id"), Stream: l.Stream, SN: l.SN, At: time.UnixMicro(l.At).UTC(), Happened: time.UnixMicro(happened).UTC(),
		Kind: l.Text("kind"), Actor: l.Text("actor"), Act: l.Text("act"), Object: l.Text("object"), Subject: l.Text("subject"),
		Clause: l.Text("clause"), Revision: l.Text("rev"), Team: l.Text("team"), Session: l.Text("session"), Via: l.Text("via"), Leaf: leaf}
	f, _ := l.Body["f"].(map[string]any)
	for name, v := range f {
		if _, ok := verify.Commitment(v); ok {
			e.Fields = append(e.Fields, Field{Name: name, State: Hidden})
		} else {
			e.Fields = append(e.Fields, Field{Name: name, State: Public, Value: v})
		}
	}
	if _, ok := verify.Commitment(l.Body["reason"]); ok {
		e.Fields = append(e.Fields, Field{Name: "reason", State: Hidden})
	}
	slices.SortFunc(e.Fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return e, nil
}

// Query selects entries. Empty members select all.
type Query struct {
	Clause  string
	Act     string // event name = stream
	Object  string // kind/id
	Actor   string // person id, or kind/id, or a pseudonym as entries show it
	Subject string // likewise
	From    int64  // first number
	Before  int64  // n < Before; 0 = the end
	Limit   int    // 0 = 50, at most 1,000
}

// where writes the conditions; persons become pseudonyms.
func (j *Journal) where(ctx context.Context, q Query) (text string, args []any, err error) {
	var conds []string
	add := func(cond string, v any) {
		args = append(args, v)
		conds = append(conds, fmt.Sprintf(cond, len(args)))
	}
	for _, c := range []struct{ col, v string }{{"act", q.Act}, {"object", q.Object}, {"clause", q.Clause}} {
		if c.v != "" {
			add("i."+c.col+" = $%d AND i."+c.col+" <> ''", c.v)
		}
	}
	for _, c := range []struct{ col, v string }{{"actor", q.Actor}, {"subject", q.Subject}} {
		if c.v == "" {
			continue
		}
		names, err := j.pseudonyms(ctx, c.v)
		if err != nil {
			return "", nil, err
		}
		var marks []string
		for _, p := range names {
			args = append(args, p)
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		conds = append(conds, "i."+c.col+" IN ("+strings.Join(marks, ", ")+") AND i."+c.col+" <> ''")
	}
	if q.From > 0 {
		add("i.n >= $%d", q.From)
	}
	if q.Before > 0 {
		add("i.n < $%d", q.Before)
	}
	if len(conds) == 0 {
		return "1 = 1", args, nil
	}
	return strings.Join(conds, " AND "), args, nil
}

// pseudonyms are how an actor or subject appears in entries: one for each version of its key.
func (j *Journal) pseudonyms(ctx context.Context, who string) ([]string, error) {
	if strings.HasPrefix(who, "p:") || strings.HasPrefix(who, "s:") {
		return []string{who}, nil
	}
	kind, id, ok := strings.Cut(who, "/")
	switch {
	case !ok:
		kind, id = "person", who
	case kind == string(actor.Stranger), kind == string(actor.Machine), kind == string(actor.Operator), kind == string(actor.Writ),
		kind == string(actor.BreakGlass), kind == "class":
		return []string{who}, nil
	}
	return j.db.Pseudonyms(ctx, keyring.Subject{Kind: kind, ID: id})
}

// List reads entries, the newest first. fault.Gone when the person asked for was erased.
func (j *Journal) List(ctx context.Context, q Query) ([]Entry, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 1000)
	where, args, err := j.where(ctx, q)
	if err != nil {
		return nil, err
	}
	args = append(args, q.Limit)
	return j.read(ctx, `SELECT e.leaf FROM journal_index i JOIN journal_entry e ON e.n = i.n WHERE `+where+
		` ORDER BY i.n DESC LIMIT $`+strconv.Itoa(len(args)), args...)
}

// between reads entries from n on, in order.
func (j *Journal) between(ctx context.Context, from int64, limit int) ([]Entry, error) {
	return j.read(ctx, selectFrom, from, limit)
}

func (j *Journal) read(ctx context.Context, query string, args ...any) ([]Entry, error) {
	out := []Entry{}
	err := j.db.Each(ctx, query, func(scan ledger.Scan) error {
		var leaf []byte
		if err := scan(&leaf); err != nil {
			return err
		}
		e, err := EntryOf(leaf)
		if err == nil {
			out = append(out, e)
		}
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	return out, nil
}

// Entry reads entry n; fault.NotFound beyond the end.
func (j *Journal) Entry(ctx context.Context, n int64) (Entry, error) {
	return one(j.read(ctx, `SELECT leaf FROM journal_entry WHERE n = $1`, n))
}

// ByID reads the entry of a receipt; fault.NotFound also while it waits to be numbered.
func (j *Journal) ByID(ctx context.Context, id string) (Entry, error) {
	return one(j.read(ctx, `SELECT leaf FROM journal_entry WHERE id = $1`, id))
}

func one(es []Entry, err error) (Entry, error) {
	if err != nil {
		return Entry{}, err
	}
	if len(es) == 0 {
		return Entry{}, fault.New(fault.NotFound, "no_entry", fault.Public{Problem: "There is no such entry in the journal.",
			Next: "A new entry gets its number within a second."})
	}
	return es[0], nil
}

// Wait reads the entry of a receipt as soon as it is numbered and its checkpoint
// committed. It waits as long as ctx lets it, and ends with the journal's reason when
// nothing is numbered any more.
func (j *Journal) Wait(ctx context.Context, id string) (Entry, error) {
	for {
		news := j.news()
		e, err := j.ByID(ctx, id)
		if !errors.Is(err, fault.NotFound) {
			return e, err
		}
		if err := j.Stopped(); err != nil {
			return Entry{}, fault.Wrap(fault.Unavailable, "journal_stopped", err)
		}
		select {
		case <-news:
		case <-time.After(tick):
		case <-ctx.Done():
			return Entry{}, fault.Wrap(fault.Unavailable, "not_numbered", context.Cause(ctx))
		}
	}
}

// errByToken keeps what is about people from programs: someone must look, and be named.
func errByToken() error {
	return fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A token does not open hidden values.",
		Next: "Ask without them (opened=0 for a bundle), or sign in."})
}

// Open opens the hidden fields of entries in place for who, and records that before the
// first value is read, unless nothing is hidden or the server itself reads. What cannot
// be opened stays hidden (secret fields), or becomes redacted or damaged.
func (j *Journal) Open(ctx context.Context, who actor.Actor, entries ...*Entry) error {
	var ns []string
	for _, e := range entries {
		if e.Hidden() {
			ns = append(ns, strconv.FormatInt(e.N, 10))
		}
	}
	if len(ns) == 0 {
		return nil
	}
	if who.ByToken() {
		return errByToken()
	}
	if who.Kind == actor.BreakGlass { // clause: access.least-privilege
		return fault.New(fault.Denied, "emergency_closed", fault.Public{Problem: "A break-glass session does not open hidden values: they are about people.", Next: "Ask an owner, once one is back in."})
	}
	if who.Kind != actor.Writ {
		_, err := j.db.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
			return Opened{Entries: ns[:min(len(ns), 200)], Count: int64(len(ns))}, nil
		})
		if err != nil {
			return fmt.Errorf("record the reading of %d entries: %w", len(ns), err)
		}
	}
	for _, e := range entries {
		if err := j.open(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// open fills the fields of one entry.
func (j *Journal) open(ctx context.Context, e *Entry) error {
	if !e.Hidden() {
		return nil
	}
	e.Fields = slices.Clone(e.Fields)
	plain, state, err := j.payload(ctx, e.N, e.ID)
	if err != nil {
		return err
	}
	if state == Hidden {
		return nil
	}
	values := map[string]any{}
	if state == Shown {
		l, err := verify.ParseLeaf(e.Leaf)
		if err != nil {
			return err
		}
		opened, err := verify.ParseOpened(plain)
		if err == nil {
			err = l.Check(opened)
		}
		if err != nil {
			j.log.Error("the sealed values of an entry do not match it", "n", e.N, "err", err)
			state = Damaged
		}
		for _, o := range opened {
			values[strings.TrimPrefix(o.Name, "f.")] = o.Value
		}
	}
	for i, f := range e.Fields {
		v, has := values[f.Name]
		switch {
		case f.State != Hidden:
		case state == Shown && has:
			e.Fields[i].State, e.Fields[i].Value = Shown, v
		case state != Shown:
			e.Fields[i].State = state
		}
	}
	return nil
}

// payload opens the sealed values of entry n: Shown with the plain bytes, Hidden where
// there are none, Redacted when the key is gone, Damaged when the box does not open.
func (j *Journal) payload(ctx context.Context, n int64, id string) (plain []byte, state string, err error) {
	var keyID, stored string
	var box []byte
	err = ledger.One(ctx, j.db, selectPayload, []any{&stored, &keyID, &box}, n)
	if errors.Is(err, fault.NotFound) {
		return nil, Hidden, nil
	}
	if err != nil {
		return nil, "", err
	}
	var k envelope.Key
	k, err = j.ring.ByID(ctx, keyID)
	switch {
	case errors.Is(err, fault.Gone):
		return nil, Redacted, nil
	case errors.Is(err, fault.NotFound):
		return nil, Damaged, nil
	case err != nil:
		return nil, "", fmt.Errorf("get the key of entry %d: %w", n, err)
	}
	b, err := k.Open(box, ledger.PayloadAAD(id))
	if err != nil {
		j.log.Error("the sealed values of an entry do not open", "n", n, "err", err)
		return nil, Damaged, nil //nolint:nilerr // reported as the field's state
	}
	return b.Reveal(), Shown, nil
}

const (
	selectFrom    = `SELECT leaf FROM journal_entry WHERE n >= $1 ORDER BY n LIMIT $2`
	selectPayload = `SELECT id, key_id, box FROM journal_payload WHERE n = $1`
)
