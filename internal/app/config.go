package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/identity/upstream"
	"writ/internal/notify"
	"writ/internal/vault/unseal"

	"github.com/goccy/go-yaml"
)

// Config is DIR/writ.yaml: what the machine needs to know and the policy does not
// speak about. Unknown keys are refused with line and column.
type Config struct {
	Company   string         `yaml:"company"`            // shown on sign-in pages and in letters
	App       string         `yaml:"app"`                // public origin, https://app.example.com
	HTTPS     string         `yaml:"https"`              // listening address of the one public listener
	HTTP      string         `yaml:"http,omitempty"`     // listening address that only redirects; empty for none
	Upstream  []UpstreamConf `yaml:"upstream"`           // the application behind: where it can be reached
	Database  string         `yaml:"database,omitempty"` // postgres://…; empty = DIR/writ.db
	Keys      KeysConfig     `yaml:"keys,omitempty"`
	Mail      MailConfig     `yaml:"mail"`
	TLS       TLSConfig      `yaml:"tls,omitempty"`
	Operators []string       `yaml:"operators,omitempty"` // further user names or uids that may use the socket
	Identity  IDConfig       `yaml:"identity,omitempty"`
	Vault     VaultConf      `yaml:"vault,omitempty"`
	Gateway   GateConf       `yaml:"gateway,omitempty"`
	Watch     WatchConf      `yaml:"watch,omitempty"`
	Export    ExportConf     `yaml:"export,omitempty"`
	Status    StatusConf     `yaml:"status,omitempty"`
	TermsURL  string         `yaml:"terms_url,omitempty"` // where customers read the terms: a URL, or a path of the application that anyone may read

	TrustedProxies []string `yaml:"trusted_proxies,omitempty"` // addresses or prefixes of proxies in front, whose X-Forwarded- headers count
	Hosts          []string `yaml:"hosts,omitempty"`           // further public names that such a proxy serves

	SecurityText DisclosureConf `yaml:"security_txt,omitempty"` // what /.well-known/security.txt says beside the policy's contact
}

// KeysConfig says where the keys lie when not in DIR/keys.db.
type KeysConfig struct {
	URL     string `yaml:"url,omitempty"`
	Backups string `yaml:"backups,omitempty"` // folder of their backups, in this one or absolute; empty = backups/keys, and none beside url, whose servers must all see it
}

// MailConfig says where letters go.
type MailConfig struct {
	URL  string `yaml:"url"`
	From string `yaml:"from"`

	Reports string `yaml:"reports,omitempty"` // address whose letters it brings there as well: each is a report, as of the status page's form
	Bounces string `yaml:"bounces,omitempty"` // where a mail server of this machine brings notices about deliveries by LMTP: a socket's path, or 127.0.0.1:2424
}

// TLSConfig names certificate files; both empty = Writ's local authority.
type TLSConfig struct {
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`

	ACME ACMEConf `yaml:"acme,omitempty"` // an authority that issues it, instead of files
}

// ACMEConf names an authority that issues the certificate by ACME.
type ACMEConf struct {
	Directory string `yaml:"directory,omitempty"` // https://acme-v02.api.letsencrypt.org/directory
	Email     string `yaml:"email,omitempty"`     // where it writes when something is wrong
	Roots     string `yaml:"roots,omitempty"`     // a file with the authorities behind it, where it is a company's own; in this folder or absolute
}

// IDConfig holds machine settings of signing in.
type IDConfig struct {
	BannedFile string              `yaml:"banned_file,omitempty"`      // a list of passwords to refuse, one a line
	Metadata   string              `yaml:"passkey_metadata,omitempty"` // a FIDO metadata file, in this folder or absolute: passkeys of its makers only
	Upstream   []upstream.Provider `yaml:"upstream,omitempty"`         // other providers that sign people in; client_secret_file is in this folder or absolute
}

// VaultConf holds machine settings of the vault.
type VaultConf struct {
	AutoAlias  bool          `yaml:"auto_alias,omitempty"`  // take any key alias that a client names
	ChangeType bool          `yaml:"change_type,omitempty"` // let a new version have another type than the last
	Unseal     unseal.Config `yaml:"unseal,omitempty"`      // who opens the vault at a start; nothing = DIR/root.key
	Demo       bool          `yaml:"demo,omitempty"`        // a demo: the keys of the holders lie beside it, and it says so
	Scan       []string      `yaml:"scan,omitempty"`        // places that are searched for credentials twice a day; in this folder or absolute
}

// StatusConf holds machine settings of the status page.
type StatusConf struct {
	Host    string      `yaml:"host,omitempty"`                // a public name at which the page is alone, at /: status.example.com
	Export  string      `yaml:"export,omitempty"`              // a folder that outlives this server, where the page is written as files; in this folder or absolute
	Places  []PlaceConf `yaml:"places,omitempty"`              // object stores that it is published to as well
	Posts   []PostConf  `yaml:"posts,omitempty"`               // accounts on other networks
	Confirm bool        `yaml:"confirm_maintenance,omitempty"` // maintenance begins once a person says that it may, and not by the clock alone
}

const configName = "writ.yaml"

// ReadConfig loads DIR/writ.yaml.
func ReadConfig(dir string) (Config, error) {
	var c Config
	name := filepath.Join(dir, configName)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fault.New(fault.NotFound, "no_config", fault.Public{
			Problem: "There is no " + name + ".", Next: "Make one with: writ init --dir " + dir + " --app URL --upstream URL --owner EMAIL"})
	}
	if err != nil {
		return c, fmt.Errorf("read machine settings: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return c, fault.New(fault.Invalid, "config", fault.Public{Problem: where(name, err), Next: "Mend the file and start again."})
	}
	return c, c.check(name)
}

// where says what is wrong at which line and column. It quotes no line of the file:
// addresses in it may hold passwords.
func where(name string, err error) string {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil {
		return name + ": " + yaml.FormatError(err, false, false)
	}
	at := e.GetToken().Position
	return fmt.Sprintf("%s:%d:%d: %s.", name, at.Line, at.Column, e.GetMessage())
}

func (c Config) check(name string) error {
	bad := func(key, got, want string) error {
		return fault.New(fault.Invalid, "config", fault.Public{
			Problem: fmt.Sprintf("%s: %s is %q.", name, key, got), Expected: "Expected " + want + ".", Next: "Mend the file and start again."})
	}
	if u, err := url.Parse(c.App); err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.ForceQuery || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return bad("app", c.App, "an origin such as https://app.example.com")
	}
	if _, _, err := net.SplitHostPort(c.HTTPS); err != nil {
		return bad("https", c.HTTPS, "an address such as :443 or 127.0.0.1:8443")
	}
	if c.HTTP != "" {
		if _, _, err := net.SplitHostPort(c.HTTP); err != nil {
			return bad("http", c.HTTP, "an address such as :80")
		}
	}
	if err := c.checkUpstreams(bad); err != nil {
		return err
	}
	if c.TermsURL != "" && !goodTermsURL(c.TermsURL) {
		return bad("terms_url", c.TermsURL, "a URL such as https://www.example.com/terms, or a path such as /terms")
	}
	if key, got, want := c.Vault.Unseal.Check(); key != "" {
		return bad(key, got, want)
	}
	if c.Vault.Unseal.Is() == unseal.Shares && c.Keys.URL != "" {
		return bad("vault.unseal.kind", unseal.Shares, "another kind beside keys.url: shares are of one folder, and other servers may use these keys")
	}
	if err := c.checkACME(bad); err != nil {
		return err
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return bad("tls", c.TLS.Cert+c.TLS.Key, "both tls.cert and tls.key, or neither")
	}
	if err := c.Gateway.check(bad); err != nil {
		return err
	}
	if field, got, want := c.SecurityText.read().Check(); field != "" {
		return bad("security_txt."+field, got, want)
	}
	if err := errors.Join(c.Status.check(bad), c.checkHost(bad)); err != nil {
		return err
	}
	if want := notify.GoodIntake(c.Mail.Bounces); c.Mail.Bounces != "" && want != "" {
		return bad("mail.bounces", c.Mail.Bounces, want)
	}
	if a, err := mail.ParseAddress(c.Mail.Reports); c.Mail.Reports != "" && (err != nil || a.Address != c.Mail.Reports || strings.EqualFold(c.Mail.Reports, c.Mail.From) || c.Mail.Bounces == "") {
		return bad("mail.reports", c.Mail.Reports, "an address of its own, and mail.bounces beside it")
	}
	if err := c.Watch.check(bad); err != nil {
		return err
	}
	if err := c.Export.check(bad); err != nil {
		return err
	}
	return c.checkProxies(bad)
}

// goodHostname is a public name as it stands in Host headers.
var goodHostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

func (c Config) checkProxies(bad func(key, got, want string) error) error {
	for _, p := range c.TrustedProxies {
		n, err := proxyNet(p)
		if err != nil || n.Bits() == 0 {
			return bad("trusted_proxies", p, "the address of a proxy, or a prefix such as 10.0.0.0/8, and not everybody")
		}
	}
	for _, h := range c.Hosts {
		if !goodHostname.MatchString(h) || len(h) > 253 || net.ParseIP(h) != nil {
			return bad("hosts", h, "a name such as shop.example.com, in small letters and without a port")
		}
	}
	if len(c.Hosts) > 0 && len(c.TrustedProxies) == 0 {
		return bad("hosts", strings.Join(c.Hosts, ", "), "trusted_proxies beside it: only a proxy serves further names")
	}
	return nil
}

// goodTermsURL accepts what may stand in a link on the sign-up page.
func goodTermsURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || len(s) > 500 {
		return false
	}
	if u.Scheme == "" && u.Host == "" {
		return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.HasPrefix(s, "/-/") && !strings.Contains(s, `\`)
	}
	return u.Scheme == "https" && u.Hostname() != ""
}

func proxyNet(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// proxies are the trusted ones.
func (c Config) proxies() []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range c.TrustedProxies {
		if p, err := proxyNet(s); err == nil { // check has seen it
			ps = append(ps, p)
		}
	}
	return ps
}

// Origin is the public origin without a slash at its end.
func (c Config) Origin() string { return strings.TrimRight(c.App, "/") }

// names are the public ones that a certificate is for.
func (c Config) names() []string {
	if c.Status.Host == "" {
		return []string{c.Hostname()}
	}
	return []string{c.Hostname(), c.Status.Host}
}

// checkHost wants a name that is nobody else's: the application is not there.
func (c Config) checkHost(bad func(key, got, want string) error) error {
	h := c.Status.Host
	if h == "" || goodHostname.MatchString(h) && len(h) <= 253 && net.ParseIP(h) == nil && h != strings.ToLower(c.Hostname()) && !slices.Contains(c.Hosts, h) {
		return nil
	}
	return bad("status.host", h, "a name of its own such as status.example.com, in small letters and without a port")
}

// Hostname is the public name.
func (c Config) Hostname() string { u, _ := url.Parse(c.App); return u.Hostname() }

// write stores the settings readable by the owner of the folder alone.
func (c Config) write(dir string) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode machine settings: %w", err)
	}
	if len(c.Operators) == 0 {
		c.Operators = nil // as it is read back
	}
	if len(c.TrustedProxies) == 0 {
		c.TrustedProxies = nil
	}
	if len(c.Hosts) == 0 {
		c.Hosts = nil
	}
	if len(c.Gateway.OpenAPI) == 0 {
		c.Gateway.OpenAPI = nil
	}
	if len(c.Gateway.Egress.Callers) == 0 {
		c.Gateway.Egress.Callers = nil
	}
	c.SecurityText = c.SecurityText.tidy()
	if len(c.Vault.Scan) == 0 {
		c.Vault.Scan = nil
	}
	if len(c.Watch.Allow) == 0 {
		c.Watch.Allow = nil
	}
	if len(c.Export.To) == 0 {
		c.Export.To = nil
	}
	var back Config // the encoder does not carry every text: a name may come back as another, or as syntax
	if err := yaml.UnmarshalWithOptions(b, &back, yaml.Strict()); err != nil || fmt.Sprintf("%#v", back) != fmt.Sprintf("%#v", c) {
		return fault.New(fault.Invalid, "config", fault.Public{Problem: "The settings hold a text that " + configName + " cannot carry.",
			Expected: "Names and addresses without tabs and line breaks, and not beginning like YAML's own signs.", Next: "Look at the company's name, and run it again."})
	}
	head := "# Machine settings of Writ. Everything the policy speaks about is in the policy, not here.\n"
	return os.WriteFile(filepath.Join(dir, configName), append([]byte(head), b...), 0o600)
}
