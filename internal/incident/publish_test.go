package incident_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/incident"
	networks "writ/internal/incident/post"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
)

// abroad is a network: what it answers next, and what was sent and looked for.
type abroad struct {
	mu     sync.Mutex
	says   []networks.Outcome
	blind  bool
	there  bool // Find finds it
	sent   []networks.Message
	looked int
	block  chan struct{} // it does not answer until this is closed
}

func (a *abroad) Send(ctx context.Context, m networks.Message) networks.Outcome {
	if a.block != nil {
		select {
		case <-a.block:
		case <-ctx.Done():
			return networks.Outcome{State: networks.Unsure, Code: "no_answer"}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, m)
	if len(a.says) > 0 {
		out := a.says[0]
		a.says = a.says[1:]
		return out
	}
	return networks.Outcome{State: networks.Posted, Receipt: networks.Receipt{ID: "r1", CID: "c1", URL: "https://social.example/1"}, Code: "200"}
}

func (a *abroad) Find(context.Context, networks.Message) (networks.Receipt, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.blind {
		return networks.Receipt{}, false, networks.ErrBlind
	}
	a.looked++
	return networks.Receipt{ID: "f1", URL: "https://social.example/found"}, a.there, nil
}

// drained lets the queue and the clock go on until something is so.
func (w *world) drained(what string, ok func() bool) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.queue.Run(ctx) }()
	until := time.Now().Add(30 * time.Second)
	so := ok()
	for ; !so && time.Now().Before(until); so = ok() {
		w.kit.Clock.Advance(10 * time.Second)
		w.queue.Nudge()
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	<-done
	if !so {
		w.t.Fatalf("not so: %s", what)
	}
}

// states are those of the posts of an incident, by account, the newest first.
func (w *world) states(ref, account string) (out []string) {
	for _, x := range w.show(ref).Sent {
		if x.Account == account {
			out = append(out, x.State)
		}
	}
	return out
}

// Each account is told by itself what stands on the page, with a link of its own, and later
// updates reply to the first; the receipt answers for the policy's channel. One that fails or
// never answers keeps no other waiting, and a person is asked to post and paste.
func TestPostsElsewhere(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		good, bad, slow := &abroad{}, &abroad{says: []networks.Outcome{{State: networks.Rejected, Code: "401"}, {State: networks.Rejected, Code: "401"}}}, &abroad{block: make(chan struct{})}
		w.svc.Outlets = []incident.Outlet{{Name: "slow", Channel: "other", Network: "mastodon", Sender: slow}, {Name: "bad", Channel: "third", Network: "x", Sender: bad}, {Name: "good", Channel: "social", Network: "bluesky", Sender: good}}
		for _, name := range []string{"slow2", "slow3", "slow4"} { // as many as the queue has hands
			w.svc.Outlets = slices.Insert(w.svc.Outlets, 0, incident.Outlet{Name: name, Channel: "other", Network: "mastodon", Sender: slow})
		}
		c := w.active()
		w.says(c.Ref(), status.Investigating)
		w.drained("the good one posts and the bad one is known, while the slow one has not answered", func() bool {
			known := slices.Equal(w.states(c.Ref(), "good"), []string{"posted"}) && slices.Equal(w.states(c.Ref(), "bad"), []string{"rejected"})
			if known {
				close(slow.block) // the queue waits for what is under way
			}
			return known
		})
		public := w.show(c.Ref()).Posts[0]
		m := good.sent[0]
		if !strings.HasPrefix(m.Text, "Investigating: Sign-in fails\n\nSome people cannot sign in") || m.Link != "https://app.example.test/-/status/incidents/"+public.Public+"#u-"+public.ID || m.Replies != nil {
			t.Errorf("%+v", m)
		}
		if body := w.get("/-/status/incidents/" + public.Public).Body.String(); !strings.Contains(body, `id="u-`+public.ID+`"`) {
			t.Error("the link leads nowhere")
		}
		if got := w.post.to("incident.post"); !slices.Equal(got, []string{"dev"}) {
			t.Errorf("asked to post by hand: %v", got)
		}
		for _, e := range w.show(c.Ref()).Also {
			if e.Channel == "social" && e.URL != "https://social.example/1" {
				t.Errorf("the policy's channel: %+v", e)
			}
		}
		w.expect("notice-in-time", clause.Pass, "")
		w.says(c.Ref(), status.Identified)
		w.drained("the second one too", func() bool {
			return slices.Equal(w.states(c.Ref(), "good"), []string{"posted", "posted"}) && slices.Equal(w.states(c.Ref(), "slow"), []string{"posted", "posted"}) && w.entries("post-followed") == 12
		})
		if r := good.sent[1].Replies; r == nil || r.ID != "r1" || r.CID != "c1" {
			t.Errorf("replies to %+v", r)
		}
	}, tables...)
}

// A try that may have arrived is looked for before the next one; where nobody can look it is
// unknown, and stays so. A network that is full is left alone for as long as it says.
func TestPostsNeverTwice(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	there, gone, blind, full := &abroad{there: true}, &abroad{}, &abroad{blind: true}, &abroad{}
	unsure := []networks.Outcome{{State: networks.Unsure, Code: "503"}}
	there.says, gone.says, blind.says, full.says = unsure, unsure, unsure, []networks.Outcome{{State: networks.Deferred, Code: "429", Wait: 10 * time.Minute}}
	w.svc.Outlets = []incident.Outlet{{Name: "there", Channel: "a", Network: "mastodon", Sender: there}, {Name: "gone", Channel: "b", Network: "mastodon", Sender: gone}, {Name: "blind", Channel: "c", Network: "x", Sender: blind}, {Name: "full", Channel: "d", Network: "bluesky", Sender: full}}
	c := w.active()
	began := w.kit.Clock.Now()
	w.says(c.Ref(), status.Investigating)
	w.drained("all are known", func() bool {
		for _, x := range w.show(c.Ref()).Sent {
			if x.State == "queued" || x.State == "sending" {
				return false
			}
		}
		return true
	})
	for _, x := range []struct {
		name  string
		a     *abroad
		state string
		sent  int
	}{{"there", there, "posted", 1}, {"gone", gone, "posted", 2}, {"blind", blind, "unknown", 1}, {"full", full, "posted", 2}} {
		if got := w.states(c.Ref(), x.name); !slices.Equal(got, []string{x.state}) || len(x.a.sent) != x.sent {
			t.Errorf("%s: %v, sent %d times", x.name, got, len(x.a.sent))
		}
	}
	for _, x := range w.show(c.Ref()).Sent {
		if x.Account == "full" && x.Ended.Sub(began) < 10*time.Minute {
			t.Errorf("it was left alone for %s", x.Ended.Sub(began))
		}
	}
	if got := w.post.to("incident.post"); !slices.Equal(got, []string{"dev"}) {
		t.Errorf("asked to look: %v", got)
	}
	// A process that died while it posted: nobody sends before it has looked.
	w.exec(`UPDATE incident_post SET state = 'sending', ended = NULL WHERE account = 'blind'`)
	w.exec(`UPDATE incident_post SET state = 'sending', ended = NULL WHERE account = 'there'`)
	if err := w.svc.Republish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(blind.sent) != 1 || len(there.sent) != 1 || !slices.Equal(w.states(c.Ref(), "blind"), []string{"unknown"}) || !slices.Equal(w.states(c.Ref(), "there"), []string{"posted"}) {
		t.Errorf("sent again: %d, %d", len(blind.sent), len(there.sent))
	}
}
