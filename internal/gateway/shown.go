package gateway

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/trail"
)

// What an answer shows, in the application's own words: Writ-Team says whose data, Writ-Record
// which records of it (contact=17), Writ-Rows how many. The first two are lists with commas. It
// stands in the access record and never reaches the client. Staff see no team's data but that of
// their look, and no more of it than a case needs until a second person has agreed.

const (
	maxNames  = 2 << 10 // bytes of names that are kept of one answer
	mostRows  = 500     // that one person alone may look at, in an answer
	mostBytes = 5 << 20 // likewise
	mostTeams = 50      // likewise, on a day (UTC) at this node
)

var (
	teamNamed   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	recordNamed = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}=[A-Za-z0-9._~:/@+-]{1,100}$`)
)

var (
	refuseBulk = deny(needToSee, fault.Denied, "bulk_read", fault.Public{
		Problem: "This shows more of customers' data than one person may look at alone.", Expected: "At most 500 rows and 5 MiB in an answer, and 50 teams on a day, until a second person has agreed.", Next: "Narrow the question, or begin the look again and ask for a second person at /-/support."})
	refuseOtherTeam = deny(needToSee, fault.Denied, "other_team", fault.Public{
		Problem: "The answer shows data of another team than the one you look at.", Expected: "Data of the team of your look.", Next: "End this look and begin one for the other team at /-/support."})
	refuseUnclear = refuse(needToSee, http.StatusBadGateway, fault.Unavailable, "answer_unclear", fault.Public{
		Problem: "What the application says of its answer cannot be read, so staff do not see it.", Expected: "Writ-Team: a team's id. Writ-Record: names such as contact=17. Writ-Rows: a number."})
)

// withheld is an answer that the client may not see.
type withheld struct{ ref *refusal }

// Error implements error.
func (w *withheld) Error() string { return "gateway: the answer is withheld: " + w.ref.err.Code }

// showing is what an answer shows, as far as the application says so.
type showing struct {
	teams, records []string
	rows           int64 // 0 = nothing is said of them
	unclear        bool  // something is said that cannot be read
}

// readShown reads the application's headers.
func readShown(h http.Header) (s showing) {
	room := maxNames
	s.teams, _ = s.list(h["Writ-Team"], teamNamed, &room)
	s.records, s.rows = s.list(h["Writ-Record"], recordNamed, &room)
	if lines := h["Writ-Rows"]; len(lines) > 0 {
		n, err := strconv.ParseUint(lines[0], 10, 31)
		if err != nil || len(lines) > 1 {
			s.unclear = true
		}
		s.rows = max(s.rows, int64(n))
	}
	return s
}

// list reads names, and counts those that are not kept as well.
func (s *showing) list(lines []string, good *regexp.Regexp, room *int) (out []string, n int64) {
	lost := false
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name == "" {
				continue
			}
			n++
			switch {
			case *room < len(name):
				*room, lost = 0, true
			case !good.MatchString(name):
				s.unclear, lost = true, true
			default:
				*room -= len(name)
				out = append(out, name)
			}
		}
	}
	if lost {
		out = append(out, trail.Unread)
	}
	return out, n
}

// hear takes what the application says of its answer, and withholds what staff may not see.
func (v *visit) hear(res *http.Response) error { // clause: use.need-to-see
	v.shows = readShown(res.Header)
	if v.faceless != nil { // it is the same for everybody
		return nil
	}
	if ref := v.beyond(res.ContentLength); ref != nil {
		return &withheld{ref}
	}
	if !v.alone() || v.r.Method == http.MethodHead || res.ContentLength == 0 {
		return nil
	}
	return v.plainly(res, packing(res.Header)) // it was asked not to be packed, and the bytes count as they are read
}

// alone reports whether a member of staff looks as a customer without a second person's yes.
func (v *visit) alone() bool { return v.who.Kind == actor.Support && !v.who.Writes }

// beyond says why the caller may not see an answer of so many bytes (-1 = not known).
func (v *visit) beyond(length int64) *refusal { // clause: use.need-to-see
	look := v.who.Kind == actor.Support
	if !look && v.who.TeamKind != staffTeam {
		return nil
	}
	if v.shows.unclear {
		return refuseUnclear
	}
	for _, team := range v.shows.teams {
		switch {
		case team == v.who.Team:
		case look:
			return refuseOtherTeam
		default:
			return refuseReason
		}
	}
	if !look {
		return nil
	}
	if few := v.g.looked.add(v.who.ID, v.who.Team, v.g.now()); v.alone() && (!few || v.shows.rows > mostRows || length > mostBytes) {
		return refuseBulk
	}
	return nil
}

// measure ends an answer of no known length when it becomes too long for one person alone.
func (v *visit) measure(res *http.Response) { // clause: use.need-to-see
	if v.alone() && v.faceless == nil && res.StatusCode != http.StatusSwitchingProtocols {
		res.Body = &measured{res.Body, v, mostBytes}
	}
}

// measured is an answer whose bytes are counted.
type measured struct {
	io.ReadCloser
	v    *visit
	left int64
}

var errBulk = errors.New("gateway: the answer is longer than one person may look at alone")

// Read implements io.Reader. The status has been sent: all that can be done is to cut the rest.
func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if m.left -= int64(n); m.left < 0 {
		if m.v.failed == nil {
			m.v.failed = refuseBulk
			m.v.g.tally.refused(m.v, "upstream", refuseBulk)
		}
		return 0, errBulk
	}
	return n, err //nolint:wrapcheck // the proxy looks at it
}

// looked are the teams at which members of staff have looked today. A restart forgets it.
type looked struct {
	mu  sync.Mutex // guards the two below
	day int64
	at  map[string]map[string]bool // by member of staff
}

// add notes a look and reports whether it is at one of the first teams of the day.
func (l *looked) add(staff, team string, now time.Time) bool { // clause: use.need-to-see
	l.mu.Lock()
	defer l.mu.Unlock()
	if day := now.Unix() / int64((24 * time.Hour).Seconds()); l.at == nil || day != l.day {
		l.day, l.at = day, map[string]map[string]bool{}
	}
	at := l.at[staff]
	if at[team] {
		return true
	}
	if len(at) >= mostTeams {
		return false
	}
	if at == nil {
		at = map[string]bool{}
		l.at[staff] = at
	}
	at[team] = true
	return true
}
