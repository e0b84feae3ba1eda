package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"writ/internal/fault"

	"github.com/goccy/go-yaml"
)

// preparedName is where the settings lie while Init works on a prepared folder: as long
// as they are there, the folder does not count as set up.
const preparedName = configName + ".prepared"

// prepared tells a folder that holds writ.yaml and nothing else: its machine settings
// were written before Init, which is the way to name a database. Passwords in addresses
// belong in a file, not in a command line that other accounts can read.
func prepared(dir string) bool {
	es, err := os.ReadDir(dir)
	return err == nil && len(es) == 1 && es[0].Name() == configName
}

// fill takes from a prepared file what the command line leaves open, and refuses a file
// that says otherwise.
func (c *Config) fill(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read machine settings: %w", err)
	}
	var f Config
	if err := yaml.UnmarshalWithOptions(b, &f, yaml.Strict()); err != nil {
		return fault.New(fault.Invalid, "config", fault.Public{Problem: where(name, err), Next: "Mend the file and run it again."})
	}
	for _, s := range []struct {
		key   string
		given *string
		file  string
	}{
		{"company", &c.Company, f.Company}, {"app", &c.App, f.App}, {"https", &c.HTTPS, f.HTTPS}, {"http", &c.HTTP, f.HTTP}, {"mail.url", &c.Mail.URL, f.Mail.URL},
	} {
		switch {
		case *s.given == "":
			*s.given = s.file
		case s.file != "" && s.file != *s.given:
			return contradicts(name, s.key)
		}
	}
	if len(f.Upstream) > 0 && len(c.Upstream) > 0 && !slices.Equal(f.Upstream, c.Upstream) {
		return contradicts(name, "upstream")
	}
	if len(c.Upstream) == 0 {
		c.Upstream = f.Upstream
	}
	c.Gateway = f.Gateway
	c.TrustedProxies, c.Hosts = f.TrustedProxies, f.Hosts
	c.Database, c.Keys, c.TLS, c.Operators, c.Identity, c.Vault, c.Mail.From = f.Database, f.Keys, f.TLS, f.Operators, f.Identity, f.Vault, f.Mail.From
	return nil
}

func contradicts(name, key string) error {
	return fault.New(fault.Conflict, "config", fault.Public{Problem: fmt.Sprintf("%s and the command line say different things of %s.", name, key),
		Expected: "The same in both, or only in one.", Next: "Mend one of them and run it again."})
}

// setAside moves the prepared settings out of the way and returns how to put them back.
func setAside(dir string) (back func() error, err error) {
	name, aside := filepath.Join(dir, configName), filepath.Join(dir, preparedName)
	if err := os.Rename(name, aside); err != nil {
		return nil, fmt.Errorf("set the prepared settings aside: %w", err)
	}
	return func() error { return os.Rename(aside, name) }, nil
}

// emptied removes from a folder all but the settings that were there before.
func emptied(dir string) error {
	es, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range es {
		if e.Name() == preparedName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
