package limit

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Rate is how many in how long: N may come at once, and N more in each Per.
type Rate struct {
	N   int64
	Per time.Duration
}

var (
	goodRate = regexp.MustCompile(`^([1-9][0-9]{0,8})/([smhd])$`)
	units    = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

// ParseRate reads 100/m; s, m, h and d are what one may divide by.
func ParseRate(s string) (Rate, error) {
	m := goodRate.FindStringSubmatch(s)
	if m == nil {
		return Rate{}, fmt.Errorf("%q is not written as 100/m (or /s, /h, /d)", s)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n > int64(units[m[2]]/time.Microsecond) {
		return Rate{}, fmt.Errorf("%q is more than one in a microsecond", s)
	}
	return Rate{N: n, Per: units[m[2]]}, nil
}

// String is the rate as it is written.
func (r Rate) String() string {
	for _, u := range []string{"s", "m", "h", "d"} {
		if units[u] == r.Per {
			return fmt.Sprintf("%d/%s", r.N, u)
		}
	}
	return fmt.Sprintf("%d/%s", r.N, r.Per)
}

// IsZero reports whether there is no limit.
func (r Rate) IsZero() bool { return r.N == 0 }

// Bucket is a rate as one node enforces it.
type Bucket struct {
	every int64 // nanoseconds from one to the next
	ahead int64 // how far the next may lie ahead of now
	n     int64 // how many at once
}

// Bucket divides the rate among nodes. At least one request passes at once.
func (r Rate) Bucket(nodes int64) Bucket {
	nodes = max(nodes, 1)
	b := Bucket{every: int64(r.Per) / r.N * nodes, n: max(1, r.N/nodes)}
	b.ahead = (b.n - 1) * b.every
	return b
}

// Most is how many may come at once.
func (b Bucket) Most() int64 { return b.n }
