package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// ProvisionForm is what a directory says of a person.
type ProvisionForm struct {
	UserName   string // unique within the connection, whatever its case
	ExternalID string // the directory's own id
	Given      string
	Family     string
	Formatted  string
	Display    string
	Email      string // empty = UserName, which must then be an address
	Active     bool
}

// Provisioned is a person of the connection's team as the directory sees them.
type Provisioned struct {
	ID string
	ProvisionForm
	Created time.Time
	Changed time.Time
	Version string // changes with every change the directory could see
}

// ProvisionQuery asks for some of what a directory sees.
type ProvisionQuery struct {
	By    string // "" all; id, userName, externalId, email; for groups id, displayName, externalId
	Value string
	Start int // from 0
	Count int // at most 200
}

// maxAttribute bounds every text a directory sends, in bytes.
const maxAttribute = 256

// provRow is a person as the connection's own rows and the account's say.
type provRow struct {
	Provisioned
	state, idx string
	roles      []string
	member     bool  // of the team, perhaps without a role
	linked     bool  // the directory has spoken of them
	off, ended bool  // deprovisioned by the connection; deleted by it
	confirmed  bool  // the address
	version    int64 // of the link
	others     int64 // other teams of the person
}

func (r *provRow) visible() bool {
	return !r.ended && (r.linked || r.member) || r.member && r.state == stateActive
}

// provAbout is the sealed part of a link.
type provAbout struct {
	UserName   string `json:"u"`
	ExternalID string `json:"x,omitempty"`
	Given      string `json:"g,omitempty"`
	Family     string `json:"f,omitempty"`
	Formatted  string `json:"n,omitempty"`
	Display    string `json:"d,omitempty"`
}

func errMoved() error {
	return fault.New(fault.Conflict, "scim_moved", fault.Public{Problem: "The resource was changed meanwhile.", Next: "Read it and try again."})
}

func errUserExists() error {
	return fault.New(fault.Conflict, "user_exists", fault.Public{Problem: "There is a user with this userName or address already.",
		Expected: "A userName and an address that nobody has.", Next: "Look for the user with a filter, and link it."})
}

func errNoUser() error {
	return fault.Newf(fault.NotFound, "no_user", "There is no such user.")
}

// ProvisionedPeople lists people of the connection's team, the oldest first, and says how
// many there are in all. Nobody of another team is ever among them.
func (s *Service) ProvisionedPeople(ctx context.Context, who actor.Actor, q ProvisionQuery) ([]Provisioned, int64, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return nil, 0, err
	}
	where, args, err := s.provisionWhere(ctx, c, q)
	if err != nil || where == nowhere {
		return nil, 0, err
	}
	var total int64
	if err := ledger.One(ctx, s.DB, `SELECT COUNT(*) `+provisionedFrom+where, []any{&total}, args...); err != nil {
		return nil, 0, fmt.Errorf("count provisioned people: %w", err)
	}
	if q.Count <= 0 {
		return nil, total, nil
	}
	n := len(args)
	rows, err := s.provRows(ctx, provisionedBy+where+fmt.Sprintf(` ORDER BY p.created, p.id LIMIT $%d OFFSET $%d`, n+1, n+2), append(args, int64(min(q.Count, 200)), int64(max(q.Start, 0)))...)
	out := make([]Provisioned, len(rows))
	for i := range rows {
		out[i] = rows[i].Provisioned
	}
	return out, total, err
}

// nowhere is the condition of a query that can match nobody.
const nowhere = " AND FALSE"

func (s *Service) provisionWhere(ctx context.Context, c Connection, q ProvisionQuery) (string, []any, error) {
	args := []any{c.Team, c.ID}
	switch q.By {
	case "":
		return provisionedSeen, args, nil
	case "id":
		return provisionedSeen + ` AND p.id = $3`, append(args, q.Value), nil
	case "externalId":
		ext, err := s.mac(ctx, "scim-external", c.ID, "user", q.Value)
		return provisionedSeen + ` AND u.ext = $3`, append(args, ext), err
	}
	idx := ""
	if addr, err := ParseAddress(q.Value); err == nil {
		if idx, err = s.index(ctx, addr); err != nil {
			return "", nil, err
		}
	}
	switch q.By {
	case "email":
		if idx == "" {
			return nowhere, nil, nil
		}
		return provisionedSeen + ` AND a.idx = $3`, append(args, idx), nil
	case "userName":
		uname, err := s.mac(ctx, "scim-user", c.ID, foldName(q.Value))
		return provisionedSeen + ` AND (u.uname = $3 OR u.person IS NULL AND a.idx = $4 AND $4 <> '')`, append(args, uname, idx), err
	}
	return "", nil, fmt.Errorf("look for people by %q: not a way to look", q.By)
}

// ProvisionedPerson is one person of the connection's team; fault.NotFound for everybody
// else.
func (s *Service) ProvisionedPerson(ctx context.Context, who actor.Actor, id string) (Provisioned, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return Provisioned{}, err
	}
	r, err := s.provisioned(ctx, c, id)
	return r.Provisioned, err
}

func (s *Service) provisioned(ctx context.Context, c Connection, id string) (provRow, error) {
	rows, err := s.provRows(ctx, provisionedBy+provisionedSeen+` AND p.id = $3`, c.Team, c.ID, id)
	if err != nil {
		return provRow{}, err
	}
	if len(rows) == 0 {
		return provRow{}, errNoUser()
	}
	return rows[0], nil
}

func (s *Service) provRows(ctx context.Context, query string, args ...any) ([]provRow, error) {
	var out []provRow
	var boxes [][3][]byte // about, address, name
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		var r provRow
		var b [3][]byte
		var roles, linked *string
		var created, changed int64
		var confirmed, off, ended *int64
		if err := scan(&r.ID, &r.state, &r.idx, &b[1], &confirmed, &b[2], &roles, &linked, &b[0], &r.version, &created, &changed, &off, &ended, &r.others); err != nil {
			return err
		}
		r.member, r.linked, r.off, r.ended, r.confirmed = roles != nil, linked != nil, off != nil, ended != nil, confirmed != nil
		if roles != nil {
			r.roles = rolesOf(*roles)
		}
		r.Active = r.member && r.state == stateActive
		r.Created, r.Changed = at(created), at(changed)
		out, boxes = append(out, r), append(boxes, b)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read provisioned people: %w", err)
	}
	for i := range out {
		if err := s.openProvisioned(ctx, args[1].(string), &out[i], boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) openProvisioned(ctx context.Context, connection string, r *provRow, b [3][]byte) (err error) {
	state := "off"
	if r.Active {
		state = "on"
	}
	r.Version = fmt.Sprintf("%d-%s", r.version, state)
	if r.Email, err = s.text(ctx, "identity_address.address", r.idx, b[1]); err != nil {
		return err
	}
	if len(b[0]) == 0 { // made otherwise: the directory learns what it needs to find them
		r.UserName = r.Email
		r.Display, err = s.text(ctx, "identity_person.name", r.ID, b[2])
		return err
	}
	text, err := s.text(ctx, "identity_scim_user.about", connection+"/"+r.ID, b[0])
	if err != nil {
		return err
	}
	var a provAbout
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return fmt.Errorf("read what a directory said: %w", err)
	}
	r.UserName, r.ExternalID, r.Given, r.Family, r.Formatted, r.Display = a.UserName, a.ExternalID, a.Given, a.Family, a.Formatted, a.Display
	return nil
}

// provWish is a checked form, with all that must be computed outside of the change.
type provWish struct {
	form       ProvisionForm
	addr       Address
	idx        string
	uname, ext string
	name       string
	inDomain   bool
}

func (s *Service) provisionWish(ctx context.Context, c Connection, f ProvisionForm) (w provWish, err error) {
	f.UserName = strings.TrimSpace(f.UserName)
	bad := func(format string, a ...any) error {
		return fault.Newf(fault.Invalid, "user_invalid", format, a...)
	}
	if f.UserName == "" {
		return w, bad("A user needs a userName.")
	}
	for name, v := range map[string]*string{"userName": &f.UserName, "externalId": &f.ExternalID, "name.givenName": &f.Given, "name.familyName": &f.Family, "name.formatted": &f.Formatted, "displayName": &f.Display} {
		clean, ok := cleanText(*v)
		if !ok {
			return w, bad("%s is longer than %d bytes or holds a control character.", name, maxAttribute)
		}
		*v = clean
	}
	email := f.Email
	if email == "" {
		email = f.UserName
	}
	if w.addr, err = ParseAddress(email); err != nil {
		return w, bad("A user needs an address: one of emails, or a userName that is one.")
	}
	f.Email = w.addr.Text
	w.form = f
	w.name = firstOf(f.Display, f.Formatted, strings.TrimSpace(f.Given+" "+f.Family))
	if r := []rune(w.name); len(r) > 100 {
		w.name = string(r[:100])
	}
	w.inDomain = slices.Contains(c.Domains, w.addr.Domain()) // clause: auth.signup-email
	if w.idx, err = s.index(ctx, w.addr); err != nil {
		return w, err
	}
	if w.uname, err = s.mac(ctx, "scim-user", c.ID, foldName(f.UserName)); err != nil {
		return w, err
	}
	if f.ExternalID != "" {
		w.ext, err = s.mac(ctx, "scim-external", c.ID, "user", f.ExternalID)
	}
	return w, err
}

func cleanText(s string) (string, bool) {
	if len(s) > maxAttribute {
		return "", false
	}
	c, ok := cleanName(s[:min(len(s), maxAttribute)])
	if !ok && len([]rune(s)) > 100 { // longer than a name here may be, and still text
		return s, !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
	}
	return c, ok
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (s *Service) sealAbout(ctx context.Context, c Connection, person string, f ProvisionForm) ([]byte, error) {
	j, err := json.Marshal(provAbout{f.UserName, f.ExternalID, f.Given, f.Family, f.Formatted, f.Display})
	if err != nil {
		return nil, fmt.Errorf("write what a directory said: %w", err)
	}
	return s.seal(ctx, keyring.Person(person), "identity_scim_user.about", c.ID+"/"+person, j)
}

// proveAddress notes that a link worked for an address which nobody had confirmed: it was
// mailed there, or the operator who handed it over vouches for the person.
func proveAddress(ctx context.Context, tx *ledger.Tx, l link) error {
	n, err := tx.Exec(ctx, confirmAddressOf, l.person, us(tx.Now())) // clause: auth.signup-email
	if err == nil && n > 0 {
		tx.Also(AddressProved{Person: l.person, Link: l.id})
	}
	return err
}

// joinLetter brings the first link of somebody whom their team's directory made.
func (s *Service) joinLetter(l newLink) typedLetter {
	return typedLetter{kind: "identity.join-link", Letter: mail.Letter{
		Title: "Set your first password",
		Lines: []string{"Your team made an account for you here. Set a password to begin; with that you also confirm this address.",
			fmt.Sprintf("The link works once, for %s, until %s. A newer link replaces it.", spell(l.ttl), stamp(s.Now().Add(l.ttl)))},
		Link: &mail.Link{Text: "Set a password", URL: s.Origin + l.path()},
		Foot: []string{"If you know nothing of this, do nothing."},
	}}
}

// Provision makes a person of the connection's team. A userName or address that somebody
// has, here or in another team, is fault.Conflict, user_exists. Somebody whom the
// connection deleted before is the same person again.
func (s *Service) Provision(ctx context.Context, who actor.Actor, f ProvisionForm, begun time.Time) (Provisioned, error) {
	c, err := s.Provisioner(ctx, who)
	if err != nil {
		return Provisioned{}, err
	}
	w, err := s.provisionWish(ctx, c, f)
	if err != nil {
		return Provisioned{}, err
	}
	holder, err := s.accountByIndex(ctx, w.idx)
	if err == nil {
		rows, err := s.provRows(ctx, provisionedBy+` AND p.id = $3`, c.Team, c.ID, holder.id)
		if err != nil {
			return Provisioned{}, err
		}
		if len(rows) == 0 || rows[0].visible() || !rows[0].ended {
			return Provisioned{}, errUserExists()
		}
		return s.saveProvisioned(ctx, who, provSave{c: c, before: rows[0], wish: w, begun: begun})
	}
	if !errors.Is(err, fault.NotFound) {
		return Provisioned{}, err
	}
	id, err := s.makeProvisioned(ctx, who, c, w)
	if errors.Is(err, fault.Conflict) {
		err = errUserExists()
	}
	if err != nil {
		return Provisioned{}, err
	}
	r, err := s.provisioned(ctx, c, id)
	return r.Provisioned, err
}

func (s *Service) makeProvisioned(ctx context.Context, who actor.Actor, c Connection, w provWish) (string, error) {
	n := newPerson{name: w.name, addr: w.addr, idx: w.idx, kind: c.Kind, team: c.Team, how: "scim", unproved: !w.inDomain}
	if c.Standard != "" {
		n.roles = []string{c.Standard}
	}
	var err error
	if c.Kind == Staff {
		if n.handle, err = s.freeHandle(ctx, w.addr); err != nil {
			return "", err
		}
	}
	p, err := s.sealPerson(ctx, n)
	if err != nil {
		return "", err
	}
	about, err := s.sealAbout(ctx, c, p.id, w.form)
	if err != nil {
		return "", err
	}
	send, err := s.firstLink(ctx, w.form.Active && n.unproved, p.id, w.addr.Text)
	if err != nil {
		return "", err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := p.insert(ctx, tx); err != nil {
			return nil, err
		}
		var off any
		if !w.form.Active {
			off = us(tx.Now())
			if _, err := tx.Exec(ctx, setState, p.id, stateDisabled, off, stateActive); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, insertProvisioned, c.ID, p.id, w.uname, w.ext, about, us(tx.Now()), off); err != nil {
			return nil, err
		}
		how := "letter"
		if w.inDomain {
			how = "domain"
		}
		return UserProvisioned{Person: p.id, Connection: c.ID, Team: c.Team, Roles: p.roles, How: how}, send(tx)
	})
	if err != nil {
		return "", fmt.Errorf("provision a person: %w", err)
	}
	return p.id, nil
}

// firstLink prepares the letter with a first link, where one is wanted, and what puts both
// into the change.
func (s *Service) firstLink(ctx context.Context, wanted bool, person, to string) (func(*ledger.Tx) error, error) {
	if !wanted {
		return func(*ledger.Tx) error { return nil }, nil
	}
	l := s.link(OwnerLink, person, "")
	job, err := s.letter(ctx, to, s.joinLetter(l))
	if err != nil {
		return nil, err
	}
	return func(tx *ledger.Tx) error {
		if err := l.insert(ctx, tx); err != nil {
			return err
		}
		tx.Also(LinkIssued{Link: l.id, Kind: string(l.kind), Person: person, Until: tx.Now().Add(l.ttl)})
		return s.Mail.Enqueue(ctx, tx, job)
	}, nil
}

const (
	provisionedFrom = `FROM identity_person p LEFT JOIN identity_address a ON a.person = p.id
		LEFT JOIN identity_member m ON m.person = p.id AND m.team = $1
		LEFT JOIN identity_scim_user u ON u.person = p.id AND u.connection = $2
		WHERE p.state IN ('active', 'disabled')
		AND p.id IN (SELECT person FROM identity_member WHERE team = $1 UNION SELECT person FROM identity_scim_user WHERE connection = $2)`
	provisionedBy = `SELECT p.id, p.state, COALESCE(a.idx, ''), a.address, a.confirmed, p.name, m.roles, u.person, u.about, COALESCE(u.version, 0),
		COALESCE(u.created, m.since, p.created), COALESCE(u.changed, m.since, p.created), u.off, u.ended,
		(SELECT COUNT(*) FROM identity_member o WHERE o.person = p.id AND o.team <> $1) ` + provisionedFrom
	provisionedSeen   = ` AND (u.ended IS NULL OR m.person IS NOT NULL AND p.state = 'active')`
	insertProvisioned = `INSERT INTO identity_scim_user (connection, person, uname, ext, about, version, created, changed, off, ended) VALUES ($1, $2, $3, $4, $5, 1, $6, $6, $7, NULL)`
	dropProvisioned   = `DELETE FROM identity_scim_user WHERE person = $1`
	dropGroupPerson   = `DELETE FROM identity_scim_member WHERE person = $1`
	confirmAddressOf  = `UPDATE identity_address SET confirmed = $2 WHERE person = $1 AND confirmed IS NULL AND how = 'scim'`
)
