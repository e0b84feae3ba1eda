package ledger_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// A real full disk is called by its name; the driver calls it an I/O error.
func TestRealFullDiskIsNamed_regression(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	kit := ledgertest.With(t, "sqlite", func(c *ledger.Config) { c.URL = "sqlite:" + filepath.Join(dir, "writ.db") }, things())
	if _, err := makeThing(t.Context(), kit.DB, 0); err != nil {
		t.Fatal(err)
	}
	fill := filepath.Join(dir, "fill")
	_ = os.WriteFile(fill, make([]byte, 4<<20), 0o600) // as much as there is room for
	good := 1
	for n := 1; n < 5000; n++ {
		_, err := makeThing(t.Context(), kit.DB, n)
		if err == nil {
			good++
			continue
		}
		if code, _ := fault.PublicOf(err); code != "disk_full" {
			t.Errorf("refused with %s: %v", code, err)
		}
		break
	}
	if good == 5000 {
		t.Fatal("the disk was never full")
	}
	state(t, kit, good, good)
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if _, err := makeThing(t.Context(), kit.DB, 5000); err != nil {
		t.Errorf("with room again: %v", err)
	}
	state(t, kit, good+1, good+1)
}
