package export

import (
	"encoding/json"
	"strconv"
	"time"

	"writ/internal/journal"
)

// The paths under an address of OTLP (OTLP specification 1.x, OTLP/HTTP), and their media type.
const (
	LogsPath    = "/v1/logs"
	MetricsPath = "/v1/metrics"
	OTLPType    = "application/json"
)

// The parts of OTLP in its JSON form: numbers of 64 bits are texts.
type (
	otlpValue struct {
		Text string `json:"stringValue"`
	}
	otlpPair struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpResource struct {
		Attributes []otlpPair `json:"attributes"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpRecord struct {
		At         string     `json:"timeUnixNano"`
		Seen       string     `json:"observedTimeUnixNano"`
		Severity   int        `json:"severityNumber"`
		Word       string     `json:"severityText"`
		Body       otlpValue  `json:"body"`
		Attributes []otlpPair `json:"attributes"`
		Name       string     `json:"eventName"`
	}
	otlpScopeLogs struct {
		Scope   otlpScope    `json:"scope"`
		Records []otlpRecord `json:"logRecords"`
	}
	otlpResourceLogs struct {
		Resource otlpResource    `json:"resource"`
		Scopes   []otlpScopeLogs `json:"scopeLogs"`
	}
	otlpLogs struct {
		Resources []otlpResourceLogs `json:"resourceLogs"`
	}
	otlpPoint struct {
		Start      string     `json:"startTimeUnixNano,omitempty"`
		At         string     `json:"timeUnixNano"`
		Value      *float64   `json:"asDouble,omitempty"`
		Count      string     `json:"count,omitempty"` // the rest is of histograms
		Sum        *float64   `json:"sum,omitempty"`
		Buckets    []string   `json:"bucketCounts,omitempty"`
		Bounds     []float64  `json:"explicitBounds,omitempty"`
		Attributes []otlpPair `json:"attributes"`
	}
	otlpData struct {
		Points      []otlpPoint `json:"dataPoints"`
		Temporality int         `json:"aggregationTemporality,omitempty"` // 2: since the start
		Monotonic   bool        `json:"isMonotonic,omitempty"`
	}
	otlpMetric struct {
		Name      string    `json:"name"`
		Help      string    `json:"description"`
		Sum       *otlpData `json:"sum,omitempty"`
		Gauge     *otlpData `json:"gauge,omitempty"`
		Histogram *otlpData `json:"histogram,omitempty"`
	}
	otlpScopeMetrics struct {
		Scope   otlpScope    `json:"scope"`
		Metrics []otlpMetric `json:"metrics"`
	}
	otlpResourceMetrics struct {
		Resource otlpResource       `json:"resource"`
		Scopes   []otlpScopeMetrics `json:"scopeMetrics"`
	}
	otlpMetrics struct {
		Resources []otlpResourceMetrics `json:"resourceMetrics"`
	}
)

const cumulative = 2

// severities of OTLP, by those of syslog.
var otlpSeverity = map[int]struct {
	n    int
	word string
}{alert: {18, "ERROR2"}, warning: {13, "WARN"}, notice: {10, "INFO2"}, info: {9, "INFO"}}

// Logs writes entries as log records. from says of which service they are.
func Logs(es []journal.Entry, from []Pair) ([]byte, error) {
	records := make([]otlpRecord, 0, len(es))
	for i := range es {
		e := &es[i]
		own, fields := facts(e)
		attributes := make([]otlpPair, 0, len(own)+len(fields))
		for _, p := range own {
			attributes = append(attributes, pair(Pair{"writ." + p.Name, p.Value}))
		}
		for _, p := range fields {
			attributes = append(attributes, pair(Pair{"writ.fact." + p.Name, p.Value}))
		}
		s := otlpSeverity[severity(e)]
		records = append(records, otlpRecord{nano(e.Happened), nano(e.At), s.n, s.word, otlpValue{tame(sentence(e))}, attributes, e.Stream})
	}
	return json.Marshal(otlpLogs{[]otlpResourceLogs{{otlpResource{pairs(from)}, []otlpScopeLogs{{otlpScope{"writ/journal"}, records}}}}}) //nolint:wrapcheck // says what
}

// Metrics writes families as they are now; counters began to count at start.
func Metrics(fs []Family, from []Pair, start, now time.Time) ([]byte, error) {
	var all []otlpMetric
	for _, f := range fs {
		if len(f.Samples) == 0 {
			continue
		}
		d := &otlpData{}
		for i := range f.Samples {
			s := &f.Samples[i]
			p := otlpPoint{At: nano(now), Attributes: pairs(s.Labels)}
			switch f.Kind {
			case Counter:
				p.Start, p.Value = nano(start), &s.Value
			case Gauge:
				p.Value = &s.Value
			case Histogram:
				n := uint64(0)
				for _, c := range s.Counts {
					n += c
					p.Buckets = append(p.Buckets, strconv.FormatUint(c, 10))
				}
				p.Start, p.Sum, p.Bounds, p.Count = nano(start), &s.Value, s.Bounds, strconv.FormatUint(n, 10)
			}
			d.Points = append(d.Points, p)
		}
		m := otlpMetric{Name: f.Name, Help: f.Help}
		switch f.Kind {
		case Counter:
			m.Sum, d.Temporality, d.Monotonic = d, cumulative, true
		case Gauge:
			m.Gauge = d
		case Histogram:
			m.Histogram, d.Temporality = d, cumulative
		}
		all = append(all, m)
	}
	return json.Marshal(otlpMetrics{[]otlpResourceMetrics{{otlpResource{pairs(from)}, []otlpScopeMetrics{{otlpScope{"writ/watch"}, all}}}}}) //nolint:wrapcheck // says what
}

// Refused reads how many records of an answer to LogsPath were refused for good, and why.
func Refused(answer []byte) (n int64, why string) {
	var a struct {
		Partial struct {
			Rejected json.Number `json:"rejectedLogRecords"` // a text, or a number where a receiver is lax
			Why      string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return 0, ""
	}
	n, err := a.Partial.Rejected.Int64()
	if err != nil || n < 0 {
		return 0, ""
	}
	return n, a.Partial.Why
}

func nano(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func pair(p Pair) otlpPair { return otlpPair{p.Name, otlpValue{tame(p.Value)}} }

func pairs(ps []Pair) []otlpPair {
	out := make([]otlpPair, len(ps))
	for i, p := range ps {
		out[i] = pair(p)
	}
	return out
}
