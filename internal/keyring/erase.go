package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/fault"
)

// Method is what an erasure here is called. It speaks of stored ciphertext, never
// of media: the device is the provider's.
const Method = "NIST SP 800-88 cryptographic erase"

// Destroyed is what an erasure did. A certificate names the Pseudonym, not the Subject.
type Destroyed struct {
	Subject   Subject
	Pseudonym string    // what keys.db keeps in place of the subject
	KeyIDs    []string  // every version, oldest first
	At        time.Time // when the destruction was verified
	Method    string
	Store     string // "sqlite": verified in the bytes of the file; "postgres": in the rows
}

// Erase destroys every version of the subject's key and proves it: no piece of the
// sealed keys is left in keys.db or a file beside it, and no id opens. From its
// first step on, whatever happens, nobody gets the key again; an error afterwards
// means that the proof is missing, and Erase again, or Open, completes it. Once
// done it returns the same Destroyed for ever. It gives fault.NotFound for a
// subject that never had a key.
func (r *Ring) Erase(ctx context.Context, s Subject) (Destroyed, error) { // clause: data.crypto-erase
	if err := errors.Join(s.check(), r.open()); err != nil {
		return Destroyed{}, err
	}
	r.erasing.Lock()
	defer r.erasing.Unlock()
	mark := r.mark(s)
	e, err := r.intend(ctx, s, mark)
	r.forget() // also after an error: a commit may have succeeded without an answer
	if err != nil {
		return Destroyed{}, fmt.Errorf("erase a %s: %w", s.Kind, err)
	}
	if e.at.IsZero() {
		// A caller who goes away must not leave half an erasure.
		if e, err = r.complete(context.WithoutCancel(ctx), mark); err != nil {
			return Destroyed{}, fmt.Errorf("erase a %s: %w", s.Kind, err)
		}
	}
	return Destroyed{Subject: s, Pseudonym: mark, KeyIDs: e.ids, At: e.at, Method: Method, Store: r.store.engine()}, nil
}

// erasure is a tombstone; at is zero until the destruction is verified.
type erasure struct {
	ids    []string
	traces traces
	at     time.Time
}

// intend commits the tombstone, unless there is one.
func (r *Ring) intend(ctx context.Context, s Subject, mark string) (e erasure, err error) {
	err = r.store.write(ctx, func(q querier) error {
		var found bool
		if e, found, err = tombstone(ctx, q, mark); err != nil || found {
			return err
		}
		if _, err := newest(ctx, q, mark); err != nil {
			return err
		}
		if _, err := q.exec(ctx, insertErasure, mark, s.Kind, r.now().UnixMicro(), 0); err != nil {
			return err
		}
		if err := condemn(ctx, q, mark); err != nil {
			return err
		}
		e, _, err = tombstone(ctx, q, mark)
		return err
	})
	if err != nil {
		return erasure{}, err
	}
	return e, r.at("intended")
}

// condemn lists every key of the mark as destroyed, with what to search for afterwards.
func condemn(ctx context.Context, q querier, mark string) error {
	found := map[string][]byte{}
	err := q.each(ctx, selectBoxes, func(scan func(...any) error) error {
		var id string
		var box []byte
		err := scan(&id, &box)
		found[id] = trace(box)
		return err
	}, mark)
	if err != nil {
		return err
	}
	for id, t := range found {
		if _, err := q.exec(ctx, insertDestroyed, id, mark, t); err != nil {
			return err
		}
	}
	return nil
}

// complete destroys, verifies and commits the time, from whichever step is left.
func (r *Ring) complete(ctx context.Context, mark string) (erasure, error) {
	e, _, err := tombstone(ctx, r.store.read(), mark)
	if err != nil {
		return erasure{}, err
	}
	err = r.store.write(ctx, func(q querier) error {
		if _, err := q.exec(ctx, overwriteBoxes, mark, make([]byte, boxSize)); err != nil {
			return err
		}
		_, err = q.exec(ctx, deleteKeys, mark)
		return err
	})
	if err == nil {
		err = r.at("destroyed")
	}
	if err == nil {
		err = r.verify(ctx, e)
	}
	if err == nil {
		err = r.at("verified")
	}
	if err != nil {
		return erasure{}, err
	}
	err = r.store.write(ctx, func(q querier) error {
		if _, err := q.exec(ctx, finishErasure, mark, r.now().UnixMicro()); err != nil {
			return err
		}
		e, _, err = tombstone(ctx, q, mark) // another node may have been first
		return err
	})
	return e, err
}

// verify proves the destruction. On SQLite secure_delete has overwritten the rows;
// a copy that moving rows between pages left in free space of a page is removed by
// VACUUM. On PostgreSQL only the rows can be asked.
func (r *Ring) verify(ctx context.Context, e erasure) error {
	if err := r.store.gone(ctx, e.traces); err != nil {
		return err
	}
	for _, id := range e.ids {
		if _, err := r.ByID(ctx, id); !errors.Is(err, fault.Gone) {
			return errors.Join(unverified("A destroyed key still answers."), err)
		}
		var row keyRow
		found, err := r.store.read().one(ctx, selectByID, []any{&row.id, &row.mark, &row.version, &row.box}, id)
		if err != nil {
			return fmt.Errorf("verify that the key is gone: %w", err)
		}
		if found {
			return unverified("The row of a destroyed key is still there.")
		}
	}
	return nil
}

func unverified(problem string) error {
	return fault.New(fault.Internal, "erase_unverified", fault.Public{
		Problem:  problem,
		Expected: "Nothing of it may be left. Nobody gets the key, but the erasure is not proven.",
		Next:     "Find out who keeps a copy of keys.db, then erase again or restart.",
	})
}

// resume completes the erasures that were intended and not finished.
func (r *Ring) resume(ctx context.Context) error {
	var marks []string
	err := r.store.read().each(ctx, selectPending, func(scan func(...any) error) error {
		var m string
		err := scan(&m)
		marks = append(marks, m)
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range marks {
		if _, err := r.complete(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func tombstone(ctx context.Context, q querier, mark string) (e erasure, found bool, err error) {
	var at int64
	if found, err = q.one(ctx, selectTombstone, []any{&at}, mark); err != nil || !found {
		return e, found, err
	}
	e.at, e.traces = micros(at), traces{}
	err = q.each(ctx, selectDestroyedIDs, func(scan func(...any) error) error {
		var id string
		var t []byte
		err := scan(&id, &t)
		e.ids = append(e.ids, id)
		e.traces.add(t)
		return err
	}, mark)
	return e, true, err
}

// at lets a test stop the ring after a step.
func (r *Ring) at(step string) error {
	if r.step == nil {
		return nil
	}
	return r.step(step)
}

const (
	insertErasure      = `INSERT INTO keyring_erasure (mark, kind, intended, destroyed) VALUES ($1, $2, $3, $4)`
	insertDestroyed    = `INSERT INTO keyring_destroyed (id, mark, traces) VALUES ($1, $2, $3)`
	selectTombstone    = `SELECT destroyed FROM keyring_erasure WHERE mark = $1`
	selectDestroyedIDs = `SELECT id, traces FROM keyring_destroyed WHERE mark = $1 ORDER BY id`
	selectPending      = `SELECT mark FROM keyring_erasure WHERE destroyed = 0 ORDER BY intended`
	selectBoxes        = `SELECT id, box FROM keyring_key WHERE mark = $1`
	overwriteBoxes     = `UPDATE keyring_key SET box = $2 WHERE mark = $1 OR id IN (SELECT id FROM keyring_destroyed WHERE mark = $1)`
	deleteKeys         = `DELETE FROM keyring_key WHERE mark = $1 OR id IN (SELECT id FROM keyring_destroyed WHERE mark = $1)`
	finishErasure      = `UPDATE keyring_erasure SET destroyed = $2 WHERE mark = $1 AND destroyed = 0`
)
