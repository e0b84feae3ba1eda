package console

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/merkle"
	"writ/internal/watch"
	"writ/internal/web"
)

const entriesAPage = 40

type journalPage struct {
	Facts   []fact
	Stopped *web.Empty
	Table   web.Table
	Export  *web.Form
}

func entryHref(n int64) string { return atJournal + "/" + strconv.FormatInt(n, 10) }

// actorWords names who acted as far as the journal does: persons stand in it by a
// pseudonym that only their own key explains.
func actorWords(e journal.Entry) string {
	switch actor.Kind(e.Kind) {
	case actor.Support:
		return "person " + cutID(e.Actor) + " as a customer"
	case actor.Person, actor.Enrolling, actor.Agreeing:
		return "person " + cutID(e.Actor)
	case actor.Stranger:
		return "stranger " + cutID(e.Actor)
	case actor.Writ:
		return "Writ: " + strings.TrimPrefix(e.Actor, "writ/")
	}
	return strings.Replace(e.Actor, "/", " ", 1)
}

func cutID(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "p:"), "s:")
	if len(s) > 8 {
		return s[:8]
	}
	return s
}

func (c *Console) showJournal(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ctx, v := r.Context(), r.URL.Query()
	q := journal.Query{Clause: strings.TrimSpace(v.Get("clause")), Act: strings.TrimSpace(v.Get("act")), Object: strings.TrimSpace(v.Get("object")), Actor: v.Get("actor"), Subject: v.Get("subject"), Limit: entriesAPage + 1}
	for _, s := range []string{q.Clause, q.Act, q.Object, q.Actor, q.Subject} {
		if len(s) > 300 {
			return fault.New(fault.Invalid, "bad_query", fault.Public{Problem: "A word to search for is too long.", Expected: "At most 300 bytes."})
		}
	}
	if s := v.Get("before"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return fault.New(fault.Invalid, "bad_query", fault.Public{Problem: "The page cannot be found.", Next: "Begin with the newest entries."})
		}
		q.Before = n
	}
	if err := c.within(ctx, v, &q); err != nil {
		return err
	}
	es, err := c.Journal.List(ctx, q)
	if err != nil {
		return err
	}
	asked := map[string]string{"act": q.Act, "clause": q.Clause, "object": q.Object, "actor": q.Actor, "subject": q.Subject, "from": v.Get("from"), "until": v.Get("until")}
	p := journalPage{Table: web.Table{Caption: "Entries, the newest first", Empty: web.Empty{Says: "No entry matches.", Next: web.Link{Text: "Show all entries", Href: atJournal}},
		Columns: []web.Column{{Name: "Entry"}, {Name: "When"}, {Name: "Act"}, {Name: "Who"}, {Name: "Object"}, {Name: "Clause"}},
		Filter:  &web.Filter{Action: atJournal, Fields: []web.Field{{Name: "act", Label: "Act", Value: q.Act}, {Name: "clause", Label: "Clause", Value: q.Clause}, {Name: "object", Label: "Object", Value: q.Object}}}}}
	more := len(es) > entriesAPage
	es = es[:min(len(es), entriesAPage)]
	for _, e := range es {
		clauseCell := web.Cell{}
		if e.Clause != "" {
			clauseCell = web.Cell{Text: e.Clause, Href: "/-/console/clauses/" + url.PathEscape(e.Clause), Code: true}
		}
		p.Table.Rows = append(p.Table.Rows, web.Row{Cells: []web.Cell{{Text: web.Number(e.N), Href: entryHref(e.N)}, {At: e.Happened},
			{Text: e.Act}, {Text: actorWords(e)}, {Text: shortObject(e.Object), Code: true}, clauseCell}})
	}
	page := func(before int64) string {
		u := url.Values{}
		for k, s := range asked {
			if s != "" {
				u.Set(k, s)
			}
		}
		if before > 0 {
			u.Set("before", strconv.FormatInt(before, 10))
		}
		return strings.TrimSuffix(atJournal+"?"+u.Encode(), "?")
	}
	if more {
		p.Table.Older = page(es[len(es)-1].N)
	}
	if v.Get("before") != "" {
		p.Table.Newer = page(0)
		if q.Clause+q.Act+q.Object+q.Actor == "" && len(es) > 0 {
			p.Table.Newer = page(es[0].N + entriesAPage + 1)
		}
	}
	if err := c.journalFacts(ctx, &p); err != nil {
		return err
	}
	if c.Access.May(who, access.JournalExport) {
		p.Export = &web.Form{Action: "/-/api/v1/journal/export", Method: "get", Act: "Download evidence", Quiet: true,
			Fields: []web.Field{{Name: "reason", Label: "What the evidence is for", Required: true, Max: 300, Hint: "A zip of these entries with their proofs, which writ verify checks offline. The export is an entry itself."}}}
		for k, s := range map[string]string{"act": q.Act, "clause": q.Clause, "object": q.Object, "actor": q.Actor} {
			if s != "" {
				p.Export.Hidden = append(p.Export.Hidden, web.Pair{Name: k, Value: s})
			}
		}
		slices.SortFunc(p.Export.Hidden, func(a, b web.Pair) int { return strings.Compare(a.Name, b.Name) })
	}
	return c.show(w, r, "journal", web.View{Title: "Journal", Lead: "Everything that happened, numbered, chained and signed. What is changed afterwards is found.", Data: p})
}

// within bounds a query to the entries that were numbered in a span, where the address has one.
func (c *Console) within(ctx context.Context, v url.Values, q *journal.Query) error {
	if v.Get("from") == "" && v.Get("until") == "" {
		return nil
	}
	span, err := watch.QuestionOf(v, c.Now())
	if err != nil {
		return err
	}
	if v.Get("until") == "" { // to the end, whatever the clock says
		span.Until = time.Time{}
	}
	first, before, err := c.entriesBetween(ctx, span.From, span.Until)
	if err != nil {
		return err
	}
	if q.From = first; before <= first { // nothing was
		q.From = math.MaxInt64
	}
	if q.Before == 0 || before < q.Before {
		q.Before = before
	}
	return nil
}

func shortObject(s string) string {
	if kind, id, ok := strings.Cut(s, "/"); ok && len(id) > 18 && !strings.ContainsAny(id, ".-") {
		return kind + "/…" + id[len(id)-8:]
	}
	return s
}

func (c *Console) journalFacts(ctx context.Context, p *journalPage) error {
	if err := c.Journal.Stopped(); err != nil {
		p.Stopped = &web.Empty{Says: "Nothing is numbered and signed any more: " + err.Error() + ".", Next: web.Link{Text: "Find the clause", Href: "/-/console/clauses/log.tamper-evident"}}
	}
	h, err := c.Journal.Head(ctx)
	if err != nil {
		if fault.KindOf(err) == fault.Unavailable {
			return nil // nothing was signed yet
		}
		return err
	}
	key, err := c.Journal.Key(ctx)
	if err != nil {
		return err
	}
	p.Facts = []fact{{Name: "Entries", Text: web.Number(h.Size)}, {Name: "Signed", Time: h.Signed, Mark: signedMark(c.Now(), h.Signed)},
		{Name: "Root", Text: base64.StdEncoding.EncodeToString(h.Root[:]), Code: true}, {Name: "Key", Text: key, Code: true, Sub: "Give it to an auditor by another way than the evidence."}}
	if rep := c.Journal.LastReport(); rep != nil {
		f := fact{Name: "Checked whole", Mark: &web.Mark{State: web.Holds, Word: web.Number(rep.Read) + " entries hashed again, nothing differs", At: rep.At}}
		if !rep.OK() {
			f.Mark = &web.Mark{State: web.Broken, Word: rep.Findings[0].Says, At: rep.At}
		}
		p.Facts = append(p.Facts, f)
	}
	return nil
}

func signedMark(now, signed time.Time) *web.Mark {
	if now.Sub(signed) > 2*time.Hour {
		return &web.Mark{State: web.StaleNow, Word: "checkpoint", At: signed}
	}
	return &web.Mark{State: web.Holds, Word: "checkpoint", At: signed}
}

type entryPage struct {
	Facts   []fact
	Fields  web.Table
	Open    *web.Form
	Opened  bool
	Proof   web.Mark
	Problem string
	Leaf    web.Code
	Hash    string
	Href    string // of the proof file
	Command web.Code
}

// findEntry reads an entry by its number or its id.
func (c *Console) findEntry(ctx context.Context, ref string) (journal.Entry, error) {
	if n, err := strconv.ParseInt(ref, 10, 64); err == nil && len(ref) < 16 {
		return c.Journal.Entry(ctx, n)
	}
	return c.Journal.ByID(ctx, ref)
}

func (c *Console) showEntry(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	e, err := c.findEntry(r.Context(), r.PathValue("n"))
	if err != nil {
		return err
	}
	return c.entryPage(w, r, who, e, false)
}

// openEntry shows the personal values of an entry. It is a POST because that is an act:
// the opening is recorded before the first value is read.
func (c *Console) openEntry(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	e, err := c.findEntry(r.Context(), r.PathValue("n"))
	if err != nil {
		return err
	}
	if err := c.Journal.Open(r.Context(), who, &e); err != nil {
		return err
	}
	return c.entryPage(w, r, who, e, true)
}

func (c *Console) entryPage(w http.ResponseWriter, r *http.Request, _ actor.Actor, e journal.Entry, opened bool) error {
	ctx := r.Context()
	hash := merkle.LeafHash(e.Leaf)
	number := strconv.FormatInt(e.N, 10)
	p := entryPage{Facts: entryFacts(e), Fields: fields(e), Opened: opened, Leaf: web.Code{Label: "The leaf, as it was hashed", Text: string(e.Leaf)},
		Hash: base64.StdEncoding.EncodeToString(hash[:]), Href: "/-/journal/proof?n=" + number, Command: web.Code{Label: "Check it yourself", Text: "writ journal prove " + number}}
	proof, _, err := c.Journal.Proof(ctx, e.N)
	switch h, herr := c.Journal.Head(ctx); {
	case err != nil:
		p.Proof, p.Problem = web.Mark{State: web.Broken, Word: "not proved"}, "The proof could not be made: the journal does not hold what was signed, or it is not signed yet."
	case herr != nil:
		return herr
	default:
		p.Proof = web.Mark{State: web.Holds, Word: fmt.Sprintf("proved: entry %s of %s", web.Number(e.N), web.Number(h.Size)), At: c.Now()}
		p.Problem = fmt.Sprintf("Its hash leads through %s to the root that was signed.", web.Count(int64(strings.Count(string(proof), "\n")-6), "step"))
		if strings.Count(string(proof), "\n") < 8 {
			p.Problem = "Its hash leads to the root that was signed."
		}
	}
	if !opened && e.Hidden() {
		p.Open = &web.Form{Action: entryHref(e.N) + "/open", Act: "Open personal values", Quiet: true}
	}
	return c.show(w, r, "entry", web.View{Title: "Entry " + web.Number(e.N), Lead: e.Act, Up: &web.Link{Text: "Journal", Href: atJournal}, Data: p})
}

func entryFacts(e journal.Entry) []fact {
	out := []fact{{Name: "Happened", Time: e.Happened}, {Name: "Act", Text: e.Act, Href: atJournal + "?" + url.Values{"act": {e.Act}}.Encode(), Sub: "number " + web.Number(e.SN) + " of its kind"},
		{Name: "Who", Text: actorWords(e), Href: atJournal + "?" + url.Values{"actor": {e.Actor}}.Encode()}}
	if e.Via != "" {
		out[2].Sub = "by " + e.Via
	}
	if e.Object != "" {
		out = append(out, fact{Name: "Object", Text: e.Object, Code: true, Href: atJournal + "?" + url.Values{"object": {e.Object}}.Encode()})
	}
	if e.Subject != "" {
		out = append(out, fact{Name: "About", Text: e.Subject, Code: true, Sub: "a pseudonym; personal values are sealed under this person's key"})
	}
	if e.Clause != "" {
		out = append(out, fact{Name: "Clause", Text: e.Clause, Code: true, Href: "/-/console/clauses/" + url.PathEscape(e.Clause)})
	}
	if e.Revision != "" {
		out = append(out, fact{Name: "Under revision", Text: e.Revision, Href: atRevisions + "/" + url.PathEscape(e.Revision)})
	}
	return append(out, fact{Name: "Id", Text: e.ID, Code: true})
}

func fields(e journal.Entry) web.Table {
	t := web.Table{Columns: []web.Column{{Name: "Field"}, {Name: "Value"}, {Name: "Stands in the journal"}}, Empty: web.Empty{Says: "The act says all: it has no further fields."}}
	for _, f := range e.Fields {
		says := map[string]string{journal.Public: "as it is", journal.Hidden: "as a commitment, not opened", journal.Shown: "as a commitment, which the value matches",
			journal.Redacted: "as a commitment nobody can open any more: the key is destroyed", journal.Damaged: "as a commitment the stored value does not match"}[f.State]
		value := web.Cell{Text: fieldValue(f)}
		if f.State == journal.Hidden {
			value.Text = "hidden"
		}
		t.Rows = append(t.Rows, web.Row{Cells: []web.Cell{{Text: f.Name}, value, {Text: says}}})
	}
	return t
}

func fieldValue(f journal.Field) string {
	switch v := f.Value.(type) {
	case nil:
		return "—"
	case int64:
		if v > 1e15 && v < 1e16 { // microseconds since 1970: a moment
			return fmt.Sprintf("%s (%d)", time.UnixMicro(v).UTC().Format("2 January 2006, 15:04:05 UTC"), v)
		}
		return strconv.FormatInt(v, 10)
	case []any:
		var s []string
		for _, x := range v {
			s = append(s, fmt.Sprint(x))
		}
		return strings.Join(s, ", ")
	}
	return fmt.Sprint(f.Value)
}
