package incident_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

const sheet = "\xef\xbb\xbfIncident_ID,Title,Status,Started At,Incident Type,Owner\r\n" +
	"INC-7,\"Invoices, all of them,\nare wrong\",Active,2026-11-01 09:30:00,data loss,joe@example.test\r\n" +
	"INC-8,Sign-in is slow,closed,2026-10-01,,\r\n" +
	"INC-9,Nobody can sign in,,,weather,\r\n"

// bring imports, and says what became of each line.
func (w *world) bring(file string, dry bool) (says string, err error) {
	w.t.Helper()
	all, err := w.svc.Bring(w.t.Context(), w.as("ana"), []byte(file), dry)
	for _, x := range all {
		says += fmt.Sprintf("%d %s %s %s; ", x.Line, x.Key, x.State, x.Ref)
	}
	return strings.TrimSuffix(says, " "), err
}

// Incidents that are open in another tool become signals here, each once however often the file
// comes; with all that the file says of them; what is over there is left out.
func TestBringIncidents(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		check := func(dry bool, want string) {
			t.Helper()
			if got, err := w.bring(sheet, dry); err != nil || got != want {
				t.Errorf("dry %v: %s %v, want %s", dry, got, err, want)
			}
		}
		check(true, "2 INC-7 new ; 4 INC-8 over ; 5 INC-9 new ;")
		if len(w.kit.Recorded()) != 0 || w.count(`SELECT COUNT(*) FROM incident_case`) != 0 || len(w.post.to("incident.declared")) != 0 {
			t.Error("a dry run leaves something")
		}
		check(false, "2 INC-7 new I-1; 4 INC-8 over ; 5 INC-9 new I-2;")
		v := w.show("I-1")
		if v.Title != "Invoices, all of them, are wrong" || v.State() != "signal" || v.Source != "import" || fmt.Sprint(v.Suggests) != "[data-loss]" || !v.OnsetFrom.Equal(time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC)) {
			t.Errorf("%+v suggests %v", v.Case, v.Suggests)
		}
		if len(v.Notes) != 1 || !strings.Contains(v.Notes[0].Text, "Owner: joe@example.test") || !strings.Contains(v.Notes[0].Text, "Incident_ID: INC-7") {
			t.Errorf("%+v", v.Notes)
		}
		if n := len(w.post.to("incident.declared")); n != 4 || w.entries("declared") != 2 || w.entries("cases-imported") != 1 {
			t.Errorf("%d letters, %d and %d entries", n, w.entries("declared"), w.entries("cases-imported"))
		}
		w.step("ana", "I-2", "cancel", "it is over")
		check(false, "2 INC-7 known I-1; 4 INC-8 over ; 5 INC-9 known I-2;")
		if w.entries("declared") != 2 || w.entries("cases-imported") != 1 {
			t.Error("it came twice")
		}
		for _, e := range w.kit.Recorded() {
			if strings.Contains(e.Body, "INC-7") || strings.Contains(e.Body, "joe@") || strings.Contains(e.Body, "Invoices") {
				t.Errorf("words in the entry %s", e.Name)
			}
		}
		w.kit.Clock.Advance(15 * time.Minute)
		w.tend()
		if w.entries("deadline-lost") != 1 {
			t.Error("nobody must take what was brought")
		}
		if _, err := w.svc.Bring(t.Context(), w.as("fay"), []byte(sheet), true); fault.KindOf(err) != fault.Denied {
			t.Errorf("the auditor imports: %v", err)
		}
	}, tables...)
}

// A file with one wrong line leaves nothing, and each wrong line is said.
func TestBringNothingHalf(t *testing.T) {
	w := open(t)
	const good = "id,title,status,created_at\n1,Sign-in is slow,open,2026-11-01T10:00:00Z\n"
	many := "id,title\n"
	for i := range 201 {
		many += fmt.Sprintf("%d,Sign-in is slow\n", i)
	}
	for name, c := range map[string]struct{ file, line, says string }{
		"empty":            {"", "line 1", "no header"},
		"only a header":    {"id,title\n", "line 1", "no incident"},
		"no id":            {"title,status\nSign-in is slow,open\n", "line 1", "No column is the id"},
		"no title":         {"id,status\n1,open\n", "line 1", "No column is the title"},
		"an empty id":      {good + ",Sign-in is slow,open,\n", "line 3", "The id is empty"},
		"a short title":    {good + "2,x,open,\n", "line 3", "fewer than 3"},
		"a strange status": {good + "2,Sign-in is slow,maybe,\n", "line 3", `"maybe" is not known`},
		"no time":          {good + "2,Sign-in is slow,open,yesterday\n", "line 3", `"yesterday" is none`},
		"the future":       {good + "2,Sign-in is slow,open,2026-12-24\n", "line 3", "in the future"},
		"twice":            {good + "1,Sign-in is slow,open,\n", "line 3", "stands in line 2 too"},
		"too few columns":  {good + "2,Sign-in is slow\n", "line 3", "not the 4 columns"},
		"an open quote":    {good + "2,\"Sign-in is slow,open,\n", "line 3", "quotation mark"},
		"no text":          {good + "2,Sign-in is \xff,open,\n", "line 3", "no UTF-8"},
		"too many":         {many, "line 202", "more than 200"},
	} {
		_, err := w.bring(c.file, false)
		_, p := fault.PublicOf(err)
		if fault.KindOf(err) != fault.Invalid || len(p.Fields) == 0 || p.Fields[0].Name != c.line || !strings.Contains(p.Fields[0].Problem, c.says) {
			t.Errorf("%s: %v %+v", name, err, p.Fields)
		}
	}
	if _, err := w.bring(strings.Repeat("x", 1<<20+1), false); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("too large: %v", err)
	}
	if n := w.count(`SELECT COUNT(*) FROM incident_case`); n != 0 || len(w.kit.Recorded()) != 0 {
		t.Errorf("%d incidents of wrong files", n)
	}
	if got, err := w.bring("id;title;status\n1;Sign-in, is slow;open\n", true); err != nil || got != "2 1 new ;" {
		t.Errorf("semicolons: %s %v", got, err)
	}
}

// FuzzSheet reads any file: what it takes can be kept as it is, what it refuses is said by line.
func FuzzSheet(f *testing.F) {
	f.Add([]byte(sheet))
	f.Add([]byte("id;title\n1;\"a\nb\"\n"))
	f.Add([]byte("id,title,created_at\n1,abc,2026-01-01T00:00:00.5+02:00\n"))
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := incident.ReadSheet(file, now)
		if err != nil {
			_, p := fault.PublicOf(err)
			if fault.KindOf(err) != fault.TooLarge && (fault.KindOf(err) != fault.Invalid || len(p.Fields) == 0) || len(rows) > 0 {
				t.Fatalf("%v with %d rows", err, len(rows))
			}
			return
		}
		seen := map[string]bool{}
		for _, x := range rows {
			n := utf8.RuneCountInString(x.Title)
			if n < 3 || n > 160 || strings.ContainsFunc(x.Title, unicode.IsControl) || !utf8.ValidString(x.Title) || x.Key == "" || seen[x.Key] || x.Onset.After(now.Add(time.Minute)) || len(x.Note) > 64<<10 || x.Line < 2 {
				t.Fatalf("%+v", x)
			}
			seen[x.Key] = true
		}
	})
}
