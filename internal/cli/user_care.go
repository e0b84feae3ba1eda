package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// careCommands are what an operator does for somebody who asks.
func (a *app) careCommands() []*cobra.Command {
	return []*cobra.Command{a.userExport(), a.userReset(), a.userLooks()}
}

// because is a command about one person that needs a reason.
func (a *app) because(use, short, long, example string, act func(ctx context.Context, conn *client, path string, reason map[string]string) error) *cobra.Command {
	var reason string
	c := a.on(use, short, long, example, func(ctx context.Context, conn *client, path string) error {
		if reason == "" {
			return &usageError{errors.New("give --reason TEXT: it is recorded, and the person can read it")}
		}
		return act(ctx, conn, path, map[string]string{"reason": reason})
	})
	c.Flags().StringVar(&reason, "reason", "", "why; recorded, and the person can read it")
	return c
}

func (a *app) userExport() *cobra.Command {
	return a.because("export", "Copy everything held about a person, for them",
		`Prints a copy of everything held about a person as JSON, as they can take it themselves in
their account: no password, no key, and what is left out is named in it. It is recorded with
the reason, and the person is told by mail.`,
		"  writ user export ben@example.com --reason \"asked by letter of 3 May\" > ben.json",
		func(ctx context.Context, conn *client, path string, reason map[string]string) error {
			var raw json.RawMessage
			if err := conn.post(ctx, path+"/export", reason, &raw); err != nil {
				return err
			}
			return a.printJSON(raw)
		})
}

func (a *app) userReset() *cobra.Command {
	return a.because("reset", "Mail a person the link with which they set a new password",
		`Mails a person a link with which they set a new password themselves. Nobody chooses it for
them and nobody else sees the link; a second factor is asked for as ever. The former
password works until they use it. It is recorded with the reason.`,
		"  writ user reset ben@example.com --reason \"called from the number in his file\"",
		func(ctx context.Context, conn *client, path string, reason map[string]string) error {
			if err := conn.post(ctx, path+"/reset", reason, nil); err != nil {
				return err
			}
			return a.done("A link to set a new password was mailed to them.", nil)
		})
}

func (a *app) userLooks() *cobra.Command {
	return a.on("looks", "List who of the staff looked as a customer",
		"Lists who of the staff saw what a customer sees: when, for which ticket, why, and the entry of the journal. The customer reads the same.",
		"  writ user looks ben@example.com\n  writ user looks ben@example.com --format json",
		func(ctx context.Context, conn *client, path string) error {
			var raw json.RawMessage
			if err := conn.get(ctx, path+"/looks", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Looks []struct {
					By, Reason, Ticket string
					Began              time.Time
					Until              time.Time
					Ended              time.Time
					Writes             bool
					Entry              int64
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if len(out.Looks) == 0 {
				a.say("Nobody has looked.")
				return nil
			}
			t := newTable(a.out, "BY", "TICKET", "WHY", "BEGAN", "ENDED", "CHANGES", "ENTRY")
			for _, l := range out.Looks {
				ended, changes, entry := a.when(l.Ended), "none", "soon"
				if l.Ended.IsZero() {
					ended = "goes on"
				}
				if l.Writes {
					changes = "allowed"
				}
				if l.Entry > 0 {
					entry = strconv.FormatInt(l.Entry, 10)
				}
				t.row(l.By, l.Ticket, l.Reason, a.when(l.Began), ended, changes, entry)
			}
			return t.flush()
		})
}
