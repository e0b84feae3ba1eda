package cli

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// team is a team on the wire.
type team struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Kind        string    `json:"kind"`
	Created     time.Time `json:"created"`
	Members     int       `json:"members"`
	Invitations int       `json:"invitations"`
	Demand      string    `json:"demand"`
}

// called is the name of a team, or a dash for one that has none.
func (t team) called() string {
	if t.Name == "" {
		return "-"
	}
	return t.Name
}

func (a *app) teamCommand() *cobra.Command {
	return a.group("team", "See and manage teams, their members and invitations",
		"A team is named by id, the staff by staff; a member by address, handle or id.",
		"  writ team list\n  writ team invite staff dana@example.com --role engineer\n  writ team remove staff ben@example.com",
		a.teamList(), a.teamShow(), a.teamInvite(), a.teamInvitations(), a.teamRevoke(), a.teamResend(), a.teamRole(), a.teamRemove(), a.teamTransfer(), a.teamRename(), a.teamRequire(), a.scimCommand())
}

// call is a command that makes one call and says a sentence.
func (a *app) call(use, short, long, example string, args int, call func(args []string) (method, path string, in any), says func(args []string) string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(args),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			method, path, in := call(args)
			var raw json.RawMessage
			if err := conn.call(c.Context(), method, path, in, &raw); err != nil {
				return err
			}
			if len(raw) == 0 {
				raw = nil
			}
			return a.done(says(args), raw)
		})}
}

// pages reads every page of a list and hands each row on.
func pages(ctx context.Context, conn *client, path string, query url.Values, list string, row func(json.RawMessage) error) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	for after := ""; ; {
		q := url.Values{"after": {after}}
		maps.Copy(q, query)
		var page map[string]json.RawMessage
		if err := conn.get(ctx, path+"?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		var rows []json.RawMessage
		if err := decode(page[list], &rows); err != nil {
			return nil, err
		}
		for _, r := range rows {
			if err := row(r); err != nil {
				return nil, err
			}
		}
		all = append(all, rows...)
		next := ""
		if raw, ok := page["after"]; ok {
			if err := decode(raw, &next); err != nil {
				return nil, err
			}
		}
		if next == "" || next == after {
			return all, nil
		}
		after = next
	}
}

func (a *app) teamList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List teams, oldest first", Long: "Lists all teams, the staff and the customers', oldest first.",
		Example: "  writ team list\n  writ team list --format json", Args: cobra.NoArgs,
		RunE: run(func(c *cobra.Command, _ []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			var teams []team
			raws, err := pages(c.Context(), conn, "teams", nil, "teams", func(raw json.RawMessage) error {
				var t team
				err := decode(raw, &t)
				teams = append(teams, t)
				return err
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]any{"teams": raws})
			}
			t := newTable(a.out, "TEAM", "NAME", "KIND", "MEMBERS", "INVITATIONS", "SINCE")
			for _, m := range teams {
				t.row(m.ID, m.called(), m.Kind, strconv.Itoa(m.Members), strconv.Itoa(m.Invitations), a.when(m.Created))
			}
			return t.flush()
		}),
	}
}

func (a *app) teamShow() *cobra.Command {
	return &cobra.Command{
		Use: "show TEAM", Short: "Show one team and its members", Long: "Shows one team: name, kind, and its members with their roles.",
		Example: "  writ team show staff", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			path := "teams/" + url.PathEscape(args[0])
			var raw json.RawMessage
			if err := conn.get(c.Context(), path, &raw); err != nil {
				return err
			}
			type member struct {
				Handle, Name, Email, State string
				Roles                      []string
				Since                      time.Time
			}
			var members []member
			raws, err := pages(c.Context(), conn, path+"/members", nil, "members", func(raw json.RawMessage) error {
				var m member
				err := decode(raw, &m)
				members = append(members, m)
				return err
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]any{"team": raw, "members": raws})
			}
			var m team
			if err := decode(raw, &m); err != nil {
				return err
			}
			a.say("%s, %s, %s, since %s", visible(m.called()), m.Kind, count(m.Members, "member", "members"), a.date(m.Created))
			t := newTable(a.out, "HANDLE", "NAME", "ADDRESS", "ROLES", "STATE", "IN IT SINCE")
			for _, m := range members {
				t.row(m.Handle, m.Name, m.Email, strings.Join(m.Roles, " "), m.State, a.when(m.Since))
			}
			return t.flush()
		}),
	}
}

func (a *app) teamInvite() *cobra.Command {
	var role string
	c := a.call("invite TEAM EMAIL --role ROLE", "Invite an address to a team",
		`Sends an invitation: it works once, for that address and team alone, and ends by itself.
Roles of a customer's team are admin and member; those of staff are owner, engineer, support
and auditor. An invitation of the address that waits is replaced.`,
		"  writ team invite staff dana@example.com --role engineer", 2,
		func(args []string) (string, string, any) {
			return http.MethodPost, "invitations", map[string]string{"team": args[0], "email": args[1], "role": role}
		}, func(args []string) string { return "An invitation was sent to " + visible(args[1]) + "." })
	c.Flags().StringVar(&role, "role", "", "the role they get")
	_ = c.MarkFlagRequired("role") // the flag is there
	return c
}

func (a *app) teamInvitations() *cobra.Command {
	return &cobra.Command{
		Use: "invitations TEAM", Short: "List a team's invitations that wait", Long: "Lists the invitations of a team that wait for their answer, the newest first.",
		Example: "  writ team invitations staff", Args: cobra.ExactArgs(1),
		RunE: run(func(c *cobra.Command, args []string) error {
			conn, err := a.open(c.Context())
			if err != nil {
				return err
			}
			type invitation struct {
				ID, Email, Role string
				Issued, Expires time.Time
				Expired         bool
			}
			var all []invitation
			raws, err := pages(c.Context(), conn, "invitations", url.Values{"team": {args[0]}}, "invitations", func(raw json.RawMessage) error {
				var i invitation
				err := decode(raw, &i)
				all = append(all, i)
				return err
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.encode(map[string]any{"invitations": raws})
			}
			if len(all) == 0 {
				a.say("No invitation waits.")
				return nil
			}
			t := newTable(a.out, "INVITATION", "ADDRESS", "ROLE", "SENT", "ENDS")
			for _, i := range all {
				ends := a.when(i.Expires)
				if i.Expired {
					ends = "has expired"
				}
				t.row(i.ID, i.Email, i.Role, a.when(i.Issued), ends)
			}
			return t.flush()
		}),
	}
}

func (a *app) teamRevoke() *cobra.Command {
	return a.call("revoke INVITATION", "Take an invitation back", "Takes an invitation back: its link is dead at once.", "  writ team revoke 06gpncsl0001m", 1,
		func(args []string) (string, string, any) {
			return http.MethodDelete, "invitations/" + url.PathEscape(args[0]), nil
		}, func([]string) string { return "Revoked: its link is dead." })
}

func (a *app) teamResend() *cobra.Command {
	return a.call("resend INVITATION", "Send an invitation once more", "Sends an invitation once more. The former link is dead at once; the time begins anew.", "  writ team resend 06gpncsl0001m", 1,
		func(args []string) (string, string, any) {
			return http.MethodPost, "invitations/" + url.PathEscape(args[0]) + "/resend", struct{}{}
		}, func([]string) string { return "Sent once more: the former link is dead." })
}

func memberPath(args []string) string {
	return "teams/" + url.PathEscape(args[0]) + "/members/" + url.PathEscape(args[1])
}

func (a *app) teamRole() *cobra.Command {
	return a.call("role TEAM PERSON ROLE", "Give a member another role",
		"Gives a member another role; staff may have several, with a comma between. Their sessions in the team end. The last admin of a team, and two owners who can sign in, stay.",
		"  writ team role staff dana@example.com engineer,auditor", 3,
		func(args []string) (string, string, any) {
			return http.MethodPost, memberPath(args), map[string]string{"role": args[2]}
		}, func([]string) string { return "The role is changed. Sessions with the former role have ended." })
}

func (a *app) teamRemove() *cobra.Command {
	return a.call("remove TEAM PERSON", "Remove a member from a team", "Removes a member: their sessions and tokens in the team end at once, and they are told by mail. Their account stays.",
		"  writ team remove staff ben@example.com", 2,
		func(args []string) (string, string, any) { return http.MethodDelete, memberPath(args), nil }, func([]string) string { return "Removed: their sessions in the team have ended." })
}

func (a *app) teamTransfer() *cobra.Command {
	var from string
	c := a.call("transfer TEAM PERSON", "Hand a team's admin role to another member",
		"Makes a member the admin of a customer's team; whoever was it becomes a member. With several admins, --from says which.",
		"  writ team transfer 7b1d6af703e2 mara@example.com", 2,
		func(args []string) (string, string, any) {
			return http.MethodPost, "teams/" + url.PathEscape(args[0]) + "/transfer", map[string]string{"to": args[1], "from": from}
		}, func([]string) string { return "The admin role is handed over." })
	c.Flags().StringVar(&from, "from", "", "who hands it over (default: the only admin)")
	return c
}

func (a *app) teamRename() *cobra.Command {
	return a.call("rename TEAM NAME", "Rename a team", "Gives a team another name of 1 to 60 characters.", "  writ team rename 7b1d6af703e2 \"Harbour Pilots\"", 2,
		func(args []string) (string, string, any) {
			return http.MethodPost, "teams/" + url.PathEscape(args[0]) + "/rename", map[string]string{"name": args[1]}
		}, func([]string) string { return "The team has its new name." })
}
