package egress

import (
	"net/netip"

	"writ/internal/outside"
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

// allowed reports whether an address may be dialled: a public one, or one of the networks
// that the list names for this destination.
func allowed(a netip.Addr, inside []netip.Prefix) bool { // clause: net.gateway-only
	a = a.Unmap()
	if outside.Is(a) {
		return true
	}
	return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !within(a, never) && within(a, inside)
}

// Inside reports whether a network may stand in the list beside a name: one that is not
// public anyway, and in which no cloud keeps a machine's secrets.
func Inside(p netip.Prefix) bool {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || outside.Is(p.Addr()) || p.Addr().IsMulticast() || p.Addr().IsUnspecified() {
		return false
	}
	for _, n := range never {
		if n.Overlaps(p) && n.Bits() <= p.Bits() {
			return false
		}
	}
	return p.Bits() >= 8
}
