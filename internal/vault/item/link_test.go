package item_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/canary"
	"writ/internal/envelope"
	"writ/internal/keyring"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// page calls an address as a browser does.
func (w *world) page(v *canary.Visitor, method, address string) canary.Answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(""))
	good(w.t, err)
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := v.Send(r)
	good(w.t, err)
	return a
}

// breaks: vault.company-creds, vault.access-logged
func TestOneTimeLink(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx, ana := t.Context(), w.as("ana")
		d := login()
		d.Sensitive = true
		i := w.make("ana", d)
		for _, c := range []struct {
			fields []string
			span   time.Duration
			why    string
			code   string
		}{{[]string{"password"}, 25 * time.Hour, why, "link_time"}, {[]string{"password"}, time.Hour, "", "reason_missing"}, {nil, time.Hour, why, "field_unknown"}, {[]string{"else"}, time.Hour, why, "field_unknown"}} {
			_, _, err := w.svc.MakeLink(ctx, ana, i.ID, c.fields, c.span, c.why)
			coded(t, err, c.code)
		}
		l, address, err := w.svc.MakeLink(ctx, ana, i.ID, []string{"password", "username"}, time.Hour, why)
		good(t, err)
		scanner, guest := w.door.Visitor(), w.door.Visitor()
		defer scanner.Close()
		defer guest.Close()
		// A mail scanner follows links; it presses no buttons.
		for range 3 {
			a := w.page(scanner, http.MethodGet, address)
			if a.Status != 200 || strings.Contains(a.Body, thePassword) || strings.Contains(a.Body, i.Title) || !strings.Contains(a.Body, "<button") || a.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("the page shows %d %s", a.Status, a.Body)
			}
		}
		if len(kit.Recorded("vault.link-opened")) != 0 {
			t.Fatal("looking at a link opened it")
		}
		a := w.page(guest, http.MethodPost, address)
		if a.Status != 200 || !strings.Contains(a.Body, thePassword) || !strings.Contains(a.Body, "treasury") || strings.Contains(a.Body, theSeed) || strings.Contains(a.Body, "call Ilse") || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("opened: %d %s", a.Status, a.Body)
		}
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			if a := w.page(scanner, method, address); a.Status != http.StatusGone || strings.Contains(a.Body, thePassword) || !strings.Contains(a.Body, "opened already") {
				t.Errorf("%s again: %d %s", method, a.Status, a.Body)
			}
		}
		s, err := w.svc.Show(ctx, ana, i.ID)
		good(t, err)
		if len(s.Links) != 1 || s.Links[0].ID != l.ID || s.Links[0].Again != 1 || !strings.HasPrefix(s.Links[0].Opener, "127.77.") || s.Links[0].Opened.IsZero() {
			t.Errorf("the owner sees %+v", s.Links)
		}
		if es := kit.Recorded("vault.link-opened"); len(es) != 1 || !strings.HasPrefix(es[0].Fields["address"].(string), "127.77.") {
			t.Errorf("entries: %+v", es)
		}
		if n := len(kit.Recorded("vault.link-refused")); n != 1 { // looking counts nothing
			t.Errorf("%d refused openings are recorded", n)
		}
	}, tables...)
}

// sealing calls a function before an opener's address is sealed: when a link's fields were read,
// and nothing is written yet.
type sealing struct {
	item.Keys
	then func()
}

func (k *sealing) Ensure(ctx context.Context, s keyring.Subject) (envelope.Key, error) {
	if s.Kind == keyring.Strangers(time.Time{}).Kind && k.then != nil {
		then := k.then
		k.then = nil
		then()
	}
	return k.Keys.Ensure(ctx, s)
}

// What a link shows is what its maker may show at that moment, of the item as it is.
//
// breaks: vault.company-creds
func TestLinkAtItsMoment(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		keys := &sealing{Keys: w.svc.Keys}
		w.svc.Keys = keys
		ctx, ana := t.Context(), w.as("ana")
		i := w.make("ana", login())
		w.share("ana", i.ID, "dev", item.Editor)
		_, address, err := w.svc.MakeLink(ctx, w.as("dev"), i.ID, []string{"password"}, time.Hour, "")
		good(t, err)
		token := text(address[strings.LastIndexByte(address, '/')+1:])
		refused := func(code string) {
			t.Helper()
			o, err := w.svc.OpenLink(ctx, w.as("suna"), token, "192.0.2.1")
			coded(t, err, code)
			if len(o.Fields) > 0 {
				t.Error("the values are given")
			}
		}
		out := func() { _, err := w.svc.CheckOut(ctx, ana, i.ID, why, time.Hour); good(t, err) }
		back := func() { good(t, w.svc.CheckIn(ctx, ana, i.ID)) }
		out()
		guest := w.door.Visitor()
		defer guest.Close()
		if a := w.page(guest, http.MethodGet, address); a.Status != http.StatusConflict || strings.Contains(a.Body, "Show it") {
			t.Errorf("its page: %d %s", a.Status, a.Body)
		}
		refused("link_out")
		back()
		keys.then = out
		refused("link_out")
		back()
		keys.then = func() { _, err := w.svc.Unshare(ctx, ana, i.ID, "dev"); good(t, err) }
		refused("link_dead")
		w.share("ana", i.ID, "dev", item.Viewer)
		refused("link_dead")
		w.share("ana", i.ID, "dev", item.Editor)
		keys.then = func() {
			d := login()
			d.Values = map[string]secret.Text{"password": text("another plum 99")}
			_, err := w.svc.Edit(ctx, ana, i.ID, d)
			good(t, err)
		}
		refused("item_changed")
		if n := len(kit.Recorded("vault.link-opened")); n != 0 {
			t.Errorf("%d openings are recorded", n)
		}
		o, err := w.svc.OpenLink(ctx, w.as("suna"), token, "192.0.2.1") // nothing of that spent it
		if err != nil || o.Fields[0].Value != "another plum 99" {
			t.Errorf("opened: %+v %v", o, err)
		}
	}, tables...)
}

// A flood of addresses that nobody made, or of one that was opened, is a few entries and a count.
func TestFloodOfLinks(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	i := w.make("ana", login())
	_, address, err := w.svc.MakeLink(ctx, w.as("ana"), i.ID, []string{"password"}, time.Hour, "")
	good(t, err)
	guest := w.door.Visitor()
	defer guest.Close()
	w.tend() // a minute begins
	w.page(guest, http.MethodPost, address)
	for n := range 25 {
		w.page(guest, []string{http.MethodGet, http.MethodPost}[n%2], w.srv.URL+"/-/once/made-up")
		w.page(guest, http.MethodGet, address)
		w.page(guest, http.MethodPost, address)
	}
	refused := func() (one, many int) {
		return len(w.kit.Recorded("vault.link-refused")), len(w.kit.Recorded("vault.links-refused"))
	}
	if one, many := refused(); one != 20 || many != 0 {
		t.Errorf("%d entries, %d of counts", one, many)
	}
	w.tend()
	if _, many := refused(); many != 0 {
		t.Error("counted before the minute is over")
	}
	w.kit.Clock.Advance(time.Minute)
	w.tend()
	if es := w.kit.Recorded("vault.links-refused"); len(es) != 2 || !strings.Contains(es[0].Body+es[1].Body, "15") || !strings.Contains(es[0].Body, "unknown") && !strings.Contains(es[1].Body, "unknown") {
		t.Errorf("entries: %+v", es)
	}
	w.page(guest, http.MethodGet, w.srv.URL+"/-/once/made-up") // another minute
	if one, _ := refused(); one != 21 {
		t.Errorf("%d entries", one)
	}
}

func TestDeadLinks(t *testing.T) {
	w := open(t)
	ctx := t.Context()
	i := w.make("ana", login())
	w.share("ana", i.ID, "dev", item.Editor)
	link := func() (item.Link, secret.Text) {
		l, address, err := w.svc.MakeLink(ctx, w.as("dev"), i.ID, []string{"password"}, time.Hour, "")
		good(t, err)
		return l, secret.NewText(address[strings.LastIndexByte(address, '/')+1:])
	}
	dead := func(what string, token secret.Text) {
		t.Helper()
		if _, err := w.svc.OpenLink(ctx, w.as("suna"), token, "192.0.2.1"); err == nil {
			t.Errorf("a link was opened: %s", what)
		} else {
			coded(t, err, "link_dead")
		}
	}
	dead("unknown", secret.RandomText(32))
	l, token := link()
	good(t, w.svc.EndLink(ctx, w.as("ana"), i.ID, l.ID))
	dead("ended", token)
	coded(t, w.svc.EndLink(ctx, w.as("ana"), i.ID, l.ID), "link_unknown")
	_, token = link()
	w.kit.Clock.Advance(time.Hour)
	dead("its time is over", token)
	_, token = link()
	_, err := w.svc.Share(ctx, w.as("ana"), i.ID, "dev", item.Viewer)
	good(t, err)
	dead("its maker may not make links any more", token)
	w.share("ana", i.ID, "dev", item.Editor)
	_, token = link()
	good(t, w.svc.Delete(ctx, w.as("ana"), i.ID))
	dead("the item is deleted", token)
	_, err = w.svc.Undelete(ctx, w.as("ana"), i.ID)
	good(t, err)
	dead("the item was deleted in between", token)
	_, token = link()
	w.staff.leaves("dev")
	dead("its maker left", token)
}
