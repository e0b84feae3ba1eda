package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/parcel"
)

func (a *app) vaultMachineKey() *cobra.Command {
	var server string
	c := &cobra.Command{
		Use: "machine-key FILE", Short: "Make the key of this machine, for bundles",
		Long: `Makes a key that bundles are sealed to, writes its private half to FILE (0400, nobody else's to
read), and prints its public half. The key that the server signs bundles with is asked for and kept
beside it, so that no other bundle is ever believed.`,
		Example: "  writ vault machine-key /etc/shop/machine.key > machine.pub\n  writ vault machine-key machine.key --server-key writ-bundles-1:…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if server == "" {
				conn, err := a.open(c.Context())
				if err != nil {
					return err
				}
				var out struct{ Key string }
				if err := conn.get(c.Context(), "vault/bundles/key", &out); err != nil {
					return err
				}
				server = out.Key
			}
			k, err := parcel.NewKey(server)
			if err != nil {
				return err
			}
			text, err := k.Text()
			if err != nil {
				return err
			}
			if err := save(args[0], func(f *os.File) error {
				if _, err := f.WriteString(text.Reveal()); err != nil {
					return fmt.Errorf("write %s: %w", args[0], err)
				}
				return errors.Join(f.Chmod(0o400), f.Sync())
			}); err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]string{"public": k.Machine().String(), "fingerprint": k.Machine().Fingerprint()})
			}
			a.say("%s", k.Machine())
			return nil
		}),
	}
	c.Flags().StringVar(&server, "server-key", "", "the key that the server signs bundles with, where the server cannot be asked")
	return c
}

func (a *app) vaultBundle() *cobra.Command {
	return a.group("bundle", "Values for a machine that may be cut off", "A bundle holds chosen values, sealed to one machine's key and signed, for seven days at most. writ run --offline uses it while the server cannot be reached.",
		"  writ vault bundle create shop.bundle --name /shop/db --for machine.pub --ttl 7d\n  writ vault bundle list\n  writ vault bundle revoke 01J…", a.bundleCreate(), a.bundleList(), a.bundleRevoke())
}

func (a *app) bundleCreate() *cobra.Command {
	var names []string
	var to, ttl, reason string
	c := &cobra.Command{
		Use: "create OUT --name NAME… --for MACHINEKEY", Short: "Seal values to a machine's key",
		Long:    "Reads values, in one recorded act, and writes them to OUT sealed to the key of one machine. Nobody else can open it, its maker neither.",
		Example: "  writ vault bundle create shop.bundle --name /shop/db --name /shop/key:3 --for machine.pub --ttl 48h", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			hours, err := life(ttl)
			if err != nil {
				return &usageError{err}
			}
			if b, err := os.ReadFile(filepath.Clean(to)); err == nil && len(b) < maxKeyFile { // a file, or the key itself
				to = string(b)
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/bundles", map[string]any{"names": names, "machine": strings.TrimSpace(to), "hours": hours, "reason": reason}, &raw); err != nil {
				return err
			}
			var out struct {
				Bundle string
				About  json.RawMessage
			}
			var about struct {
				Ends    time.Time
				Machine string
				Names   []string
			}
			if err := errors.Join(decode(raw, &out), decode(out.About, &about)); err != nil {
				return err
			}
			if err := save(args[0], func(f *os.File) error { _, err := f.WriteString(out.Bundle); return err }); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out.About)
			}
			a.say("%s for the machine %s, until %s.", count(len(about.Names), "value", "values"), visible(about.Machine), a.date(about.Ends))
			return nil
		}),
	}
	f := c.Flags()
	f.StringArrayVar(&names, "name", nil, "NAME, NAME:VERSION or NAME:LABEL; once for each")
	f.StringVar(&to, "for", "", "public key of the machine, or a file with it")
	f.StringVar(&ttl, "ttl", "7d", "how long it can be opened, seven days at most")
	f.StringVar(&reason, "reason", "", "why; it stands in the record")
	_, _ = c.MarkFlagRequired("name"), c.MarkFlagRequired("for") // the flags are there
	return c
}

// life reads 7d, or what Go reads, as whole hours.
func life(text string) (int, error) {
	if d, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(d); err == nil && n > 0 {
			return 24 * n, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Hour {
		return 0, fmt.Errorf("--ttl is %q, expected hours or days such as 48h or 7d", text)
	}
	return int(d.Hours()), nil
}

func (a *app) bundleList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List bundles, newest first", Long: "Lists the bundles of the team: for which machine, what they hold, how often they were used, and which are revoked.", Example: "  writ vault bundle list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/bundles", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Bundles []struct {
					ID, Machine         string
					Names               []string
					Ends, Revoked, Seen time.Time
					Used                int
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "ID", "MACHINE", "HOLDS", "USED", "LAST", "ENDS")
			for _, b := range out.Bundles {
				ends := a.date(b.Ends)
				if !b.Revoked.IsZero() {
					ends = "revoked"
				}
				t.row(b.ID, b.Machine, strings.Join(b.Names, " "), strconv.Itoa(b.Used), a.when(b.Seen), ends)
			}
			return t.flush()
		}),
	}
}

func (a *app) bundleRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Have a bundle opened no more", Long: "A machine that reports after this does not open the bundle any more. One that stays cut off opens it until its end: where that matters, change the values.",
		Example: "  writ vault bundle revoke 01J…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "vault/bundles/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The bundle is revoked.", nil)
		}),
	}
}
