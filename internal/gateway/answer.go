package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"writ/internal/web"
)

// refuse answers a step's refusal and hands it to the record.
func (v *visit) refuse(s *step, ref *refusal) {
	v.status = ref.status
	if (ref == refuseStranger || ref == refuseEnrol || ref == refusePasskey || ref == refuseTerms || ref.leads) && v.reader() {
		v.status = http.StatusFound // web.Server.Fail sends a browser that wants a page to the page where it can do something about it
	} else {
		v.g.tally.refused(v, s.name, ref)
	}
	v.answer(ref)
}

// reader reports whether a browser asks for a page to look at.
func (v *visit) reader() bool {
	return (v.r.Method == http.MethodGet || v.r.Method == http.MethodHead) && wantsPage(v.r)
}

// answer renders a refusal. No byte of the request's body is read for it.
func (v *visit) answer(ref *refusal) {
	if v.r.ProtoMajor == 1 && v.r.ContentLength != 0 {
		v.w.Header().Set("Connection", "close")
	}
	if v.target.raw == "" {
		v.r.URL.Path, v.r.URL.RawPath, v.r.URL.RawQuery = "/", "", "" // not canonical: not to be shown or returned to
	}
	var err error = v.mode.comeBack(ref, v.g.now())
	if ref.whole != nil {
		err = ref.whole
	}
	v.g.fail(&dressed{ResponseWriter: v.w, v: v, ref: ref}, v.r, err)
}

func wantsPage(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if kind, _, _ := strings.Cut(part, ";"); strings.TrimSpace(kind) == "text/html" {
			return true
		}
	}
	return false
}

// dressed gives a rendered refusal the gate's transport headers, and the status where
// faults have no kind for it: 405, 414, 421, 502, 504.
type dressed struct {
	http.ResponseWriter
	v     *visit
	ref   *refusal
	begun bool
	mute  bool
}

// WriteHeader implements http.ResponseWriter.
func (d *dressed) WriteHeader(status int) {
	if d.begun {
		return
	}
	d.begun = true
	d.v.transportRules(d.Header())
	if status != d.ref.err.Kind.Status() || status == d.ref.status {
		d.ResponseWriter.WriteHeader(status)
		return
	}
	if d.Header().Get("Content-Type") != "application/problem+json" {
		d.ResponseWriter.WriteHeader(d.ref.status)
		return
	}
	d.mute = true
	d.problem()
}

// problem writes the document again with the right status.
func (d *dressed) problem() {
	p := web.ProblemOf(d.v.r, d.ref.err)
	p.Status, p.Title, p.RequestID = d.ref.status, http.StatusText(d.ref.status), d.Header().Get("X-Request-Id")
	b, err := json.Marshal(p)
	if err != nil {
		b = []byte("{}")
	}
	d.Header().Set("Content-Length", strconv.Itoa(len(b)))
	d.ResponseWriter.WriteHeader(d.ref.status)
	_, _ = d.ResponseWriter.Write(b) // a client that went away has nobody to tell
}

// Write implements http.ResponseWriter.
func (d *dressed) Write(b []byte) (int, error) {
	if !d.begun {
		d.WriteHeader(http.StatusOK)
	}
	if d.mute {
		return len(b), nil
	}
	return d.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (d *dressed) Unwrap() http.ResponseWriter { return d.ResponseWriter }
