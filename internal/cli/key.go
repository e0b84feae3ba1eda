package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"writ/internal/sshsig"
)

func (a *app) keyCommand() *cobra.Command {
	return a.group("key", "Register the key that signs for you",
		`Owners and those who attest sign with an Ed25519 key in OpenSSH form. Its public half is
registered once, by its owner, who proves to have the private half. A file holds one:
ssh-keygen -t ed25519.`,
		"  writ policy key add ~/.ssh/id_ed25519 --as ana@example.com\n  writ policy key list",
		a.keyAdd(), a.keyList(), a.keyRevoke())
}

func (a *app) keyAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add FILE", Short: "Register the public half of your private key file",
		Long: `Signs a text of the server's with the private key in FILE, which proves that it is yours, and
registers the public half for whoever is signed in with --as. The private key stays here.`,
		Example: "  writ policy key add ~/.ssh/id_ed25519 --as ana@example.com", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			s, err := a.signer(args[0])
			if err != nil {
				return err
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			_, raw, err := a.register(c.Context(), conn, s)
			if err == nil && a.json() {
				return a.encode(raw)
			}
			return err
		}),
	}
}

// register proves possession of the key and has it registered. It gives the server's own
// answer beside the key.
func (a *app) register(ctx context.Context, conn *client, s sshsig.Signer) (k publicKey, raw json.RawMessage, err error) {
	var ask struct {
		Text string `json:"text"`
	}
	line := s.Key().String()
	if err := conn.get(ctx, "keys?"+url.Values{"key": {line}}.Encode(), &ask); err != nil {
		return k, nil, err
	}
	sig, err := signature(s, ask.Text, "writ/key/v1", map[string]string{"key": line})
	if err != nil {
		return k, nil, err
	}
	if err := conn.post(ctx, "keys", map[string]string{"key": line, "signature": sig}, &raw); err != nil {
		return k, nil, err
	}
	if err := decode(raw, &k); err != nil {
		return k, nil, err
	}
	a.say("The key %s is registered for %s.", visible(k.Fingerprint), visible(k.Handle))
	return k, raw, nil
}

func listKeys(ctx context.Context, conn *client) ([]publicKey, error) {
	var out struct {
		Keys []publicKey `json:"keys"`
	}
	err := conn.get(ctx, "keys", &out)
	return out.Keys, err
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys that sign", Long: "Lists the registered public keys, revoked ones too.", Example: "  writ policy key list", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := conn.get(c.Context(), "keys", &raw); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(raw)
			}
			var out struct {
				Keys []struct {
					Fingerprint, Handle string
					Registered, Revoked time.Time
				}
			}
			if err := decode(raw, &out); err != nil {
				return err
			}
			if len(out.Keys) == 0 {
				a.say("No key is registered. Register one with: writ policy key add FILE --as EMAIL")
				return nil
			}
			t := newTable(a.out, "WHO", "FINGERPRINT", "REGISTERED", "REVOKED")
			for _, k := range out.Keys {
				t.row(k.Handle, k.Fingerprint, a.date(k.Registered), a.date(k.Revoked))
			}
			return t.flush()
		}),
	}
}

func (a *app) keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke FINGERPRINT", Short: "End a key: your own, or any as the operator",
		Long: "Ends a key for good. Signatures it made stay what they were.", Example: "  writ policy key revoke SHA256:abc…", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			if !strings.HasPrefix(args[0], "SHA256:") {
				return &usageError{fmt.Errorf("%q is no fingerprint such as SHA256:… See: writ policy key list", args[0])}
			}
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			if err := conn.call(c.Context(), http.MethodDelete, "keys/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done("The key is revoked.", nil)
		}),
	}
}
