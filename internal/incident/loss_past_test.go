package incident_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// past is what happened before, and when it was asked for.
type past struct {
	all   []incident.Onset
	asked []string
	err   error
}

func (p *past) Onsets(_ context.Context, from, until time.Time) ([]incident.Onset, error) {
	p.asked = append(p.asked, fmt.Sprint(until.Sub(from)))
	return p.all, p.err
}

// What may have damaged the data is looked for once when it is suspected, and again when somebody
// asks, with an audit of the database; the one that a plan takes sets since when and until when.
func TestOnsetsAreFound(t *testing.T) { // breaks: inc.loss-restore
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		p := &past{}
		l := lostWorld(t, kit, t.TempDir(), nil, func(_ *lossy, w *incident.World) { w.Past = p })
		l.harm()
		now := kit.Clock.Now()
		ago := func(m int) time.Time { return now.Add(-time.Duration(m) * time.Minute).Truncate(time.Microsecond) }
		p.all = []incident.Onset{{From: ago(1), To: ago(1), Kind: incident.OnsetAlarm, Says: "an alarm fired", Entry: 17}, {From: ago(3), To: ago(2), Kind: incident.OnsetMass, Says: "90 times DELETE /contacts/"}}
		l.sorted()
		ctx := t.Context()
		look := func() {
			if err := l.svc.TendOnsets(ctx); err != nil {
				t.Fatal(err)
			}
		}
		p.err = errors.New("the record is away")
		if err := l.svc.TendOnsets(ctx); err == nil {
			t.Error("nobody hears that the record is away")
		}
		p.err = nil
		look()
		look()
		if len(p.asked) != 2 || p.asked[1] != "48h0m0s" || l.entries("onsets-found") != 1 {
			t.Errorf("asked %v, %d entries", p.asked, l.entries("onsets-found"))
		}
		kinds := func() (out []string) {
			for _, o := range l.show(l.ref).Loss.Onsets {
				out = append(out, fmt.Sprint(o.Kind, o.Entry))
			}
			return out
		}
		if got := fmt.Sprint(kinds()); got != "[0 mass-change0 alarm17]" {
			t.Errorf("found: %s", got)
		}
		if _, err := l.svc.LookBack(ctx, l.as("ana"), l.ref, nil); !errors.Is(err, fault.Denied) {
			t.Errorf("who is not recovery operator looks: %v", err)
		}
		log := now.Add(-90*time.Second).Format("2006-01-02 15:04:05.000") + ` UTC,"root","shop",4711,,s1,1,"DELETE",2026-11-02 09:00:00 UTC,3/12,0,LOG,00000,"AUDIT: SESSION,1,1,WRITE,DELETE,TABLE,public.contacts,delete,<none>,4000",,,,,,,,,"psql","client backend",,0` + "\n"
		l.ok(l.svc.Attach(ctx, l.as("dev"), l.ref, "postgresql.csv", []byte(log)))
		l.ok(l.svc.Attach(ctx, l.as("dev"), l.ref, "note.txt", []byte("not a log")))
		files := l.show(l.ref).Files
		for _, f := range files {
			_, err := l.svc.LookBack(ctx, l.as("dev"), l.ref, []string{f.ID})
			if bad := f.Name == "note.txt"; bad != errors.Is(err, fault.Invalid) || !bad && err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		if got := fmt.Sprint(kinds()); got != "[0 mass-change0 mass-change0 alarm17]" {
			t.Errorf("with the audit: %s", got)
		}
		l.to("R3")
		l.ok(l.svc.MakePlan(ctx, l.as("dev"), l.ref, incident.NewPlan{Onset: ago(3)}))
		if c := l.show(l.ref).Case; !c.OnsetFrom.Equal(ago(3)) || !c.OnsetTo.Equal(ago(2)) {
			t.Errorf("the candidate is not taken over: %s to %s", c.OnsetFrom, c.OnsetTo)
		}
		l.ok(l.svc.MakePlan(ctx, l.as("dev"), l.ref, incident.NewPlan{Onset: ago(4)}))
		if c := l.show(l.ref).Case; !c.OnsetFrom.Equal(ago(4)) || !c.OnsetTo.IsZero() {
			t.Errorf("the end of another candidate stays: %s to %s", c.OnsetFrom, c.OnsetTo)
		}
		l.to("R12")
		if _, err := l.svc.LookBack(ctx, l.as("dev"), l.ref, nil); !errors.Is(err, fault.Conflict) {
			t.Errorf("it is looked for when all is done: %v", err)
		}
	}, tables...)
}
