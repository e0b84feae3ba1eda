package breach

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The columns of a log of PostgreSQL as CSV (its documentation, section 19.8.4) that count here.
const (
	colTime, colUser, colDatabase, colFrom, colSession, colLine, colMessage = 0, 1, 2, 4, 5, 6, 13

	leastColumns = 23
	maxAuditLine = 1 << 20 // bytes of a field
	auditMark    = "AUDIT: "
	quietMost    = time.Hour // a database says something at least that often: checkpoints
)

// Tables begins a subject that is a table of a database: rows of it were read, and nobody
// says whose.
const Tables = "table/"

// auditLine is a line of such a log, with what pgaudit says in it.
type auditLine struct {
	at                                time.Time
	user, database, network, session  string
	line                              int64
	audited                           bool
	class, command, kind, object, row string
}

// Audit reads what an audit of a database tells: a log of PostgreSQL as CSV with the lines of
// pgaudit in it. It gives the accesses of the selected time in the order of the log, and what the log
// covers. Rows have no owner in it: a read that the selector means is a hole in what can be known, so
// that nobody is cleared over it. id names the log in what it covers.
func Audit(log []byte, id, sha256 string, s Selector, fn func(*Record) error) (Span, []Hole, error) { // clause: inc.breach-scope
	span := Span{ID: id, SHA256: sha256}
	var all gaps
	m, last := s.matcher(), map[string]auditLine{}
	in := csv.NewReader(bytes.NewReader(log))
	in.FieldsPerRecord, in.ReuseRecord, in.LazyQuotes = -1, true, false
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return span, nil, fmt.Errorf("read an audit of a database: %w", err)
		}
		l, err := readAuditLine(row)
		if err != nil {
			n, _ := in.FieldPos(0)
			return span, nil, fmt.Errorf("read an audit of a database, line %d: %w", n, err)
		}
		span.Count, span.Read = span.Count+1, span.Read+1
		if span.From.IsZero() || l.at.Before(span.From) {
			span.From = l.at
		}
		if l.at.After(span.Until) {
			span.Until = l.at
		}
		l.after(last, s.From, &all)
		r := l.record()
		if r == nil {
			continue
		}
		if m.match(r) && r.Means != 0 {
			all.add(l.at, l.at, l.user+" came to "+r.Route+" in the database, and no record says whose rows")
		}
		if r.At.Before(s.From) || r.At.After(s.Until) {
			continue
		}
		if err := fn(r); err != nil {
			return span, nil, err
		}
	}
	if span.Count == 0 {
		return span, nil, errors.New("read an audit of a database: it is empty")
	}
	if span.From.Sub(s.From) > quietMost {
		all.add(s.From, span.From, "the audit of the database does not go back so far")
	}
	if s.Until.Sub(span.Until) > quietMost {
		all.add(span.Until, s.Until, "the audit of the database ends before")
	}
	return span, all, nil
}

// gaps are holes, one for each reason.
type gaps []Hole

const maxGaps = 1000

func (g *gaps) add(from, until time.Time, why string) {
	i := slices.IndexFunc(*g, func(h Hole) bool { return h.Why == why })
	if i < 0 && len(*g) >= maxGaps {
		i = maxGaps - 1
		(*g)[i].Why = "more was read in the database than is told of here"
	}
	if i < 0 {
		*g = append(*g, Hole{from, until, why})
		return
	}
	if h := &(*g)[i]; from.Before(h.From) {
		h.From = from
	}
	if h := &(*g)[i]; until.After(h.Until) {
		h.Until = until
	}
}

// after adds the hole before a line, where the numbers of its session leave some out.
func (l auditLine) after(last map[string]auditLine, from time.Time, all *gaps) { // clause: inc.breach-scope
	before, known := last[l.session]
	last[l.session] = l
	switch {
	case !known && l.line > 1:
		all.add(from, l.at, "the audit of the database begins within a session")
	case known && l.line != before.line+1:
		all.add(before.at, l.at, "the audit of the database leaves out lines of a session")
	}
}

func readAuditLine(row []string) (l auditLine, err error) {
	if len(row) < leastColumns {
		return l, fmt.Errorf("it has %d columns, expected a log of PostgreSQL as CSV, %d or more", len(row), leastColumns)
	}
	for _, f := range row {
		if len(f) > maxAuditLine {
			return l, errors.New("a field has more than 1 MiB")
		}
	}
	stamp, zone, _ := strings.Cut(strings.Replace(row[colTime], " ", "T", 1), " ")
	if zone != "UTC" && zone != "GMT" {
		return l, fmt.Errorf("its time %.40q is not in UTC: set log_timezone to UTC", row[colTime])
	}
	if l.at, err = time.Parse("2006-01-02T15:04:05.999", stamp); err != nil {
		return l, fmt.Errorf("its time is %.40q", row[colTime])
	}
	l.user, l.database, l.session = row[colUser], row[colDatabase], row[colSession]
	if l.line, err = strconv.ParseInt(row[colLine], 10, 64); err != nil || l.line < 1 {
		return l, fmt.Errorf("the number of its line in the session is %.20q", row[colLine])
	}
	if ap, err := netip.ParseAddrPort(row[colFrom]); err == nil { // else a socket of the machine
		l.network = netip.PrefixFrom(ap.Addr().Unmap(), ap.Addr().Unmap().BitLen()).String()
	}
	said, ok := strings.CutPrefix(row[colMessage], auditMark)
	if !ok {
		return l, nil
	}
	in := csv.NewReader(strings.NewReader(said))
	in.FieldsPerRecord = -1
	f, err := in.Read()
	if err != nil || len(f) < 8 {
		return l, errors.New("what pgaudit says in it cannot be read")
	}
	l.audited, l.class, l.command, l.kind, l.object = true, f[3], f[4], f[5], f[6]
	if len(f) > 9 { // pgaudit.log_rows
		l.row = f[9]
	}
	return l, nil
}

// record is a read or a write as an access; nil = the line is neither.
func (l auditLine) record() *Record {
	if !l.audited || l.class != "READ" && l.class != "WRITE" {
		return nil
	}
	name := l.object
	if name == "" { // a view, a function, or a statement over nothing that pgaudit names
		name = "unnamed"
	}
	r := &Record{At: l.at, Who: l.user, Session: l.session, Network: l.network, Route: name, Method: l.command, Means: Accessed, About: []string{Tables + l.database + "/" + name}}
	switch n, err := strconv.ParseInt(l.row, 10, 64); {
	case err == nil && n == 0:
		r.Means = 0
	case l.class == "READ" && (err == nil || strings.HasPrefix(l.command, "COPY")):
		r.Means = Obtained
	}
	return r
}
