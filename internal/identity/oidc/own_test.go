package oidc_test

import (
	"testing"

	"writ/internal/identity"
	op "writ/internal/identity/oidc"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
)

// A person's copy holds what they allowed applications, and their sign-ins there, ended
// ones too.
func TestOwnApplications(t *testing.T) { // breaks: data.crypto-erase
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		id, email := w.customer("ana")
		other, _ := w.customer("ben")
		far := w.register(op.NewClient{Name: "Far", Scopes: []string{"openid", "offline_access"}})
		b := w.browser()
		b.signIn("/-/account", email)
		p := b.get(far.url("scope", "openid offline_access"))
		far.redeem(b.press(p, "answer", "allow").query().Get("code"))
		var d identity.OwnData
		if err := w.op.Own(t.Context(), id, &d); err != nil {
			t.Fatal(err)
		}
		if len(d.Applications) != 1 || d.Applications[0].Name != "Far" || d.Applications[0].Given == nil || len(d.Applications[0].SignIns) != 1 || !d.Applications[0].SignIns[0].Offline {
			t.Fatalf("%+v", d.Applications)
		}
		if _, err := w.people.EndSessions(t.Context(), operator, id); err != nil {
			t.Fatal(err)
		}
		d = identity.OwnData{}
		if err := w.op.Own(t.Context(), id, &d); err != nil || len(d.Applications) != 1 || d.Applications[0].SignIns[0].Ended == nil {
			t.Errorf("after the session: %+v %v", d.Applications, err)
		}
		d = identity.OwnData{}
		if err := w.op.Own(t.Context(), other, &d); err != nil || len(d.Applications) != 0 {
			t.Errorf("somebody else: %+v %v", d.Applications, err)
		}
	}, jobs.Schema(), identity.Schema())
}
