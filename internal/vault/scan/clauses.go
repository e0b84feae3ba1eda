package scan

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/journal"
	"writ/internal/leak"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Controls are the proofs of vault.secret-home.
func (s *Service) Controls() []clause.Control {
	return []clause.Control{
		{ID: "vault.places-clean", Clause: "vault.secret-home", Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks at the last scan of every place: made within the day, of all that is there, and with no hit that is open", Run: s.probePlaces},
		{ID: "vault.scan-finds", Clause: "vault.secret-home", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Plants a made-up credential and a value of the vault in a folder, and has the folder searched", Run: s.plant},
		{ID: "vault.settings-plain", Clause: "vault.secret-home", Kind: clause.Probe, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Holds the settings that are not secret against the rules of the scan, and counts the programs that were started with their secrets", Run: s.probeSettings},
	}
}

// probePlaces judges by the last scan of each place.
func (s *Service) probePlaces(ctx context.Context) (clause.Result, error) { // clause: vault.secret-home
	ps, err := s.places(ctx, vault.Home)
	if err != nil {
		return clause.Result{}, err
	}
	now := s.Now()
	var declared, never, old, unread, open, dropped, elsewhere int64
	var first string
	for _, p := range ps {
		if p.Declared {
			declared++
			switch {
			case p.Tried.IsZero():
				never++
			case p.Failed != "":
				old++
				first = cmpOr(first, p.Path+": "+p.Failed)
			case now.Sub(p.Scanned) > fresh:
				old++
				first = cmpOr(first, p.Path+" was searched "+p.Scanned.Format("2 January 15:04 UTC"))
			}
			unread += p.Unread
		} else {
			elsewhere += p.Unread
		}
		dropped += p.Dropped
		for _, h := range p.Open {
			if h.open(now) {
				open++
				first = cmpOr(first, h.Says+" in "+where(p, h))
			}
		}
	}
	says := fmt.Sprintf("of %d declared places %d were not searched within the day; %d hits in all places are open, and %d files could not be read", declared, old+never, open, unread)
	if elsewhere > 0 {
		says += fmt.Sprintf("; in places that others reported %d could not", elsewhere)
	}
	if dropped > 0 {
		says += fmt.Sprintf("; %d more hits were found than are kept", dropped)
	}
	if first != "" {
		says += ", such as: " + first
	}
	r := clause.Passed(says)
	switch r.Population = int64(len(ps)); {
	case open+old+unread+dropped > 0:
		r.Outcome = clause.Fail
	case declared == 0:
		r.Outcome, r.Summary = clause.Unknown, "no place is declared: name repositories, images and folders of configuration in writ.yaml as vault: {scan: [PATH]}"
	case never > 0:
		r.Outcome, r.Summary = clause.Unknown, fmt.Sprintf("%d of %d declared places were not searched yet", never, declared)
	}
	return r, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// where is the place of a hit for a reader.
func where(p Place, h Hit) string {
	out := filepath.ToSlash(filepath.Join(p.Path, h.File))
	if p.Host != "" {
		out = p.Host + ":" + out
	}
	return out
}

// plant puts into a folder what a scan must find, and what it must leave alone.
func (s *Service) plant(ctx context.Context) (_ clause.Result, err error) { // clause: vault.secret-home
	dir, err := os.MkdirTemp(s.Temp, "writ-canary-*")
	if err != nil {
		return clause.Result{}, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := "/canary/" + hex.EncodeToString(secret.Random(8).Reveal())
	key, uproot, err := s.Values.PlantKey(ctx, "vault.scan-finds", path, false)
	if err != nil {
		return clause.Result{}, err
	}
	defer uproot()
	who, _, err := s.Values.Caller(ctx, key.ID, secret.Text{})
	if err != nil {
		return clause.Result{}, err
	}
	value := secret.RandomText(18)
	if _, err := s.Values.Put(ctx, who, vault.Put{Name: path + "/value", Value: value, Type: vault.SecureString}); err != nil {
		return clause.Result{}, err
	}
	known, err := s.compare(ctx, who, who.Team)
	if err != nil {
		return clause.Result{}, err
	}
	var steps []clause.Step
	for _, c := range []struct{ act, text, want string }{
		{"search a file without a credential", "name: shop\nport: 3000\n", "nothing"},
		{"search a file with a made-up token", "token: gh" + "p_" + alnum(36) + "\n", "github-token"},
		{"search a file with a value of the vault", "smtp: " + value.Reveal() + "\n", "known-value"},
	} {
		got, err := s.searched(ctx, dir, c.text, known)
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, clause.Step{Act: c.act, Expected: c.want, Got: got, OK: got == c.want, Control: c.want == "nothing"})
	}
	return clause.Judge("a made-up credential and a value of the vault were found in a folder, and nothing where nothing was", steps...), nil
}

// searched is by which rules a text in a folder is found.
func (s *Service) searched(ctx context.Context, dir, text string, known leak.Known) (string, error) {
	if err := os.WriteFile(filepath.Join(dir, "app.conf"), []byte(text), 0o600); err != nil {
		return "", err
	}
	rep, err := s.Look(ctx, dir, leak.Options{Rules: s.rules, Known: known})
	if err != nil {
		return "", err
	}
	var rules []string
	for _, h := range rep.Hits {
		rules = append(rules, h.Rule)
	}
	slices.Sort(rules)
	return cmpOr(strings.Join(slices.Compact(rules), ", "), "nothing"), nil
}

// alnum is n random letters and digits.
func alnum(n int) string {
	const set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, n)
	for len(out) < n {
		for _, b := range secret.Random(2 * n).Reveal() {
			if int(b) < len(set)*4 && len(out) < n {
				out = append(out, set[int(b)%len(set)])
			}
		}
	}
	return string(out)
}

// counted is for how long starts of programs are counted.
const counted = 30 * 24 * time.Hour

// probeSettings looks for credentials among the values that are kept as plain settings:
// they lie sealed like all, but whoever may list settings with their values sees them.
func (s *Service) probeSettings(ctx context.Context) (clause.Result, error) { // clause: vault.secret-home
	var plain, secrets, wrong int64
	var first string
	err := s.Values.EachSecret(ctx, vault.Home, func(name string, kind vault.Type, v secret.Bytes) error {
		if kind == vault.SecureString {
			secrets++
			return nil
		}
		plain++
		if rule := s.rules.Match(name, v.Reveal()); rule != "" {
			wrong++
			first = cmpOr(first, name+" ("+rule+")")
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, err
	}
	starts, err := s.Record.List(ctx, journal.Query{Act: vault.RunStarted{}.About().Name, Limit: 1000})
	if err != nil {
		return clause.Result{}, fmt.Errorf("list starts of programs: %w", err)
	}
	starts = slices.DeleteFunc(starts, func(e journal.Entry) bool { return s.Now().Sub(e.Happened) > counted })
	says := fmt.Sprintf("of %d plain settings %d look like credentials; %d secrets are kept, and programs were started with theirs %d times in 30 days", plain, wrong, secrets, len(starts))
	if wrong > 0 {
		says += ", such as: " + first + "; write them again as SecureString"
	}
	r := clause.Passed(says)
	if r.Population = plain + secrets; wrong > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}
