package app

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"writ/internal/fault"
)

// The places of the application are written as URLs, or with what belongs to them, and
// read back the same.
func TestUpstreamsOfTheSettings(t *testing.T) {
	dir := t.TempDir()
	text := `company: Example
app: https://app.example.com
https: :443
mail: {url: file:///x, from: writ@example.com}
upstream:
  - http://10.0.1.10:3000
  - {url: "https://10.0.2.10:3000", zone: b, cert: c.pem, key: k.pem, authority: a.pem}
gateway: {zone: b, health: /healthz, sticky: true, cache: 64}
`
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(dir)
	want := []UpstreamConf{{URL: "http://10.0.1.10:3000"}, {URL: "https://10.0.2.10:3000", Zone: "b", Cert: "c.pem", Key: "k.pem", Authority: "a.pem"}}
	if err != nil || !reflect.DeepEqual(c.Upstream, want) || !reflect.DeepEqual(c.Gateway, GateConf{Zone: "b", Health: "/healthz", Sticky: true, Cache: 64}) {
		t.Fatalf("%+v %+v %v", c.Upstream, c.Gateway, err)
	}
	if err := c.write(dir); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadConfig(dir); err != nil || !reflect.DeepEqual(again.Upstream, want) {
		t.Errorf("read back: %+v %v", again.Upstream, err)
	}
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(strings.Replace(text, "zone: b, cert", "zones: b, cert", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig(dir); !errors.Is(err, fault.Invalid) {
		t.Errorf("an unknown key was taken: %v", err)
	}
}

func TestUpstreamsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"none":           func(c *Config) { c.Upstream = nil },
		"twice the same": func(c *Config) { c.Upstream = upstreamsOf([]string{"http://10.0.0.1:1", "b=http://10.0.0.1:1"}) },
		"no URL":         func(c *Config) { c.Upstream = upstreamsOf([]string{"10.0.0.1:1"}) },
		"a path":         func(c *Config) { c.Upstream = upstreamsOf([]string{"http://10.0.0.1:1/x"}) },
		"a zone":         func(c *Config) { c.Upstream[0].Zone = "A b" },
		"half a pair":    func(c *Config) { c.Upstream[0].URL, c.Upstream[0].Cert = "https://10.0.0.1:1", "c.pem" },
		"plain and cert": func(c *Config) { c.Upstream[0].Cert, c.Upstream[0].Key = "c.pem", "k.pem" },
		"another zone":   func(c *Config) { c.Gateway.Zone = "b" },
		"health":         func(c *Config) { c.Gateway.Health = "healthz" },
		"cache":          func(c *Config) { c.Gateway.Cache = -1 },
	} {
		c := settings("Example")
		if change(&c); !errors.Is(c.check("test"), fault.Invalid) {
			t.Errorf("%s was taken: %+v %+v", name, c.Upstream, c.Gateway)
		}
	}
	c := settings("Example")
	c.Upstream = upstreamsOf([]string{"eu-1=http://10.0.0.1:1", "http://10.0.0.2:1?x=y"})
	if c.Upstream[0] != (UpstreamConf{URL: "http://10.0.0.1:1", Zone: "eu-1"}) || c.Upstream[1].Zone != "" {
		t.Errorf("%+v", c.Upstream)
	}
}

func TestACMEIsChecked(t *testing.T) {
	good := ACMEConf{Directory: "https://acme.example/directory", Email: "ops@example.com"}
	for name, change := range map[string]func(*Config){
		"plain":        func(c *Config) { c.TLS.ACME.Directory = "http://acme.example/directory" },
		"no directory": func(c *Config) { c.TLS.ACME.Directory = "" },
		"files too":    func(c *Config) { c.TLS.Cert, c.TLS.Key = "c", "k" },
		"email":        func(c *Config) { c.TLS.ACME.Email = "ops" },
		"an address":   func(c *Config) { c.App = "https://10.0.0.1" },
		"loopback":     func(c *Config) { c.App = "https://localhost" },
	} {
		c := settings("Example")
		c.TLS.ACME = good
		if err := c.check("test"); err != nil {
			t.Fatal(err)
		}
		if change(&c); !errors.Is(c.check("test"), fault.Invalid) {
			t.Errorf("%s was taken: %+v", name, c.TLS)
		}
	}
}
