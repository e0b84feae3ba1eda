package status

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// apart is how addresses are written where the page has a name of its own. What is more than
// reading stays at the application's.
var apart = place{root: "/", up: "/", home: "/"}

// alonePolicy allows the page its style sheet and pictures, and nothing else.
const alonePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// Alone answers with the page at a name of its own: at / and below it, for reading alone. No
// cookie is read or set there, and nothing else is there. ok = Host was set.
func (s *Service) Alone() (h http.Handler, ok bool) { // clause: inc.public-notice
	return reading(func(w http.ResponseWriter, r *http.Request) {
		x := s.shown.Load()
		if x == nil {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "The status page is being made. Try again in a few seconds.", http.StatusServiceUnavailable)
			return
		}
		f, ok := x.alone[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			nothing(w)
			return
		}
		_ = f.answer(w, r) // whoever asked is gone
	}), s.Host != ""
}

// Copy answers with a copy that was written to a folder, while the server has no keys to make
// the page. It says itself when it was made.
func Copy(dir fs.FS) http.Handler { // clause: inc.public-notice
	return reading(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = folder.home
		}
		if strings.HasPrefix(name, "incidents/") && path.Ext(name) == "" { // as it is called where the page is made
			name += folder.ext
		}
		b, err := fs.ReadFile(dir, name)
		kind, known := kinds[path.Ext(name)]
		if name == sumsFile {
			kind, known = kinds[".txt"], true
		}
		if err != nil || !known {
			nothing(w)
			return
		}
		f := made(kind, b)
		f.open = strings.HasSuffix(name, ".json")
		_ = f.answer(w, r) // whoever asked is gone
	})
}

// kinds are those of the files of a copy.
var kinds = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json; charset=utf-8",
	".atom": "application/atom+xml; charset=utf-8", ".rss": "application/rss+xml; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".ics": "text/calendar; charset=utf-8"}

func nothing(w http.ResponseWriter) {
	http.Error(w, "The status page has nothing of this name. It begins at /.", http.StatusNotFound)
}

// reading lets nothing but reading through, under the headers of a page for everybody.
func reading(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", alonePolicy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			head.Set("Allow", "GET, HEAD")
			http.Error(w, "The status page is for reading.", http.StatusMethodNotAllowed)
			return
		}
		h(w, r)
	})
}
