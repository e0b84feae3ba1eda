package incident_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// A file lies sealed beside its hash in the record, is given to who may act and to nobody else,
// which is recorded, and as something that no browser shows; with the incident's key it is gone.
func TestFilesOfAnIncident(t *testing.T) { // breaks: inc.process
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		c := w.declared()
		body := []byte("<html><script>alert('the invoices of Orchard')</script>")
		w.ok(w.svc.Attach(t.Context(), w.as("dev"), c.Ref(), `C:\Users\dev\invoice.png`, body))
		v := w.show(c.Ref())
		h := sha256.Sum256(body)
		if len(v.Files) != 1 || v.Files[0].Name != "invoice.png" || v.Files[0].Kind != "text/html; charset=utf-8" || v.Files[0].Hash != hex.EncodeToString(h[:]) || v.Files[0].Size != int64(len(body)) || v.Files[0].By != "Name of dev" {
			t.Fatalf("%+v", v.Files)
		}
		if e := kit.Recorded("incident.file-attached"); len(e) != 1 || e[0].Fields["sha256"] != v.Files[0].Hash {
			t.Errorf("%+v", e)
		}
		var name, box []byte
		if err := ledger.One(t.Context(), kit.DB, `SELECT name, box FROM incident_file`, []any{&name, &box}); err != nil || bytes.Contains(box, []byte("invoices")) || bytes.Contains(name, []byte("invoice")) {
			t.Errorf("it lies in clear: %v", err)
		}
		id := v.Files[0].ID
		f, got, err := w.svc.Fetch(t.Context(), w.as("eve"), c.Ref(), id)
		if err != nil || !bytes.Equal(got.Reveal(), body) || w.entries("file-fetched") != 1 {
			t.Fatalf("%v", err)
		}
		a := httptest.NewRecorder()
		if err := incident.WriteFile(a, f, got); err != nil || a.Header().Get("Content-Type") != "application/octet-stream" || a.Header().Get("Content-Disposition") != "attachment; filename=invoice.png" || !strings.Contains(a.Header().Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%v %v", a.Header(), err)
		}
		if _, _, err := w.svc.Fetch(t.Context(), w.as("fay"), c.Ref(), id); fault.KindOf(err) != fault.Denied {
			t.Errorf("an auditor takes it: %v", err)
		}
		if seen, err := w.svc.Show(t.Context(), w.as("fay"), c.Ref()); err != nil || len(seen.Files) != 0 {
			t.Errorf("an auditor sees it: %v", err)
		}
		other := w.declared()
		if _, _, err := w.svc.Fetch(t.Context(), w.as("dev"), other.Ref(), id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("from another incident: %v", err)
		}
		if _, err := kit.Ring.Erase(t.Context(), keyring.Subject{Kind: "incident", ID: c.ID}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.svc.Fetch(t.Context(), w.as("dev"), c.Ref(), id); fault.KindOf(err) != fault.Gone {
			t.Errorf("after its key is gone: %v", err)
		}
	}, tables...)
}

// What is no file, or too much, is refused, and nothing of it is kept.
func TestFilesAreBounded(t *testing.T) { // breaks: inc.process
	w := open(t)
	c := w.declared()
	for what, x := range map[string]struct {
		name string
		body []byte
		kind fault.Kind
	}{"empty": {"a.txt", nil, fault.Invalid}, "no name": {"../", []byte("x"), fault.Invalid}, "a name that hides": {"a\u202etxt.exe", []byte("x"), fault.Invalid}, "too large": {"a.bin", make([]byte, 25<<20+1), fault.TooLarge}} {
		if _, err := w.svc.Attach(t.Context(), w.as("dev"), c.Ref(), x.name, x.body); fault.KindOf(err) != x.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.svc.Attach(t.Context(), w.as("fay"), c.Ref(), "a.txt", []byte("x")); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor: %v", err)
	}
	for range 100 {
		w.ok(w.svc.Attach(t.Context(), w.as("dev"), c.Ref(), "a.txt", []byte("x")))
	}
	if _, err := w.svc.Attach(t.Context(), w.as("dev"), c.Ref(), "a.txt", []byte("x")); fault.KindOf(err) != fault.Limited || w.count(`SELECT COUNT(*) FROM incident_file`) != 100 {
		t.Errorf("one too many: %v", err)
	}
}
