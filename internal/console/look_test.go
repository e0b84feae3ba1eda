package console_test

import (
	"flag"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	look    = flag.String("look", "", "address to serve the console at, for a person to look at")
	lookFor = flag.Duration("look-for", 10*time.Minute, "how long")
	tags    = regexp.MustCompile(`<[^>]*>`)
	spaces  = regexp.MustCompile(`\s+`)
)

// plain is the text of a page.
func plain(s string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(s, " ")), " "))
}

// TestLook serves a filled console when asked, as Ana, so that somebody can look at it.
func TestLook(t *testing.T) {
	if *look == "" {
		t.Skip("no -look address")
	}
	w := newWorld(t)
	w.fill()
	srv := &http.Server{Addr: *look, Handler: w.site.Handler(door{w: w, fixed: "ana"}), ReadHeaderTimeout: time.Second}
	time.AfterFunc(*lookFor, func() { _ = srv.Close() })
	for h, id := range w.ids {
		t.Log(h, id)
	}
	t.Log(srv.ListenAndServe())
}
