package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"writ/internal/merkle"
)

func (a *app) journalCommand() *cobra.Command {
	return a.group("journal", "Read, verify and export the record of every act",
		"The journal holds an entry for every change, in a tree whose signed checkpoints nobody can rewrite unseen.",
		"  writ journal entries --clause auth.reset-link-lifetime\n  writ journal verify\n  writ journal export evidence.zip --reason \"audit of the year\"",
		a.journalEntries(), a.journalVerify(), a.journalCheckpoint(), a.journalProve(), a.journalExport())
}

// search is what entries and exports are chosen by.
type search struct {
	clause, act, object, actor, subject string
	from                                int64
}

func (s *search) flags(c *cobra.Command, a *app) {
	f := c.Flags()
	f.StringVar(&s.clause, "clause", "", "only entries of this clause")
	f.StringVar(&s.act, "act", "", "only this act, such as identity.signed-in")
	f.StringVar(&s.object, "object", "", "only about this object, kind/id")
	f.StringVar(&s.actor, "actor", "", "only by this actor: a person's id, kind/id or a pseudonym")
	f.StringVar(&s.subject, "subject", "", "only about this person")
	f.Int64Var(&s.from, "from", 0, "first entry number")
	_ = c.RegisterFlagCompletionFunc("clause", a.completeClause) // the flag is there
}

func (s *search) values() url.Values {
	v := url.Values{}
	for k, x := range map[string]string{"clause": s.clause, "act": s.act, "object": s.object, "actor": s.actor, "subject": s.subject} {
		if x != "" {
			v.Set(k, x)
		}
	}
	if s.from > 0 {
		v.Set("from", strconv.FormatInt(s.from, 10))
	}
	return v
}

// entry is an entry on the wire.
type entry struct {
	N        int64     `json:"n"`
	ID       string    `json:"id"`
	Stream   string    `json:"stream"`
	SN       int64     `json:"sn"`
	Happened time.Time `json:"happened"`
	Kind     string    `json:"kind"`
	Actor    string    `json:"actor"`
	Act      string    `json:"act"`
	Object   string    `json:"object"`
	Subject  string    `json:"subject"`
	Clause   string    `json:"clause"`
	Revision string    `json:"revision"`
	Via      string    `json:"via"`
	Fields   []struct {
		Name  string `json:"name"`
		State string `json:"state"`
		Value any    `json:"value"`
	} `json:"fields"`
}

func (a *app) journalEntries() *cobra.Command {
	var s search
	var before int64
	var limit int
	var open bool
	c := &cobra.Command{
		Use: "entries [ENTRY]", Short: "List entries, the newest first, or show one",
		Long: `Lists entries, the newest first. With the number or the id of an entry it shows that one
with its fields. Hidden values stay hidden unless --open is given, which is recorded.`,
		Example: "  writ journal entries --limit 20\n  writ journal entries --act identity.signed-in\n  writ journal entries 1284 --open",
		Args:    cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.showEntry(c.Context(), conn, args[0], open)
			}
			if open {
				return &usageError{errors.New("--open needs the number of one entry")}
			}
			v := s.values()
			v.Set("limit", strconv.Itoa(limit))
			if before > 0 {
				v.Set("before", strconv.FormatInt(before, 10))
			}
			return a.listEntries(c.Context(), conn, v)
		}),
	}
	s.flags(c, a)
	c.Flags().Int64Var(&before, "before", 0, "only entries with a smaller number")
	c.Flags().IntVar(&limit, "limit", 50, "how many, at most 1000")
	c.Flags().BoolVar(&open, "open", false, "open the hidden values of the entry; this is recorded")
	return c
}

func (a *app) listEntries(ctx context.Context, conn *client, v url.Values) error {
	var raw json.RawMessage
	if err := conn.get(ctx, "journal/entries?"+v.Encode(), &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var page struct {
		Entries []entry `json:"entries"`
		Next    int64   `json:"next"`
	}
	if err := decode(raw, &page); err != nil {
		return err
	}
	if len(page.Entries) == 0 {
		a.say("No entry matches.")
		return nil
	}
	t := newTable(a.out, "ENTRY", "WHEN", "ACT", "WHO", "OBJECT", "CLAUSE")
	for _, e := range page.Entries {
		t.row(strconv.FormatInt(e.N, 10), a.when(e.Happened), e.Act, e.Actor, e.Object, e.Clause)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if page.Next > 0 {
		a.say("Older ones: --before %d", page.Next)
	}
	return nil
}

func (a *app) showEntry(ctx context.Context, conn *client, ref string, open bool) error {
	path := "journal/entries/" + url.PathEscape(ref)
	if open {
		path += "?open=1"
	}
	var raw json.RawMessage
	if err := conn.get(ctx, path, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var e entry
	if err := decode(raw, &e); err != nil {
		return err
	}
	t := newTable(a.out)
	line := func(name, value string) {
		if value != "" {
			t.row(name, value)
		}
	}
	line("entry", fmt.Sprintf("%d, number %d of %s", e.N, e.SN, e.Stream))
	line("id", e.ID)
	line("happened", e.Happened.Local().Format("2 Jan 2006 15:04:05 MST"))
	line("act", e.Act)
	line("who", e.Kind+" "+e.Actor)
	line("by way of", e.Via)
	line("object", e.Object)
	line("subject", e.Subject)
	line("clause", e.Clause)
	line("revision", e.Revision)
	for _, f := range e.Fields {
		value := f.State
		if f.State == "public" || f.State == "shown" {
			value = fmt.Sprint(f.Value)
		}
		t.row("  "+f.Name, value)
	}
	return t.flush()
}

// verifyLine is one line of the answer to POST journal/verify.
type verifyLine struct {
	Done   int64           `json:"done"`
	Of     int64           `json:"of"`
	Report json.RawMessage `json:"report"`
	Error  string          `json:"error"`
}

func (a *app) journalVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Hash the whole journal again and compare it with what was signed",
		Long: `Asks the server to hash every entry again and to compare tree, totals and kept checkpoints.
The result is an entry itself. To check without trusting the server, keep a checkpoint and
use: writ journal export, then writ verify --since.`,
		Example: "  writ journal verify\n  writ journal verify --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			resp, err := conn.do(c.Context(), http.MethodPost, "journal/verify", struct{}{})
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			report, err := a.followVerify(conn, resp.Body)
			if err != nil {
				return err
			}
			return a.printReport(report)
		}),
	}
}

// followVerify shows progress on a terminal and returns the report.
func (a *app) followVerify(conn *client, body io.Reader) (json.RawMessage, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	show := onTerminal(a.err)
	for lines.Scan() {
		var l verifyLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, conn.notWrit(err)
		}
		if show {
			fmt.Fprintf(a.err, "\r\x1b[K%d of %d entries", l.Done, l.Of)
		}
		if l.Report == nil && l.Error == "" {
			continue
		}
		if show {
			fmt.Fprint(a.err, "\r\x1b[K")
		}
		if l.Error != "" {
			return nil, errors.New(l.Error)
		}
		return l.Report, nil
	}
	if err := lines.Err(); err != nil {
		return nil, conn.away(err)
	}
	return nil, conn.away(io.ErrUnexpectedEOF)
}

func (a *app) printReport(raw json.RawMessage) error {
	var r struct {
		Size        int64         `json:"size"`
		Root        string        `json:"root"`
		Read        int64         `json:"read"`
		Checkpoints int           `json:"checkpoints"`
		Took        time.Duration `json:"took_ns"`
		Findings    []struct {
			Kind string `json:"kind"`
			Says string `json:"says"`
		} `json:"findings"`
	}
	if err := decode(raw, &r); err != nil {
		return err
	}
	if a.json() {
		if err := a.printJSON(raw); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		a.say("%s: %s", visible(f.Kind), visible(f.Says))
	}
	if len(r.Findings) > 0 {
		a.say("The journal does not hold what was signed: %s.", count(len(r.Findings), "finding", "findings"))
		return no
	}
	a.say("%d entries hashed again in %s, %s compared. The tree is the one that was signed.\nroot %s", r.Read,
		r.Took.Round(time.Millisecond), count(r.Checkpoints, "checkpoint", "checkpoints"), visible(r.Root))
	return nil
}

// checkpoint is the newest checkpoint on the wire.
type checkpoint struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Note   string `json:"note"`
	Key    string `json:"key"`
}

func (a *app) journalCheckpoint() *cobra.Command {
	var key bool
	c := &cobra.Command{
		Use: "checkpoint", Short: "Print the newest signed checkpoint",
		Long: `Prints the signed checkpoint as it is. Keep it: writ verify --since FILE then proves that
nothing before it was rewritten. With --key it prints the journal's verifier key instead,
which is worth having from another way than the bundle it verifies.`,
		Example: "  writ journal checkpoint > checkpoint.txt\n  writ journal checkpoint --key > journal.key", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "journal/checkpoint", &raw); err != nil {
				return err
			}
			var cp checkpoint
			if err := decode(raw, &cp); err != nil {
				return err
			}
			switch {
			case a.json():
				return a.printJSON(raw)
			case key:
				a.say("%s", visible(cp.Key))
			default:
				fmt.Fprint(a.out, visible(cp.Note))
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&key, "key", false, "print the verifier key")
	return c
}

func (a *app) journalProve() *cobra.Command {
	var keys []string
	var out string
	c := &cobra.Command{
		Use: "prove ENTRY", Short: "Prove that an entry stands in the journal, and check the proof here",
		Long: `Fetches the entry of this number or id with its proof and verifies both on this machine:
leaf hash, path to the root, signature of the checkpoint. Trust comes from --key; without it
the journal's own key is used and shown as self-asserted. --out keeps leaf and proof as
NAME.json and NAME.tlog-proof.`,
		Example: "  writ journal prove 1284\n  writ journal prove 1284 --key journal.key --out entry-1284", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error { return a.proveEntry(c.Context(), args[0], keys, out) }),
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "verifier key of the journal, or a file with it")
	c.Flags().StringVar(&out, "out", "", "keep NAME.json and NAME.tlog-proof")
	return c
}

func (a *app) proveEntry(ctx context.Context, ref string, keys []string, out string) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	by := "id"
	if _, err := strconv.ParseInt(ref, 10, 64); err == nil && len(ref) < 20 {
		by = "n"
	}
	var raw json.RawMessage
	if err := conn.get(ctx, "journal/proof?"+url.Values{by: {ref}}.Encode(), &raw); err != nil {
		return err
	}
	var p struct {
		N           int64 `json:"n"`
		Leaf, Proof string
	}
	if err := decode(raw, &p); err != nil {
		return err
	}
	given := len(keys) > 0
	if !given {
		var cp checkpoint
		if err := conn.get(ctx, "journal/checkpoint", &cp); err != nil {
			return err
		}
		keys = []string{cp.Key}
	}
	if keys, err = a.keys(keys); err != nil {
		return err
	}
	cp, key, err := checkProof([]byte(p.Proof), []byte(p.Leaf), p.N, keys)
	if err != nil {
		return fmt.Errorf("entry %d is not proved: %w", p.N, err)
	}
	if out != "" {
		if err := saveText(out+".json", p.Leaf); err != nil {
			return err
		}
		if err := saveText(out+".tlog-proof", p.Proof); err != nil {
			return err
		}
	}
	if a.json() {
		return a.printJSON(raw)
	}
	a.say("%s", visible(p.Leaf))
	a.say("Entry %d stands in the tree of %d entries signed by %s.", p.N, cp.Size, visible(cp.Origin))
	if !given {
		a.say("The key is self-asserted: %s. Compare it with one from another way.", visible(key))
	}
	return nil
}

// checkProof verifies leaf and proof under one of the keys.
func checkProof(proof, leaf []byte, n int64, keys []string) (merkle.Checkpoint, string, error) {
	p, err := merkle.ParseProof(proof)
	if err != nil {
		return merkle.Checkpoint{}, "", err
	}
	if p.Index != n {
		return merkle.Checkpoint{}, "", fmt.Errorf("the proof is for entry %d", p.Index)
	}
	last := errors.New("no key was given")
	for _, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			last = fmt.Errorf("%q is no verifier key", k)
			continue
		}
		cp, err := p.Verify(leaf, v)
		if err == nil {
			return cp, k, nil
		}
		last = err
	}
	return merkle.Checkpoint{}, "", last
}

// keys reads verifier keys: each is one itself, or a file that holds one a line.
func (a *app) keys(given []string) ([]string, error) {
	var out []string
	for _, k := range given {
		if _, err := note.NewVerifier(strings.TrimSpace(k)); err == nil {
			out = append(out, strings.TrimSpace(k))
			continue
		}
		b, err := a.readFile(k, 64<<10)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	}
	return out, nil
}

func saveText(name, text string) error {
	return save(name, func(f *os.File) error {
		_, err := f.WriteString(text)
		return err
	})
}

func (a *app) journalExport() *cobra.Command {
	var s search
	var to, since int64
	var reason string
	var closed bool
	c := &cobra.Command{
		Use: "export FILE", Short: "Write an evidence bundle that writ verify checks offline",
		Long: `Writes a zip with the chosen entries, their proofs and signed checkpoints. A range of
numbers, or all entries of one act, can be proved to be complete; any other choice is
declared a selection. The export and its reason are an entry themselves. Hidden values are
opened for the reader of the bundle unless --closed is given. FILE must not be there yet.`,
		Example: "  writ journal export evidence.zip --reason \"audit of the year\"\n  writ journal export sign-ins.zip --act identity.signed-in --closed --reason \"sample for the auditor\"",
		Args:    cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			v := s.values()
			v.Set("reason", reason)
			if to > 0 {
				v.Set("to", strconv.FormatInt(to, 10))
			}
			if since > 0 {
				v.Set("since", strconv.FormatInt(since, 10))
			}
			if closed {
				v.Set("opened", "0")
			}
			return a.export(c.Context(), args[0], v)
		}),
	}
	s.flags(c, a)
	f := c.Flags()
	f.Int64Var(&to, "to", 0, "end: only entries with a smaller number")
	f.Int64Var(&since, "since", 0, "prove that the checkpoint of this size, which you kept, is a beginning")
	f.StringVar(&reason, "reason", "", "why; it is recorded")
	f.BoolVar(&closed, "closed", false, "leave hidden values closed")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) export(ctx context.Context, name string, v url.Values) error {
	conn, err := a.open(ctx)
	if err != nil {
		return err
	}
	var n int64
	done := a.working("Writing " + name)
	err = save(name, func(f *os.File) error {
		resp, err := conn.do(ctx, http.MethodGet, "journal/export?"+v.Encode(), nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if n, err = io.Copy(f, resp.Body); err != nil {
			return conn.away(fmt.Errorf("the bundle ended early: %w", err))
		}
		return f.Sync()
	})
	done()
	if err != nil {
		return err
	}
	if a.json() {
		return a.encode(map[string]any{"file": name, "bytes": n})
	}
	a.say("%s, %d bytes. Check it with: writ verify %s", name, n, name)
	return nil
}
