package place_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"writ/internal/watch/place"
)

const table = `prefix,country,latitude,longitude
# of documentation
198.51.0.0/16,NO,59.9,10.7
198.51.100.0/24,SE,59.3,18.1
198.51.100.128/25,DK,55.7,12.6
203.0.113.0/24,NZ,-36.8,174.8
2001:db8::/32,DE,52.5,13.4
2001:db8:1::/48,FR,48.9,2.4
`

// The narrowest network that has an address says where it is.
func TestFind(t *testing.T) {
	tab, err := place.Load(strings.NewReader(table))
	if err != nil || tab.Len() != 6 {
		t.Fatal(tab.Len(), err)
	}
	for addr, want := range map[string]string{
		"198.51.1.1": "NO", "198.51.100.0": "SE", "198.51.100.127": "SE", "198.51.100.128": "DK", "198.51.100.255": "DK", "198.51.101.0": "NO", "198.51.255.255": "NO", "198.52.0.0": "", "198.50.255.255": "",
		"203.0.113.9": "NZ", "::ffff:203.0.113.9": "NZ", "203.0.114.0": "", "0.0.0.0": "", "255.255.255.255": "", "2001:db8::1": "DE", "2001:db8:1:2::": "FR", "2001:db8:2::": "DE", "2001:db9::": "", "::": "", "fe80::1%eth0": "",
	} {
		got, ok := tab.Find(netip.MustParseAddr(addr))
		if got.Country != want || ok != (want != "") {
			t.Errorf("%s is in %q, want %q", addr, got.Country, want)
		}
	}
	if _, ok := (*place.Table)(nil).Find(netip.MustParseAddr("203.0.113.9")); ok {
		t.Error("no table knows a place")
	}
	osl, akl := place.Spot{Latitude: 59.9, Longitude: 10.7}, place.Spot{Latitude: -36.8, Longitude: 174.8}
	if d := osl.Away(akl); math.Abs(d-17_200) > 100 || osl.Away(osl) != 0 || math.Abs(akl.Away(osl)-d) > 1e-6 {
		t.Errorf("%.0f km", d)
	}
}

// A table that is not one is refused with its line.
func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"address":   {"198.51.100.7,NO,1,1\n", "line 1: expected a network"},
		"host bits": {"198.51.100.7/24,NO,1,1\n", "line 1: expected a network"},
		"country":   {table + "192.0.2.0/24,no,1,1\n", "line 9: expected a country"},
		"latitude":  {"192.0.2.0/24,NO,91,1\n", "a latitude"},
		"longitude": {"192.0.2.0/24,NO,1,NaN\n", "a longitude"},
		"columns":   {"192.0.2.0/24,NO,1\n", "wrong number of fields"},
		"twice":     {table + "198.51.100.0/24,NO,1,1\n", "198.51.100.0/24 is in the table twice"},
		"mapped":    {"::ffff:192.0.2.0/120,NO,1,1\n", "expected a network"},
		"long":      {"192.0.2.0/24,NO,1,\"" + strings.Repeat("1", 65<<20) + "\"\n", "at most 64 MiB"},
	} {
		if _, err := place.Load(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Whatever is read, each network of the table finds itself or a narrower one.
func FuzzLoad(f *testing.F) {
	f.Add(table)
	f.Add("0.0.0.0/0,NO,0,0\n::/0,SE,1,1\n")
	f.Add("10.0.0.0/8,NO,\"1\",2\n")
	f.Fuzz(func(t *testing.T, text string) {
		tab, err := place.Load(strings.NewReader(text))
		if err != nil {
			return
		}
		for line := range strings.Lines(text) {
			first, _, _ := strings.Cut(line, ",")
			p, err := netip.ParsePrefix(strings.TrimSpace(first))
			if err != nil || strings.Contains(text, `"`) {
				continue
			}
			if _, ok := tab.Find(p.Addr()); !ok && !strings.HasPrefix(line, "#") {
				t.Errorf("%s is not found", p)
			}
		}
	})
}
