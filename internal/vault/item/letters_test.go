package item_test

import (
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/ledger/ledgertest"
	"writ/internal/vault/item"
)

// letter is a message in the mailbox.
type letter struct{ to, subject, text, raw string }

// letters sends what waits, and empties the mailbox: letters by address.
func (w *world) letters() []letter {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.queue.Run(ctx) }()
	for {
		q, err := w.queue.Queue(w.t.Context())
		good(w.t, err)
		if len(q) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	good(w.t, <-done)
	names, err := filepath.Glob(filepath.Join(w.mail, "*.eml"))
	good(w.t, err)
	var out []letter
	for _, n := range names {
		raw, err := os.ReadFile(n)
		good(w.t, err)
		good(w.t, os.Remove(n))
		m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
		good(w.t, err)
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		good(w.t, err)
		p, err := multipart.NewReader(m.Body, params["boundary"]).NextPart()
		good(w.t, err)
		b, err := io.ReadAll(p)
		good(w.t, err)
		out = append(out, letter{to: strings.Trim(m.Header.Get("To"), "<>"), subject: m.Header.Get("Subject"), text: strings.ReplaceAll(string(b), "\r\n", "\n"), raw: string(raw)})
	}
	slices.SortFunc(out, func(a, b letter) int { return strings.Compare(a.to+a.subject, b.to+b.subject) })
	return out
}

// told fails unless the mailbox holds one letter to each of these, and gives the first.
func (w *world) told(to ...string) letter {
	w.t.Helper()
	var got []string
	ls := w.letters()
	for _, l := range ls {
		name, _, _ := strings.Cut(l.to, "@")
		got = append(got, name)
		for _, secret := range []string{thePassword, theSeed, "Bank portal", "Elm Bank", "treasury"} {
			if strings.Contains(l.raw, secret) || strings.Contains(l.text, secret) {
				w.t.Errorf("a letter holds %q:\n%s", secret, l.text)
			}
		}
	}
	if !slices.Equal(got, to) {
		w.t.Fatalf("letters to %v, want %v", got, to)
	}
	if len(ls) == 0 {
		return letter{}
	}
	return ls[0]
}

// holds fails unless a letter says all of these.
func (l letter) holds(t testing.TB, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(l.subject+"\n"+l.text, w) {
			t.Errorf("the letter lacks %q:\n%s\n\n%s", w, l.subject, l.text)
		}
	}
}

// Whoever made a link and whoever owns its item learn that it was opened, and that somebody
// came second; further tries are counted only.
//
// breaks: vault.company-creds
func TestLettersOfLinks(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		i := w.make("ana", login())
		w.share("ana", i.ID, "dev", item.Editor)
		w.share("ana", i.ID, "eve", item.Editor)
		w.share("ana", i.ID, "ben", item.Owner)
		_, address, err := w.svc.MakeLink(ctx, w.as("dev"), i.ID, []string{"password", "notes"}, time.Hour, "")
		good(t, err)
		token := text(address[strings.LastIndexByte(address, '/')+1:])
		guest := w.door.Visitor()
		defer guest.Close()
		w.page(guest, "GET", address)
		w.told()
		_, err = w.svc.OpenLink(ctx, w.as("suna"), token, "192.0.2.7")
		good(t, err)
		l := w.told("ana", "ben", "dev")
		l.holds(t, "A one-time link was opened", "Name of dev made", "It showed 2 fields", "from 192.0.2.7", w.srv.URL+"/-/console/items/"+i.ID, "Quorvex")
		for n := range 3 {
			if a := w.page(guest, "POST", address); a.Status != 410 {
				t.Errorf("opened again: %d", a.Status)
			}
			if n > 0 {
				w.told()
				continue
			}
			w.told("ana", "ben", "dev").holds(t, "A one-time link was tried again", "from 127.77.", "somebody else has read it before them", w.srv.URL+"/-/console/items/"+i.ID)
		}
		// Who left is told nothing, and the maker of a link may own the item too.
		w.staff.leaves("ben")
		_, address, err = w.svc.MakeLink(ctx, w.as("ana"), i.ID, []string{"password"}, time.Hour, "")
		good(t, err)
		_, err = w.svc.OpenLink(ctx, w.as("suna"), text(address[strings.LastIndexByte(address, '/')+1:]), "192.0.2.7")
		good(t, err)
		w.told("ana").holds(t, "1 field of an item")
	}, tables...)
}

// Those who stay learn once, and only then, what somebody who left leaves to them.
//
// breaks: vault.company-creds
func TestLettersOfLeavers(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		ctx := t.Context()
		shared, alone, critical, other := w.make("eve", login()), w.make("dev", login()), w.make("eve", login()), w.make("ana", login())
		w.share("eve", shared.ID, "dev", item.Viewer)
		w.share("eve", critical.ID, "dev", item.Viewer)
		d := login()
		d.Critical = true
		_, err := w.svc.Edit(ctx, w.as("eve"), critical.ID, d)
		good(t, err)
		_, err = w.svc.Reveal(ctx, w.as("dev"), shared.ID, "password", why)
		good(t, err)
		w.tend()
		w.told()

		w.staff.leaves("dev")
		w.tend()
		ls := w.letters()
		var to []string
		for _, l := range ls {
			to = append(to, l.to)
		}
		if !slices.Equal(to, []string{"ana@example.test", "ben@example.test", "eve@example.test"}) {
			t.Fatalf("letters to %v", to)
		}
		ls[0].holds(t, "Name of dev has left: what is yours to do", "1 item has no owner who is here. Name one.", "1 item was shared with them by name.", w.srv.URL+"/-/console/items/left?who=dev")
		ls[2].holds(t, "1 critical item is held by fewer", "1 secret that they saw is still the same", "2 items were shared with them by name.")
		if strings.Contains(ls[2].text, "no owner") || strings.Contains(ls[0].text, "critical") {
			t.Errorf("told of what is another's:\n%s\n%s", ls[0].text, ls[2].text)
		}
		if es := kit.Recorded("vault.holder-left"); len(es) != 1 || es[0].Fields["person"] != "dev" || fmt.Sprintf("%v %v", es[0].Fields["ownerless"], es[0].Fields["items"]) != "1 3" {
			t.Errorf("entries: %+v", es)
		}
		w.tend()
		w.told()

		// What the letters' link lists, for whom it is theirs.
		left := func(who string) (out []string) {
			t.Helper()
			l, err := w.svc.Left(ctx, w.as(who), "dev")
			good(t, err)
			for _, x := range l {
				s := map[string]string{shared.ID: "shared", alone.ID: "alone", critical.ID: "critical", other.ID: "other"}[x.ID] + ":" + strings.Join(x.Saw, ",")
				if x.Ownerless {
					s += " ownerless"
				}
				if x.Few {
					s += " few"
				}
				out = append(out, s)
			}
			slices.Sort(out)
			return out
		}
		if got := left("eve"); !slices.Equal(got, []string{"shared:Password"}) {
			t.Errorf("eve has to do %v", got)
		}
		if got := left("ana"); len(got) != 1 || !strings.HasPrefix(got[0], "alone:") || !strings.HasSuffix(got[0], "ownerless") || !strings.Contains(got[0], "Password") {
			t.Errorf("ana has to do %v", got)
		}
		if got := left("suna"); len(got) != 0 {
			t.Errorf("suna has to do %v", got)
		}
		d = login()
		d.Values["password"] = text("another plum 99")
		_, err = w.svc.Edit(ctx, w.as("eve"), shared.ID, d)
		good(t, err)
		if got := left("eve"); len(got) != 0 {
			t.Errorf("after the password was replaced eve has to do %v", got)
		}

		// Somebody who only saw, as their role may, and holds nothing by name.
		w.share("eve", shared.ID, "role:support", item.Viewer)
		_, err = w.svc.Reveal(ctx, w.as("suna"), shared.ID, "password", why)
		good(t, err)
		w.staff.leaves("suna")
		w.tend()
		w.told("eve").holds(t, "1 secret that they saw is still the same")
		// Who comes back and leaves again is told of again.
		w.staff.back(item.Member{ID: "dev", Name: "dev", Handle: "dev", Roles: []string{"engineer"}})
		w.tend()
		w.told()
		if n := len(kit.Recorded("vault.holder-returned")); n != 1 {
			t.Errorf("%d returns", n)
		}
		w.staff.leaves("dev")
		w.tend()
		w.told("ana", "ben")
	}, tables...)
}
