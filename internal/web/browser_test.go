package web_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser opens a tab on the sample pages and collects what the browser complains of.
func browser(t *testing.T) (ctx context.Context, base string, complaints func() []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("needs chromium, and time")
	}
	s := newServer(t, sampleRoutes(t)...)
	s.SetChrome(sampleChrome)
	srv := httptest.NewServer(s.Handler(door{who: ana}))
	t.Cleanup(srv.Close)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-gpu", true), chromedp.WSURLReadTimeout(time.Minute))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancelTime)
	var mu sync.Mutex
	var said []string
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	err = chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			said = append(said, ev.Entry.Text)
		case *runtime.EventExceptionThrown:
			said = append(said, ev.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, srv.URL, func() []string { mu.Lock(); defer mu.Unlock(); return said }
}

func TestPagesInABrowser(t *testing.T) {
	ctx, base, complaints := browser(t)
	for _, width := range []int64{320, 700, 1280} {
		for _, page := range []string{"policy", "trust", "table", "form", "folds", "pieces", "sign-in"} {
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(base+"/-/"+page)); err != nil {
				t.Fatal(err)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			if err != nil {
				t.Fatal(err)
			}
			if wide > width {
				t.Errorf("%s is %d px wide on a screen of %d", page, wide, width)
			}
		}
	}
	if c := complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "; "))
	}
}

func TestPalette(t *testing.T) {
	ctx, base, complaints := browser(t)
	err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 700), chromedp.Navigate(base+"/-/table"), chromedp.WaitVisible("#find"),
		chromedp.KeyEvent("/"), chromedp.KeyEvent("ana"), chromedp.WaitVisible("#hits a"), chromedp.KeyEvent(kb.ArrowDown))
	if err != nil {
		t.Fatal(err)
	}
	if file := os.Getenv("WRIT_SHOT"); file != "" {
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil || os.WriteFile(file, shot, 0o600) != nil {
			t.Fatal(err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	var url string
	for range 1200 { // a minute, for a machine that is busy
		if url, err = chromedp.Run(ctx, chromedp.Location()); err == nil && strings.Contains(url, "/-/policy") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !strings.HasSuffix(url, "/-/policy#auth.reset-link-lifetime") {
		t.Errorf("the palette led to %s: %v", url, err)
	}
	if c := complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "; "))
	}
}
