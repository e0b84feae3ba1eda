package gateway

import (
	"net/http"
	"time"

	"writ/internal/gateway/trail"
	"writ/internal/web"
)

// ownAnswer is the answer to a request to a page of this server, as far as its access record wants it.
type ownAnswer struct {
	http.ResponseWriter
	g      *Gateway
	r      *http.Request
	seen   *web.Watched
	began  time.Time
	status int
	n      int64
	asked  bool // a proxy asked about another request, which has the record
}

// watchOwn begins the access record of a request to a page of this server.
func (g *Gateway) watchOwn(w http.ResponseWriter, r *http.Request) *ownAnswer {
	o := &ownAnswer{ResponseWriter: w, g: g, began: g.now()}
	o.r, o.seen = web.Watch(r)
	return o
}

// WriteHeader implements http.ResponseWriter.
func (o *ownAnswer) WriteHeader(status int) {
	if o.status == 0 && status >= http.StatusOK {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *ownAnswer) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	n, err := o.ResponseWriter.Write(p)
	o.n += int64(n)
	return n, err //nolint:wrapcheck // whoever writes looks at it
}

// Unwrap serves http.ResponseController.
func (o *ownAnswer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// keep makes the record, also when the connection was cut. Its route is the pattern: a path
// of ours may hold a one-time link.
func (o *ownAnswer) keep() { // clause: inc.breach-scope
	p := recover()
	if o.status == 0 {
		if o.status = http.StatusOK; p != nil {
			o.status = 499
		}
	}
	if !o.asked {
		r := trail.Record{At: o.began, Who: o.seen.Who, Addr: web.RemoteIP(o.r), Route: o.seen.Route, Method: knownMethod(o.r.Method), Status: o.status, Code: o.seen.Code,
			Took: o.g.now().Sub(o.began), In: max(o.r.ContentLength, 0), Out: o.n}
		if r.Who.IsZero() {
			r.Who = web.StrangerOf(o.r)
		}
		if r.Route == "" {
			r.Route = "/-/"
		}
		o.g.trail.Add(r)
	}
	if p != nil {
		panic(p)
	}
}
