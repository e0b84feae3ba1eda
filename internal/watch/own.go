package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/watch/sigma"
)

// Own is the part of rules that a company writes itself.
const Own = "own"

// The life of a version of such a rule.
const (
	Draft    = "draft"
	Tested   = "tested" // on what is stored: it is known how often it would have fired
	Approved = "approved"
	Enabled  = "enabled"
	Retired  = "retired"
)

const (
	mostOwn     = 500
	mostVersion = 1000 // of a rule
)

// Version is a version of a rule of one's own.
type Version struct {
	Rule     string // the id in its text
	N        int64
	Text     string
	SHA256   string
	Title    string
	State    string
	Author   string // kind/id
	Made     time.Time
	Tested   time.Time
	Result   *BackTest // nil = none
	Approver string    // kind/id
	Approved time.Time
	Enabled  time.Time
	Retired  time.Time
	Problem  string // it is enabled, and cannot be read
}

// Says is what the rule is about, in a sentence.
func (v *Version) Says() string {
	u, err := readOwn(v.Text)
	if err != nil {
		return "This text is no rule any more: it watches nothing."
	}
	r := u.rule()
	return r.Says + ". Severity " + r.Severity + "."
}

// unit is a file that was read: one rule that fires, with what it rests on.
type unit struct {
	head  *sigma.Rule
	rules []*sigma.Rule
}

// readOwn reads the text of a rule of one's own.
func readOwn(text string) (unit, error) {
	wrong := func(code, problem, want string) (unit, error) {
		return unit{}, bad(code, problem, want)
	}
	rules, errs := sigma.Load("rule", []byte(text), nil)
	if len(errs) > 0 {
		return wrong("text", "The rule is not read: "+errs[0].Error()+".", "A rule of Sigma 2.1.")
	}
	heads, err := sigma.Heads(sigma.Unit{Rules: rules})
	if err != nil {
		return wrong("text", "The rule is not read: "+err.Error()+".", "Correlations over rules of the same file.")
	}
	if len(heads) != 1 {
		return wrong("text", fmt.Sprintf("%d rules of this file fire by themselves.", len(heads)), "One: a rule, or a correlation with the rules that it names.")
	}
	u := unit{head: heads[0], rules: rules}
	if u.head.ID == "" {
		return wrong("text", "The rule has no id.", "A UUID of its own, which stays the same in all its versions: id: 7d3b….")
	}
	var entries, ofRecords bool
	for _, r := range rules {
		if r.Correlation == nil {
			e, a := kindOf(r.Source)
			entries, ofRecords = entries || e, ofRecords || a
		}
	}
	if entries && ofRecords && u.head.Correlation != nil {
		return wrong("text", "The correlation is over entries and over access records at once.", "One of them: name service: access, or another service, in the logsource.")
	}
	return u, nil
}

// rule is what alarms of it say.
func (u *unit) rule() *Rule {
	h := u.head
	r := &Rule{ID: h.ID, Part: Own, Severity: severityOf(h.Level), Clause: alarms, Title: h.Title, Says: firstSentence(h.Description), Next: "See what it fired on."}
	if c := h.Correlation; c != nil && r.Says == "" {
		r.Says = fmt.Sprintf("%s of %s within %s", c.Type, strings.Join(c.Rules, ", "), c.Within)
	}
	if r.Says == "" {
		r.Says = "Events of " + h.Source.String()
	}
	if len(h.Cautions) > 0 {
		r.Next += " It may be harmless: " + strings.Join(h.Cautions, "; ") + "."
	}
	return r
}

func firstSentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i]
	}
	return strings.ToValidUTF8(strings.TrimSuffix(s[:min(len(s), 300)], "."), "")
}

func severityOf(level string) string {
	switch level {
	case "critical", "high":
		return notify.Page
	case "medium":
		return notify.Ticket
	}
	return notify.Notice
}

func ruleThing(id string) string { return "rule/" + id }

// mayRule asks for the right to see or change rules of one's own.
func (s *Service) mayRule(ctx context.Context, who actor.Actor, do access.Action, id string) error {
	return s.Access.Allow(ctx, who, do, ruleThing(id)) //nolint:wrapcheck // a fault for the reader
}

// AddRule keeps a version of a rule as a draft. Warnings are what it asks for in vain.
func (s *Service) AddRule(ctx context.Context, who actor.Actor, text string) (v Version, warns []string, err error) {
	if err := s.mayRule(ctx, who, access.WatchManage, "new"); err != nil {
		return v, nil, err
	}
	u, err := readOwn(text)
	if err != nil {
		return v, nil, err
	}
	v = Version{Rule: u.head.ID, Text: text, SHA256: textHash(text), Title: u.head.Title, State: Draft, Author: who.String()}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var last, all, same int64
		if err := ledger.One(ctx, tx, `SELECT COALESCE(MAX(n), 0), COALESCE(MAX(CASE WHEN sha256 = $2 AND state <> 'retired' THEN n ELSE 0 END), 0) FROM watch_rule_version WHERE rule = $1`, []any{&last, &same}, v.Rule, v.SHA256); err != nil {
			return nil, err
		}
		if err := ledger.One(ctx, tx, `SELECT COUNT(DISTINCT rule) FROM watch_rule_version WHERE state <> 'retired' AND rule <> $1`, []any{&all}, v.Rule); err != nil {
			return nil, err
		}
		switch {
		case same > 0:
			return nil, fault.New(fault.Conflict, "rule_known", fault.Public{Problem: fmt.Sprintf("This text is version %d of the rule already.", same), Next: "Go on with it: writ watch rule list"})
		case last >= mostVersion || all >= mostOwn:
			return nil, fault.New(fault.Limited, "rules_full", fault.Public{Problem: "There are too many rules, or versions of this one.", Expected: fmt.Sprintf("At most %d rules.", mostOwn), Next: "Retire some."})
		}
		v.N, v.Made = last+1, tx.Now()
		if _, err := tx.Exec(ctx, dropWaiting, v.Rule, us(tx.Now())); err != nil { // of versions on their way, the newest counts
			return nil, err
		}
		_, err := tx.Exec(ctx, insertVersion, v.Rule, v.N, text, v.SHA256, v.Title, v.Author, us(v.Made))
		return RuleProposed{Rule: v.Rule, Version: v.N, SHA256: v.SHA256, Title: v.Title}, err
	})
	return v, warnings(u.rules), err //nolint:wrapcheck // the ledger says what failed
}

func textHash(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// refuseRule records that somebody may not do this with a rule, and returns why.
func (s *Service) refuseRule(ctx context.Context, who actor.Actor, id string, n int64, why error, loses ...string) error {
	code, _ := fault.PublicOf(why)
	return s.DB.Refuse(ctx, who, RuleRefused{Rule: id, Version: n, Code: code, Loses: loses}, why) //nolint:wrapcheck // a fault for the reader
}

// ApproveRule says that a version may watch: somebody else than its author does, who has seen
// how often it would have fired.
func (s *Service) ApproveRule(ctx context.Context, who actor.Actor, id string) (Version, error) { // clause: mon.alarms
	return s.moveRule(ctx, who, id, step{may: func(v *Version) (string, error) { return Tested, approvable(who, v) }, do: func(ctx context.Context, tx *ledger.Tx, v *Version) (ledger.Event, error) {
		v.State, v.Approver, v.Approved = Approved, who.String(), tx.Now()
		_, err := tx.Exec(ctx, `UPDATE watch_rule_version SET state = 'approved', approver = $3, approved = $4 WHERE rule = $1 AND n = $2`, v.Rule, v.N, v.Approver, us(tx.Now()))
		return RuleApproved{Rule: v.Rule, Version: v.N, SHA256: v.SHA256, Fires: v.Result.Fires}, err
	}})
}

func approvable(who actor.Actor, v *Version) error {
	switch {
	case who.Kind != actor.Person:
		return fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A rule is approved by a person.", Next: "Sign in: --as EMAIL, or in the console."})
	case who.String() == v.Author:
		return fault.New(fault.Denied, "own_rule", fault.Public{Problem: "You wrote this version yourself.", Expected: "A second person approves it.", Next: "Ask an engineer or an owner."})
	case v.State == Draft:
		return notTested()
	}
	return nil
}

func notTested() error {
	return fault.New(fault.Conflict, "rule_untested", fault.Public{Problem: "It is not known how often this version would have fired.", Expected: "A back-test on what is stored.", Next: "Do: writ watch rule test ID --since 30d"})
}

// EnableRule lets an approved version watch from now on, in place of the one before: unless an
// incident that was seen would not be any more, or it cries wolf.
func (s *Service) EnableRule(ctx context.Context, who actor.Actor, id string) (Version, error) { // clause: mon.alarms
	return s.moveRule(ctx, who, id, step{text: func(v *Version) string { return v.Text }, may: func(v *Version) (string, error) { return Approved, enableable(v, s.Now()) }, do: func(ctx context.Context, tx *ledger.Tx, v *Version) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, `UPDATE watch_rule_version SET state = 'retired', retired = $2 WHERE rule = $1 AND state = 'enabled'`, v.Rule, us(tx.Now())); err != nil {
			return nil, err
		}
		v.State, v.Enabled = Enabled, tx.Now()
		_, err := tx.Exec(ctx, `UPDATE watch_rule_version SET state = 'enabled', enabled = $3 WHERE rule = $1 AND n = $2`, v.Rule, v.N, us(tx.Now()))
		return RuleEnabled{Rule: v.Rule, Version: v.N, SHA256: v.SHA256}, err
	}})
}

func enableable(v *Version, now time.Time) error {
	if _, err := readOwn(v.Text); err != nil {
		return err
	}
	switch v.State {
	case Draft:
		return notTested()
	case Tested:
		return fault.New(fault.Conflict, "rule_unapproved", fault.Public{Problem: "Nobody has approved this version.", Expected: "A second person approves it.", Next: "Do: writ watch rule approve ID --as EMAIL"})
	}
	return precise(v, now)
}

// RetireRule ends a rule, with all versions of it: unless an incident that it sees would be seen by
// none.
func (s *Service) RetireRule(ctx context.Context, who actor.Actor, id, reason string) (Version, error) {
	if l := len(strings.TrimSpace(reason)); l < leastReason || len(reason) > mostNote {
		if err := s.mayRule(ctx, who, access.WatchManage, id); err != nil {
			return Version{}, err
		}
		return Version{}, bad("reason", "The end of a rule has a reason.", "10 to 500 bytes: why nobody need know of this any more.")
	}
	return s.moveRule(ctx, who, id, step{text: func(*Version) string { return "" }, may: func(v *Version) (string, error) { return v.State, nil }, do: func(ctx context.Context, tx *ledger.Tx, v *Version) (ledger.Event, error) {
		v.State, v.Retired = Retired, tx.Now()
		_, err := tx.Exec(ctx, `UPDATE watch_rule_version SET state = 'retired', retired = $2 WHERE rule = $1 AND state <> 'retired'`, v.Rule, us(tx.Now()))
		return RuleRetired{Rule: v.Rule, Version: v.N, reason: reason}, err
	}})
}

// step is one in the life of a rule.
type step struct {
	may  func(*Version) (state string, err error) // the state it must be in
	text func(*Version) string                    // that watches afterwards, "" = none; nil = what watches stays
	do   func(context.Context, *ledger.Tx, *Version) (ledger.Event, error)
}

// moveRule takes the version that is on its way, or else the enabled one, a step further. What is
// refused is recorded.
func (s *Service) moveRule(ctx context.Context, who actor.Actor, id string, st step) (v Version, err error) {
	id = strings.ToLower(id)
	if err := s.mayRule(ctx, who, access.WatchManage, id); err != nil {
		return v, err
	}
	if v, err = s.nextVersion(ctx, s.DB, id); err != nil {
		return v, err
	}
	if _, err := st.may(&v); err != nil {
		return v, s.refuseRule(ctx, who, id, v.N, err)
	}
	var h against
	if st.text != nil {
		if h, err = s.holdText(ctx, id, st.text(&v)); err != nil {
			return v, err
		}
		if err := unseen(h); err != nil {
			return v, s.refuseRule(ctx, who, id, v.N, err, h.loses...)
		}
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if v, err = s.nextVersion(ctx, tx, id); err != nil {
			return nil, err
		}
		want, err := st.may(&v)
		if err != nil {
			return nil, err
		}
		if v.State != want {
			return nil, fault.New(fault.Conflict, "rule_state", fault.Public{Problem: "Version " + fmt.Sprint(v.N) + " of the rule is " + v.State + " already.", Next: "Look at: writ watch rule list"})
		}
		if st.text != nil {
			if err := s.still(ctx, tx, h); err != nil {
				return nil, err
			}
		}
		return st.do(ctx, tx, &v)
	})
	return v, err //nolint:wrapcheck // the ledger says what failed
}

func (s *Service) holdText(ctx context.Context, id, text string) (against, error) {
	if text == "" {
		return s.hold(ctx, id, nil)
	}
	u, err := readOwn(text)
	if err != nil {
		return against{}, err
	}
	return s.hold(ctx, id, &u)
}

// nextVersion is the version of a rule that is not retired, the newest of two.
func (s *Service) nextVersion(ctx context.Context, r ledger.Reader, id string) (Version, error) {
	vs, err := s.versions(ctx, r, `SELECT `+versionColumns+` FROM watch_rule_version WHERE rule = $1 AND state <> 'retired' ORDER BY n DESC LIMIT 1`, id)
	if err == nil && len(vs) == 0 {
		err = fault.New(fault.NotFound, "rule_unknown", fault.Public{Problem: "There is no such rule of your own, or it is retired.", Next: "Look at: writ watch rule list"})
	}
	if err != nil {
		return Version{}, err
	}
	return vs[0], nil
}

// OwnRules lists the versions that are not over, and of each other rule the last one.
func (s *Service) OwnRules(ctx context.Context, who actor.Actor) ([]Version, error) {
	if err := s.mayRule(ctx, who, access.WatchRead, ""); err != nil {
		return nil, err
	}
	return s.versions(ctx, s.DB, `SELECT `+versionColumns+` FROM watch_rule_version v WHERE state <> 'retired' OR n = (SELECT MAX(n) FROM watch_rule_version w WHERE w.rule = v.rule)
		ORDER BY CASE state WHEN 'retired' THEN 1 ELSE 0 END, title, rule, n DESC LIMIT 1000`)
}

// OwnRule lists the versions of one rule, the newest first.
func (s *Service) OwnRule(ctx context.Context, who actor.Actor, id string) ([]Version, error) {
	id = strings.ToLower(id)
	if err := s.mayRule(ctx, who, access.WatchRead, id); err != nil {
		return nil, err
	}
	vs, err := s.versions(ctx, s.DB, `SELECT `+versionColumns+` FROM watch_rule_version WHERE rule = $1 ORDER BY n DESC LIMIT 100`, id)
	if err == nil && len(vs) == 0 {
		err = fault.New(fault.NotFound, "rule_unknown", fault.Public{Problem: "There is no such rule of your own.", Next: "Look at: writ watch rule list"})
	}
	return vs, err
}

func (s *Service) versions(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Version, err error) {
	broken := s.own.problems()
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var v Version
		var result string
		var made, tested, approved, enabled, retired int64
		if err := scan(&v.Rule, &v.N, &v.Text, &v.SHA256, &v.Title, &v.State, &v.Author, &made, &tested, &result, &v.Approver, &approved, &enabled, &retired); err != nil {
			return err
		}
		v.Made, v.Tested, v.Approved, v.Enabled, v.Retired = at(made), at(tested), at(approved), at(enabled), at(retired)
		if result != "" {
			v.Result = &BackTest{}
			if err := json.Unmarshal([]byte(result), v.Result); err != nil {
				return errors.New("read a rule: the result of its back-test is something else")
			}
		}
		if v.State == Enabled {
			v.Problem = broken[v.Rule]
		}
		out = append(out, v)
		return nil
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

const (
	versionColumns = `rule, n, text, sha256, title, state, author, made, tested, result, approver, approved, enabled, retired`
	insertVersion  = `INSERT INTO watch_rule_version (` + versionColumns + `) VALUES ($1, $2, $3, $4, $5, 'draft', $6, $7, 0, '', '', 0, 0, 0)`
	dropWaiting    = `UPDATE watch_rule_version SET state = 'retired', retired = $2 WHERE rule = $1 AND state IN ('draft', 'tested', 'approved')`
)
