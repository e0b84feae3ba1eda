package vault

import (
	"context"
	"sync"
	"time"

	"writ/internal/ledger"
)

// keyRow is an access key as it is stored.
type keyRow struct {
	AccessKey
	box   []byte
	token string // SHA-256 of a session's
	read  time.Time
}

// A row is read again after rowsFor, so that what another node did counts within a second;
// what this one did counts at once.
const (
	rowsFor = time.Second
	maxRows = 10_000
)

// rows are access keys that are in use. Who stands behind one is asked at each call.
type rows struct {
	mu    sync.Mutex
	m     map[string]keyRow
	epoch int // a row that was read before something was forgotten is not kept
}

func (r *rows) find(id string, now time.Time) (k keyRow, ok bool, epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok = r.m[id]
	age := now.Sub(k.read)
	return k, ok && age >= 0 && age < rowsFor, r.epoch
}

func (r *rows) keep(k keyRow, epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch != r.epoch {
		return
	}
	if r.m == nil || len(r.m) >= maxRows {
		r.m = map[string]keyRow{}
	}
	r.m[k.ID] = k
}

func (r *rows) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	delete(r.m, id)
}

// keyRow reads an access key; fault.NotFound when there is none.
func (s *Service) keyRow(ctx context.Context, id string) (keyRow, error) {
	k, ok, epoch := s.rows.find(id, s.Now())
	if ok {
		return k, nil
	}
	k = keyRow{read: s.Now()}
	if err := ledger.One(ctx, s.DB, selectKeyBox, append(k.dest(), &k.box, &k.token), id); err != nil {
		return keyRow{}, err
	}
	s.rows.keep(k, epoch)
	return k, nil
}
