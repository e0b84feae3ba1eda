package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
)

//go:embed assets templates
var shared embed.FS

// assets are the files pages may load. An address holds the file's hash, so it may be
// kept for ever and never shows an older file than its page.
type assets struct {
	mu   sync.RWMutex
	file map[string]asset // by base name
}

type asset struct {
	hash string
	kind string
	body []byte
}

func newAssets() *assets { return &assets{file: map[string]asset{}} }

// add reads every file in dir of fsys.
func (a *assets) add(fsys fs.FS, dir string) error {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return fmt.Errorf("read assets: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range entries {
		body, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("read asset: %w", err)
		}
		kind := mime.TypeByExtension(path.Ext(e.Name()))
		if _, twice := a.file[e.Name()]; twice || kind == "" {
			return fmt.Errorf("asset %q: named twice or of unknown type", e.Name())
		}
		sum := sha256.Sum256(body)
		a.file[e.Name()] = asset{hash: hex.EncodeToString(sum[:6]), kind: kind, body: body}
	}
	return nil
}

// url is where the asset is served; an error for a name that is not there.
func (a *assets) url(name string) (string, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	f, ok := a.file[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/-/assets/" + f.hash + "/" + name, nil
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	a.mu.RLock()
	f, ok := a.file[r.PathValue("name")]
	a.mu.RUnlock()
	if !ok || f.hash != r.PathValue("hash") {
		return fault.NotFound
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", f.kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
	return nil
}
