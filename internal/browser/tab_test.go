package browser

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is one page of the browser with cookies of its own.
type tab struct {
	t    *testing.T
	h    *house
	ctx  context.Context
	base string

	mu   sync.Mutex
	said []complaint
}

// complaint is what the browser wrote to its console.
type complaint struct{ text, url string }

// tab opens a fresh profile: nobody is signed in.
func (h *house) tab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(h.chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // opens it; a limit here would end the tab
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(ctx, 12*time.Minute) // each step has a limit of its own; this one ends before go test does
	t.Cleanup(stop)
	b := &tab{t: t, h: h, ctx: ctx, base: h.origin}
	err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			b.say(ev.Entry.Text, ev.Entry.URL)
		case *runtime.EventExceptionThrown:
			b.say(ev.ExceptionDetails.Text+" "+fmt.Sprint(ev.ExceptionDetails.Exception), ev.ExceptionDetails.URL)
		case *runtime.EventConsoleAPICalled:
			b.say(fmt.Sprintf("console.%s: %v", ev.Type, ev.Args), "")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.view(light, 1280)
	return b
}

func (b *tab) say(text, url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, complaint{text, url})
}

// complaints are what the browser said since the last call, without the line that it
// writes for a page whose status is meant to be one of refusal.
func (b *tab) complaints(refused bool) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, c := range b.said {
		if refused && strings.HasPrefix(c.text, "Failed to load resource: the server responded with a status of") {
			continue
		}
		out = append(out, c.text+" "+strings.TrimPrefix(c.url, b.base))
	}
	b.said = nil
	return out
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s at %s: %v", what, b.at(), err)
	}
}

// eval runs a script from outside the page: its content policy does not bind us.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patience)
	defer stop()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("script at %s: %v\n%.200s", b.at(), err, script)
	}
	return v
}

// at is the path that is open.
func (b *tab) at() string {
	where, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(where, b.base)
}

// open goes to a path of the server or to a whole address.
func (b *tab) open(where string) {
	b.t.Helper()
	if u, err := url.Parse(where); err == nil && !u.IsAbs() {
		where = b.base + where
	}
	b.do("open "+where, chromedp.Navigate(where))
}

// script switches the page's own scripts on or off.
func (b *tab) script(on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}

type theme string

const (
	light theme = "light"
	dark  theme = "dark"
)

// view sets the theme and the width. 640 stands for a wide screen at 200 %.
func (b *tab) view(th theme, width int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: string(th)}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	scale := 1.0
	if width == 640 {
		scale = 2
	}
	b.do("view", chromedp.EmulateViewport(width, 900, chromedp.EmulateScale(scale)))
}

// fill types into the field with this name.
func (b *tab) fill(name, text string) {
	b.t.Helper()
	field := chromedp.CSS(fmt.Sprintf(`main [name=%q]:not([type=hidden], [readonly])`, name))
	b.do("fill "+name, chromedp.WaitVisible(field), chromedp.Focus(field), chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)), chromedp.KeyEvent(text))
}

// press clicks a button by its words and waits for the page that answers.
func (b *tab) press(words string) {
	b.t.Helper()
	b.leave(`//button[normalize-space(.)="` + words + `"]`)
}

// follow clicks a link by its words.
func (b *tab) follow(words string) {
	b.t.Helper()
	b.leave(`//a[normalize-space(.)="` + words + `"]`)
}

// leave clicks in the middle of something that leads to another page.
func (b *tab) leave(path string) {
	b.t.Helper()
	eval[bool](b, `window.left = true`)
	at := eval[[]float64](b, fmt.Sprintf(`(() => {
		const e = document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE, null).singleNodeValue;
		if (!e) return [];
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2, hit = document.elementFromPoint(x, y);
		return e.contains(hit) ? [x, y] : [];
	})()`, path))
	if len(at) != 2 {
		b.t.Fatalf("%s cannot be clicked at %s:\n%s", path, b.at(), cut(b.text()))
	}
	b.do("click "+path, chromedp.MouseClickXY(at[0], at[1]))
	b.arrive("after " + path)
}

// arrive waits until the page that was marked as left has been replaced.
func (b *tab) arrive(what string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		there, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`!window.left && document.readyState === "complete"`))
		if err == nil && there {
			return
		}
	}
	b.t.Fatalf("%s: no new page came; still at %s", what, b.at())
}

// text is what stands on the page.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, `document.body.innerText`)
}

// wants ends the test when the page lacks any of these words.
func (b *tab) wants(path string, words ...string) {
	b.t.Helper()
	if at := b.at(); at != path && !strings.HasPrefix(at, path+"?") && !strings.HasPrefix(at, path+"#") {
		b.t.Fatalf("the browser is at %s, want %s:\n%s", at, path, cut(b.text()))
	}
	text := b.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.t.Fatalf("%s does not say %q:\n%s", path, w, cut(text))
		}
	}
}

func cut(s string) string {
	if len(s) > 2000 {
		return s[:2000] + " …"
	}
	return s
}

// signIn signs in through the page, with a recovery code where a factor is asked for.
func (b *tab) signIn(address, password, lands string) {
	b.t.Helper()
	b.open("/-/sign-in?to=" + url.QueryEscape(lands))
	b.fill("email", address)
	b.fill("password", password)
	b.press("Sign in")
	if strings.HasPrefix(b.at(), "/-/sign-in/factor") {
		b.follow("Use a recovery code")
		b.fill("code", b.h.phone(b.t, address).recovery(b.t))
		b.press("Go on")
	}
	b.wants(lands)
}
