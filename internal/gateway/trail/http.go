package trail

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

const streamTime = -1 * time.Second // no limit on the handler's time

var asked = []string{"person", "team", "session", "token", "route", "method", "resource", "network", "clause", "status", "from", "until", "staff", "limit"}

// Routes are the doors to access records.
func (t *Trail) Routes() []web.Route {
	errs := []string{"session_ended", "denied", "bad_query", "records_missing"}
	return []web.Route{
		{Pattern: "GET /-/api/v1/gateway/records", Who: web.Staff, Tokens: true, Handle: t.getRecords,
			Doc: web.Doc{Summary: "Access records, the newest first; the search is recorded", Tag: "gateway", Query: asked, Out: recordsOut{}, Errors: errs}},
		{Pattern: "GET /-/api/v1/gateway/records/export", Who: web.Staff, Tokens: true, Handle: t.getExport, Time: streamTime,
			Doc: web.Doc{Summary: "Access records as lines of JSON, the oldest first: format=jsonl or ocsf", Tag: "gateway", Query: append([]string{"format"}, asked...), Errors: errs}},
	}
}

type recordsOut struct {
	Records []Found `json:"records"`
}

// QueryOf reads a search from an address. Times are RFC 3339, or an age such as 2h.
func QueryOf(v url.Values, now time.Time) (Query, error) {
	q := Query{Person: v.Get("person"), Team: v.Get("team"), Session: v.Get("session"), Token: v.Get("token"), Route: v.Get("route"), Method: strings.ToUpper(v.Get("method")),
		Resource: v.Get("resource"), Network: v.Get("network"), Clause: v.Get("clause"), Staff: v.Get("staff") == "1"}
	bad := func(name, want string) error {
		return fault.New(fault.Invalid, "bad_query", fault.Public{Problem: "A part of the search is not good: " + name + ".", Expected: want, Fields: []fault.Field{{Name: name, Code: "bad_query", Problem: "Expected " + want}}})
	}
	for name, to := range map[string]*int{"status": &q.Status, "limit": &q.Limit} {
		if s := v.Get(name); s != "" {
			n, err := strconv.Atoi(strings.TrimSuffix(s, "xx"))
			if err != nil || n <= 0 {
				return Query{}, bad(name, "a number.")
			}
			*to = n
		}
	}
	for name, to := range map[string]*time.Time{"from": &q.From, "until": &q.Until} {
		s := v.Get(name)
		if s == "" {
			continue
		}
		if age, err := time.ParseDuration(s); err == nil && age >= 0 {
			*to = now.Add(-age)
			continue
		}
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return Query{}, bad(name, "a time such as 2026-05-01T12:00:00Z, or an age such as 2h.")
		}
		*to = at
	}
	return q, nil
}

func (t *Trail) getRecords(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q, err := QueryOf(r.URL.Query(), t.Now())
	if err != nil {
		return err
	}
	out, err := t.Search(r.Context(), who, q)
	if err != nil {
		return err
	}
	if out == nil {
		out = []Found{}
	}
	return web.WriteJSON(w, http.StatusOK, recordsOut{out})
}

func (t *Trail) getExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q, err := QueryOf(r.URL.Query(), t.Now())
	if err != nil {
		return err
	}
	form := r.URL.Query().Get("format")
	if form == "" {
		form = JSONLines
	}
	return t.Export(r.Context(), who, q, form, &late{w: w})
}

// late writes the head with the first line, so that an error before it is an answer.
type late struct {
	w     http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (l *late) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Content-Disposition", `attachment; filename="access-records.jsonl"`)
	}
	return l.w.Write(b) //nolint:wrapcheck // the client went away
}
