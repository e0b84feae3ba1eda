package incident

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// The limits of reports from outside.
const (
	reportsPerHour = 5 // of one network
	thanksPerHour  = 3 // letters to one address, whichever networks it was given from
	maxReport      = 4000
	reportClass    = "incident.reports" // marks of networks, and stamps of forms
	reportFor      = 24 * time.Hour     // how long a form may be filled in
)

// ReportKind is what somebody outside can report.
type ReportKind struct{ ID, Says, Hint, suggests string }

// ReportKinds are they, the usual one first.
func ReportKinds() []ReportKind {
	return []ReportKind{
		{"broken", "Something does not work", "It fails, is slow, or shows what cannot be.", "usability"},
		{"weakness", "A weakness in security", "Something that somebody could misuse. Thank you for telling us first.", "vulnerability"},
		{"data", "Data that somebody should not see, or that is gone", "Yours or somebody else's.", "breach"},
	}
}

// NewReport is what somebody outside writes.
type NewReport struct {
	Kind    string
	Text    string
	Email   string // for the answer; may be empty
	Network string
	Stamp   string // of the form that it came with

	mailed bool // it came by letter, with no form
}

// Report is one, for who may act.
type Report struct {
	ID, Kind, Text, Email, Person string
	At, Answered                  time.Time
}

// reported is what is sealed of a report.
type reported struct {
	Text  string `json:"text"`
	Email string `json:"email,omitempty"`
}

// reporter owns the key of a report.
func reporter(id string) keyring.Subject { return keyring.Subject{Kind: "incident-report", ID: id} }

// Stamp marks a form that is handed out to a network, so that what is sent was asked for by
// whoever sends it.
func (s *Service) Stamp(ctx context.Context, network string) (string, error) {
	return s.stamp(ctx, network, strconv.FormatInt(s.Now().Unix(), 10))
}

func (s *Service) stamp(ctx context.Context, network, at string) (string, error) {
	key, err := s.Ring.Ensure(ctx, keyring.Class(reportClass))
	if err != nil {
		return "", fmt.Errorf("key of reports: %w", err)
	}
	mac := key.MAC("form", at+" "+network)
	return at + "." + base64.RawURLEncoding.EncodeToString(mac[:24]), nil
}

func (s *Service) stamped(ctx context.Context, in NewReport) (bool, error) {
	at, _, _ := strings.Cut(in.Stamp, ".")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return false, nil
	}
	want, err := s.stamp(ctx, in.Network, at)
	ago := s.Now().Sub(time.Unix(n, 0))
	return err == nil && secret.NewText(want).Equal(secret.NewText(in.Stamp)) && ago >= 0 && ago < reportFor, err
}

// Report takes what somebody outside reports: it begins an incident, or belongs to one that is
// open, and whoever gave an address gets a letter with the reference. Errors: fault.Invalid,
// fault.Limited.
func (s *Service) Report(ctx context.Context, who actor.Actor, in NewReport) (string, error) { // clause: inc.categorise
	kind, err := s.checkReport(ctx, &in)
	if err != nil {
		return "", err
	}
	key, err := s.Ring.Ensure(ctx, keyring.Class(reportClass))
	if err != nil {
		return "", fmt.Errorf("key of reports: %w", err)
	}
	mac := key.MAC("network", in.Network)
	mark := hex.EncodeToString(mac[:16])
	if err := s.fewReports(ctx, s.DB, mark, s.Now()); err != nil {
		return "", s.DB.Refuse(ctx, who, ReportRefused{Network: in.Network}, err)
	}
	id := newReference()
	own, err := s.Ring.Ensure(ctx, reporter(id))
	if err != nil {
		return "", fmt.Errorf("seal a report: %w", err)
	}
	raw, err := json.Marshal(reported{in.Text, in.Email})
	if err != nil {
		return "", fmt.Errorf("encode a report: %w", err)
	}
	box := own.Seal(raw, reportBox(id))
	var thanks []jobs.Job
	address := ""
	if in.Email != "" {
		mac := key.MAC("address", strings.ToLower(in.Email))
		address = hex.EncodeToString(mac[:16])
		j, err := s.prepare(ctx, in.Email, thanksLetter(s, id))
		if err != nil {
			return "", err
		}
		thanks = append(thanks, j)
	}
	person := ""
	if who.Kind == actor.Person {
		person = who.ID
	}
	t := Told{ID: "report/" + id, Kind: kind.suggests, Says: "Reported from outside: " + strings.ToLower(kind.Says) + " (" + id + ")", At: s.Now()}
	err = s.tell(ctx, []Told{t}, func(tx *ledger.Tx, of string) error {
		if err := s.fewReports(ctx, tx, mark, tx.Now()); err != nil {
			return err
		}
		var told int64
		if err := ledger.One(ctx, tx, countThanks, []any{&told}, address, us(tx.Now().Add(-time.Hour))); err != nil {
			return err
		}
		if in.mailed && address != "" && told >= reportsPerHour {
			return fewer("sender")
		}
		if _, err := tx.Exec(ctx, insertReport, id, of, kind.ID, person, mark, us(tx.Now()), box, address); err != nil {
			return err
		}
		tx.Also(Reported{Incident: of, Report: id, Kind: kind.ID, TextHash: digest(in.Text), Person: person, Network: in.Network})
		if told >= thanksPerHour { // whoever gave it may not have it: nobody's box is filled from here
			return nil
		}
		return s.enqueue(ctx, tx, thanks)
	})
	if errors.Is(err, fault.Limited) {
		return "", s.DB.Refuse(ctx, who, ReportRefused{Network: in.Network}, err)
	}
	return id, err
}

func (s *Service) checkReport(ctx context.Context, in *NewReport) (ReportKind, error) {
	var fields []fault.Field
	bad := func(name, says string) {
		fields = append(fields, fault.Field{Name: name, Code: "report_" + name, Problem: says})
	}
	kinds := ReportKinds()
	i := slices.IndexFunc(kinds, func(k ReportKind) bool { return k.ID == in.Kind })
	if i < 0 {
		bad("kind", "Say what it is about.")
	}
	in.Text, in.Email = strings.TrimSpace(strings.ReplaceAll(in.Text, "\r\n", "\n")), strings.TrimSpace(in.Email)
	if n := utf8.RuneCountInString(in.Text); n < 10 || n > maxReport || !utf8.ValidString(in.Text) || strings.ContainsFunc(in.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		bad("text", "Tell in 10 to 4,000 characters what you saw.")
	}
	if a, err := netmail.ParseAddress(in.Email); in.Email != "" && (err != nil || a.Name != "" || a.Address != in.Email || len(in.Email) > 254 || strings.ContainsAny(in.Email, "\r\n ")) {
		bad("email", "This is no e-mail address. Leave it empty if you want no answer.")
	}
	ok, err := in.mailed, error(nil)
	if !ok {
		ok, err = s.stamped(ctx, *in)
	}
	if err != nil {
		return ReportKind{}, err
	}
	if !ok {
		bad("stamp", "This form is too old, or came from elsewhere. Send it again.")
	}
	if len(fields) > 0 {
		return ReportKind{}, fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Fields: fields})
	}
	return kinds[i], nil
}

// fewReports refuses a network that has reported enough within an hour.
func (s *Service) fewReports(ctx context.Context, r ledger.Reader, mark string, now time.Time) error {
	var n int64
	if err := ledger.One(ctx, r, countReports, []any{&n}, mark, us(now.Add(-time.Hour))); err != nil {
		return err
	}
	if n >= reportsPerHour {
		return fewer("network")
	}
	return nil
}

func fewer(of string) error {
	return fault.New(fault.Limited, "too_many", fault.Public{Problem: "Too much was reported from your " + of + ".", Next: "Try again in an hour."})
}

// newReference is how a report is spoken of.
func newReference() string {
	const alphabet = "23456789ABCDEFGHJKMNPQRSTVWXYZ" // none that is taken for another
	b := secret.Random(8).Reveal()
	for i, x := range b {
		b[i] = alphabet[int(x)%len(alphabet)]
	}
	return "R-" + string(b)
}

func reportBox(id string) envelope.AAD { return boxed("incident_report.box", id) }

// thanksLetter has no word of the report in it: who asks here may have given anybody's address.
func thanksLetter(s *Service, id string) letter {
	return letter{kind: "incident.reported", Letter: mail.Letter{Title: "We have your report " + id, Lines: []string{"Somebody, we hope you, has reported something to us and asked for an answer to this address.", "We look at it, and write to you when we know more. Its reference is " + id + "."},
		Link: &mail.Link{Text: "See how the service is", URL: s.Origin + "/-/status"}, Foot: []string{"If it was not you, do nothing."}}}
}

// reports are those of an incident, the oldest first, at most two hundred.
func (s *Service) reports(ctx context.Context, id string) ([]Report, error) {
	var out []Report
	var boxes [][]byte
	if err := s.DB.Each(ctx, reportsOf, func(scan ledger.Scan) error {
		var x Report
		var made int64
		var answered *int64
		var box []byte
		err := scan(&x.ID, &x.Kind, &x.Person, &made, &answered, &box)
		x.At, x.Answered = at(made), when(answered)
		out, boxes = append(out, x), append(boxes, box)
		return err
	}, id); err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	for i := range out {
		text, err := s.open(ctx, "incident_report.box", out[i].ID, boxes[i])
		if err != nil {
			return nil, err
		}
		var r reported
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			r.Text = text // erased
		}
		out[i].Text, out[i].Email, out[i].Person = r.Text, r.Email, s.name(ctx, out[i].Person)
	}
	return out, nil
}

// AnswerReport writes to whoever reported something. Errors: fault.NotFound, fault.Conflict (no
// address), fault.Invalid (text).
func (s *Service) AnswerReport(ctx context.Context, who actor.Actor, ref, report, text string) (Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	all, err := s.reports(ctx, c.ID)
	if err != nil {
		return Case{}, err
	}
	text = strings.TrimSpace(text)
	i := slices.IndexFunc(all, func(x Report) bool { return x.ID == report })
	switch n := utf8.RuneCountInString(text); {
	case i < 0:
		return Case{}, fault.Newf(fault.NotFound, "report_unknown", "%s has no such report.", c.Ref())
	case all[i].Email == "":
		return Case{}, fault.New(fault.Conflict, "report_no_address", fault.Public{Problem: "Whoever wrote " + report + " gave no address."})
	case n < 10 || n > maxReport || !utf8.ValidString(text):
		return Case{}, fault.New(fault.Invalid, "report_text", fault.Public{Problem: "The answer has 10 to 4,000 characters.", Fields: []fault.Field{{Name: "answer", Code: "report_text", Problem: "10 to 4,000 characters."}}})
	}
	j, err := s.prepare(ctx, all[i].Email, letter{kind: "incident.answered", Letter: mail.Letter{Title: "About your report " + report, Lines: strings.Split(text, "\n\n"), Foot: []string{"You reported this on " + stamp(all[i].At) + "."}}})
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		_, err := tx.Exec(ctx, answerReport, report, us(tx.Now()))
		return ReportAnswered{Incident: c.ID, Report: report, TextHash: digest(text)}, errors.Join(err, s.enqueue(ctx, tx, []jobs.Job{j}))
	})
}

// Reported is what somebody outside told of.
type Reported struct {
	Incident string `class:"public"`
	Report   string `class:"public"`
	Kind     string `class:"public"`
	TextHash string `class:"public"`
	Person   string `class:"personal"` // id, where somebody was signed in
	Network  string `class:"personal"`
}

// About implements ledger.Event.
func (e Reported) About() ledger.About {
	return ledger.About{Name: "incident.reported", Clause: "inc.categorise", Object: thing(e.Incident), Subject: reporter(e.Report)}
}

// ReportRefused is a network that reports too much.
type ReportRefused struct {
	Network string `class:"personal"`
}

// About implements ledger.Event.
func (e ReportRefused) About() ledger.About { return ledger.About{Name: "incident.report-refused"} }

// ReportAnswered is a letter to whoever reported something.
type ReportAnswered struct {
	Incident string `class:"public"`
	Report   string `class:"public"`
	TextHash string `class:"public"`
}

// About implements ledger.Event.
func (e ReportAnswered) About() ledger.About {
	return ledger.About{Name: "incident.report-answered", Object: thing(e.Incident)}
}

const (
	insertReport = `INSERT INTO incident_report (id, case_id, kind, person, network, at, box, address, answered) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)`
	countThanks  = `SELECT COUNT(*) FROM incident_report WHERE address = $1 AND at > $2`
	countReports = `SELECT COUNT(*) FROM incident_report WHERE network = $1 AND at > $2`
	reportsOf    = `SELECT id, kind, person, at, answered, box FROM incident_report WHERE case_id = $1 ORDER BY at, id LIMIT 200`
	answerReport = `UPDATE incident_report SET answered = $2 WHERE id = $1`
	moveReport   = `UPDATE incident_report SET case_id = $2 WHERE id = $1`
	moveReports  = `UPDATE incident_report SET case_id = $2 WHERE case_id = $1`
)
