package breach_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/incident/breach"
)

// logged is a line of a log of PostgreSQL 16 as CSV.
func logged(at time.Time, user, session string, line int, message string) string {
	return fmt.Sprintf(`%s UTC,"%s","shop",4711,"10.0.0.7:51000",%s,%d,"SELECT",2026-11-02 09:00:00 UTC,3/12,0,LOG,00000,"%s",,,,,,,,,"psql","client backend",,0`+"\n",
		at.Format("2006-01-02 15:04:05.000"), user, session, line, strings.ReplaceAll(message, `"`, `""`))
}

// A read of a table is an access, and a hole: no line says whose rows. A log that leaves lines out, begins
// late or ends early clears nobody either.
func TestAudit(t *testing.T) { // breaks: inc.breach-scope
	at := func(m int) time.Time { return noon.Add(time.Duration(m-60) * time.Minute) }
	sel := breach.Selector{Principals: []string{"app_ro"}, From: at(0), Until: noon}
	const read = `AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.contacts,"select *` + "\n" + `from contacts",<not logged>`
	whole := logged(at(1), "app_rw", "s1", 1, "connection authorized") + logged(at(59), "app_rw", "s1", 2, "AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,public.bills,insert,<none>")
	for name, c := range map[string]struct {
		log   string
		found string
		holes []string
	}{
		"whole, and nobody looked": {whole, "app_rw public.bills accessed", nil},
		"read":                     {whole + logged(at(30), "app_ro", "s2", 1, read), "app_rw public.bills accessed|app_ro public.contacts accessed", []string{"app_ro came to public.contacts"}},
		"rows are counted":         {whole + logged(at(30), "app_ro", "s2", 1, read+",7"), "app_rw public.bills accessed|app_ro public.contacts obtained", []string{"app_ro came to public.contacts"}},
		"no row was there":         {whole + logged(at(30), "app_ro", "s2", 1, read+",0"), "app_rw public.bills accessed|app_ro public.contacts none", nil},
		"copied out":               {whole + logged(at(30), "app_ro", "s2", 1, "AUDIT: SESSION,1,1,READ,COPY TO,TABLE,public.contacts,copy,<none>"), "app_rw public.bills accessed|app_ro public.contacts obtained", []string{"app_ro came to public.contacts"}},
		"a line is left out":       {whole + logged(at(59), "app_rw", "s1", 4, "x"), "app_rw public.bills accessed", []string{"leaves out lines"}},
		"within a session":         {whole + logged(at(40), "x", "s3", 9, "x"), "app_rw public.bills accessed", []string{"begins within a session"}},
		"late and early":           {logged(noon.Add(70*time.Minute-3*time.Hour), "x", "s1", 1, "x"), "", []string{"does not go back", "ends before"}},
		"of another time":          {whole + logged(at(-90), "app_ro", "s2", 1, read), "app_rw public.bills accessed", nil},
	} {
		sel := sel
		if name == "late and early" {
			sel.From = noon.Add(-4 * time.Hour)
		}
		var found []string
		span, holes, err := breach.Audit([]byte(c.log), "audit/1", "sum", sel, func(r *breach.Record) error {
			found = append(found, r.Who+" "+r.Route+" "+r.Means.String())
			return nil
		})
		if err != nil || strings.Join(found, "|") != c.found || span.Count == 0 || span.Read != span.Count || span.ID != "audit/1" {
			t.Errorf("%s: %q %+v %v", name, found, span, err)
		}
		for i, h := range holes {
			if i >= len(c.holes) || !strings.Contains(h.Why, c.holes[i]) {
				t.Errorf("%s: %+v", name, holes)
				break
			}
		}
		if len(holes) != len(c.holes) {
			t.Errorf("%s: %+v, want %q", name, holes, c.holes)
		}
	}
	for name, log := range map[string]string{
		"empty": "", "no log": "a,b,c\n", "local time": strings.Replace(whole, " UTC,\"app", " CET,\"app", 1), "no time": strings.Replace(whole, "2026", "last", 1), "no number": strings.Replace(whole, ",s1,1,", ",s1,one,", 1),
		"half a line": whole[:len(whole)-60], "half an audit": logged(at(1), "a", "s", 1, `AUDIT: SESSION,1,1,READ`), "a quote": logged(at(1), "a", "s", 1, `AUDIT: SESSION,1,1,READ,SELECT,TABLE,x,"open`),
	} {
		if _, _, err := breach.Audit([]byte(log), "", "", sel, func(*breach.Record) error { return nil }); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	var many strings.Builder
	for i := range 1500 {
		many.WriteString(logged(at(30), "app_ro", fmt.Sprint("m", i), 1, fmt.Sprintf("AUDIT: SESSION,1,1,READ,SELECT,TABLE,t%d,x,y", i)))
	}
	if _, holes, err := breach.Audit([]byte(whole+many.String()), "", "", sel, func(*breach.Record) error { return nil }); err != nil || len(holes) != 1000 {
		t.Errorf("%d holes, %v", len(holes), err)
	}
}

// FuzzAudit: what is read lies within the selected time, and whatever the selector means is a hole.
func FuzzAudit(f *testing.F) {
	f.Add([]byte(logged(noon.Add(-time.Minute), "app_ro", "s", 1, `AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.contacts,"select 1",<not logged>,3`)))
	f.Add([]byte(logged(noon, "a", "s", 7, "x")))
	f.Add([]byte("\"\n,\""))
	sel := breach.Selector{From: noon.Add(-time.Hour), Until: noon}
	f.Fuzz(func(t *testing.T, log []byte) {
		n := 0
		_, holes, err := breach.Audit(log, "", "", sel, func(r *breach.Record) error {
			if r.At.Before(sel.From) || r.At.After(sel.Until) || r.Route == "" || len(r.About) != 1 {
				t.Errorf("%+v", r)
			}
			if r.Means != 0 {
				n++
			}
			return nil
		})
		if err == nil && n > 0 && len(holes) == 0 {
			t.Error("rows were read, and everything is known")
		}
	})
}
