// Package outside tells addresses that lie outside from those that only we, or nobody, can
// reach. Whoever dials an address that somebody else chose asks it, about the address that is
// dialled and not about a name.
//
// Refuses: private, loopback, link-local, shared, translated, documentation and reserved
// networks (IANA special-purpose registries), and where clouds tell machines their secrets.
//
// Threats: a name that leads inside; an IPv4 address written as IPv6 (mapped ones are unmapped,
// translated ones are not outside); a zone.
//
// For: packages notify, gateway/egress and identity/upstream.
package outside

import (
	"net/netip"
	"slices"
)

// closed are networks that nobody outside has, beside those that netip knows.
var closed = func() (ps []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
		"168.63.129.16/32", // Azure's, for its own machines
	} {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}()

// Is reports whether an address lies outside. It must be a host's, without a zone.
func Is(a netip.Addr) bool {
	zone := a.Zone() // of a mapped address, unmapping loses it
	a = a.Unmap()
	return zone == "" && a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(closed, func(p netip.Prefix) bool { return p.Contains(a) })
}
