package incident_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/journal/verify"
	"writ/internal/ledger/ledgertest"
)

// Staff see who subscribed, shortened, and end a subscription for a reason, which is recorded:
// nothing is sent there any more, and the address is nowhere.
func TestStaffEndSubscriptions(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.hooks.answer = echo
		part := w.component("Sign-in", "")
		w.component("Search", "")
		w.subscribed("uma@example.test")
		if err := w.page.SubscribeHook(t.Context(), stranger, "https://hooks.example.net/s3cret/path", []string{part.ID}, stranger.ID); err != nil {
			t.Fatal(err)
		}
		w.worked()
		xs, err := w.page.List(t.Context(), w.as("fay"), "")
		if err != nil || len(xs) != 2 || xs[0].Where != "u…@example.test" || len(xs[0].Parts) != 0 || xs[1].Where != "https://hooks.example.net/…" || !slices.Equal(xs[1].Parts, []string{part.ID}) {
			t.Fatalf("%+v %v", xs, err)
		}
		if rest, err := w.page.List(t.Context(), w.as("fay"), xs[0].ID); err != nil || len(rest) != 1 || rest[0].ID != xs[1].ID {
			t.Errorf("after the first: %+v %v", rest, err)
		}
		for _, bad := range []struct {
			as, id, reason string
			kind           fault.Kind
		}{{"fay", xs[0].ID, "asked for by post", fault.Denied}, {"dev", xs[0].ID, " ", fault.Invalid}, {"dev", xs[0].ID, strings.Repeat("x", 501), fault.Invalid}, {"dev", "nobody", "asked for by post", fault.NotFound}} {
			if err := w.page.Remove(t.Context(), w.as(bad.as), bad.id, bad.reason); fault.KindOf(err) != bad.kind {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if err := w.page.Remove(t.Context(), w.as("dev"), xs[0].ID, "asked for by post"); err != nil {
			t.Fatal(err)
		}
		es := kit.Recorded("incident.subscriber-removed")
		if len(es) != 1 || strings.Contains(es[0].Body, "by post") || w.entries("subscription-ended") != 0 {
			t.Errorf("recorded %+v", es)
		}
		w.says(w.active().Ref(), status.Investigating)
		w.settled()
		if got := w.post.to("incident.update"); len(got) != 0 || len(w.called("status.incident")) != 1 {
			t.Errorf("told are %v", got)
		}
	}, tables...)
}

// A copy is made at once, whole, of what the page says now, and proves itself.
func TestTakeCopy(t *testing.T) { // breaks: inc.public-notice
	w := with(t, ledgertest.Open(t, tables...), nil)
	w.says(w.active().Ref(), status.Investigating)
	if err := w.published(); err != nil { // the journal numbers what was said
		t.Fatal(err)
	}
	if _, err := w.page.Take(t.Context(), w.as("fay")); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor: %v", err)
	}
	x, err := w.page.Take(t.Context(), w.as("dev"))
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, b := range x.Files {
		dir[name] = &fstest.MapFile{Data: b}
	}
	if r := verify.Page(dir, verify.Options{}); r.Code != verify.True {
		t.Errorf("%s", r.Text())
	}
	if !bytes.Contains(x.Files["index.html"], []byte("Sign-in fails")) || !bytes.Contains(x.Files["SHA256SUMS"], []byte("summary.json")) || len(x.SHA256) != 64 {
		t.Errorf("%d files, of another time", len(x.Files))
	}
}
