package trail_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

// A record says for which clause a request was refused, and which revision of the policy held
// when it came, also when another holds by the time it is written.
func TestWhyAndUnderWhichPolicy(t *testing.T) { // breaks: inc.breach-scope
	kit := ledgertest.Open(t, gateway.Schema())
	begin := kit.Clock.Now()
	r, err := trail.New(trail.Deps{DB: kit.DB, Keys: kit.Ring, Access: policytest.Access(kit.DB, kit.Clock.Now), Dir: t.TempDir(), Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler),
		Revision: func(at time.Time) string {
			if at.Before(begin.Add(time.Minute)) {
				return "1.0"
			}
			return "2.0"
		}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Trail: r, t: t, kit: kit}
	add := func(clause string) {
		w.Add(trail.Record{At: kit.Clock.Now(), Who: person("ana"), Addr: netip.MustParseAddr("198.51.100.77"), Route: "/x", Method: "GET", Status: 403, Code: "role", Clause: clause})
		kit.Clock.Advance(time.Minute)
	}
	add("use.no-automation")
	add("use.need-to-see")
	found := w.find(trail.Query{Clause: "use.no-automation"})
	if len(found) != 1 || found[0].Clause != "use.no-automation" || found[0].Revision != "1.0" {
		t.Errorf("%+v", found)
	}
	if all := w.find(trail.Query{}); len(all) != 2 || all[0].Revision != "2.0" {
		t.Errorf("%+v", all)
	}
	var b bytes.Buffer
	w.must(w.Export(t.Context(), auditor, trail.Query{Clause: "use.need-to-see"}, trail.OCSF, &b))
	var v struct {
		Unmapped struct {
			Clause   string `json:"clause"`
			Revision string `json:"revision"`
		} `json:"unmapped"`
	}
	w.must(json.Unmarshal(b.Bytes(), &v))
	if v.Unmapped.Clause != "use.need-to-see" || v.Unmapped.Revision != "2.0" {
		t.Errorf("%+v", v)
	}
	if e := kit.Recorded("gateway.records-searched"); e[0].Fields["of"] != "clause use.no-automation" {
		t.Errorf("%+v", e[0])
	}
}

// Records of staff alone are gone through, and that they were is an entry.
func TestByStaff(t *testing.T) { // breaks: use.need-to-see
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	begin := w.kit.Clock.Now()
	w.ask(auditor, "GET", "/x", 200)
	w.ask(person("ana"), "GET", "/y", 200)
	w.ask(actor.Actor{Kind: actor.Support, ID: "eva", For: "ana", Team: "team-ana", Session: "look-1"}, "GET", "/z", 200)
	var got []string
	w.must(w.ByStaff(t.Context(), actor.System("gateway"), "a look", begin, func(fs []trail.Found) error {
		for _, f := range fs {
			got = append(got, f.Route)
		}
		return nil
	}))
	if strings.Join(got, " ") != "/x /z" {
		t.Errorf("%v", got)
	}
	if es := w.kit.Recorded("gateway.records-searched"); len(es) != 1 || es[0].Fields["of"] != "a look" {
		t.Errorf("%+v", es)
	}
}
