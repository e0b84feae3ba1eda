package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"writ/internal/cli"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/seal"
	"writ/internal/vault/unseal"
)

// waitingName is a file in the folder that names a backup of the keys: it comes back when
// the holders of shares have opened the vault.
const waitingName = "keys.restore"

// keysIn says where the keys of a folder lie.
func (c Config) keysIn(dir string, now func() time.Time) keyring.Options {
	o := keyring.Options{Dir: dir, URL: c.Keys.URL, Now: now, Backups: c.Keys.Backups}
	if o.Backups != "" && !filepath.IsAbs(o.Backups) {
		o.Backups = filepath.Join(dir, o.Backups)
	}
	return o
}

// RestoreKeys makes the database of keys of a stopped server from a backup.
func RestoreKeys(ctx context.Context, in cli.RestoreKeysOptions) (out cli.RestoreKeysResult, err error) {
	c, err := ReadConfig(in.Dir)
	if err != nil {
		return out, err
	}
	held, err := lock(in.Dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	b, err := seal.In(in.Dir).Read()
	if err != nil {
		return out, err
	}
	o := c.keysIn(in.Dir, time.Now)
	if c.Vault.Unseal.Is() == unseal.Shares || b.Sealed {
		if _, err := os.Stat(filepath.Join(in.Dir, "keys.db")); err == nil {
			return out, fault.New(fault.Conflict, "keys_exist", fault.Public{Problem: "There are keys in " + in.Dir + " already; nothing was changed.",
				Expected: "A folder that has lost them.", Next: "Move keys.db away first, if it is damaged."})
		}
		if err := os.WriteFile(filepath.Join(in.Dir, waitingName), []byte(in.File+"\n"), 0o600); err != nil {
			return out, fmt.Errorf("note which backup comes back: %w", err)
		}
		return cli.RestoreKeysResult{Wait: true}, nil
	}
	root, err := unseal.New(c.Vault.Unseal, in.Dir, unseal.Signer{Now: time.Now, Send: kmsClient().Do}).Root(ctx)
	if err != nil {
		return out, err
	}
	defer root.Wipe()
	o.Given = root
	out.Made, err = keyring.Restore(ctx, o, in.File)
	return out, err
}

// restoreWaiting brings back the backup that waits for the holders.
func (a *App) restoreWaiting(ctx context.Context, o keyring.Options) error {
	note := a.path(waitingName)
	b, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which backup of the keys comes back: %w", err)
	}
	made, err := keyring.Restore(ctx, o, strings.TrimSpace(string(b)))
	if err != nil && !errors.Is(err, fault.Conflict) { // they are there: a former start brought them back
		return err
	}
	if err == nil {
		a.log.Warn("the keys are restored from a backup", "made", made)
	}
	return os.Remove(note)
}
