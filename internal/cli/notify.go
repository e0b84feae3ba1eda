package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) notifyCommand() *cobra.Command {
	return a.group("notify", "What mail servers say of letters, and whom letters do not reach",
		"Where a mail server offers notices about deliveries, Writ asks for them. They come back to the address that letters are from: hand them on, or let the mail server bring them itself (mail.bounces).",
		"  writ notify bounce < notice.eml\n  writ notify unreachable",
		a.notifyBounce(), a.notifyUnreachable(), a.notifyReachable())
}

const mostNotice = 1 << 20

func (a *app) notifyBounce() *cobra.Command {
	return &cobra.Command{
		Use: "bounce", Short: "Bring a notice about a delivery, on standard input",
		Long:    "Reads a delivery status notification (RFC 3464) as the mail server sent it. The letter it is about is marked as bounced or delivered; an address that takes no letters counts as unreachable, at once or after three days on which letters came back. Exit status 1: it is no notice, or about no letter that was sent from here.",
		Example: "  writ notify bounce < notice.eml", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			b, err := io.ReadAll(io.LimitReader(a.in, mostNotice+1))
			if err != nil {
				return err
			}
			return a.sendTo(c, http.MethodPost, "notify/reports", map[string][]byte{"file": b}, func(raw json.RawMessage) error {
				var out struct{ Receivers int }
				if err := decode(raw, &out); err != nil {
					return err
				}
				a.say("Noted, about %d.", out.Receivers)
				return nil
			})
		}),
	}
}

func (a *app) notifyUnreachable() *cobra.Command {
	return &cobra.Command{
		Use: "unreachable", Short: "List addresses that letters do not reach",
		Long:    "Lists addresses that letters came back from for good, or on three days, shortened. Who subscribed to the status page under one is told nothing once five letters have come back, until they confirm again; confirming takes the address from this list.",
		Example: "  writ notify unreachable", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			return a.sendTo(c, http.MethodGet, "notify/unreachable", nil, func(raw json.RawMessage) error {
				var out struct {
					Addresses []struct {
						ID, Address, Code string
						Since             time.Time
					}
				}
				if err := decode(raw, &out); err != nil {
					return err
				}
				if len(out.Addresses) == 0 {
					a.say("Letters reach everybody, as far as is known.")
					return nil
				}
				t := newTable(a.out, "ID", "ADDRESS", "SINCE", "CODE")
				for _, x := range out.Addresses {
					t.row(x.ID, x.Address, a.when(x.Since), x.Code)
				}
				return t.flush()
			})
		}),
	}
}

func (a *app) notifyReachable() *cobra.Command {
	return &cobra.Command{
		Use: "reachable ID", Short: "Say that letters reach an address again", Long: "Takes an address from the list of those that letters do not reach. The next letter that comes back puts it there again.",
		Example: "  writ notify reachable 0f3a…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			return a.sendTo(c, http.MethodDelete, "notify/unreachable/"+url.PathEscape(args[0]), nil, func(json.RawMessage) error {
				a.say("Letters go to it again.")
				return nil
			})
		}),
	}
}
