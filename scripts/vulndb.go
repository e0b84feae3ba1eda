//go:build ignore

// Command vulndb lays a folder of OSV records out as the database that govulncheck reads:
// ID/*.json and index/{db,modules,vulns}.json. The records carry no dates of their own, so
// the newest file's time stands for all. For `make more`, on machines without a network.
//
//	go run scripts/vulndb.go OSV-FOLDER DB-FOLDER
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type record struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases"`
	Withdrawn string   `json:"withdrawn"`
	Affected  []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Fixed string `json:"fixed"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

type moduleVuln struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Fixed    string    `json:"fixed,omitempty"`
}

type module struct {
	Path  string       `json:"path"`
	Vulns []moduleVuln `json:"vulns"`
}

type vuln struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vulndb OSV-FOLDER DB-FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no records in %s (%w)", from, err)
	}
	for _, d := range []string{"ID", "index"} {
		if err := os.MkdirAll(filepath.Join(to, d), 0o755); err != nil {
			return err
		}
	}
	newest, err := newestOf(files)
	if err != nil {
		return err
	}
	byPath, vulns := map[string][]moduleVuln{}, []vuln{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("read %s: %w", f, err)
		}
		if err := os.WriteFile(filepath.Join(to, "ID", r.ID+".json"), raw, 0o644); err != nil {
			return err
		}
		vulns = append(vulns, vuln{r.ID, newest, r.Aliases})
		for path, fixed := range r.modules() {
			byPath[path] = append(byPath[path], moduleVuln{r.ID, newest, fixed})
		}
	}
	mods := []module{}
	for path, v := range byPath {
		mods = append(mods, module{path, v})
	}
	slices.SortFunc(mods, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	for name, v := range map[string]any{"db": map[string]time.Time{"modified": newest}, "modules": mods, "vulns": vulns} {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, "index", name+".json"), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// modules are the modules a record names. With one range that ends, its end is the version
// that mends it; with several nothing is said, so that the record itself is always read.
func (r record) modules() map[string]string {
	all := map[string]string{}
	for _, a := range r.Affected {
		fixed := ""
		if len(a.Ranges) == 1 {
			for _, e := range a.Ranges[0].Events {
				fixed = e.Fixed
			}
		}
		if old, twice := all[a.Package.Name]; twice && old != fixed {
			fixed = ""
		}
		all[a.Package.Name] = fixed
	}
	return all
}

func newestOf(files []string) (time.Time, error) {
	var newest time.Time
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return newest, err
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime().UTC()
		}
	}
	return newest, nil
}
