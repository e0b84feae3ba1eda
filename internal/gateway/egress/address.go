package egress

import "net/netip"

// closed are networks that nobody outside has (IANA special-purpose registries), beside those
// that netip knows, and the addresses at which clouds tell machines their secrets.
var closed = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	"168.63.129.16/32",
)

// never are addresses that no destination may have, whatever a list says: a machine's
// metadata and keys lie there.
var never = prefixes("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32")

func prefixes(all ...string) (ps []netip.Prefix) {
	for _, s := range all {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func within(a netip.Addr, ps []netip.Prefix) bool {
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Public reports whether an address lies outside: it is a host's, and in no network that is
// private, local, shared, translated or reserved.
func Public(a netip.Addr) bool { // clause: net.gateway-only
	a = a.Unmap()
	return a.Zone() == "" && a.IsGlobalUnicast() && !a.IsPrivate() && !within(a, closed)
}

// allowed reports whether an address may be dialled: a public one, or one of the networks
// that the list names for this destination.
func allowed(a netip.Addr, inside []netip.Prefix) bool { // clause: net.gateway-only
	a = a.Unmap()
	if Public(a) {
		return true
	}
	return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !within(a, never) && within(a, inside)
}

// Inside reports whether a network may stand in the list beside a name: one that is not
// public anyway, and in which no cloud keeps a machine's secrets.
func Inside(p netip.Prefix) bool {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || Public(p.Addr()) || p.Addr().IsMulticast() || p.Addr().IsUnspecified() {
		return false
	}
	for _, n := range never {
		if n.Overlaps(p) && n.Bits() <= p.Bits() {
			return false
		}
	}
	return p.Bits() >= 8
}
