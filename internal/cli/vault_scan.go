package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/envelope"
	"writ/internal/leak"
	"writ/internal/secret"
)

// scanFlags are the answers that `writ vault scan` needs.
type scanFlags struct {
	rules, ignore, sarif, until, reason string
	local                               bool
}

func (a *app) vaultScan() *cobra.Command {
	var in scanFlags
	c := &cobra.Command{
		Use: "scan PATH…", Short: "Look for credentials in files, repositories with their history, and images",
		Long: `Searches folders, files, repositories with every object of their history, and saved images for
credentials: by the rules of a scanner, and by the values that the vault keeps. Those are compared
by marks under a key of this scan: no word leaves this machine, no value leaves the server. Of what
is found four characters and the length are shown. The report goes into the record: hits are
findings of vault.secret-home until a later scan of the same place does not see them, or somebody
says what became of them (writ vault hit). To compare takes the right vault.read; --local does without.

The file .writ-scan in a place takes hits out, each with an end and a reason; --until and --reason
write all that are open into it. Exit status 1: something is open, or could not be read.`,
		Example: "  writ vault scan .\n  writ vault scan . image.tar --sarif hits.sarif\n  writ vault scan . --local --rules gitleaks.toml\n  writ vault scan docs --until 2027-03-31 --reason 'made-up keys in the manual'", Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			o, err := in.options(a.now())
			if err != nil {
				return err
			}
			var reports []leak.Report
			for _, path := range args {
				rep, err := a.scanOne(c.Context(), path, in, o)
				if err != nil {
					return err
				}
				reports = append(reports, rep)
			}
			return a.printScans(reports, in)
		}),
	}
	f := c.Flags()
	f.BoolVar(&in.local, "local", false, "ask no server: by rules alone, and nothing is recorded")
	f.StringVar(&in.rules, "rules", "", "file with rules in the format of gitleaks, instead of the shipped ones")
	f.StringVar(&in.ignore, "ignore", "", "file with exceptions (default: .writ-scan in the place)")
	f.StringVar(&in.sarif, "sarif", "", "write the report to this file too, in SARIF 2.1.0")
	f.StringVar(&in.until, "until", "", "except all that is open until this day, with --reason")
	f.StringVar(&in.reason, "reason", "", "why it is excepted")
	return c
}

// options are what holds for all places of one call.
func (in scanFlags) options(now time.Time) (leak.Options, error) {
	var o leak.Options
	if (in.until == "") != (in.reason == "") {
		return o, &usageError{errors.New("--until and --reason belong together")}
	}
	if in.until != "" { // a list of one must be good, before the scan
		if _, err := leak.ParseIgnore("0123456789abcdef "+in.until+" "+in.reason, now); err != nil {
			return o, &usageError{err}
		}
	}
	if in.rules == "" {
		o.Rules = leak.Shipped()
		return o, nil
	}
	b, err := os.ReadFile(filepath.Clean(in.rules))
	if err != nil {
		return o, unreadable(in.rules, err)
	}
	if o.Rules, err = leak.ParseRules(string(b)); err != nil {
		return o, &exit{exitUsage, err}
	}
	return o, nil
}

// ignoreFile is where exceptions of a place stand.
func (in scanFlags) ignoreFile(path string) string {
	if in.ignore != "" {
		return in.ignore
	}
	if i, err := os.Stat(path); err == nil && !i.IsDir() {
		path = filepath.Dir(path)
	}
	return filepath.Join(path, leak.IgnoreFile)
}

// read reads exceptions: of a place that somebody else filled, a regular file and no link.
func (in scanFlags) read(list string) (string, error) {
	if in.ignore == "" {
		return leak.ReadList(list)
	}
	b, err := os.ReadFile(filepath.Clean(list))
	return string(b), err
}

// scanOne searches a place, excepts what is asked for, and files the report.
func (a *app) scanOne(ctx context.Context, path string, in scanFlags, o leak.Options) (leak.Report, error) {
	var known *comparison
	if !in.local {
		var err error
		if known, err = a.compare(ctx); err != nil {
			return leak.Report{}, err
		}
		o.Known = known
	}
	list := in.ignoreFile(path)
	text, err := in.read(list)
	if err != nil && (in.ignore != "" && in.until == "" || !errors.Is(err, os.ErrNotExist)) {
		return leak.Report{}, unreadable(list, err)
	}
	if o.Ignore, err = leak.ParseIgnore(text, a.now()); err != nil {
		return leak.Report{}, &exit{exitUsage, err}
	}
	end := a.scanning(path, &o)
	rep, err := leak.Scan(ctx, path, o)
	end()
	if err != nil {
		return leak.Report{}, &exit{exitUsage, err}
	}
	if in.until != "" && len(rep.Open()) > 0 {
		until, _ := time.Parse(time.DateOnly, in.until) // options has seen it
		if err := appendTo(list, leak.IgnoreLines(rep.Open(), until, in.reason)); err != nil {
			return leak.Report{}, err
		}
		for i := range rep.Hits {
			if !rep.Hits[i].Excepted() {
				rep.Hits[i].Until, rep.Hits[i].Reason = in.until, in.reason
			}
		}
	}
	if known != nil {
		err = known.file(ctx, path, rep)
	}
	return rep, err
}

// scanning shows on a terminal how far a scan has come.
func (a *app) scanning(path string, o *leak.Options) (end func()) {
	if !onTerminal(a.err) {
		return func() {}
	}
	var last time.Time
	o.Progress = func(p leak.Progress) {
		if now := a.now(); now.Sub(last) > 200*time.Millisecond {
			last = now
			fmt.Fprintf(a.err, "\r\x1b[K%s … %d files, %d MB, %d hits", visible(path), p.Files, p.Bytes>>20, p.Hits)
		}
	}
	return func() { fmt.Fprint(a.err, "\r\x1b[K") }
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(filepath.Clean(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // it holds no secret, and is shared like the code beside it
	if err != nil {
		return unreadable(name, err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// comparison asks the server about marks; it is the leak.Known of a scan.
type comparison struct {
	conn *client
	id   string
	key  envelope.Key
}

func (a *app) compare(ctx context.Context) (*comparison, error) {
	conn, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	var out struct{ ID, Key string }
	if err := conn.post(ctx, "vault/scans/comparisons", struct{}{}, &out); err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(out.Key)
	if err != nil {
		return nil, conn.notWrit(err)
	}
	key, err := envelope.NewKey("scan", secret.NewBytes(raw))
	return &comparison{conn, out.ID, key}, err
}

// Key implements leak.Known.
func (c *comparison) Key() envelope.Key { return c.key }

// Which implements leak.Known.
func (c *comparison) Which(ctx context.Context, marks []leak.Mark) (map[leak.Mark]string, error) {
	texts := make([]string, len(marks))
	for i, m := range marks {
		texts[i] = base64.RawStdEncoding.EncodeToString(m[:])
	}
	var out struct{ Names map[string]string }
	if err := c.conn.post(ctx, "vault/scans/comparisons/"+c.id, map[string]any{"marks": texts}, &out); err != nil {
		return nil, err
	}
	names := map[leak.Mark]string{}
	for i, t := range texts {
		if name := out.Names[t]; name != "" {
			names[marks[i]] = name
		}
	}
	return names, nil
}

// file takes the report to the record.
func (c *comparison) file(ctx context.Context, path string, rep leak.Report) error {
	full, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	host := hostname()
	if host == "" {
		host = "unnamed"
	}
	return c.conn.post(ctx, "vault/scans", map[string]any{"host": host, "path": full, "comparison": c.id, "report": rep}, nil)
}

// printScans tells what was found, and gives the exit status.
func (a *app) printScans(reports []leak.Report, in scanFlags) error {
	open, unread := 0, 0
	all := leak.Report{}
	for _, r := range reports {
		open, unread = open+len(r.Open()), unread+len(r.Unread)
		all.Hits = append(all.Hits, r.Hits...)
	}
	if in.sarif != "" {
		b, err := all.SARIF(a.server.Version)
		if err != nil {
			return err
		}
		if err := os.WriteFile(in.sarif, b, 0o600); err != nil {
			return unreadable(in.sarif, err)
		}
	}
	if a.json() {
		if err := a.encode(map[string]any{"places": reports}); err != nil {
			return err
		}
	} else {
		for _, r := range reports {
			if err := a.printScan(r); err != nil {
				return err
			}
		}
	}
	if open+unread > 0 {
		return no
	}
	return nil
}

func (a *app) printScan(r leak.Report) error {
	t := newTable(a.out)
	for _, h := range r.Open() {
		says, at := h.Says, h.File
		if h.Name != "" {
			says = "The value of " + h.Name
		}
		if h.Line > 0 {
			at += ":" + strconv.Itoa(h.Line)
		}
		if h.Commit != "" {
			at += " in " + h.Commit[:min(12, len(h.Commit))]
		}
		t.row(at, says, h.Masked, h.ID)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, u := range r.Unread {
		a.say("%s could not be read, and may hold anything.", visible(u))
	}
	tail := ""
	if n := len(r.Hits) - len(r.Open()); n > 0 {
		tail = ", " + strconv.Itoa(n) + " excepted"
	}
	if !r.Known {
		tail += "; by rules alone, and not recorded"
	}
	a.say("%s: %s in %s (%d MB)%s.", visible(r.Place), count(len(r.Open()), "hit", "hits"), count(int(r.Files), "file", "files"), r.Bytes>>20, tail)
	return nil
}

func (a *app) vaultScans() *cobra.Command {
	return &cobra.Command{
		Use: "scans", Short: "List places that were searched, and what is open", Long: "Lists the places that were searched for credentials, when the last scan was, and the hits that are open or excepted.",
		Example: "  writ vault scans", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/scans", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Places []struct {
					ID, Host, Path, Failed string
					Declared               bool
					Scanned                time.Time
					Files, Unread          int64
					Open                   []struct {
						ID, Says, File, Masked, State string
						Line                          int
						Until                         time.Time
					}
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "PLACE", "WHERE", "SEARCHED", "FILES", "OPEN")
			hits := newTable(a.out, "PLACE", "HIT", "FILE", "WHAT", "STATE")
			n := 0
			for _, p := range out.Places {
				at := p.Path
				if p.Host != "" {
					at = p.Host + ":" + at
				}
				when := a.when(p.Scanned)
				if p.Failed != "" {
					when = p.Failed
				}
				open := 0
				for _, h := range p.Open {
					state := h.State
					if state == "excepted" {
						state += " until " + a.date(h.Until)
					} else {
						open++
					}
					hits.row(p.ID, h.ID, h.File+":"+strconv.Itoa(h.Line), h.Says+" "+h.Masked, state)
					n++
				}
				t.row(p.ID, at, when, strconv.FormatInt(p.Files, 10), strconv.Itoa(open))
			}
			if err := t.flush(); err != nil || n == 0 {
				return err
			}
			a.say("")
			return hits.flush()
		}),
	}
}

func (a *app) vaultHit() *cobra.Command {
	return a.group("hit", "Say what became of a credential that was found", "A credential that was found is a finding until it is mended or excepted.",
		"  writ vault hit mend PLACE HIT --reason 'revoked at the provider, and removed'\n  writ vault hit except PLACE HIT --until 2027-03-31 --reason 'made up, for the manual'",
		a.decideHit("mend", "Say that a hit is mended", "Says that the credential works no more and is gone from its place. A later scan that sees it opens it again.", "The hit is marked as mended."),
		a.decideHit("except", "Except a hit until a day", "Takes a hit out of the findings until a day within a year.", "The hit is excepted."))
}

func (a *app) decideHit(use, short, long, done string) *cobra.Command {
	var reason, until string
	c := &cobra.Command{
		Use: use + " PLACE HIT", Short: short, Long: long, Example: "  writ vault hit " + use + " 01J… 9f2b6c1d4e5a7b80 --reason 'revoked at the provider'", Args: cobra.ExactArgs(2),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			in := map[string]string{"place": args[0], "hit": args[1], "reason": strings.TrimSpace(reason)}
			if until != "" {
				in["until"] = until
			}
			if err := conn.post(c.Context(), "vault/scans/decisions", in, nil); err != nil {
				return err
			}
			return a.done(done, nil)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "what was done, or why it may stay")
	_ = c.MarkFlagRequired("reason") // the flag is there
	if use == "except" {
		c.Flags().StringVar(&until, "until", "", "the last day, such as 2027-03-31")
		_ = c.MarkFlagRequired("until") // as above
	}
	return c
}
