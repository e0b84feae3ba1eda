package identity_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/identity/banned"
)

// What the owner chose below a standard stands in the evidence, and goes from it when the
// policy asks for more.
//
// breaks: auth.best-practice
func TestEvidenceNamesTheOwnersChoices(t *testing.T) {
	says := func(w *world) string {
		t.Helper()
		r, err := w.check("identity.standards")
		if err != nil || r.Outcome != clause.Pass {
			t.Fatalf("%+v %v", r, err)
		}
		return r.Summary
	}
	w := open(t)
	shipped := says(w)
	for _, want := range []string{"12 characters: meets ASVS 6.2.1; below 800-63B-4 for a password alone", "the owner's choices", "6.2.4, the list has 1919 entries of 12 characters or more",
		"6.3.3, customers may sign in with a password alone", "6.5.5, a reset link lives 24 hours and the standard has 10 minutes", "11.4.2, salted SHA-256"} {
		if !strings.Contains(shipped, want) {
			t.Errorf("the evidence does not say %q: %s", want, shipped)
		}
	}
	w.set(clause.Values{"auth.best-practice/remember_device": 24 * time.Hour})
	if got := says(w); !strings.Contains(got, "6.3.3, a customer's browser may skip the second factor for 24 hours") {
		t.Error(got)
	}
	file := writeList(t, 3000)
	strict := open(t, func(d *identity.Deps) {
		l, err := banned.New(banned.Options{File: file})
		if err != nil {
			t.Fatal(err)
		}
		d.Banned = l
	})
	strict.set(clause.Values{"auth.min-length/min": int64(15), "auth.min-length/min_with_factor": int64(8), "access.mfa-by-technology/who": []string{"admin", "member", "staff"},
		"auth.reset-link-lifetime/ttl": 10 * time.Minute, "auth.hash/import": []string{}})
	if got := says(strict); got != "15 characters: meets ASVS 6.2.1" {
		t.Errorf("the strictest policy: %s", got)
	}
}

// The evidence of the list says how much of it counts at the length in force.
//
// breaks: auth.banned
func TestEvidenceCountsUsableEntries(t *testing.T) {
	w := open(t)
	for min, want := range map[int64]string{8: "30020 of them have 8 characters or more", 12: "1919 of them have 12 characters or more", 15: "98 of them have 15 characters or more"} {
		w.set(clause.Values{"auth.min-length/min": min, "auth.min-length/min_with_factor": int64(8)})
		if r, err := w.check("identity.list"); err != nil || !strings.Contains(r.Summary, want) {
			t.Errorf("%q %v, want %q", r.Summary, err, want)
		}
	}
}
