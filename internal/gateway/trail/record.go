package trail

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"writ/internal/actor"
)

// Unread stands in a record for names that the application said and that are not kept.
const Unread = "?"

// Record is one request that was answered.
type Record struct {
	At       time.Time
	Who      actor.Actor
	Addr     netip.Addr // where it came from
	Route    string     // the pattern
	Method   string
	Status   int
	Code     string // of the refusal; "" = the application answered
	Clause   string // that it was refused for
	Took     time.Duration
	In, Out  int64    // bytes of the bodies; -1 = not known
	Resource []string // "name=value", from the path, and what the application says it showed
	Teams    []string // whose data that was, as the application says
	Rows     int64    // how many rows it showed; 0 = it did not say
	Agent    string   // the header, for who counts requests; not kept
}

// Network is where it came from, as strangers are told apart.
func (r *Record) Network() string { return network(r.Addr) }

// line is a record as it lies in a chunk.
type line struct {
	At       int64    `json:"t"` // µs
	Kind     string   `json:"k,omitempty"`
	Who      string   `json:"w,omitempty"` // pseudonym of a person, id of a program
	For      string   `json:"f,omitempty"` // pseudonym of whom staff look as
	Team     string   `json:"m,omitempty"`
	Staff    bool     `json:"y,omitempty"`
	Session  string   `json:"s,omitempty"` // of a person; id of the look of staff
	Token    string   `json:"o,omitempty"`
	Net      string   `json:"n,omitempty"`
	Route    string   `json:"r"`
	Method   string   `json:"d"`
	Status   int      `json:"c"`
	Code     string   `json:"e,omitempty"`
	Took     int64    `json:"u"` // µs
	In       int64    `json:"i"`
	Out      int64    `json:"b"`
	Resource []string `json:"x,omitempty"`
	Teams    []string `json:"z,omitempty"`
	Rows     int64    `json:"q,omitempty"`
	Clause   string   `json:"l,omitempty"`
	Revision string   `json:"v,omitempty"`
}

// Found is a record as it is shown.
type Found struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind,omitempty"` // person, machine, support, stranger
	Who      string    `json:"who,omitempty"`  // a pseudonym of a person, as in the journal
	For      string    `json:"for,omitempty"`
	Team     string    `json:"team,omitempty"`
	Staff    bool      `json:"staff,omitempty"`
	Session  string    `json:"session,omitempty"`
	Token    string    `json:"token,omitempty"`
	Network  string    `json:"network,omitempty"`
	Address  string    `json:"address,omitempty"` // whole, while its key lives
	Route    string    `json:"route"`
	Method   string    `json:"method"`
	Status   int       `json:"status"`
	Code     string    `json:"code,omitempty"`
	Clause   string    `json:"clause,omitempty"`   // that it was refused for
	Revision string    `json:"revision,omitempty"` // of the policy that held when it came
	TookUS   int64     `json:"took_us"`
	BytesIn  int64     `json:"bytes_in"`
	BytesOut int64     `json:"bytes_out"`
	Resource []string  `json:"resource,omitempty"`
	Teams    []string  `json:"teams,omitempty"` // whose data it showed, as the application says
	Rows     int64     `json:"rows,omitempty"`  // likewise, how many
	Segment  string    `json:"segment"`
}

// network cuts an address to where it comes from.
func network(a netip.Addr) string {
	a = a.Unmap()
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// line makes a record what lies in a chunk.
func (t *Trail) line(r *Record) line {
	l := line{At: r.At.UnixMicro(), Kind: string(r.Who.Kind), Team: r.Who.Team, Staff: r.Who.TeamKind == "staff", Session: r.Who.Session, Token: r.Who.Token, Net: network(r.Addr),
		Route: r.Route, Method: r.Method, Status: r.Status, Code: r.Code, Took: r.Took.Microseconds(), In: r.In, Out: r.Out, Resource: r.Resource, Teams: r.Teams, Rows: r.Rows, Clause: r.Clause, Revision: t.revision(r.At)}
	switch r.Who.Kind {
	case actor.Person, actor.Support, actor.Enrolling, actor.Agreeing, actor.BreakGlass:
		l.Who = t.pseudonym(r.Who.ID)
	case actor.Machine:
		l.Who = r.Who.ID
	}
	if r.Who.For != "" {
		l.For = t.pseudonym(r.Who.For)
	}
	return l
}

func (l *line) found(segment string) Found {
	return Found{At: time.UnixMicro(l.At).UTC(), Kind: l.Kind, Who: l.Who, For: l.For, Team: l.Team, Staff: l.Staff, Session: l.Session, Token: l.Token, Network: l.Net, Route: l.Route,
		Method: l.Method, Status: l.Status, Code: l.Code, Clause: l.Clause, Revision: l.Revision, TookUS: l.Took, BytesIn: l.In, BytesOut: l.Out, Resource: l.Resource, Teams: l.Teams, Rows: l.Rows, Segment: segment}
}

// pack compresses lines of a chunk.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err //nolint:wrapcheck // a constant level is never refused
	}
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return nil, fmt.Errorf("encode records: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress records: %w", err)
	}
	return b.Bytes(), nil
}
