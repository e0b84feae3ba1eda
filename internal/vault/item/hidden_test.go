package item_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/ledger/ledgertest"
	"writ/internal/vault/item"
)

// What is hidden is read by a reveal alone: not by saying that it is plain, and not by going
// back to a version from before it was hidden.
//
// breaks: vault.access-logged, vault.company-creds
func TestHiddenStaysHidden(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		i := w.make("ana", login()) // own-1 is a hidden PIN, own-2 a plain branch
		d := login()
		d.Values, d.Custom = nil, []item.Custom{{ID: "own-1", Label: "PIN"}, {ID: "own-2", Label: "Branch", Secret: true}}
		_, err := w.svc.Edit(ctx, ana, i.ID, d)
		coded(t, err, "field_hidden")
		d.Custom[0].Secret = true
		_, err = w.svc.Edit(ctx, ana, i.ID, d)
		good(t, err)
		d.Folder = "Else"
		_, err = w.svc.Edit(ctx, ana, i.ID, d)
		good(t, err)
		i, err = w.svc.Restore(ctx, ana, i.ID, 1)
		good(t, err)
		if f, ok := i.Field("own-2"); !ok || !f.Secret || f.Value != "" {
			t.Errorf("a former version shows what was hidden since: %+v", f)
		}
		if v, err := w.svc.Reveal(ctx, ana, i.ID, "own-2", ""); err != nil || v.Text.Reveal() != "Harbour" {
			t.Errorf("it is lost: %v", err)
		}
		d.Custom = []item.Custom{{ID: "own-1", Label: "PIN", Value: ptr(text("none"))}}
		i, err = w.svc.Edit(ctx, ana, i.ID, d)
		good(t, err)
		if f, _ := i.Field("own-1"); f.Secret || f.Value != "none" {
			t.Errorf("with another value: %+v", f)
		}
	}, tables...)
}

// The id of a further field is the server's: one that a client makes up is not kept, and that
// of a field that is gone is not given to another.
func TestFieldIDs(t *testing.T) {
	w := open(t)
	ctx, ana := t.Context(), w.as("ana")
	v := func(s string) *item.Custom { return &item.Custom{ID: s, Label: "More", Value: ptr(text("x"))} }
	note := item.Draft{Kind: "note", Title: "Note", Custom: []item.Custom{*v("totp"), *v("text"), *v("own-7"), *v(strings.Repeat("y", 1<<16))}}
	i := w.make("ana", note)
	var got []string
	for _, f := range i.Fields {
		got = append(got, f.ID)
	}
	if strings.Join(got, " ") != "own-1 own-2 own-3 own-4" {
		t.Errorf("ids: %.200v", got)
	}
	note.Custom = []item.Custom{{ID: "totp", Label: "More", Value: ptr(text("4111 1111 1111 1111"))}}
	_, err := w.svc.Create(ctx, ana, item.NewItem{Draft: note})
	coded(t, err, "card_number")
	_, address, err := w.svc.MakeLink(ctx, ana, i.ID, []string{"own-1", "own-2"}, time.Hour, "")
	good(t, err)
	note.Custom = []item.Custom{{ID: "own-2", Label: "More"}}
	_, err = w.svc.Edit(ctx, ana, i.ID, note)
	good(t, err)
	note.Custom = append(note.Custom, item.Custom{ID: "own-1", Label: "Else", Value: ptr(text("another thing"))})
	i, err = w.svc.Edit(ctx, ana, i.ID, note)
	good(t, err)
	if _, ok := i.Field("own-5"); !ok {
		t.Errorf("fields: %+v", i.Fields)
	}
	o, err := w.svc.OpenLink(ctx, w.as("suna"), text(address[strings.LastIndexByte(address, '/')+1:]), "192.0.2.1")
	if err != nil || len(o.Fields) != 1 {
		t.Errorf("the link shows %+v %v", o.Fields, err)
	}
}

// A change says of which version it is; whoever says none changes whichever there is.
func TestEditIsOfAVersion(t *testing.T) {
	w := open(t)
	i := w.make("ana", login())
	v := w.door.Visitor()
	defer v.Close()
	put := func(body string, want int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.srv.URL+"/-/api/v1/vault/items/"+i.ID, strings.NewReader(body))
		good(t, err)
		r.Header.Set("Test-Who", "ana")
		r.Header.Set("Content-Type", "application/json")
		if a, err := v.Send(r); err != nil || a.Status != want || want == http.StatusConflict && !strings.Contains(a.Body, "item_changed") {
			t.Errorf("%s: %d %s %v", body, a.Status, a.Body, err)
		}
	}
	put(`{"title":"One","version":1}`, http.StatusOK)
	put(`{"title":"Two","version":1}`, http.StatusConflict)
	put(`{"title":"Two","version":3}`, http.StatusConflict)
	put(`{"title":"Two","version":2}`, http.StatusOK)
	put(`{"title":"Three"}`, http.StatusOK)
}
