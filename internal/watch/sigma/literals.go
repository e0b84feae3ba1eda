package sigma

import "slices"

// leastText is the shortest text that is looked for before a rule is asked.
const leastText = 3

// texts finds which rules' texts occur in an event: by their first three bytes, of which a
// bit in a small table says whether any text begins so.
type texts struct {
	begin [1 << 10]uint64
	by    map[[leastText]byte][]wanted
}

type wanted struct {
	tail string
	rule int32
}

func (t *texts) some() bool { return len(t.by) > 0 }

func mix(a, b, c byte) uint32 {
	return (uint32(a) | uint32(b)<<8 | uint32(c)<<16) * 0x9E3779B1 >> 16
}

func (t *texts) add(s string, rule int32) {
	if t.by == nil {
		t.by = map[[leastText]byte][]wanted{}
	}
	k := [leastText]byte{s[0], s[1], s[2]}
	w := wanted{s[leastText:], rule}
	if !slices.Contains(t.by[k], w) {
		t.by[k] = append(t.by[k], w)
	}
	h := mix(s[0], s[1], s[2])
	t.begin[h>>6] |= 1 << (h & 63)
}

// in calls found for each text in b; more than once where it stands more than once.
func (t *texts) in(b []byte, found func(rule int32)) {
	for i := 0; i+leastText <= len(b); i++ {
		h := mix(b[i], b[i+1], b[i+2])
		if t.begin[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, w := range t.by[[leastText]byte(b[i:i+leastText])] {
			if rest := b[i+leastText:]; len(rest) >= len(w.tail) && string(rest[:len(w.tail)]) == w.tail {
				found(w.rule)
			}
		}
	}
}

// needs are texts one of which stands in every event that e takes; none = not known.
func needs(e *expr) []string {
	switch e.op {
	case and:
		var best []string
		for _, k := range e.kids {
			if n := needs(k); better(n, best) {
				best = n
			}
		}
		return best
	case or:
		var all []string
		for _, k := range e.kids {
			n := needs(k)
			if len(n) == 0 {
				return nil
			}
			all = append(all, n...)
		}
		return all
	case ask:
		return e.item.needs()
	}
	return nil
}

func (it *item) needs() []string {
	if it.neg || it.lacks || it.sees != "" {
		return nil
	}
	var all, best []string
	for _, alts := range it.need {
		if it.all {
			if usable(alts) && better(alts, best) {
				best = alts
			}
			continue
		}
		if !usable(alts) {
			return nil
		}
		all = append(all, alts...)
	}
	if it.all {
		return best
	}
	return all
}

func usable(alts []string) bool {
	return len(alts) > 0 && !slices.ContainsFunc(alts, func(s string) bool { return len(s) < leastText })
}

// better prefers longer texts, and then fewer.
func better(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) > 0
	}
	x, y := shortest(a), shortest(b)
	return len(x) > len(y) || len(x) == len(y) && len(a) < len(b)
}

func shortest(ss []string) string {
	return slices.MinFunc(ss, func(a, b string) int { return len(a) - len(b) })
}
