package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"

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

func (a *app) runCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "run PATH -- COMMAND [ARG…]", Short: "Start a program with the values under a path in its environment",
		Long: `Reads all values under a path and starts a program with them in its environment: the last
level of a name is the variable, in capitals, with _ for - and . (/shop/db-url becomes DB_URL).
Nothing is written to disk or into a list of arguments. Two names that give one variable are refused.
The read is in the journal, with the names, before the program starts.`,
		Example: "  writ run /shop -- ./server --port 3000\n  writ run /shop --url https://app.example.com --token shop.token -- ./server",
		Args:    cobra.MinimumNArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			if c.ArgsLenAtDash() != 1 {
				return &usageError{errors.New("write -- between the path and the command: writ run PATH -- COMMAND")}
			}
			bin, err := exec.LookPath(args[1])
			if err != nil {
				return &usageError{fmt.Errorf("the command %q cannot be started: %w", args[1], err)}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var out struct {
				Values []struct{ Name, Value string }
			}
			if err := conn.post(c.Context(), "vault/run", map[string]string{"path": args[0], "reason": reason}, &out); err != nil {
				return err
			}
			env := map[string]string{}
			from := map[string]string{}
			for _, v := range out.Values {
				k := variable(v.Name)
				if other, twice := from[k]; twice {
					return &exit{exitNo, fmt.Errorf("%s and %s both give the variable %s: rename one, or choose a narrower path", other, v.Name, k)}
				}
				env[k], from[k] = v.Value, v.Name
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
	c.Flags().StringVar(&reason, "reason", "", "why; it stands in the record")
	return c
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
