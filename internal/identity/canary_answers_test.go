package identity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// telling is a server that shows in some way at one door whether it knows an address.
func (w *world) telling(door string, tell func(rw http.ResponseWriter, known bool)) func(http.Handler) http.Handler {
	return func(real http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			r.Body = io.NopCloser(bytes.NewReader(b))
			var in struct{ Email string }
			if strings.HasSuffix(r.URL.Path, door) && json.Unmarshal(b, &in) == nil {
				tell(rw, w.svc.Knows(r.Context(), in.Email))
			}
			real.ServeHTTP(rw, r)
		})
	}
}

// A server that answers known and unknown addresses in different words, or at different
// times, is seen at each door. Time is the clock of the test: other work does not move it.
func TestAnswersAreToldApart(t *testing.T) { // breaks: auth.best-practice
	for _, door := range []string{"/sign-in", "/sign-up", "/recovery"} {
		t.Run(door[1:]+" by a header", func(t *testing.T) {
			t.Parallel()
			w := open(t)
			w.breakFront(w.telling(door, func(rw http.ResponseWriter, known bool) {
				if known {
					rw.Header().Set("X-Cache", "hit")
				}
			}))
			w.wants("identity.answers", clause.Fail)
		})
		t.Run(door[1:]+" by time", func(t *testing.T) {
			t.Parallel()
			w := open(t)
			by := func(known time.Duration) {
				w.breakFront(w.telling(door, func(_ http.ResponseWriter, is bool) {
					if is {
						w.kit.Clock.Advance(known)
					}
				}))
			}
			by(time.Millisecond)
			w.wants("identity.answers", clause.Pass) // less than the network adds
			by(3 * time.Millisecond)
			w.wants("identity.answers", clause.Fail)
		})
	}
	t.Run("sign-in by its body", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		w.breakFront(rewrite(func(r *http.Request, in, out string) string {
			var q struct{ Email string }
			if json.Unmarshal([]byte(in), &q) == nil && !w.svc.Knows(r.Context(), q.Email) {
				return strings.Replace(out, "or the password ", "", 1)
			}
			return out
		}))
		w.wants("identity.answers", clause.Fail)
	})
	t.Run("a limit for known addresses alone", func(t *testing.T) {
		t.Parallel()
		w := open(t)
		w.breakFront(swap(func(r *http.Request, in string) bool {
			var q struct{ Email string }
			return strings.HasSuffix(r.URL.Path, "/recovery") && json.Unmarshal([]byte(in), &q) == nil && w.svc.Knows(r.Context(), q.Email)
		}, status(http.StatusTooManyRequests, `{"code":"too_many"}`)))
		w.wants("identity.answers", clause.Fail)
	})
}

// Where every network has asked enough, or the server is busy, the control decides nothing.
func TestAnswersUndecided(t *testing.T) {
	w := open(t)
	w.breakFront(swap(path("/recovery"), status(http.StatusTooManyRequests, `{"code":"too_many"}`)))
	if r, err := w.check("identity.answers"); err == nil {
		t.Errorf("judged without an answer: %+v", r)
	}
	w.breakFront(swap(path("/sign-in"), status(http.StatusServiceUnavailable, `{"code":"busy"}`)))
	if r, err := w.check("identity.answers"); err == nil {
		t.Errorf("a busy server was judged: %+v", r)
	}
}

// The runs of a day add up, and no longer than a day.
func TestAnswersAddUp(t *testing.T) {
	w := open(t)
	var run func() string
	for _, c := range w.svc.Controls(w.door) {
		if c.ID == "identity.answers" {
			run = func() string {
				r, err := c.Run(t.Context())
				if err != nil || r.Outcome != clause.Pass {
					t.Fatal(r, err)
				}
				return r.Summary
			}
		}
	}
	for i := 1; i <= 27; i++ {
		want := fmt.Sprintf("%d pairs", min(8*i, 200))
		if got := run(); strings.Count(got, want) != 3 {
			t.Fatalf("run %d: %s, want %s at three doors", i, got, want)
		}
		w.kit.Clock.Advance(50 * time.Minute)
	}
}

// The values are worked out by hand. For "ties": U = 3, mean 12.5, variance
// 25/12 (11 - 60/90) = 21.53, z = (9.5 - 0.5) / 4.640 = 1.940, and so p = 0.0524.
func TestMannWhitney(t *testing.T) {
	ds := func(ns ...int) (out []time.Duration) {
		for _, n := range ns {
			out = append(out, time.Duration(n))
		}
		return out
	}
	for _, c := range []struct {
		name string
		a, b []time.Duration
		want float64
	}{
		{"apart", ds(1, 2, 3, 4, 5, 6, 7, 8), ds(9, 10, 11, 12, 13, 14, 15, 16), 0.00093911},
		{"the other way", ds(9, 10, 11, 12, 13, 14, 15, 16), ds(1, 2, 3, 4, 5, 6, 7, 8), 0.00093911},
		{"mixed", ds(1, 3, 5, 7, 9), ds(2, 4, 6, 8, 10), 0.676103},
		{"ties", ds(1, 1, 2, 2, 3), ds(2, 3, 3, 4, 4), 0.052412},
		{"equal", ds(5, 5, 5), ds(5, 5, 5), 1},
		{"nothing", nil, ds(1), 1},
	} {
		if got := identity.MannWhitney(c.a, c.b); math.Abs(got-c.want) > 0.000001 {
			t.Errorf("%s: %.8f, want %.8f", c.name, got, c.want)
		}
	}
	if m := identity.Median(ds(9, 1, 4, 2)); m != 3 || identity.Median(nil) != 0 {
		t.Errorf("median %d", m)
	}
}

// BenchmarkAnswers measures a day's pairs at once, with the hashes and the waits of a real
// server, and prints what the control says.
func BenchmarkAnswers(b *testing.B) {
	kit := ledgertest.With(b, "sqlite", func(c *ledger.Config) { c.Now = time.Now }, jobs.Schema(), identity.Schema())
	w := with(b, kit, func(d *identity.Deps) { d.Seam, d.Now = nil, time.Now })
	for _, err := range w.svc.Housekeeping(b.Context()) { // measures the hash
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range w.svc.Controls(w.door) {
		if c.ID != "identity.answers" {
			continue
		}
		for b.Loop() {
			for i := range 25 {
				r, err := c.Run(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if i == 24 {
					b.Log(r.Outcome, r.Summary)
				}
				w.exec(`DELETE FROM identity_throttle`) // the hour that lies between two runs
			}
		}
	}
}
