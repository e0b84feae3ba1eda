package keyring

import (
	"context"
	"path/filepath"
	"strings"
	"time"
)

// Status is what checks and the console show of the keys. It holds no secret.
type Status struct {
	Store          string    // "sqlite" or "postgres"
	RootFrom       string    // "file", or "given" by whoever opened the ring
	Root           string    // path of the file; "" when given
	RootID         string    // Fingerprint of the root key that this ring was opened with
	Roots          int       // root keys that open the keys; 2 while one is being replaced
	RootBesideData bool      // the file lies in the server's folder: who steals one has both
	Keys           int       // live data keys, all versions
	Newest         time.Time // when the newest data key was made; zero when there is none
	Oldest         time.Time // when the oldest live data key that seals (the newest of its subject) was made
	KEK            int       // version of the key-encryption key in use
	KEKMade        time.Time // and when it was made
	Erased         int       // subjects whose erasure is verified
	Pending        int       // erasures begun and not verified
}

// Status looks at the store. It gives fault.Sealed after Close.
func (r *Ring) Status(ctx context.Context) (Status, error) {
	if err := r.open(); err != nil {
		return Status{}, err
	}
	st := Status{Store: r.store.engine(), RootFrom: "given", RootID: r.rootKey().ID()}
	if r.o.Given.IsZero() {
		st.RootFrom, st.Root, st.RootBesideData = "file", r.o.root(), inside(r.o.root(), r.o.Dir)
	}
	var newest, oldest, made int64
	var kek string
	q := r.store.read()
	if _, err := q.one(ctx, countKeys, []any{&st.Keys, &newest}); err != nil {
		return Status{}, err
	}
	if _, err := q.one(ctx, oldestSealing, []any{&oldest}); err != nil {
		return Status{}, err
	}
	if _, err := q.one(ctx, newestKEK, []any{&st.KEK, &kek, &made}); err != nil {
		return Status{}, err
	}
	if _, err := q.one(ctx, countRoots, []any{&st.Roots}); err != nil {
		return Status{}, err
	}
	if _, err := q.one(ctx, countErasures, []any{&st.Erased, &st.Pending}); err != nil {
		return Status{}, err
	}
	st.Newest, st.Oldest, st.KEKMade = micros(newest), micros(oldest), micros(made)
	return st, nil
}

// inside reports whether the file lies in the folder or below it, links resolved.
func inside(file, folder string) bool {
	f, errFile := filepath.EvalSymlinks(file)
	d, errFolder := filepath.EvalSymlinks(folder)
	if errFile != nil || errFolder != nil {
		return true // not known to be apart
	}
	f, errFile = filepath.Abs(f)
	d, errFolder = filepath.Abs(d)
	rel, err := filepath.Rel(d, f)
	return errFile != nil || errFolder != nil || err != nil || rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

const (
	countKeys     = `SELECT count(*), COALESCE(max(created), 0) FROM keyring_key`
	oldestSealing = `SELECT COALESCE(min(made), 0) FROM (SELECT max(created) AS made FROM keyring_key GROUP BY mark) AS newest`
	newestKEK     = `SELECT version, id, created FROM keyring_kek ORDER BY version DESC LIMIT 1`
	countErasures = `SELECT COALESCE(sum(CASE WHEN destroyed > 0 THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN destroyed = 0 THEN 1 ELSE 0 END), 0) FROM keyring_erasure WHERE kind NOT IN ('kek', 'version')`
)
