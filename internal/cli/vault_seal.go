package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/seal"
	"writ/internal/secret"
)

// unsealing is a gathering on the wire.
type unsealing struct {
	Phase     string    `json:"phase"`
	Act       string    `json:"act"`
	Operation string    `json:"operation"`
	Set       string    `json:"set"`
	Key       []byte    `json:"key"`
	Given     int       `json:"given"`
	Need      int       `json:"need"`
	Of        int       `json:"of"`
	Until     time.Time `json:"until"`
}

// anybody is a client without a session: holders prove themselves by their share.
func (a *app) anybody() (*client, error) {
	if a.url != "" {
		return a.overHTTPS()
	}
	return a.overSocket()
}

func (a *app) vaultUnseal() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "unseal [--holder FILE]", Short: "Give your share of the root key, or see who is waited for",
		Long: `Gives the share of the holder whose key file is named, to a sealed server or to a drill. The share
is opened here and leaves sealed to the key of this gathering. Without --holder it says how far the
gathering has come. Compare the operation it names with the page of the server.`,
		Example: "  writ vault unseal\n  writ vault unseal --holder vault-share.key\n  writ vault unseal --holder vault-share.key --url https://app.example.com", Args: cobra.NoArgs, Annotations: offlineCommand,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.anybody()
			if err != nil {
				return err
			}
			if file == "" {
				return a.showUnsealing(c.Context(), conn)
			}
			key, err := a.holderKey(file)
			if err != nil {
				return err
			}
			return a.giveShare(c.Context(), conn, key)
		}),
	}
	c.Flags().StringVar(&file, "holder", "", "your key file")
	return c
}

func (a *app) showUnsealing(ctx context.Context, conn *client) error {
	var raw json.RawMessage
	if err := conn.get(ctx, "unseal", &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var u unsealing
	if err := decode(raw, &u); err != nil {
		return err
	}
	a.sayUnsealing(u)
	return nil
}

func (a *app) sayUnsealing(u unsealing) {
	switch {
	case u.Phase == seal.Opened && u.Act == seal.Drill:
		a.say("The shares fit. The drill is recorded.")
	case u.Phase == seal.Opened && u.Act == seal.Open:
		a.say("The vault opens.")
	case u.Phase == seal.Opened:
		a.say("The vault is open, and no drill is on.")
	case u.Given == 0:
		a.say("Operation %s: no share is given yet, %d of %d holders are wanted.", visible(u.Operation), u.Need, u.Of)
	default:
		a.say("Operation %s: %d of %d shares are given. %d more by %s, or all begin anew.", visible(u.Operation), u.Given, u.Need, u.Need-u.Given, a.date(u.Until))
	}
}

// giveShare asks for the box of the key's holder, opens it here and sends the share on.
func (a *app) giveShare(ctx context.Context, conn *client, key seal.Private) error {
	var got struct {
		Box   []byte    `json:"box"`
		State unsealing `json:"state"`
	}
	if err := conn.post(ctx, "unseal/box", map[string]string{"holder": key.ID}, &got); err != nil {
		return err
	}
	op := seal.Operation{V: 1, Act: got.State.Act, Set: got.State.Set, Key: got.State.Key}
	box, err := key.Offer(op, got.Box)
	if err != nil {
		return fmt.Errorf("this key file does not open the share: %w", err)
	}
	var raw json.RawMessage
	if err := conn.post(ctx, "unseal", map[string]any{"set": op.Set, "holder": key.ID, "box": box}, &raw); err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(raw)
	}
	var u unsealing
	if err := decode(raw, &u); err != nil {
		return err
	}
	a.sayUnsealing(u)
	return nil
}

// holderKey reads a key file, and asks for its passphrase where it has one.
func (a *app) holderKey(file string) (seal.Private, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return seal.Private{}, unreadable(file, err)
	}
	defer clear(b)
	key, err := seal.ReadPrivate(b, secret.NewText(a.env("WRIT_PASSPHRASE")))
	if errors.Is(err, seal.ErrPassphrase) && a.env("WRIT_PASSPHRASE") == "" {
		var phrase secret.Text
		if phrase, err = a.ask("Passphrase of "+file+": ", "Set WRIT_PASSPHRASE."); err == nil {
			key, err = seal.ReadPrivate(b, phrase)
		}
	}
	if err != nil {
		return seal.Private{}, &usageError{fmt.Errorf("%s: %w", file, err)}
	}
	return key, nil
}

func (a *app) vaultHolderKey() *cobra.Command {
	var locked bool
	c := &cobra.Command{
		Use: "holder-key FILE", Short: "Make a key file for a holder of the root key",
		Long: `Makes a key to which shares of the root key are sealed, writes it to a new file that you alone may
read, and prints its line. The line is no secret: hand it in at /-/vault/holder, or with
writ vault holders enrol. Keep the file where nobody else comes to it: without it your share opens nothing.`,
		Example: "  writ vault holder-key vault-share.key\n  writ vault holder-key --passphrase vault-share.key", Args: cobra.ExactArgs(1),
		RunE: run(func(_ *cobra.Command, args []string) error {
			var phrase secret.Text
			if locked {
				if phrase = secret.NewText(a.env("WRIT_PASSPHRASE")); phrase.IsZero() {
					var err error
					if phrase, err = a.ask("Passphrase for the file: ", "Set WRIT_PASSPHRASE."); err != nil {
						return err
					}
				}
			}
			key, err := seal.NewPrivate()
			if err != nil {
				return err
			}
			text, err := key.Bytes(phrase)
			if err != nil {
				return err
			}
			defer clear(text)
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
			if errors.Is(err, fs.ErrExist) {
				return &usageError{fmt.Errorf("%s is there already, and a key is never overwritten", args[0])}
			}
			if err != nil {
				return fmt.Errorf("write the key: %w", err)
			}
			if _, err = f.Write(text); err != nil {
				return errors.Join(err, f.Close(), os.Remove(args[0]))
			}
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				return fmt.Errorf("write the key: %w", err)
			}
			if a.json() {
				return a.encode(map[string]string{"file": args[0], "line": key.Line()})
			}
			a.say("%s", key.Line())
			return nil
		}),
	}
	c.Flags().BoolVar(&locked, "passphrase", false, "lock the file with a passphrase")
	return c
}

func (a *app) vaultSeal() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "seal --reason TEXT", Short: "Put the keys away; holders open the vault again",
		Long:    "Seals the vault: the keys leave the memory, and the server answers nobody until enough holders have given their share. All owners and holders are told.",
		Example: "  writ vault seal --reason 'an intruder on the machine'", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.post(c.Context(), "vault/seal", map[string]string{"reason": reason}, nil); err != nil {
				return err
			}
			return a.done("The vault is sealed. Holders open it with: writ vault unseal --holder FILE", nil)
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "why; all owners and holders read it")
	_ = c.MarkFlagRequired("reason") // the flag is there
	return c
}

func (a *app) vaultHolders() *cobra.Command {
	return a.group("holders", "Say who holds the root key together",
		"Holders open a sealed vault together; no one can alone. Owners appoint them, each enrols a key, and the\nroot key is split among them. docs/vault.md tells it all.",
		"  writ vault holders list\n  writ vault holders appoint ana@example.com ben@example.com eve@example.com\n  writ vault holders drill",
		a.holdersList(), a.holdersAppoint(), a.holdersEnrol(), a.holdersRemove(),
		a.holdersAct("reshare", "Make new shares; the old ones are void then", "Splits the root key anew among those who are enrolled. Where shares alone open the vault it is a new root key.", "New shares are in use. Try them with: writ vault holders drill"),
		a.holdersAct("drill", "Try whether the shares are at hand and fit", "Begins a drill: holders give their share at /-/unseal or with writ vault unseal --holder FILE, as if the vault were sealed.", "The drill is on for an hour. Each holder has a letter, and gives their share at /-/unseal or with: writ vault unseal --holder FILE"),
		a.holdersDropFile())
}

func (a *app) holdersAct(name, short, long, done string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Long: long, Example: "  writ vault holders " + name, Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/holders/"+name, struct{}{}, &raw); err != nil {
				return err
			}
			return a.done(done, raw)
		})}
}

func (a *app) holdersList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List who holds a share, and what is due", Long: "Lists the holders, whether new shares or a drill are due, and how the vault opens at a start.",
		Example: "  writ vault holders list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "vault/holders", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var st struct {
				Set *struct {
					Need, Of int
					Drilled  time.Time
				}
				Holders []struct {
					Name, State, Kind string
					Enrolled          time.Time
					Holds             bool
				}
				Due      []string
				DrillDue time.Time `json:"drill_due"`
				Opens    string
				Drill    string
			}
			if err := decode(raw, &st); err != nil {
				return err
			}
			t := newTable(a.out, "HOLDER", "KEY", "ENROLLED", "SHARE")
			for _, h := range st.Holders {
				kind, holds := h.Kind, "not yet"
				if h.State == "appointed" {
					kind = "not yet"
				}
				if h.Holds {
					holds = "in use"
				}
				t.row(h.Name, kind, a.when(h.Enrolled), holds)
			}
			if err := t.flush(); err != nil {
				return err
			}
			if st.Set == nil {
				a.say("No shares are out.")
			} else {
				a.say("%d of %d open the vault. Shares were last tried: %s; the next drill is due %s.", st.Set.Need, st.Set.Of, a.when(st.Set.Drilled), a.date(st.DrillDue))
			}
			if st.Drill != "" {
				a.say("A drill is on: %s shares are given.", visible(st.Drill))
			}
			for _, d := range st.Due {
				a.say("New shares are due: %s. writ vault holders reshare", visible(d))
			}
			if st.Opens == "shares" {
				a.say("At a start the holders open it.")
			} else {
				a.say("At a start %s.", visible(st.Opens))
			}
			return nil
		})}
}

func (a *app) holdersAppoint() *cobra.Command {
	return &cobra.Command{Use: "appoint EMAIL...", Short: "Ask people to hold a share", Long: "Asks active members of staff to hold a share. Each has a letter and enrols a passkey or a key file. When all have, the root key is split.",
		Example: "  writ vault holders appoint ana@example.com ben@example.com eve@example.com", Args: cobra.MinimumNArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/holders", map[string]any{"holders": args}, &raw); err != nil {
				return err
			}
			return a.done("They are asked, and each has a letter. Each enrols a key at /-/vault/holder.", raw)
		})}
}

func (a *app) holdersEnrol() *cobra.Command {
	var file string
	c := &cobra.Command{Use: "enrol --holder FILE", Short: "Hand in your own key file's line", Long: "Hands in the public half of your key file. Only you can, with your own sign-in: use --as.",
		Example: "  writ vault holders enrol --holder vault-share.key --as ana@example.com", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			key, err := a.holderKey(file)
			if err != nil {
				return err
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "vault/holders/enrol", map[string]string{"line": key.Line()}, &raw); err != nil {
				return err
			}
			return a.done("You are enrolled.", raw)
		})}
	c.Flags().StringVar(&file, "holder", "", "your key file")
	_ = c.MarkFlagRequired("holder") // the flag is there
	return c
}

func (a *app) holdersRemove() *cobra.Command {
	return &cobra.Command{Use: "remove EMAIL", Short: "Remove a holder; new shares are due then", Long: "Takes a holder out. Until new shares are made the old ones count. The last holder but one stays.",
		Example: "  writ vault holders remove ben@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "vault/holders/"+url.PathEscape(strings.TrimSpace(args[0])), nil, nil); err != nil {
				return err
			}
			return a.done("The holder is removed. Make new shares with: writ vault holders reshare", nil)
		})}
}

func (a *app) holdersDropFile() *cobra.Command {
	return &cobra.Command{Use: "drop-file", Short: "Remove root.key once it opens nothing any more", Long: "Removes DIR/root.key, after shares of another root key were put in use and tried.",
		Example: "  writ vault holders drop-file", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "vault/root-file", nil, nil); err != nil {
				return err
			}
			return a.done("root.key is removed. Only holders open the vault now.", nil)
		})}
}
