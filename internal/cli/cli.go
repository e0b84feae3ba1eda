package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/journal/verify"
)

// Server is what needs the whole house: cmd/writ injects it. A nil act has no command.
type Server struct {
	Init    func(context.Context, InitOptions) (InitResult, error)
	Serve   func(context.Context, ServeOptions) error
	Demo    func(context.Context, DemoOptions) error
	Version string

	// RestoreKeys brings the keys of a stopped server back from a backup.
	RestoreKeys func(context.Context, RestoreKeysOptions) (RestoreKeysResult, error)

	// CheckSet computes the set of a bundle of a breach again, and says what does not hold.
	CheckSet func(ctx context.Context, file io.ReaderAt, size int64) (SetResult, []string, error)

	// AskRule asks the rule of an alarm again about what its bundle holds.
	AskRule func(verify.Alarm) (string, error)

	// Exec puts another program into this process; nil = the system's own.
	Exec func(bin string, args, env []string) error
	// Ticks says when a program that runs is to be asked about again; nil = the clock.
	Ticks <-chan time.Time
}

// InitOptions are the answers that `writ init` needs.
type InitOptions struct {
	Dir        string   // absolute
	App        string   // public origin, https://app.example.com
	Upstreams  []string // the application behind
	Owners     []string // addresses of those who sign the policy
	HTTPS      string   // listening address; empty for the default
	HTTP       string   // listening address that only redirects; empty for none
	Mail       string   // smtp://…, file:///…; empty for DIR/mail
	PolicyFile string   // empty for the shipped template
	Author     string   // address or handle; empty for the first owner
	Company    string   // as customers know it; empty for the host's name
}

// InitResult is what `writ init` made. Its JSON is a surface.
type InitResult struct {
	Dir      string      `json:"dir"`
	Changed  bool        `json:"changed"` // false: the folder was there and stays as it is
	Owners   []OwnerLink `json:"owners"`
	ToDecide []Decision  `json:"to_decide"` // defaults that an owner should look at
}

// OwnerLink is an owner's one-time invitation.
type OwnerLink struct {
	Email string `json:"email"`
	URL   string `json:"url"`
}

// Decision is a parameter that kept the shipped default.
type Decision struct {
	Key   string `json:"key"` // clause/param
	Value string `json:"value"`
	Why   string `json:"why,omitempty"`
}

// ServeOptions say how to run.
type ServeOptions struct {
	Dir     string    // absolute
	JSONLog bool      // lines of JSON instead of text
	Log     io.Writer // where the log goes
}

// DemoOptions say how to run the demonstration.
type DemoOptions struct {
	Dir   string    // absolute; empty for ./demo
	HTTPS string    // listening address; empty for a free port of loopback
	Out   io.Writer // where to look is printed here
	Log   io.Writer
}

// Main runs one command and returns its exit status. ctx ends it.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, s Server) int {
	a := &app{in: stdin, out: stdout, err: stderr, server: s, env: os.Getenv, now: time.Now}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if cerr := a.close(); err == nil {
		err = cerr
	}
	return a.report(c.CommandPath(), err)
}

// app is one run of the command.
type app struct {
	in       io.Reader
	out, err io.Writer
	server   Server
	env      func(string) string
	now      func() time.Time

	dir, url, ca, as, passwordFile, token, format string // the persistent flags

	conn *client // opened at first use
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "writ",
		Short: "An information security policy that runs",
		Long: `Writ stands in front of a web application, enforces the signed policy, and proves
that it holds.

Commands talk to the server of a folder over its socket (--dir, $WRIT_DIR, else the
current folder), where your user account says who you are; or, with --as EMAIL, over
HTTPS (--url, else the server of the folder) with a session of that person's own; or,
with a token ($WRIT_TOKEN, or --token), as the program that the token stands for.`,
		Example: `  writ init --dir D --app https://app.example.com --upstream http://10.0.1.10:3000 --owner ana@example.com --owner ben@example.com
  writ serve --dir D
  writ check --dir D
  writ verify evidence.zip`,
		SilenceErrors: true, SilenceUsage: true,
		Args: a.noSubcommand, RunE: a.showHelp,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{err} })
	f := root.PersistentFlags()
	f.StringVar(&a.dir, "dir", "", "folder of the server (default $WRIT_DIR, else the current one)")
	f.StringVar(&a.url, "url", "", "address of a server elsewhere, https://…; needs --as or a token")
	f.StringVar(&a.token, "token", "", "file with a token, or the token itself; better is $WRIT_TOKEN, which other users cannot see")
	f.StringVar(&a.ca, "ca", "", "file with the certificate authority to trust, PEM")
	f.StringVar(&a.as, "as", "", "sign in as this address; the password is asked, or $WRIT_PASSWORD, or --password-file; the code of a second factor is asked, or $WRIT_CODE")
	f.StringVar(&a.passwordFile, "password-file", "", "file with the password of --as")
	f.StringVar(&a.format, "format", "text", "text or json")
	_ = root.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	_ = root.MarkPersistentFlagDirname("dir")                                                                                           // as above
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return a.checkFlags(c) }
	root.AddCommand(a.serverCommands()...)
	root.AddCommand(a.checkCommand(), a.proveCommand(), a.policyCommand(), a.attestCommand(), a.exceptionCommand(),
		a.journalCommand(), a.userCommand(), a.teamCommand(), a.supportCommand(), a.tokenCommand(), a.glassCommand(), a.vaultCommand(), a.runCommand(), a.gatewayCommand(), a.watchCommand(), a.notifyCommand(), a.incidentCommand(), a.statusCommand(), a.verifyCommand(), a.versionCommand())
	return root
}

var errNeedsAs = errors.New("--url needs --as EMAIL or a token: only a socket knows who you are")

// checkFlags refuses flags that cannot mean anything.
func (a *app) checkFlags(c *cobra.Command) error {
	if a.dir == "" {
		a.dir = a.env("WRIT_DIR")
	}
	if a.dir == "" {
		a.dir = "."
	}
	var why string
	switch {
	case a.format != "text" && a.format != "json":
		why = fmt.Sprintf("--format is %q, expected text or json", a.format)
	case a.url != "" && !strings.HasPrefix(a.url, "https://"):
		why = fmt.Sprintf("--url is %q, expected https://…: a session must not travel in the clear", a.url)
	case a.token != "" && a.as != "":
		why = "--token and --as say two things of who you are"
	case a.url != "" && a.as == "" && !a.hasToken() && !offline(c):
		why = errNeedsAs.Error()
	case a.passwordFile != "" && a.as == "":
		why = "--password-file needs --as EMAIL"
	case a.ca != "" && a.as == "" && !a.hasToken() && !offline(c):
		why = "--ca needs --as EMAIL or a token: a socket has no certificate"
	}
	if why != "" {
		return &usageError{errors.New(why)}
	}
	return nil
}

const offlineMark = "offline"

// offline tells commands that need no server.
func offline(c *cobra.Command) bool { return c.Annotations[offlineMark] != "" }

var offlineCommand = map[string]string{offlineMark: "yes"}

// group is a command that only holds others.
func (a *app) group(use, short, long, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: a.noSubcommand, RunE: a.showHelp}
	c.AddCommand(subs...)
	return c
}

func (a *app) noSubcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	why := fmt.Sprintf("there is no command %q here", args[0])
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		why += ". Did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{errors.New(why)}
}

// showHelp is a command that was asked for nothing: nothing was done, so it is no success.
func (a *app) showHelp(c *cobra.Command, _ []string) error {
	c.SetOut(a.err)
	if err := c.Help(); err != nil {
		return err
	}
	return &exit{code: exitUsage}
}

// run marks what an act returns, so that all other errors are known to be cobra's own,
// about usage.
func run(act func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := act(c, args)
		if err == nil {
			return nil
		}
		return asExit(err)
	}
}

// json reports whether the exact JSON was asked for.
func (a *app) json() bool { return a.format == "json" }

// say prints a line to the person; JSON readers get only JSON.
func (a *app) say(format string, args ...any) {
	if !a.json() {
		fmt.Fprintf(a.out, format+"\n", args...)
	}
}
