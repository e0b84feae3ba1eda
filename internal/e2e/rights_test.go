package e2e

import "testing"

// identified is the part of an answer that names what was made.
type identified struct{ ID string }

// rights lends and takes roles, and reviews them.
func (k *talker) rights(t *testing.T) {
	t.Helper()
	const ben, chloe, erik = "ben@example.test", "chloe@example.test", "erik@example.test"
	k.ask(t, "user", "add", erik, "--role", "support")
	lent := decode[identified](t, k.ask(t, "user", "grant", erik, "--role", "auditor", "--for", "1h", "--reason", "a count"))
	k.ask(t, "user", "grants")
	k.ask(t, "user", "revoke", lent.ID)
	waits := decode[identified](t, k.ask(t, "user", "grant", erik, "--role", "owner", "--for", "1h", "--reason", "holidays"))
	k.json(t, 0, k.as(ben, "user", "agree", waits.ID))
	k.ask(t, "user", "over", "ticket/OPS-7")
	k.ask(t, "user", "unused")
	opened := decode[identified](t, k.ask(t, "user", "review", "open"))
	k.ask(t, "user", "review", "list")
	for _, x := range decode[struct {
		Items []struct{ Handle, Role string }
	}](t, k.ask(t, "user", "review", "show", opened.ID)).Items {
		who := chloe
		if x.Handle == "chloe" { // nobody decides on their own
			who = ben
		}
		k.json(t, 0, k.as(who, "user", "review", "decide", opened.ID, x.Handle+":"+x.Role, "keep", "--reason", "needed daily"))
	}
	k.ask(t, "user", "review", "close", opened.ID)
	k.ask(t, "user", "factor-reset", ben, "--reason", "called from the number in his file")
	k.ask(t, "user", "factor-reset", ben, "--withdraw")
}

// teams invites, changes and removes members, and connects a directory.
func (k *talker) teams(t *testing.T) {
	t.Helper()
	k.customer("mara@harbour.example.test")
	type made struct {
		Teams []struct{ ID, Kind string }
	}
	team := ""
	for _, x := range decode[made](t, k.ask(t, "team", "list")).Teams {
		if x.Kind == "customer" {
			team = x.ID
		}
	}
	k.ask(t, "team", "show", team)
	k.ask(t, "team", "rename", team, "Harbour Pilots")
	k.ask(t, "team", "require", team, "two-factor", "--look")
	first := decode[identified](t, k.ask(t, "team", "invite", team, "otto@harbour.example.test", "--role", "member"))
	k.ask(t, "team", "invitations", team)
	again := decode[identified](t, k.ask(t, "team", "resend", first.ID))
	k.ask(t, "team", "revoke", again.ID)

	k.ask(t, "team", "scim", "add", "entra", "--team", team, "--role", "member", "--domain", "harbour.example.test")
	connected := decode[struct{ Connections []identified }](t, k.ask(t, "team", "scim", "list")).Connections
	k.ask(t, "team", "scim", "remove", connected[0].ID)

	k.ask(t, "team", "invite", team, "nils@harbour.example.test", "--role", "member")
	nils := k.visitor()
	nils.want(200, "POST", "invitations/"+k.letter("nils@harbour.example.test", 1).token()+"/accept", obj{"name": "Nils", "password": aPassword})
	k.ask(t, "team", "role", team, "nils@harbour.example.test", "admin")
	k.ask(t, "team", "role", team, "nils@harbour.example.test", "member")
	k.ask(t, "team", "transfer", team, "nils@harbour.example.test")
	k.ask(t, "team", "remove", team, "mara@harbour.example.test")
}
