package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// The states of a letter to somebody concerned.
const (
	letterQueued  = "queued"
	letterSending = "sending" // it was handed over, or will be in a moment
	letterTaken   = "accepted"
	letterRefused = "refused"
	letterFailed  = "failed"
	letterUnknown = "unknown" // handed over, and no answer came: a person decides
	letterStopped = "stopped"
	letterNoWay   = "unreachable"
	letterTold    = "told" // by another channel, or a person knows that it arrived
)

// LetterText is what those of a class are told. Words in braces are filled in for each.
type LetterText struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// Untold is why those of a class get no letter.
type Untold struct {
	Reason string `json:"reason"`
}

// told are the classes that are to be told.
func toldClasses() []breach.Class {
	return []breach.Class{breach.Obtained, breach.Accessed, breach.Possibly}
}

const untoldKind = "untold-" // and the class

// LetterNotice stands above a text that is edited.
const LetterNotice = "Not legal advice. This is where many begin; have it read by somebody who knows the law and your customers."

// LetterTemplate is a text to begin with.
func LetterTemplate(class breach.Class) LetterText {
	happened := map[breach.Class]string{
		breach.Obtained: "Somebody who had no right to it has obtained data of yours from our service.",
		breach.Accessed: "Somebody who had no right to it has looked at data of yours in our service.",
		breach.Possibly: "Somebody who had no right to it may have seen data of yours in our service. We cannot rule it out, because our record of that time is not whole.",
	}[class]
	return LetterText{Subject: "Your data at {company}", Body: strings.Join([]string{
		"Dear {name},", happened + " It happened between {from} and {until}.", "The data: {data}.",
		"What may follow: others may use it to write to you in our name, or to try to sign in as you.",
		"What we have done: we have closed the way by which it happened, ended what was used for it, and told the authority.",
		"What you can do: be careful with messages that speak of it, and change a password that you use elsewhere as well.",
		"Questions: answer this letter, or write to {contact}."}, "\n\n")}
}

// concernedRow is what is sealed of a letter: whom it goes to, and what it says about them.
type concernedRow struct {
	Email string       `json:"email"`
	Name  string       `json:"name"`
	Class breach.Class `json:"class"`
	Data  []string     `json:"data,omitempty"`
	Hits  int64        `json:"hits"`
	First time.Time    `json:"first,omitzero"`
	Last  time.Time    `json:"last,omitzero"`
	Teams []string     `json:"teams,omitempty"`
}

var (
	placeholder = regexp.MustCompile(`\{[^{}\n]{0,40}\}`)
	linkInText  = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://\S*|\bwww\.\S*`)
)

// fields are what a text is filled with for somebody.
func (s *Service) fields(c Case, r concernedRow) map[string]string {
	from, until := r.First, r.Last
	if from.IsZero() {
		from, until = c.OnsetFrom, c.OnsetTo
	}
	if until.IsZero() {
		until = s.Now()
	}
	data := strings.Join(r.Data, ", ")
	if kinds, open := strings.CutSuffix(data, ", "+breach.Unclassified); open { // it is the last of them
		data = kinds + ", and other data that our service keeps for you"
	}
	if data == "" || data == breach.Unclassified {
		data = "all that our service keeps for you"
	}
	name := r.Name
	if name == "" {
		name = "customer"
	}
	return map[string]string{"company": s.Company(), "name": name, "data": data, "class": r.Class.String(), "from": stamp(from), "until": stamp(until), "records": fmt.Sprint(r.Hits), "contact": s.Origin + "/-/status"}
}

// checkText refuses a text that is not whole, that names what nobody fills in, or that leads
// anywhere but to the configured origin: no letter of ours is to look like bait.
func (s *Service) checkText(t *LetterText) error {
	bad := func(field, says string) error { return badPaper("letter", field, says) }
	t.Subject, t.Body = strings.TrimSpace(t.Subject), strings.ReplaceAll(strings.TrimSpace(t.Body), "\r\n", "\n")
	if n := utf8.RuneCountInString(t.Subject); n < 5 || n > 120 || strings.ContainsFunc(t.Subject, unicode.IsControl) {
		return bad("subject", "5 to 120 characters on one line.")
	}
	if n := utf8.RuneCountInString(t.Body); n < 100 || n > 10_000 || !utf8.ValidString(t.Body) || strings.ContainsFunc(t.Body, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
		return bad("body", "100 to 10,000 characters.")
	}
	known := s.fields(Case{}, concernedRow{})
	for _, p := range placeholder.FindAllString(t.Subject+t.Body, -1) {
		if _, ok := known[strings.Trim(p, "{}")]; !ok {
			return bad("body", "Nobody fills in "+p+". There are: {"+strings.Join(slices.Sorted(maps.Keys(known)), "} {")+"}.")
		}
	}
	if !strings.Contains(t.Body, "{data}") {
		return bad("body", "It does not tell which data it is: {data}.")
	}
	for _, l := range linkInText.FindAllString(t.Subject+"\n"+t.Body, -1) {
		if l != s.Origin && !strings.HasPrefix(l, s.Origin+"/") {
			return bad("body", "It leads to "+l+". Letters lead to "+s.Origin+" alone.")
		}
	}
	return nil
}

// WriteLetter writes what those of a class are told. Two people sign it.
func (s *Service) WriteLetter(ctx context.Context, who actor.Actor, ref string, class breach.Class, t LetterText) (Case, error) { // clause: inc.breach-notify
	if !slices.Contains(toldClasses(), class) {
		return Case{}, badPaper("letter", "class", "One of: obtained, accessed, possibly.")
	}
	if err := s.checkText(&t); err != nil {
		return Case{}, err
	}
	return s.write(ctx, who, ref, paperLetter+class.String(), t, nil)
}

// LeaveUntold writes down why those of a class get no letter. Two people sign it.
func (s *Service) LeaveUntold(ctx context.Context, who actor.Actor, ref string, class breach.Class, reason string) (Case, error) {
	if !slices.Contains(toldClasses(), class) {
		return Case{}, badPaper("letter", "class", "One of: obtained, accessed, possibly.")
	}
	reason, err := line("untold", "reason", reason, 20, 2000)
	if err != nil {
		return Case{}, err
	}
	return s.write(ctx, who, ref, untoldKind+class.String(), Untold{reason}, nil)
}

// letterFacts answer the guards about letters.
func (s *Service) letterFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	x, err := newestScope(ctx, r, c.ID)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	signed := true
	for _, class := range toldClasses() {
		if x.counts[class] == 0 {
			continue
		}
		ok, err := s.settled(ctx, r, c, class, us(f.Now.Add(-approvalLife)))
		if err != nil {
			return err
		}
		signed = signed && ok
	}
	f.Proved["letter-signed"] = signed
	var open int64
	err = ledger.One(ctx, r, openLetters, []any{&open}, c.ID)
	f.Proved["letters-final"] = x.filled && open == 0
	return err
}

// settled reports whether it is decided what those of a class are told: a text that was sent
// to a seed list after it was written, or why they get none; signed by two since a time.
func (s *Service) settled(ctx context.Context, r ledger.Reader, c Case, class breach.Class, since int64) (bool, error) {
	for _, kind := range []string{paperLetter, untoldKind} {
		p, err := newestPaper(ctx, r, c, kind+class.String())
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		var n int64
		if err := ledger.One(ctx, r, countSigned, []any{&n}, c.ID, p.Kind, p.Hash, since); err != nil {
			return false, err
		}
		switch {
		case n < pairs:
			continue
		case kind == untoldKind:
			return true, nil
		}
		tested, err := newestPaper(ctx, r, c, paperTest+class.String())
		if errors.Is(err, fault.NotFound) {
			return false, nil
		}
		return err == nil && !tested.At.Before(p.At), err
	}
	return false, nil
}

// text is what those of a class are told; nil = they get no letter, by decision.
func (s *Service) text(ctx context.Context, c Case, class breach.Class) (hash string, t *LetterText, err error) {
	p, err := s.paper(ctx, c, paperLetter+class.String())
	if err != nil {
		return "", nil, err
	}
	if p != nil && len(p.signers) >= pairs {
		t = &LetterText{}
		if !p.Read(t) {
			return "", nil, fault.Newf(fault.Gone, "letter_erased", "The text of the letter is erased.")
		}
		return p.Hash, t, nil
	}
	if p, err = s.paper(ctx, c, untoldKind+class.String()); err != nil {
		return "", nil, err
	}
	if p == nil || len(p.signers) < pairs {
		return "", nil, fault.Newf(fault.Conflict, "letter_missing", "What those of the class %s are told is not signed by two people.", class)
	}
	return "", nil, nil
}

// render is a letter to somebody. It is made of the text that was signed and the row that was
// frozen, and of nothing that may have changed since.
func (s *Service) render(c Case, id string, t *LetterText, r concernedRow) (mail.Message, error) {
	fields := s.fields(c, r)
	fill := func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(p string) string { return fields[strings.Trim(p, "{}")] })
	}
	l := mail.Letter{Company: s.Company(), Title: fill(t.Subject), Lines: strings.Split(fill(t.Body), "\n\n"), Foot: []string{"This letter is sent because the law asks for it. It does not depend on what letters you have asked for."}}
	m, err := l.Message(r.Email, "incident.breach")
	m.ID, m.Receipt = id+"@writ", true
	return m, err
}

// Preview renders letters to some of those concerned, at most twenty, taken at random: for
// whoever is about to sign. Nobody gets them.
func (s *Service) Preview(ctx context.Context, who actor.Actor, ref string, class breach.Class) ([]mail.Message, error) {
	c, err := s.known(ctx, who, ref, "letter-preview")
	if err != nil {
		return nil, err
	}
	t, err := s.draft(ctx, c, class)
	if err != nil {
		return nil, err
	}
	all, _, err := s.concerned(ctx, c)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(_ string, r *concernedRow) bool { return r.Class != class })
	lot := s.DB.ID() // another order each time
	of := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return strings.Compare(digest(lot, a), digest(lot, b)) })
	var out []mail.Message
	for _, p := range of[:min(20, len(of))] {
		m, err := s.render(c, "preview", t, *all[p])
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// draft is the newest text of a class, signed or not.
func (s *Service) draft(ctx context.Context, c Case, class breach.Class) (*LetterText, error) {
	p, err := s.paper(ctx, c, paperLetter+class.String())
	if err != nil {
		return nil, err
	}
	t := &LetterText{}
	if p == nil || !p.Read(t) {
		return nil, fault.Newf(fault.NotFound, "no_letter", "There is no text for the class %s yet.", class)
	}
	return t, nil
}

// TestLetter sends the newest text of a class to members of staff, filled in for an invented
// person: the seed list.
func (s *Service) TestLetter(ctx context.Context, who actor.Actor, ref string, class breach.Class, to []string) (Case, error) { // clause: inc.breach-notify
	if err := s.mayAct(ctx, who, ref); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	t, err := s.draft(ctx, c, class)
	if err != nil {
		return Case{}, err
	}
	if len(to) == 0 || len(to) > 20 {
		return Case{}, badPaper("letter", "to", "1 to 20 members of staff.")
	}
	var made []letterJob
	for _, ref := range to {
		p, err := s.staff(ctx, ref)
		if err != nil {
			return Case{}, err
		}
		m, err := s.render(c, s.DB.ID(), t, concernedRow{Email: p.Email, Name: "Alex Example", Class: class, Data: []string{breach.Contact}, Hits: 3, First: c.OnsetFrom, Last: s.Now()})
		if err != nil {
			return Case{}, err
		}
		m.Subject = "Test: " + m.Subject
		j, err := s.Letters.Prepare(ctx, m)
		if err != nil {
			return Case{}, err
		}
		made = append(made, j)
	}
	return s.write(ctx, who, ref, paperTest+class.String(), map[string]any{"text": t, "to": len(to)}, func(tx *ledger.Tx, _ *Case) error { return s.enqueue(ctx, tx, made) })
}

// concerned are the people of the newest version who are to be told, by id, with the
// strongest of what the set says about them and their teams; and how many subjects nobody can
// be named for any more.
func (s *Service) concerned(ctx context.Context, c Case) (map[string]*concernedRow, int64, error) {
	x, err := s.scope(ctx, c, 0)
	if err != nil {
		return nil, 0, err
	}
	who := s.world(c).Concerned
	if who == nil {
		return nil, 0, fault.Newf(fault.Unavailable, "no_concerned", "Nobody can say whom to write to.")
	}
	reach, err := who.Reach(ctx)
	if err != nil {
		return nil, 0, err
	}
	owners, err := s.owners(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	out, gone := map[string]*concernedRow{}, int64(0)
	err = s.lines(c, x)(ctx, func(l breach.Line) error {
		if l.Class < breach.Possibly || strings.HasPrefix(l.Subject, breach.Tables) { // of a table nobody is told: everybody possibly is
			return nil
		}
		subject := l.Subject
		if rest, ok := strings.CutPrefix(subject, "record/"); ok { // whoever keeps the record is told
			team, _, _ := strings.Cut(rest, "/")
			subject = "team/" + team
		}
		to := reach(subject)
		if o, ok := owners[subject]; ok && len(to) == 0 {
			to = []Recipient{o}
		}
		if len(to) == 0 {
			gone++
		}
		for i, p := range to {
			r := out[p.Person]
			if r == nil {
				r = &concernedRow{Email: p.Email, Name: p.Name}
				out[p.Person] = r
			}
			r.in(p.Team)
			if !slices.ContainsFunc(to[:i], func(o Recipient) bool { return o.Person == p.Person }) { // in several teams, but one person
				r.join(l)
			}
		}
		return nil
	})
	return out, gone + x.Gone, err
}

// in says that somebody is in a team.
func (r *concernedRow) in(team string) {
	if team != "" && !slices.Contains(r.Teams, team) {
		r.Teams = append(r.Teams, team)
	}
}

// join lays a line of the set on what is said about somebody.
func (r *concernedRow) join(l breach.Line) {
	r.Class, r.Hits = max(r.Class, l.Class), r.Hits+l.Hits
	for _, d := range l.Data {
		if !slices.Contains(r.Data, d) {
			r.Data = append(r.Data, d)
		}
	}
	slices.Sort(r.Data)
	if !l.First.IsZero() && (r.First.IsZero() || l.First.Before(r.First)) {
		r.First = l.First
	}
	if l.Last.After(r.Last) {
		r.Last = l.Last
	}
}

const lettersAChange = 50

// actLetters makes a letter for each of those concerned, once. They are sent one by one after that.
func (s *Service) actLetters(ctx context.Context, c Case) (outcome, error) { // clause: inc.breach-notify
	n, gone, err := s.fill(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	return outcome{Output: digest(c.ID, fmt.Sprint(n)), Count: n, Says: fmt.Sprintf("%d letters; %d subjects are no longer identifiable.", n, gone)}, nil
}

// fill makes the rows of the newest version that are not there. Whoever has a letter that says
// the same or worse already gets no second one.
func (s *Service) fill(ctx context.Context, c Case) (made, gone int64, err error) {
	x, err := newestScope(ctx, s.DB, c.ID)
	if err != nil {
		return 0, 0, err
	}
	all, gone, err := s.concerned(ctx, c)
	if err != nil {
		return 0, 0, err
	}
	texts := map[breach.Class]string{}
	for _, class := range toldClasses() {
		if x.counts[class] == 0 {
			continue
		}
		if texts[class], _, err = s.text(ctx, c, class); err != nil {
			return 0, 0, err
		}
	}
	have, err := s.lettered(ctx, c, x)
	if err != nil {
		return 0, 0, err
	}
	var people []string
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if texts[all[p].Class] == "" {
			continue
		}
		if made++; !have(p, all[p].Class) {
			people = append(people, p)
		}
	}
	for part := range slices.Chunk(people, lettersAChange) {
		if err := s.fillPart(ctx, c, x, part, all, texts); err != nil {
			return 0, 0, err
		}
	}
	err = s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, setFilled, x.id)
		return err
	})
	return made, gone, err
}

// lettered says who has a letter of this version, or of one before that says the same or worse.
func (s *Service) lettered(ctx context.Context, c Case, x Scope) (func(person string, class breach.Class) bool, error) {
	now, before := map[string]bool{}, map[string]breach.Class{}
	err := s.DB.Each(ctx, letteredIn, func(scan ledger.Scan) error {
		var p string
		var version, class int64
		err := scan(&p, &version, &class)
		now[p] = now[p] || version == int64(x.Version)
		before[p] = max(before[p], breach.Class(class))
		return err
	}, c.ID)
	return func(p string, class breach.Class) bool { return now[p] || before[p] >= class }, err
}

func (s *Service) fillPart(ctx context.Context, c Case, x Scope, part []string, all map[string]*concernedRow, texts map[breach.Class]string) error {
	ids, boxes := make([]string, len(part)), make([][]byte, len(part))
	for i, p := range part {
		text, err := json.Marshal(all[p])
		if err != nil {
			return fmt.Errorf("encode a letter: %w", err)
		}
		ids[i] = s.DB.ID()
		if boxes[i], err = s.seal(ctx, c.ID, "incident_letter.box", ids[i], string(text)); err != nil {
			return err
		}
	}
	s.point("before")
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		var made int64
		for i, p := range part {
			state := letterQueued
			if all[p].Email == "" {
				state = letterNoWay
			}
			n, err := tx.Exec(ctx, insertLetter, ids[i], c.ID, int64(x.Version), p, int64(all[p].Class), texts[all[p].Class], state, us(tx.Now()), boxes[i])
			if err != nil {
				return nil, err
			}
			made += n
		}
		if made == 0 {
			return nil, fault.Wrap(fault.Conflict, "filled", errors.New("they have their letters"))
		}
		_, err := tx.Exec(ctx, insertDay, c.ID, int64(0), us(tx.Now()), false) // since when a day is counted
		return LettersQueued{Incident: c.ID, Version: int64(x.Version), Count: made}, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

const (
	insertLetter = `INSERT INTO incident_letter (id, case_id, version, person, class, text, state, tries, next, code, body, at, box, answer)
		SELECT $1, $2, $3, $4, $5, $6, $7, 0, $8, '', '', $8, $9, NULL
		WHERE NOT EXISTS (SELECT 1 FROM incident_letter o WHERE o.case_id = $2 AND o.person = $4 AND (o.version = $3 OR o.class >= $5))
		ON CONFLICT (case_id, version, person) DO NOTHING`
	letteredIn  = `SELECT person, version, class FROM incident_letter WHERE case_id = $1`
	setFilled   = `UPDATE incident_scope SET filled = TRUE WHERE id = $1`
	openLetters = `SELECT COUNT(*) FROM incident_letter WHERE case_id = $1 AND state NOT IN ('accepted', 'told')`
)
