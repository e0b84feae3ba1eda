package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// LeftOut is what is kept of a person and does not stand in their copy.
type LeftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// inCopy says under which name the rows of a table that are about a person stand in
// their copy. A table that is here or in notInCopy is spoken for; a test knows all others.
var inCopy = map[string]string{
	"identity_person": "person", "identity_address": "person", "identity_password": "person",
	"identity_member": "teams", "identity_grant": "lent_roles", "identity_review_item": "reviews", "identity_use": "uses", "identity_invitation": "invitations",
	"identity_session": "sessions", "identity_device": "browsers", "identity_flow": "sign_in_steps", "identity_link": "links", "identity_address_change": "address_changes",
	"identity_factor": "factors", "identity_passkey": "factors", "identity_recovery": "recovery_codes", "identity_grace": "graces", "identity_factor_reset": "factor_resets",
	"identity_legacy": "brought_over", "identity_scim_user": "directory", "identity_scim_member": "directory",
	"identity_leaving": "account_ends", "identity_terms": "terms", "identity_support": "looks",
	"identity_token": "tokens", "identity_service": "services",
	"identity_oidc_consent": "applications", "identity_oidc_family": "applications", "identity_oidc_login": "applications", "identity_upstream_link": "elsewhere",
}

// notInCopy are the columns of those tables, and the tables, that are no part of a copy.
var notInCopy = map[string]LeftOut{
	"identity_password.phc": {"the hash of the password", "Whoever has it can try passwords in their own time."},
	"identity_factor.box":   {"the seeds of apps that show codes", "Whoever has one can make your codes."},
	"identity_passkey.box":  {"the keys that know your passkeys", "They prove nothing to you and would tie your accounts together."},
	"identity_recovery.code identity_session.token identity_device.token identity_token.token identity_link.token identity_flow.bind identity_invitation.token identity_support.token": {
		"hashes of tokens, codes and links", "They stand for what is secret; what they are for is in the copy."},
	"identity_oidc_code identity_oidc_refresh identity_oidc_access":                    {"hashes of what applications hold", "They stand for what is secret; the sign-ins they belong to are in the copy."},
	"identity_scim_user.uname identity_address.idx identity_throttle identity_attempt": {"marks by which an address or a name is found", "They say nothing by themselves; what they stand for is in the copy, or nobody's yet."},
	"identity_flow.payload": {"a new password that waits for a second factor", "It is a secret of yours, and gone within a day."},
}

// LeftOutOfCopy lists what a copy does not hold, and why.
func LeftOutOfCopy() []LeftOut {
	out := slices.Collect(maps.Values(notInCopy))
	slices.SortFunc(out, func(a, b LeftOut) int { return strings.Compare(a.What, b.What) })
	return out
}

// OwnLoan is a role lent for a while.
type OwnLoan struct {
	Role   string     `json:"role"`
	Need   string     `json:"need,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Asked  time.Time  `json:"asked"`
	Until  time.Time  `json:"until"`
	Began  *time.Time `json:"began,omitempty"`
	Ended  *time.Time `json:"ended,omitempty"`
	Cause  string     `json:"cause,omitempty"`
}

// OwnReview is a right that was looked at in a review.
type OwnReview struct {
	Role     string     `json:"role"`
	Kind     string     `json:"kind"` // role, grant
	Why      string     `json:"why,omitempty"`
	Decision string     `json:"decision,omitempty"`
	Outcome  string     `json:"outcome,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Decided  *time.Time `json:"decided,omitempty"`
}

// OwnUse is how often a right was used on a day.
type OwnUse struct {
	Action string    `json:"action"`
	Day    time.Time `json:"day"`
	Times  int64     `json:"times"`
}

// OwnInvitation is an invitation that was sent or accepted. The address of somebody else
// who was invited is theirs.
type OwnInvitation struct {
	Team   string     `json:"team"`
	Roles  []string   `json:"roles"`
	Sent   bool       `json:"sent"` // false: accepted
	Issued time.Time  `json:"issued"`
	Ends   time.Time  `json:"ends"`
	Ended  *time.Time `json:"ended,omitempty"`
	Cause  string     `json:"cause,omitempty"`
}

// OwnStep is something begun at sign-in that needed another step.
type OwnStep struct {
	Kind  string     `json:"kind"`
	Began time.Time  `json:"began"`
	Ended *time.Time `json:"ended,omitempty"`
	Cause string     `json:"cause,omitempty"`
}

// OwnRecovery counts recovery codes.
type OwnRecovery struct {
	Left int64      `json:"left"`
	Used int64      `json:"used"`
	Made *time.Time `json:"made,omitempty"`
}

// OwnGrace is the one time below a level: 2 without a second factor, 3 without a passkey.
type OwnGrace struct {
	Level int       `json:"level"`
	Began time.Time `json:"began"`
	Until time.Time `json:"until"`
}

// OwnFactorReset is a request to take lost factors away.
type OwnFactorReset struct {
	Reason string     `json:"reason,omitempty"`
	Asked  time.Time  `json:"asked"`
	Ended  *time.Time `json:"ended,omitempty"`
	Cause  string     `json:"cause,omitempty"`
}

// OwnLegacy says how somebody came from another system.
type OwnLegacy struct {
	Format   string    `json:"format"`
	Imported time.Time `json:"imported"`
}

// OwnDirectory is what the directory of a team says.
type OwnDirectory struct {
	Directory  string     `json:"directory"`
	UserName   string     `json:"user_name,omitempty"`
	ExternalID string     `json:"external_id,omitempty"`
	Given      string     `json:"given_name,omitempty"`
	Family     string     `json:"family_name,omitempty"`
	Formatted  string     `json:"formatted,omitempty"`
	Display    string     `json:"display_name,omitempty"`
	Groups     []string   `json:"groups"`
	Created    time.Time  `json:"created"`
	Changed    time.Time  `json:"changed"`
	Off        *time.Time `json:"deprovisioned,omitempty"`
	Ended      *time.Time `json:"ended,omitempty"`
}

// OwnToken is a token, live or ended in the last 90 days.
type OwnToken struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Scopes   []string   `json:"scopes"`
	Networks []string   `json:"networks,omitempty"`
	Issued   time.Time  `json:"issued"`
	Expires  time.Time  `json:"expires"`
	Seen     time.Time  `json:"seen,omitzero"`
	Ended    *time.Time `json:"ended,omitempty"`
	Cause    string     `json:"cause,omitempty"`
}

// OwnService is a program's account that one stands behind.
type OwnService struct {
	Name    string     `json:"name"`
	Team    string     `json:"team"`
	Roles   []string   `json:"roles"`
	Created time.Time  `json:"created"`
	Ended   *time.Time `json:"ended,omitempty"`
}

// OwnApplication is an application that one allowed something or signed in to.
type OwnApplication struct {
	Client  string      `json:"client"`
	Name    string      `json:"name"`
	Scopes  []string    `json:"scopes,omitempty"` // allowed; none where nothing was asked
	Given   *time.Time  `json:"given,omitempty"`
	SignIns []OwnSignIn `json:"sign_ins"`
}

// OwnSignIn is a sign-in to an application.
type OwnSignIn struct {
	Began   time.Time  `json:"began"`
	Scopes  []string   `json:"scopes,omitempty"`
	Offline bool       `json:"offline,omitempty"` // it goes on without a session
	Ends    *time.Time `json:"ends,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
	Cause   string     `json:"cause,omitempty"`
}

// OwnElsewhere is an account at another provider that signs in here.
type OwnElsewhere struct {
	Provider string    `json:"provider"`
	How      string    `json:"how"` // session, domain
	Linked   time.Time `json:"linked"`
}

// OwnHabits is what is remembered of somebody to notice when another uses their account.
type OwnHabits struct {
	First     time.Time `json:"first_seen"`
	Last      time.Time `json:"last_seen"`
	Networks  []string  `json:"networks"` // "many": too many to be kept
	Agents    []string  `json:"agents"`
	Endpoints []string  `json:"endpoints"`
	Countries []string  `json:"countries"`
	Hours     []string  `json:"hours_of_the_week"` // Monday 09
}

// OwnReport is something that one reported about the service while signed in.
type OwnReport struct {
	Reference string     `json:"reference"`
	Kind      string     `json:"kind"`
	Text      string     `json:"text"`
	Email     string     `json:"answer_to,omitempty"`
	At        time.Time  `json:"at"`
	Answered  *time.Time `json:"answered,omitempty"`
}

// OwnExposure is what one was told, or was to be told, about exposed data.
type OwnExposure struct {
	Incident string    `json:"incident"`
	Class    string    `json:"class"` // obtained, accessed or possibly
	Data     []string  `json:"data,omitempty"`
	Accesses int64     `json:"accesses"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Letter   string    `json:"letter"` // what became of it
	At       time.Time `json:"at"`
}

// rowsOf reads the rows of one person.
func rowsOf[T any](ctx context.Context, s *Service, query, person string, read func(scan scanner) (T, error)) ([]T, error) {
	out := []T{}
	err := s.DB.Each(ctx, query, func(scan scanner) error {
		row, err := read(scan)
		out = append(out, row)
		return err
	}, person)
	return out, err
}

func (s *Service) ownRights(ctx context.Context, person string, d *OwnData) (err error) {
	if d.Lent, err = rowsOf(ctx, s, ownLoans, person, func(scan scanner) (g OwnLoan, err error) {
		var asked, until int64
		var began, ended *int64
		err = scan(&g.Role, &g.Need, &g.Reason, &asked, &until, &began, &ended, &g.Cause)
		g.Asked, g.Until, g.Began, g.Ended = at(asked), at(until), someAt(began), someAt(ended)
		return g, err
	}); err != nil {
		return err
	}
	if d.Reviews, err = rowsOf(ctx, s, ownReviews, person, func(scan scanner) (r OwnReview, err error) {
		var decided *int64
		err = scan(&r.Role, &r.Kind, &r.Why, &r.Decision, &r.Outcome, &r.Reason, &decided)
		r.Decided = someAt(decided)
		return r, err
	}); err != nil {
		return err
	}
	d.Uses, err = rowsOf(ctx, s, ownUses, person, func(scan scanner) (u OwnUse, err error) {
		var day int64
		err = scan(&u.Action, &day, &u.Times)
		u.Day = at(day)
		return u, err
	})
	return err
}

func (s *Service) ownInvitations(ctx context.Context, person string, d *OwnData) (err error) {
	d.Invitations, err = rowsOf(ctx, s, ownInvitations, person, func(scan scanner) (v OwnInvitation, err error) {
		var roles string
		var issued, expires int64
		var ended *int64
		err = scan(&v.Team, &roles, &v.Sent, &issued, &expires, &ended, &v.Cause)
		v.Roles, v.Issued, v.Ends, v.Ended = rolesOf(roles), at(issued), at(expires), someAt(ended)
		return v, err
	})
	return err
}

func (s *Service) ownSteps(ctx context.Context, person string, d *OwnData) (err error) {
	d.Steps, err = rowsOf(ctx, s, ownSteps, person, func(scan scanner) (x OwnStep, err error) {
		var began int64
		var ended *int64
		err = scan(&x.Kind, &began, &ended, &x.Cause)
		x.Began, x.Ended = at(began), someAt(ended)
		return x, err
	})
	return err
}

// ownRecovery reads what there is for the day a factor is lost, and what was done on it.
func (s *Service) ownRecovery(ctx context.Context, person string, d *OwnData) error {
	counts, err := rowsOf(ctx, s, ownCodes, person, func(scan scanner) (r OwnRecovery, err error) {
		var made *int64
		err = scan(&r.Left, &r.Used, &made)
		r.Made = someAt(made)
		return r, err
	})
	if err != nil {
		return err
	}
	d.Recovery = counts[0] // an aggregate has one row
	if d.Graces, err = rowsOf(ctx, s, ownGraces, person, func(scan scanner) (g OwnGrace, err error) {
		var began, until int64
		err = scan(&g.Level, &began, &until)
		g.Began, g.Until = at(began), at(until)
		return g, err
	}); err != nil {
		return err
	}
	var ids []string
	var boxes [][]byte
	if d.FactorResets, err = rowsOf(ctx, s, ownFactorResets, person, func(scan scanner) (f OwnFactorReset, err error) {
		var id string
		var box []byte
		var asked int64
		var ended *int64
		err = scan(&id, &box, &asked, &ended, &f.Cause)
		f.Asked, f.Ended = at(asked), someAt(ended)
		ids, boxes = append(ids, id), append(boxes, box)
		return f, err
	}); err != nil {
		return err
	}
	for i := range boxes {
		if d.FactorResets[i].Reason, err = s.text(ctx, "identity_factor_reset.reason", ids[i], boxes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) ownLegacy(ctx context.Context, person string, d *OwnData) error {
	ls, err := rowsOf(ctx, s, ownLegacy, person, func(scan scanner) (l OwnLegacy, err error) {
		var imported int64
		err = scan(&l.Format, &imported)
		l.Imported = at(imported)
		return l, err
	})
	if len(ls) > 0 {
		d.BroughtOver = &ls[0]
	}
	return err
}

func (s *Service) ownDirectory(ctx context.Context, person string, d *OwnData) error {
	var connections []string
	var boxes [][]byte
	var err error
	if d.Directory, err = rowsOf(ctx, s, ownDirectories, person, func(scan scanner) (o OwnDirectory, err error) {
		var id string
		var box []byte
		var created, changed int64
		var off, ended *int64
		err = scan(&id, &o.Directory, &box, &created, &changed, &off, &ended)
		o.Groups, o.Created, o.Changed, o.Off, o.Ended = []string{}, at(created), at(changed), someAt(off), someAt(ended)
		connections, boxes = append(connections, id), append(boxes, box)
		return o, err
	}); err != nil {
		return err
	}
	for i := range d.Directory {
		o := &d.Directory[i]
		text, err := s.text(ctx, "identity_scim_user.about", connections[i]+"/"+person, boxes[i])
		if err != nil {
			return err
		}
		if text != "" {
			var a provAbout
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				return fmt.Errorf("read what a directory said: %w", err)
			}
			o.UserName, o.ExternalID, o.Given, o.Family, o.Formatted, o.Display = a.UserName, a.ExternalID, a.Given, a.Family, a.Formatted, a.Display
		}
		gs, err := s.groups(ctx, Connection{ID: connections[i]}, groupsBy+` AND EXISTS (SELECT 1 FROM identity_scim_member m WHERE m.grp = g.id AND m.person = $2)`, connections[i], person)
		if err != nil {
			return err
		}
		for _, g := range gs {
			o.Groups = append(o.Groups, g.Name)
		}
	}
	return nil
}

// ownLooks are the looks at somebody, and those of a member of staff at customers: of
// these nothing that is the customer's.
func (s *Service) ownLooks(ctx context.Context, person string, d *OwnData) error {
	at, err := s.lookedAt(ctx, person)
	if err != nil {
		return err
	}
	made, err := s.looks(ctx, `g.staff = $1 ORDER BY g.began DESC, g.id DESC LIMIT 500`, person)
	d.Looks, d.LooksMade = []OwnLook{}, []OwnLook{}
	for _, l := range at {
		d.Looks = append(d.Looks, ownLook(l))
	}
	for _, l := range made {
		d.LooksMade = append(d.LooksMade, ownLook(l))
	}
	return err
}

func (s *Service) ownTokens(ctx context.Context, person string, d *OwnData) error {
	var names [][]byte
	var err error
	if d.Tokens, err = rowsOf(ctx, s, ownTokens, person, func(scan scanner) (t OwnToken, err error) {
		var name []byte
		var scopes, networks string
		var issued, expires, seen int64
		var ended *int64
		err = scan(&t.ID, &name, &scopes, &networks, &issued, &expires, &seen, &ended, &t.Cause)
		t.Scopes, t.Networks, t.Issued, t.Expires, t.Ended = strings.Fields(scopes), strings.Fields(networks), at(issued), at(expires), someAt(ended)
		if seen > 0 {
			t.Seen = at(seen)
		}
		names = append(names, name)
		return t, err
	}); err != nil {
		return err
	}
	for i := range names {
		if d.Tokens[i].Name, err = s.text(ctx, "identity_token.name", d.Tokens[i].ID, names[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) ownServices(ctx context.Context, person string, d *OwnData) (err error) {
	d.Services, err = rowsOf(ctx, s, ownServices, person, func(scan scanner) (v OwnService, err error) {
		var roles string
		var created int64
		var ended *int64
		err = scan(&v.Name, &v.Team, &roles, &created, &ended)
		v.Roles, v.Created, v.Ended = rolesOf(roles), at(created), someAt(ended)
		return v, err
	})
	return err
}

const (
	ownLoans        = `SELECT role, need, reason, asked, until, began, ended, cause FROM identity_grant WHERE person = $1 ORDER BY asked DESC, id DESC`
	ownReviews      = `SELECT role, kind, why, decision, outcome, reason, decided FROM identity_review_item WHERE person = $1 ORDER BY id DESC`
	ownUses         = `SELECT action, day, n FROM identity_use WHERE person = $1 ORDER BY day DESC, action`
	ownInvitations  = `SELECT team, roles, inviter = $1, issued, expires, ended, cause FROM identity_invitation WHERE inviter = $1 OR person = $1 ORDER BY issued DESC, id DESC`
	ownSteps        = `SELECT kind, created, ended, cause FROM identity_flow WHERE person = $1 ORDER BY created DESC, id`
	ownCodes        = `SELECT COUNT(*) - COUNT(used), COUNT(used), MAX(made) FROM identity_recovery WHERE person = $1`
	ownGraces       = `SELECT acr, began, until FROM identity_grace WHERE person = $1 ORDER BY acr`
	ownFactorResets = `SELECT id, reason, asked, ended, cause FROM identity_factor_reset WHERE person = $1 ORDER BY asked DESC, id DESC`
	ownLegacy       = `SELECT format, imported FROM identity_legacy WHERE person = $1`
	ownDirectories  = `SELECT c.id, c.name, u.about, u.created, u.changed, u.off, u.ended FROM identity_scim_user u JOIN identity_scim c ON c.id = u.connection WHERE u.person = $1 ORDER BY u.created, c.id`
	ownTokens       = `SELECT id, name, scopes, networks, issued, expires, seen, ended, cause FROM identity_token WHERE person = $1 AND kind = 'personal' ORDER BY issued DESC, id DESC`
	ownServices     = `SELECT name, team, roles, created, ended FROM identity_service WHERE owner = $1 ORDER BY created, id`
)
