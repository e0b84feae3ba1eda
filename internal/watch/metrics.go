package watch

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/watch/export"
)

const (
	mostSeries   = 10_000 // of requests; more count as the route "other"
	longestLabel = 64     // bytes
	other        = "other"
)

// bounds of the times that answers took, in seconds.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// Tally counts requests since the start: by the pattern of the route, the method and the
// class of the answer. It holds nothing that a visitor chose.
type Tally struct {
	mu    sync.Mutex
	count map[asked]float64
	took  map[string]*histogram // by route
}

type asked struct{ route, method, status string }

type histogram struct {
	counts []uint64
	sum    float64
}

func newTally() *Tally { return &Tally{count: map[asked]float64{}, took: map[string]*histogram{}} }

// Add counts one request.
func (t *Tally) Add(route, method string, status int, took time.Duration) {
	if len(route) > longestLabel {
		route = strings.ToValidUTF8(route[:longestLabel-3], "") + "…"
	}
	if !slices.Contains(methods, method) {
		method = other
	}
	k := asked{route, method, strconv.Itoa(status/100) + "xx"}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.count[k]; !ok && len(t.count) >= mostSeries {
		k.route = other
	}
	t.count[k]++
	h := t.took[k.route]
	if h == nil {
		h = &histogram{counts: make([]uint64, len(bounds)+1)}
		t.took[k.route] = h
	}
	h.sum += took.Seconds()
	i, _ := slices.BinarySearch(bounds, took.Seconds())
	h.counts[i]++
}

func (t *Tally) families() []export.Family {
	requests := export.Family{Name: "writ_requests_total", Help: "Requests that the gate answered.", Kind: export.Counter}
	took := export.Family{Name: "writ_request_duration_seconds", Help: "How long answers took.", Kind: export.Histogram}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, n := range t.count {
		requests.Samples = append(requests.Samples, export.Sample{Labels: []export.Pair{{Name: "route", Value: k.route}, {Name: "method", Value: k.method}, {Name: "status", Value: k.status}}, Value: n})
	}
	for route, h := range t.took {
		took.Samples = append(took.Samples, export.Sample{Labels: []export.Pair{{Name: "route", Value: route}}, Value: h.sum, Bounds: bounds, Counts: slices.Clone(h.counts)})
	}
	for _, f := range []*export.Family{&requests, &took} {
		slices.SortFunc(f.Samples, func(a, b export.Sample) int {
			return slices.CompareFunc(a.Labels, b.Labels, func(a, b export.Pair) int { return strings.Compare(a.Value, b.Value) })
		})
	}
	return []export.Family{requests, took}
}

// scraped are the readings that are told to scrapers, by their meter. What is not here is
// not told: a label of it could name somebody.
var scraped = []struct {
	meter, name, help, label string
	by                       float64 // what one is, in the unit of the name
}{
	{"host.cpu", "writ_host_cpu_busy_ratio", "Share of the last seconds in which the processors were busy.", "", 0.01},
	{"host.memory", "writ_host_memory_used_ratio", "Share of memory in use.", "", 0.01},
	{"host.disk", "writ_host_disk_used_ratio", "Share of a disk that holds data in use.", "folder", 0.01},
	{"host.inodes", "writ_host_inodes_used_ratio", "Share of the files that such a disk can hold.", "folder", 0.01},
	{"host.pressure", "writ_host_pressure_ratio", "Share of the last minute in which some task waited.", "resource", 0.01},
	{"process.files", "writ_process_files_used_ratio", "Share of the descriptors that this process may have.", "", 0.01},
	{"queue.overdue", "writ_queue_overdue_seconds", "Age of the oldest work that is late.", "", 1},
	{"queue.failed", "writ_queue_failed", "Work that was given up.", "", 1},
	{"journal.waiting", "writ_journal_waiting_seconds", "How long an entry has waited for its number.", "", 1},
	{"watch.behind", "writ_watch_behind_entries", "Entries that no rule has looked at yet.", "", 1},
	{"certificate.used", "writ_certificate_expired_seconds", "Time since the certificate ended; below zero while it lasts.", "listener", 24 * 60 * 60},
	{"export.behind", "writ_export_waiting_seconds", "How long an entry has waited to be taken by another system.", "to", 60},
	{"status.behind", "writ_status_copy_age_seconds", "Since when a copy of the status page was not brought up to date.", "place", 60},
}

// Families are what is scraped now, for scrapers.
func (s *Service) Families(ctx context.Context) ([]export.Family, error) {
	fs := s.tally.families()
	s.mu.Lock()
	last := map[string][]Reading{}
	for _, src := range s.sources {
		if s.Now().Sub(src.spoke) > 3*src.Every { // it fell silent: what it said is no longer so
			continue
		}
		for _, r := range src.last {
			last[r.Meter] = append(last[r.Meter], r)
		}
	}
	s.mu.Unlock()
	for _, m := range scraped {
		f := export.Family{Name: m.name, Help: m.help, Kind: export.Gauge}
		for _, r := range last[m.meter] {
			x := export.Sample{Value: r.Value * m.by}
			if m.label != "" {
				x.Labels = []export.Pair{{Name: m.label, Value: r.Label}}
			}
			f.Samples = append(f.Samples, x)
		}
		fs = append(fs, f)
	}
	open := export.Family{Name: "writ_alarms", Help: "Alarms that go on.", Kind: export.Gauge}
	err := s.DB.Each(ctx, openAlarms, func(scan ledger.Scan) error {
		var severity, state string
		var n int64
		err := scan(&severity, &state, &n)
		open.Samples = append(open.Samples, export.Sample{Labels: []export.Pair{{Name: "severity", Value: severity}, {Name: "state", Value: state}}, Value: float64(n)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count alarms: %w", err)
	}
	return append(append(fs, open), s.itself()...), nil
}

// itself is this process, under the names that every scraper knows.
func (s *Service) itself() []export.Family {
	one := func(name, help, kind string, v float64) export.Family {
		return export.Family{Name: name, Help: help, Kind: kind, Samples: []export.Sample{{Value: v}}}
	}
	fs := []export.Family{
		one("process_start_time_seconds", "When this process began.", export.Gauge, float64(s.begun.UnixMilli())/1000),
		one("go_goroutines", "Tasks under way.", export.Gauge, float64(runtime.NumGoroutine())),
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		seconds := func(t unix.Timeval) float64 { return time.Duration(t.Nano()).Seconds() }
		fs = append(fs, one("process_cpu_seconds_total", "Time of processors that this process used.", export.Counter, seconds(u.Utime)+seconds(u.Stime)))
	}
	if text, err := proc("self/statm"); err == nil {
		if f := strings.Fields(text); len(f) > 1 {
			n, _ := strconv.ParseFloat(f[1], 64) // what is no number counts as none
			fs = append(fs, one("process_resident_memory_bytes", "Memory that this process holds.", export.Gauge, n*float64(os.Getpagesize())))
		}
	}
	return fs
}

// getMetrics answers a scraper.
func (s *Service) getMetrics(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchMetrics, "watch/metrics"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	fs, err := s.Families(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", export.TextType)
	return export.Text(w, fs) //nolint:wrapcheck // the reader went away
}

// Canary reports whether an entry is of a canary: other systems hear of none.
func (s *Service) Canary(ctx context.Context, e *journal.Entry) (bool, error) {
	return s.isCanary(ctx, e)
}

// Told is what a rule says of itself to other systems.
func Told(id string) export.Rule {
	r := index().byID[id]
	if r == nil {
		return export.Rule{Title: id}
	}
	return export.Rule{Title: r.Title, Says: r.Says, Severity: r.Severity}
}

const openAlarms = `SELECT severity, state, COUNT(*) FROM watch_alarm WHERE state IN ('firing', 'acknowledged') AND NOT test GROUP BY severity, state ORDER BY severity, state`
