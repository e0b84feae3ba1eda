package app

import (
	"errors"
	"os"
	"reflect"
	"testing"

	"writ/internal/fault"
)

func settings(company string) Config {
	return Config{Company: company, App: "https://app.example.com", HTTPS: ":443", Upstream: []UpstreamConf{{URL: "http://127.0.0.1:1"}}, Mail: MailConfig{URL: "file:///x", From: "writ@example.com"}}
}

// A company named "? a" made a folder that could never be served, and a tab vanished.
// Whatever is written is read back the same, and no text becomes a setting.
func TestSettingsReadBackTheSameRegression(t *testing.T) {
	for _, name := range []string{"Example", "a\nhttps: 0.0.0.0:1", "a\n  operators: [65534]", "yes", "null", "1e3", "a: b", "#x", "'q'", "- x", "{a: b}", "&a", "!t", "|", "? a", "a\tb", "a\r\nb", "---", "\x00", "é\u2028z"} {
		dir := t.TempDir()
		c := settings(name)
		if err := c.write(dir); err != nil {
			if _, gone := os.Stat(dir + "/" + configName); !errors.Is(err, fault.Invalid) || gone == nil {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		if got, err := ReadConfig(dir); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	if err := settings("Example & Sons, Ltd.").write(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// An origin without a host, or with more than a host, went into every link.
func TestOriginIsAnOriginRegression(t *testing.T) {
	for app, good := range map[string]bool{"https://app.example.com": true, "https://app.example.com:8443/": true, "https://localhost:1": true, "https://[::1]:1": true,
		"https://:443": false, "https://a.example?": false, "https://a.example/?x": false, "https://a.example/#f": false, "https://u:p@a.example": false, "http://a.example": false, "https://a.example/x": false} {
		c := settings("Example")
		c.App = app
		if err := c.check("test"); (err == nil) != good {
			t.Errorf("%s: %v", app, err)
		}
	}
}
