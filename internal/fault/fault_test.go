package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"writ/internal/fault"
)

func TestKinds(t *testing.T) {
	cause := errors.New("disk /secret/path is gone")
	err := fmt.Errorf("store person: %w", fault.Wrap(fault.Unavailable, "store", cause))
	if !errors.Is(err, fault.Unavailable) || errors.Is(err, fault.Denied) || !errors.Is(err, cause) {
		t.Error("the kind or the cause is lost in wrapping")
	}
	if fault.KindOf(err) != fault.Unavailable || fault.KindOf(errors.New("x")) != fault.Internal || fault.KindOf(nil) != "" {
		t.Error("KindOf is wrong")
	}
	if fault.KindOf(fmt.Errorf("x: %w", fault.Gone)) != fault.Gone {
		t.Error("a bare kind is not found")
	}
	if _, p := fault.PublicOf(err); strings.Contains(p.Problem+p.Next+p.Expected, "secret") {
		t.Errorf("the inside shows: %+v", p)
	}
	if code, p := fault.PublicOf(fault.Newf(fault.Gone, "link_dead", "The link has expired.")); code != "link_dead" || p.Problem != "The link has expired." {
		t.Errorf("got %s %+v", code, p)
	}
}

// Each kind has a status of its own choice; a new kind without one would be a 500.
func TestStatus(t *testing.T) {
	want := map[fault.Kind]int{fault.Invalid: 422, fault.Malformed: 400, fault.Unauthenticated: 401, fault.Denied: 403, fault.NotFound: 404,
		fault.Gone: 410, fault.Conflict: 409, fault.Limited: 429, fault.TooLarge: 413, fault.Media: 415, fault.Sealed: 503, fault.Unavailable: 503, fault.Internal: 500}
	for k, status := range want {
		if k.Status() != status {
			t.Errorf("%s: %d, want %d", k, k.Status(), status)
		}
	}
}
