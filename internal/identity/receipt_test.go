package identity_test

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/ledger/ledgertest"
)

// A customer takes the receipt of a look from their page, and it is true without a server;
// changed by a byte it is false. Nobody takes another's.
func TestReceiptOfALook(t *testing.T) { // breaks: use.need-to-see
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var j *journal.Journal
		w := with(t, kit, func(d *identity.Deps) {
			var err error
			if j, err = journal.New(journal.Deps{DB: kit.DB, Ring: kit.Ring, Origin: d.Origin, Now: kit.Clock.Now, Log: slog.New(slog.DiscardHandler)}); err != nil {
				t.Fatal(err)
			}
			d.Record, d.Proof = j, j.Export
		})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- j.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })

		_, ana := w.customer("ana")
		_, eva, _ := w.staff("eva", "support")
		eva.api(201, "POST", "support", map[string]any{"person": ana, "ticket": "T-4711", "reason": "the invoice of May does not open"})
		b := w.browser()
		b.signIn(ana, good)
		look := w.one(`SELECT id FROM identity_support`)
		for range 2000 { // until the entry has its number
			if ls, err := w.svc.LooksOf(t.Context(), operator, ana); err != nil || ls[0].Entry > 0 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		a, err := b.Do(t.Context(), "POST", "/-/api/v1/account/looks/"+look+"/receipt", "")
		if err != nil || a.Status != 200 {
			t.Fatalf("%d %.300s %v", a.Status, a.Body, err)
		}
		file := []byte(a.Body)
		r := verify.Bundle(bytes.NewReader(file), int64(len(file)), verify.Options{})
		if r.Code != verify.True || r.Leaves < 2 || r.Opened < 1 {
			t.Fatalf("%+v", r)
		}
		z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, f := range z.File {
			rc, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(&all, rc); err != nil {
				t.Fatal(err)
			}
			rc.Close()
		}
		for _, word := range []string{"identity.impersonated", "T-4711", "the invoice of May does not open", "until"} {
			if !strings.Contains(all.String(), word) {
				t.Errorf("the receipt does not say %q", word)
			}
		}
		if strings.Contains(all.String(), "identity.signed-in=") || strings.Contains(all.String(), `"identity.signed-in":`) {
			t.Error("the receipt says how much others did")
		}
		i := bytes.Index(file, []byte("T-4711"))
		forged := bytes.Clone(file)
		forged[i+5] = '2' // T-4712
		if r := verify.Bundle(bytes.NewReader(forged), int64(len(forged)), verify.Options{}); r.Code == verify.True {
			t.Error("a forged ticket is true")
		}
		if looks, err := w.svc.LooksOf(t.Context(), operator, ana); err != nil || len(looks) != 1 || looks[0].Reason == "" || looks[0].Entry == 0 {
			t.Errorf("%+v %v", looks, err)
		}
		other := w.browser()
		_, ben := w.customer("ben")
		other.signIn(ben, good)
		other.api(404, "POST", "account/looks/"+look+"/receipt", nil)
	}, jobs.Schema(), journal.Schema(), identity.Schema())
}

// The page offers the receipt where the entry has its number, as a form.
func TestReceiptPage(t *testing.T) {
	var got journal.Evidence
	s := openSite(t, func(d *identity.Deps) {
		d.Proof = func(_ context.Context, _ actor.Actor, ev journal.Evidence, w io.Writer) error {
			got = ev
			_, err := io.WriteString(w, "a zip")
			return err
		}
	})
	_, to := s.customer("ana")
	r := s.staffReader("eva", "Eva Sommer", "/-/support?person="+url.QueryEscape(to), "support")
	r.press("Begin to look", "person", to, "ticket", "T-1", "reason", why)
	c := s.reader()
	c.open("/-/sign-in?to=/-/account")
	c.press("Sign in", "email", to, "password", good).want(t, 200, "Eva Sommer of our staff sees what you see")
	id := s.one(`SELECT id FROM identity_support`)
	if regexp.MustCompile(`Receipt`).MatchString(c.open("/-/account/data").want(t, 200, "soon").body) {
		t.Error("offers a receipt of what has no number yet")
	}
	c.do(http.MethodPost, "/-/account/looks", url.Values{"look": {id}}, nil).want(t, 409, "no number in the journal yet")
	s.record.entries = []journal.Entry{{N: 12, Act: "identity.impersonated", Object: "support/" + id, Subject: s.one(`SELECT person FROM identity_support`)}}
	c.open("/-/account/data").want(t, 200, "writ verify FILE")
	file := c.press("Receipt of the look for ticket T-1")
	if file.status != 200 || file.body != "a zip" || file.header.Get("Content-Type") != "application/zip" || got.Query.Object != "support/"+id || got.Closed {
		t.Errorf("%d %q %v %+v", file.status, file.body, file.header, got)
	}
}
