package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/legacy"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// NewImport is the wish to bring people over.
type NewImport struct {
	Template  string      // {SALT}{PASSWORD} with separators; empty = found from the pair, or none needed
	SaltWay   string      // utf8, hex, base64
	DigestWay string      // hex, base64
	Pair      legacy.Pair // a password that somebody knows, as its row says it
	Team      string      // id of a customers' team for all; empty = one of their own each
}

// Import is a run. It keeps no rows: who was interrupted sends them again, and those who
// are here already are recognised.
type Import struct {
	ID      string
	Spec    string // how salted digests are made; empty = none
	Team    string
	Begun   time.Time
	Ended   time.Time // zero = goes on
	Made    int64
	Reset   int64
	Known   int64
	Refused int64
}

// ImportRow is one person of another system.
type ImportRow struct {
	Line  int // of the file, for the answer
	Email string
	Name  string
	Hash  secret.Text
	Salt  secret.Text
}

// The outcomes of a row.
const (
	RowMade    = "made"    // the person can sign in as before
	RowReset   = "reset"   // made, and sets a new password first: the hash is too weak
	RowKnown   = "known"   // was here before; nothing was changed
	RowRefused = "refused" // see Problem
)

// ImportResult is what came of a row, or would.
type ImportResult struct {
	Line    int
	Outcome string
	Format  string // of the hash
	Code    string
	Problem string
}

// maxRows is how many rows one call takes.
const maxRows = 200

// BeginImport begins a run. A template is proved by the pair before the first row; it
// may be found from the pair alone. fault.Invalid says what does not fit.
func (s *Service) BeginImport(ctx context.Context, who actor.Actor, in NewImport) (Import, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleImport, ""); err != nil {
		return Import{}, err
	}
	tpl, err := s.proved(ctx, who, in)
	if err != nil {
		return Import{}, err
	}
	im := Import{ID: s.DB.ID(), Team: in.Team}
	if !tpl.IsZero() {
		im.Spec = tpl.Spec()
	}
	if in.Team != "" {
		var kind string
		if err := ledger.One(ctx, s.DB, kindOfTeam, []any{&kind}, in.Team); err != nil || kind == Staff {
			return Import{}, fault.Newf(fault.Invalid, "team_unknown", "There is no customers' team with this id.")
		}
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		im.Begun = tx.Now()
		_, err := tx.Exec(ctx, insertImport, im.ID, im.Spec, im.Team, who.String(), us(im.Begun))
		return ImportBegun{Import: im.ID, Spec: im.Spec}, err
	})
	if err != nil {
		return Import{}, fmt.Errorf("begin import: %w", err)
	}
	return im, nil
}

// proved is the template, once the pair has shown that it is right.
func (s *Service) proved(ctx context.Context, who actor.Actor, in NewImport) (tpl legacy.Template, err error) { // clause: auth.hash
	pair := !in.Pair.Hash.IsZero()
	if in.Template != "" {
		if tpl, err = legacy.ParseTemplate(in.Template, in.SaltWay, in.DigestWay); err != nil {
			return tpl, err
		}
		if !pair {
			return tpl, fault.New(fault.Invalid, "pair_needed", fault.Public{Problem: "A template without a test pair proves nothing.",
				Next: "Give a password that you know, with its hash and salt as the rows say them."})
		}
		return tpl, tpl.Prove(in.Pair)
	}
	if !pair {
		return tpl, nil
	}
	if in.Pair.Salt.IsZero() { // of crypt's kin: the hash must open with the password
		row, err := legacy.Classify(in.Pair.Hash, in.Pair.Salt, tpl)
		if err != nil {
			return tpl, err
		}
		if row.Format == legacy.Reset {
			return tpl, fault.Newf(fault.Invalid, "pair_weak", "The test pair's hash is unsalted, MD5 or SHA-1: such people are brought over without a password.")
		}
		ok := false
		if gerr := s.Gate.Do(ctx, who.ID, true, func() {
			var stored secret.Text
			if stored, err = row.Stored(s.params()); err == nil {
				ok, err = legacy.Verify(stored, in.Pair.Password)
			}
		}); gerr != nil {
			return tpl, gerr
		}
		if err == nil && !ok {
			err = fault.Newf(fault.Invalid, "pair_wrong", "The test pair's hash is not of its password.")
		}
		return tpl, err
	}
	return legacy.Infer(in.Pair)
}

// ImportRows brings rows over, at most 200 at a time, on at most half of the slots of the
// gate. With dry nothing is hashed or written: the answer says what would be.
func (s *Service) ImportRows(ctx context.Context, who actor.Actor, id string, rows []ImportRow, dry bool) ([]ImportResult, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleImport, "import/"+cut(id, 64)); err != nil {
		return nil, err
	}
	if len(rows) == 0 || len(rows) > maxRows {
		return nil, fault.Newf(fault.Invalid, "too_many_rows", "A call takes 1 to %d rows.", maxRows)
	}
	im, err := s.import1(ctx, id)
	if err != nil {
		return nil, err
	}
	if !im.Ended.IsZero() {
		return nil, fault.Newf(fault.Conflict, "import_ended", "This import has ended; begin another one. Who is here already is recognised.")
	}
	var tpl legacy.Template
	if im.Spec != "" {
		if tpl, err = legacy.ReadSpec(im.Spec); err != nil {
			return nil, err
		}
	}
	out := make([]ImportResult, len(rows))
	slots := make(chan struct{}, s.Gate.Half())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for i, r := range rows {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			res, err := s.importRow(ctx, who, im, tpl, r, dry)
			out[i] = res
			if err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if first != nil {
		return nil, fmt.Errorf("import rows: %w", first)
	}
	return out, nil
}

// importRow brings one person over. What is wrong with the row is its result; the error
// is what is wrong with the server.
func (s *Service) importRow(ctx context.Context, who actor.Actor, im Import, tpl legacy.Template, r ImportRow, dry bool) (ImportResult, error) {
	res := ImportResult{Line: r.Line}
	p, row, err := s.readRow(ctx, im, tpl, r)
	res.Format = string(row.Format)
	if err == nil && !dry {
		err = s.commitRow(ctx, who, im, p, row)
	}
	switch kind := fault.KindOf(err); {
	case err == nil && row.Format == legacy.Reset:
		res.Outcome = RowReset
	case err == nil:
		res.Outcome = RowMade
	case kind == fault.Conflict:
		res.Outcome = RowKnown
	case kind == fault.Invalid:
		code, pub := fault.PublicOf(err)
		res.Outcome, res.Code, res.Problem = RowRefused, code, pub.Problem
	default:
		return res, err
	}
	if dry || res.Outcome == RowMade || res.Outcome == RowReset {
		return res, nil
	}
	q := importKnown
	if res.Outcome == RowRefused {
		q = importRefused
	}
	return res, s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, q, im.ID)
		return err
	})
}

// readRow checks a row. An address that is here is fault.Conflict.
func (s *Service) readRow(ctx context.Context, im Import, tpl legacy.Template, r ImportRow) (sealedPerson, legacy.Row, error) {
	addr, err := ParseAddress(r.Email)
	if err != nil {
		return sealedPerson{}, legacy.Row{}, err
	}
	name, ok := cleanName(r.Name)
	if !ok {
		return sealedPerson{}, legacy.Row{}, fault.Newf(fault.Invalid, "name_invalid", "The name is longer than 100 characters or holds a control character.")
	}
	row, err := legacy.Classify(r.Hash, r.Salt, tpl)
	if err != nil {
		return sealedPerson{}, legacy.Row{}, err
	}
	if row.Format != legacy.Reset && !slices.Contains(s.Rules.Get().Import, string(row.Format)) { // clause: auth.hash
		return sealedPerson{}, row, fault.Newf(fault.Invalid, "format_refused", "The policy takes no %s hashes over (auth.hash/import).", row.Format)
	}
	idx, err := s.index(ctx, addr)
	if err != nil {
		return sealedPerson{}, row, err
	}
	if _, taken, err := s.ownerOf(ctx, idx); err != nil || taken {
		if err == nil {
			err = fault.Newf(fault.Conflict, "person_exists", "The address is here already.")
		}
		return sealedPerson{}, row, err
	}
	role := RoleAdmin
	if im.Team != "" {
		role = RoleMember
	}
	return sealedPerson{newPerson: newPerson{name: name, addr: addr, idx: idx, kind: kindFor(addr), team: im.Team, roles: []string{role}, how: "import"}}, row, nil
}

// commitRow wraps the hash, outside any change, and inserts the person with it.
func (s *Service) commitRow(ctx context.Context, who actor.Actor, im Import, n sealedPerson, row legacy.Row) error {
	p, err := s.sealPerson(ctx, n.newPerson)
	if err != nil {
		return err
	}
	var h hashed
	if row.Format != legacy.Reset {
		if h, err = s.wrap(ctx, p.id, row); err != nil {
			return err
		}
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		q := importReset
		if h.box != nil {
			q = importMade
			if err := h.store(ctx, tx, p.id); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, insertLegacy, p.id, im.ID, string(row.Format), us(tx.Now())); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, q, im.ID)
		return PersonImported{Person: p.id, Team: p.team, Import: im.ID, Scheme: string(row.Format)}, err
	})
	return err
}

// wrap makes what is stored of a row, inside the gate. It waits while people sign in.
func (s *Service) wrap(ctx context.Context, person string, row legacy.Row) (hashed, error) {
	var stored secret.Text
	var err error
	for {
		gerr := s.Gate.Do(ctx, "import", false, func() { stored, err = row.Stored(s.params()) }) // clause: auth.one-way, auth.hash
		if gerr == nil {
			break
		}
		if ctx.Err() != nil || !errors.Is(gerr, fault.Unavailable) {
			return hashed{}, gerr
		}
	}
	if err != nil {
		return hashed{}, err
	}
	box, err := s.seal(ctx, keyring.Class(passwordClass), "identity_password.phc", person, []byte(stored.Reveal())) // clause: auth.no-cleartext
	return hashed{box: box, scheme: string(row.Format), list: "import"}, err
}

// EndImport ends a run and records its counts.
func (s *Service) EndImport(ctx context.Context, who actor.Actor, id string) (Import, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleImport, "import/"+cut(id, 64)); err != nil {
		return Import{}, err
	}
	im, err := s.import1(ctx, id)
	if err != nil {
		return Import{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endImport, id, us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "import_ended", "This import has ended already.")
		}
		im.Ended = tx.Now()
		return ImportRun{Import: id, Made: im.Made, Reset: im.Reset, Known: im.Known, Refused: im.Refused}, err
	})
	if err != nil {
		return Import{}, fmt.Errorf("end import: %w", err)
	}
	if err := s.remeasure(ctx); err != nil { // slower schemes may be in use now
		s.Log.Error("measure the hashes in use", "err", err)
	}
	return im, nil
}

func (s *Service) import1(ctx context.Context, id string) (Import, error) {
	im := Import{ID: id}
	var begun int64
	var ended *int64
	err := ledger.One(ctx, s.DB, importByID, []any{&im.Spec, &im.Team, &begun, &ended, &im.Made, &im.Reset, &im.Known, &im.Refused}, id)
	if errors.Is(err, fault.NotFound) {
		return im, fault.Newf(fault.NotFound, "no_import", "There is no such import.")
	}
	if err != nil {
		return im, fmt.Errorf("read import: %w", err)
	}
	im.Begun = at(begun)
	if ended != nil {
		im.Ended = at(*ended)
	}
	return im, nil
}

// BurnDown is how far the people of one format have come.
type BurnDown struct {
	Format  string
	People  int64
	Waiting int64 // sign in with what they came with; it is renewed then
	Direct  int64 // have a hash of this server's own
	Expired int64 // waited beyond the policy's deadline: set a new password
	Reset   int64 // came without a hash that is good enough, and have set none yet
}

// BurnDowns says, by format, how many still have a hash from another system.
func (s *Service) BurnDowns(ctx context.Context, who actor.Actor) ([]BurnDown, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return nil, err
	}
	var out []BurnDown
	err := s.DB.Each(ctx, burnDown, func(scan scanner) error {
		var b BurnDown
		if err := scan(&b.Format, &b.People, &b.Reset, &b.Waiting, &b.Expired); err != nil {
			return err
		}
		b.Direct = b.People - b.Reset - b.Waiting - b.Expired
		out = append(out, b)
		return nil
	}, us(s.Now().Add(-s.Rules.Get().LegacyDeadline)))
	if err != nil {
		return nil, fmt.Errorf("count imported people: %w", err)
	}
	return out, nil
}

// weakGrace is how long a password that came over and breaks today's rules still opens
// the account once it was used here.
const weakGrace = 14 * 24 * time.Hour

// over says why a password that was brought over opens nothing any more; "" when it
// does, or was set here.
func (s *Service) over(pw stored) string {
	r, now := s.Rules.Get(), s.Now()
	if legacy.Is(pw.phc) {
		f, _, err := legacy.Of(pw.phc)
		if err != nil || !slices.Contains(r.Import, string(f)) || !now.Before(pw.set.Add(r.LegacyDeadline)) { // clause: auth.hash
			return "import-over"
		}
		return ""
	}
	if pw.passed == 0 && !now.Before(pw.set.Add(weakGrace)) { // clause: auth.min-length, auth.banned
		return "weak-over"
	}
	return ""
}

// verifyTyped is verify for a password as it was typed: another system may have hashed
// the bytes and not their normal form.
func (s *Service) verifyTyped(ctx context.Context, network string, known bool, phc, typed, text secret.Text) (bool, error) {
	if legacy.Is(phc) && !typed.Equal(text) && typed.Len() <= 1024 {
		if ok, err := s.verify(ctx, network, known, phc, typed); ok || err != nil {
			return ok, err
		}
	}
	return s.verify(ctx, network, known, phc, text)
}

// acceptedOf is how a password that was brought over is kept from now on: held against
// today's rules if it meets them, else marked, so that its owner must change it.
func (s *Service) acceptedOf(t tried, text secret.Text) accepted {
	good, fields := s.judge(candidate{door: doorImport, field: "password", text: text, about: []string{t.acc.name, t.acc.email}})
	if len(fields) == 0 {
		return good
	}
	return accepted{text: text, min: 0, list: "import"}
}

// weakNotice tells the owner of such a password until when it works.
func (s *Service) weakNotice(ctx context.Context, to string) ([]jobs.Job, error) {
	j, err := s.letter(ctx, to, typedLetter{kind: "identity.password-weak", Letter: mail.Letter{
		Title: "Change your password",
		Lines: []string{"Your password came with you from our former system. It is shorter than we ask for, or easy to guess.",
			fmt.Sprintf("It works until %s. After that you set a new one through “I forgot my password”.", stamp(s.Now().Add(weakGrace)))},
		Link: &mail.Link{Text: "Change the password", URL: s.Origin + atSecurity + "#password"},
		Foot: []string{"This letter came because you signed in."},
	}})
	return []jobs.Job{j}, err
}

// legacySpeed measures how long the formats in use take, on stored hashes themselves.
func (s *Service) legacySpeed(ctx context.Context) (time.Duration, error) {
	var slowest time.Duration
	for _, f := range legacy.Formats() {
		var person string
		var box []byte
		err := ledger.One(ctx, s.DB, oneOfScheme, []any{&person, &box}, string(f))
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read a password: %w", err)
		}
		b, err := s.open(ctx, "identity_password.phc", person, box)
		if err != nil {
			return 0, err
		}
		start := s.Now()
		if _, err := s.verify(ctx, "measure", true, secret.NewText(string(b.Reveal())), secret.NewText("how long does it take")); err != nil {
			return 0, err
		}
		slowest = max(slowest, s.Now().Sub(start))
	}
	return slowest, nil
}

// saltOf is the salt of a stored password, for the probe; own says that this server drew it.
func saltOf(phc secret.Text) (salt string, own bool, err error) {
	f, inner, err := legacy.Of(phc)
	if !legacy.Is(phc) {
		inner, own, err = phc, true, nil
	}
	if err != nil {
		return "", false, err
	}
	if own || f == legacy.SaltedSHA256 {
		parts := strings.Split(inner.Reveal(), "$")
		return parts[len(parts)-2], true, nil
	}
	salt, err = legacy.Salt(phc)
	return salt, false, err
}

const (
	insertImport  = `INSERT INTO identity_import (id, spec, team, issuer, begun, ended, made, reset, known, refused) VALUES ($1, $2, $3, $4, $5, NULL, 0, 0, 0, 0)`
	importByID    = `SELECT spec, team, begun, ended, made, reset, known, refused FROM identity_import WHERE id = $1`
	importMade    = `UPDATE identity_import SET made = made + 1 WHERE id = $1`
	importReset   = `UPDATE identity_import SET reset = reset + 1 WHERE id = $1`
	importKnown   = `UPDATE identity_import SET known = known + 1 WHERE id = $1`
	importRefused = `UPDATE identity_import SET refused = refused + 1 WHERE id = $1`
	endImport     = `UPDATE identity_import SET ended = $2 WHERE id = $1 AND ended IS NULL`
	insertLegacy  = `INSERT INTO identity_legacy (person, import, format, imported) VALUES ($1, $2, $3, $4)`
	deleteLegacy  = `DELETE FROM identity_legacy WHERE person = $1`
	oneOfScheme   = `SELECT person, phc FROM identity_password WHERE scheme = $1 ORDER BY set_at DESC LIMIT 1`
	burnDown      = `SELECT l.format, COUNT(*), COALESCE(SUM(CASE WHEN w.person IS NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN w.scheme = l.format AND w.set_at > $1 THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN w.scheme = l.format AND w.set_at <= $1 THEN 1 ELSE 0 END), 0)
		FROM identity_legacy l LEFT JOIN identity_password w ON w.person = l.person GROUP BY l.format ORDER BY l.format`
)
