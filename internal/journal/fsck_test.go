package journal_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/merkle"
)

// A foreign checker reads checkpoint, tiles and entry bundles and makes the tree anew.
// It needs the fsck of github.com/transparency-dev/tessera in PATH or WRIT_TEST_FSCK.
func TestForeignFsck(t *testing.T) {
	fsck := os.Getenv("WRIT_TEST_FSCK")
	if fsck == "" {
		t.Skip("WRIT_TEST_FSCK does not name the fsck of tessera")
	}
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	run(t, j)
	size := int64(0)
	for _, want := range []int64{5, 255, 256, 257, 600} {
		var id string
		for ; size < want; size++ {
			r, err := kit.DB.Change(t.Context(), actor.System("t"), func(*ledger.Tx) (ledger.Event, error) { return noted{Title: "x"}, nil })
			if err != nil {
				t.Fatal(err)
			}
			id = r.ID
			if size == 0 {
				size = wait(t, j, id).N
			}
		}
		wait(t, j, id)
		if out, err := foreign(t, fsck, j, nil); err != nil {
			t.Fatalf("size %d: %v\n%s", want, err, out)
		}
	}
	flip := func(b []byte) { b[len(b)/2] ^= 1 }
	if out, err := foreign(t, fsck, j, flip); err == nil {
		t.Errorf("one bit changed in a bundle and it says:\n%s", out)
	}
}

// foreign serves the log at one size and runs the checker on it.
func foreign(t *testing.T, fsck string, j *journal.Journal, harm func([]byte)) (string, error) {
	t.Helper()
	h, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := j.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/")
		if path == "checkpoint" {
			w.Write(h.Note)
			return
		}
		tile, err := merkle.ParseTilePath(path)
		var b []byte
		if err == nil {
			b, err = j.Tile(r.Context(), tile)
		}
		if err != nil {
			http.NotFound(w, r)
			return
		}
		if harm != nil && tile.Entries {
			harm(b)
		}
		w.Write(b)
	}))
	defer ts.Close()
	file := filepath.Join(t.TempDir(), "vk.txt")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // it hangs on a difference
	defer cancel()
	out, err := exec.CommandContext(ctx, fsck, "--storage_url="+ts.URL+"/", "--public_key="+file, "--ui=false").CombinedOutput()
	if err == nil && !strings.Contains(string(out), "Successfully fsck'd") {
		err = os.ErrInvalid
	}
	return string(out), err
}
