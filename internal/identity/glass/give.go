package glass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// The kinds of uses.
const (
	opening = "open"
	drill   = "drill"
)

// Give is a share on its way in.
type Give struct {
	Share   secret.Text
	Code    string // of the opening to join; "" = begin one
	Reason  string // of a beginning
	Drill   bool   // of a beginning
	Network string
}

// Gathering is how far an opening or a drill has come.
type Gathering struct {
	Use   string
	Code  string
	Drill bool
	Given int
	Need  int
	Until time.Time // when what was given is dropped, or the hand-over ends
	Done  bool
	Enter secret.Text // with Done and no Drill: opens the session, once
}

// piece is a share that was looked up.
type piece struct {
	row
	holder, team, state, digest string
	share                       secret.Bytes
}

var (
	errStale = errors.New("glass: changed meanwhile")
	tries    = []identity.Tries{{Name: "glass-network", Max: 10, Window: 15 * time.Minute}, {Name: "glass-set", Max: 60, Window: time.Hour}}
)

// Give takes one holder's share: it begins an opening, joins one, or as the last one
// completes it. Errors: fault.Invalid (share_text, reason_missing), fault.Denied
// (share_refused), fault.Conflict (share_twice), fault.Gone (opening_over), fault.Limited.
func (s *Service) Give(ctx context.Context, who actor.Actor, in Give) (Gathering, error) {
	reason, err := reasonOf(in)
	if err != nil {
		return Gathering{}, err
	}
	p, err := s.pieceOf(ctx, who, in)
	if err != nil {
		return Gathering{}, err
	}
	defer p.share.Wipe()
	if in.Code == "" {
		return s.ask(ctx, who, p, in, reason)
	}
	for range 3 { // two holders may come at one moment
		g, err := s.join(ctx, who, p, in)
		if !errors.Is(err, errStale) {
			return g, err
		}
	}
	return Gathering{}, fault.Newf(fault.Unavailable, "busy", "Others are giving their shares at this moment. Try again.")
}

// reasonOf is why the glass is to be broken. A drill is a reason by itself.
func reasonOf(in Give) (string, error) {
	reason := strings.TrimSpace(in.Reason)
	if in.Drill && reason == "" {
		reason = "A drill."
	}
	n := utf8.RuneCountInString(reason)
	if in.Code == "" && (n < 5 || n > 300 || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl)) {
		return "", fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "The reason is missing, too short or too long.", Expected: "5 to 300 characters on one line.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "Say why the glass must be broken, in 5 to 300 characters on one line."}}})
	}
	return reason, nil
}

// pieceOf reads what was typed and finds the share by its fingerprint.
func (s *Service) pieceOf(ctx context.Context, who actor.Actor, in Give) (piece, error) { // clause: access.least-privilege
	number, share, err := read(in.Share)
	if err != nil {
		return piece{}, s.refused(ctx, who, ShareRefused{Cause: "text", Network: in.Network}, err)
	}
	p := piece{share: share}
	err = ledger.One(ctx, s.DB, byPrint, []any{&p.set, &p.number, &p.place, &p.need, &p.total, &p.holder, &p.team, &p.state, &p.digest}, digest(share))
	if errors.Is(err, fault.NotFound) {
		return piece{}, s.refused(ctx, who, ShareRefused{Cause: "unknown", Network: in.Network}, shareRefused(fmt.Sprintf("This share, of %s by what it says, is none of this server's.", numbered(number))))
	}
	if err != nil {
		return piece{}, fmt.Errorf("find a share: %w", err)
	}
	if p.state != live {
		why := "is no longer in use: a newer one has replaced it, or it was withdrawn."
		if p.state == waiting {
			why = "is not in use yet: too few holders have picked their share up."
		}
		return piece{}, s.refused(ctx, who, ShareRefused{Cause: "set", Set: p.set, Network: in.Network}, shareRefused("The "+numbered(int(p.number))+" of this share "+why))
	}
	stands, err := s.stands(ctx, p.holder)
	if err != nil {
		return piece{}, err
	}
	if !stands {
		return piece{}, s.refused(ctx, who, ShareRefused{Cause: "holder", Set: p.set, Network: in.Network}, shareRefused("The holder of this share has left, so it counts no more."))
	}
	p.need = max(p.need, int64(s.Rules.Get().Shares)) // a revision may ask for more than the set was made for
	return p, nil
}

func shareRefused(problem string) error {
	return fault.New(fault.Denied, "share_refused", fault.Public{Problem: problem, Expected: "A share of the set in use, by its holder.", Next: "Look at the number of the set on your paper.",
		Fields: []fault.Field{{Name: "share", Code: "share_refused", Problem: problem}}})
}

// refused counts and records a share that counted for nothing. Only such ones are
// counted: however full a stranger makes the counters, a right share is taken.
func (s *Service) refused(ctx context.Context, who actor.Actor, ev ShareRefused, reason error) error {
	count := slices.Clone(tries)
	count[0].Of, count[1].Of = ev.Network, ev.Set
	if ev.Set == "" {
		count = count[:1]
	}
	if err := s.People.Attempt(ctx, count...); errors.Is(err, fault.Limited) {
		reason = err
	} else if err != nil {
		return err
	}
	return s.People.Refuse(ctx, who, ev, reason)
}

// as is the holder, who proves who they are by the share itself.
func (p piece) as(who actor.Actor) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: p.holder, Via: who.Via}
}

// ask begins an opening or a drill with its first share.
func (s *Service) ask(ctx context.Context, who actor.Actor, p piece, in Give, reason string) (Gathering, error) {
	g := Gathering{Use: s.DB.ID(), Code: newCode(), Drill: in.Drill, Given: 1, Need: int(p.need)}
	ev := Asked{Use: g.Use, Set: p.set, Kind: opening, Holder: p.holder, Need: p.need, reason: reason}
	if in.Drill {
		ev.Kind = drill
	}
	why, err := s.seal(ctx, keyring.Person(p.holder), "identity_glass_use.reason", g.Use, []byte(reason))
	if err != nil {
		return Gathering{}, err
	}
	box, err := s.gathered(ctx, g.Use, p)
	if err != nil {
		return Gathering{}, err
	}
	var letters []jobs.Job
	if !in.Drill {
		if letters, err = s.ownerLetters(ctx, p.team, s.askedLetter(s.People.Name(ctx, p.holder), int(p.need))); err != nil {
			return Gathering{}, err
		}
	}
	ev.Letters = int64(len(letters))
	_, err = s.DB.Change(ctx, p.as(who), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, lockLive, p.set)
		if err == nil && n != 1 {
			err = shareRefused("The " + numbered(int(p.number)) + " of this share has been replaced at this moment.")
		}
		if err != nil {
			return nil, err
		}
		g.Until = tx.Now().Add(gathering)
		if _, err := tx.Exec(ctx, insertUse, g.Use, p.set, ev.Kind, g.Code, p.holder, why, us(tx.Now()), us(g.Until)); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertGiven, g.Use, p.holder, p.place, box, us(tx.Now())); err != nil {
			return nil, err
		}
		tx.Also(ShareGiven{Use: g.Use, Set: p.set, Place: p.place, Holder: p.holder})
		return ev, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return Gathering{}, fmt.Errorf("begin to break the glass: %w", err)
	}
	return g, nil
}

// gathered seals a share for as long as the others are waited for.
func (s *Service) gathered(ctx context.Context, use string, p piece) ([]byte, error) {
	return s.seal(ctx, keyring.Class(class), "identity_glass_given.box", placed(use, p.place), p.share.Reveal())
}

// newCode is short, for one holder to tell the others. It opens nothing by itself.
func newCode() string {
	b := secret.Random(8).Reveal()
	out := make([]byte, len(b))
	for i, x := range b {
		out[i] = crockford[x%32]
	}
	return grouped(string(out))
}

// join adds a share to what others began.
func (s *Service) join(ctx context.Context, who actor.Actor, p piece, in Give) (Gathering, error) {
	found, err := s.uses(ctx, `u.code = $1 AND u.set_id = $2`, grouped(plain(in.Code)), p.set)
	if err != nil {
		return Gathering{}, err
	}
	if len(found) != 1 || !found[0].gathers(s.Now()) {
		return Gathering{}, s.refused(ctx, who, ShareRefused{Cause: "opening", Set: p.set, Network: in.Network}, openingOver())
	}
	u := found[0]
	given, err := s.given(ctx, s.DB, u.ID)
	if err != nil {
		return Gathering{}, err
	}
	if slices.ContainsFunc(given, func(g gift) bool { return g.holder == p.holder }) { // clause: access.least-privilege
		return Gathering{}, s.refused(ctx, who, ShareRefused{Cause: "twice", Set: p.set, Use: u.ID, Network: in.Network}, fault.New(fault.Conflict, "share_twice", fault.Public{
			Problem: "This share has been given already. One holder counts once.", Expected: "The share of another holder.", Next: "Ask another holder to give theirs.",
			Fields: []fault.Field{{Name: "share", Code: "share_twice", Problem: "This share has been given already. One holder counts once."}}}))
	}
	g := Gathering{Use: u.ID, Code: u.Code, Drill: u.Drill, Given: len(given) + 1, Need: int(p.need), Until: u.Until}
	if g.Given < g.Need {
		return g, s.add(ctx, who, p, given, u)
	}
	if err := s.whole(ctx, p, u.ID, given); errors.Is(err, errStale) {
		return Gathering{}, err
	} else if err != nil {
		return Gathering{}, s.refused(ctx, who, ShareRefused{Cause: "combine", Set: p.set, Use: u.ID, Network: in.Network}, err)
	}
	return s.grant(ctx, who, p, given, u, g)
}

func openingOver() error {
	return fault.New(fault.Gone, "opening_over", fault.Public{Problem: "There is no opening with this code, or it is over.",
		Expected: fmt.Sprintf("A code that another holder was given within the last %d minutes.", int(gathering/time.Minute)), Next: "Ask the holder who began, or begin anew without a code.",
		Fields: []fault.Field{{Name: "code", Code: "opening_over", Problem: "There is no opening with this code, or it is over."}}})
}

// gift is a share that was given.
type gift struct {
	holder string
	place  int64
	box    []byte
}

func (s *Service) given(ctx context.Context, q ledger.Reader, use string) ([]gift, error) {
	var out []gift
	err := q.Each(ctx, givenTo, func(scan ledger.Scan) error {
		var g gift
		err := scan(&g.holder, &g.place, &g.box)
		out = append(out, g)
		return err
	}, use)
	if err != nil {
		return nil, fmt.Errorf("read what was given: %w", err)
	}
	return out, nil
}

// lockUse holds a gathering inside a change, and sees that it is as it was read.
func (s *Service) lockUse(ctx context.Context, tx *ledger.Tx, use string, given []gift) error {
	if n, err := tx.Exec(ctx, lockGathering, use, us(tx.Now())); err != nil || n != 1 {
		return errors.Join(err, errStale)
	}
	now, err := s.given(ctx, tx, use)
	if err == nil && len(now) != len(given) {
		err = errStale
	}
	return err
}

// add is a share that is not the last one.
func (s *Service) add(ctx context.Context, who actor.Actor, p piece, given []gift, u Use) error {
	box, err := s.gathered(ctx, u.ID, p)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, p.as(who), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := s.lockUse(ctx, tx, u.ID, given); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, insertGiven, u.ID, p.holder, p.place, box, us(tx.Now()))
		return ShareGiven{Use: u.ID, Set: p.set, Place: p.place, Holder: p.holder}, err
	})
	if err != nil {
		return fmt.Errorf("give a share: %w", err)
	}
	return nil
}

// whole combines what was given and holds it against the digest of the secret. Shares that
// passed by their fingerprints fit, unless somebody changed the table.
func (s *Service) whole(ctx context.Context, p piece, use string, given []gift) error { // clause: access.least-privilege
	parts := []secret.Bytes{p.share}
	for _, g := range given {
		if len(g.box) == 0 { // another share completed it since the opening was looked at
			return errStale
		}
		b, err := s.unseal(ctx, "identity_glass_given.box", placed(use, g.place), g.box)
		if err != nil {
			return err
		}
		defer b.Wipe()
		parts = append(parts, b)
	}
	all, err := shamir.Combine(parts...)
	if err != nil {
		return err
	}
	defer all.Wipe()
	if !secret.NewText(digest(all)).Equal(secret.NewText(p.digest)) {
		return shareRefused("The shares do not fit together.")
	}
	return nil
}

// grant completes a gathering. The entry is committed here; the session opens later, with
// the hand-over, and cannot without it.
func (s *Service) grant(ctx context.Context, who actor.Actor, p piece, given []gift, u Use, g Gathering) (Gathering, error) {
	var letters []jobs.Job
	var holders, names []string
	for _, x := range append(given, gift{holder: p.holder}) {
		holders, names = append(holders, x.holder), append(names, s.People.Name(ctx, x.holder))
	}
	l := s.grantedLetter(names)
	if u.Drill {
		l = s.drilledLetter(names)
	}
	letters, err := s.ownerLetters(ctx, p.team, l)
	if err != nil {
		return Gathering{}, err
	}
	enter := secret.RandomText(32)
	_, err = s.DB.Change(ctx, p.as(who), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := s.lockUse(ctx, tx, u.ID, given); err != nil {
			return nil, err
		}
		now := tx.Now()
		if _, err := tx.Exec(ctx, insertGiven, u.ID, p.holder, p.place, nil, us(now)); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, clearGiven, u.ID); err != nil {
			return nil, err
		}
		tx.Also(ShareGiven{Use: u.ID, Set: p.set, Place: p.place, Holder: p.holder})
		if err := s.enqueue(ctx, tx, letters); err != nil {
			return nil, err
		}
		if u.Drill {
			_, err := tx.Exec(ctx, endDrill, u.ID, us(now))
			return Drilled{Use: u.ID, Set: p.set, Need: p.need, Holders: holders}, err
		}
		g.Until = now.Add(handOver)
		_, err := tx.Exec(ctx, grantUse, u.ID, us(now), sum(enter), us(g.Until))
		return Granted{Use: u.ID, Set: p.set, Need: p.need, Holders: holders, Letters: int64(len(letters))}, err
	})
	if err != nil {
		return Gathering{}, fmt.Errorf("break the glass: %w", err)
	}
	g.Done = true
	if !u.Drill {
		g.Enter = enter
	}
	return g, nil
}

// Progress is how far the gathering with a code has come, for who knows the code.
func (s *Service) Progress(ctx context.Context, code string) (Gathering, error) {
	found, err := s.uses(ctx, `u.code = $1`, grouped(plain(code)))
	if err != nil {
		return Gathering{}, err
	}
	if len(found) != 1 || !found[0].gathers(s.Now()) {
		return Gathering{}, openingOver()
	}
	u := found[0]
	given, err := s.given(ctx, s.DB, u.ID)
	return Gathering{Use: u.ID, Code: u.Code, Drill: u.Drill, Given: len(given), Need: max(u.need, s.Rules.Get().Shares), Until: u.Until}, err
}

const (
	byPrint = `SELECT s.id, s.number, h.place, s.need, s.total, h.holder, s.team, s.state, s.digest FROM identity_glass_share h
		JOIN identity_glass_set s ON s.id = h.set_id WHERE h.print = $1`
	lockLive  = `UPDATE identity_glass_set SET number = number WHERE id = $1 AND state = 'live'`
	insertUse = `INSERT INTO identity_glass_use (id, set_id, kind, code, asked_by, reason, asked, until, granted, token, entered, ends, ended, cause)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL, NULL, NULL, NULL, '')`
	insertGiven   = `INSERT INTO identity_glass_given (use_id, holder, place, box, at) VALUES ($1, $2, $3, $4, $5)`
	givenTo       = `SELECT holder, place, box FROM identity_glass_given WHERE use_id = $1 ORDER BY at, place`
	lockGathering = `UPDATE identity_glass_use SET code = code WHERE id = $1 AND granted IS NULL AND ended IS NULL AND until > $2`
	clearGiven    = `UPDATE identity_glass_given SET box = NULL WHERE use_id = $1`
	grantUse      = `UPDATE identity_glass_use SET granted = $2, token = $3, until = $4 WHERE id = $1`
	endDrill      = `UPDATE identity_glass_use SET granted = $2, ended = $2, cause = 'drilled' WHERE id = $1`
)
