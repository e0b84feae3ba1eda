package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// person is a person on the wire.
type person struct {
	ID        string    `json:"id"`
	Handle    string    `json:"handle"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	State     string    `json:"state"`
	Kind      string    `json:"kind"` // of the team
	Team      string    `json:"team"`
	Roles     []string  `json:"roles"`
	Created   time.Time `json:"created"`
	Confirmed time.Time `json:"confirmed"`
	Password  time.Time `json:"password_set"`
	Sessions  int       `json:"sessions"`
}

func (a *app) userCommand() *cobra.Command {
	return a.group("user", "See and manage the people who sign in",
		"A person is named by address, handle (person/ana) or id.",
		"  writ user list\n  writ user link ana@example.com\n  writ user sessions ana@example.com --end",
		append(append(a.rightsCommands(), a.careCommands()...), a.userList(), a.userShow(), a.userAdd(), a.userLink(), a.userDisable(), a.userSessions(), a.userFactorReset(), a.userErase(), a.userImport())...)
}

// on is a command about one person.
func (a *app) on(use, short, long, example string, act func(ctx context.Context, conn *client, path string) error) *cobra.Command {
	return &cobra.Command{Use: use + " PERSON", Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			return act(c.Context(), conn, "people/"+url.PathEscape(args[0]))
		})}
}

func (a *app) userList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List people, oldest first", Long: "Lists everybody who can or could sign in, oldest first.",
		Example: "  writ user list\n  writ user list --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			people, raws, err := allPeople(c.Context(), conn)
			if err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]any{"people": raws})
			}
			t := newTable(a.out, "HANDLE", "ADDRESS", "STATE", "TEAM", "ROLES", "SESSIONS", "SINCE")
			for _, p := range people {
				t.row(p.Handle, p.Email, p.State, p.Kind, strings.Join(p.Roles, " "), strconv.Itoa(p.Sessions), a.when(p.Created))
			}
			return t.flush()
		}),
	}
}

// allPeople reads every page.
func allPeople(ctx context.Context, conn *client) (people []person, raws []json.RawMessage, err error) {
	raws = []json.RawMessage{}
	for after := ""; ; {
		var page struct {
			People []json.RawMessage `json:"people"`
			After  string            `json:"after"`
		}
		if err := conn.get(ctx, "people?"+url.Values{"after": {after}}.Encode(), &page); err != nil {
			return nil, nil, err
		}
		for _, raw := range page.People {
			var p person
			if err := decode(raw, &p); err != nil {
				return nil, nil, err
			}
			people, raws = append(people, p), append(raws, raw)
		}
		if page.After == "" || page.After == after {
			return people, raws, nil
		}
		after = page.After
	}
}

func (a *app) userShow() *cobra.Command {
	return a.on("show", "Show one person", "Shows one person: team, roles, since when, how many live sessions.", "  writ user show ana@example.com",
		func(ctx context.Context, conn *client, path string) error {
			var raw json.RawMessage
			if err := conn.get(ctx, path, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var p person
			if err := decode(raw, &p); err != nil {
				return err
			}
			t := newTable(a.out)
			t.row("handle", p.Handle)
			t.row("name", p.Name)
			t.row("address", p.Email)
			t.row("state", p.State)
			t.row("team", p.Kind+" "+p.Team)
			t.row("roles", strings.Join(p.Roles, " "))
			t.row("since", a.date(p.Created))
			t.row("confirmed", a.date(p.Confirmed))
			t.row("password set", a.date(p.Password))
			t.row("sessions", strconv.Itoa(p.Sessions))
			t.row("id", p.ID)
			return t.flush()
		})
}

func (a *app) userAdd() *cobra.Command {
	var name, handle string
	var roles []string
	c := &cobra.Command{
		Use: "add EMAIL --role ROLE", Short: "Add a member of staff and print their one-time link",
		Long:    "Adds a member of staff with roles (owner, engineer, support, auditor) and prints the link with which they set their password.",
		Example: "  writ user add dana@example.com --role engineer --name \"Dana Fox\"", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			in := map[string]any{"email": args[0], "name": name, "handle": handle, "roles": roles}
			if err := conn.post(c.Context(), "people", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct{ Handle, URL string }
			if err := decode(raw, &out); err != nil {
				return err
			}
			if out.URL == "" {
				a.say("%s was added. A link to set a password was mailed to them.", visible(out.Handle))
				return nil
			}
			a.say("%s was added. Their link works once:\n%s", visible(out.Handle), visible(out.URL))
			return nil
		}),
	}
	c.Flags().StringVar(&name, "name", "", "their name")
	c.Flags().StringVar(&handle, "handle", "", "their handle (default: from the address)")
	c.Flags().StringSliceVar(&roles, "role", nil, "owner, engineer, support or auditor; may be repeated")
	_ = c.MarkFlagRequired("role") // the flag is there
	return c
}

func (a *app) userLink() *cobra.Command {
	return a.on("link", "Renew a lost link",
		`Prints a new one-time link for a person who has no password yet, to the operator at the
machine alone; with --as it is mailed to the person. A person who has a password is mailed
a link to set a new one; nobody else sees it.`, "  writ user link ana@example.com",
		func(ctx context.Context, conn *client, path string) error {
			var raw json.RawMessage
			if err := conn.post(ctx, path+"/link", struct{}{}, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				URL    string
				Mailed bool
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if out.URL == "" {
				a.say("A link was mailed to them.")
			} else {
				a.say("%s", visible(out.URL))
			}
			return nil
		})
}

func (a *app) userDisable() *cobra.Command {
	var file string
	c := a.on("disable", "End everything of a person and keep them out, with a receipt",
		`Ends all that a person can act with at once and keeps them out. Prints the receipt: how many
of each kind ended and after how long nothing of it was left. The receipt is an entry of the
journal; --receipt FILE keeps it as a bundle that writ verify checks without a server. Their
data stays; writ user erase removes it.`, "  writ user disable ben@example.com\n  writ user disable ben@example.com --receipt ben.zip && writ verify ben.zip",
		func(ctx context.Context, conn *client, path string) error { return a.disable(ctx, conn, path, file) })
	c.Flags().StringVar(&file, "receipt", "", "write the receipt as a bundle; the file must not be there yet")
	return c
}

// receipt is what an offboarding ended, on the wire.
type receipt struct {
	Person string
	Entry  string
	Left   []string
	Kinds  []struct {
		Kind    string
		Ended   int64
		Seconds float64 `json:"seconds_to_zero"`
	}
}

func (a *app) disable(ctx context.Context, conn *client, path, file string) error {
	var raw json.RawMessage
	if err := conn.post(ctx, path+"/disable", struct{}{}, &raw); err != nil {
		return err
	}
	var rc receipt
	if err := decode(raw, &rc); err != nil {
		return err
	}
	if a.json() {
		if err := a.printJSON(raw); err != nil {
			return err
		}
	} else {
		a.say("They are signed out everywhere and cannot sign in.")
		t := newTable(a.out, "ENDED", "KIND", "NOTHING LEFT AFTER")
		for _, k := range rc.Kinds {
			t.row(strconv.FormatInt(k.Ended, 10), strings.ReplaceAll(k.Kind, "-", " "), strconv.FormatFloat(k.Seconds, 'f', 3, 64)+" s")
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(rc.Left) > 0 {
		return fmt.Errorf("something is left: %s. Look at writ check --clause access.need-ends", strings.Join(rc.Left, ", "))
	}
	if file == "" {
		return nil
	}
	if rc.Entry == "" {
		return errors.New("the receipt could not be recorded, so there is none to keep; the end itself is in the journal")
	}
	return a.keepReceipt(ctx, conn, rc.Entry, file)
}

// keepReceipt writes the bundle of one entry, once the journal has numbered it.
func (a *app) keepReceipt(ctx context.Context, conn *client, id, file string) error {
	var e entry
	for try := 0; ; try++ {
		err := conn.get(ctx, "journal/entries/"+url.PathEscape(id), &e)
		if err == nil {
			break
		}
		if try == 40 {
			return fmt.Errorf("the receipt is not in the journal yet; get it later with writ journal export: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
	return a.export(ctx, file, url.Values{"from": {strconv.FormatInt(e.N, 10)}, "to": {strconv.FormatInt(e.N+1, 10)}, "opened": {"0"}, "reason": {"receipt of an offboarding"}})
}

func (a *app) userSessions() *cobra.Command {
	var end bool
	c := a.on("sessions", "List a person's live sessions, or end them",
		"Lists the live sessions of a person. With --end it ends them all: their next request is a stranger's.",
		"  writ user sessions ana@example.com\n  writ user sessions ana@example.com --end",
		func(ctx context.Context, conn *client, path string) error {
			if end {
				return a.endSessions(ctx, conn, path)
			}
			return a.listSessions(ctx, conn, path)
		})
	c.Flags().BoolVar(&end, "end", false, "end them all")
	return c
}

func (a *app) endSessions(ctx context.Context, conn *client, path string) error {
	var raw json.RawMessage
	if err := conn.call(ctx, http.MethodDelete, path+"/sessions", nil, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var out struct{ Ended int }
	if err := decode(raw, &out); err != nil {
		return err
	}
	a.say("Ended: %s.", count(out.Ended, "session", "sessions"))
	return nil
}

func (a *app) listSessions(ctx context.Context, conn *client, path string) error {
	var raw json.RawMessage
	if err := conn.get(ctx, path+"/sessions", &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var out struct {
		Sessions []struct {
			ID      string    `json:"id"`
			AMR     []string  `json:"amr"`
			Started time.Time `json:"started"`
			Seen    time.Time `json:"seen"`
			Ends    time.Time `json:"ends"`
			Network string    `json:"network"`
			Browser string    `json:"browser"`
		} `json:"sessions"`
	}
	if err := decode(raw, &out); err != nil {
		return err
	}
	if len(out.Sessions) == 0 {
		a.say("No live session.")
		return nil
	}
	t := newTable(a.out, "SESSION", "BEGAN", "LAST SEEN", "ENDS", "BY", "NETWORK", "BROWSER")
	for _, s := range out.Sessions {
		t.row(s.ID, a.when(s.Started), a.when(s.Seen), a.when(s.Ends), strings.Join(s.AMR, " "), s.Network, s.Browser)
	}
	return t.flush()
}

func (a *app) userErase() *cobra.Command {
	var confirm string
	c := a.on("erase", "Erase a person for good",
		`Ends everything of a person and destroys the key under which their data lies, in backups
too. It cannot be undone. Entries about them stay provable; their hidden values can never be
opened again. --confirm must be their handle; on a terminal it is asked. Prints the
certificate of destruction.`,
		"  writ user erase ben@example.com --confirm person/ben",
		func(ctx context.Context, conn *client, path string) error { return a.erase(ctx, conn, path, confirm) })
	c.Flags().StringVar(&confirm, "confirm", "", "the person's handle")
	return c
}

func (a *app) erase(ctx context.Context, conn *client, path, confirm string) error {
	if confirm == "" {
		var p person
		if err := conn.get(ctx, path, &p); err != nil {
			return err
		}
		var err error
		confirm, err = a.askLine(fmt.Sprintf("This destroys all data of %s <%s> for good. Type their handle: ", p.Handle, p.Email), "Give --confirm HANDLE.")
		if err != nil {
			return err
		}
		if bare(confirm) != bare(p.Handle) {
			return errors.New("that is not the handle. Nothing was erased")
		}
	}
	var raw json.RawMessage
	if err := conn.post(ctx, path+"/erase", map[string]string{"confirm": bare(confirm)}, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var cert struct {
		Person, Pseudonym, Method, Entry string
		Keys                             []string
		Destroyed                        time.Time
	}
	if err := decode(raw, &cert); err != nil {
		return err
	}
	a.say("Erased.")
	t := newTable(a.out)
	t.row("person", cert.Person)
	t.row("in the journal", cert.Pseudonym)
	t.row("method", cert.Method)
	t.row("keys destroyed", strings.Join(cert.Keys, " "))
	t.row("at", cert.Destroyed.Local().Format("2 Jan 2006 15:04:05 MST"))
	t.row("entry", cert.Entry)
	return t.flush()
}

// bare is a handle without the kind that the policy writes before it.
func bare(handle string) string { return strings.TrimPrefix(handle, "person/") }

// done says that an act without an answer of its own was done.
func (a *app) done(sentence string, raw json.RawMessage) error {
	if !a.json() {
		a.say("%s", sentence)
		return nil
	}
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	return a.printJSON(raw)
}
