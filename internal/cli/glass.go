package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// glassSet is a set of shares on the wire.
type glassSet struct {
	Number int    `json:"number"`
	Need   int    `json:"need"`
	State  string `json:"state"`
	Renew  string `json:"renew"`
	Shares []struct {
		Place  int        `json:"place"`
		Name   string     `json:"name"`
		Picked *time.Time `json:"picked_up"`
		Left   bool       `json:"left"`
	} `json:"shares"`
}

func (a *app) glassCommand() *cobra.Command {
	return a.group("break-glass", "Let owners back in by shares, when none can come in",
		`Holders of shares open an owner's session together on the day no owner can come in. No one
can alone, and all owners are told. docs/break-glass.md tells it all.`,
		"  writ break-glass prepare --holder ana@example.com --holder ben@example.com --holder eve@example.com --need 2\n  writ break-glass show\n  writ break-glass drill",
		a.glassPrepare(), a.glassShow(), a.glassGive("open"), a.glassGive("drill"), a.glassWithdraw())
}

func (a *app) glassPrepare() *cobra.Command {
	var holders []string
	var need int
	c := &cobra.Command{
		Use: "prepare --holder EMAIL", Short: "Split a new secret among holders",
		Long: `Prepares a set of shares, one for each holder. Nobody but the holder sees a share, and the holder
once: at /-/break-glass/share, after a second factor. The set is live when one more than are needed
have picked theirs up; the set before works until then.`,
		Example: "  writ break-glass prepare --holder ana@example.com --holder ben@example.com --holder eve@example.com --need 2", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "break-glass/sets", map[string]any{"holders": holders, "need": need}, &raw); err != nil {
				return err
			}
			var x glassSet
			if err := decode(raw, &x); err != nil {
				return err
			}
			return a.done(fmt.Sprintf("Set %d is prepared: %d of %d are needed. Each holder has a letter, and picks up their share at /-/break-glass/share.", x.Number, x.Need, len(x.Shares)), raw)
		}),
	}
	c.Flags().StringArrayVar(&holders, "holder", nil, "who holds a share: an address, a handle or an id; repeat it")
	c.Flags().IntVar(&need, "need", 0, "how many open a session together (default: as the policy asks for)")
	_ = c.MarkFlagRequired("holder") // the flag is there
	return c
}

func (a *app) glassShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the sets, their holders and the last drill", Long: "Shows the set that is live and the one that waits, who has picked up a share, and when the shares were last tried.",
		Example: "  writ break-glass show\n  writ break-glass show --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "break-glass", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Live, Waiting *glassSet
				Drilled       time.Time `json:"drilled"`
				Due           time.Time `json:"drill_due"`
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if out.Live == nil {
				a.say("No set is live: nobody can break the glass. Prepare one: writ break-glass prepare")
			}
			t := newTable(a.out, "SET", "STATE", "NEEDED", "HOLDER", "SHARE", "PICKED UP")
			for _, x := range []*glassSet{out.Live, out.Waiting} {
				if x == nil {
					continue
				}
				for _, y := range x.Shares {
					picked := "not yet"
					if y.Picked != nil {
						picked = a.when(*y.Picked)
					}
					if y.Left {
						picked += ", has left"
					}
					t.row(strconv.Itoa(x.Number), x.State, fmt.Sprintf("%d of %d", x.Need, len(x.Shares)), y.Name, strconv.Itoa(y.Place), picked)
				}
			}
			if out.Live != nil || out.Waiting != nil {
				if err := t.flush(); err != nil {
					return err
				}
			}
			switch {
			case out.Live == nil:
			case out.Drilled.IsZero():
				a.say("The shares were never tried: writ break-glass drill")
			default:
				a.say("Last tried %s; the next drill is due %s.", a.when(out.Drilled), a.date(out.Due))
			}
			return nil
		}),
	}
}

// glassGive is open and drill: a share from the terminal or standard input, never a flag,
// which other users of the machine could read.
func (a *app) glassGive(kind string) *cobra.Command {
	var reason, code string
	short, long := "Give a share to open an owner's session", `Gives one holder's share, which is asked for or read from standard input. The first holder gives a
reason and is told a code; the others give it with --code. For the last one the command prints an
address that opens the session in a browser, once, within five minutes.`
	example := "  writ break-glass open --reason \"the only owner lost phone and codes\"\n  writ break-glass open --code K3PX-9T2M"
	if kind == "drill" {
		short, long = "Give a share to practise, without a session", `The same as open with the same shares, and no session: it shows that the shares are at hand and fit.
The first holder is told a code; the others give it with --code.`
		example = "  writ break-glass drill\n  writ break-glass drill --code K3PX-9T2M"
	}
	c := &cobra.Command{Use: kind, Short: short, Long: long, Example: example, Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			if kind == "open" && (reason == "") == (code == "") {
				return &usageError{errors.New("give --reason TEXT to begin, or --code CODE to join")}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			share, err := a.readShare()
			if err != nil {
				return err
			}
			in := map[string]any{"share": share, "code": code, "reason": reason, "drill": kind == "drill"}
			var raw json.RawMessage
			if err := conn.post(c.Context(), "break-glass", in, &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var g struct {
				Code, URL   string
				Given, Need int
				Until       time.Time
				Done        bool
			}
			if err := decode(raw, &g); err != nil {
				return err
			}
			switch {
			case g.Done && g.URL != "":
				a.say("The glass is broken, and all owners are told. This opens the session in a browser, once, until %s:\n%s", g.Until.UTC().Format("15:04 UTC"), visible(g.URL))
			case g.Done:
				a.say("The shares fit. The drill is recorded.")
			default:
				a.say("%d of %d shares are given. The other holders join with this code until %s:\n%s", g.Given, g.Need, g.Until.UTC().Format("15:04 UTC"), visible(g.Code))
			}
			return nil
		})}
	if kind == "open" {
		c.Flags().StringVar(&reason, "reason", "", "why the glass must be broken; all owners read it")
	}
	c.Flags().StringVar(&code, "code", "", "join what another holder began")
	return c
}

// readShare reads a share from the terminal without showing it, or from standard input.
func (a *app) readShare() (string, error) {
	const most = 512
	var b []byte
	read := func() (err error) {
		b, err = io.ReadAll(io.LimitReader(a.in, most+1))
		return err
	}
	if f, ok := a.in.(*os.File); ok && isTerminal(f) {
		a.say("Your share (it is not shown), then Enter:")
		read = func() error {
			return withoutEcho(f, func() error {
				buf := make([]byte, most+1)
				n, err := f.Read(buf)
				b = buf[:n]
				return err
			})
		}
	}
	if err := read(); err != nil {
		return "", fmt.Errorf("read the share: %w", err)
	}
	share := strings.TrimSpace(string(b))
	if share == "" || len(share) > most {
		return "", &usageError{errors.New("standard input holds no share, expected 16 groups of four characters")}
	}
	return share, nil
}

func (a *app) glassWithdraw() *cobra.Command {
	return &cobra.Command{
		Use: "withdraw", Short: "End all shares at once", Long: "Ends the set that is live and the one that waits, for shares that fell into wrong hands. Nobody can break\nthe glass until a new set is live. All owners are told.",
		Example: "  writ break-glass withdraw", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "break-glass/sets", nil, nil); err != nil {
				return err
			}
			return a.done("The shares are withdrawn. None opens anything now.", nil)
		}),
	}
}
