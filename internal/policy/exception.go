package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/policy/document"
	"writ/internal/sshsig"
)

// The states of an exception. That it is over follows from its end.
const (
	ExceptionOpen    = "requested"
	ExceptionHeld    = "approved"
	ExceptionRefused = "refused"
	ExceptionRevoked = "revoked"
	ExceptionOver    = "over"
)

// Exception is a deviation of one parameter that ends by itself.
type Exception struct {
	ID          string         `json:"id"`
	Param       string         `json:"param"` // clause/param
	Value       string         `json:"value"` // as a policy file spells it
	Scope       string         `json:"scope"` // all
	Reason      string         `json:"reason"`
	State       string         `json:"state"`
	Requester   string         `json:"requester"`
	RequestedBy string         `json:"requested_by,omitempty"` // the requester, or who asked in their name: operator/uid-0
	Confirmed   string         `json:"confirmation,omitempty"` // the requester's signature, where somebody else asked
	Requested   time.Time      `json:"requested"`
	Until       time.Time      `json:"until"`
	Starts      time.Time      `json:"starts,omitzero"`
	Ends        time.Time      `json:"ends,omitzero"` // until, or when it was revoked
	Approver    string         `json:"approver,omitempty"`
	Signature   string         `json:"signature,omitempty"`
	PublicKey   string         `json:"public_key,omitempty"`
	Fingerprint string         `json:"fingerprint,omitempty"`
	Entry       string         `json:"entry"`
	Level       document.Level `json:"level,omitempty"` // against the revision in force; set by Exceptions and At

	flaw string // why its approval does not hold; set when it is read
}

// Clause is the clause it deviates from.
func (e *Exception) Clause() string { id, _, _ := strings.Cut(e.Param, "/"); return id }

// Live reports whether it holds at t.
func (e *Exception) Live(t time.Time) bool { return e.live(t) }

func (e *Exception) live(t time.Time) bool {
	return e.flaw == "" && !e.Starts.IsZero() && !t.Before(e.Starts) && t.Before(e.Ends) // clause: gov.exceptions
}

// appraise says what is wrong with an approved exception's approval; such a one was
// changed outside of Writ and does not hold.
func (b *book) appraise(e *Exception) string { // clause: gov.exceptions
	if e.Starts.IsZero() || len(b.chain) == 0 {
		return ""
	}
	key, err := sshsig.Verify([]byte(e.Signature), Namespace, e.Text(b.chain[0].Policy, e.Approver))
	switch {
	case e.Approver == e.Requester:
		return fmt.Sprintf("%s asked for the exception from %s and approved it", e.Approver, e.Param)
	case e.Ends.After(e.Until):
		return fmt.Sprintf("the exception from %s ends later than was signed", e.Param)
	case err != nil || key.Fingerprint() != e.Fingerprint:
		return fmt.Sprintf("the signature under the exception from %s does not verify", e.Param)
	case e.inName() && !b.confirmed(e):
		return fmt.Sprintf("%s asked for the exception from %s in the name of %s, who has not signed it", e.RequestedBy, e.Param, e.Requester)
	case !slices.ContainsFunc(b.keys, func(k Key) bool { return k.Fingerprint == e.Fingerprint && k.Handle == e.Approver }):
		return fmt.Sprintf("the exception from %s is signed by a key that is not registered for %s", e.Param, e.Approver)
	}
	return ""
}

// confirmed verifies the requester's own signature.
func (b *book) confirmed(e *Exception) bool {
	key, err := sshsig.Verify([]byte(e.Confirmed), Namespace, e.Text(b.chain[0].Policy, e.Requester))
	return err == nil && slices.ContainsFunc(b.keys, func(k Key) bool { return k.Fingerprint == key.Fingerprint() && k.Handle == e.Requester })
}

// Text is exactly what approver signs for it.
func (e *Exception) Text(policyID, approver string) []byte {
	return signedText("writ/exception/v1\n", map[string]any{
		"policy": policyID, "exception": e.ID, "param": e.Param, "value": e.Value, "scope": e.Scope, "reason": e.Reason,
		"requester": e.Requester, "until": date(e.Until), "approver": approver,
	})
}

// ExceptionRequest is what somebody asks for.
type ExceptionRequest struct {
	Param     string    // clause/param
	Value     string    // as a policy file spells it; list members separated by commas or lines
	Reason    string    // required; public to staff
	Until     time.Time // its end, whole seconds
	Requester string    // for the operator; a person asks in their own name
}

// protected are the clauses no exception can be written for: with one, approval or
// evidence could be switched off by less than a revision.
var protected = []string{"gov.sod", "gov.owners", "gov.approver-is-owner", "gov.revision-history", "gov.exceptions", "gov.signed-dated", "log.tamper-evident"}

// RequestException stores a request for an owner to sign.
func (s *Service) RequestException(ctx context.Context, who actor.Actor, in ExceptionRequest) (Exception, error) {
	if err := s.access.Allow(ctx, who, access.ExceptionRequest, ""); err != nil {
		return Exception{}, err
	}
	own, err := s.handleOf(ctx, who)
	if err != nil {
		return Exception{}, err
	}
	by := who.String()
	switch {
	case own != "":
		in.Requester, by = own, own
	case who.Kind != actor.Operator:
		return Exception{}, notAPerson()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok, err := s.active(ctx, in.Requester); err != nil || !ok {
		return Exception{}, errors.Join(err, fault.New(fault.Invalid, "requester", fault.Public{Problem: "It is not said who asks, or they are not active.", Next: "Name the person who asks."}))
	}
	e := Exception{ID: s.db.ID(), Param: in.Param, Value: strings.TrimSpace(in.Value), Scope: "all", Reason: norm.NFC.String(strings.TrimSpace(in.Reason)),
		State: ExceptionOpen, Requester: in.Requester, RequestedBy: by, Requested: s.now().UTC().Truncate(time.Microsecond), Until: in.Until.UTC().Truncate(time.Second)}
	if f := s.exceptable(&e); f != nil {
		return Exception{}, s.refuse(ctx, who, "request-exception", "", "gov.exceptions", f)
	}
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		e.Entry = tx.Entry()
		_, err := tx.Exec(ctx, addException, e.ID, e.Clause(), e.Param, e.Value, e.Scope, e.Reason, e.State, e.Requester, e.RequestedBy, micros(e.Requested), micros(e.Until), e.Entry)
		return ExceptionRequested{Param: e.Param, Value: e.Value, Requester: e.Requester, RequestedBy: e.RequestedBy, Until: e.Until, id: e.ID, why: e.Reason}, err
	})
	if err != nil {
		return Exception{}, fmt.Errorf("request exception: %w", err)
	}
	return e, s.reload(ctx)
}

// exceptable says why an exception cannot be. It normalises the value's spelling.
func (s *Service) exceptable(e *Exception) *fault.Error {
	no := func(code, problem, next string, a ...any) *fault.Error {
		return fault.New(fault.Invalid, code, fault.Public{Problem: fmt.Sprintf(problem, a...), Next: next})
	}
	now := s.now()
	b := s.state()
	p, err := s.document(b.at(now))
	if err != nil {
		return fault.Wrap(fault.Internal, "revision", err)
	}
	c, ok := p.Clause(e.Clause())
	if !ok {
		return no("no_param", "The policy has no clause %s.", "See writ policy show.", printable(e.Clause()))
	}
	a, ok := p.Param(e.Param)
	most := s.rules.Get().ExceptionMax
	switch {
	case !ok:
		return no("no_param", "The policy has no parameter %s.", "See writ policy show.", printable(e.Param))
	case c.NoExcept || slices.Contains(protected, c.ID):
		return no("never", "No exception can be made from %s.", "Propose a revision.", c.ID)
	case e.Reason == "" || len(e.Reason) > 1000:
		return no("reason", "A reason of at most 1,000 bytes is needed.", "Say why, and what is done about it.")
	case !e.Until.After(now):
		return no("until", "It would end in the past.", "State a later end.")
	case e.Until.Sub(now) > most:
		return no("until", "It would last longer than %s.", "State an end within that time; what is needed longer is a revision.", days(most))
	}
	q, ps := document.Apply(p, map[string]document.Literal{e.Param: document.ParseLiteral(a.Type, e.Value)})
	if len(ps) > 0 {
		return no("value", "%s.", "Ask for a value within the parameter's range.", ps[0].String())
	}
	given, _ := q.Param(e.Param)
	if document.CompareValues(a, a.Value, given.Value) == document.Same {
		return no("value", "That is the value in force.", "")
	}
	for _, o := range b.exceptions {
		if o.ID != e.ID && o.Param == e.Param && (o.State == ExceptionHeld && now.Before(o.Ends) || o.State == ExceptionOpen && now.Before(o.Until)) {
			return no("overlap", "There is an exception for %s already.", "Revoke it first.", e.Param)
		}
	}
	e.Value = given.Literal.String()
	trial := *b
	asked := *e
	asked.Starts, asked.Ends = now, e.Until
	trial.exceptions = append(slices.Clone(b.exceptions), asked)
	periods, _, err := s.timeline(&trial, now)
	if err == nil {
		var held []clause.Period
		if held, _, err = s.timeline(b, now); err == nil {
			err = s.spoils(periods, held)
		}
	}
	if err != nil {
		return unbindable(err)
	}
	return nil
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", int(d/(24*time.Hour))) }

// inName reports whether somebody else asked in the requester's name: then the
// requester signs before an owner can, so that nobody approves what they asked for.
func (e *Exception) inName() bool { return e.RequestedBy != "" && e.RequestedBy != e.Requester }

// ApproveException takes an owner's signature over the exception's text; not of
// whoever asked. It holds at once. What the operator asked for in somebody's name takes
// that person's signature first.
func (s *Service) ApproveException(ctx context.Context, who actor.Actor, id string, signature []byte) (Exception, error) {
	if err := s.access.Allow(ctx, who, access.PolicyRead, ""); err != nil {
		return Exception{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.state()
	e, err := b.exception(id)
	if err != nil {
		return Exception{}, err
	}
	k, f := s.mayApprove(ctx, b, e, signature)
	if f != nil {
		return Exception{}, s.refuse(ctx, who, "approve-exception", "exception/"+id, "gov.exceptions", f)
	}
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if k.Handle == e.Requester {
			n, err := tx.Exec(ctx, confirmException, string(signature), id)
			if err != nil || n != 1 {
				return nil, errors.Join(err, moved(n))
			}
			return ExceptionConfirmed{Param: e.Param, Value: e.Value, Requester: e.Requester, Fingerprint: k.Fingerprint, Signature: string(signature), id: id}, nil
		}
		n, err := tx.Exec(ctx, holdException, micros(tx.Now()), micros(e.Until), k.Handle, string(signature), k.PublicKey, k.Fingerprint, id)
		if err != nil || n != 1 {
			return nil, errors.Join(err, moved(n))
		}
		return ExceptionApproved{Param: e.Param, Value: e.Value, Requester: e.Requester, Approver: k.Handle, Until: e.Until,
			Fingerprint: k.Fingerprint, Signature: string(signature), id: id}, nil
	})
	if err != nil {
		return Exception{}, fmt.Errorf("approve exception: %w", err)
	}
	if err := s.reload(ctx); err != nil {
		return Exception{}, err
	}
	got, err := s.state().exception(id)
	if err != nil {
		return Exception{}, err
	}
	return *got, nil
}

func (s *Service) mayApprove(ctx context.Context, b *book, e *Exception, signature []byte) (Key, *fault.Error) {
	if e.State != ExceptionOpen {
		return Key{}, fault.New(fault.Gone, "closed", fault.Public{Problem: "The exception is " + e.State + " already."})
	}
	now := s.now()
	r := b.at(now)
	k, f := s.signer(b, signature, func(handle string) []byte { return e.Text(r.Policy, handle) })
	if f != nil {
		return k, f
	}
	p, err := s.document(r)
	if err != nil {
		return k, fault.Wrap(fault.Internal, "revision", err)
	}
	id, ok, err := s.active(ctx, k.Handle)
	switch {
	case err != nil:
		return k, fault.Wrap(fault.Unavailable, "people", err)
	case k.Handle == e.Requester && e.inName() && e.Confirmed == "" && ok && id == k.Person:
		return k, nil
	case !slices.Contains(p.Owners, k.Handle) || !ok || id != k.Person:
		return k, fault.New(fault.Denied, "not_owner", fault.Public{Problem: k.Handle + " is no active owner of the policy.", Next: "An owner must sign."})
	case k.Handle == e.Requester: // clause: gov.exceptions
		return k, fault.New(fault.Denied, "self_approval", fault.Public{Problem: "Who asks for an exception cannot approve it.", Next: "Another owner must sign."})
	case e.inName() && e.Confirmed == "": // clause: gov.exceptions
		return k, fault.New(fault.Denied, "not_confirmed", fault.Public{Problem: "The operator asked for this in the name of " + e.Requester + ", who has not signed it.", Next: e.Requester + " must sign first."})
	}
	trial := *e
	return k, s.exceptable(&trial)
}

// RevokeException ends an exception now, or closes a request.
func (s *Service) RevokeException(ctx context.Context, who actor.Actor, id, reason string) (Exception, error) {
	if err := s.access.Allow(ctx, who, access.ExceptionRevoke, ""); err != nil {
		return Exception{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.state().exception(id)
	if err != nil {
		return Exception{}, err
	}
	if len(reason) > 1000 {
		return Exception{}, fault.New(fault.Invalid, "reason", fault.Public{Problem: "A reason of at most 1,000 bytes is needed."})
	}
	to, act := ExceptionRevoked, revokeException
	if e.State == ExceptionOpen {
		to, act = ExceptionRefused, refuseException
	}
	_, err = s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, act, micros(tx.Now()), id)
		if err != nil || n != 1 {
			return nil, errors.Join(err, moved(n))
		}
		return ExceptionEnded{Param: e.Param, id: id, state: to, why: reason}, nil
	})
	if err != nil {
		return Exception{}, fmt.Errorf("revoke exception: %w", err)
	}
	if err := s.reload(ctx); err != nil {
		return Exception{}, err
	}
	got, err := s.state().exception(id)
	if err != nil {
		return Exception{}, err
	}
	return *got, nil
}

// Exceptions lists all, oldest first, with the state that the time makes of them.
func (s *Service) Exceptions() []Exception {
	b := s.state()
	now := s.now()
	out := slices.Clone(b.exceptions)
	for i := range out {
		e := &out[i]
		e.Level = s.level(b, e, now)
		if e.State == ExceptionHeld && !now.Before(e.Ends) || e.State == ExceptionOpen && !now.Before(e.Until) {
			e.State = ExceptionOver
		}
	}
	return out
}

// level is what the exception does to the promise of the revision in force.
func (s *Service) level(b *book, e *Exception, t time.Time) document.Level {
	p, err := s.document(b.at(t))
	if err != nil {
		return document.Incomparable
	}
	a, ok := p.Param(e.Param)
	if !ok {
		return document.Same
	}
	q, ps := document.Apply(p, map[string]document.Literal{e.Param: document.ParseLiteral(a.Type, e.Value)})
	if len(ps) > 0 {
		return document.Same // it has no room, so it does not hold
	}
	given, _ := q.Param(e.Param)
	return document.CompareValues(a, a.Value, given.Value)
}

func (b *book) exception(id string) (*Exception, error) {
	i := slices.IndexFunc(b.exceptions, func(e Exception) bool { return e.ID == id })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "no_exception", fault.Public{Problem: "There is no exception " + printable(id) + "."})
	}
	return &b.exceptions[i], nil
}

func (s *Service) readExceptions(ctx context.Context) ([]Exception, error) {
	var out []Exception
	err := s.db.Each(ctx, selectExceptions, func(scan ledger.Scan) error {
		var e Exception
		var requested, until, starts, ends int64
		err := scan(&e.ID, &e.Param, &e.Value, &e.Scope, &e.Reason, &e.State, &e.Requester, &e.RequestedBy, &e.Confirmed, &requested, &until, &starts, &ends,
			&e.Approver, &e.Signature, &e.PublicKey, &e.Fingerprint, &e.Entry)
		e.Requested, e.Until, e.Starts, e.Ends = fromMicros(requested), fromMicros(until), fromMicros(starts), fromMicros(ends)
		out = append(out, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	return out, nil
}

const (
	selectExceptions = `SELECT id, param, value, scope, reason, state, requester, requested_by, confirmation, requested, until, starts, ends,
		approver, signature, public_key, fingerprint, entry FROM policy_exception ORDER BY id`
	addException = `INSERT INTO policy_exception (id, clause, param, value, scope, reason, state, requester, requested_by, requested, until, starts, ends,
		approver, signature, public_key, fingerprint, entry) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, '', '', '', '', $12)`
	confirmException = `UPDATE policy_exception SET confirmation = $1 WHERE id = $2 AND state = 'requested' AND confirmation = ''`
	holdException    = `UPDATE policy_exception SET state = 'approved', starts = $1, ends = $2, approver = $3, signature = $4, public_key = $5, fingerprint = $6
		WHERE id = $7 AND state = 'requested'`
	revokeException = `UPDATE policy_exception SET state = 'revoked', ends = $1 WHERE id = $2 AND state = 'approved' AND ends > $1`
	refuseException = `UPDATE policy_exception SET state = 'refused', ends = $1 WHERE id = $2 AND state = 'requested'`
)
