package incident_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/breach"
)

// An audit of a database that lies with the incident is among what a set is computed from; whose rows
// were read nobody knows, so nobody is cleared, and the set runs again offline.
func TestAuditOfADatabase(t *testing.T) { // breaks: inc.breach-scope
	w := open(t)
	ctx, now := t.Context(), w.kit.Clock.Now()
	w.breach.people = []string{"team/t1", "person/ann"}
	w.breached()
	w.step("eve", "I-1", "confirm", "")
	line := func(ago time.Duration, n int, user, table string) string {
		return fmt.Sprintf(`%s UTC,"%s","shop",47,"10.0.0.7:5100",s1,%d,"SELECT",2026-11-02 09:00:00 UTC,3/12,0,LOG,00000,"AUDIT: SESSION,1,1,READ,SELECT,TABLE,%s,select,<none>",,,,,,,,,"psql","client backend",,0`+"\n", now.Add(-ago).Format("2006-01-02 15:04:05.000"), user, n, table)
	}
	w.ok(w.svc.Attach(ctx, w.as("eve"), "I-1", "postgresql.csv", []byte(line(47*time.Hour+30*time.Minute, 1, "app", "public.bills")+line(30*time.Minute, 2, "thief", "public.contacts"))))
	w.ok(w.svc.Attach(ctx, w.as("eve"), "I-1", "note.txt", []byte("not a log")))
	files := w.show("I-1").Files
	in := incident.NewScope{Selector: w.selector(), Data: map[string][]string{"public.contacts": {breach.Contact}}, Audits: []string{files[1].ID}}
	if _, err := w.svc.FreezeScope(ctx, w.as("eve"), "I-1", in); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "scope_audits") {
		t.Errorf("a note is an audit: %v", err)
	}
	in.Audits = []string{"nothing"}
	if _, err := w.svc.FreezeScope(ctx, w.as("eve"), "I-1", in); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no such file: %v", err)
	}
	in.Audits = []string{files[0].ID}
	w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", in))
	x := w.exposure("I-1").Scope
	if x.Records != 1 || x.Counts[breach.Accessed] != 1 || x.Counts[breach.Possibly] != 2 || x.Counts[breach.Cleared] != 0 || !strings.Contains(strings.Join(x.Unknown(), " "), "thief came to public.contacts") || len(x.Open) != 0 {
		t.Errorf("%+v %v", x.Counts, x.Unknown())
	}
	if span := x.Coverage.Spans[len(x.Coverage.Spans)-1]; span.SHA256 != files[0].Hash || span.Count != 2 {
		t.Errorf("%+v", span)
	}
	var b bytes.Buffer
	if err := w.svc.BundleScope(ctx, w.as("eve"), "I-1", 1, &b); err != nil {
		t.Fatal(err)
	}
	if r, wrong, err := breach.Check(ctx, bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || len(wrong) > 0 || r.Hash != x.Hash {
		t.Errorf("offline: %v %v", wrong, err)
	}
	in.Statement = "The contacts of all teams lie in that table."
	w.ok(w.svc.FreezeScope(ctx, w.as("eve"), "I-1", in))
	w.signs("I-1", "scope")
	w.step("eve", "I-1", "scope", "")
	w.notifying("I-1")
	w.sendAll()
	if len(w.breach.sent) != 2 || w.breach.sent["ann@example.test"] != 1 || w.breach.sent["admin-t1@example.test"] != 1 {
		t.Errorf("letters to %v", w.breach.sent)
	}
}
