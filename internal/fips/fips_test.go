package fips_test

import (
	"os"
	"strings"
	"testing"

	"writ/internal/fips"
)

// What the process says of itself is what it was started with.
func TestNow(t *testing.T) {
	now := fips.Now()
	if want := strings.Contains(os.Getenv("GODEBUG"), "fips140="); want != now.Enabled {
		t.Errorf("%+v with GODEBUG=%s", now, os.Getenv("GODEBUG"))
	}
	if want := strings.Contains(os.Getenv("GODEBUG"), "fips140=only"); want != now.Enforced || now.Module == "" {
		t.Errorf("%+v with GODEBUG=%s", now, os.Getenv("GODEBUG"))
	}
}

// Nobody is told that something was validated.
func TestOutsideSaysNothingOfValidation(t *testing.T) {
	for _, u := range fips.Outside() {
		if u.What == "" || u.Where == "" || u.Instead == "" || strings.Contains(strings.ToLower(u.What+u.Where+u.Instead), "validated") {
			t.Errorf("%+v", u)
		}
	}
}
