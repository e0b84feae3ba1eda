package status

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/incident/wording"
	"writ/internal/ledger"
)

// The public words of an incident.
const (
	Investigating = "investigating"
	Identified    = "identified"
	Monitoring    = "monitoring"
	Resolved      = "resolved"
	Postmortem    = "postmortem"
	Retracted     = "retracted" // it was a false alarm: what was posted before is taken back
)

// Words are those that a post may say, in their order.
func Words() []string {
	return []string{Investigating, Identified, Monitoring, Resolved, Postmortem, Retracted}
}

// Impacts are how much it touches, the least first.
func Impacts() []string { return []string{"none", "minor", "major", "critical"} }

// Post is an update as somebody writes it.
type Post struct {
	ID       string            // of the update, where it is known before; "" = a new one
	Case     string            // id of the incident
	Title    string            // public; of the first post, "" keeps it
	State    string            // one of Words
	Body     string            // plain text
	Estimate time.Time         // when service returns; zero = not known
	Next     time.Time         // when the next update comes at the latest; zero = not said
	Impact   string            // "" keeps it
	Touched  map[string]string // component id → state
	Corrects string            // id of an update that this one corrects
}

// Estimated reports whether it says when service returns, or when it will be said. What is
// over needs no estimate.
func (p Post) Estimated() bool { // clause: inc.eta
	return !p.Estimate.IsZero() || !p.Next.IsZero() || p.over()
}

func (p Post) over() bool { return Over(p.State) }

// Over reports whether a post of that word is the last one that the public waits for.
func Over(state string) bool { return state == Resolved || state == Postmortem || state == Retracted }

// Hash is what an approval of the text is bound to.
func (p Post) Hash() string {
	h := sha256.Sum256([]byte(p.State + "\x00" + p.Title + "\x00" + p.Body))
	return hex.EncodeToString(h[:])
}

const (
	maxBody  = 4000
	maxTitle = 120
)

// Check refuses a post that cannot be shown, and tells what in it must not be public. It
// does not ask for an estimate: the machine of the incident does.
func (s *Service) Check(ctx context.Context, p Post) ([]Leak, error) {
	var fields []fault.Field
	bad := func(name, format string, a ...any) {
		fields = append(fields, fault.Field{Name: name, Code: "post_" + name, Problem: fmt.Sprintf(format, a...)})
	}
	now := s.Now()
	if !slices.Contains(Words(), p.State) {
		bad("state", "Say one of: %s.", strings.Join(Words(), ", "))
	}
	if n := utf8.RuneCountInString(strings.TrimSpace(p.Body)); n < 10 || n > maxBody || !utf8.ValidString(p.Body) || strings.ContainsFunc(p.Body, odd) {
		bad("body", "The text has 10 to %d characters.", maxBody)
	}
	for _, x := range []struct{ name, text string }{{"title", p.Title}, {"body", p.Body}} {
		if open := wording.Open(x.text); len(open) > 0 { // clause: inc.public-notice
			bad(x.name, "A place at character %d is not filled. Write what belongs there, or take it out.", open[0])
		}
	}
	if n := utf8.RuneCountInString(p.Title); n > maxTitle || strings.ContainsFunc(p.Title, unicode.IsControl) || !utf8.ValidString(p.Title) {
		bad("title", "The title is one line of at most %d characters.", maxTitle)
	}
	if p.Impact != "" && !slices.Contains(Impacts(), p.Impact) {
		bad("impact", "Say one of: %s.", strings.Join(Impacts(), ", "))
	}
	for name, t := range map[string]time.Time{"estimate": p.Estimate, "next": p.Next} {
		if !t.IsZero() && (!t.After(now) || t.After(now.Add(30*24*time.Hour))) {
			bad(name, "This time is not within the next 30 days.")
		}
	}
	for id, state := range p.Touched {
		known, err := s.component(ctx, id)
		switch {
		case errors.Is(err, fault.NotFound):
			bad("components", "There is no component %q.", id)
		case err != nil:
			return nil, err
		case !slices.Contains(States(), state):
			bad("components", "%s cannot be %q.", known.Name, state)
		}
	}
	if len(fields) > 0 {
		slices.SortFunc(fields, func(a, b fault.Field) int { return strings.Compare(a.Name, b.Name) })
		return nil, fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	return s.leaks(ctx, p.Title+"\n"+p.Body)
}

// odd are characters that no text of a page has.
func odd(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }

// Put writes a checked post inside the change that causes it, and says in an entry what
// stands on the page from now on.
func (s *Service) Put(ctx context.Context, tx *ledger.Tx, p Post) (string, error) {
	var id, title, impact string
	err := ledger.One(ctx, tx, publicOf, []any{&id, &title, &impact}, p.Case)
	if errors.Is(err, fault.NotFound) {
		id, title, impact = newID(), p.Title, p.Impact
		if title == "" {
			return "", noTitle()
		}
		if impact == "" {
			impact = "minor"
		}
		_, err = tx.Exec(ctx, insertPublic, id, p.Case, title, impact, us(tx.Now()))
	}
	if err != nil {
		return "", err
	}
	if p.Impact != "" {
		impact = p.Impact
	}
	var ended *int64
	if p.over() {
		ended = some(tx.Now())
	}
	if p.State == Postmortem { // the incident ended when it was resolved
		if _, err := tx.Exec(ctx, setImpact, id, impact); err != nil {
			return "", err
		}
	} else if _, err := tx.Exec(ctx, setPublic, id, impact, ended); err != nil {
		return "", err
	}
	ev := UpdatePosted{Update: tx.ID(), Public: id, State: p.State, TextHash: p.Hash(), Estimate: p.Estimate, Next: p.Next, Corrects: p.Corrects}
	if p.ID != "" {
		ev.Update = p.ID
	}
	for _, c := range sorted(p.Touched) {
		ev.Components = append(ev.Components, c+"="+p.Touched[c])
		if err := setState(ctx, tx, c, p.Touched[c]); err != nil {
			return "", err
		}
	}
	if _, err := tx.Exec(ctx, insertUpdate, ev.Update, id, p.State, strings.TrimSpace(p.Body), some(p.Estimate), some(p.Next), strings.Join(ev.Components, " "), p.Corrects, us(tx.Now())); err != nil {
		return "", err
	}
	tx.Also(ev)
	return ev.Update, touch(ctx, tx)
}

func noTitle() error {
	return fault.New(fault.Invalid, "post_title", fault.Public{Problem: "The first post has a title.", Fields: []fault.Field{{Name: "title", Code: "post_title", Problem: "Give the incident a title that the public reads."}}})
}

func sorted(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

const (
	publicOf     = `SELECT id, title, impact FROM incident_status_public WHERE case_id = $1`
	insertPublic = `INSERT INTO incident_status_public (id, case_id, title, impact, made, ended) VALUES ($1, $2, $3, $4, $5, NULL)`
	setPublic    = `UPDATE incident_status_public SET impact = $2, ended = $3 WHERE id = $1`
	setImpact    = `UPDATE incident_status_public SET impact = $2 WHERE id = $1`
	insertUpdate = `INSERT INTO incident_status_update (id, public_id, state, body, estimate, next, touched, corrects, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
)
