package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The kinds of clients, how far they are trusted, and for whom they are.
const (
	Confidential = "confidential" // keeps a secret
	Public       = "public"       // a native program or a page: has none
	FirstParty   = "first-party"  // the company's own: no question but for offline access
	ThirdParty   = "third-party"  // the person is asked
	ForStaff     = "staff"
	ForCustomers = "customers"
	ForEveryone  = "everyone"
)

// Client is an application that people sign in to.
type Client struct {
	ID         string
	Name       string
	Kind       string
	Trust      string
	Audience   string
	Redirects  []string
	After      []string // where a browser may go after signing out
	Back       string   // back-channel logout
	Front      string   // front-channel logout
	Scopes     []string
	Alg        string
	RequirePAR bool
	ACR        int
	Resource   bool // may introspect tokens of other clients
	Created    time.Time
	Secrets    []Secret
}

type client = Client

// Secret is a client's secret as people see it: never the secret.
type Secret struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// NewClient is an application to register. Empty members get the preset: confidential,
// third-party, for everyone, all scopes but offline_access, RS256; pushed requests are
// demanded of a confidential client for staff.
type NewClient struct {
	Name       string
	Kind       string
	Trust      string
	Audience   string
	Redirects  []string
	After      []string
	Back       string
	Front      string
	Scopes     []string
	Alg        string
	RequirePAR *bool
	ACR        int
	Resource   bool
}

// Registered is a new client with its secret, which is shown once.
type Registered struct {
	Client Client
	Secret secret.Text // empty for a public client
}

const secretPrefix, accessPrefix, refreshPrefix = "writ_ocs_", "writ_oat_", "writ_ort_" // for scanners of leaked secrets

func newSecret(prefix string) secret.Text {
	return secret.NewText(prefix + secret.RandomText(32).Reveal())
}

// Register adds a client. The secret is in the answer and nowhere else.
func (s *Service) Register(ctx context.Context, who actor.Actor, in NewClient) (Registered, error) {
	if err := s.Access.Allow(ctx, who, access.ClientsManage, ""); err != nil {
		return Registered{}, err
	}
	c, err := in.client()
	if err != nil {
		return Registered{}, err
	}
	if err := s.RenewKeys(ctx); err != nil { // the first client is the first who needs them
		return Registered{}, err
	}
	c.ID = randomID()
	out := Registered{}
	var hash string
	if c.Kind == Confidential {
		out.Secret = newSecret(secretPrefix)
		hash = sum(out.Secret)
		c.Secrets = []Secret{{ID: randomID()}}
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		c.Created = tx.Now()
		if _, err := tx.Exec(ctx, insertClient, c.ID, c.Name, c.Kind, c.Trust, c.Audience, joined(c.Redirects), joined(c.After), c.Back, c.Front,
			joined(c.Scopes), c.Alg, c.RequirePAR, int64(c.ACR), c.Resource, us(c.Created)); err != nil {
			return nil, err
		}
		if c.Kind == Confidential {
			c.Secrets[0].Created = tx.Now()
			if _, err := tx.Exec(ctx, insertSecret, c.Secrets[0].ID, c.ID, hash, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		return ClientRegistered{Client: c.ID, Name: c.Name, Kind: c.Kind, Trust: c.Trust, Audience: c.Audience, Redirects: c.Redirects, Scopes: c.Scopes, PAR: c.RequirePAR}, nil
	})
	if err != nil {
		return Registered{}, fmt.Errorf("register client: %w", err)
	}
	out.Client = c
	return out, nil
}

// client checks what is to be registered, and fills in the presets.
func (in NewClient) client() (Client, error) {
	c := Client{Name: strings.TrimSpace(in.Name), Kind: or(in.Kind, Confidential), Trust: or(in.Trust, ThirdParty), Audience: or(in.Audience, ForEveryone),
		Redirects: in.Redirects, After: in.After, Back: in.Back, Front: in.Front, Scopes: in.Scopes, Alg: or(in.Alg, "RS256"), ACR: in.ACR, Resource: in.Resource}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{scopeOpenID, scopeProfile, scopeEmail, scopeRoles}
	}
	c.RequirePAR = c.Audience == ForStaff && c.Kind == Confidential
	if in.RequirePAR != nil {
		c.RequirePAR = *in.RequirePAR
	}
	var fs []fault.Field
	bad := func(field, code, problem string) {
		fs = append(fs, fault.Field{Name: field, Code: code, Problem: problem})
	}
	if n := utf8.RuneCountInString(c.Name); n == 0 || n > 100 || !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl) {
		bad("name", "name_invalid", "A name has 1 to 100 characters.")
	}
	choice := func(field, got string, of ...string) {
		if !slices.Contains(of, got) {
			bad(field, field+"_unknown", fmt.Sprintf("%q is not %s.", got, strings.Join(of, " or ")))
		}
	}
	choice("kind", c.Kind, Confidential, Public)
	choice("trust", c.Trust, FirstParty, ThirdParty)
	choice("audience", c.Audience, ForStaff, ForCustomers, ForEveryone)
	choice("alg", c.Alg, "RS256", "ES256")
	for _, w := range c.Scopes {
		choice("scopes", w, scopesKnown()...)
	}
	if !slices.Contains(c.Scopes, scopeOpenID) {
		bad("scopes", "scopes_unknown", "The scope openid is missing.")
	}
	if len(c.Redirects) == 0 || len(c.Redirects) > 20 || len(c.After) > 20 {
		bad("redirects", "redirect_invalid", "1 to 20 redirect addresses are needed.")
	}
	address := func(field, code string, native bool, all ...string) {
		for _, a := range all {
			if why := goodAddress(a, native); why != "" {
				bad(field, code, fmt.Sprintf("%q %s.", a, why))
			}
		}
	}
	address("redirects", "redirect_invalid", c.Kind == Public, c.Redirects...)
	address("after", "redirect_invalid", c.Kind == Public, c.After...)
	for field, a := range map[string]string{"back": c.Back, "front": c.Front} {
		if a != "" {
			address(field, "logout_invalid", false, a)
		}
	}
	if c.ACR < 0 || c.ACR > 3 {
		bad("acr", "acr_unknown", "A level is 1, 2 or 3.")
	}
	if c.Resource && c.Kind != Confidential {
		bad("resource", "resource_public", "Only a client with a secret may look at tokens of others.")
	}
	if len(fs) > 0 {
		return c, fault.New(fault.Invalid, fs[0].Code, fault.Public{Problem: fs[0].Problem, Next: "Correct this and try again.", Fields: fs})
	}
	slices.Sort(c.Scopes)
	c.Scopes = slices.Compact(c.Scopes)
	return c, nil
}

func or(s, preset string) string {
	if s == "" {
		return preset
	}
	return s
}

// Clients lists the registered clients by name.
func (s *Service) Clients(ctx context.Context, who actor.Actor) ([]Client, error) {
	if err := s.Access.Allow(ctx, who, access.ClientsRead, ""); err != nil {
		return nil, err
	}
	return s.clients(ctx, allClients)
}

// ClientByID is one registered client.
func (s *Service) ClientByID(ctx context.Context, who actor.Actor, id string) (Client, error) {
	if err := s.Access.Allow(ctx, who, access.ClientsRead, "client/"+id); err != nil {
		return Client{}, err
	}
	return s.client(ctx, id)
}

// client is a live client; fault.NotFound when there is none.
func (s *Service) client(ctx context.Context, id string) (Client, error) {
	if len(id) > 64 {
		return Client{}, noClient()
	}
	return s.memo.clients.Get(s.DB, id, func() (Client, error) {
		cs, err := s.clients(ctx, oneClient, id)
		if err != nil {
			return Client{}, err
		}
		if len(cs) != 1 {
			return Client{}, noClient()
		}
		return cs[0], nil
	})
}

func noClient() error {
	return fault.New(fault.NotFound, "no_client", fault.Public{Problem: "There is no such application.", Next: "Look at the list of applications."})
}

func (s *Service) clients(ctx context.Context, query string, args ...any) ([]Client, error) {
	var out []Client
	err := s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var c Client
		var redirects, after, scopes string
		var acr, created int64
		if err := scan(&c.ID, &c.Name, &c.Kind, &c.Trust, &c.Audience, &redirects, &after, &c.Back, &c.Front, &scopes, &c.Alg, &c.RequirePAR, &acr, &c.Resource, &created); err != nil {
			return err
		}
		c.Redirects, c.After, c.Scopes, c.ACR, c.Created = lines(redirects), lines(after), words(scopes), int(acr), at(created)
		out = append(out, c)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read clients: %w", err)
	}
	for i := range out {
		err := s.DB.Each(ctx, secretsOf, func(scan ledger.Scan) error {
			var x Secret
			var created int64
			err := scan(&x.ID, &created)
			x.Created = at(created)
			out[i].Secrets = append(out[i].Secrets, x)
			return err
		}, out[i].ID)
		if err != nil {
			return nil, fmt.Errorf("read secrets of clients: %w", err)
		}
	}
	return out, nil
}

// Rotate gives a client a new secret beside the one it has, so that it can be put in
// place before the old one goes. A third takes the place of the oldest.
func (s *Service) Rotate(ctx context.Context, who actor.Actor, id string) (secret.Text, error) {
	if err := s.Access.Allow(ctx, who, access.ClientsManage, "client/"+id); err != nil {
		return secret.Text{}, err
	}
	c, err := s.client(ctx, id)
	if err != nil {
		return secret.Text{}, err
	}
	if c.Kind != Confidential {
		return secret.Text{}, fault.Newf(fault.Conflict, "no_secret", "A public client has no secret.")
	}
	fresh, sid := newSecret(secretPrefix), randomID()
	h := sum(fresh)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if n, err := tx.Exec(ctx, holdClient, id); err != nil || n != 1 {
			return nil, errors.Join(err, noClientIf(n))
		}
		gone, err := tx.Exec(ctx, dropOldSecrets, id)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertSecret, sid, id, h, us(tx.Now())); err != nil {
			return nil, err
		}
		return ClientSecretMade{Client: id, Secret: sid, Dropped: gone}, nil
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("rotate secret: %w", err)
	}
	return fresh, nil
}

func noClientIf(n int64) error {
	if n == 0 {
		return noClient()
	}
	return nil
}

// RemoveSecret ends one secret of a client. The last one stays: remove the client instead.
func (s *Service) RemoveSecret(ctx context.Context, who actor.Actor, id, secretID string) error {
	if err := s.Access.Allow(ctx, who, access.ClientsManage, "client/"+id); err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if n, err := tx.Exec(ctx, holdClient, id); err != nil || n != 1 {
			return nil, errors.Join(err, noClientIf(n))
		}
		n, err := tx.Exec(ctx, dropSecret, id, secretID)
		if err == nil && n != 1 {
			err = fault.New(fault.Conflict, "last_secret", fault.Public{Problem: "There is no such secret, or it is the only one.", Next: "Make a new one first, or remove the application."})
		}
		return ClientSecretRemoved{Client: id, Secret: secretID}, err
	})
	if err != nil {
		return fmt.Errorf("remove secret: %w", err)
	}
	return nil
}

// Remove ends a client with its secrets, consents and tokens.
func (s *Service) Remove(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.ClientsManage, "client/"+id); err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endClient, id, us(tx.Now()))
		if err != nil || n != 1 {
			return nil, errors.Join(err, noClientIf(n))
		}
		ev := ClientRemoved{Client: id}
		if ev.Families, err = tx.Exec(ctx, endFamiliesOfClient, id, us(tx.Now())); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, dropSecretsOf, id); err != nil {
			return nil, err
		}
		ev.Consents, err = tx.Exec(ctx, dropConsentsOf, id)
		return ev, err
	})
	if err != nil {
		return fmt.Errorf("remove client: %w", err)
	}
	return nil
}

// proves reports whether a secret is one of the client's. Only hashes are compared, and
// the secrets are random, so there is nothing to guess by time.
func (s *Service) proves(ctx context.Context, id string, given secret.Text) (bool, error) {
	if len(id) > 64 || given.Len() > 200 || given.IsZero() {
		return false, nil
	}
	hash := sum(given) // clause: auth.one-way
	return s.memo.proofs.Get(s.DB, id+" "+hash, func() (bool, error) {
		var n int64
		if err := ledger.One(ctx, s.DB, countSecret, []any{&n}, id, hash); err != nil {
			return false, fmt.Errorf("look up secret: %w", err)
		}
		return n == 1, nil
	})
}

// admits reports whether somebody of the team kind may use the client.
func (c *Client) admits(kind string) bool {
	switch c.Audience {
	case ForEveryone:
		return true
	case ForStaff:
		return kind == identity.Staff
	case ForCustomers:
		return kind != identity.Staff
	}
	return false
}

const (
	clientColumns = `SELECT id, name, kind, trust, audience, redirects, after, back, front, scopes, alg, require_par, acr, resource, created FROM identity_oidc_client WHERE ended IS NULL`
	allClients    = clientColumns + ` AND id NOT LIKE 'canary-%' ORDER BY name, id LIMIT 1000`
	oneClient     = clientColumns + ` AND id = $1`
	insertClient  = `INSERT INTO identity_oidc_client (id, name, kind, trust, audience, redirects, after, back, front, scopes, alg, require_par, acr, resource, created, ended)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, NULL)`
	holdClient     = `UPDATE identity_oidc_client SET name = name WHERE id = $1 AND ended IS NULL`
	endClient      = `UPDATE identity_oidc_client SET ended = $2 WHERE id = $1 AND ended IS NULL`
	insertSecret   = `INSERT INTO identity_oidc_secret (id, client, hash, created) VALUES ($1, $2, $3, $4)`
	secretsOf      = `SELECT id, created FROM identity_oidc_secret WHERE client = $1 ORDER BY created, id`
	countSecret    = `SELECT COUNT(*) FROM identity_oidc_secret WHERE client = $1 AND hash = $2`
	dropOldSecrets = `DELETE FROM identity_oidc_secret WHERE client = $1 AND id NOT IN
		(SELECT id FROM identity_oidc_secret WHERE client = $1 ORDER BY created DESC, id DESC LIMIT 1)`
	dropSecret = `DELETE FROM identity_oidc_secret WHERE client = $1 AND id = $2
		AND (SELECT COUNT(*) FROM identity_oidc_secret WHERE client = $1) > 1`
	dropSecretsOf       = `DELETE FROM identity_oidc_secret WHERE client = $1`
	dropConsentsOf      = `DELETE FROM identity_oidc_consent WHERE client = $1`
	endFamiliesOfClient = `UPDATE identity_oidc_family SET ended = $2, cause = 'client-removed' WHERE client = $1 AND ended IS NULL`
)
