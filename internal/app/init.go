package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/cli"
	"writ/internal/fault"
	"writ/internal/fips"
	"writ/internal/gateway"
	"writ/internal/identity"
	"writ/internal/keyring"
	"writ/internal/policy/document"
	"writ/internal/policy/template"

	"golang.org/x/sys/unix"
)

// Setup is what Init needs beside what the command line gives.
type Setup struct {
	cli.InitOptions
	Edits map[string]document.Literal // further parameters, for the demo
	Scan  []string                    // places that are searched for credentials
	API   []string                    // descriptions of the application's interface
	Names map[string]string           // address → name of an owner; else the address's first part
	Demo  bool                        // the keys of the holders will lie beside it

	Egress EgressConf // a way out for private services

	Resolver string // path at which the application says whose a record is
}

// Init makes a folder: settings, keys, database, the adopted policy and the owners'
// links. On a folder that was made it changes nothing.
func Init(ctx context.Context, o cli.InitOptions) (cli.InitResult, error) {
	return Make(ctx, Setup{InitOptions: o})
}

// Make is Init with more said.
func Make(ctx context.Context, s Setup) (_ cli.InitResult, err error) {
	res := cli.InitResult{Dir: s.Dir}
	ready := prepared(s.Dir)
	if _, err := os.Stat(filepath.Join(s.Dir, configName)); err == nil && !ready {
		return res, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return res, fmt.Errorf("look at folder: %w", err)
	}
	c, err := s.config(ready)
	if err != nil {
		return res, err
	}
	doc, err := s.document()
	if err != nil {
		return res, err
	}
	if err := gateway.CheckOutbound(ctx, c.outbound()); err != nil { // before anything is dialled
		return res, err
	}
	unix.Umask(0o077)
	restore, err := makeDir(s.Dir, ready)
	if err != nil {
		return res, err
	}
	defer func() {
		if err != nil { // nothing half done stays
			err = errors.Join(err, restore())
		}
	}()
	if err := keyring.Create(ctx, keyring.Options{Dir: s.Dir, URL: c.Keys.URL, Now: time.Now}); err != nil {
		return res, err
	}
	a, err := openWith(ctx, Options{Dir: s.Dir, Log: slog.New(slog.DiscardHandler), setup: true}, c)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if res.Owners, err = a.adopt(ctx, s, doc); err != nil {
		return res, err
	}
	for cl, p := range doc.Params() {
		if p.Decide != "" {
			res.ToDecide = append(res.ToDecide, cli.Decision{Key: cl.Key(p.Name), Value: p.Literal.String(), Why: p.Decide})
		}
	}
	res.Changed = true
	if err := c.write(s.Dir); err != nil { // last: its presence says that all before was done
		return res, err
	}
	if ready {
		return res, os.Remove(filepath.Join(s.Dir, preparedName))
	}
	return res, nil
}

// adopt puts the document in force and makes the owners.
func (a *App) adopt(ctx context.Context, s Setup, doc *document.Policy) ([]cli.OwnerLink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // modules want an address of the door; nothing is served
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	a.https = l
	a.closers = append(a.closers, ignoreClosed(l))
	if err := a.build(ctx); err != nil {
		return nil, err
	}
	who := actor.Actor{Kind: actor.Operator, ID: "uid-" + strconv.Itoa(os.Getuid()), Via: "init"}
	if _, err := a.policy.Bootstrap(ctx, who, doc); err != nil {
		return nil, err
	}
	if err := a.start(ctx); err != nil {
		return nil, err
	}
	var links []cli.OwnerLink
	for i, email := range s.Owners {
		name := s.Names[email]
		if name == "" {
			name, _, _ = strings.Cut(email, "@")
		}
		handle := s.handles()[i]
		added, err := a.identity.EnsureOwner(ctx, who, identity.AddStaff{Email: email, Name: name, Handle: handle})
		if err != nil {
			return nil, err
		}
		links = append(links, cli.OwnerLink{Email: email, URL: added.URL.Reveal()})
	}
	return links, nil
}

// handles gives each owner a handle of its own, from the first part of the address.
func (s Setup) handles() []string {
	seen := map[string]bool{}
	var hs []string
	for _, email := range s.Owners {
		base, _, _ := strings.Cut(strings.ToLower(email), "@")
		base = strings.Trim(strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, base), "-")
		if base == "" || base[0] < 'a' {
			base = "owner-" + base
		}
		h := strings.Trim(base, "-")
		for n := 2; seen[h]; n++ {
			h = base + "-" + strconv.Itoa(n)
		}
		seen[h] = true
		hs = append(hs, h)
	}
	return hs
}

// config makes the machine settings, of a prepared folder with those that lie there.
func (s Setup) config(ready bool) (Config, error) {
	if len(s.Owners) == 0 {
		return Config{}, fault.New(fault.Invalid, "owners", fault.Public{Problem: "No owner was named.",
			Expected: "Those who sign the policy: two or more are best.", Next: "Add --owner EMAIL."})
	}
	for _, o := range s.Owners {
		if _, err := identity.ParseAddress(o); err != nil {
			return Config{}, err
		}
	}
	abs, err := filepath.Abs(s.Dir)
	if err != nil {
		return Config{}, err
	}
	var waf WAFConf
	if s.Demo { // it shows what a refusal is; elsewhere the rules only tell, until their finds were reviewed
		waf.Mode = gateway.WAFBlock
	}
	c := Config{Gateway: GateConf{OpenAPI: s.API, WAF: waf, Egress: s.Egress, Resolver: s.Resolver}, Vault: VaultConf{Demo: s.Demo, Scan: s.Scan}, Company: s.Company, App: s.App, HTTPS: s.HTTPS, HTTP: s.HTTP, Upstream: upstreamsOf(s.Upstreams), Mail: MailConfig{URL: s.Mail}}
	if ready {
		if err := c.fill(filepath.Join(s.Dir, configName)); err != nil {
			return c, err
		}
	}
	if c.HTTPS == "" {
		c.HTTPS = ":443"
		if c.HTTP == "" {
			c.HTTP = ":80"
		}
	}
	if c.Mail.URL == "" {
		c.Mail.URL = "file://" + filepath.Join(abs, "mail")
	}
	if err := c.check("writ init"); err != nil {
		return c, err
	}
	host := c.Hostname()
	if c.Company == "" {
		c.Company = host
	}
	if c.Mail.From == "" {
		c.Mail.From = "writ@" + host
		if !strings.Contains(host, ".") {
			c.Mail.From += ".invalid"
		}
	}
	return c, nil
}

// document fills the header of the shipped template, or of the file given.
func (s Setup) document() (*document.Policy, error) {
	file, name := template.YAML(), "the shipped template"
	if fips.Now().Enabled {
		file = template.Certified()
	}
	if s.PolicyFile != "" {
		b, err := os.ReadFile(s.PolicyFile)
		if err != nil {
			return nil, fmt.Errorf("read policy file: %w", err)
		}
		file, name = b, s.PolicyFile
	}
	doc, problems := document.Load(file, document.Shipped())
	if doc == nil {
		return nil, document.Refusal(document.InFile(name, problems))
	}
	var owners []string
	for _, h := range s.handles() {
		owners = append(owners, "person/"+h)
	}
	author := owners[0]
	if s.Author != "" {
		author = ""
		for i, o := range owners {
			if s.Author == s.Owners[i] || s.Author == o || "person/"+s.Author == o {
				author = o
			}
		}
		if author == "" {
			return nil, fault.New(fault.Invalid, "author", fault.Public{Problem: fmt.Sprintf("The author %q is none of the owners.", s.Author),
				Expected: "The address of one of --owner.", Next: "Owners can name another author in a revision later."})
		}
	}
	doc, problems = document.Fill(doc, document.Header{Contact: s.Owners[0], Author: author, Owners: owners})
	if doc == nil {
		return nil, document.Refusal(problems)
	}
	edits := map[string]document.Literal{}
	if _, ok := doc.Param("gov.owners/loosen_need"); ok && len(owners) > 1 {
		edits["gov.owners/loosen_need"] = document.Word(strconv.Itoa(min(2, len(owners)-1)))
	}
	maps.Copy(edits, s.Edits)
	doc, problems = document.Apply(doc, edits)
	if doc == nil {
		return nil, document.Refusal(problems)
	}
	return doc, nil
}

// makeDir makes the folder, or takes an empty or prepared one, and returns how to make
// it again what it was.
func makeDir(dir string, ready bool) (restore func() error, err error) {
	es, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
		return func() error { return os.RemoveAll(dir) }, nil
	case err != nil:
		return nil, fmt.Errorf("look at folder: %w", err)
	case len(es) > 0 && !ready:
		return nil, fault.New(fault.Conflict, "folder_not_empty", fault.Public{Problem: "The folder " + dir + " is not empty and holds no " + configName + ".",
			Expected: "An empty folder, one that does not exist, or one with a prepared " + configName + " alone.", Next: "Choose another one with --dir."})
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("close folder to others: %w", err)
	}
	if !ready {
		return func() error { return emptied(dir) }, nil
	}
	back, err := setAside(dir)
	return func() error { return errors.Join(emptied(dir), back()) }, err
}

// hashWait is how long a sign-in waits for a free place to hash.
const hashWait = 2 * time.Second
