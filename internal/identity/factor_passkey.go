package identity

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/identity/passkey"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// Passkey is a passkey as its owner sees it.
type Passkey struct {
	ID      string
	Name    string
	Created time.Time
	Used    time.Time // zero = never
	Copied  bool      // it is kept in an account and works on several devices
	Moves   bool      // it is on a key or phone that is brought along
}

// passkeyRow is a row, opened.
type passkeyRow struct {
	Passkey
	person string
	sum    string
	box    []byte
	record passkey.Record
}

func records(rows []passkeyRow) []passkey.Record {
	out := make([]passkey.Record, len(rows))
	for i, r := range rows {
		out[i] = r.record
	}
	return out
}

// passkeysOf reads the passkeys of a person, oldest first.
func (s *Service) passkeysOf(ctx context.Context, person string) ([]passkeyRow, error) {
	return s.readPasskeys(ctx, passkeyRows+` WHERE person = $1 ORDER BY created, id`, person)
}

func (s *Service) passkeyBySum(ctx context.Context, sum string) (passkeyRow, error) {
	return s.onePasskey(ctx, passkeyRows+` WHERE sum = $1`, sum)
}

// passkey reads one of a person's passkeys; fault.NotFound when it is not theirs.
func (s *Service) passkey(ctx context.Context, person, id string) (passkeyRow, error) {
	return s.onePasskey(ctx, passkeyRows+` WHERE person = $1 AND id = $2`, person, id)
}

func (s *Service) onePasskey(ctx context.Context, query string, args ...any) (passkeyRow, error) {
	rows, err := s.readPasskeys(ctx, query, args...)
	if err != nil {
		return passkeyRow{}, err
	}
	if len(rows) != 1 {
		return passkeyRow{}, noPasskey()
	}
	return rows[0], nil
}

func (s *Service) readPasskeys(ctx context.Context, query string, args ...any) ([]passkeyRow, error) {
	var rows []passkeyRow
	var names [][]byte
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var r passkeyRow
		var name []byte
		var created int64
		var used *int64
		if err := scan(&r.ID, &r.person, &r.sum, &name, &r.box, &created, &used); err != nil {
			return err
		}
		r.Created = at(created)
		if used != nil {
			r.Used = at(*used)
		}
		rows, names = append(rows, r), append(names, name)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read passkeys: %w", err)
	}
	for i := range rows {
		if err := s.openPasskey(ctx, &rows[i], names[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// boundTo is the place of a passkey's record: in another person's row it does not open.
func boundTo(person, id string) string { return person + "/" + id }

func (s *Service) openPasskey(ctx context.Context, r *passkeyRow, name []byte) error {
	plain, err := s.open(ctx, "identity_passkey.box", boundTo(r.person, r.ID), r.box)
	if err != nil {
		return err
	}
	if r.record, err = passkey.ReadRecord(plain.Reveal()); err != nil {
		return err
	}
	r.Copied = r.record.BackedUp()
	r.Moves = r.record.Attachment == "cross-platform"
	r.Name, err = s.text(ctx, "identity_passkey.name", r.ID, name)
	return err
}

func (s *Service) sealPasskey(ctx context.Context, person, id string, r passkey.Record) ([]byte, error) {
	plain, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	return s.seal(ctx, keyring.Person(person), "identity_passkey.box", boundTo(person, id), plain) // clause: auth.unique-credentials
}

func (s *Service) sealPasskeyName(ctx context.Context, person, id, name string) ([]byte, error) {
	return s.seal(ctx, keyring.Person(person), "identity_passkey.name", id, []byte(name))
}

// newPasskey is a passkey that a change inserts.
type newPasskey struct {
	id, person, sum, host string
	name, box             []byte
}

func (s *Service) sealNewPasskey(ctx context.Context, person, name string, r passkey.Record) (newPasskey, error) {
	n := newPasskey{id: s.DB.ID(), person: person, sum: r.Sum()}
	party, err := s.party()
	if err != nil {
		return n, err
	}
	n.host = party.ID()
	if n.name, err = s.sealPasskeyName(ctx, person, n.id, name); err != nil {
		return n, err
	}
	n.box, err = s.sealPasskey(ctx, person, n.id, r)
	return n, err
}

// insert writes a new passkey inside a change that holds the person: never one that
// somebody has, and never more than passkey.MaxPerPerson.
func (n newPasskey) insert(ctx context.Context, tx *ledger.Tx) error {
	var have int64
	if err := ledger.One(ctx, tx, countPasskeys, []any{&have}, n.person); err != nil {
		return err
	}
	if have >= passkey.MaxPerPerson {
		return passkey.Full()
	}
	made, err := tx.Exec(ctx, insertPasskey, n.id, n.sum, n.person, n.host, n.name, n.box, us(tx.Now())) // clause: auth.unique-credentials
	if err == nil && made != 1 {
		err = fault.New(fault.Conflict, "passkey_taken", fault.Public{Problem: "This passkey is set up already.",
			Expected: "One that belongs to nobody yet.", Next: "Use another device, or make a new passkey."})
	}
	return err
}

// passkeyName is a name as it is stored; one that was left out says when it was made.
func (s *Service) passkeyName(typed string) (string, error) {
	name, ok := cleanName(typed)
	if !ok || utf8.RuneCountInString(name) > maxPasskeyName {
		return "", fault.New(fault.Invalid, "name_invalid", fault.Public{Problem: "This name cannot be used.", Next: "Choose a shorter one.",
			Fields: []fault.Field{{Name: "name", Code: "name_invalid", Problem: fmt.Sprintf("The name must be one line of at most %d characters.", maxPasskeyName)}}})
	}
	if name == "" {
		name = "Passkey of " + s.Now().UTC().Format("2 January 2006")
	}
	return name, nil
}

// maxPasskeyName is in code points.
const maxPasskeyName = 60

// passkeyFactors are the passkeys of a person among their factors.
func (s *Service) passkeyFactors(ctx context.Context, person string) ([]Factor, error) {
	rows, err := s.passkeysOf(ctx, person)
	out := make([]Factor, len(rows))
	for i, r := range rows {
		out[i] = Factor{ID: r.ID, Kind: FactorPasskey, Name: r.Name, Added: r.Created, Used: r.Used}
	}
	return out, err
}

// checkPasskeyHost refuses to start under another name while there are passkeys: they
// would all be dead, and people would find out one by one.
func (s *Service) checkPasskeyHost(ctx context.Context) error {
	now := ""
	if p, err := s.party(); err == nil {
		now = p.ID()
	}
	var was string
	var people int64
	err := s.DB.Each(ctx, otherHosts, func(scan scanner) error { return scan(&was, &people) }, now)
	if err != nil {
		return fmt.Errorf("read hosts of passkeys: %w", err)
	}
	if was == "" {
		return nil
	}
	return fault.New(fault.Conflict, "passkey_host", fault.Public{
		Problem:  fmt.Sprintf("%d people have passkeys that are bound to %s, and the public address is now %s: none of them would work.", people, was, s.Origin),
		Expected: "The same host name for as long as there are passkeys.",
		Next:     fmt.Sprintf("Set the public address back to https://%s and start again; to move for good, let people remove their passkeys there first.", was)})
}

const (
	passkeyRows   = `SELECT id, person, sum, name, box, created, used FROM identity_passkey`
	countPasskeys = `SELECT COUNT(*) FROM identity_passkey WHERE person = $1`
	insertPasskey = `INSERT INTO identity_passkey (id, sum, person, host, name, box, created, used)
		VALUES ($1, $2, $3, $4, $5, $6, $7, NULL) ON CONFLICT (sum) DO NOTHING`
	deletePasskey = `DELETE FROM identity_passkey WHERE id = $1 AND person = $2`
	usePasskey    = `UPDATE identity_passkey SET box = $3, used = $4 WHERE id = $1 AND box = $2`
	renamePasskey = `UPDATE identity_passkey SET name = $3 WHERE id = $1 AND person = $2`
	otherHosts    = `SELECT host, COUNT(DISTINCT person) FROM identity_passkey WHERE host <> $1 GROUP BY host ORDER BY host LIMIT 1`
)
