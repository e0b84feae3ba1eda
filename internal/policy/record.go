package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/policy/document"
)

// Record is a signed, dated statement about a clause. It is never edited: a newer one
// supersedes it.
type Record struct {
	ID          string    `json:"id"`
	Clause      string    `json:"clause"`
	Form        string    `json:"form"`
	Statement   string    `json:"statement"` // public
	Observed    time.Time `json:"observed_at"`
	ValidUntil  time.Time `json:"valid_until"`
	Signer      string    `json:"signer"`
	Signature   string    `json:"signature"`
	PublicKey   string    `json:"public_key"`
	Fingerprint string    `json:"fingerprint"`
	Signed      time.Time `json:"signed"`
	Entry       string    `json:"entry"`
}

// Statement is what somebody attests.
type Statement struct {
	Clause    string
	Statement string        // what was seen or done, at most 2,000 characters, public
	Observed  time.Time     // when it was so; zero: now. Whole seconds
	ValidFor  time.Duration // zero: as long as the policy lets it; whole seconds
	Signer    string        // handle, for Text; found from the signature otherwise
}

// recordLife is how long a record lasts where the policy does not say.
const recordLife = 365 * 24 * time.Hour

// text is exactly what the signer signs.
func (r *Record) text(policyID, signer string) []byte {
	return signedText("writ/record/v1\n", map[string]any{
		"policy": policyID, "clause": r.Clause, "form": r.Form, "statement": r.Statement,
		"observed_at": date(r.Observed), "valid_until": date(r.ValidUntil), "signer": signer,
	})
}

// RecordText is the text that the acting person (or st.Signer) signs for st, and st with
// what was left out filled in: send that back with the signature.
func (s *Service) RecordText(ctx context.Context, who actor.Actor, st Statement) (string, Statement, error) {
	if err := s.access.Allow(ctx, who, access.PolicyRead, ""); err != nil {
		return "", st, err
	}
	own, err := s.handleOf(ctx, who)
	if err != nil {
		return "", st, err
	}
	if st.Signer == "" {
		st.Signer = own
	}
	r, f := s.record(st)
	if f != nil {
		return "", st, f
	}
	st.Statement, st.Observed, st.ValidFor = r.Statement, r.Observed, r.ValidUntil.Sub(r.Observed)
	return string(r.text(s.state().at(s.now()).Policy, st.Signer)), st, nil
}

// record judges a statement.
func (s *Service) record(st Statement) (*Record, *fault.Error) {
	now := s.now().UTC()
	no := func(code, problem, next string, a ...any) *fault.Error {
		return fault.New(fault.Invalid, code, fault.Public{Problem: fmt.Sprintf(problem, a...), Next: next})
	}
	p, err := s.document(s.state().at(now))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "revision", err)
	}
	c, ok := p.Clause(st.Clause)
	if !ok {
		return nil, no("no_clause", "The policy has no clause %s.", "See writ policy show.", printable(st.Clause))
	}
	most, form := recordLife, "statement"
	if c.Record != nil {
		form = c.Record.Form
		if d, err := document.ParseDuration(c.Record.ValidFor.Text); err == nil {
			most = d
		}
	}
	r := &Record{Clause: c.ID, Form: form, Statement: norm.NFC.String(strings.TrimSpace(st.Statement)), Observed: st.Observed.UTC().Truncate(time.Second)}
	if st.Observed.IsZero() {
		r.Observed = now.Truncate(time.Second)
	}
	if st.ValidFor == 0 {
		st.ValidFor = most
	}
	r.ValidUntil = r.Observed.Add(st.ValidFor.Truncate(time.Second))
	hidden := func(c rune) bool {
		return c < ' ' && c != '\n' || c == 0x7f || c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069 || c == 0x200B || c == 0xFEFF
	}
	switch n := utf8.RuneCountInString(r.Statement); {
	case n < 1 || n > 2000 || !utf8.ValidString(r.Statement) || strings.ContainsFunc(r.Statement, hidden):
		return nil, no("statement", "A statement has 1 to 2,000 characters that everyone sees.", "Say what was seen or done.")
	case r.Observed.After(now):
		return nil, no("observed_at", "It was observed in the future.", "State when it was so.")
	case st.ValidFor < 0 || st.ValidFor > most:
		return nil, no("valid_for", "A record of this clause lasts at most %s.", "Ask for less.", days(most))
	case !r.ValidUntil.After(now):
		return nil, no("valid_for", "It would be expired already.", "Attest something newer.")
	}
	return r, nil
}

// Attest stores a record with its signature over RecordText. The signer must be active
// and have a registered key.
func (s *Service) Attest(ctx context.Context, who actor.Actor, st Statement, signature []byte) (Record, error) {
	if err := s.access.Allow(ctx, who, access.PolicyRead, ""); err != nil {
		return Record{}, err
	}
	r, f := s.record(st)
	if f != nil {
		return Record{}, f
	}
	b := s.state()
	now := s.now()
	k, f := s.signer(b, signature, func(handle string) []byte { return r.text(b.at(now).Policy, handle) })
	if f == nil {
		f = s.mayAttest(ctx, b, r, k)
	}
	if f != nil {
		return Record{}, s.refuse(ctx, who, "attest", "clause/"+r.Clause, r.Clause, f)
	}
	r.ID, r.Signer, r.PublicKey, r.Fingerprint, r.Signature = s.db.ID(), k.Handle, k.PublicKey, k.Fingerprint, string(signature)
	receipt, err := s.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		r.Entry = tx.Entry()
		_, err := tx.Exec(ctx, addRecord, r.ID, r.Clause, r.Form, r.Statement, micros(r.Observed), micros(r.ValidUntil), r.Signer, r.Signature,
			r.PublicKey, r.Fingerprint, micros(tx.Now()), r.Entry)
		return RecordSigned{Clause: r.Clause, Form: r.Form, Statement: r.Statement, Observed: r.Observed, ValidUntil: r.ValidUntil,
			Signer: r.Signer, Fingerprint: r.Fingerprint, Signature: r.Signature, id: r.ID}, err
	})
	if err != nil {
		return Record{}, fmt.Errorf("attest %s: %w", r.Clause, err)
	}
	r.Signed = receipt.At
	return *r, nil
}

// mayAttest applies the clause's own words about who signs. Of the roles only owner is
// known here; the words for the others are shown to who signs.
func (s *Service) mayAttest(ctx context.Context, b *book, r *Record, k Key) *fault.Error {
	id, ok, err := s.active(ctx, k.Handle)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "people", err)
	}
	no := func(code, problem string) *fault.Error {
		return fault.New(fault.Denied, code, fault.Public{Problem: problem, Next: "Somebody else must sign."})
	}
	if !ok || id != k.Person {
		return no("not_active", k.Handle+" is not active.")
	}
	p, err := s.document(b.at(s.now()))
	if err != nil {
		return fault.Wrap(fault.Internal, "revision", err)
	}
	c, _ := p.Clause(r.Clause)
	if c == nil || c.Record == nil {
		return nil
	}
	if c.Record.SignedBy == "owner" && !slices.Contains(p.Owners, k.Handle) {
		return no("not_owner", "A record of this clause is signed by an owner.")
	}
	if slices.Contains(c.Record.Not, "author") && k.Handle == p.Author {
		return no("author", "The author does not sign a record of this clause.")
	}
	return nil
}

// Records lists the records of a clause, or all with "", newest first, at most 500.
func (s *Service) Records(ctx context.Context, clauseID string) ([]Record, error) {
	out := []Record{}
	err := s.db.Each(ctx, selectRecords, func(scan ledger.Scan) error {
		r, err := scanRecord(scan)
		out = append(out, r)
		return err
	}, clauseID)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return out, nil
}

// Newest gives the record that stands for each clause at t, expired or not.
func (s *Service) Newest(ctx context.Context, t time.Time) (map[string]Record, error) {
	out := map[string]Record{}
	err := s.db.Each(ctx, newestRecords, func(scan ledger.Scan) error {
		r, err := scanRecord(scan)
		if err == nil {
			out[r.Clause] = r
		}
		return err
	}, micros(t))
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return out, nil
}

// Genuine checks the signature of a stored record again.
func (s *Service) Genuine(r Record) error {
	b := s.state()
	mine := slices.DeleteFunc(everLive(b.keys), func(k Key) bool { return k.Fingerprint != r.Fingerprint })
	k, f := s.signer(&book{keys: mine}, []byte(r.Signature), func(handle string) []byte { return r.text(b.at(s.now()).Policy, handle) })
	switch {
	case f != nil:
		return fmt.Errorf("record of %s: %w", r.Clause, f)
	case k.Handle != r.Signer:
		return errors.New("record of " + r.Clause + ": somebody else signed it")
	}
	return nil
}

// everLive makes revoked keys count: what they signed before stays signed.
func everLive(keys []Key) []Key {
	out := slices.Clone(keys)
	for i := range out {
		out[i].Revoked = time.Time{}
	}
	return out
}

func scanRecord(scan ledger.Scan) (Record, error) {
	var r Record
	var observed, until, signed int64
	err := scan(&r.ID, &r.Clause, &r.Form, &r.Statement, &observed, &until, &r.Signer, &r.Signature, &r.PublicKey, &r.Fingerprint, &signed, &r.Entry)
	r.Observed, r.ValidUntil, r.Signed = fromMicros(observed), fromMicros(until), fromMicros(signed)
	return r, err
}

const (
	recordColumns = `id, clause, form, statement, observed, valid_until, signer, signature, public_key, fingerprint, signed, entry`
	addRecord     = `INSERT INTO policy_record (` + recordColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	selectRecords = `SELECT ` + recordColumns + ` FROM policy_record WHERE $1 = '' OR clause = $1 ORDER BY id DESC LIMIT 500`
	newestRecords = `SELECT ` + recordColumns + ` FROM policy_record WHERE id IN (SELECT MAX(id) FROM policy_record WHERE signed <= $1 GROUP BY clause)`
)
