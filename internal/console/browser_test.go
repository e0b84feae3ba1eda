package console_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"writ/internal/identity/glass"
	"writ/internal/keyring"
)

// states are all pages, each in the state that shows most.
func (w *world) states() map[string]string {
	q := url.QueryEscape
	line := w.keys["ana"].Key().String()
	var proposal, held, open string
	for _, r := range w.policy.Proposals() {
		proposal = r.ID
	}
	for _, e := range w.policy.Exceptions() {
		if e.Live(w.kit.Clock.Now()) {
			held = e.ID
		} else {
			open = e.ID
		}
	}
	if _, err := w.glass.Prepare(w.t.Context(), w.as("ana"), glass.NewSet{Holders: []string{"ana", "dev", "emil"}}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.glass.PickUp(w.t.Context(), w.as("dev")); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.kit.Ring.Ensure(w.t.Context(), keyring.Subject{Kind: "backup", ID: "2026-10"}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sealing.Ask(w.t.Context(), w.as("ben"), "backup/2026-10", "It is past its time."); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sealing.Hold(w.t.Context(), w.as("ana"), "stranger/2026-09", "A lawsuit about a sign-in."); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.holders.Appoint(w.t.Context(), w.as("ana"), []string{"ana", "ben", "chiara"}); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range []string{"ana", "ben", "chiara"} {
		w.enrolHolder(n)
	}
	item := w.bank("own-label-1", "", "own-value-1", "")
	w.post("ana", item+"/share", url.Values{"with": {"role:engineer"}, "level": {"viewer"}}).want(303)
	return map[string]string{
		"items": itemsAt, "item": item, "item-new": itemsAt + "/new", "item-edit": item + "/edit", "item-report": itemsAt + "/report", "item-import": itemsAt + "/import", "item-password": itemsAt + "/password", "items-none": itemsAt + "?q=nothing",
		"encryption": "/-/console/encryption", "holders": "/-/console/holders", "glass": "/-/console/break-glass", "policy": "/-/console", "policy-broken": "/-/console?show=broken", "policy-none": "/-/console?show=stale",
		"clause-broken": "/-/console/clauses/auth.reset-link-lifetime", "clause-record": "/-/console/clauses/crypto.db-at-rest", "clause-excepted": "/-/console/clauses/auth.best-practice",
		"revisions": "/-/console/revisions", "revision": "/-/console/revisions/1.1", "revision-first": "/-/console/revisions/1.0", "revision-proposed": "/-/console/revisions/" + proposal,
		"propose": "/-/console/propose", "propose-value": "/-/console/propose?param=" + q("auth.reset-link-lifetime/ttl"), "propose-set": "/-/console/propose?param=" + q("crypto.current-public/deny"),
		"keys": "/-/console/keys", "keys-bad": "/-/console/keys?key=" + q("ssh-rsa nonsense"), "keys-sign": "/-/console/keys?key=" + q(line),
		"findings": "/-/console/findings", "exceptions": "/-/console/exceptions", "exception": "/-/console/exceptions/" + held, "exception-open": "/-/console/exceptions/" + open,
		"exception-new": "/-/console/exceptions/new?param=" + q("auth.signup-email/confirm_ttl"), "records": "/-/console/records",
		"attest": "/-/console/attest?clause=gov.contact", "attest-sign": "/-/console/attest?clause=gov.contact&statement=" + q("A test message was answered in 20 minutes."), "attest-bad": "/-/console/attest?clause=gov.contact&statement=x&observed=soon",
		"journal": "/-/console/journal", "journal-none": "/-/console/journal?act=nothing", "entry": "/-/console/journal/12", "people": "/-/console/people", "person": "/-/console/people/" + w.ids["dev"], "add": "/-/console/people/add", "provisioning": "/-/console/provisioning", "tokens": "/-/console/people/tokens", "imports": "/-/console/people/brought-over",
		"factor-resets": "/-/console/factor-resets", "rights": "/-/console/rights", "rights-ended": "/-/console/rights?ended=true", "reviews": "/-/console/reviews", "review": "/-/console/reviews/" + w.review, "clause-roles": "/-/console/clauses/access.roles",
		"teams": "/-/console/teams", "team": "/-/console/teams/staff", "member": "/-/console/teams/staff/members/" + w.ids["dev"],
		"gate": "/-/console/gate", "explain": "/-/console/gate/explain", "explain-through": "/-/console/gate/explain?method=GET&path=%2Forders&as=member", "explain-refused": "/-/console/gate/explain?method=GET&path=%2Forders&as=stranger", "finds": "/-/console/gate/finds", "find-except": "/-/console/gate/finds/except?rule=942100&route=%2Fnotes&field=ARGS%3Atext", "egress": "/-/console/gate/egress", "egress-new": "/-/console/gate/egress/new", "blocks": "/-/console/gate/blocks", "block-new": "/-/console/gate/blocks/new", "mail": "/-/console/mail", "find": "/-/console/find?q=reset", "trust": "/-/trust",
	}
}

// TestPagesInABrowser opens every page as wide as a phone and as a desk, and listens for
// the browser's complaints. With WRIT_SHOTS it keeps pictures, in both themes.
func TestPagesInABrowser(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("needs chromium, and time")
	}
	w := newWorld(t)
	w.fill()
	w.post("ana", "/-/console/clauses/auth.reset-link-lifetime/prove", nil).want(303)
	srv := httptest.NewServer(w.site.Handler(door{w: w, fixed: "ana"}))
	defer srv.Close()
	ctx, said := tab(t, path)
	shots, only := os.Getenv("WRIT_SHOTS"), os.Getenv("WRIT_SHOTS_ONLY")
	for name, page := range w.states() {
		if only != "" && !strings.HasPrefix(name, only) {
			continue
		}
		for _, look := range []struct {
			width int64
			theme string
		}{{320, "light"}, {1280, "light"}, {360, "dark"}, {1280, "dark"}} {
			if shots == "" && look.theme == "dark" {
				continue
			}
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.theme}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(look.width, 800), chromedp.Navigate(srv.URL+page)); err != nil {
				t.Fatal(err)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			if err != nil {
				t.Fatal(err)
			}
			if wide > look.width {
				t.Errorf("%s is %d px wide on a screen of %d", name, wide, look.width)
			}
			twins, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("[id]")].map(e=>e.id).filter((v,i,a)=>a.indexOf(v)!==i).join(" ")`))
			if err != nil || twins != "" {
				t.Errorf("%s has ids twice: %s %v", name, twins, err)
			}
			if shots == "" {
				continue
			}
			tall, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollHeight`))
			if err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(look.width, min(tall, 1800))); err != nil {
				t.Fatal(err)
			}
			shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(shots, name+"-"+look.theme+"-"+map[bool]string{true: "desk", false: "phone"}[look.width > 1000]+".png")
			if err := os.WriteFile(file, shot, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range said() {
		if !strings.Contains(c, "422") { // a page that refuses a form says so in its status too
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// tab opens a browser and collects what it complains of.
func tab(t *testing.T, path string) (ctx context.Context, complaints func() []string) {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-gpu", true), chromedp.WSURLReadTimeout(time.Minute))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, cancelTime := context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancelTime)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	err := chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			said = append(said, ev.Entry.Text+" "+ev.Entry.URL)
		case *runtime.EventExceptionThrown:
			said = append(said, ev.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string { mu.Lock(); defer mu.Unlock(); return said }
}
