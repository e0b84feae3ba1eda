package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/mail"
	"writ/internal/web"
)

// Breaches is what the pages of a breach need.
type Breaches interface {
	Exposure(ctx context.Context, who actor.Actor, ref string) (incident.Exposure, error)
	FreezeScope(ctx context.Context, who actor.Actor, ref string, in incident.NewScope) (incident.Case, error)
	Lines(ctx context.Context, who actor.Actor, ref string, version int64, class breach.Class, skip int) ([]breach.Line, bool, error)
	Sign(ctx context.Context, who actor.Actor, ref, object, hash string) (incident.Case, error)
	Dismiss(ctx context.Context, who actor.Actor, ref string, in incident.Dismissal) (incident.Case, error)
	Lift(ctx context.Context, who actor.Actor, ref, kind, id, reason string) (incident.Case, error)
	Contain(ctx context.Context, who actor.Actor, ref string, what incident.Cut) (incident.Case, error)
	Involve(ctx context.Context, who actor.Actor, ref string, in incident.Vendor) (incident.Case, error)
	Hear(ctx context.Context, who actor.Actor, ref string, in incident.Statement) (incident.Case, error)
	AddTask(ctx context.Context, who actor.Actor, ref string, in incident.Task) (incident.Case, error)
	EndTask(ctx context.Context, who actor.Actor, ref, task string) (incident.Case, error)
	DecideRisk(ctx context.Context, who actor.Actor, ref string, in incident.Risk) (incident.Case, error)
	FileReceipt(ctx context.Context, who actor.Actor, ref string, in incident.Receipt) (incident.Case, error)
	FindOut(ctx context.Context, who actor.Actor, ref string, in incident.Research) (incident.Case, error)
	Prevent(ctx context.Context, who actor.Actor, ref string, in incident.Measure) (incident.Case, error)
	Pack(ctx context.Context, who actor.Actor, ref string) (doc []byte, text, hash string, err error)
	WriteLetter(ctx context.Context, who actor.Actor, ref string, class breach.Class, t incident.LetterText) (incident.Case, error)
	LeaveUntold(ctx context.Context, who actor.Actor, ref string, class breach.Class, reason string) (incident.Case, error)
	Preview(ctx context.Context, who actor.Actor, ref string, class breach.Class) ([]mail.Message, error)
	TestLetter(ctx context.Context, who actor.Actor, ref string, class breach.Class, to []string) (incident.Case, error)
	Pace(ctx context.Context, who actor.Actor, ref, pace, reason string) (incident.Case, error)
	DecideLetter(ctx context.Context, who actor.Actor, ref, id string, again bool, reason string) (incident.Case, error)
	LetterTold(ctx context.Context, who actor.Actor, ref, id, how string) (incident.Case, error)
	AskAdmins(ctx context.Context, who actor.Actor, ref string) (incident.Case, error)
	TellInPublic(ctx context.Context, who actor.Actor, ref string, in incident.PublicWord) (incident.Case, error)
	CountPublic(ctx context.Context, who actor.Actor, ref string) (incident.Case, error)
	LetterRows(ctx context.Context, who actor.Actor, ref, after string, states ...string) ([]incident.LetterRow, error)
	MoveAware(ctx context.Context, who actor.Actor, ref string, to time.Time, reason string) (incident.Case, error)
	AddClock(ctx context.Context, who actor.Actor, ref, name string, within time.Duration) (incident.Case, error)
}

// breachRoutes are the pages of a breach.
func (c *Console) breachRoutes(staff func(string, access.Action, string, web.Handler) web.Route) []web.Route {
	act := staff("POST /-/console/incidents/{ref}/breach", access.IncidentAct, atIncidents, c.actBreach)
	act.Limit = 256 << 10
	return []web.Route{
		staff("GET /-/console/incidents/{ref}/breach", access.IncidentRead, atIncidents, c.showBreach),
		staff("GET /-/console/incidents/{ref}/breach/set", access.IncidentRead, atIncidents, c.showLines),
		staff("GET /-/console/incidents/{ref}/breach/letters", access.IncidentRead, atIncidents, c.showLetters),
		staff("GET /-/console/incidents/{ref}/breach/report", access.IncidentRead, atIncidents, c.showPack),
		act,
	}
}

// breachView is the page of a breach.
type breachView struct {
	Facts   []string
	Times   web.Table
	Set     *breachSet
	Papers  web.Table
	Tasks   web.Table
	Letters string // in words; "" = there are none
	Links   []web.Link
	Signs   []web.Form // what waits for a signature
	Forms   []web.Form
}

type breachSet struct {
	Says, By, Hash string
	Unknown, Open  []string
	Statement      string
	Lines, Bundle  string // addresses
}

func (c *Console) showBreach(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.breachPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) breachPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed url.Values, fail error) error {
	v, err := c.Incidents.Exposure(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	at := atIncidents + "/" + v.Case.Ref() + "/breach"
	m, _ := engine.Of(engine.B)
	state, _ := m.State(v.Case.States[engine.B])
	p := breachView{Facts: []string{state.Name, "held since " + v.Held.UTC().Format("2 Jan 15:04 UTC")}}
	if v.Contained {
		p.Facts = append(p.Facts, "contained")
	}
	if v.Pace != "going" {
		p.Facts = append(p.Facts, "letters are "+v.Pace)
	}
	p.Links = []web.Link{{Text: "Report to the authority", Href: at + "/report"}}
	if n := len(v.Letters); n > 0 || v.Scope.Version > 0 {
		p.Links = append(p.Links, web.Link{Text: "Letters", Href: at + "/letters"})
	}
	p.tables(v)
	p.set(v, at)
	if c.Access.May(who, access.IncidentAct) && v.Case.Open() {
		p.Signs, p.Forms = signForms(v, at), breachForms(v, at, c.Now())
	}
	fail = again(r, typed, fail, slices.Concat(allOf(p.Signs), allOf(p.Forms)))
	return c.answer(w, r, st, "breach", web.View{Title: v.Case.Ref() + ": exposed data", Lead: state.Says + " This page is for those who work on it; that you looked is recorded.", Up: &web.Link{Text: v.Case.Ref() + " " + v.Case.Title, Href: atIncidents + "/" + v.Case.Ref()}, Fault: fail, Data: p})
}

func (p *breachView) tables(v incident.Exposure) {
	p.Times = web.Table{Caption: "When each is due", Columns: []web.Column{{Name: "For"}, {Name: "Began"}, {Name: "Due"}, {Name: "State"}}, Empty: web.Empty{Says: "They begin with the first suspicion."}}
	for _, k := range v.Clocks {
		is := "runs"
		switch {
		case k.Void:
			is = "void: it was moved"
		case k.Missed:
			is = "missed"
		case !k.Ended.IsZero():
			is = "met"
		}
		p.Times.Rows = append(p.Times.Rows, web.Row{Cells: []web.Cell{{Text: k.Name}, {At: k.Began}, {At: k.Due}, {Text: is}}})
	}
	p.Papers = web.Table{Caption: "What was decided and found", Columns: []web.Column{{Name: "What"}, {Name: "Hash"}, {Name: "By"}, {Name: "When"}, {Name: "Signed"}}, Empty: web.Empty{Says: "Nothing is written down yet."}}
	for _, x := range v.Papers {
		signed := "nobody"
		if len(x.Signed) > 0 {
			signed = web.And(x.Signed)
		}
		p.Papers.Rows = append(p.Papers.Rows, web.Row{Cells: []web.Cell{{Text: strings.ReplaceAll(x.Kind, "-", ", "), Sub: paperWords(x)}, {Text: x.Hash[:12], Code: true}, {Text: x.Name}, {At: x.At}, {Text: signed}}})
	}
	p.Tasks = web.Table{Caption: "Tasks of third parties' procedures", Columns: []web.Column{{Name: "What"}, {Name: "Who"}, {Name: "Due"}, {Name: "Done"}}}
	for _, t := range v.Tasks {
		done := web.Cell{Text: "–"}
		if !t.Done.IsZero() {
			done = web.Cell{At: t.Done}
		}
		p.Tasks.Rows = append(p.Tasks.Rows, web.Row{Cells: []web.Cell{{Text: t.What}, {Text: t.Name}, {At: t.Due}, done}})
	}
	p.Letters = lettersIn(v)
}

// lettersIn are the letters of a breach in words.
func lettersIn(v incident.Exposure) string {
	var says []string
	for _, state := range []string{"accepted", "told", "queued", "sending", "unknown", "refused", "failed", "stopped", "unreachable"} {
		if n := v.Letters[state]; n > 0 {
			says = append(says, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(says, ", ")
}

// unreached is how many letters reached nobody.
func unreached(v incident.Exposure) (n int64) {
	for _, state := range incident.Unreached() {
		n += v.Letters[state]
	}
	return n
}

// paperWords is the beginning of what a paper says.
func paperWords(p incident.Paper) string {
	text := []rune(string(p.Text))
	if len(text) > 240 {
		return string(text[:240]) + "…"
	}
	return string(text)
}

func (p *breachView) set(v incident.Exposure, at string) {
	x := v.Scope
	if x.Version == 0 {
		return
	}
	var says []string
	for _, class := range breach.Classes() {
		says = append(says, fmt.Sprintf("%d %s", x.Counts[class], class))
	}
	if x.Gone > 0 {
		says = append(says, web.Count(x.Gone, "record")+" about nobody who can be named any more")
	}
	s := breachSet{Says: fmt.Sprintf("Version %d, from %d accesses: %s.", x.Version, x.Records, strings.Join(says, ", ")), Hash: x.Hash, By: "By " + x.By + ". Signed by ", Unknown: x.Unknown(), Open: x.Open, Statement: x.Statement, Lines: at + "/set",
		Bundle: "/-/api/v1/incidents/" + v.Case.Ref() + "/breach/scope/" + strconv.Itoa(x.Version) + "/bundle"}
	if len(x.Signed) == 0 {
		s.By += "nobody."
	} else {
		s.By += web.And(x.Signed) + "."
	}
	p.Set = &s
}

// signForms are what waits for a signature: the newest of each kind.
func signForms(v incident.Exposure, at string) (out []web.Form) {
	sign := func(object, hash, title string) {
		out = append(out, web.Form{Fold: title, Action: at, Act: "Sign it as it stands", Quiet: true, Part: "sign-" + object, Hidden: []web.Pair{{Name: "act", Value: "sign"}, {Name: "object", Value: object}, {Name: "hash", Value: hash}}})
	}
	if x := v.Scope; x.Version > 0 && len(x.Signed) < 2 {
		sign("scope", x.Hash, fmt.Sprintf("Sign version %d of the set", x.Version))
	}
	seen := map[string]bool{}
	for _, p := range v.Papers {
		kind, _, _ := strings.Cut(p.Kind, "-")
		if seen[p.Kind] || !slices.Contains([]string{"risk", "letter", "untold", "research", "measure", "dismissal", "public"}, kind) {
			continue
		}
		seen[p.Kind] = true
		if need := 2; len(p.Signed) < need && (kind != "risk" || len(p.Signed) == 0) {
			sign(p.Kind, p.Hash, "Sign "+strings.ReplaceAll(p.Kind, "-", ", ")+" of "+p.Name)
		}
	}
	return out
}

func area(name, label, hint string) web.Field {
	return web.Field{Name: name, Label: label, Type: "textarea", Rows: 3, Required: true, Max: 4000, Hint: hint}
}

func word(name, label, hint string, must bool) web.Field {
	return web.Field{Name: name, Label: label, Required: must, Max: 300, Complete: "off", Hint: hint}
}

func oneOf(name, label string, values ...string) web.Field {
	f := web.Field{Name: name, Label: label, Type: "select"}
	for _, v := range values {
		f.Options = append(f.Options, web.Option{Value: v, Text: strings.ReplaceAll(v, "-", " ")})
	}
	return f
}

// breachForms are the forms of what can be written down where a breach stands.
func breachForms(v incident.Exposure, at string, now time.Time) (out []web.Form) {
	add := func(title, act, button string, fields ...web.Field) {
		out = append(out, web.Form{Fold: title, Action: at, Act: button, Quiet: true, Part: act, Hidden: []web.Pair{{Name: "act", Value: act}}, Fields: fields})
	}
	state := v.Case.States[engine.B]
	in := func(states ...string) bool { return slices.Contains(states, state) }
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if in("B0") {
		add("Say that no data was exposed", "dismissal", "Write it down", area("reason", "Why", "Two people sign it."))
	}
	if !in("BX", "B8") {
		add("Compute whose data it is", "scope", "Compute and freeze it", word("principals", "Who acted", "Addresses, handles or ids, with spaces between. Empty: anybody.", false), word("networks", "From where", "Such as 198.51.100.0/24.", false), word("sessions", "In which sessions or tokens", "", false), word("routes", "At which routes", "", false),
			web.Field{Name: "from", Label: "From", Required: true, Max: 40, Complete: "off", Value: stamp(now.Add(-24 * time.Hour))}, web.Field{Name: "until", Label: "Until", Required: true, Max: 40, Complete: "off", Value: stamp(now.Add(-time.Minute))},
			word("unlogged", "Another way that keeps no record", "Then nobody is cleared.", false), web.Field{Name: "data", Label: "What routes and fields give", Type: "textarea", Rows: 3, Max: 20_000, Value: givenData(v.Scope), Hint: "One a line, such as /contacts/=contact. Kinds: " + strings.Join(breach.Categories(), ", ") + ". A line without a kind says nothing."},
			word("audits", "Audits of databases", "Ids of files of the incident, with spaces between.", false), web.Field{Name: "unasked", Type: "checkbox", Label: "Do not ask the application whose its records are", Hint: "While it is down. That must be stated."},
			web.Field{Name: "statement", Label: "What is known about what the record does not tell", Type: "textarea", Rows: 2, Max: 500})
		kinds := v.Cuts
		if len(kinds) > 0 {
			add("End what the attacker holds", "cut", "End it, and try it again", oneOf("kind", "What it is", kinds...), word("id", "Its id, or whose", "Of a network: such as 198.51.100.0/24.", true))
		}
		if slices.ContainsFunc(v.Papers, func(p incident.Paper) bool {
			x := incident.CutDone{}
			return p.Kind == "cut" && p.Read(&x) && x.Kind == incident.CutPerson
		}) {
			add("Let a person in again who was cut", "lift", "Ask for it, or agree", word("id", "Whom", "As they were cut.", true), area("reason", "Why", "Two people want the same within a day. A link to set a new password goes to their address."))
		}
		add("A third party is involved", "vendor", "Write it down", word("name", "Who", "", true), word("contact", "Their contact", "", true), word("case", "The number that they give it", "", false), area("questions", "What they are asked", "One question a line."))
		add("File their statement", "statement", "File it under its hash", word("vendor", "Who", "", true), area("text", "What they say", ""))
		add("A task of their procedure", "task", "Give the task", word("what", "What", "", true), word("owner", "Who does it", "An address or a handle of a member of staff.", true), web.Field{Name: "hours", Label: "Due in how many hours", Mode: "numeric", Required: true, Max: 4, Complete: "off"})
	}
	for _, t := range v.Tasks {
		if t.Done.IsZero() {
			out = append(out, web.Form{Fold: "Done: " + t.What, Action: at, Act: "It is done", Quiet: true, Part: "done-" + t.ID, Hidden: []web.Pair{{Name: "act", Value: "task-done"}, {Name: "task", Value: t.ID}}})
		}
	}
	if in("B2") {
		add("Decide the risk", "risk", "Write it down", oneOf("level", "How great it is for those concerned", "none", "risk", "high"), area("reason", "Why", "Another person signs it."), web.Field{Name: "exemption", Label: "Why those concerned need not be told", Type: "textarea", Rows: 2, Max: 2000, Hint: "Empty: they are told."})
	}
	if in("B3", "B4", "B5", "B6", "B7") {
		add("The authority has its report", "receipt", "File the receipt", oneOf("phase", "Which report", "first", "further", "last"), word("number", "Number of the receipt", "", false), word("pack", "Hash of the report", "It stands under the report.", false), word("contact", "Contact that it names", "", false),
			web.Field{Name: "reason", Label: "Why it need not know, or why it is late", Type: "textarea", Rows: 2, Max: 2000})
	}
	if in("B6", "B7") {
		add("Write down how it happened", "research", "Write it down", area("way", "Which way it took", ""), web.Field{Name: "first", Label: "First access", Required: true, Max: 40, Complete: "off", Value: stamp(v.Case.OnsetFrom)}, web.Field{Name: "last", Label: "Last access", Required: true, Max: 40, Complete: "off", Value: stamp(now)},
			area("cause", "Root cause", ""), area("unseen", "Why nobody saw it before", ""), word("rule", "Id of a rule of your own that fires on it", "It is asked about the events of this incident, and must fire on one of them.", true))
		add("Write down what prevents it", "measure", "Write it down", area("what", "What it is", ""), word("link", "Clause, change or check that it is tied to", "", true), word("test", "The test", "", true), word("failed", "Evidence that it failed before", "", true), word("passes", "Evidence that it passes now", "", true))
	}
	if !v.Aware.IsZero() && !in("B8") {
		add("Move when it was known, by two people", "aware", "Ask for it, or agree", web.Field{Name: "to", Label: "When it was known", Required: true, Max: 40, Complete: "off", Value: stamp(v.Aware)}, word("reason", "Why", "", true))
		add("A time of another law or a contract", "clock", "It runs", word("name", "Whose", "", true), web.Field{Name: "hours", Label: "How many hours", Mode: "numeric", Required: true, Max: 4, Complete: "off"})
	}
	return out
}

func (c *Console) showLines(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ref := r.PathValue("ref")
	class, err := incident.ClassOf(r.URL.Query().Get("class"))
	if err != nil {
		return err
	}
	skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
	lines, more, err := c.Incidents.Lines(r.Context(), who, ref, 0, class, max(skip, 0))
	if err != nil {
		return err
	}
	at := atIncidents + "/" + ref + "/breach"
	p := breachView{Papers: web.Table{Caption: "Whom it concerns", Columns: []web.Column{{Name: "Subject"}, {Name: "Class"}, {Name: "Data"}, {Name: "Accesses", Figure: true}, {Name: "First"}, {Name: "Last"}}, Empty: web.Empty{Says: "Nobody."}}}
	for _, l := range lines {
		p.Papers.Rows = append(p.Papers.Rows, web.Row{Cells: []web.Cell{{Text: l.Subject, Code: true}, {Text: l.Class.String()}, {Text: strings.Join(l.Data, ", ")}, {Text: strconv.FormatInt(l.Hits, 10)}, {At: l.First}, {At: l.Last}}})
	}
	for _, x := range breach.Classes() {
		p.Links = append(p.Links, web.Link{Text: x.String(), Href: at + "/set?class=" + x.String()})
	}
	if more {
		p.Links = append(p.Links, web.Link{Text: "More", Href: fmt.Sprintf("%s/set?class=%s&skip=%d", at, r.URL.Query().Get("class"), skip+len(lines))})
	}
	return c.show(w, r, "breach-list", web.View{Title: ref + ": whom it concerns", Lead: "People stand under pseudonyms, as in the record.", Up: &web.Link{Text: "Exposed data", Href: at}, Data: p})
}

// letterState are the letters that a person has to do with.
var letterStates = []string{"unknown", "refused", "failed", "stopped", "unreachable"}

func (c *Console) showLetters(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return c.lettersPage(w, r, who, http.StatusOK, nil, nil)
}

func (c *Console) lettersPage(w http.ResponseWriter, r *http.Request, who actor.Actor, st int, typed url.Values, fail error) error {
	ref := r.PathValue("ref")
	v, err := c.Incidents.Exposure(r.Context(), who, ref)
	if err != nil {
		return err
	}
	at := atIncidents + "/" + ref + "/breach"
	rows, err := c.Incidents.LetterRows(r.Context(), who, ref, "", letterStates...)
	if err != nil {
		return err
	}
	p := breachView{Papers: web.Table{Caption: "Letters that wait for somebody", Columns: []web.Column{{Name: "To"}, {Name: "Class"}, {Name: "State"}, {Name: "Answer"}, {Name: "Since"}}, Empty: web.Empty{Says: "None: each has its end, or is on its way."}}}
	may := c.Access.May(who, access.IncidentAct) && v.Case.Open()
	for i, x := range rows {
		p.Papers.Rows = append(p.Papers.Rows, web.Row{Cells: []web.Cell{{Text: x.Name, Sub: x.Email}, {Text: x.Class.String()}, {Text: x.State}, {Text: strings.TrimSpace(x.Code + " " + x.Answer)}, {At: x.At}}})
		if may && i < 50 {
			p.Signs = append(p.Signs, letterForm(x, at))
		}
	}
	letters := lettersIn(v)
	if may {
		p.Forms = textForms(v, at)
	}
	if class, err := incident.ClassOf(r.URL.Query().Get("preview")); err == nil && class != 0 {
		msgs, err := c.Incidents.Preview(r.Context(), who, ref, class)
		if err != nil {
			return err
		}
		p.Tasks = web.Table{Caption: "Some letters as they would be sent, taken at random", Columns: []web.Column{{Name: "To"}, {Name: "Letter"}}}
		for _, m := range msgs {
			p.Tasks.Rows = append(p.Tasks.Rows, web.Row{Cells: []web.Cell{{Text: m.To}, {Text: m.Subject, Sub: m.Text}}})
		}
	}
	for _, class := range breach.Classes() {
		if class > breach.Cleared && v.Scope.Counts[class] > 0 {
			p.Links = append(p.Links, web.Link{Text: "Look at some letters: data " + classWords(class.String()), Href: at + "/letters?preview=" + class.String()})
		}
	}
	p.Links = append(p.Links, web.Link{Text: "Those who are not reached, as a table", Href: "/-/api/v1/incidents/" + ref + "/breach/letters?unreached=1&format=csv"})
	lead := "No letter is made yet."
	if letters != "" {
		lead = "Letters: " + letters + "."
	}
	fail = again(r, typed, fail, slices.Concat(allOf(p.Signs), allOf(p.Forms)))
	return c.answer(w, r, st, "breach-list", web.View{Title: ref + ": letters", Lead: lead, Up: &web.Link{Text: "Exposed data", Href: at}, Fault: fail, Data: p})
}

func letterForm(x incident.LetterRow, at string) web.Form {
	f := web.Form{Fold: "Say how " + x.Name + " was told", Action: at, Quiet: true, Part: "letter-" + x.ID, Hidden: []web.Pair{{Name: "letter", Value: x.ID}, {Name: "back", Value: "letters"}}}
	if x.State == "unknown" {
		f.Fold, f.Act = "Decide about the letter to "+x.Email, "Decide it"
		f.Hidden = append(f.Hidden, web.Pair{Name: "act", Value: "letter"})
		f.Fields = []web.Field{oneOf("decide", "Nobody knows whether it arrived", "arrived", "again"), word("reason", "How you know, or why it is sent again", "", true)}
		return f
	}
	f.Act = "They were told"
	f.Hidden = append(f.Hidden, web.Pair{Name: "act", Value: "told"})
	f.Fields = []web.Field{word("reason", "How they were told", "", true)}
	return f
}

// textForms are the texts of the classes, and how letters go.
func textForms(v incident.Exposure, at string) (out []web.Form) {
	add := func(title, act, class, button string, fields ...web.Field) {
		out = append(out, web.Form{Fold: title, Action: at, Act: button, Quiet: true, Part: act + class, Hidden: []web.Pair{{Name: "act", Value: act}, {Name: "class", Value: class}, {Name: "back", Value: "letters"}}, Fields: fields})
	}
	for _, class := range breach.Classes() {
		n := class.String()
		if class == breach.Cleared || v.Scope.Counts[class] == 0 {
			continue
		}
		t := incident.LetterTemplate(class)
		for _, p := range v.Papers {
			if p.Kind == "letter-"+n && p.Read(&t) {
				break
			}
		}
		add("The text for those whose data was "+classWords(n), "text", n, "Keep the text", web.Field{Name: "subject", Label: "Subject", Required: true, Max: 120, Complete: "off", Value: t.Subject},
			web.Field{Name: "body", Label: "Text", Type: "textarea", Rows: 12, Required: true, Max: 10_000, Value: t.Body, Hint: incident.LetterNotice + " Filled in: {company} {name} {data} {from} {until} {records} {contact}."})
		add("Try that text out: data "+classWords(n), "test", n, "Send it to them", word("to", "To whom of staff", "Addresses or handles, with spaces between.", true))
		add("Tell nobody whose data was "+classWords(n), "untold", n, "Write down why", area("reason", "Why they get no letter", "Two people sign it."))
	}
	if n := unreached(v); n > 0 {
		add("Ask the admins of those who are not reached", "admins", "", "Write to them")
		signed := slices.IndexFunc(v.Papers, func(p incident.Paper) bool { return p.Kind == "public" && len(p.Signed) >= 2 })
		if signed >= 0 {
			add("Count them as told by the public notice", "count-public", "", "Count "+web.Count(n, "letter"))
		} else {
			add("Tell those who are not reached in public", "public", "", "Write it down", word("url", "Where the notice stands", "https://…", true), area("reason", "Why to reach each of them asks for too much", "Two people sign it."))
		}
	}
	pace := map[string][]string{"going": {"pause", "stop"}, "paused": {"resume", "stop"}}[v.Pace]
	if len(pace) > 0 {
		add("Pause or stop letters", "pace", "", "Do it", oneOf("pace", "What", pace...), word("reason", "Why", "", true))
	}
	return out
}

func (c *Console) showPack(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ref := r.PathValue("ref")
	_, text, hash, err := c.Incidents.Pack(r.Context(), who, ref)
	if err != nil {
		return err
	}
	return c.show(w, r, "breach-report", web.View{Title: ref + ": report to the authority", Lead: "Its hash, which the receipt names: " + hash, Up: &web.Link{Text: "Exposed data", Href: atIncidents + "/" + ref + "/breach"},
		Data: struct{ Text, JSON string }{text, "/-/api/v1/incidents/" + ref + "/breach/pack"}})
}

// actBreach does what a form of a breach asks for; what is refused is said in the form, on the
// page as it is now.
func (c *Console) actBreach(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	values, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	f, ref := formValues(values), r.PathValue("ref")
	x, err := c.breachAct(r, who, ref, f)
	if err != nil {
		k := fault.KindOf(err)
		if _, up := errors.AsType[*web.StepUp](err); up || k != fault.Invalid && k != fault.Conflict && k != fault.TooLarge && !isKept(err) {
			return err
		}
		if f.get("back") == "letters" {
			return c.lettersPage(w, r, who, k.Status(), values, err)
		}
		return c.breachPage(w, r, who, k.Status(), values, err)
	}
	to := atIncidents + "/" + x.Ref() + "/breach"
	if f.get("back") == "letters" {
		to += "/letters"
	}
	return c.done(w, r, to, "It is written down.")
}

func (c *Console) breachAct(r *http.Request, who actor.Actor, ref string, f formValues) (incident.Case, error) {
	ctx := r.Context()
	class, err := incident.ClassOf(f.get("class"))
	if err != nil {
		return incident.Case{}, err
	}
	hours, _ := strconv.Atoi(f.get("hours"))
	switch f.get("act") {
	case "scope":
		return c.scopeAct(ctx, who, ref, f)
	case "sign":
		return c.Incidents.Sign(ctx, who, ref, f.get("object"), f.get("hash"))
	case "cut":
		return c.Incidents.Contain(ctx, who, ref, incident.Cut{Kind: f.get("kind"), ID: f.get("id"), From: web.RemoteIP(r)})
	case "lift":
		return c.Incidents.Lift(ctx, who, ref, incident.CutPerson, f.get("id"), f.get("reason"))
	case "task":
		return c.Incidents.AddTask(ctx, who, ref, incident.Task{What: f.get("what"), Owner: f.get("owner"), Due: c.Now().Add(time.Duration(hours) * time.Hour)})
	case "task-done":
		return c.Incidents.EndTask(ctx, who, ref, f.get("task"))
	case "aware":
		return c.Incidents.MoveAware(ctx, who, ref, f.at("to"), f.get("reason"))
	case "clock":
		return c.Incidents.AddClock(ctx, who, ref, f.get("name"), time.Duration(hours)*time.Hour)
	case "text":
		return c.Incidents.WriteLetter(ctx, who, ref, class, incident.LetterText{Subject: f.get("subject"), Body: f.get("body")})
	case "test":
		return c.Incidents.TestLetter(ctx, who, ref, class, strings.Fields(f.get("to")))
	case "untold":
		return c.Incidents.LeaveUntold(ctx, who, ref, class, f.get("reason"))
	case "pace":
		return c.Incidents.Pace(ctx, who, ref, map[string]string{"pause": "paused", "resume": "going", "stop": "stopped"}[f.get("pace")], f.get("reason"))
	case "letter":
		return c.Incidents.DecideLetter(ctx, who, ref, f.get("letter"), f.get("decide") == "again", f.get("reason"))
	case "told":
		return c.Incidents.LetterTold(ctx, who, ref, f.get("letter"), f.get("reason"))
	case "public":
		return c.Incidents.TellInPublic(ctx, who, ref, incident.PublicWord{URL: f.get("url"), Reason: f.get("reason")})
	case "admins":
		return c.Incidents.AskAdmins(ctx, who, ref)
	case "count-public":
		return c.Incidents.CountPublic(ctx, who, ref)
	}
	return c.paperAct(ctx, who, ref, f)
}

// paperAct writes a paper down.
func (c *Console) paperAct(ctx context.Context, who actor.Actor, ref string, f formValues) (incident.Case, error) {
	switch f.get("act") {
	case "dismissal":
		return c.Incidents.Dismiss(ctx, who, ref, incident.Dismissal{Reason: f.get("reason")})
	case "vendor":
		var questions []string
		for q := range strings.Lines(f.get("questions")) {
			if q = strings.TrimSpace(q); q != "" {
				questions = append(questions, q)
			}
		}
		return c.Incidents.Involve(ctx, who, ref, incident.Vendor{Name: f.get("name"), Contact: f.get("contact"), Case: f.get("case"), Questions: questions})
	case "statement":
		return c.Incidents.Hear(ctx, who, ref, incident.Statement{Vendor: f.get("vendor"), Text: f.get("text")})
	case "risk":
		return c.Incidents.DecideRisk(ctx, who, ref, incident.Risk{Level: f.get("level"), Reason: f.get("reason"), Exemption: strings.TrimSpace(f.get("exemption"))})
	case "receipt":
		return c.Incidents.FileReceipt(ctx, who, ref, incident.Receipt{Phase: f.get("phase"), Pack: strings.TrimSpace(f.get("pack")), Number: strings.TrimSpace(f.get("number")), Reason: strings.TrimSpace(f.get("reason")), Contact: f.get("contact")})
	case "research":
		return c.Incidents.FindOut(ctx, who, ref, incident.Research{Way: f.get("way"), First: f.at("first"), Last: f.at("last"), Cause: f.get("cause"), Unseen: f.get("unseen"), Rule: strings.TrimSpace(f.get("rule"))})
	case "measure":
		return c.Incidents.Prevent(ctx, who, ref, incident.Measure{What: f.get("what"), Link: f.get("link"), Test: f.get("test"), Failed: f.get("failed"), Passes: f.get("passes")})
	}
	return incident.Case{}, fault.Newf(fault.Invalid, "act", "There is no such act.")
}

func (c *Console) scopeAct(ctx context.Context, who actor.Actor, ref string, f formValues) (incident.Case, error) {
	in := incident.NewScope{Selector: breach.Selector{Principals: strings.Fields(f.get("principals")), Sessions: strings.Fields(f.get("sessions")), Routes: strings.Fields(f.get("routes")), From: f.at("from"), Until: f.at("until")}, Data: map[string][]string{}, Statement: f.get("statement"), Audits: strings.Fields(f.get("audits")), Unasked: f.get("unasked") != ""}
	if u := strings.TrimSpace(f.get("unlogged")); u != "" {
		in.Selector.Unlogged = []string{u}
	}
	var nets []netip.Prefix
	for _, n := range strings.Fields(f.get("networks")) {
		p, err := incident.Network(n)
		if err != nil {
			return incident.Case{}, err
		}
		nets = append(nets, p)
	}
	in.Selector.Networks = nets
	for line := range strings.Lines(f.get("data")) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, '=')
		switch {
		case i < 0 && line != "":
			in.Data[line] = []string{""} // refused, with the kinds there are
		case i >= 0 && i < len(line)-1:
			in.Data[line[:i]] = append(in.Data[line[:i]], line[i+1:])
		}
	}
	return c.Incidents.FreezeScope(ctx, who, ref, in)
}

// givenData is what was said of routes and fields, and what is still open, a line each.
func givenData(x incident.Scope) string {
	var lines []string
	for name, kinds := range x.Data {
		for _, k := range kinds {
			lines = append(lines, name+"="+k)
		}
	}
	for _, name := range x.Open {
		lines = append(lines, name+"=")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// at is a time that was typed; zero = none, or not understood.
func (f formValues) at(name string) time.Time {
	t, _ := time.Parse(time.RFC3339, strings.TrimSpace(f.get(name)))
	return t
}

// classWords is a class of exposure in a sentence.
func classWords(class string) string {
	if class == breach.Possibly.String() {
		return "possibly accessed"
	}
	return class
}
