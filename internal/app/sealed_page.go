package app

import (
	"net"
	"net/http"
	"os"
	"strings"

	"writ/internal/incident/status"
)

// withCopy has a sealed server answer with the last copy of the status page, where it has a
// folder, and with nothing of its own at the page's name.
func (a *App) withCopy(sealed http.Handler) http.Handler { // clause: inc.public-notice
	var page http.Handler
	if dir := a.pageFolder(); dir != "" {
		page = status.Copy(os.DirFS(dir))
	}
	below := http.StripPrefix(status.At, page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(name); err == nil {
			name = h
		}
		at := a.config.Status.Host != "" && strings.EqualFold(name, a.config.Status.Host)
		switch {
		case at && page != nil:
			page.ServeHTTP(w, r)
		case at:
			w.Header().Set("Retry-After", "60")
			http.Error(w, "The status page cannot be made now. Try again in a minute.", http.StatusServiceUnavailable)
		case page != nil && r.URL.Path == status.At:
			http.Redirect(w, r, status.At+"/", http.StatusTemporaryRedirect) // addresses in the copy are relative
		case page != nil && strings.HasPrefix(r.URL.Path, status.At+"/"):
			below.ServeHTTP(w, r)
		default:
			sealed.ServeHTTP(w, r)
		}
	})
}
