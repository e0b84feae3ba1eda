package app

import (
	"errors"
	"testing"

	"writ/internal/fault"
	"writ/internal/vault/unseal"
)

// Shares are of one folder, and are no way to open keys that several servers use.
func TestSharesOfOneFolder(t *testing.T) {
	for kind, good := range map[string]bool{"": true, unseal.Environment: true, unseal.Shares: false} {
		c := settings("Example")
		c.Database, c.Keys.URL, c.Vault.Unseal.Kind = "postgres://db/ledger", "postgres://db/keys", kind
		if err := c.check("writ.yaml"); (err == nil) != good || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", kind, err)
		}
		if c.Keys.URL = ""; c.check("writ.yaml") != nil {
			t.Errorf("%q is refused for keys in the folder", kind)
		}
	}
}

// Where the terms lie stands as a link on the sign-up page: nothing but a place to read.
func TestTermsURL(t *testing.T) {
	for at, good := range map[string]bool{"": true, "https://www.example.com/terms?v=2": true, "/terms": true, "/legal/terms#customers": true,
		"http://www.example.com/terms": false, "javascript:alert(1)": false, "//evil.example/terms": false, `/\evil.example`: false, "/-/account": false, "terms": false,
		"https://u:p@example.com/": false, "https://": false, "data:text/html,x": false} {
		c := settings("Example")
		c.TermsURL = at
		if err := c.check("writ.yaml"); (err == nil) != good {
			t.Errorf("%q: %v", at, err)
		}
	}
}

// What the gate is set to is looked at before the server starts.
func TestGateSettings(t *testing.T) {
	for name, x := range map[string]struct {
		set  func(*GateConf)
		good bool
	}{
		"nothing": {func(*GateConf) {}, true},
		"all": {func(c *GateConf) {
			c.OpenAPI, c.Limits = []string{"api.yaml"}, LimitConf{"1/s", "2/m", "3/h", "4/d", "5/d", "closed", []string{"198.51.100.0/24"}}
		}, true},
		"no file":         {func(c *GateConf) { c.OpenAPI = []string{""} }, false},
		"no network":      {func(c *GateConf) { c.Limits.Bots = []string{"198.51.100.7"} }, false},
		"no rate":         {func(c *GateConf) { c.Limits.Token = "many" }, false},
		"no quota":        {func(c *GateConf) { c.Limits.Quota = "5/m" }, false},
		"no way to go on": {func(c *GateConf) { c.Limits.OnStoreLoss = "shut" }, false},
	} {
		c := settings("Example")
		x.set(&c.Gateway)
		if err := c.check("writ.yaml"); (err == nil) != x.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := LimitConf{Address: "1/s", Person: "2/m", Team: "3/h", Token: "4/d", Quota: "5/d", OnStoreLoss: "closed"}.read()
	if err != nil || l.Address.String() != "1/s" || l.Subject.String() != "2/m" || l.Team.String() != "3/h" || l.Token.String() != "4/d" || l.Quota != 5 || l.OnStoreLoss != "closed" {
		t.Errorf("%+v %v", l, err)
	}
}

// Letters are taken as reports at an address of their own, where a mail server brings them.
func TestReportAddress(t *testing.T) {
	for address, good := range map[string]bool{"": true, "report@example.com": true, "Report <report@example.com>": false, "report": false, "WRIT@example.com": false, "a@b\r\nc": false} {
		c := settings("Example")
		c.Mail.From, c.Mail.Bounces, c.Mail.Reports = "writ@example.com", "127.0.0.1:2424", address
		if err := c.check("writ.yaml"); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
		if c.Mail.Bounces = ""; address != "" && c.check("writ.yaml") == nil {
			t.Errorf("%q: nobody brings them", address)
		}
	}
}
