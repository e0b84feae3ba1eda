package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/fault"
)

// A table of places is named by its whole path, and read at the start; one that is not good stops
// it with its line.
func TestPlacesAreRead(t *testing.T) { // breaks: mon.abnormal
	s := settings("Example")
	if s.Watch.Locations = "places.csv"; !errors.Is(s.check("test"), fault.Invalid) {
		t.Error("a path that depends on where the server was started was taken")
	}
	at := filepath.Join(t.TempDir(), "places.csv")
	if s.Watch.Locations = at; s.check("test") != nil {
		t.Error(s.check("test"))
	}
	if tab, err := loadPlaces(""); err != nil || tab.Len() != 0 {
		t.Error(tab, err)
	}
	if _, err := loadPlaces(at); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for text, want := range map[string]string{"198.51.100.0/24,NO,59.9,10.7\n": "", "198.51.100.0/24,Norway,59.9,10.7\n": "line 1: expected a country"} {
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if tab, err := loadPlaces(at); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && tab.Len() != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
}
