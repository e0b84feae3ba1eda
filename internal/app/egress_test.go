package app

import (
	"errors"
	"reflect"
	"testing"

	"writ/internal/fault"
)

// The way out is for private services alone: neither its door nor a caller may be public.
func TestEgressIsChecked(t *testing.T) { // breaks: net.gateway-only
	billing := []EgressCallerConf{{Name: "billing", From: []string{"10.0.1.0/24", "127.0.0.1", "fd00:1::/64"}}}
	for name, c := range map[string]EgressConf{
		"everywhere":       {Listen: ":3128"},
		"a public address": {Listen: "203.0.113.1:3128"},
		"all addresses":    {Listen: "0.0.0.0:3128"},
		"no port":          {Listen: "10.0.1.2"},
		"callers alone":    {Callers: billing},
		"no name":          {Listen: "10.0.1.2:3128", Callers: []EgressCallerConf{{From: []string{"10.0.1.1"}}}},
		"twice":            {Listen: "10.0.1.2:3128", Callers: append(billing, billing...)},
		"from nowhere":     {Listen: "10.0.1.2:3128", Callers: []EgressCallerConf{{Name: "billing"}}},
		"from everywhere":  {Listen: "10.0.1.2:3128", Callers: []EgressCallerConf{{Name: "billing", From: []string{"0.0.0.0/0"}}}},
		"from half of it":  {Listen: "10.0.1.2:3128", Callers: []EgressCallerConf{{Name: "billing", From: []string{"10.0.0.0/7"}}}},
		"from outside":     {Listen: "10.0.1.2:3128", Callers: []EgressCallerConf{{Name: "billing", From: []string{"8.8.8.8"}}}},
	} {
		s := settings("Example")
		if s.Gateway.Egress = c; !errors.Is(s.check("test"), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	s, dir := settings("Example"), t.TempDir()
	s.Gateway.Egress = EgressConf{Listen: "10.0.1.2:3128", Callers: billing}
	if err := s.check("test"); err != nil {
		t.Fatal(err)
	}
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadConfig(dir); err != nil || !reflect.DeepEqual(back.Gateway.Egress, s.Gateway.Egress) {
		t.Errorf("%+v %v", back.Gateway.Egress, err)
	}
}

func TestSecurityTextIsChecked(t *testing.T) {
	for name, c := range map[string]DisclosureConf{"a bare address": {Contact: []string{"x@example.com"}}, "in clear": {Policy: "http://example.com"}, "a line of its own": {Hiring: "https://example.com/\nx"}} {
		s := settings("Example")
		if s.SecurityText = c; !errors.Is(s.check("test"), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	s, dir := settings("Example"), t.TempDir()
	s.SecurityText = DisclosureConf{Contact: []string{"https://example.com/report"}, Languages: []string{}, Policy: "https://example.com/flaws"}
	if err := s.check("test"); err != nil {
		t.Fatal(err)
	}
	if err := s.write(dir); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadConfig(dir); err != nil || back.SecurityText.Policy != s.SecurityText.Policy || len(back.SecurityText.Contact) != 1 {
		t.Errorf("%+v %v", back.SecurityText, err)
	}
}
