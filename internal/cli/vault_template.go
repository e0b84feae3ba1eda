package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// maxTemplate is how large a template may be.
const maxTemplate = 1 << 20

// templateFlags are the answers that `writ vault template` needs.
type templateFlags struct {
	reason, mode, owner string
	watch               bool
	wait                runFlags
}

func (a *app) vaultTemplate() *cobra.Command {
	var in templateFlags
	c := &cobra.Command{
		Use: "template IN OUT", Short: "Write a file from a template with values of the vault in it",
		Long: `Reads a template and writes it with values in place of {{param "/name"}}. Functions: param, json (a
string of JSON or YAML), shell (one word of a shell), base64, trim, lines, upper, lower, and the
conditions and loops of Go's templates. Names are written out, so that all values are read in one
recorded act before anything is written. A name that is not there: exit status 3, and nothing is
written. The file is its owner's alone unless you say otherwise, and appears whole or not at all.
With --watch it is written anew whenever a value in it changed. No program is run: what reads the
file watches it, or is started by writ run --restart.`,
		Example: "  writ vault template app.conf.tmpl /run/shop/app.conf\n  writ vault template app.conf.tmpl /run/shop/app.conf --mode 0640 --owner root:shop --watch --every 1m", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			to, err := in.target(args[1])
			if err != nil {
				return &usageError{err}
			}
			text, err := a.readFile(args[0], maxTemplate)
			if err != nil {
				return err
			}
			f, err := parseFilling(filepath.Base(args[0]), string(text))
			if err != nil {
				return &exit{exitUsage, err}
			}
			if in.watch {
				return a.watchFilling(c.Context(), f, to, in)
			}
			if err := a.fillOnce(c.Context(), f, to, in.reason); err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]any{"path": to.path, "names": f.names})
			}
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&in.mode, "mode", "0600", "who may read the file, as chmod has it")
	f.StringVar(&in.owner, "owner", "", "USER or USER:GROUP that the file is given to")
	f.StringVar(&in.reason, "reason", "", "why; it stands in the record")
	f.BoolVar(&in.watch, "watch", false, "stay, and write it anew when a value in it changed")
	f.DurationVar(&in.wait.every, "every", time.Minute, "with --watch: how often to ask for changes")
	f.DurationVar(&in.wait.jitter, "jitter", 10*time.Second, "with --watch: up to so much is added to each wait")
	return c
}

// target is where the file goes, and whose it is.
type target struct {
	path     string
	mode     os.FileMode
	uid, gid int // -1 = as it is
}

func (in templateFlags) target(path string) (target, error) {
	t := target{path: path, uid: -1, gid: -1}
	n, err := strconv.ParseUint(in.mode, 8, 32)
	if err != nil || n > 0o777 {
		return t, fmt.Errorf("--mode is %q, expected a number such as 0600", in.mode)
	}
	if t.mode = os.FileMode(n); t.mode&0o002 != 0 {
		return t, errors.New("--mode lets everybody write: such a file is nobody's secret")
	}
	if in.wait.every < time.Second || in.wait.jitter < 0 {
		return t, errors.New("--every is a second or more, and --jitter not negative")
	}
	if in.owner == "" {
		return t, nil
	}
	name, group, grouped := strings.Cut(in.owner, ":")
	if name != "" {
		if t.uid, err = userID(name); err != nil {
			return t, err
		}
	}
	if grouped {
		t.gid, err = groupID(group)
	}
	return t, err
}

func userID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

func groupID(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// errMissing are names that are not there; nothing was written.
func errMissing(names []string) error {
	return &exit{exitUnreachable, fmt.Errorf("nothing is written, for these names are not there: %s", strings.Join(names, ", "))}
}

// fillOnce reads the values in one act and writes the file.
func (a *app) fillOnce(ctx context.Context, f *filling, to target, reason string) error {
	values := map[string]string{}
	if len(f.names) > 0 {
		conn, err := a.open(ctx)
		if err != nil {
			return err
		}
		var out struct {
			Values  []pair
			Missing []string
		}
		if err := conn.post(ctx, "vault/values", map[string]any{"names": f.names, "reason": reason}, &out); err != nil {
			return err
		}
		if len(out.Missing) > 0 {
			return errMissing(out.Missing)
		}
		for _, v := range out.Values {
			values[v.Name] = v.Value
		}
	}
	b, err := f.fill(values)
	if err != nil {
		return &exit{exitNo, err}
	}
	return to.write(b)
}

// write puts the text in place whole: beside it, to the disk, and then by its name.
func (t target) write(b []byte) (err error) {
	if old, err := os.ReadFile(t.path); err == nil && bytes.Equal(old, b) && t.stands() {
		return nil // whoever watches the file is not woken for nothing
	}
	dir := filepath.Dir(t.path)
	f, err := os.CreateTemp(dir, ".writ-*") // 0600 until it is complete
	if err != nil {
		return unreadable(t.path, err)
	}
	defer func() {
		if err != nil {
			f.Close()               // the error in hand says more
			_ = os.Remove(f.Name()) // as above
		}
	}()
	if _, err := f.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", t.path, err)
	}
	if t.uid >= 0 || t.gid >= 0 {
		if err := f.Chown(t.uid, t.gid); err != nil {
			return fmt.Errorf("give %s away: %w", t.path, err)
		}
	}
	for _, step := range []func() error{func() error { return f.Chmod(t.mode) }, f.Sync, f.Close, func() error { return os.Rename(f.Name(), t.path) }} {
		if err := step(); err != nil {
			return fmt.Errorf("write %s: %w", t.path, err)
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", t.path, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// stands reports whether the file that is there is one as asked for.
func (t target) stands() bool {
	i, err := os.Lstat(t.path)
	if err != nil || i.Mode() != t.mode { // no link either
		return false
	}
	s, ok := i.Sys().(*syscall.Stat_t)
	return ok && (t.uid < 0 || int(s.Uid) == t.uid) && (t.gid < 0 || int(s.Gid) == t.gid)
}

// watchFilling writes the file, and anew when the version of a name in it changed. Once it
// is written, a server that is away or a name that is gone leaves it as it is.
func (a *app) watchFilling(ctx context.Context, f *filling, to target, in templateFlags) error {
	was, err := a.versionsOf(ctx, f.names) // first: a change in between is seen at the next look
	if err != nil {
		return err
	}
	if err := a.fillOnce(ctx, f, to, in.reason); err != nil {
		return err
	}
	for silent := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-a.tick(in.wait):
		}
		now, err := a.versionsOf(ctx, f.names)
		if err == nil && now != was {
			err = a.fillOnce(ctx, f, to, in.reason)
		}
		if err != nil && ctx.Err() == nil && !silent {
			fmt.Fprintf(a.err, "The file stays as it is: %s\n", visible(sentence(err.Error())))
		}
		if silent = err != nil; err == nil {
			was = now
		}
	}
}

// versionsOf are the newest versions of names.
func (a *app) versionsOf(ctx context.Context, names []string) (string, error) {
	if len(names) == 0 {
		return "", nil
	}
	conn, err := a.open(ctx)
	if err != nil {
		return "", err
	}
	var out struct{ Versions map[string]int64 }
	if err := conn.post(ctx, "vault/newest", map[string]any{"names": names}, &out); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%s:%d\n", n, out.Versions[n])
	}
	return b.String(), nil
}

// deliverCommands hand values on, and look where they should not be.
func (a *app) deliverCommands() []*cobra.Command {
	return []*cobra.Command{a.vaultTemplate(), a.vaultScan(), a.vaultScans(), a.vaultHit(), a.vaultMachineKey(), a.vaultBundle(), a.vaultImport(), a.vaultExport()}
}
