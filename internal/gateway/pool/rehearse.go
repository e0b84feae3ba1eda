package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Detects is the longest that a place which fails is still taken for well: its checks must
// fail, the last of them by taking too long.
const Detects = outAfter*checkEvery + checkTime

// Rehearse makes a pool of the same places, reached by the same ways, in which the named one
// is away whenever away says so. Nothing that happens in it changes the pool itself, so it is
// safe while visitors are served.
func (p *Pool) Rehearse(name string) (r *Pool, away func(bool)) {
	var gone atomic.Bool
	o := p.o
	o.Told, o.Sticky, o.Places = nil, false, nil
	for _, at := range p.places {
		place := at.Place
		if at.name == name {
			place.Way = absent{place.Way, &gone}
		}
		o.Places = append(o.Places, place)
	}
	return New(o), gone.Store
}

// absent is a way to a place that can be away.
type absent struct {
	http.RoundTripper
	gone *atomic.Bool
}

var errGone = errors.New("pool: the place is away in this rehearsal")

// RoundTrip implements http.RoundTripper.
func (a absent) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.gone.Load() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errGone}
	}
	return a.RoundTripper.RoundTrip(r) //nolint:wrapcheck // the caller looks at the error itself
}

// Ask sends the question about health to a place that the pool chooses, as it does with a
// visitor's, and says which answered.
func (p *Pool) Ask(ctx context.Context) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTime)
	defer cancel()
	r := p.question(ctx, &url.URL{})
	res, err := p.RoundTrip(r, "")
	if err != nil {
		return "", fmt.Errorf("ask a place: %w", err)
	}
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	_ = res.Body.Close()
	return r.URL.Scheme + "://" + r.URL.Host, nil
}

// question is what is asked of a place for its health.
func (p *Pool) question(ctx context.Context, at *url.URL) *http.Request {
	path := p.o.Path
	if path == "" {
		path = "/"
	}
	return (&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: at.Scheme, Host: at.Host, Opaque: path}, Host: p.o.Host, Body: http.NoBody,
		Header: http.Header{"User-Agent": {"Writ-Health"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {p.o.Host}}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
}

// Lately reports whether a place was well when it was last looked at, and that was not
// longer ago than a few looks.
func (s State) Lately(now time.Time) bool {
	return s.State == "in" && s.Problem == "" && now.Sub(s.Checked) < 5*checkEvery
}
