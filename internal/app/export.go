package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/feed"
)

// ExportConf names other systems that get the journal's entries and what is measured. What
// leads inside must be listed in watch.allow too.
type ExportConf struct {
	To []ExportTo `yaml:"to,omitempty"`
}

// ExportTo is one of them. Files are in this folder or absolute.
type ExportTo struct {
	Name    string `yaml:"name"`              // such as siem; its place in the journal is kept under it
	Kind    string `yaml:"kind"`              // syslog, otlp or ocsf
	Address string `yaml:"address,omitempty"` // of syslog logs.example.com:6514, of otlp https://otel.example.com:4318
	Folder  string `yaml:"folder,omitempty"`  // of ocsf
	CA      string `yaml:"ca_file,omitempty"` // authorities behind it; empty = the system's
	Cert    string `yaml:"cert_file,omitempty"`
	Key     string `yaml:"key_file,omitempty"`   // who we are, where it wants to know
	Token   string `yaml:"token_file,omitempty"` // for otlp
}

// check names the first setting that is not good.
func (c ExportConf) check(bad func(key, got, want string) error) error {
	seen := map[string]bool{}
	for _, t := range c.To {
		key := "export.to." + t.Name
		if !goodService.MatchString(t.Name) || seen[t.Name] {
			return bad("export.to.name", t.Name, "a name such as siem, each once")
		}
		seen[t.Name] = true
		if !slices.Contains([]string{feed.Syslog, feed.OTLP, feed.OCSF}, t.Kind) {
			return bad(key+".kind", t.Kind, "syslog, otlp or ocsf")
		}
		if (t.Cert == "") != (t.Key == "") {
			return bad(key, t.Cert+t.Key, "both cert_file and key_file, or neither")
		}
		if t.Token != "" && t.Kind != feed.OTLP {
			return bad(key+".token_file", t.Token, "none: only otlp takes one")
		}
		if got, want := t.place(); want != "" {
			return bad(key, got, want)
		}
	}
	return nil
}

// place looks at where it leads: what it is, and what was expected.
func (t ExportTo) place() (got, want string) {
	switch t.Kind {
	case feed.Syslog:
		host, port, err := net.SplitHostPort(t.Address)
		if err != nil || host == "" || port == "" || t.Folder != "" {
			return t.Address, "an address such as logs.example.com:6514, and no folder: syslog goes over TLS"
		}
	case feed.OTLP:
		u, err := url.Parse(t.Address)
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || t.Folder != "":
			return t.Address, "an address such as https://otel.example.com:4318, without a password in it, and no folder"
		case u.Scheme == "http" && t.Token != "":
			return t.Address, "https where there is a token_file"
		}
	case feed.OCSF:
		if t.Folder == "" || t.Address != "" {
			return t.Folder, "a folder such as exports/ocsf, and no address"
		}
	}
	return "", ""
}

// buildExport makes what carries entries out. It comes after watch, whose words it uses.
func (a *App) buildExport() error {
	d := feed.Deps{DB: a.db, Access: a.access, DialPlain: a.notify.DialPlain, Canary: a.watch.Canary, Rule: watch.Told, Families: a.watch.Families,
		Host: a.config.Hostname(), Version: Version, Now: a.now, Log: a.log.With("module", "watch")}
	for _, t := range a.config.Export.To {
		x, err := a.exportTarget(t)
		if err != nil {
			return fault.New(fault.Invalid, "config", fault.Public{Problem: "export.to." + t.Name + ": " + err.Error() + ".", Expected: "Files that this server can read.", Next: "Mend the file and start again."})
		}
		d.Targets = append(d.Targets, x)
	}
	var err error
	if a.feed, err = feed.New(d); err != nil {
		return err
	}
	for name, fn := range a.feed.Followers() {
		a.journal.Follow(name, fn)
	}
	return nil
}

func (a *App) exportTarget(t ExportTo) (feed.Target, error) {
	x := feed.Target{Name: t.Name, Kind: t.Kind, Address: t.Address}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.Kind == feed.OCSF {
		if x.Address = t.Folder; !filepath.IsAbs(t.Folder) {
			x.Address = a.path(t.Folder)
		}
		return x, nil
	}
	if t.CA != "" {
		b, err := a.readSecret(t.CA)
		if err != nil {
			return x, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(b) {
			return x, errors.New(t.CA + " holds no certificate")
		}
	}
	if t.Cert != "" {
		cert, err := a.readSecret(t.Cert)
		if err != nil {
			return x, err
		}
		key, err := a.readSecret(t.Key)
		if err != nil {
			return x, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return x, fmt.Errorf("%s: %w", t.Cert, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.Token != "" {
		b, err := a.readSecret(t.Token)
		if err != nil {
			return x, err
		}
		x.Token = secret.NewText(strings.TrimSpace(string(b)))
	}
	x.Dial = a.dialTLS(c)
	return x, nil
}

// dialTLS connects behind the guard of webhooks, and goes on with whoever proves to be it.
func (a *App) dialTLS(c *tls.Config) feed.Dial {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("address: %w", err)
		}
		raw, err := a.notify.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := c.Clone()
		c.ServerName = host
		conn := tls.Client(raw, c)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("handshake: %w", err), raw.Close())
		}
		return conn, nil
	}
}

// readExports gives the minutes that the oldest entry has waited for each of them.
func (a *App) readExports(context.Context) (rs []watch.Reading, err error) {
	for name, minutes := range a.feed.Late() {
		rs = append(rs, watch.Reading{Meter: "export.behind", Label: name, Value: minutes})
	}
	return rs, nil
}

// readCopies gives the minutes since each copy of the status page was brought up to date.
func (a *App) readCopies(context.Context) (rs []watch.Reading, err error) {
	for name, minutes := range a.status.Behind() {
		rs = append(rs, watch.Reading{Meter: "status.behind", Label: name, Value: minutes})
	}
	return rs, nil
}
