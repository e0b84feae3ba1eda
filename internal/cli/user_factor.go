package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// userFactorReset takes lost factors away, in two steps by two people.
func (a *app) userFactorReset() *cobra.Command {
	var reason string
	var agree, withdraw bool
	c := a.on("factor-reset", "Take a person's lost second factors away, by two people",
		`Somebody who lost the app and the recovery codes cannot sign in. One person asks with a
reason, another agrees: then the factors go, every session ends, and the person sets up a
new factor at the next sign-in. Neither may be the person. The person is told by mail at
each step. A customer's request is carried out after 72 hours without a second person.`,
		"  writ user factor-reset ben@example.com --reason \"called from the number in his file\"\n  writ user factor-reset ben@example.com --agree --as ana@example.com",
		func(ctx context.Context, conn *client, path string) error {
			path += "/factor-reset"
			switch {
			case agree:
				if err := conn.post(ctx, path+"/agree", struct{}{}, nil); err != nil {
					return err
				}
				return a.done("Their factors are gone and they are signed out everywhere. They set up a new one at the next sign-in.", nil)
			case withdraw:
				if err := conn.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
					return err
				}
				return a.done("The request is withdrawn.", nil)
			case reason == "":
				return &usageError{errors.New("give --reason TEXT, or --agree or --withdraw")}
			}
			var raw json.RawMessage
			if err := conn.post(ctx, path, map[string]string{"reason": reason}, &raw); err != nil {
				return err
			}
			var out struct {
				Waits time.Time `json:"waits"`
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if out.Waits.IsZero() {
				return a.done("It is asked for. Another person must agree: writ user factor-reset … --agree", raw)
			}
			return a.done("It is asked for. Another admin of the team may agree; else it is done on "+out.Waits.UTC().Format("2 January 2006 at 15:04 UTC")+".", raw)
		})
	c.Flags().StringVar(&reason, "reason", "", "how you know that it is the person who asks")
	c.Flags().BoolVar(&agree, "agree", false, "agree to a request of somebody else")
	c.Flags().BoolVar(&withdraw, "withdraw", false, "withdraw the request")
	c.MarkFlagsMutuallyExclusive("reason", "agree", "withdraw")
	return c
}
