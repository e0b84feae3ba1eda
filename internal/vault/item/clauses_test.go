package item_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/vault/item"
)

func (w *world) run(id string) clause.Result {
	w.t.Helper()
	for _, c := range slices.Concat(w.svc.Controls(w.door), w.svc.HolderControls()) {
		if c.ID == id {
			r, err := c.Run(w.t.Context())
			good(w.t, err)
			return r
		}
	}
	w.t.Fatalf("there is no control %s", id)
	return clause.Result{}
}

func (w *world) outcome(id string, want clause.Outcome, says string) {
	w.t.Helper()
	if r := w.run(id); r.Outcome != want || !strings.Contains(r.Summary, says) {
		w.t.Errorf("%s: %s %q, want %s %q", id, r.Outcome, r.Summary, want, says)
	}
}

// breaks: vault.company-creds
func TestProbe(t *testing.T) {
	w := open(t)
	const id = "vault.items-owned"
	w.outcome(id, clause.Unknown, "no item yet")
	i := w.make("dev", login())
	d := login()
	d.Title, d.Vendor, d.Rotate = "Mail", "Post Ltd", 400
	w.make("ana", d)
	w.outcome(id, clause.Pass, "of 2 items of 2 vendors 0 have no owner")
	// Each fault alone breaks it.
	w.kit.Clock.Advance(366 * 24 * time.Hour)
	w.outcome(id, clause.Fail, "1 are past their date")
	w.exec(`UPDATE vault_item SET due = NULL WHERE id = $1`, i.ID)
	w.outcome(id, clause.Fail, "0 are past their date for replacement, 1 have none")
	w.exec(`UPDATE vault_item SET due = $2 WHERE id = $1`, i.ID, w.kit.Clock.Now().Add(time.Hour).UnixMicro())
	w.outcome(id, clause.Pass, "")
	_, err := w.svc.CheckOut(t.Context(), w.as("dev"), i.ID, why, 5*time.Minute)
	good(t, err)
	w.outcome(id, clause.Pass, "")
	w.kit.Clock.Advance(11 * time.Minute) // and nobody tends it
	w.outcome(id, clause.Fail, "1 are checked out beyond their time")
	w.exec(`DELETE FROM vault_item_out`)
	w.outcome(id, clause.Pass, "")
	w.staff.leaves("dev")
	w.outcome(id, clause.Fail, "1 have no owner")
}

// breaks: vault.company-creds, people.no-sole-holder
func TestCanaries(t *testing.T) {
	w := open(t)
	for _, id := range []string{"vault.item-canary", "vault.item-last-holder"} {
		w.outcome(id, clause.Pass, "")
	}
	if l, err := w.svc.List(t.Context(), w.as("ana"), item.Query{}); err != nil || len(l) != 0 {
		t.Errorf("a control left %v (%v)", l, err)
	}
	w.outcome("vault.items-owned", clause.Unknown, "")
	// What is broken shows.
	w.min = 1
	w.outcome("vault.item-last-holder", clause.Fail, "make a critical item that one person holds gave done")
	w.min = 9
	w.outcome("vault.item-last-holder", clause.Unknown, "three people")
	w.min = 2
	answer := func(method, part string, status int, body string) {
		w.front = func(real http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == method && strings.Contains(r.URL.Path, part) {
					if body == "open" { // a GET does what the button does
						r = r.Clone(r.Context())
						r.Method = http.MethodPost
						r.Body = io.NopCloser(bytes.NewReader(nil))
						real.ServeHTTP(rw, r)
						return
					}
					rw.WriteHeader(status)
					_, _ = rw.Write([]byte(body))
					return
				}
				real.ServeHTTP(rw, r)
			})
		}
	}
	answer(http.MethodGet, "/once/", 0, "open")
	w.outcome("vault.item-canary", clause.Fail, "refused what it must allow: open it with its button")
	n := 0
	w.front = func(real http.Handler) http.Handler { // a server that forgets that a link was opened
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/once/") {
				if n++; n == 2 {
					rw.WriteHeader(http.StatusOK)
					return
				}
			}
			real.ServeHTTP(rw, r)
		})
	}
	w.outcome("vault.item-canary", clause.Fail, "let through: open it a second time")
	answer(http.MethodPost, "/reveal", http.StatusOK, "{}")
	w.outcome("vault.item-canary", clause.Fail, "let through: reveal it at the public door without a session")
	w.front = nil
	w.outcome("vault.item-canary", clause.Pass, "")
	sight := w.svc.Sight
	w.svc.Sight = sharing{sight}
	w.outcome("vault.item-canary", clause.Fail, "let through: reveal it to somebody it is not shared with")
	w.svc.Sight = sight
	w.outcome("vault.item-canary", clause.Pass, "")
}

// sharing is a server that shares what nobody shared.
type sharing struct{ item.Sight }

func (s sharing) Saw(ctx context.Context, tx *ledger.Tx, who actor.Actor, thing string, version int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO vault_item_holder (item, who, level, since, by_) SELECT id, 'person/canary-item-c', 'viewer', 1, '' FROM vault_item WHERE team = $1 ON CONFLICT (item, who) DO NOTHING`, who.Team)
	return errors.Join(err, s.Sight.Saw(ctx, tx, who, thing, version))
}

// The two controls share a reserved team. At the same moment, as after a start, neither takes
// away what the other has planted.
func TestCanariesTogether(t *testing.T) {
	w := open(t)
	var wg sync.WaitGroup
	for range 5 {
		for _, id := range []string{"vault.item-canary", "vault.item-last-holder"} {
			wg.Go(func() {
				for _, c := range slices.Concat(w.svc.Controls(w.door), w.svc.HolderControls()) {
					if c.ID != id {
						continue
					}
					if r, err := c.Run(t.Context()); err != nil || r.Outcome != clause.Pass {
						t.Errorf("%s: %+v %v", id, r, err)
					}
				}
			})
		}
	}
	wg.Wait()
}
