package upstream

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

//go:embed templates/*.html
var pageFS embed.FS

// Provider is one entry of identity.upstream in writ.yaml.
type Provider struct {
	Name       string   `yaml:"name"`  // in addresses: google
	Title      string   `yaml:"title"` // on the button: Google
	Issuer     string   `yaml:"issuer"`
	ClientID   string   `yaml:"client_id"`
	SecretFile string   `yaml:"client_secret_file"`
	Scopes     []string `yaml:"scopes,omitempty"`    // beside openid; empty = email
	HD         string   `yaml:"hd,omitempty"`        // the id token's hd must be this: the Google Workspace domain
	Domains    []string `yaml:"domains,omitempty"`   // a verified address in one of these links by itself
	TrustAMR   []string `yaml:"trust_amr,omitempty"` // words of amr that count as a second factor; never for owners
	Private    []string `yaml:"private,omitempty"`   // networks that may be reached although private, as 10.1.0.0/16
}

// People is what upstream sign-in needs of identity. EnterFrom decides what else is
// needed before a session begins, and leads on.
type People interface {
	EnterFrom(w http.ResponseWriter, r *http.Request, in identity.Entry, to string) error
	PersonByAddress(ctx context.Context, email string) (identity.Person, error)
	ActivePerson(ctx context.Context, id string) (identity.Person, error)
	// WayLetter prepares the letter about a way to sign in that was added or removed, and
	// gives what puts it into the change.
	WayLetter(ctx context.Context, person, way, did string) (func(context.Context, *ledger.Tx) error, error)
}

// Deps are what a Service is made of.
type Deps struct {
	DB        *ledger.DB
	Ring      *keyring.Ring
	People    People
	Providers []Provider
	Transport *http.Transport // its dialler and time limits are replaced; nil = a new one
	Origin    string
	Now       func() time.Time
	Log       *slog.Logger
	ReadFile  func(name string) ([]byte, error) // nil = os.ReadFile
}

// Service is sign-in by other providers. It is safe for concurrent use.
type Service struct {
	Deps
	set  *web.Pages
	all  map[string]*provider
	seen fold
}

// provider is a Provider made ready.
type provider struct {
	Provider
	secret secret.Text
	http   *http.Client

	mu    sync.Mutex
	found *oidc.Provider
	iss   bool // it says that it sends iss
	read  time.Time
	away  error     // why it could not be read
	until time.Time // and how long it is not asked again
}

var goodName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

// New makes a Service and reads the providers' secrets. It asks nobody anything yet: a
// provider that is away must not keep the server from starting.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Ring == nil || d.People == nil || d.Now == nil || d.Log == nil || d.Origin == "" {
		return nil, errors.New("upstream: a dependency is missing")
	}
	if d.ReadFile == nil {
		d.ReadFile = os.ReadFile
	}
	if d.Transport == nil {
		d.Transport = &http.Transport{}
	}
	set, err := web.NewPages(pageFS, web.Funcs{Now: d.Now})
	if err != nil {
		return nil, err
	}
	s := &Service{Deps: d, set: set, all: map[string]*provider{}}
	for i := range d.Providers {
		p, err := s.ready(d.Providers[i])
		if err != nil {
			return nil, err
		}
		if s.all[p.Name] != nil {
			return nil, bad("name", p.Name, "a name of its own for each provider")
		}
		s.all[p.Name] = p
	}
	return s, nil
}

func bad(key, got, want string) error {
	return fault.New(fault.Invalid, "config", fault.Public{Problem: fmt.Sprintf("identity.upstream: %s is %q.", key, got), Expected: "Expected " + want + ".", Next: "Mend writ.yaml and start again."})
}

// ready checks one provider's settings.
func (s *Service) ready(c Provider) (*provider, error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case !goodName.MatchString(c.Name):
		return nil, bad("name", c.Name, "lower-case letters, digits and hyphens")
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, bad("issuer", c.Issuer, "an address such as https://accounts.example.com")
	case c.ClientID == "" || c.SecretFile == "":
		return nil, bad("client_id", c.ClientID, "client_id and client_secret_file")
	}
	for _, d := range c.Domains {
		if d == "" || strings.ContainsAny(d, "@*/ ") || d != strings.ToLower(d) {
			return nil, bad("domains", d, "a domain such as example.com, in lower case")
		}
	}
	var private []netip.Prefix
	for _, n := range c.Private {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, bad("private", n, "a network such as 10.1.0.0/16")
		}
		private = append(private, p)
	}
	b, err := s.ReadFile(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("read client secret of %s: %w", c.Name, err)
	}
	p := &provider{Provider: c, secret: secret.NewText(strings.TrimSpace(string(b))), http: client(s.Transport, private)}
	clear(b)
	if p.secret.IsZero() {
		return nil, bad("client_secret_file", c.SecretFile, "a file that holds the secret")
	}
	if p.Title == "" {
		p.Title = p.Name
	}
	return p, nil
}

// Ways are the buttons of the sign-in page.
func (s *Service) Ways(to string) []web.Link {
	var out []web.Link
	for _, c := range s.Providers {
		v := url.Values{}
		if to = web.ReturnPath(to); to != "/" {
			v.Set("to", to)
		}
		href := "/-/upstream/" + c.Name
		if len(v) > 0 {
			href += "?" + v.Encode()
		}
		out = append(out, web.Link{Text: "Sign in with " + s.all[c.Name].Title, Href: href})
	}
	return out
}

// How long a discovery document counts, and a failure to read one.
const (
	rediscover = time.Hour
	unasked    = 10 * time.Second // after a failure
)

// discover reads the provider's document, at most once an hour. go-oidc refuses one
// whose issuer is not, letter by letter, the one that was set.
func (s *Service) discover(ctx context.Context, p *provider) (*oidc.Provider, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := s.Now(); p.found == nil || now.Sub(p.read) >= rediscover || now.Before(p.read) {
		if p.away != nil && now.Before(p.until) { // strangers must not make us knock
			return nil, false, p.away
		}
		p.until = now.Add(unasked)
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.http), p.Issuer) // its keys are read again by later requests
		var more struct {
			ISS bool `json:"authorization_response_iss_parameter_supported"`
		}
		if err == nil {
			err = errors.Join(found.Claims(&more), encrypted(found.Endpoint(), found.UserInfoEndpoint()))
		}
		if err != nil {
			p.away = fault.Wrap(fault.Unavailable, "upstream_away", fmt.Errorf("discover %s: %w", p.Name, err))
			return nil, false, p.away
		}
		p.found, p.iss, p.read, p.away = found, more.ISS, now, nil
	}
	return p.found, p.iss, nil
}

func encrypted(e oauth2.Endpoint, info string) error {
	for _, a := range []string{e.AuthURL, e.TokenURL, info} {
		u, err := url.Parse(a)
		if a == info && a == "" {
			continue
		}
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("the endpoint %q is not https", a)
		}
	}
	return nil
}

func (s *Service) config(p *provider, found *oidc.Provider) *oauth2.Config {
	e := found.Endpoint()
	scopes := p.Scopes
	if len(scopes) == 0 {
		scopes = []string{"email"}
	}
	if !slices.Contains(scopes, oidc.ScopeOpenID) {
		scopes = append([]string{oidc.ScopeOpenID}, scopes...)
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.secret.Reveal(), Endpoint: e, RedirectURL: s.Origin + callbackOf(p.Name), Scopes: scopes}
}

func callbackOf(name string) string { return "/-/upstream/" + name + "/callback" }

// Run writes folded refusals and removes old states, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	minute := time.NewTicker(20 * time.Second)
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return s.writeFolded(last, true)
		case <-minute.C:
			if err := errors.Join(s.writeFolded(ctx, false), s.sweep(ctx)); err != nil && ctx.Err() == nil {
				s.Log.Error("upstream housekeeping", "err", err)
			}
		}
	}
}

func (s *Service) sweep(ctx context.Context) error {
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, dropStates, s.Now().Add(-time.Hour).UnixMicro())
		return err
	})
}

// fold keeps strangers from filling the journal, as in oidc: ten a minute of one cause
// one by one, the rest as a number.
type fold struct {
	mu    sync.Mutex
	since time.Time
	n     map[UpstreamRefused]int64
}

func (s *Service) refused(ctx context.Context, who actor.Actor, name, cause string) error {
	ev := UpstreamRefused{Provider: name, Cause: cause}
	f := refusal()
	s.seen.mu.Lock()
	if s.seen.n == nil {
		s.seen.n = map[UpstreamRefused]int64{}
	}
	s.seen.n[ev]++
	n := s.seen.n[ev]
	s.seen.mu.Unlock()
	if n > 10 {
		return f
	}
	ev.Count = 1
	return s.DB.Refuse(ctx, who, ev, f)
}

func (s *Service) writeFolded(ctx context.Context, all bool) error {
	s.seen.mu.Lock()
	now := s.Now()
	if !all && now.Sub(s.seen.since) < time.Minute && !now.Before(s.seen.since) {
		s.seen.mu.Unlock()
		return nil
	}
	old := s.seen.n
	s.seen.n, s.seen.since = nil, now
	s.seen.mu.Unlock()
	var errs []error
	for ev, n := range old {
		if n > 10 {
			ev.Count = n - 10
			_, err := s.DB.Change(ctx, actor.System("identity-upstream"), func(*ledger.Tx) (ledger.Event, error) { return ev, nil })
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// refusal is the one answer to every answer of a provider that is not taken: it says
// nothing of who has an account.
func refusal() *fault.Error {
	return fault.New(fault.Unauthenticated, "upstream_refused", fault.Public{
		Problem: "This sign-in did not lead to an account here.", Expected: "An account elsewhere that is linked to your account here.",
		Next: "Sign in with your password, and link it under your account; or begin again if it took longer than ten minutes."})
}
