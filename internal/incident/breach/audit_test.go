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

// Many rows that were changed or removed are a candidate, as is a changed structure; few rows are not,
// unless nobody says how many.
func TestChanges(t *testing.T) { // breaks: inc.loss-restore
	at := func(s int) time.Time { return noon.Add(time.Duration(s-3600) * time.Second) }
	said := func(s, line int, class, command string, rows string) string {
		return logged(at(s), "app", "s1", line, "AUDIT: SESSION,1,1,"+class+","+command+",TABLE,public.contacts,x,<none>"+rows)
	}
	for name, c := range map[string]struct{ log, want string }{
		"few":                   {said(1, 1, "WRITE", "DELETE", ",99"), ""},
		"many":                  {said(1, 1, "WRITE", "DELETE", ",100"), "DELETE 100 1s-1s"},
		"many together":         {said(1, 1, "WRITE", "UPDATE", ",60") + said(50, 2, "WRITE", "UPDATE", ",60"), "UPDATE 120 1s-50s"},
		"apart":                 {said(1, 1, "WRITE", "UPDATE", ",60") + said(90, 2, "WRITE", "UPDATE", ",60"), ""},
		"nobody says":           {said(1, 1, "WRITE", "DELETE", ""), "DELETE -1 1s-1s"},
		"once nobody says":      {said(1, 1, "WRITE", "DELETE", ",5") + said(2, 2, "WRITE", "DELETE", ""), "DELETE -1 1s-2s"},
		"emptied":               {said(1, 1, "WRITE", "TRUNCATE TABLE", ""), "TRUNCATE TABLE -1 1s-1s"},
		"structure":             {said(1, 1, "DDL", "ALTER TABLE", ""), "ALTER TABLE -1 1s-1s structure"},
		"read and added":        {said(1, 1, "READ", "SELECT", ",5000") + said(2, 2, "WRITE", "INSERT", ",5000"), ""},
		"of another time":       {said(-1, 1, "DDL", "DROP TABLE", "") + said(3601, 2, "DDL", "DROP TABLE", ""), ""},
		"not a line of pgaudit": {logged(at(1), "app", "s1", 1, "DELETE FROM contacts"), ""},
	} {
		all, err := breach.Changes([]byte(c.log), at(0), noon)
		var got []string
		for _, x := range all {
			s := fmt.Sprintf("%s %d %s-%s", x.Command, x.Rows, x.From.Sub(at(0)), x.Until.Sub(at(0)))
			if x.Schema {
				s += " structure"
			}
			got = append(got, s)
		}
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "a,b\n", "\"\n"} {
		if _, err := breach.Changes([]byte(bad), at(0), noon); err == nil {
			t.Errorf("%q is an audit", bad)
		}
	}
}

// FuzzChanges: what is found lies within the time, and is much, or not counted.
func FuzzChanges(f *testing.F) {
	f.Add([]byte(logged(noon.Add(-time.Minute), "app", "s", 1, `AUDIT: SESSION,1,1,WRITE,DELETE,TABLE,public.contacts,x,<none>,300`)))
	f.Add([]byte(logged(noon, "a", "s", 7, "x")))
	f.Fuzz(func(t *testing.T, log []byte) {
		from := noon.Add(-time.Hour)
		all, err := breach.Changes(log, from, noon)
		for _, c := range all {
			if err != nil || c.From.Before(from) || c.Until.After(noon) || c.Until.Before(c.From) || !c.Schema && c.Rows >= 0 && c.Rows < 100 || c.Object == "" {
				t.Errorf("%+v %v", c, err)
			}
		}
	})
}
