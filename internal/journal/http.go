package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/merkle"
	"writ/internal/web"
)

const streamTime = -1 * time.Second // no limit on the handler's time

// Routes are the journal's addresses. Checkpoint and hash tiles are for whoever is
// signed in: they show volume only. Entries and proofs need journal.read, bundles
// journal.export.
func (j *Journal) Routes() []web.Route {
	one := []string{"session_ended", "denied", "no_entry"}
	return []web.Route{
		{Pattern: "GET /-/journal/checkpoint", Who: web.SignedIn, Tokens: true, Handle: j.serveCheckpoint},
		{Pattern: "GET /-/journal/tile/{path...}", Who: web.SignedIn, Tokens: true, Handle: j.serveTile},
		{Pattern: "GET /-/journal/proof", Who: web.SignedIn, Tokens: true, Handle: j.serveProofFile},
		{Pattern: "GET /-/journal/consistency", Who: web.SignedIn, Tokens: true, Handle: j.serveConsistency},
		{Pattern: "GET /-/api/v1/journal/checkpoint", Who: web.SignedIn, Tokens: true, Handle: j.apiCheckpoint,
			Doc: web.Doc{Summary: "The newest signed checkpoint and the journal's verifier key.", Out: CheckpointOut{}, Errors: []string{"journal_empty"}}},
		{Pattern: "GET /-/api/v1/journal/entries", Who: web.SignedIn, Tokens: true, Handle: j.apiEntries,
			Doc: web.Doc{Summary: "Entries, the newest first; hidden values stay hidden.", Query: []string{"clause", "act", "object", "actor", "subject", "from", "before", "limit"},
				Out: EntriesOut{}, Errors: []string{"session_ended", "denied", "bad_query"}}},
		{Pattern: "GET /-/api/v1/journal/entries/{ref}", Who: web.SignedIn, Tokens: true, Handle: j.apiEntry,
			Doc: web.Doc{Summary: "One entry by number or id; open=1 opens its hidden values, which is recorded.", Query: []string{"open"}, Out: EntryOut{}, Errors: one}},
		{Pattern: "GET /-/api/v1/journal/proof", Who: web.SignedIn, Tokens: true, Handle: j.apiProof,
			Doc: web.Doc{Summary: "Leaf and proof file of one entry.", Query: []string{"id", "n"}, Out: ProofOut{}, Errors: one}},
		{Pattern: "POST /-/api/v1/journal/verify", Who: web.SignedIn, Tokens: true, Handle: j.apiVerify, Time: streamTime,
			Doc: web.Doc{Summary: "Hashes the whole journal again. The answer is lines of JSON: progress, then the report.", Out: VerifyLine{}, Errors: []string{"session_ended", "denied"}}},
		{Pattern: "GET /-/api/v1/journal/export", Who: web.SignedIn, Tokens: true, Handle: j.apiExport, Time: streamTime,
			Doc: web.Doc{Summary: "An evidence bundle (zip).", Query: []string{"clause", "act", "object", "actor", "subject", "from", "to", "since", "opened", "reason"},
				Errors: []string{"session_ended", "denied", "bad_query"}}},
	}
}

func (j *Journal) serveCheckpoint(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	h, err := j.Head(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = w.Write(h.Note)
	return err
}

func (j *Journal) serveTile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	t, err := merkle.ParseTilePath("tile/" + r.PathValue("path"))
	if err != nil {
		return err
	}
	if t.Entries {
		if err := j.access.Allow(r.Context(), who, access.JournalRead, "journal/entries"); err != nil {
			return err
		}
	}
	b, err := j.Tile(r.Context(), t)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	if t.Entries && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		if _, err := g.Write(b); err != nil {
			return err
		}
		if err := g.Close(); err != nil {
			return err
		}
		b = z.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, err = w.Write(b)
	return err
}

// asked finds the entry that n= or id= names, for a reader who may.
func (j *Journal) asked(r *http.Request, who actor.Actor) (Entry, error) {
	if err := j.access.Allow(r.Context(), who, access.JournalRead, "journal/entries"); err != nil {
		return Entry{}, err
	}
	q := r.URL.Query()
	if q.Get("n") == "" {
		return j.ByID(r.Context(), q.Get("id"))
	}
	n, err := number(q, "n")
	if err != nil {
		return Entry{}, err
	}
	return j.Entry(r.Context(), n)
}

func (j *Journal) serveProofFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	e, err := j.asked(r, who)
	if err != nil {
		return err
	}
	p, _, err := j.Proof(r.Context(), e.N)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%d.tlog-proof"`, e.N))
	_, err = w.Write(p)
	return err
}

func (j *Journal) serveConsistency(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	from, err := number(r.URL.Query(), "from")
	to, err2 := number(r.URL.Query(), "to")
	if err = errors.Join(err, err2); err != nil {
		return err
	}
	hs, err := j.Consistency(r.Context(), from, to)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	var b bytes.Buffer
	for _, h := range hs {
		b.WriteString(h.String() + "\n")
	}
	_, err = w.Write(b.Bytes())
	return err
}

// CheckpointOut is the newest checkpoint on the wire.
type CheckpointOut struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"` // base64
	Note   string `json:"note"` // the signed text
	Key    string `json:"key"`  // verifier key, self-asserted
	At     string `json:"at"`
	Signed string `json:"signed"`
}

func (j *Journal) apiCheckpoint(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	h, err := j.Head(r.Context())
	if err != nil {
		return err
	}
	key, err := j.Key(r.Context())
	if err != nil {
		return err
	}
	if err := j.keep(r.Context(), h, "served"); err != nil { // who keeps it asks one day for the proof that it was a beginning
		j.log.Warn("a checkpoint that was handed out is not kept", "size", h.Size, "error", err)
	}
	return web.WriteJSON(w, http.StatusOK, CheckpointOut{Origin: h.Origin, Size: h.Size, Root: base64.StdEncoding.EncodeToString(h.Root[:]),
		Note: string(h.Note), Key: key, At: stamp(h.At), Signed: stamp(h.Signed)})
}

func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

// EntryOut is an entry on the wire: the entry, and its leaf as it was hashed.
type EntryOut struct {
	Entry
	Leaf string `json:"leaf"`
}

// EntriesOut is a page of entries; ask again with before = Next while it is not 0.
type EntriesOut struct {
	Entries []EntryOut `json:"entries"`
	Next    int64      `json:"next"`
}

func (j *Journal) apiEntries(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := j.access.Allow(r.Context(), who, access.JournalRead, "journal/entries"); err != nil {
		return err
	}
	q, err := queryOf(r.URL.Query(), "before")
	if err != nil {
		return err
	}
	es, err := j.List(r.Context(), q)
	if err != nil {
		return err
	}
	out := EntriesOut{Entries: []EntryOut{}}
	for _, e := range es {
		out.Entries = append(out.Entries, EntryOut{e, string(e.Leaf)})
	}
	if n := len(es); n > 0 && es[n-1].N > 0 && n >= max(min(q.Limit, 1000), 1) {
		out.Next = es[n-1].N
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (j *Journal) apiEntry(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ref := r.PathValue("ref")
	if err := j.access.Allow(r.Context(), who, access.JournalRead, "journal/entries"); err != nil {
		return err
	}
	var e Entry
	n, err := strconv.ParseInt(ref, 10, 64)
	if err == nil && len(ref) < 20 {
		e, err = j.Entry(r.Context(), n)
	} else {
		e, err = j.ByID(r.Context(), ref)
	}
	if err != nil {
		return err
	}
	if r.URL.Query().Get("open") == "1" {
		if err := j.Open(r.Context(), who, &e); err != nil {
			return err
		}
	}
	return web.WriteJSON(w, http.StatusOK, EntryOut{e, string(e.Leaf)})
}

// ProofOut is what proves one entry.
type ProofOut struct {
	N     int64  `json:"n"`
	Leaf  string `json:"leaf"`
	Proof string `json:"proof"` // a .tlog-proof file
}

func (j *Journal) apiProof(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	e, err := j.asked(r, who)
	if err != nil {
		return err
	}
	p, leaf, err := j.Proof(r.Context(), e.N)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, ProofOut{e.N, string(leaf), string(p)})
}

// VerifyLine is one line of the answer to a verification: Done of Of entries, and in
// the last line the report or the reason why there is none.
type VerifyLine struct {
	Done   int64   `json:"done"`
	Of     int64   `json:"of"`
	Report *Report `json:"report,omitempty"`
	Error  string  `json:"error,omitempty"`
}

func (j *Journal) apiVerify(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := j.access.Allow(r.Context(), who, access.JournalRead, "journal/entries"); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	line := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	last := time.Now()
	report, err := j.Verify(r.Context(), func(done, of int64) {
		if time.Since(last) > 200*time.Millisecond {
			last = time.Now()
			_ = line.Encode(VerifyLine{Done: done, Of: of}) // a reader that left ends the check by its context
			_ = flush.Flush()
		}
	})
	if err != nil {
		_, pub := fault.PublicOf(err)
		j.log.Error("check the journal", "err", err)
		return line.Encode(VerifyLine{Error: pub.Problem})
	}
	j.recordCheck(r.Context(), who, "full", report)
	return line.Encode(VerifyLine{Done: report.Read, Of: report.Size, Report: &report})
}

func (j *Journal) apiExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := j.access.Allow(r.Context(), who, access.JournalExport, "journal/entries"); err != nil {
		return err
	}
	v := r.URL.Query()
	q, err := queryOf(v, "to")
	if err != nil {
		return err
	}
	since, err := number(v, "since")
	if err != nil {
		return err
	}
	ev := Evidence{Query: q, Reason: v.Get("reason"), Closed: v.Get("opened") == "0", Since: since}
	if err := ev.check(); err != nil {
		return err
	}
	h, err := j.Head(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evidence-%d.zip"`, h.Size))
	return j.Export(r.Context(), who, ev, w)
}

// queryOf reads a search from an address; end names the parameter of its end.
func queryOf(v url.Values, end string) (q Query, err error) {
	q = Query{Clause: v.Get("clause"), Act: v.Get("act"), Object: v.Get("object"), Actor: v.Get("actor"), Subject: v.Get("subject")}
	for _, s := range []string{q.Clause, q.Act, q.Object, q.Actor, q.Subject} {
		if len(s) > 300 {
			return Query{}, badQuery("a word to search for", "at most 300 bytes")
		}
	}
	var errs [3]error
	var limit int64
	q.From, errs[0] = number(v, "from")
	q.Before, errs[1] = number(v, end)
	limit, errs[2] = number(v, "limit")
	if q.Limit = int(min(limit, 1000)); q.Limit == 0 {
		q.Limit = 50
	}
	return q, errors.Join(errs[:]...)
}

func number(v url.Values, name string) (int64, error) {
	s := v.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, badQuery(name, "a whole number from 0 on")
	}
	return n, nil
}

func badQuery(name, expected string) error {
	return fault.New(fault.Invalid, "bad_query", fault.Public{Problem: "The search cannot be read: " + name + ".", Expected: "Expected: " + expected + "."})
}
