package place

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The bounds of a table.
const (
	mostNetworks = 1_000_000
	mostBytes    = 64 << 20
)

// Spot is a place on earth.
type Spot struct {
	Country   string  `json:"country"` // two letters
	Latitude  float64 `json:"lat"`
	Longitude float64 `json:"lon"`
}

// Table knows where networks are. The nil *Table knows nothing.
type Table struct {
	rows []row // by their first address, the wider one first
}

// row is a network; within is the narrowest one before it that has it, -1 = none.
type row struct {
	from     netip.Addr
	within   int32
	bits     uint8
	country  [2]byte
	lat, lon float32
}

// header may stand in the first line.
var header = []string{"prefix", "country", "latitude", "longitude"}

// Load reads a table: CSV with prefix, country, latitude and longitude.
func Load(in io.Reader) (*Table, error) {
	whole := &io.LimitedReader{R: in, N: mostBytes + 1}
	r := csv.NewReader(bufio.NewReader(whole))
	r.FieldsPerRecord, r.ReuseRecord, r.Comment = len(header), true, '#'
	t := &Table{}
	for {
		rec, err := r.Read()
		if whole.N <= 0 {
			return nil, fmt.Errorf("the table is too long: at most %d MiB", mostBytes>>20)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // says which line
		}
		line, _ := r.FieldPos(0)
		if line == 1 && slices.Equal(rec, header) {
			continue
		}
		x, want := read(rec)
		if want != "" {
			return nil, fmt.Errorf("line %d: expected %s", line, want)
		}
		if t.rows = append(t.rows, x); len(t.rows) > mostNetworks {
			return nil, fmt.Errorf("line %d: expected at most %d networks", line, mostNetworks)
		}
	}
	return t, t.sort()
}

// read says what is expected of a line that is not good.
func read(rec []string) (x row, want string) {
	p, err := netip.ParsePrefix(strings.TrimSpace(rec[0]))
	if err != nil || p != p.Masked() || p.Addr().Is4In6() {
		return x, "a network such as 198.51.100.0/24 or 2001:db8::/32"
	}
	if p.Addr().Is4() {
		p = netip.PrefixFrom(netip.AddrFrom16(p.Addr().As16()), p.Bits()+96)
	}
	c := strings.TrimSpace(rec[1])
	if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
		return x, "a country of two large letters"
	}
	lat, err := strconv.ParseFloat(strings.TrimSpace(rec[2]), 32)
	if err != nil || math.IsNaN(lat) || math.Abs(lat) > 90 {
		return x, "a latitude from -90 to 90"
	}
	lon, err := strconv.ParseFloat(strings.TrimSpace(rec[3]), 32)
	if err != nil || math.IsNaN(lon) || math.Abs(lon) > 180 {
		return x, "a longitude from -180 to 180"
	}
	return row{from: p.Addr(), within: -1, bits: uint8(p.Bits()), country: [2]byte{c[0], c[1]}, lat: float32(lat), lon: float32(lon)}, ""
}

// sort orders the networks, and ties each to the one around it.
func (t *Table) sort() error {
	slices.SortFunc(t.rows, func(a, b row) int {
		if c := a.from.Compare(b.from); c != 0 {
			return c
		}
		return int(a.bits) - int(b.bits)
	})
	for i := 1; i < len(t.rows); i++ {
		x, last := &t.rows[i], &t.rows[i-1]
		if x.from == last.from && x.bits == last.bits {
			return fmt.Errorf("the network %s is in the table twice", x.prefix())
		}
		around := int32(i - 1)
		for around >= 0 && !t.rows[around].has(x.from) {
			around = t.rows[around].within
		}
		x.within = around
	}
	return nil
}

func (x *row) prefix() netip.Prefix {
	if x.from.Is4In6() && x.bits >= 96 {
		return netip.PrefixFrom(x.from.Unmap(), int(x.bits)-96)
	}
	return netip.PrefixFrom(x.from, int(x.bits))
}

func (x *row) has(a netip.Addr) bool {
	p, err := a.Prefix(int(x.bits))
	return err == nil && p.Addr() == x.from
}

// Len is how many networks there are.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.rows)
}

// Find says where an address is, by the narrowest network that has it.
func (t *Table) Find(a netip.Addr) (Spot, bool) {
	if t == nil || !a.IsValid() {
		return Spot{}, false
	}
	a = netip.AddrFrom16(a.WithZone("").As16())
	i, found := slices.BinarySearchFunc(t.rows, a, func(x row, a netip.Addr) int { return x.from.Compare(a) })
	for found && i+1 < len(t.rows) && t.rows[i+1].from == a {
		i++
	}
	if !found {
		i--
	}
	for k := int32(i); k >= 0; k = t.rows[k].within {
		if x := &t.rows[k]; x.has(a) {
			return Spot{Country: string(x.country[:]), Latitude: float64(x.lat), Longitude: float64(x.lon)}, true
		}
	}
	return Spot{}, false
}

// Away is the way between two places over the earth, in kilometres.
func (s Spot) Away(o Spot) float64 {
	const radius, rad = 6371, math.Pi / 180
	a, b := math.Sin((o.Latitude-s.Latitude)*rad/2), math.Sin((o.Longitude-s.Longitude)*rad/2)
	h := a*a + b*b*math.Cos(s.Latitude*rad)*math.Cos(o.Latitude*rad)
	return 2 * radius * math.Asin(math.Sqrt(min(1, h)))
}
