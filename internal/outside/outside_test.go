package outside_test

import (
	"net/netip"
	"testing"

	"writ/internal/outside"
)

func TestIs(t *testing.T) {
	for a, want := range map[string]bool{"93.184.216.34": true, "2606:2800:220:1::1": true, "10.1.1.1": false, "172.16.0.1": false, "192.168.0.1": false, "127.0.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false, "::1": false, "::": false, "fe80::1": false, "fd00:ec2::254": false,
		"::ffff:127.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false, "::10.0.0.1": false, "168.63.129.16": false, "fec0::1": false, "3fff::1": false, "ff02::1": false} {
		if got := outside.Is(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	if outside.Is(netip.Addr{}) || outside.Is(netip.MustParseAddr("2606:2800::1%eth0")) || outside.Is(netip.MustParseAddr("::ffff:93.184.216.34%eth0")) {
		t.Error("no address, or one of a link, is public")
	}
}
