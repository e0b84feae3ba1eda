package cli

import (
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// RestoreKeysOptions say which backup of the keys comes back.
type RestoreKeysOptions struct {
	Dir  string // absolute
	File string // absolute; its .epoch file lies beside it
}

// RestoreKeysResult is what `writ vault keys restore` did. Its JSON is a surface.
type RestoreKeysResult struct {
	Made time.Time `json:"made"` // when the backup was made; zero where it waits
	Wait bool      `json:"wait"` // for the holders of shares, at the next start
}

// keysBackup is one backup on the wire.
type keysBackup struct {
	Epoch string    `json:"epoch"`
	File  string    `json:"file"`
	Made  time.Time `json:"made"`
	Ends  time.Time `json:"ends"`
	Bytes int64     `json:"bytes"`
}

func (a *app) vaultKeys() *cobra.Command {
	all := []*cobra.Command{a.keysBackup(), a.keysBackups()}
	if a.server.RestoreKeys != nil {
		all = append(all, a.keysRestore())
	}
	return a.group("keys", "Back up the keys that data rests under, and bring them back",
		`The database of keys has backups of its own, one a day, each under a key that is destroyed 29 days
later: so a key that was destroyed lives on in no backup. They lie in DIR/backups/keys, or where
keys.backups in writ.yaml says. Mirror that folder; a file that ends in .epoch must not be archived.`,
		"  writ vault keys backup\n  writ vault keys backups\n  writ vault keys restore /srv/writ/backups/keys/0192…-1764140000000.keys --dir /srv/writ", all...)
}

func (a *app) keysBackup() *cobra.Command {
	return &cobra.Command{
		Use: "backup", Short: "Back the keys up now", Long: "Backs the keys up now; the server does so each hour when something has changed. It takes the place of\nthe backup of the same day.",
		Example: "  writ vault keys backup", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "encryption/backups", struct{}{}, &raw); err != nil {
				return err
			}
			var b keysBackup
			if err := decode(raw, &b); err != nil {
				return err
			}
			return a.done("The keys are backed up in "+visible(b.File)+". It opens until "+a.date(b.Ends)+".", raw)
		}),
	}
}

func (a *app) keysBackups() *cobra.Command {
	return &cobra.Command{
		Use: "backups", Short: "List the backups of the keys", Long: "Lists the backups of the keys, the newest first, with the day on which each ends.",
		Example: "  writ vault keys backups", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "encryption/backups", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Backups []keysBackup }
			if err := decode(raw, &out); err != nil {
				return err
			}
			if len(out.Backups) == 0 {
				a.say("There is no backup of the keys yet. Make one: writ vault keys backup")
				return nil
			}
			t := newTable(a.out, "MADE", "ENDS", "SIZE", "FILE")
			for _, b := range out.Backups {
				t.row(a.when(b.Made), a.date(b.Ends), count(int((b.Bytes+1023)/1024), "kB", "kB"), b.File)
			}
			return t.flush()
		}),
	}
}

func (a *app) keysRestore() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Make the database of keys again from a backup, while the server is stopped",
		Long: `Makes the database of keys of --dir from a backup, with the root key that opens the vault. It never
writes over keys that are there. The backup's .epoch file lies beside it. What was destroyed since the backup
is destroyed again when the server starts, before it serves. Where holders of shares open the vault, the
keys come back at the next start, when they have opened it.`,
		Example: "  writ vault keys restore /mnt/keys/0192…-1764140000000.keys --dir /srv/writ", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) (err error) {
			var o RestoreKeysOptions
			if o.Dir, err = filepath.Abs(a.dir); err != nil {
				return err
			}
			if o.File, err = filepath.Abs(args[0]); err != nil {
				return err
			}
			r, err := a.server.RestoreKeys(c.Context(), o)
			switch {
			case err != nil:
				return err
			case a.json():
				return a.encode(r)
			case r.Wait:
				a.say("The keys come back at the next start, when the holders have opened the vault: writ serve --dir %s", visible(o.Dir))
			default:
				a.say("The keys are as they were %s. What was destroyed since is destroyed again at the start: writ serve --dir %s", a.when(r.Made), visible(o.Dir))
			}
			return nil
		}),
	}
}
