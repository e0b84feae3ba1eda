package identity_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/secret"
)

const desk, phoneAgent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Mozilla/5.0 (Linux; Android 16) Chrome/140.0 Mobile Safari/537.36"

// A login that two desks in distant networks use at once opens a finding, which names
// neither network nor browser; what one honest person does opens none.
//
// breaks: auth.unique-login
func TestDistantSessions(t *testing.T) {
	type visit struct {
		network, agent string
		after          time.Duration
	}
	for name, c := range map[string]struct {
		visits []visit
		want   clause.Outcome
	}{
		"two desks far apart":           {[]visit{{"203.0.113.0/24", desk, 0}, {"198.51.100.0/24", desk, time.Minute}}, clause.Fail},
		"two desks far apart, IPv6":     {[]visit{{"2001:db8:1::/48", desk, 0}, {"2a00:1450:1::/48", desk, time.Minute}}, clause.Fail},
		"two desks of one provider":     {[]visit{{"203.0.113.0/24", desk, 0}, {"203.0.7.0/24", desk, time.Minute}}, clause.Pass},
		"a desk and a phone":            {[]visit{{"203.0.113.0/24", desk, 0}, {"198.51.100.0/24", phoneAgent, time.Minute}}, clause.Pass},
		"one after the other":           {[]visit{{"203.0.113.0/24", desk, 0}, {"198.51.100.0/24", desk, 20 * time.Minute}}, clause.Pass},
		"both families of one desk":     {[]visit{{"203.0.113.0/24", desk, 0}, {"2001:db8:1::/48", desk, time.Minute}}, clause.Pass},
		"at home and within the office": {[]visit{{"203.0.113.0/24", desk, 0}, {"10.1.2.0/24", desk, time.Minute}}, clause.Pass},
		"one":                           {[]visit{{"203.0.113.0/24", desk, 0}}, clause.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			_, email := w.customer("ana")
			for _, v := range c.visits {
				w.kit.Clock.Advance(v.after)
				who := actor.Actor{Kind: actor.Stranger, ID: v.network, Via: "https"}
				if _, err := w.svc.SignIn(t.Context(), who, identity.SignIn{Email: email, Password: secret.NewText(good), Network: v.network, Agent: v.agent}); err != nil {
					t.Fatal(err)
				}
			}
			w.wants("identity.distant", c.want)
			r, err := w.check("identity.distant")
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range c.visits {
				if strings.Contains(r.Summary, v.network[:6]) || strings.Contains(r.Summary, "Firefox") || strings.Contains(r.Summary, "ana") {
					t.Errorf("the finding says %q", r.Summary)
				}
			}
		})
	}
}
