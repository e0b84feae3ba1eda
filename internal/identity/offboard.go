package identity

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/web"
)

// A receipt says what an offboarding ended, kind by kind, and after how long nothing of
// a kind was left: in the rows and in the memory of this node (others follow within a
// second). It is an entry of its own, made when that was looked at, so its proof can be
// checked by anybody without this server:
//
//	begin ─► count ─► end all, one change ─► memory ─► count again, by the clock ─► entry ─► bundle

// The ways in which somebody's access ends.
const (
	HowDisabled      = "disabled"
	HowDeprovisioned = "deprovisioned" // by a directory
	HowRemoved       = "removed"       // from one team of several
	HowErased        = "erased"
)

// KindEnded is one kind of access in a receipt.
type KindEnded struct {
	Kind    string  `json:"kind"`
	Ended   int64   `json:"ended"`
	Seconds float64 `json:"seconds_to_zero"`
}

// Receipt says what an offboarding ended. It names nobody: person is a random id.
type Receipt struct {
	Person string      `json:"person"`
	Team   string      `json:"team,omitempty"` // empty = everything, in all teams
	How    string      `json:"how"`
	Kinds  []KindEnded `json:"kinds"`
	Left   []string    `json:"left"`  // kinds of which something was left: none, or something is wrong
	Entry  string      `json:"entry"` // id of the journal's entry; empty when it could not be recorded
	N      int64       `json:"n,omitempty"`
	At     time.Time   `json:"at,omitzero"`
}

// accessKind is a kind of what somebody can act with.
type accessKind struct {
	name, live string // {is} the person, $2 team or ''
	whole      bool   // ends with the person alone, not with one team
}

var accessKinds = []accessKind{
	{"sessions", `SELECT COUNT(*) FROM identity_session WHERE person {is} AND ($2 = '' OR team = $2) AND ended IS NULL`, false},
	{"tokens", `SELECT COUNT(*) FROM identity_token WHERE person {is} AND ($2 = '' OR team = $2) AND ended IS NULL`, false},
	{"browsers", `SELECT COUNT(*) FROM identity_device WHERE person {is} AND $2 = ''`, true},
	{"lent-roles", `SELECT COUNT(*) FROM identity_grant WHERE person {is} AND ($2 = '' OR team = $2) AND ended IS NULL`, false},
	{"consents", `SELECT COUNT(*) FROM identity_oidc_consent WHERE person {is} AND $2 = ''`, true},
	{"applications", `SELECT COUNT(*) FROM identity_oidc_family WHERE person {is} AND $2 = '' AND ended IS NULL`, true},
	{"links", `SELECT COUNT(*) FROM identity_link WHERE person {is} AND $2 = '' AND kind <> 'not-me' AND ended IS NULL`, true}, // that kind only takes away
	{"invitations", `SELECT COUNT(*) FROM identity_invitation WHERE inviter {is} AND ($2 = '' OR team = $2) AND ended IS NULL`, false},
	{"looks", `SELECT COUNT(*) FROM identity_support WHERE (staff {is} OR person {is}) AND $2 = '' AND ended IS NULL`, true},
}

// whoLeft are all who may no longer sign in.
const whoLeft = `IN (SELECT id FROM identity_person WHERE state <> 'active')`

// probeLeavers is access.need-ends: nothing of anybody who left lives.
func (s *Service) probeLeavers(ctx context.Context) (clause.Result, error) {
	all, err := s.count(ctx, countLeavers)
	if err != nil {
		return clause.Result{}, err
	}
	var left int64
	var what []string
	for _, k := range accessKinds {
		n, err := s.count(ctx, strings.NewReplacer("{is}", whoLeft, "$2", "''").Replace(k.live))
		if err != nil {
			return clause.Result{}, err
		}
		if n > 0 {
			left, what = left+n, append(what, k.name)
		}
	}
	says := fmt.Sprintf("of %d people who left, live sessions, tokens, browsers, lent roles, consents, tokens of applications, links, invitations and looks: %d", all, left)
	if left > 0 {
		says += " (" + strings.Join(what, ", ") + ")"
	}
	return judged(left == 0, all, says), nil
}

const countLeavers = `SELECT COUNT(*) FROM identity_person WHERE state <> 'active'`

// offboarding is one on its way.
type offboarding struct {
	person, team, how string
	begun             time.Time
	was               map[string]int64
}

// begin counts what there is, inside the change that ends it.
func (o *offboarding) begin(ctx context.Context, tx *ledger.Tx) (err error) {
	o.was = map[string]int64{}
	for _, k := range accessKinds {
		if o.was[k.name], err = liveOf(ctx, tx, k, o.person, o.team); err != nil {
			return err
		}
	}
	return nil
}

func liveOf(ctx context.Context, from ledger.Reader, k accessKind, person, team string) (n int64, err error) {
	if err := ledger.One(ctx, from, strings.ReplaceAll(k.live, "{is}", "= $1"), []any{&n}, person, team); err != nil {
		return 0, fmt.Errorf("count %s of a person: %w", k.name, err)
	}
	return n, nil
}

// inMemory counts what this node would still take of a kind.
func (s *Service) inMemory(kind, person, team string) (n int64) {
	switch kind {
	case "sessions":
		s.table.mu.RLock()
		defer s.table.mu.RUnlock()
		for _, l := range s.table.byPerson[person] {
			if team == "" || l.team == team {
				n++
			}
		}
	case "tokens":
		s.tokens.mu.RLock()
		defer s.tokens.mu.RUnlock()
		for _, l := range s.tokens.byID {
			if l.person == person && (team == "" || l.team == team) && len(l.roles) > 0 {
				n++
			}
		}
	case "lent-roles":
		s.loans.mu.RLock()
		defer s.loans.mu.RUnlock()
		for m, xs := range s.loans.of {
			if m.person == person && (team == "" || m.team == team) {
				n += int64(len(xs))
			}
		}
	}
	return n
}

// receipt looks at each kind after the change and records what it saw. What was ended has
// ended: that a receipt could not be recorded is no reason to say otherwise.
func (s *Service) receipt(ctx context.Context, who actor.Actor, o offboarding) Receipt {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	out := Receipt{Person: o.person, Team: o.team, How: o.how, Left: []string{}}
	err := s.readLoans(ctx)
	ev := PersonOffboarded{Person: o.person, Team: o.team, How: o.how, Left: []string{}}
	for _, k := range accessKinds {
		if err != nil {
			break
		}
		if k.whole && o.team != "" {
			continue
		}
		var n int64
		n, err = liveOf(ctx, s.DB, k, o.person, o.team)
		took := max(s.Now().Sub(o.begun), 0)
		if n += s.inMemory(k.name, o.person, o.team); n > 0 {
			out.Left = append(out.Left, k.name)
		}
		out.Kinds = append(out.Kinds, KindEnded{Kind: k.name, Ended: max(o.was[k.name]-n, 0), Seconds: took.Seconds()})
		ev.Ended = append(ev.Ended, k.name+"="+strconv.FormatInt(max(o.was[k.name]-n, 0), 10))
		ev.Zero = append(ev.Zero, k.name+"="+strconv.FormatInt(took.Microseconds(), 10))
	}
	ev.Left = out.Left
	if err == nil {
		var rc ledger.Receipt
		if rc, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err == nil {
			out.Entry, out.At = rc.ID, rc.At
		}
	}
	if err != nil {
		s.Log.Error("the receipt of an offboarding could not be recorded; the end itself is", "person", o.person, "err", err)
	}
	return out
}

// Receipts are those of a person, the newest first, with the numbers of their entries.
func (s *Service) Receipts(ctx context.Context, who actor.Actor, person string) ([]Receipt, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return nil, err
	}
	name := PersonOffboarded{}.About().Name
	entries, err := s.Record.List(ctx, journal.Query{Act: name, Object: "person/" + person, Limit: 20})
	if err != nil {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	var out []Receipt
	for _, e := range entries {
		if e.Act == name && e.Object == "person/"+person {
			out = append(out, receiptOf(e))
		}
	}
	return out, nil
}

// receiptOf reads a receipt back from its entry.
func receiptOf(e journal.Entry) Receipt {
	text := func(name string) string {
		v, _ := e.Field(name)
		s, _ := v.(string)
		return s
	}
	list := func(name string) (out []string) {
		v, _ := e.Field(name)
		all, _ := v.([]any)
		for _, x := range all {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	r := Receipt{Person: text("person"), Team: text("team"), How: text("how"), Left: list("left"), Entry: e.ID, N: e.N, At: e.Happened}
	zero := map[string]int64{}
	for _, x := range list("zero") {
		kind, n, _ := strings.Cut(x, "=")
		zero[kind], _ = strconv.ParseInt(n, 10, 64)
	}
	for _, x := range list("ended") {
		kind, n, _ := strings.Cut(x, "=")
		k := KindEnded{Kind: kind, Seconds: (time.Duration(zero[kind]) * time.Microsecond).Seconds()}
		k.Ended, _ = strconv.ParseInt(n, 10, 64)
		r.Kinds = append(r.Kinds, k)
	}
	return r
}

type receiptsOut struct {
	Receipts []Receipt `json:"receipts"`
}

func (s *Service) getReceipts(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.Show(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	rs, err := s.Receipts(r.Context(), who, p.ID)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, receiptsOut{append([]Receipt{}, rs...)})
}
