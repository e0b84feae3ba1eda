package identity_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

	"writ/internal/actor"
	"writ/internal/web"
)

// TestPagesInABrowser opens every page in every state on the narrowest phone and
// listens for the browser's complaints. With WRIT_SHOTS it also keeps pictures in that
// folder, of phone and desk in both themes.
func TestPagesInABrowser(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("needs chromium, and time")
	}
	all := states(t)
	server, err := web.New(web.Deps{Log: slog.New(slog.DiscardHandler), Now: time.Now, Brand: func() web.Brand { return web.Brand{} }})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range all {
		err := server.Mount(web.Route{Pattern: "GET /-/look/" + name, Who: web.Anyone, Handle: func(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, err := w.Write([]byte(p.body)) //nolint:gosec // a page this test has fetched
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(server.Handler(noOne{}))
	defer srv.Close()
	ctx, said := browserTab(t, path)
	shots := os.Getenv("WRIT_SHOTS")
	for name := range all {
		for _, look := range []struct {
			width int64
			theme string
		}{{320, "light"}, {1280, "light"}, {360, "dark"}, {1280, "dark"}} {
			if shots == "" && look.width != 320 {
				continue
			}
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.theme}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(look.width, 800), chromedp.Navigate(srv.URL+"/-/look/"+name)); err != nil {
				t.Fatal(err)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			if err != nil {
				t.Fatal(err)
			}
			if wide > look.width {
				t.Errorf("%s is %d px wide on a screen of %d", name, wide, look.width)
			}
			if shots == "" {
				continue
			}
			shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(shots, name+"-"+look.theme+"-"+map[bool]string{true: "desk", false: "phone"}[look.width > 1000]+".png")
			if err := os.WriteFile(file, shot, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c := said(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "; "))
	}
}

type noOne struct{}

func (noOne) Identify(r *http.Request) (actor.Actor, error) { return web.StrangerOf(r), nil }

// browserTab opens a browser and collects what it complains of.
func browserTab(t *testing.T, path string) (ctx context.Context, complaints func() []string) {
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
			said = append(said, ev.Entry.Text)
		case *runtime.EventExceptionThrown:
			said = append(said, ev.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string { mu.Lock(); defer mu.Unlock(); return said }
}
