package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"writ/internal/journal"
	"writ/internal/watch/export"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was (%v):\n%s", file, err, got)
	}
}

func families() []export.Family {
	return []export.Family{
		{Name: "writ_requests_total", Help: "Requests that were answered", Kind: export.Counter, Samples: []export.Sample{
			{Labels: []export.Pair{{Name: "route", Value: "/a/{id}"}, {Name: "status", Value: "2xx"}}, Value: 12},
			{Labels: []export.Pair{{Name: "route", Value: "a\"b\\c\nd\xff"}, {Name: "status", Value: "5xx"}}, Value: 1},
		}},
		{Name: "writ_request_duration_seconds", Help: "How long \\ answers took\nin all", Kind: export.Histogram, Samples: []export.Sample{
			{Labels: []export.Pair{{Name: "route", Value: "/a/{id}"}}, Value: 1.5, Bounds: []float64{0.1, 1}, Counts: []uint64{10, 1, 2}}}},
		{Name: "writ_host_cpu_busy_ratio", Help: "Share of time in which a processor was busy", Kind: export.Gauge, Samples: []export.Sample{{Value: 0.25}}},
		{Name: "writ_nothing", Help: "Has no sample", Kind: export.Gauge},
		{Name: "writ_bound", Help: "Bounds", Kind: export.Gauge, Samples: []export.Sample{{Value: math.Inf(1)}}},
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := export.Text(&b, families()); err != nil {
		t.Fatal(err)
	}
	golden(t, "metrics.txt", b.Bytes())
	promtool(t, b.Bytes())
}

// promtool judges, where it is installed.
func promtool(t *testing.T, text []byte) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not here, so it does not judge")
		return
	}
	c := exec.Command(tool, "check", "metrics")
	c.Stdin = bytes.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// A message is read back by another's parser as it was meant, whatever stands in it.
func TestSyslog(t *testing.T) {
	e := entryOf("identity.sign-in-refused-for-a-very-long-reason", public("text", "a \"quoted\\ value]\x00\nwith lines\xff"), public("names", []any{"x", int64(2)}),
		journal.Field{Name: "agent", State: journal.Shown, Value: "Firefox of Ana"})
	msg := export.Syslog(&e, "app.example.test")
	golden(t, "syslog.txt", append(slices.Clone(msg), '\n'))
	m := parsed(t, msg)
	data := *m.StructuredData
	if got := data["fact@32473"]["text"]; got != "a \"quoted\\ value]��with lines�" {
		t.Errorf("the value came back as %q", got)
	}
	if data["writ@32473"]["n"] != "7" || data["fact@32473"]["names"] != "x,2" || data["fact@32473"]["agent"] != "" || *m.Facility != 13 || *m.Severity != 6 {
		t.Errorf("%+v", data)
	}
	for word, want := range map[string]uint8{"page": 1, "ticket": 4, "notice": 5} {
		e := entryOf("watch.alarm-opened", public("severity", word))
		if m := parsed(t, export.Syslog(&e, "h")); *m.Severity != want {
			t.Errorf("%s has severity %d", word, *m.Severity)
		}
	}
}

// One that is too long is cut and says so; frames of several are told apart.
func TestSyslogLimit(t *testing.T) {
	long := entryOf("vault.param-read", public("names", strings.Repeat("é", 3000)))
	for i := range 40 {
		long.Fields = append(long.Fields, public("f"+string(rune('a'+i%26))+string(rune('a'+i/26)), strings.Repeat("x", 900)))
	}
	msg := export.Syslog(&long, "h")
	if len(msg) > 8<<10 || !strings.Contains(string(msg), `[cut@32473 is="true"]`) {
		t.Errorf("%d bytes: %.200s", len(msg), msg)
	}
	parsed(t, msg)
	short := entryOf("vault.sealed")
	stream := slices.Concat(export.Frame(msg), export.Frame(export.Syslog(&short, "h")), export.Frame(msg))
	var n int
	octetcounting.NewParser(syslog.WithListener(func(r *syslog.Result) {
		if n++; r.Error != nil {
			t.Error(r.Error)
		}
	})).Parse(bytes.NewReader(stream))
	if n != 3 {
		t.Errorf("%d messages in three frames", n)
	}
}

func parsed(t *testing.T, msg []byte) *rfc5424.SyslogMessage {
	t.Helper()
	m, err := rfc5424.NewParser().Parse(msg)
	if err != nil {
		t.Fatalf("%v: %q", err, msg)
	}
	return m.(*rfc5424.SyslogMessage)
}

func FuzzSyslog(f *testing.F) {
	f.Add("vault.param-read", "p:ana", "thing/1", "name", "a\"]\\\n", "host")
	f.Fuzz(func(t *testing.T, stream, actor, object, name, value, host string) {
		e := entryOf(stream, public(name, value))
		e.Actor, e.Object = actor, object
		msg := export.Syslog(&e, host)
		if !utf8.Valid(msg) || len(msg) > 9<<10 {
			t.Fatalf("%q", msg)
		}
		parsed(t, msg)
	})
}

func TestLogs(t *testing.T) {
	from := []export.Pair{{Name: "service.name", Value: "writ"}}
	b, err := export.Logs([]journal.Entry{entryOf("identity.signed-in", fields...), entryOf("watch.alarm-opened", fields...)}, from)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "logs.json", pretty(t, b))
	if strings.Contains(string(b), "Firefox") {
		t.Error("a personal value left")
	}
	for answer, want := range map[string]int64{`{}`: 0, `{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"no"}}`: 3, `{"partialSuccess":{"rejectedLogRecords":2}}`: 2, `x`: 0, `{"partialSuccess":{"rejectedLogRecords":-1}}`: 0} {
		if n, _ := export.Refused([]byte(answer)); n != want {
			t.Errorf("%s: %d refused", answer, n)
		}
	}
}

func TestMetrics(t *testing.T) {
	fs := families()
	b, err := export.Metrics(fs[:len(fs)-1], []export.Pair{{Name: "service.name", Value: "writ"}}, then, then.Add(60e9))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "metrics.json", pretty(t, b))
}

func pretty(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}

// A cell never becomes a formula, and every other comes back as it was.
func TestCSV(t *testing.T) {
	rows := [][]string{{"=1+2", "@x", "+x", "-x"}, {"-12.5", "a,b", "a\"b", "two\nlines"}, {"", "\tx", "é", "-"}}
	var b bytes.Buffer
	if err := export.CSV(&b, []string{"a", "b", "c", "d"}, rows); err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(&b).ReadAll()
	want := [][]string{{"a", "b", "c", "d"}, {"'=1+2", "'@x", "'+x", "'-x"}, {"-12.5", "a,b", "a\"b", "two\nlines"}, {"", "'\tx", "é", "-"}}
	if err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v %q", err, got)
	}
}
