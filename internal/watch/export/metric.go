package export

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// The kinds of a family.
const (
	Counter   = "counter" // grows until the process ends
	Gauge     = "gauge"
	Histogram = "histogram" // counts of values up to a bound
)

// Pair is a name with its value.
type Pair struct{ Name, Value string }

// Family is what is measured under one name.
type Family struct {
	Name    string // as Prometheus wants it: writ_requests_total
	Help    string
	Kind    string
	Samples []Sample
}

// Sample is one measurement of a family.
type Sample struct {
	Labels []Pair
	Value  float64 // of a histogram: the sum of all values

	Bounds []float64 // of a histogram, growing
	Counts []uint64  // of values up to each bound, and one more: above the last
}

var (
	helpEscape  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// TextType is the media type of Text.
const TextType = "text/plain; version=0.0.4; charset=utf-8"

// Text writes families in Prometheus's text format.
func Text(w io.Writer, fs []Family) error {
	b := bufio.NewWriter(w)
	for _, f := range fs {
		if len(f.Samples) == 0 {
			continue
		}
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", f.Name, helpEscape.Replace(f.Help), f.Name, f.Kind)
		for i := range f.Samples {
			s := &f.Samples[i]
			if f.Kind != Histogram {
				line(b, f.Name, s.Labels, "", s.Value)
				continue
			}
			n := uint64(0)
			for j, c := range s.Counts {
				bound := "+Inf"
				if n += c; j < len(s.Bounds) {
					bound = float(s.Bounds[j])
				}
				line(b, f.Name+"_bucket", s.Labels, bound, float64(n))
			}
			line(b, f.Name+"_sum", s.Labels, "", s.Value)
			line(b, f.Name+"_count", s.Labels, "", float64(n))
		}
	}
	return b.Flush() //nolint:wrapcheck // the reader went away
}

func line(b *bufio.Writer, name string, labels []Pair, bound string, v float64) {
	b.WriteString(name)
	if bound != "" {
		labels = append(labels[:len(labels):len(labels)], Pair{"le", bound})
	}
	for i, l := range labels {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(l.Name + `="` + labelEscape.Replace(strings.ToValidUTF8(l.Value, "�")) + `"`)
	}
	if len(labels) > 0 {
		b.WriteByte('}')
	}
	b.WriteString(" " + float(v) + "\n")
}

func float(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
