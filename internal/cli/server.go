package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"writ/internal/fips"
)

// serverCommands are the acts that were injected.
func (a *app) serverCommands() []*cobra.Command {
	var out []*cobra.Command
	if a.server.Init != nil {
		out = append(out, a.initCommand())
	}
	if a.server.Serve != nil {
		out = append(out, a.serveCommand())
	}
	if a.server.Demo != nil {
		out = append(out, a.demoCommand())
	}
	return out
}

func (a *app) initCommand() *cobra.Command {
	var o InitOptions
	c := &cobra.Command{
		Use: "init --app URL --upstream URL --owner EMAIL", Short: "Set up a folder, adopt the policy, invite its owners",
		Long: `Writes the folder --dir: machine settings, keys, database, and the policy as the first
revision, which stands unsigned until its owners have signed it. Prints each owner's
one-time link. Run again on the same folder it changes nothing and says so.`,
		Example: `  writ init --dir /srv/writ --app https://app.example.com --upstream http://10.0.1.10:3000 \
      --owner ana@example.com --owner ben@example.com --mail smtps://writ@mail.example.com`,
		Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			var err error
			if o.Dir, err = filepath.Abs(a.dir); err != nil {
				return err
			}
			r, err := a.server.Init(c.Context(), o)
			if err != nil {
				return err
			}
			return a.printInit(r)
		}),
	}
	f := c.Flags()
	f.StringVar(&o.App, "app", "", "public address of the application, https://app.example.com")
	f.StringArrayVar(&o.Upstreams, "upstream", nil, "address of the application behind, http://10.0.1.10:3000 or ZONE=URL; once for each place")
	f.StringArrayVar(&o.Owners, "owner", nil, "mail address of an owner of the policy; once for each")
	f.StringVar(&o.HTTPS, "https", "", "listening address, such as :443")
	f.StringVar(&o.HTTP, "http", "", "listening address that only redirects to HTTPS, such as :80")
	f.StringVar(&o.Mail, "mail", "", "where mail goes: smtp://user@host:587, smtps://…, file:///folder (default: DIR/mail)")
	f.StringVar(&o.PolicyFile, "policy", "", "policy file to adopt (default: the shipped one)")
	f.StringVar(&o.Author, "author", "", "who wrote the policy (default: the first owner)")
	f.StringVar(&o.Company, "company", "", "the company's name as customers know it")
	for _, name := range []string{"app", "upstream", "owner"} {
		_ = c.MarkFlagRequired(name) // the flag is there
	}
	return c
}

func (a *app) printInit(r InitResult) error {
	if a.json() {
		if r.Owners == nil {
			r.Owners = []OwnerLink{}
		}
		if r.ToDecide == nil {
			r.ToDecide = []Decision{}
		}
		return a.encode(r)
	}
	if !r.Changed {
		a.say("%s is set up already. Nothing was changed.", r.Dir)
		return nil
	}
	a.say("Writ is set up in %s.", r.Dir)
	if len(r.Owners) > 0 {
		a.say("\nEach owner opens their own link once, after the server has started:")
		t := newTable(a.out)
		for _, o := range r.Owners {
			t.row("  "+o.Email, o.URL)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(r.ToDecide) > 0 {
		a.say("\n%s kept the shipped default. Look at them and propose what fits you:", count(len(r.ToDecide), "value", "values"))
		t := newTable(a.out)
		for _, d := range r.ToDecide {
			t.row("  "+d.Key, d.Value, d.Why)
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	a.say("\nStart it with: writ serve --dir %s", r.Dir)
	return nil
}

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the server of a folder",
		Long: `Runs until it is told to end (ctrl-C, SIGTERM), then lets open requests finish. Logs one
line when it is ready, with the addresses. With --format json the log is lines of JSON.`,
		Example: `  writ serve --dir /srv/writ
  writ serve --dir /srv/writ --format json`,
		Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			dir, err := filepath.Abs(a.dir)
			if err != nil {
				return err
			}
			return a.server.Serve(c.Context(), ServeOptions{Dir: dir, JSONLog: a.json(), Log: a.err})
		}),
	}
}

func (a *app) demoCommand() *cobra.Command {
	var https string
	c := &cobra.Command{
		Use: "demo", Short: "Run Writ in front of a small sample application",
		Long: `Starts Writ on loopback in front of a sample application, with owners, an engineer and
two customer teams of example.test, and prints where to look. Mail lies in DIR/mail.
State stays in ./demo, or in --dir; a second start goes on with it.`,
		Example: `  writ demo
  writ demo --dir /tmp/writ-demo --https 127.0.0.1:8443`,
		Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			o := DemoOptions{HTTPS: https, Out: a.out, Log: a.err}
			if c.Flags().Changed("dir") || a.env("WRIT_DIR") != "" {
				var err error
				if o.Dir, err = filepath.Abs(a.dir); err != nil {
					return err
				}
			}
			return a.server.Demo(c.Context(), o)
		}),
	}
	c.Flags().StringVar(&https, "https", "", "listening address on loopback (default 127.0.0.1:8443)")
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program, and of its cryptographic module",
		Long: "Prints the version of this program, which cryptographic module it runs under, and what of its\ncryptography that module does not check. It asks no server.", Example: "  writ version",
		Args: cobra.NoArgs, Annotations: offlineCommand,
		RunE: run(func(*cobra.Command, []string) error {
			now := fips.Now()
			if a.json() {
				return a.encode(map[string]any{"version": a.server.Version, "go": runtime.Version(), "fips140": now, "outside": fips.Outside()})
			}
			a.say("writ %s", a.server.Version)
			if !now.Enabled {
				a.say("%s. Cryptographic module: %s, not in FIPS 140-3 mode.", runtime.Version(), now.Module)
				return nil
			}
			a.say("%s. Cryptographic module: %s, in FIPS 140-3 mode. It does not check:", runtime.Version(), now.Module)
			t := newTable(a.out, "WHAT", "WHERE", "INSTEAD")
			for _, u := range fips.Outside() {
				t.row(u.What, u.Where, u.Instead)
			}
			return t.flush()
		}),
	}
}

// readFile reads a file that was named as an argument; "-" is the standard input.
func (a *app) readFile(name string, limit int64) ([]byte, error) {
	if name == "-" {
		return readAll(a.in, "the standard input", limit)
	}
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	return readAll(f, name, limit)
}

// save writes a new file whole or not at all; it never overwrites.
func save(name string, write func(*os.File) error) (err error) {
	if _, err := os.Lstat(name); err == nil {
		return &exit{exitUsage, fmt.Errorf("%s is there already. Name another file", name)}
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".writ-*")
	if err != nil {
		return unreadable(name, err)
	}
	defer func() {
		if err != nil {
			f.Close()               // the error in hand says more
			_ = os.Remove(f.Name()) // as above
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Link(f.Name(), name); err != nil { // unlike a rename, it refuses what came there meanwhile
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Remove(f.Name())
}
