package app

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"writ/internal/gateway/trail"
)

// Many changes one after another are a candidate, with their time and who made them, and the first
// change in each session of staff is one; changes of many people are not.
func TestChangesThroughTheGate(t *testing.T) { // breaks: inc.loss-restore
	start := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	many := func(n int, each time.Duration, f trail.Found) (out []trail.Found) {
		for i := range n {
			f.At = start.Add(time.Duration(i) * each)
			out = append(out, f)
		}
		return out
	}
	del := trail.Found{Method: "DELETE", Route: "/contacts/", Who: "p1"}
	staff := trail.Found{Method: "POST", Route: "/notes/", Who: "p9", Staff: true, Session: "s9"}
	crowd := many(80, time.Second, del)
	for i := range crowd {
		crowd[i].Who = fmt.Sprint("p", i)
	}
	backwards := many(50, time.Second, del)
	slices.Reverse(backwards)
	for name, x := range map[string]struct {
		fs   []trail.Found
		want string
	}{
		"few":         {many(49, time.Second, del), "[]"},
		"many":        {many(50, time.Second, del), "[mass-change 0s 49s 50 times DELETE /contacts/ by p1]"},
		"any order":   {backwards, "[mass-change 0s 49s 50 times DELETE /contacts/ by p1]"},
		"slowly":      {many(80, 61*time.Second, del), "[]"},
		"by many":     {crowd, "[]"},
		"only added":  {many(80, time.Second, trail.Found{Method: "POST", Route: "/contacts/", Who: "p1"}), "[]"},
		"by staff":    {many(3, time.Second, staff), "[staff 0s 0s the first change in a session of staff, by p9: POST /notes/]"},
		"nothing new": {nil, "[]"},
	} {
		got := []string{}
		for _, o := range onsetsOf(x.fs) {
			got = append(got, fmt.Sprint(o.Kind, " ", o.From.Sub(start), " ", o.To.Sub(start), " ", o.Says))
		}
		if fmt.Sprint(got) != x.want {
			t.Errorf("%s: %v, want %s", name, got, x.want)
		}
	}
}
