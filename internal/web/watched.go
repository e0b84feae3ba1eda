package web

import (
	"context"
	"net/http"

	"writ/internal/actor"
)

// Watched is what a door learns of a request to a Server when it was answered: for its records.
type Watched struct {
	Route string      // the path of the pattern that took it, never the path itself, which may hold a one-time link; "" = none did
	Who   actor.Actor // zero = nobody got as far as being known
	Code  string      // of the refusal; "" = there was none
}

type watchedKey struct{}

// Watch gives a request a place where that is noted.
func Watch(r *http.Request) (*http.Request, *Watched) {
	w := &Watched{}
	return r.WithContext(context.WithValue(r.Context(), watchedKey{}, w)), w
}

// noted is the place; where nobody watches, one that nobody reads.
func noted(r *http.Request) *Watched {
	if w, ok := r.Context().Value(watchedKey{}).(*Watched); ok {
		return w
	}
	return &Watched{}
}
