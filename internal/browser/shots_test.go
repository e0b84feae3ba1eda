package browser

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// forgetMe drops the tab's cookies: another browser.
func (b *tab) forgetMe() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		b.t.Fatal(err)
	}
}

// The pictures of the guide: the document where its margin tells most.
func TestPictureOfTheDocument(t *testing.T) {
	h := theHouse(t)
	dir := os.Getenv("WRIT_SHOTS")
	if dir == "" {
		t.Skip("no WRIT_SHOTS folder for pictures")
	}
	h.filled(t)
	b := h.tab(t)
	b.signIn(owners[0].address, aPassword, desk)
	const section = `document.getElementById("auth.best-practice").closest("section")`
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Second) {
		b.open(desk)
		if eval[int](b, section+`.querySelectorAll(".note").length`) == 0 { // what was not looked at yet has a note
			break
		}
	}
	// The first looks were at an empty house; these are at one with people.
	for _, id := range eval[[]string](b, `[...`+section+`.querySelectorAll(".clause")].slice(0, 9).map(e => e.id)`) {
		b.open(desk + "/clauses/" + id)
		if eval[bool](b, `!!document.querySelector(".prove")`) {
			b.press("Prove now")
		}
	}
	b.open(desk)
	for _, view := range []string{"top", "auth"} {
		for _, th := range []theme{light, dark} {
			b.view(th, 1280)
			if view == "auth" {
				eval[bool](b, section+`.scrollIntoView(), true`)
			}
			b.shot(dir, fmt.Sprintf("console-%s-%s", view, th))
		}
	}
}

// shot writes what the window shows.
func (b *tab) shot(dir, name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err = errors.Join(err, os.MkdirAll(dir, 0o755)); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// picture writes the open page in both themes and two widths.
func (b *tab) picture(dir, name string) {
	b.t.Helper()
	for _, th := range []theme{light, dark} {
		for _, w := range []int64{1280, 320} {
			b.view(th, w)
			b.do("scroll up", chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(); window.scrollTo(0, 0)`))
			b.shot(dir, fmt.Sprintf("%s-%s-%d", name, th, w))
		}
	}
}
