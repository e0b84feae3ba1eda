package app

import (
	"strings"
	"testing"

	"writ/internal/fault"
)

// A word in writ.yaml that would trust everybody, or name no host, is no start.
func TestProxiesInConfig(t *testing.T) {
	good := Config{App: "https://app.example.com", HTTPS: ":443", Upstream: []UpstreamConf{{URL: "http://10.0.0.1:3000"}}}
	for name, c := range map[string]struct {
		proxies, hosts []string
		part           string
	}{
		"none":                   {nil, nil, ""},
		"an address":             {[]string{"10.0.0.5"}, []string{"shop.example.com"}, ""},
		"prefixes":               {[]string{"10.0.0.0/8", "fd00::/8"}, nil, ""},
		"everybody":              {[]string{"0.0.0.0/0"}, nil, "trusted_proxies"},
		"everybody, IPv6":        {[]string{"::/0"}, nil, "trusted_proxies"},
		"a name":                 {[]string{"proxy.internal"}, nil, "trusted_proxies"},
		"a host with a port":     {[]string{"10.0.0.5"}, []string{"shop.example.com:8443"}, "hosts"},
		"a host with a star":     {[]string{"10.0.0.5"}, []string{"*.example.com"}, "hosts"},
		"a host as an address":   {[]string{"10.0.0.5"}, []string{"10.0.0.7"}, "hosts"},
		"a host in capitals":     {[]string{"10.0.0.5"}, []string{"Shop.example.com"}, "hosts"},
		"a host without proxies": {nil, []string{"shop.example.com"}, "trusted_proxies"},
	} {
		c2 := good
		c2.TrustedProxies, c2.Hosts = c.proxies, c.hosts
		err := c2.check("writ.yaml")
		if c.part == "" {
			if err != nil || len(c2.proxies()) != len(c.proxies) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if _, pub := fault.PublicOf(err); err == nil || !strings.Contains(pub.Problem+pub.Expected, c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
