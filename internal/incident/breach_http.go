package incident

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/web"
)

// breachRoutes are those of a breach.
func (s *Service) breachRoutes(on func(pattern string, limit int64, h web.Handler, d web.Doc) web.Route) []web.Route {
	const at = "/-/api/v1/incidents/{ref}/breach"
	const few, many = 16 << 10, 128 << 10
	refused := []string{"no_breach", "need_to_know"}
	doc := func(d web.Doc, codes ...string) web.Doc { d.Errors = append(codes, refused...); return d }
	return []web.Route{
		on("GET "+at, few, s.getBreach, doc(web.Doc{Summary: "A breach: the set, the times of the law, papers, tasks, letters", Out: exposureOut{}})),
		on("POST "+at+"/scope", many, s.postScope, doc(web.Doc{Summary: "Compute whose data it is, and freeze it as the next version", In: scopeIn{}, Out: caseOut{}}, "scope_time", "scope_principals", "scope_sessions", "scope_routes", "scope_networks", "scope_unlogged", "scope_data", "scope_statement", "scope_version", "no_reads", "not_answered", "resolver", "scope_audits", "file_unknown")),
		on("GET "+at+"/scope/{version}", few, s.getLines, doc(web.Doc{Summary: "Lines of a version", Query: []string{"class", "skip"}, Out: linesOut{}}, "scope_class")),
		on("GET "+at+"/scope/{version}/bundle", few, s.getBundle, doc(web.Doc{Summary: "A version with all that it was computed from, to run again offline"}, "scope_differs", "scope_class")),
		on("POST "+at+"/papers", many, s.postPaper, doc(web.Doc{Summary: "Write down what was decided or found", In: paperIn{}, Out: caseOut{}}, "paper_unknown", "paper_large")),
		on("POST "+at+"/signatures", few, s.postSignature, doc(web.Doc{Summary: "Sign a thing of a breach as it stands", In: approvalIn{}, Out: caseOut{}}, "no_person", "object_unknown", "approval_void", "approved", "step_up_required")),
		on("POST "+at+"/lifts", few, s.postLift, doc(web.Doc{Summary: "Let a person in again who was cut: the first asks, a second person agrees by asking for the same", In: liftIn{}, Out: caseOut{}}, "no_person", "not_cut", "lift_kind", "reason_missing", "step_up_required")),
		on("POST "+at+"/cuts", few, s.postCut, doc(web.Doc{Summary: "End what the attacker holds, and try it again", In: cutIn{}, Out: caseOut{}}, "cut_kind", "cut_id", "own", "wide", "loopback", "proxy", "network")),
		on("POST "+at+"/clocks", few, s.postClock, doc(web.Doc{Summary: "Move the time at which it was known (two people), or add a time of another law or a contract", In: clockIn{}, Out: caseOut{}}, "aware_to", "clock_name", "no_person", "reason_missing")),
		on("POST "+at+"/tasks", few, s.postTask, doc(web.Doc{Summary: "Give somebody a task of a third party's procedure", In: taskIn{}, Out: caseOut{}}, "task_what", "task_due", "no_person")),
		on("POST "+at+"/tasks/{id}/done", few, s.postTaskDone, doc(web.Doc{Summary: "A task is done", Out: caseOut{}}, "task_unknown")),
		on("GET "+at+"/pack", few, s.getPack, doc(web.Doc{Summary: "The report to the authority as the record has it now", Out: packOut{}})),
		on("GET "+at+"/letters", few, s.getLetters, doc(web.Doc{Summary: "Letters to those concerned, after an id; unreached=1: those who need another channel, as CSV with format=csv", Query: []string{"after", "state", "unreached", "format"}, Out: lettersOut{}})),
		on("GET "+at+"/letters/preview", few, s.getPreview, doc(web.Doc{Summary: "At most twenty letters, rendered, for whoever is about to sign", Query: []string{"class"}, Out: previewOut{}}, "scope_class", "no_letter")),
		on("POST "+at+"/letters", few, s.postLetters, doc(web.Doc{Summary: "Test, pause, resume or stop letters; decide about one", In: lettersIn{}, Out: caseOut{}}, "letter_act", "letter_unknown", "letter_to", "reason_missing", "no_letter")),
		{Pattern: "GET /-/api/v1/breaches", Who: web.Staff, Handle: s.getRegister, Doc: web.Doc{Summary: "The register of breaches (Article 33(5))", Out: registerOut{}}},
	}
}

type (
	scopeIn struct {
		Principals []string            `json:"principals,omitempty"`
		Networks   []string            `json:"networks,omitempty"`
		Sessions   []string            `json:"sessions,omitempty"`
		Routes     []string            `json:"routes,omitempty"`
		From       time.Time           `json:"from"`
		Until      time.Time           `json:"until"`
		Unlogged   []string            `json:"unlogged,omitempty"`
		Data       map[string][]string `json:"data,omitempty"`
		Statement  string              `json:"statement,omitempty"`
		Audits     []string            `json:"audits,omitempty"`  // ids of files of the incident: audits of databases
		Unasked    bool                `json:"unasked,omitempty"` // the application is not asked whose its records are
	}
	paperIn struct {
		Kind  string          `json:"kind"`
		Class string          `json:"class,omitempty"`
		Doc   json.RawMessage `json:"doc"`
	}
	liftIn struct {
		Kind   string `json:"kind"` // person
		ID     string `json:"id"`   // as it was cut
		Reason string `json:"reason"`
	}
	cutIn struct {
		Kind string `json:"kind"`
		ID   string `json:"id"`
	}
	clockIn struct {
		Aware  time.Time `json:"aware,omitzero"`
		Reason string    `json:"reason,omitempty"`
		Name   string    `json:"name,omitempty"`
		Hours  int64     `json:"hours,omitempty"`
	}
	taskIn struct {
		What  string    `json:"what"`
		Owner string    `json:"owner"`
		Due   time.Time `json:"due"`
	}
	lettersIn struct {
		Act    string   `json:"act"` // test, pause, resume, stop, again, arrived, told, admins, public
		Letter string   `json:"letter,omitempty"`
		Class  string   `json:"class,omitempty"`
		To     []string `json:"to,omitempty"`
		Reason string   `json:"reason,omitempty"`
	}
	scopeOut struct {
		Version   int              `json:"version"`
		Hash      string           `json:"hash"`
		By        string           `json:"by"`
		At        time.Time        `json:"at"`
		From      time.Time        `json:"from"`
		Until     time.Time        `json:"until"`
		Records   int64            `json:"records"`
		Counts    map[string]int64 `json:"counts"`
		Unknown   []string         `json:"cannot_know"`
		Open      []string         `json:"unclassified"`
		Gone      int64            `json:"no_longer_identifiable"` // records
		Statement string           `json:"statement"`
		Signed    []string         `json:"signed"`
	}
	paperOut struct {
		Kind   string          `json:"kind"`
		Hash   string          `json:"hash"`
		By     string          `json:"by"`
		At     time.Time       `json:"at"`
		Signed []string        `json:"signed"`
		Doc    json.RawMessage `json:"doc"`
	}
	wallOut struct {
		Name   string     `json:"name"`
		Began  time.Time  `json:"began"`
		Due    time.Time  `json:"due"`
		Ended  *time.Time `json:"ended,omitempty"`
		Missed bool       `json:"missed"`
		Void   bool       `json:"void"`
	}
	taskOut struct {
		ID    string     `json:"id"`
		What  string     `json:"what"`
		Owner string     `json:"owner"`
		Due   time.Time  `json:"due"`
		Done  *time.Time `json:"done,omitempty"`
	}
	exposureOut struct {
		caseOut
		Aware     *time.Time       `json:"aware,omitempty"`
		HeldSince time.Time        `json:"held_since"`
		HeldUntil *time.Time       `json:"held_until,omitempty"`
		Contained bool             `json:"contained"`
		Pace      string           `json:"letters_are"`
		Scope     *scopeOut        `json:"scope,omitempty"`
		Clocks    []wallOut        `json:"clocks"`
		Papers    []paperOut       `json:"papers"`
		Tasks     []taskOut        `json:"tasks"`
		Letters   map[string]int64 `json:"letters"`
	}
	linesOut struct {
		Lines []breach.Line `json:"lines"`
		More  bool          `json:"more"`
	}
	packOut struct {
		Report json.RawMessage `json:"report"`
		Text   string          `json:"text"`
		Hash   string          `json:"hash"`
	}
	letterOut struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Email   string    `json:"email"`
		Version int64     `json:"version"`
		Class   string    `json:"class"`
		State   string    `json:"state"`
		Tries   int64     `json:"tries"`
		Code    string    `json:"code"`
		Answer  string    `json:"answer"`
		At      time.Time `json:"at"`
	}
	lettersOut struct {
		Letters []letterOut `json:"letters"`
	}
	previewOut struct {
		Letters []previewed `json:"letters"`
	}
	previewed struct {
		To      string `json:"to"`
		Subject string `json:"subject"`
		Text    string `json:"text"`
	}
	registerOut struct {
		Breaches []Breach `json:"breaches"`
	}
)

func (s *Service) getBreach(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := s.Exposure(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	out := exposureOut{caseOut: wireCase(v.Case), Aware: known(v.Aware), HeldSince: v.Held, HeldUntil: known(v.Lifted), Contained: v.Contained, Pace: v.Pace, Clocks: []wallOut{}, Papers: []paperOut{}, Tasks: []taskOut{}, Letters: v.Letters}
	if x := v.Scope; x.Version > 0 {
		o := scopeOut{Version: x.Version, Hash: x.Hash, By: x.By, At: x.At, From: x.Selector.From, Until: x.Selector.Until, Records: x.Records, Counts: map[string]int64{}, Unknown: x.Unknown(), Open: x.Open, Gone: x.Gone, Statement: x.Statement, Signed: x.Signed}
		for class, n := range x.Counts {
			o.Counts[class.String()] = n
		}
		out.Scope = &o
	}
	for _, k := range v.Clocks {
		out.Clocks = append(out.Clocks, wallOut{k.Name, k.Began, k.Due, known(k.Ended), k.Missed, k.Void})
	}
	for _, p := range v.Papers {
		if !json.Valid(p.Text) { // erased
			p.Text = json.RawMessage(`null`)
		}
		out.Papers = append(out.Papers, paperOut{p.Kind, p.Hash, p.Name, p.At, p.Signed, p.Text})
	}
	for _, t := range v.Tasks {
		out.Tasks = append(out.Tasks, taskOut{t.ID, t.What, t.Name, t.Due, known(t.Done)})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postScope(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in scopeIn) (Case, error) {
		sel := breach.Selector{Principals: in.Principals, Sessions: in.Sessions, Routes: in.Routes, From: in.From, Until: in.Until, Unlogged: in.Unlogged}
		for _, n := range in.Networks {
			p, err := Network(n)
			if err != nil {
				return Case{}, err
			}
			sel.Networks = append(sel.Networks, p)
		}
		return s.FreezeScope(r.Context(), who, ref, NewScope{Selector: sel, Data: in.Data, Statement: in.Statement, Audits: in.Audits, Unasked: in.Unasked})
	})
}

// Network reads a network or an address.
func Network(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, badPaper("scope", "networks", "Networks such as 198.51.100.0/24, or addresses.")
	}
	return p, nil
}

// versionOf is the version that a path names; newest = 0.
func versionOf(r *http.Request) (int64, error) {
	v := r.PathValue("version")
	if v == "newest" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 1 {
		return 0, fault.Newf(fault.NotFound, "no_scope", "There is no such version: it is a number, or newest.")
	}
	return n, nil
}

// ClassOf reads the word of a class; "" = none.
func ClassOf(word string) (c breach.Class, err error) {
	if word == "" {
		return 0, nil
	}
	if err := c.UnmarshalText([]byte(word)); err != nil {
		return 0, badPaper("scope", "class", "One of: obtained, accessed, possibly, cleared.")
	}
	return c, nil
}

func (s *Service) getLines(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	version, err := versionOf(r)
	if err != nil {
		return err
	}
	class, err := ClassOf(r.URL.Query().Get("class"))
	if err != nil {
		return err
	}
	skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
	lines, more, err := s.Lines(r.Context(), who, r.PathValue("ref"), version, class, max(skip, 0))
	if err != nil {
		return err
	}
	if lines == nil {
		lines = []breach.Line{}
	}
	return web.WriteJSON(w, http.StatusOK, linesOut{lines, more})
}

func (s *Service) getBundle(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	version, err := versionOf(r)
	if err != nil {
		return err
	}
	ref := r.PathValue("ref")
	return s.BundleScope(r.Context(), who, ref, version, web.Zip(w, "breach-"+strings.ToLower(ref)+".zip"))
}

// PaperKinds are the papers that are written by hand.
func PaperKinds() []string {
	return []string{paperDismissal, paperVendor, paperStatement, paperRisk, paperReceipt, paperResearch, paperMeasure, paperPublic, "letter", "untold"}
}

// papersBy are what writes each kind of paper from what was sent.
func (s *Service) papersBy(r *http.Request, who actor.Actor, ref string, in paperIn) (Case, error) {
	ctx := r.Context()
	class, err := ClassOf(in.Class)
	if err != nil {
		return Case{}, err
	}
	switch in.Kind {
	case paperDismissal:
		return sent(in.Doc, func(d Dismissal) (Case, error) { return s.Dismiss(ctx, who, ref, d) })
	case paperVendor:
		return sent(in.Doc, func(d Vendor) (Case, error) { return s.Involve(ctx, who, ref, d) })
	case paperStatement:
		return sent(in.Doc, func(d Statement) (Case, error) { return s.Hear(ctx, who, ref, d) })
	case paperRisk:
		return sent(in.Doc, func(d Risk) (Case, error) { return s.DecideRisk(ctx, who, ref, d) })
	case paperReceipt:
		return sent(in.Doc, func(d Receipt) (Case, error) { return s.FileReceipt(ctx, who, ref, d) })
	case paperResearch:
		return sent(in.Doc, func(d Research) (Case, error) { return s.FindOut(ctx, who, ref, d) })
	case paperMeasure:
		return sent(in.Doc, func(d Measure) (Case, error) { return s.Prevent(ctx, who, ref, d) })
	case paperPublic:
		return sent(in.Doc, func(d PublicWord) (Case, error) { return s.TellInPublic(ctx, who, ref, d) })
	case "letter":
		return sent(in.Doc, func(d LetterText) (Case, error) { return s.WriteLetter(ctx, who, ref, class, d) })
	case "untold":
		return sent(in.Doc, func(d Untold) (Case, error) { return s.LeaveUntold(ctx, who, ref, class, d.Reason) })
	}
	return Case{}, fault.New(fault.NotFound, "paper_unknown", fault.Public{Problem: fmt.Sprintf("There is no paper %.30q.", in.Kind), Expected: "One of: " + strings.Join(PaperKinds(), ", ") + "."})
}

// sent decodes a paper strictly: a field that nobody reads would be lost.
func sent[T any](doc json.RawMessage, fn func(T) (Case, error)) (Case, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return Case{}, badPaper("paper", "doc", "It is not such a paper: "+err.Error()+".")
	}
	return fn(v)
}

func (s *Service) postPaper(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in paperIn) (Case, error) { return s.papersBy(r, who, ref, in) })
}

func (s *Service) postSignature(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in approvalIn) (Case, error) {
		return s.Sign(r.Context(), who, ref, in.Object, in.Hash)
	})
}

func (s *Service) postLift(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in liftIn) (Case, error) {
		return s.Lift(r.Context(), who, ref, in.Kind, in.ID, in.Reason)
	})
}

func (s *Service) postCut(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in cutIn) (Case, error) {
		return s.Contain(r.Context(), who, ref, Cut{Kind: in.Kind, ID: in.ID, From: web.RemoteIP(r)})
	})
}

func (s *Service) postClock(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in clockIn) (Case, error) {
		if in.Name != "" {
			return s.AddClock(r.Context(), who, ref, in.Name, time.Duration(in.Hours)*time.Hour)
		}
		return s.MoveAware(r.Context(), who, ref, in.Aware, in.Reason)
	})
}

func (s *Service) postTask(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in taskIn) (Case, error) {
		return s.AddTask(r.Context(), who, ref, Task{What: in.What, Owner: in.Owner, Due: in.Due})
	})
}

func (s *Service) postTaskDone(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.EndTask(r.Context(), who, r.PathValue("ref"), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireCase(c))
}

func (s *Service) getPack(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	doc, text, hash, err := s.Pack(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, packOut{doc, text, hash})
}

func (s *Service) getLetters(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	var states []string
	if v := q.Get("state"); v != "" {
		states = []string{v}
	}
	if q.Get("unreached") != "" {
		states = Unreached()
	}
	rows, err := s.LetterRows(r.Context(), who, r.PathValue("ref"), q.Get("after"), states...)
	if err != nil {
		return err
	}
	if q.Get("format") == "csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="unreached.csv"`)
		return PostList(w, rows)
	}
	out := lettersOut{Letters: []letterOut{}}
	for _, x := range rows {
		out.Letters = append(out.Letters, letterOut{x.ID, x.Name, x.Email, x.Version, x.Class.String(), x.State, x.Tries, x.Code, x.Answer, x.At})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// PostList writes people as a table for those who write to them by post. A cell that a
// spreadsheet would run is text.
func PostList(w io.Writer, rows []LetterRow) error {
	out := csv.NewWriter(w)
	lines := [][]string{{"letter", "name", "address", "teams", "class", "state", "code"}}
	for _, x := range rows {
		lines = append(lines, []string{x.ID, x.Name, x.Email, strings.Join(x.Teams, " "), x.Class.String(), x.State, x.Code})
	}
	for _, l := range lines {
		for i, cell := range l {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				l[i] = "'" + cell
			}
		}
		if err := out.Write(l); err != nil {
			return fmt.Errorf("write the list: %w", err)
		}
	}
	out.Flush()
	return out.Error() //nolint:wrapcheck // the client went away
}

func (s *Service) getPreview(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	class, err := ClassOf(r.URL.Query().Get("class"))
	if err != nil {
		return err
	}
	msgs, err := s.Preview(r.Context(), who, r.PathValue("ref"), class)
	if err != nil {
		return err
	}
	out := previewOut{Letters: []previewed{}}
	for _, m := range msgs {
		out.Letters = append(out.Letters, previewed{m.To, m.Subject, m.Text})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// paces are the words for how letters go.
var paces = map[string]string{"pause": "paused", "resume": "going", "stop": "stopped"}

func (s *Service) postLetters(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in lettersIn) (Case, error) {
		switch in.Act {
		case "test":
			class, err := ClassOf(in.Class)
			if err != nil {
				return Case{}, err
			}
			return s.TestLetter(r.Context(), who, ref, class, in.To)
		case "pause", "resume", "stop":
			return s.Pace(r.Context(), who, ref, paces[in.Act], in.Reason)
		case "again", "arrived":
			return s.DecideLetter(r.Context(), who, ref, in.Letter, in.Act == "again", in.Reason)
		case "told":
			return s.LetterTold(r.Context(), who, ref, in.Letter, in.Reason)
		case "admins":
			return s.AskAdmins(r.Context(), who, ref)
		case "public":
			return s.CountPublic(r.Context(), who, ref)
		}
		return Case{}, badPaper("letter", "act", "One of: "+strings.Join(slices.Sorted(maps.Keys(paces)), ", ")+", test, again, arrived, told, admins, public.")
	})
}

func (s *Service) getRegister(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	out, err := s.Register(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, registerOut{out})
}
