package export_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/incident/engine"
	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/watch/export"
)

var then = time.Date(2026, 5, 3, 14, 10, 0, 123456000, time.UTC)

func rule(string) export.Rule {
	return export.Rule{Title: "A disk is full", Says: "More than 97 %", Severity: "page"}
}

// entryOf is an entry with fields that any event may have.
func entryOf(stream string, fields ...journal.Field) journal.Entry {
	return journal.Entry{N: 7, ID: "06h1f8b6rs003a5bkqbefo7v90", Stream: stream, Act: stream, SN: 1, At: then.Add(time.Second), Happened: then, Kind: "person", Actor: "p:ana", Object: "thing/1",
		Subject: "p:bo", Clause: "auth.best-practice", Revision: "1.0", Team: "staff", Session: "s1", Via: "https", Fields: fields}
}

func public(name string, v any) journal.Field {
	return journal.Field{Name: name, State: journal.Public, Value: v}
}

func event(t *testing.T, e journal.Entry) map[string]any {
	t.Helper()
	b, err := json.Marshal(export.Event(&e, rule))
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

var fields = []journal.Field{public("alarm", "a1"), public("rule", "disk-full"), public("severity", "page"), public("person", "bo"), public("session", "s1"), public("incident", "i1"), public("control", "c1"),
	public("summary", "it is broken"), public("class", "card"), public("from", "answer"), public("count", int64(3)), public("names", []any{"a:1", "b:2"}),
	{Name: "network", State: journal.Hidden}, {Name: "agent", State: journal.Shown, Value: "Firefox of Ana"}}

// Every entry that has a class of OCSF is an event without a fault, and tells nothing personal.
func TestEventsByTheSchema(t *testing.T) {
	s := theSchema(t)
	classes := map[float64]bool{}
	for _, stream := range export.OCSFStreams() {
		for _, e := range []journal.Entry{entryOf(stream, fields...), {Stream: stream, Actor: "s:net", Kind: "stranger", Happened: then, At: then}} {
			o := event(t, e)
			if b := s.judge(o); len(b) > 0 {
				t.Errorf("%s: %v", stream, b)
			}
			classes[o["class_uid"].(float64)] = true
			if u, _ := o["unmapped"].(map[string]any); u["agent"] != nil || u["network"] != nil {
				t.Errorf("%s tells what is personal: %v", stream, u)
			}
		}
	}
	for _, c := range said {
		if b := s.judge(event(t, entryOf(c.stream, c.fields...))); len(b) > 0 {
			t.Errorf("%s %v: %v", c.stream, c.fields, b)
		}
	}
	for _, c := range []float64{2003, 2004, 2005, 2006, 3001, 3002, 6005} {
		if !classes[c] {
			t.Errorf("nothing becomes %v", c)
		}
	}
	if e := entryOf("gateway.cache-purged"); export.Event(&e, rule) != nil {
		t.Error("a purged cache is an event of OCSF")
	}
}

// step are the fields of a step of an incident's lifecycle.
func step(to string) []journal.Field {
	return []journal.Field{public("incident", "i1"), public("region", "L"), public("to", to)}
}

// said are entries and what their events say.
var said = []struct {
	stream string
	fields []journal.Field
	want   map[string]float64
}{
	{"watch.alarm-opened", fields, map[string]float64{"class_uid": 2004, "activity_id": 1, "severity_id": 4, "status_id": 1}},
	{"watch.alarm-opened", []journal.Field{public("severity", "ticket")}, map[string]float64{"severity_id": 3}},
	{"watch.alarm-acknowledged", fields, map[string]float64{"activity_id": 2, "status_id": 2, "severity_id": 4}},
	{"watch.alarm-closed", fields, map[string]float64{"activity_id": 3, "status_id": 4}},
	{"identity.signed-in", fields, map[string]float64{"type_uid": 300201, "status_id": 1}},
	{"identity.sign-in-refused", fields, map[string]float64{"type_uid": 300201, "status_id": 2}},
	{"identity.session-ended", fields, map[string]float64{"type_uid": 300202}},
	{"identity.factor-added", fields, map[string]float64{"type_uid": 300110}},
	{"vault.param-read", fields, map[string]float64{"type_uid": 600501, "status_id": 1}},
	{"vault.read-refused", fields, map[string]float64{"type_uid": 600501, "status_id": 2}},
	{"incident.declared", fields, map[string]float64{"type_uid": 200501, "status_id": 1}},
	{"incident.severity-set", []journal.Field{public("to", int64(1))}, map[string]float64{"type_uid": 200502, "status_id": 0, "severity_id": 5}},
	{"incident.declared", []journal.Field{public("drill", true), public("onset", int64(1777816800000000))}, map[string]float64{"verdict_id": 6, "start_time": 1777816800000, "severity_id": 0}},
	{"incident.categorised", []journal.Field{public("severity", int64(2)), public("categories", []any{"outage", "breach"})}, map[string]float64{"type_uid": 200502, "status_id": 2, "severity_id": 4}},
	{"incident.step-done", step("L3"), map[string]float64{"type_uid": 200502, "status_id": 2}},
	{"incident.step-done", step("L4"), map[string]float64{"type_uid": 200502, "status_id": 4, "severity_id": 0}},
	{"incident.step-done", step("L6"), map[string]float64{"type_uid": 200503, "status_id": 5}},
	{"incident.step-done", step("LX"), map[string]float64{"type_uid": 200503, "status_id": 5, "verdict_id": 3}},
	{"finding.opened", fields, map[string]float64{"type_uid": 200301, "status_id": 1}},
	{"finding.closed", fields, map[string]float64{"type_uid": 200303, "status_id": 4}},
	{"gateway.sensitive-data-stopped", fields, map[string]float64{"type_uid": 200601}},
}

// What an event says is what happened.
func TestEventsSay(t *testing.T) {
	for _, c := range said {
		o := event(t, entryOf(c.stream, c.fields...))
		for k, v := range c.want {
			if o[k] != v {
				t.Errorf("%s: %s is %v, want %v", c.stream, k, o[k], v)
			}
		}
		if m := o["metadata"].(map[string]any); m["uid"] != "06h1f8b6rs003a5bkqbefo7v90" || m["sequence"] != 7.0 {
			t.Errorf("%s: %v", c.stream, m)
		}
	}
	e := entryOf("incident.step-done", public("incident", "i1"), public("region", "F"), public("to", "F3"))
	if got := export.Event(&e, rule); got != nil {
		t.Errorf("a step of the fix tells where the incident stands: %v", got)
	}
	life, _ := engine.Of(engine.L)
	for _, state := range life.States {
		if o := event(t, entryOf("incident.step-done", step(state.ID)...)); o["status_id"] == 0.0 {
			t.Errorf("nobody is told that an incident is %s", state.Name)
		}
	}
	for kinds, want := range map[string]bool{"breach": true, "outage": false} {
		if o := event(t, entryOf("incident.categorised", public("categories", []any{"other", kinds}))); o["is_suspected_breach"] != want {
			t.Errorf("%s: a breach is %v", kinds, o["is_suspected_breach"])
		}
	}
	if s := export.OCSFStreams(); !slices.Contains(s, "identity.signed-in") || len(s) < 40 {
		t.Errorf("%d streams", len(s))
	}
}

// The access records' own form holds to the same schema.
func TestRecordsByTheSchema(t *testing.T) {
	s := theSchema(t)
	k := ledgertest.Open(t, gateway.Schema())
	tr, err := trail.New(trail.Deps{DB: k.DB, Keys: k.Ring, Access: policytest.Access(k.DB, k.Clock.Now), Dir: t.TempDir(), Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	at := k.Clock.Now()
	tr.Add(trail.Record{At: at, Who: actor.Actor{Kind: actor.Person, ID: "ana", Team: "t", Session: "s"}, Addr: netip.MustParseAddr("198.51.100.77"), Route: "/x/{id}", Method: "PATCH", Status: 404, Code: "denied", In: 3, Out: -1, Resource: []string{"x=1"}})
	tr.Add(trail.Record{At: at, Who: actor.Actor{Kind: actor.Stranger}, Route: "*", Method: "BREW", Status: 200})
	k.Clock.Advance(time.Second)
	var b bytes.Buffer
	if err := tr.Export(t.Context(), actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}, trail.Query{}, trail.OCSF, &b); err != nil {
		t.Fatal(err)
	}
	n := 0
	for d := json.NewDecoder(&b); d.More(); n++ {
		var o map[string]any
		if err := d.Decode(&o); err != nil {
			t.Fatal(err)
		}
		if broken := s.judge(o); len(broken) > 0 {
			t.Errorf("%v: %v", o, broken)
		}
	}
	if n != 2 {
		t.Errorf("%d records", n)
	}
}
