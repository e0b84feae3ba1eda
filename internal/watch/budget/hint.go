package budget

import (
	"cmp"
	"fmt"
	"slices"
)

// Growth is how one route, team or network does against the same hours of four weeks.
type Growth struct {
	Dimension string  `json:"dimension"`
	Label     string  `json:"label"`
	Now       float64 `json:"now"`
	Usual     float64 `json:"usual"` // the mean of the weeks that are known
	Weeks     int     `json:"weeks"` // how many are; 0 = nothing to compare with
}

// By is how much it grew.
func (g Growth) By() float64 { return g.Now - g.Usual }

// Signs are what stands around a jump.
type Signs struct {
	Whole Growth   // everything together
	Top   []Growth // those that grew most, by dimension
	Abuse []string // titles of alarms about abuse within two hours
}

// Hint is one reading of a jump. A hint is no verdict.
type Hint struct {
	Word    string   `json:"word"` // attack, growth, batch, unknown
	Reasons []string `json:"reasons"`
	weight  int
}

// How much of the growth makes a few of the many stand out.
const (
	mostOf  = 0.6
	manyOf  = 5
	newOnes = 0.1 // what usually was less than this share of now is new
)

// Hints ranks what it may be, the likeliest first, each with why.
func Hints(s Signs) []Hint {
	attack, growth, batch, unknown := Hint{Word: "attack"}, Hint{Word: "growth"}, Hint{Word: "batch"}, Hint{Word: "unknown"}
	add := func(h *Hint, weight int, format string, a ...any) {
		h.weight += weight
		h.Reasons = append(h.Reasons, fmt.Sprintf(format, a...))
	}
	for _, title := range s.Abuse {
		add(&attack, 3, "an alarm about abuse within two hours: %s", title)
	}
	all := s.Whole.By()
	if s.Whole.Weeks == 0 {
		add(&unknown, 1, "no week before this one is known, so nothing can be compared")
		return ranked(attack, growth, batch, unknown)
	}
	if all <= 0 {
		add(&unknown, 2, "what Writ measures did not grow in this time")
		return ranked(attack, growth, batch, unknown)
	}
	share := func(dimension string) (Growth, float64, int) {
		var first Growth
		n := 0
		for _, g := range s.Top {
			if g.Dimension == dimension && g.Weeks > 0 && g.By() > 0 {
				if n++; g.By() > first.By() {
					first = g
				}
			}
		}
		return first, first.By() / all, n
	}
	network, ofNetwork, networks := share("network")
	if ofNetwork >= mostOf {
		add(&attack, 2, "one network makes %.0f %% of the growth", 100*min(ofNetwork, 1))
		if network.Usual < newOnes*network.Now {
			add(&attack, 1, "that network was hardly there in the four weeks before")
		}
	}
	team, ofTeam, teams := share("team")
	_, ofRoute, routes := share("route")
	if ofTeam >= mostOf {
		add(&batch, 2, "one team makes %.0f %% of the growth", 100*min(ofTeam, 1))
		if team.Usual >= newOnes*team.Now {
			add(&batch, 1, "that team worked at these hours before, too")
		}
	}
	if ofRoute >= mostOf {
		add(&batch, 1, "one route makes %.0f %% of the growth", 100*min(ofRoute, 1))
	}
	if teams >= manyOf && ofTeam < mostOf {
		add(&growth, 2, "%d teams or more grew, and none of them stands out", teams)
	}
	if networks >= manyOf && ofNetwork < mostOf {
		add(&growth, 1, "%d networks or more grew, and none of them stands out", networks)
	}
	if routes >= manyOf && ofRoute < mostOf {
		add(&growth, 1, "%d routes or more grew, and none of them stands out", routes)
	}
	if attack.weight+growth.weight+batch.weight == 0 {
		add(&unknown, 1, "nothing that is measured stands out")
	}
	return ranked(attack, growth, batch, unknown)
}

// ranked leaves out what nothing speaks for.
func ranked(hs ...Hint) []Hint {
	hs = slices.DeleteFunc(hs, func(h Hint) bool { return h.weight == 0 })
	slices.SortStableFunc(hs, func(a, b Hint) int { return cmp.Compare(b.weight, a.weight) })
	return hs
}
