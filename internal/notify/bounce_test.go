package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

// returned is a notice as mail servers write it; id is in the envelope or in the letter.
func returned(envelope, letter, to, action, status string) string {
	if envelope != "" {
		envelope = "Original-Envelope-Id: " + envelope + "\r\n"
	}
	return strings.ReplaceAll(`From: MAILER-DAEMON@mx.example.test (Mail Delivery System)
To: writ@example.test
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B/1"

This is a MIME-encapsulated message.

--B/1
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B/1
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.test
X-Queue-ID: 4Zx1
Arrival-Date: Mon,  2 Nov 2026 10:00:00 +0000
`, "\n", "\r\n") + envelope + fmt.Sprintf("\r\nFinal-Recipient: rfc822; %s\r\nAction: %s\r\nStatus: %s\r\nRemote-MTA: dns; far.example.test\r\nDiagnostic-Code: smtp; 550 %s no such box here,\r\n    ask somebody else\r\n\r\n", to, action, status, status) +
		"--B/1\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: writ@example.test\r\nMessage-ID: <" + letter + ">\r\nSubject: x\r\n\r\n--B/1--\r\n"
}

var postmaster = actor.Actor{Kind: actor.Operator, ID: "0", Via: "socket"}

func (w *world) bounced(raw string) error {
	_, err := w.s.Bounce(w.t.Context(), postmaster, strings.NewReader(raw))
	return err
}

// A letter that comes back for good is bounced, its try shows who refused it and in which
// words, and its address counts as unreachable until somebody says otherwise.
func TestHardBounce(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		w.queue(letterTo("ana"))
		d := w.until("letter/ana", notify.Accepted, 0)
		must(w.t, w.bounced(returned(d.ID, "", "Ana@Example.test", "failed", "5.1.1")))
		must(w.t, w.bounced(returned("", d.ID+"@writ", "ana@example.test", "failed", "5.1.1"))) // again, by the id of the letter
		d, err := w.s.Delivery(w.t.Context(), d.ID)
		must(w.t, err)
		if d.State != notify.Bounced || d.Code != "5.1.1" || len(d.Attempts) != 2 {
			w.t.Fatalf("%+v", d)
		}
		if a := d.Attempts[1]; a.Outcome != notify.Bounced || a.Peer != "far.example.test" || a.Enhanced != "5.1.1" || a.Text != "550 5.1.1 no such box here, ask somebody else" {
			w.t.Errorf("%+v", a)
		}
		if es := w.Recorded("notify.bounced"); len(es) != 1 || es[0].Fields["hard"] != true || es[0].Fields["on"] != "letter/ana" {
			w.t.Errorf("%+v", es)
		}
		dead, err := w.s.Unreachable(w.t.Context())
		if err != nil || len(dead) != 1 || !strings.EqualFold(dead[0].Address, "ana@example.test") || w.reaches("ANA@example.test") || !w.reaches("ben@example.test") || w.raw("ana@example") {
			w.t.Fatalf("%+v: %v", dead, err)
		}
		if fs, err := w.s.Failing(w.t.Context(), w.Clock.Now().Add(-time.Hour)); err != nil || fs[notify.Mail] != 1 {
			w.t.Errorf("failing: %v %v", fs, err)
		}
		must(w.t, w.s.Reachable(w.t.Context(), postmaster, dead[0].Mark))
		if !w.reaches("ana@example.test") || len(w.Recorded("notify.address-restored")) != 1 {
			w.t.Error("somebody said that letters reach it, and it counts as unreachable")
		}
		if err := w.s.Reachable(w.t.Context(), postmaster, dead[0].Mark); !errors.Is(err, fault.NotFound) {
			w.t.Errorf("twice: %v", err)
		}
	})
}

func (w *world) reaches(address string) bool {
	w.t.Helper()
	ok, err := w.s.Reaches(w.t.Context(), address)
	must(w.t, err)
	return ok
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Letters that may arrive another day make an address unreachable on the third day that they
// come back, not the third letter; one that arrives makes all of it forgotten.
func TestSoftBounces(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	n := 0
	full := func(action, status string) {
		t.Helper()
		n++
		m := letterTo("ana")
		m.Key, m.About = fmt.Sprint(n), fmt.Sprintf("letter/%d", n)
		w.queue(m)
		must(t, w.bounced(returned(w.until(m.About, notify.Accepted, 0).ID, "", "ana@example.test", action, status)))
	}
	for range 4 {
		full("failed", "5.2.2")
	}
	w.Clock.Advance(24 * time.Hour)
	full("failed", "4.4.7")
	if !w.reaches("ana@example.test") {
		t.Fatal("unreachable after two days")
	}
	full("delivered", "2.0.0")
	if d, err := w.s.Deliveries(t.Context(), notify.Query{About: fmt.Sprintf("letter/%d", n)}); err != nil || d[0].State != notify.Delivered || len(w.Recorded("notify.delivered")) != 1 {
		t.Errorf("%+v: %v", d, err)
	}
	for range 3 {
		if !w.reaches("ana@example.test") {
			t.Fatal("what was forgotten counts")
		}
		w.Clock.Advance(24 * time.Hour)
		full("failed", "5.2.2")
	}
	if w.reaches("ana@example.test") {
		t.Error("three days in a row, and letters reach it")
	}
	full("delayed", "4.4.1")
	if d, err := w.s.Deliveries(t.Context(), notify.Query{About: fmt.Sprintf("letter/%d", n)}); err != nil || d[0].State != notify.Accepted {
		t.Errorf("a letter that is late: %+v: %v", d, err)
	}
}

// A host that refuses an address at its door says the same as one that sends a notice.
func TestRefusedAtTheDoor(t *testing.T) {
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := &host{got: map[string]int{}}
	l := listenAt(t, "127.0.0.1:0")
	h.serve(t, l)
	w.s.Mail = mailer(t, w.Kit, l.Addr().String(), 0)
	w.queue(letterTo("refused"), letterTo("fine"))
	w.until("letter/refused", notify.Rejected, 0)
	d := w.until("letter/fine", notify.Accepted, 0)
	if w.reaches("refused@example.test") || !w.reaches("fine@example.test") {
		t.Error("the address that was refused does not count as unreachable, or the other does")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if all := strings.Join(h.env, "\n"); !strings.Contains(all, "HDRS "+d.ID) || strings.Count(all, "[DELAY FAILURE]")+strings.Count(all, "[FAILURE DELAY]") != 2 {
		t.Errorf("no notices were asked for: %s", all)
	}
}

// What anybody may write says nothing of others' letters, and is refused; a flood of it does
// not write the journal.
func TestStrayReports(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	w.queue(letterTo("ana"))
	d := w.until("letter/ana", notify.Accepted, 0)
	for name, raw := range map[string]string{
		"another receiver": returned(d.ID, "", "ben@example.test", "failed", "5.1.1"),
		"no letter":        returned("0000", "", "ana@example.test", "failed", "5.1.1"),
		"nothing":          returned("", "", "ana@example.test", "failed", "5.1.1"),
		"prose":            "From: a@example.test\r\n\r\nYour letter " + d.ID + " did not arrive.\r\n",
		"no status":        returned(d.ID, "", "ana@example.test", "failed", "five"),
		"no action":        returned(d.ID, "", "ana@example.test", "eaten", "5.1.1"),
		"too long":         returned(d.ID, "", "ana@example.test", "failed", "5.1.1") + strings.Repeat("x", 1<<20),
		"cut":              returned(d.ID, "", "ana@example.test", "failed", "5.1.1")[:500],
		"empty":            "",
	} {
		if err := w.bounced(raw); !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.NotFound) {
			t.Errorf("%s was taken: %v", name, err)
		}
	}
	if n := len(w.Recorded("notify.report-refused")); n != 9 {
		t.Errorf("%d of 9 refusals are entries", n)
	}
	for range 100 {
		_ = w.bounced("")
	}
	if err := w.bounced(""); !errors.Is(err, fault.Limited) || len(w.Recorded("notify.report-refused")) != 60 {
		t.Errorf("a flood: %v, %d entries", err, len(w.Recorded("notify.report-refused")))
	}
	if now, err := w.s.Delivery(t.Context(), d.ID); err != nil || now.State != notify.Accepted || !w.reaches("ana@example.test") {
		t.Errorf("%+v: %v", now, err)
	}
	w.Clock.Advance(time.Hour)
	must(t, w.bounced(returned(d.ID, "", "ana@example.test", "failed", "5.1.1")))
}

// keeper keeps one letter.
type keeper struct{ got []notify.Report }

func (k *keeper) Returned(_ context.Context, _ actor.Actor, r notify.Report) (bool, error) {
	if r.Letter != "theirs" || r.Address != "ana@example.test" {
		return false, nil
	}
	k.got = append(k.got, r)
	return true, nil
}

// OpenSMTPD calls its notice multipart/mixed, and names the letter in what came back alone.
func TestReportOfOpenSMTPD(t *testing.T) {
	raw := strings.Replace(returned("", "id-1@writ", "ana@example.test", "failed", "5.0.0"), "multipart/report; report-type=delivery-status; boundary", "multipart/mixed;boundary", 1)
	rs, err := notify.ReadReport(strings.NewReader(raw))
	if err != nil || len(rs) != 1 || rs[0].Letter != "id-1" || rs[0].Address != "ana@example.test" || !notify.Hard(rs[0].Status) {
		t.Errorf("%+v: %v", rs, err)
	}
}

// Who keeps letters of their own is told what becomes of them, and when an address is lost.
func TestKeepers(t *testing.T) { // breaks: mon.notify
	k := &keeper{}
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) { d.Keepers = func() []notify.Keeper { return []notify.Keeper{k} } })
	for range 3 {
		must(t, w.bounced(returned("theirs", "", "ana@example.test", "failed", "5.2.2")))
		w.Clock.Advance(24 * time.Hour)
	}
	if w.reaches("ana@example.test") || len(k.got) != 3 || k.got[0].Gone || k.got[1].Gone || !k.got[2].Gone {
		t.Errorf("%+v", k.got)
	}
	if err := w.bounced(returned("theirs", "", "ben@example.test", "failed", "5.1.1")); !errors.Is(err, fault.NotFound) || !w.reaches("ben@example.test") {
		t.Errorf("another receiver: %v", err)
	}
}

func FuzzReadReport(f *testing.F) {
	good := returned("id-1", "id-1@writ", "ana@example.test", "failed", "5.1.1")
	for _, s := range []string{good, strings.ReplaceAll(good, "\r\n", "\n"), returned("", "id-2@writ", "x@y", "delayed", "4.0.0"), "", "From: a\r\n\r\nb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := notify.ReadReport(strings.NewReader(string(b)))
		if err == nil == (len(rs) == 0) {
			t.Fatalf("%d reports and %v", len(rs), err)
		}
		for _, r := range rs {
			if r.Address == "" || r.Status == "" || strings.ContainsAny(r.Letter+r.Address+r.Text+r.Host+r.Status+r.Action, "\r\n\x00") || len(r.Letter) > 100 || len(r.Text) > 1000 {
				t.Errorf("%+v", r)
			}
		}
	})
}

// Whoever uses the link of a letter has it: the address counts as reachable again in the change
// that this shows in, and not where that fails.
func TestLetterShownToArrive(t *testing.T) {
	both(t, func(w *world) {
		w.queue(letterTo("ana"))
		d := w.until("letter/ana", notify.Accepted, 0)
		must(w.t, w.bounced(returned(d.ID, "", "ana@example.test", "failed", "5.1.1")))
		if w.reaches("ana@example.test") {
			w.t.Fatal("a hard bounce leaves it reachable")
		}
		used := func(fail error) error {
			arrived, err := w.s.Arrived(w.t.Context(), "Ana@example.test")
			must(w.t, err)
			_, err = w.DB.Change(w.t.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
				return told{}, errors.Join(arrived(w.t.Context(), tx), fail)
			})
			return err
		}
		if err := used(errors.New("too late")); err == nil || w.reaches("ana@example.test") {
			w.t.Errorf("the change failed: %v", err)
		}
		for range 2 {
			must(w.t, used(nil))
		}
		if es := w.Recorded("notify.address-restored"); !w.reaches("ana@example.test") || len(es) != 1 {
			w.t.Errorf("recorded %+v", es)
		}
	})
}
