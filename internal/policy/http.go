package policy

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// Routes is the API of the law. Check and prove are in policy/check.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/"
	staff := func(pattern string, h web.Handler, d web.Doc) web.Route {
		return web.Route{Pattern: pattern, Who: web.Staff, Handle: h, Doc: d, Limit: 2 << 20, Tokens: forPrograms(pattern)}
	}
	return []web.Route{
		staff("GET "+v1+"policy", s.getPolicy, web.Doc{Summary: "The revision in force", Query: []string{"revision", "at"}, Out: PolicyView{}}),
		staff("GET "+v1+"policy/at", s.getAt, web.Doc{Summary: "The law at a time", Query: []string{"time"}, Out: PolicyView{}, Errors: []string{"no_policy_then"}}),
		staff("GET "+v1+"policy/log", s.getLog, web.Doc{Summary: "Adopted revisions, newest first", Out: logView{}}),
		staff("GET "+v1+"policy/diff", s.getDiff, web.Doc{Summary: "What one revision does to another", Query: []string{"from", "to"}, Out: diffView{}}),
		staff("POST "+v1+"policy/lint", s.postLint, web.Doc{Summary: "What is wrong or weak in a policy file", In: lintIn{}, Out: lintView{}}),
		staff("POST "+v1+"policy/dry-run", s.postDryRun, web.Doc{Summary: "What a policy would change, and what it would do to who and what is there; nothing is stored", In: dryRunIn{}, Out: Trial{},
			Errors: []string{"policy_refused", "unbindable"}}),
		staff("GET "+v1+"policy/proposals", s.getProposals, web.Doc{Summary: "Revisions that were proposed and are not adopted", Out: proposalsView{}}),
		staff("POST "+v1+"policy/proposals", s.postProposal, web.Doc{Summary: "Propose a revision", In: draftIn{}, Out: Proposal{}, Status: 201,
			Errors: []string{"policy_refused", "unbindable", "never_approvable", "version", "back_dated", "policy_id", "not_active", "closed_before", "no_change"}}),
		staff("GET "+v1+"policy/proposals/{v}", s.getProposal, web.Doc{Summary: "A proposal with the texts to sign", Out: Proposal{}}),
		staff("POST "+v1+"policy/proposals/{v}/approve", s.postApprove, web.Doc{Summary: "Count a signature", In: signatureIn{}, Out: Proposal{},
			Errors: []string{"signature", "unknown_key", "self_approval", "not_owner", "not_active", "signed_before", "closed", "adoption_refused"}}),
		staff("POST "+v1+"policy/proposals/{v}/reject", s.postReject, web.Doc{Summary: "An owner says no", In: reasonIn{}, Out: Revision{}, Errors: []string{"not_owner", "closed"}}),
		staff("POST "+v1+"policy/proposals/{v}/withdraw", s.postWithdraw, web.Doc{Summary: "Take back one's own proposal", In: reasonIn{}, Out: Revision{}, Errors: []string{"not_author", "closed"}}),
		staff("GET "+v1+"keys", s.getKeys, web.Doc{Summary: "Keys that sign; with ?key= the text to sign to register it", Query: []string{"key"}, Out: keysView{}}),
		staff("POST "+v1+"keys", s.postKey, web.Doc{Summary: "Register one's own key", In: keyIn{}, Out: Key{}, Status: 201, Errors: []string{"public_key", "signature", "key_known", "not_a_person"}}),
		staff("DELETE "+v1+"keys/{fingerprint...}", s.deleteKey, web.Doc{Summary: "Revoke a key"}),
		staff("GET "+v1+"exceptions", s.getExceptions, web.Doc{Summary: "Exceptions, newest last, with the texts to sign", Out: exceptionsView{}}),
		staff("POST "+v1+"exceptions", s.postException, web.Doc{Summary: "Ask for an exception", In: exceptionIn{}, Out: Exception{}, Status: 201, Errors: []string{"never", "value", "until", "overlap", "reason", "requester"}}),
		staff("POST "+v1+"exceptions/{id}/approve", s.postExceptionApprove, web.Doc{Summary: "An owner's signature", In: signatureIn{}, Out: Exception{}, Errors: []string{"signature", "self_approval", "not_owner", "not_confirmed"}}),
		staff("POST "+v1+"exceptions/{id}/revoke", s.postExceptionRevoke, web.Doc{Summary: "End it now", In: reasonIn{}, Out: Exception{}}),
		staff("GET "+v1+"records", s.getRecords, web.Doc{Summary: "Signed records; with ?statement= the text to sign", Query: []string{"clause", "statement", "observed_at", "valid_for", "signer"}, Out: recordsView{}}),
		staff("POST "+v1+"records", s.postRecord, web.Doc{Summary: "Attest a clause", In: recordIn{}, Out: Record{}, Status: 201, Errors: []string{"signature", "unknown_key", "not_active", "valid_for", "observed_at"}}),
	}
}

// forPrograms is what a token may do: read, lint, try, propose. Signing is for people.
func forPrograms(pattern string) bool {
	return strings.HasPrefix(pattern, "GET ") || strings.HasSuffix(pattern, "policy/lint") || strings.HasSuffix(pattern, "policy/dry-run") || pattern == "POST /-/api/v1/policy/proposals"
}

// PolicyView is the law at a time, as the API gives it.
type PolicyView struct {
	At         time.Time       `json:"at"`
	Revision   Revision        `json:"revision"`
	Owners     []string        `json:"owners"`
	Author     string          `json:"author"`
	Contact    string          `json:"contact"`
	Title      string          `json:"title"`
	Values     map[string]any  `json:"values"` // "clause/param": as obeyed, in words
	Exceptions []Exception     `json:"exceptions"`
	Canonical  json.RawMessage `json:"canonical"`
	YAML       string          `json:"yaml"`
}

type (
	logView struct {
		Revisions []Revision `json:"revisions"`
	}
	diffView struct {
		Summary     string        `json:"summary"`
		NeedsLoosen bool          `json:"needs_loosen"`
		Diff        document.Diff `json:"diff"`
	}
	lintIn struct {
		YAML string `json:"yaml"`
	}
	dryRunIn struct {
		YAML     string `json:"yaml,omitempty"`
		Template bool   `json:"template,omitempty"`
	}
	lintView struct {
		OK       bool               `json:"ok"`
		Problems []document.Problem `json:"problems"`
	}
	proposalsView struct {
		Proposals []Revision `json:"proposals"`
	}
	draftIn struct {
		YAML      string    `json:"yaml,omitempty"`
		Template  bool      `json:"template,omitempty"`
		Summary   string    `json:"summary"`
		Version   string    `json:"version,omitempty"`
		Effective time.Time `json:"effective,omitzero"`
		Author    string    `json:"author,omitempty"`
	}
	signatureIn struct {
		Signature string `json:"signature"`
	}
	reasonIn struct {
		Reason string `json:"reason,omitempty"`
	}
	keysView struct {
		Keys []Key  `json:"keys"`
		Text string `json:"text,omitempty"`
	}
	keyIn struct {
		Key       string `json:"key"`
		Signature string `json:"signature"`
	}
	exceptionsView struct {
		Exceptions []ExceptionToSign `json:"exceptions"`
		Waived     []Waived          `json:"waived"` // by people of a module, the newest first
	}
	exceptionIn struct {
		Param     string    `json:"param"`
		Value     string    `json:"value"`
		Reason    string    `json:"reason"`
		Until     time.Time `json:"until"`
		Requester string    `json:"requester,omitempty"`
	}
	recordsView struct {
		Records  []Record  `json:"records"`
		Text     string    `json:"text,omitempty"`
		Observed time.Time `json:"observed_at,omitzero"`
		ValidFor string    `json:"valid_for,omitempty"`
	}
	recordIn struct {
		Clause    string    `json:"clause"`
		Statement string    `json:"statement"`
		Observed  time.Time `json:"observed_at,omitzero"`
		ValidFor  string    `json:"valid_for,omitempty"`
		Signature string    `json:"signature"`
	}
)

// ExceptionToSign is an exception with the texts its approvers would sign.
type ExceptionToSign struct {
	Exception
	ToSign []ToSign `json:"to_sign,omitempty"`
}

func (s *Service) mayRead(r *http.Request, who actor.Actor) error {
	return s.access.Allow(r.Context(), who, access.PolicyRead, "")
}

func (s *Service) view(m Moment) PolicyView {
	v := PolicyView{At: m.At, Revision: m.Revision, Owners: m.Policy.Owners, Author: m.Policy.Author, Contact: m.Policy.Contact, Title: m.Policy.Title,
		Values: map[string]any{}, Exceptions: m.Exceptions, Canonical: m.Revision.Body(), YAML: string(document.Print(m.Policy))}
	if v.Exceptions == nil {
		v.Exceptions = []Exception{}
	}
	for c, a := range m.Policy.Params() {
		v.Values[c.Key(a.Name)] = a.Words(m.Values[c.Key(a.Name)])
	}
	return v
}

func (s *Service) getPolicy(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	if ref := r.FormValue("revision"); ref != "" {
		p, err := s.oneProposal(r.Context(), ref)
		if err != nil {
			return err
		}
		doc, err := s.Document(ref)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, s.view(Moment{At: s.now().UTC(), Revision: p.Revision, Policy: doc, Values: doc.Values()}))
	}
	return s.writeAt(w, r.FormValue("at"))
}

func (s *Service) getAt(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	return s.writeAt(w, r.FormValue("time"))
}

func (s *Service) writeAt(w http.ResponseWriter, at string) error {
	t := s.now()
	if at != "" {
		var err error
		if t, err = ParseTime(at); err != nil {
			return err
		}
	}
	m, err := s.At(t)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.view(m))
}

// ParseTime reads a moment as people write it: 2026-03-01T10:00:00Z, with minutes
// only, or a date, which is its first moment in UTC.
func ParseTime(at string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, at); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "time", fault.Public{Problem: "The time could not be read.", Expected: "2026-03-01T10:00Z."})
}

func (s *Service) getLog(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, logView{s.Revisions()})
}

func (s *Service) getDiff(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	from, to := r.FormValue("from"), r.FormValue("to")
	if to == "" {
		to = s.Version()
	}
	if from == "" {
		p, err := s.oneProposal(r.Context(), to)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, diffView{p.Diff.Summary(), p.Diff.NeedsLoosen(), p.Diff})
	}
	d, err := s.Diff(from, to)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, diffView{d.Summary(), d.NeedsLoosen(), d})
}

func (s *Service) postLint(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	in, err := web.ReadJSON[lintIn](r)
	if err != nil {
		return err
	}
	v := lintView{OK: true, Problems: append([]document.Problem{}, s.Lint([]byte(in.YAML))...)}
	for _, p := range v.Problems {
		v.OK = v.OK && p.Severity != document.Error
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

func (s *Service) postDryRun(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[dryRunIn](r)
	if err != nil {
		return err
	}
	d := Draft{Template: in.Template}
	if in.YAML != "" {
		d.YAML = []byte(in.YAML)
	}
	t, err := s.Try(r.Context(), who, d)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, t)
}

func (s *Service) getProposals(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, proposalsView{s.Proposals()})
}

func (s *Service) postProposal(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[draftIn](r)
	if err != nil {
		return err
	}
	d := Draft{Template: in.Template, Summary: in.Summary, Effective: in.Effective, Author: in.Author}
	if in.YAML != "" {
		d.YAML = []byte(in.YAML)
	}
	if in.Version != "" {
		if d.Version, err = document.ParseVersion(in.Version); err != nil {
			return fault.New(fault.Invalid, "version", fault.Public{Problem: "The version could not be read.", Expected: "major.minor such as 1.10."})
		}
	}
	p, err := s.Propose(r.Context(), who, d)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, p)
}

func (s *Service) getProposal(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.mayRead(r, who); err != nil {
		return err
	}
	p, err := s.Proposal(r.Context(), r.PathValue("v"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

func (s *Service) postApprove(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[signatureIn](r)
	if err != nil {
		return err
	}
	p, err := s.Approve(r.Context(), who, r.PathValue("v"), []byte(in.Signature))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

func (s *Service) postReject(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[reasonIn](r)
	if err != nil {
		return err
	}
	v, err := s.Reject(r.Context(), who, r.PathValue("v"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, v)
}

func (s *Service) postWithdraw(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[reasonIn](r)
	if err != nil {
		return err
	}
	v, err := s.Withdraw(r.Context(), who, r.PathValue("v"), in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, v)
}
