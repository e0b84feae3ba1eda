package app

import "writ/internal/gateway"

// DisclosureConf is what security.txt says (RFC 9116). Empty values are the policy's or left out.
type DisclosureConf struct {
	Contact         []string `yaml:"contact,omitempty"` // mailto:, tel: or https:, the best first
	Languages       []string `yaml:"languages,omitempty"`
	Encryption      string   `yaml:"encryption,omitempty"`
	Acknowledgments string   `yaml:"acknowledgments,omitempty"`
	Policy          string   `yaml:"policy,omitempty"`
	Hiring          string   `yaml:"hiring,omitempty"`
}

func (c DisclosureConf) read() gateway.Disclosure { return gateway.Disclosure(c) }

// tidy is how it is read back: an empty list is none.
func (c DisclosureConf) tidy() DisclosureConf {
	if len(c.Contact) == 0 {
		c.Contact = nil
	}
	if len(c.Languages) == 0 {
		c.Languages = nil
	}
	return c
}
