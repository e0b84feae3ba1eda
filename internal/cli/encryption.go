package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// keysState is how the keys stand, on the wire.
type keysState struct {
	Store    string    `json:"store"`
	RootFrom string    `json:"root_from"`
	RootID   string    `json:"root_id"`
	Roots    int       `json:"roots"`
	Keys     int       `json:"keys"`
	Left     int       `json:"left"`
	Every    int       `json:"every_days"`
	Due      time.Time `json:"due"`
	KEKs     []struct {
		ID        string     `json:"id"`
		Version   int        `json:"version"`
		Made      time.Time  `json:"made"`
		Retired   *time.Time `json:"retired"`
		Destroyed *time.Time `json:"destroyed"`
		Keys      int        `json:"keys"`
	} `json:"keks"`
	Resealing int   `json:"resealing"`
	Resealed  int64 `json:"resealed"`
}

func (a *app) vaultRotate() *cobra.Command {
	var now, status bool
	var exposed string
	c := &cobra.Command{
		Use: "rotate", Short: "Replace the key that all data keys lie under, or show how the keys stand",
		Long: `Without a flag, or with --status, shows the keys: how old the newest is, when the next one is due, and
how many data keys still lie under a former one. With --now a new key is made and everything is moved
under it; the data itself stays as it is. --exposed REASON does so because a key may be known to
somebody: then vaults and items of teams get new keys too, and what lies under the former ones is sealed
anew in the background; the former ones are destroyed 30 days later.`,
		Example: "  writ vault rotate --status\n  writ vault rotate --now\n  writ vault rotate --exposed 'a laptop with a backup is gone'", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if replace := now || c.Flags().Changed("exposed"); replace {
				err = conn.post(c.Context(), "encryption/rotate", map[string]any{"exposed": c.Flags().Changed("exposed"), "reason": exposed}, &raw)
			} else {
				err = conn.get(c.Context(), "encryption", &raw)
			}
			if err != nil {
				return err
			}
			return a.showKeys(raw)
		}),
	}
	c.Flags().BoolVar(&now, "now", false, "replace it now")
	c.Flags().BoolVar(&status, "status", false, "show how the keys stand")
	c.Flags().StringVar(&exposed, "exposed", "", "replace it now, because a key may be known to somebody: how; it stands in the record")
	c.MarkFlagsMutuallyExclusive("now", "status", "exposed")
	return c
}

func (a *app) showKeys(raw json.RawMessage) error {
	if a.json() {
		return a.printJSON(raw)
	}
	var st keysState
	if err := decode(raw, &st); err != nil {
		return err
	}
	t := newTable(a.out, "KEY", "VERSION", "MADE", "STATE", "KEYS UNDER IT")
	for i, k := range st.KEKs {
		state := "in use"
		switch {
		case k.Destroyed != nil:
			state = "destroyed " + a.when(*k.Destroyed)
		case k.Retired != nil:
			state = "retired " + a.when(*k.Retired)
		case i < len(st.KEKs)-1:
			state = "replaced; its keys move"
		}
		t.row(k.ID, strconv.Itoa(k.Version), a.when(k.Made), state, strconv.Itoa(k.Keys))
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.say("%s; %d of them lie under a former key. The next one is due %s (every %d days).", count(st.Keys, "data key", "data keys"), st.Left, a.date(st.Due), st.Every)
	if st.Resealing > 0 {
		a.say("The values under %s are being sealed anew after an exposure: %d so far.", count(st.Resealing, "key", "keys"), st.Resealed)
	}
	if st.Roots > 1 {
		a.say("Two root keys are in use: the root key is being replaced, and nothing is rotated until that is done.")
	}
	return nil
}

// shredding is a destruction on the wire.
type shredding struct {
	ID      string    `json:"id"`
	What    string    `json:"what"`
	Reason  string    `json:"reason"`
	State   string    `json:"state"`
	Given   int       `json:"given"`
	Need    int       `json:"need"`
	Asked   time.Time `json:"asked"`
	AskedBy string    `json:"asked_by"`
	Until   time.Time `json:"until"`
}

func (a *app) vaultShred() *cobra.Command {
	var reason, agree, refuse, certificate, out string
	var list bool
	c := &cobra.Command{
		Use: "shred [TARGET]", Short: "Destroy a key for ever, with others who agree",
		Long: `Asks for the destruction of the key of TARGET: person/HANDLE, team/ID (a customer's vault), kms/ID, class/NAME,
stranger/2026-11 (a month of strangers), backup/NAME. What was sealed under it can never be read
again, here or in a backup. It is done when as many people agree as the policy says (--agree ID, signed
in with --as); who asked counts once. A legal hold refuses it. --certificate ID prints the certificate
with its proof, which writ verify checks without a server.`,
		Example: "  writ vault shred team/0192… --reason 'the contract has ended'\n  writ vault shred --list\n  writ vault shred --agree 01ab… --as ben@example.com\n  writ vault shred --certificate 01ab… --out certificate.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			at := func(id string) string { return "encryption/shreds/" + url.PathEscape(id) }
			var raw json.RawMessage
			switch {
			case len(args) == 1:
				if reason == "" {
					return &usageError{errors.New("say why: writ vault shred TARGET --reason TEXT")}
				}
				err = conn.post(c.Context(), "encryption/shreds", map[string]string{"target": args[0], "reason": reason}, &raw)
				return a.shredAct(raw, err)
			case agree != "":
				err = conn.post(c.Context(), at(agree)+"/agree", struct{}{}, &raw)
				return a.shredAct(raw, err)
			case refuse != "":
				if err := conn.call(c.Context(), http.MethodDelete, at(refuse), nil, nil); err != nil {
					return err
				}
				return a.done("It is refused; nothing was destroyed.", nil)
			case certificate != "":
				err = conn.get(c.Context(), at(certificate)+"/certificate", &raw)
				return a.certificate(raw, out, err)
			case list:
				err = conn.get(c.Context(), "encryption/shreds", &raw)
				return a.shredList(raw, err)
			}
			return &usageError{errors.New("name what is to be destroyed, or use --list, --agree, --refuse or --certificate")}
		}),
	}
	f := c.Flags()
	f.StringVar(&reason, "reason", "", "why; it stands in the record")
	f.BoolVar(&list, "list", false, "list what was asked for and done")
	f.StringVar(&agree, "agree", "", "agree to the destruction of this id; cannot be undone")
	f.StringVar(&refuse, "refuse", "", "refuse the destruction of this id")
	f.StringVar(&certificate, "certificate", "", "print the certificate of this id, with its proof")
	f.StringVar(&out, "out", "", "file for the certificate (default: standard output)")
	c.MarkFlagsMutuallyExclusive("reason", "list", "agree", "refuse", "certificate")
	return c
}

// shredAct tells how far a destruction is.
func (a *app) shredAct(raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	var x shredding
	if err := decode(raw, &x); err != nil {
		return err
	}
	if x.State == "done" {
		return a.done(fmt.Sprintf("The key of %s is destroyed. Its certificate: writ vault shred --certificate %s", visible(x.What), visible(x.ID)), raw)
	}
	return a.done(fmt.Sprintf("The destruction of %s waits: %d of %d people want it. Another one agrees until %s: writ vault shred --agree %s --as EMAIL",
		visible(x.What), x.Given, x.Need, a.date(x.Until), visible(x.ID)), raw)
}

func (a *app) shredList(raw json.RawMessage, err error) error {
	switch {
	case err != nil:
		return err
	case a.json():
		return a.printJSON(raw)
	}
	var out struct{ Shreds []shredding }
	if err := decode(raw, &out); err != nil {
		return err
	}
	t := newTable(a.out, "ID", "WHAT", "STATE", "PEOPLE", "ASKED", "BY", "WHY")
	for _, x := range out.Shreds {
		t.row(x.ID, x.What, x.State, fmt.Sprintf("%d of %d", x.Given, x.Need), a.when(x.Asked), x.AskedBy, x.Reason)
	}
	return t.flush()
}

// certificate writes one to a file of its own, or to standard output.
func (a *app) certificate(raw json.RawMessage, out string, err error) error {
	if err != nil {
		return err
	}
	if out == "" {
		return a.printJSON(raw)
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a certificate names nobody and is for everybody
	if err != nil {
		return &exit{exitUsage, fmt.Errorf("write the certificate: %w", err)}
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the certificate: %w", err)
	}
	a.say("The certificate is in %s. Check it: writ verify %s", visible(out), visible(out))
	return nil
}

func (a *app) vaultHold() *cobra.Command {
	return a.group("hold", "Keep something from being destroyed, for the law",
		`A legal hold refuses every destruction of its target, and the erasure of a person. One person adds it;
two people end it.`,
		"  writ vault hold add person/ana --reason 'a lawsuit'\n  writ vault hold list\n  writ vault hold end 01ab… --as ben@example.com",
		a.holdAdd(), a.holdList(), a.holdEnd())
}

func (a *app) holdAdd() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "add TARGET|everything", Short: "Add a hold", Long: "Adds a hold on person/HANDLE, team/ID, kms/ID, class/NAME, stranger/2026-11, backup/NAME, or on everything.",
		Example: "  writ vault hold add person/ana --reason 'a lawsuit'\n  writ vault hold add everything --reason 'the court has asked'", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "encryption/holds", map[string]string{"target": args[0], "reason": reason}, &raw); err != nil {
				return err
			}
			var h struct{ ID string }
			if err := decode(raw, &h); err != nil {
				return err
			}
			return a.done("The hold stands. Two people end it: writ vault hold end "+visible(h.ID), raw)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it stands in the record")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) holdList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List holds, those that have ended last", Long: "Lists the holds: what they keep, why, since when, and who has asked for their end.",
		Example: "  writ vault hold list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "encryption/holds", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Holds []struct {
					ID, Target, Reason string
					Made               time.Time
					MadeBy             string     `json:"made_by"`
					Asked              *time.Time `json:"end_asked"`
					Ended              *time.Time `json:"ended"`
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			t := newTable(a.out, "ID", "KEEPS", "SINCE", "BY", "STATE", "WHY")
			for _, h := range out.Holds {
				state := "holds"
				switch {
				case h.Ended != nil:
					state = "ended " + a.when(*h.Ended)
				case h.Asked != nil:
					state = "its end was asked for " + a.when(*h.Asked)
				}
				t.row(h.ID, h.Target, a.when(h.Made), h.MadeBy, state, h.Reason)
			}
			return t.flush()
		}),
	}
}

func (a *app) holdEnd() *cobra.Command {
	return &cobra.Command{
		Use: "end ID", Short: "Ask for the end of a hold; a second person ends it", Long: "Ends a hold when a second person wants it: the first time it is asked for. Sign in with --as: the server's own\naccount is nobody here.",
		Example: "  writ vault hold end 01ab… --as ben@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.call(c.Context(), http.MethodDelete, "encryption/holds/"+url.PathEscape(args[0]), nil, &raw); err != nil {
				return err
			}
			var out struct{ Ended bool }
			if err := decode(raw, &out); err != nil {
				return err
			}
			if out.Ended {
				return a.done("The hold has ended.", raw)
			}
			return a.done("The end of the hold is asked for. It stands until another person ends it too.", raw)
		}),
	}
}
