package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// replace puts another program into this process. Signals, exit status and terminal are
// that program's own from then on, and the values lie in its memory alone.
func (a *app) replace(bin string, args, env []string) error {
	if a.server.Exec != nil {
		return a.server.Exec(bin, args, env)
	}
	return syscall.Exec(bin, args, env) //nolint:gosec // to start what it is told is what the command is for
}

// runFlags are the answers that `writ run` needs.
type runFlags struct {
	reason, bundle, key  string
	restart              bool
	every, jitter, grace time.Duration
}

func (a *app) runCommand() *cobra.Command {
	var in runFlags
	c := &cobra.Command{
		Use: "run PATH -- COMMAND [ARG…]", Short: "Start a program with the values under a path in its environment",
		Long: `Reads all values under a path and starts a program with them in its environment: the last
level of a name is the variable, in capitals, with _ for - and . (/shop/db-url becomes DB_URL).
Nothing is written to disk or into a list of arguments. Two names that give one variable are refused.
The read is in the journal, with the names, before the program starts.

With --restart Writ stays as the parent: it asks for the list of versions, never for values, every
so often, and starts the program anew when something under the path changed. Signals and exit status
go through, and nothing of the program stays when it ends. With --offline BUNDLE the values come
from a bundle (writ vault bundle create) while the server cannot be reached, and only then.`,
		Example: "  writ run /shop -- ./server --port 3000\n  writ run /shop --restart --every 1m -- ./server\n  writ run /shop --url https://app.example.com --token shop.token -- ./server",
		Args:    cobra.MinimumNArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			if c.ArgsLenAtDash() != 1 {
				return &usageError{errors.New("write -- between the path and the command: writ run PATH -- COMMAND")}
			}
			bin, err := exec.LookPath(args[1])
			if err != nil {
				return &usageError{fmt.Errorf("the command %q cannot be started: %w", args[1], err)}
			}
			if in.every < time.Second || in.jitter < 0 || in.jitter > in.every || in.grace < 0 {
				return &usageError{errors.New("--every is a second or more, --jitter at most as long, and --grace not negative")}
			}
			if (in.bundle == "") != (in.key == "") {
				return &usageError{errors.New("--offline and --machine-key belong together")}
			}
			src := &source{a: a, path: args[0], in: in}
			if in.restart {
				return a.supervise(c.Context(), src, bin, args[1:])
			}
			env, err := src.values(c.Context())
			if err != nil {
				return err
			}
			if err := a.close(); err != nil { // after this nothing of ours runs
				return err
			}
			a.conn = nil
			if err := a.replace(bin, args[1:], environment(env)); err != nil {
				return fmt.Errorf("start %s: %w", args[1], err)
			}
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&in.reason, "reason", "", "why; it stands in the record")
	f.StringVar(&in.bundle, "offline", "", "bundle to use while the server cannot be reached")
	f.StringVar(&in.key, "machine-key", "", "with --offline: file with this machine's key")
	f.BoolVar(&in.restart, "restart", false, "stay, and start the program anew when a value under the path changed")
	f.DurationVar(&in.every, "every", time.Minute, "with --restart: how often to ask for changes")
	f.DurationVar(&in.jitter, "jitter", 10*time.Second, "with --restart: up to so much is added to each wait, so that many programs do not ask at once")
	f.DurationVar(&in.grace, "grace", 10*time.Second, "with --restart: how long the program may take to end before it is killed")
	return c
}

// source is where the values of a program come from.
type source struct {
	a    *app
	path string
	in   runFlags
}

// pair is a name with its value. It lives until the program is started.
type pair struct{ Name, Value string }

// values reads all under the path as variables: from the server, and from the bundle only
// when it cannot be reached.
func (s *source) values(ctx context.Context) (map[string]string, error) {
	env, err := s.fromServer(ctx)
	if err != nil && s.in.bundle != "" && away(err) {
		return s.fromBundle()
	}
	return env, err
}

// fromServer reads them in one recorded act.
func (s *source) fromServer(ctx context.Context) (map[string]string, error) {
	conn, err := s.a.open(ctx)
	if err != nil {
		return nil, err
	}
	var out struct{ Values []pair }
	if err := conn.post(ctx, "vault/run", map[string]string{"path": s.path, "reason": s.in.reason, "host": hostname()}, &out); err != nil {
		return nil, err
	}
	if s.in.bundle != "" {
		if err := s.report(ctx, conn); err != nil { // the uses stay noted, and are told at the next contact
			fmt.Fprintf(s.a.err, "Uses of bundles could not be reported: %s\n", visible(sentence(err.Error())))
		}
	}
	return variables(out.Values)
}

// hostname is this machine's name, for the record; "" where it has none.
func hostname() string {
	name, _ := os.Hostname() // only a word in the record
	return name
}

// variables are the pairs as a program's environment has them.
func variables(vs []pair) (map[string]string, error) {
	env, from := map[string]string{}, map[string]string{}
	for _, v := range vs {
		k := variable(v.Name)
		if other, twice := from[k]; twice {
			return nil, &exit{exitNo, fmt.Errorf("%s and %s both give the variable %s: rename one, or choose a narrower path", other, v.Name, k)}
		}
		env[k], from[k] = v.Value, v.Name
	}
	return env, nil
}

// versions is what is under the path without its values: two that are equal mean that
// nothing changed.
func (s *source) versions(ctx context.Context) (string, error) {
	conn, err := s.a.open(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	q := url.Values{"path": {s.path}}
	for {
		var page struct {
			Params []param
			Next   string
		}
		if err := conn.get(ctx, "vault/params?"+q.Encode(), &page); err != nil {
			return "", err
		}
		for _, p := range page.Params {
			fmt.Fprintf(&b, "%s:%d\n", p.Name, p.Version)
		}
		if page.Next == "" {
			return b.String(), nil
		}
		q.Set("after", page.Next)
	}
}

// variable is the name of the environment's variable for a parameter.
func variable(name string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(path.Base(name)))
}

// environment is this process's own, with the values in place of what has their names,
// and without what let us in.
func environment(values map[string]string) []string {
	env := map[string]string{}
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		if k != "WRIT_TOKEN" && k != "WRIT_PASSWORD" && k != "WRIT_CODE" {
			env[k] = v
		}
	}
	maps.Copy(env, values)
	var out []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}
