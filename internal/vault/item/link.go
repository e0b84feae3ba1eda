package item

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

const (
	longestLink = 24 * time.Hour
	atOnce      = "/-/once"
)

// Link shows some fields of an item once, to whoever opens it.
type Link struct {
	ID          string
	Fields      []string
	Maker       string // person
	Made, Until time.Time
	Opened      time.Time
	Opener      string // the address it was opened from
	Again       int64  // refused openings after the first
	Ended       time.Time
}

// State is a link's, in words.
func (l Link) State(now time.Time) string {
	switch {
	case !l.Opened.IsZero():
		return "opened"
	case !l.Ended.IsZero():
		return "ended"
	case !now.Before(l.Until):
		return "over"
	}
	return "waits"
}

// MakeLink makes a link for somebody outside. Its address is shown this once.
func (s *Service) MakeLink(ctx context.Context, who actor.Actor, id string, fields []string, span time.Duration, reason string) (Link, string, error) {
	it, err := s.guard(ctx, who, access.VaultReveal, id, Editor)
	if err != nil {
		return Link{}, "", err
	}
	if span < shortestOut || span > longestLink {
		return Link{}, "", invalid("for", "link_time", "A link works for 5 minutes to 24 hours.")
	}
	why, err := reasonOf(reason, it.Critical || it.Sensitive)
	if err != nil {
		return Link{}, "", err
	}
	if err := s.readHead(ctx, &it); err != nil {
		return Link{}, "", err
	}
	fields = slices.Compact(slices.Sorted(slices.Values(fields)))
	for _, f := range fields {
		if _, ok := it.Field(f); !ok || f == seedField {
			return Link{}, "", invalid("fields", "field_unknown", "A link shows fields that the item has, and never the seed of codes.")
		}
	}
	if len(fields) == 0 {
		return Link{}, "", invalid("fields", "field_unknown", "Choose what the link shows.")
	}
	l := Link{ID: s.DB.ID(), Fields: fields, Maker: who.ID}
	token := secret.RandomText(32)
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, who, it, Editor); err != nil {
			return nil, err
		}
		l.Made, l.Until = tx.Now(), tx.Now().Add(span)
		_, err := tx.Exec(ctx, insertLink, l.ID, id, tokenSum(token), joined(fields), who.ID, us(l.Made), us(l.Until))
		return LinkMade{Item: id, Link: l.ID, Fields: fields, Until: l.Until, why: why}, err
	})
	if err != nil {
		return Link{}, "", fmt.Errorf("make a link: %w", err)
	}
	return l, s.Origin + atOnce + "/" + token.Reveal(), nil
}

func tokenSum(t secret.Text) string { h := t.Sum(); return hexed(h[:]) }

// EndLink ends one that was not opened yet.
func (s *Service) EndLink(ctx context.Context, who actor.Actor, id, link string) error {
	it, err := s.guard(ctx, who, access.VaultItems, id, Editor)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endLink, link, it.ID, us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "link_unknown", fault.Public{Problem: "There is no such link that waits.", Next: "Look at the item."})
		}
		return LinkEnded{Item: id, Link: link}, err
	})
	if err != nil {
		return fmt.Errorf("end a link: %w", err)
	}
	return nil
}

// offered is a link that waits to be opened.
type offered struct {
	Link
	it     row
	maker  actor.Actor
	roster []Member
}

func deadLink(problem string) error {
	return fault.New(fault.Gone, "link_dead", fault.Public{Problem: problem, Expected: "A link that nobody has opened, within its time.", Next: "Ask whoever sent it for a new one."})
}

// refuseLink records an opening that shows nothing, by itself or in the count of a flood.
func (s *Service) refuseLink(ctx context.Context, who actor.Actor, ev LinkRefused, reason error) error {
	if !s.folds.Single(who, ev.Cause) {
		return reason
	}
	return s.DB.Refuse(ctx, who, ev, reason)
}

// writeFolded records what was counted of a minute that is over.
func (s *Service) writeFolded(ctx context.Context, now time.Time) error {
	return s.folds.Write(now, func(who actor.Actor, cause string, n int64) error {
		_, err := s.change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return LinksRefused{Cause: cause, Count: n}, nil })
		return err
	})
}

// offer finds a link. One that does not work tells why only as far as its holder needs it; that
// it was opened before is whoever opens it to record.
func (s *Service) offer(ctx context.Context, who actor.Actor, token secret.Text) (offered, error) {
	var o offered
	var item, fields string
	var opened, ended *int64
	err := ledger.One(ctx, s.DB, linkByToken, []any{&o.ID, &item, &fields, &o.Maker, micros{&o.Made}, micros{&o.Until}, &opened, &ended, &o.it.team}, tokenSum(token))
	if errors.Is(err, fault.NotFound) {
		return offered{}, s.refuseLink(ctx, who, LinkRefused{Cause: "unknown"}, deadLink("This link is not known, or it was removed."))
	}
	if err != nil {
		return offered{}, fmt.Errorf("find a link: %w", err)
	}
	o.Fields, o.Opened, o.Ended = words(fields), when(opened), when(ended)
	switch o.State(s.Now()) {
	case "opened":
		o.it.ID = item
		return o, fault.New(fault.Gone, "link_opened", fault.Public{Problem: "This link was opened already, on " + stamp(o.Opened) + ". It works once.",
			Expected: "One opening.", Next: "If that was not you, tell whoever sent it: somebody else has read it."})
	case "waits":
	default:
		return offered{}, s.refuseLink(ctx, who, LinkRefused{Item: item, Link: o.ID, Cause: o.State(s.Now())}, deadLink("This link works no more."))
	}
	if o.it, err = load(ctx, s.DB, o.it.team, item); err != nil {
		return offered{}, err
	}
	roster, err := s.People.Roster(ctx, o.it.team)
	if err != nil {
		return offered{}, err
	}
	o.roster = roster
	o.maker = actor.Actor{Kind: actor.Person, ID: o.Maker, Team: o.it.team}
	if n := slices.IndexFunc(roster, func(m Member) bool { return m.ID == o.Maker }); n >= 0 {
		o.maker.Roles = roster[n].Roles
		o.it.Level = levelOf(o.maker, o.it.Holders)
	}
	switch {
	case !o.it.Deleted.IsZero() || o.it.Level.rank() < Editor.rank():
		return offered{}, s.makerMayNot(ctx, who, o)
	case o.it.free(o.maker, s.Now()) != nil:
		return offered{}, s.takenOut(ctx, who, o)
	}
	return o, nil
}

func (s *Service) makerMayNot(ctx context.Context, who actor.Actor, o offered) error {
	return s.refuseLink(ctx, who, LinkRefused{Item: o.it.ID, Link: o.ID, Cause: "maker"}, deadLink("This link works no more."))
}

// takenOut refuses a link of what somebody has for themselves; afterwards it works again.
func (s *Service) takenOut(ctx context.Context, who actor.Actor, o offered) error {
	return s.refuseLink(ctx, who, LinkRefused{Item: o.it.ID, Link: o.ID, Cause: "out"}, fault.New(fault.Conflict, "link_out", fault.Public{
		Problem: "What this link shows is in use by one person alone.", Expected: "An item that nobody has checked out.", Next: "Open it later, or ask whoever sent it."}))
}

// openedAgain counts a second opening, for the owner to see. They are told of the first.
func (s *Service) openedAgain(ctx context.Context, who actor.Actor, o offered, address string) error { // clause: vault.company-creds
	if !s.folds.Single(who, "opened") {
		return nil
	}
	letters, err := s.againLetters(ctx, o, address)
	if err != nil {
		return err
	}
	if _, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var again int64
		if err := ledger.One(ctx, tx, `UPDATE vault_item_link SET again = again + 1 WHERE id = $1 RETURNING again`, []any{&again}, o.ID); err != nil {
			return nil, err
		}
		ev := LinkRefused{Item: o.it.ID, Link: o.ID, Cause: "opened"}
		if again > 1 {
			return ev, nil
		}
		return ev, s.enqueue(ctx, tx, letters)
	}); err != nil {
		return fmt.Errorf("record a second opening: %w", err)
	}
	return nil
}

// Opened is what a link shows.
type Opened struct {
	Title  string
	Fields []Field // with their values
}

// OpenLink shows a link's fields, once. The opener's address is the owner's to see.
func (s *Service) OpenLink(ctx context.Context, who actor.Actor, token secret.Text, address string) (Opened, error) { // clause: vault.access-logged
	o, err := s.offer(ctx, who, token)
	if code, _ := fault.PublicOf(err); code == "link_opened" {
		if err := s.openedAgain(ctx, who, o, address); err != nil {
			return Opened{}, err
		}
	}
	if err != nil {
		return Opened{}, err
	}
	if err := s.readHead(ctx, &o.it); err != nil {
		return Opened{}, err
	}
	out, origin := Opened{Title: o.it.Title}, map[string]int64{}
	for _, id := range o.Fields {
		f, ok := o.it.Field(id)
		if !ok {
			continue // it was taken out since
		}
		if f.Secret {
			text, n, err := s.fieldOf(ctx, o.it, id)
			if err != nil {
				return Opened{}, err
			}
			f.Value, origin[id] = text.Reveal(), n
		}
		out.Fields = append(out.Fields, f)
	}
	k, err := s.Keys.Ensure(ctx, keyring.Strangers(s.Now()))
	if err != nil {
		return Opened{}, fmt.Errorf("seal an opener's address: %w", err)
	}
	box := k.Seal(pad([]byte(address)), place("vault_item_link.opener", o.it.team, o.ID, 1))
	letters, err := s.openedLetters(ctx, o, address)
	if err != nil {
		return Opened{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.still(ctx, tx, o.maker, o.it, Editor); err != nil { // at the version that was read
			return nil, err
		}
		n, err := tx.Exec(ctx, openLink, o.ID, us(tx.Now()), box)
		if err == nil && n != 1 {
			err = deadLink("This link was opened at the same moment by somebody else.") // clause: vault.company-creds
		}
		if err != nil {
			return nil, err
		}
		for id, n := range origin { // whoever made the link answers for what it showed
			if err := s.Sight.Saw(ctx, tx, o.maker, thing(o.it.ID)+"/"+id, n); err != nil {
				return nil, err
			}
		}
		return LinkOpened{Item: o.it.ID, Link: o.ID, Fields: o.Fields, Address: address}, s.enqueue(ctx, tx, letters)
	})
	switch code, _ := fault.PublicOf(err); {
	case code == "item_unknown":
		return Opened{}, s.makerMayNot(ctx, who, o)
	case code == "item_out":
		return Opened{}, s.takenOut(ctx, who, o)
	case err != nil:
		return Opened{}, fmt.Errorf("open a link: %w", err)
	}
	return out, nil
}

func (s *Service) links(ctx context.Context, id string) ([]Link, error) {
	var out []Link
	var boxes [][]byte
	var team string
	err := s.DB.Each(ctx, linksOf, func(scan ledger.Scan) error {
		var l Link
		var fields string
		var opened, ended *int64
		var box []byte
		err := scan(&l.ID, &fields, &l.Maker, micros{&l.Made}, micros{&l.Until}, &opened, &box, &l.Again, &ended, &team)
		l.Fields, l.Opened, l.Ended = words(fields), when(opened), when(ended)
		out, boxes = append(out, l), append(boxes, box)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	for i := range out {
		if boxes[i] == nil {
			continue
		}
		b, err := s.open(ctx, place("vault_item_link.opener", team, out[i].ID, 1), boxes[i])
		switch {
		case errors.Is(err, fault.Gone): // the month's key is destroyed
			out[i].Opener = "an address that is erased"
		case err != nil:
			return nil, err
		default:
			out[i].Opener = string(b.Reveal())
		}
	}
	return out, nil
}

// oncePage is the page of a link: a button first, so that a program that follows links
// opens nothing.
type oncePage struct {
	Form   *web.Form
	Fields []Field
}

func (s *Service) showOnce(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	o, err := s.offer(r.Context(), who, secret.NewText(r.PathValue("token")))
	if err != nil {
		return err
	}
	return s.set.Render(w, r, http.StatusOK, "once", web.View{Title: "Somebody at " + s.Company() + " shares a secret with you", Frame: web.Plain,
		Lead: s.People.Name(r.Context(), o.Maker) + " made this link for one opening. It works until " + stamp(o.Until) + ", or until the button is pressed.",
		Data: oncePage{Form: &web.Form{Action: r.URL.Path, Act: "Show it, once"}}})
}

func (s *Service) openOnce(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	o, err := s.OpenLink(r.Context(), who, secret.NewText(r.PathValue("token")), web.RemoteIP(r).String())
	if err != nil {
		return err
	}
	return s.set.Render(w, r, http.StatusOK, "once", web.View{Title: o.Title, Frame: web.Plain, Lead: "This is the only time it is shown. Keep it in your password manager.",
		Data: oncePage{Fields: o.Fields}})
}

// stranger is whoever opens a link, also one who is signed in: a link asks nobody who they are.
func stranger(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
		return h(w, r, web.StrangerOf(r))
	}
}

const (
	insertLink  = `INSERT INTO vault_item_link (id, item, token, fields, maker, made, until, opened, opener, again, ended) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL, 0, NULL)`
	endLink     = `UPDATE vault_item_link SET ended = $3 WHERE id = $1 AND item = $2 AND opened IS NULL AND ended IS NULL`
	openLink    = `UPDATE vault_item_link SET opened = $2, opener = $3 WHERE id = $1 AND opened IS NULL AND ended IS NULL AND until > $2`
	linkByToken = `SELECT l.id, l.item, l.fields, l.maker, l.made, l.until, l.opened, l.ended, i.team FROM vault_item_link l JOIN vault_item i ON i.id = l.item WHERE l.token = $1`
	linksOf     = `SELECT l.id, l.fields, l.maker, l.made, l.until, l.opened, l.opener, l.again, l.ended, i.team FROM vault_item_link l JOIN vault_item i ON i.id = l.item WHERE l.item = $1 ORDER BY l.made DESC LIMIT 50`
)
