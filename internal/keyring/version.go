package keyring

import (
	"context"
	"fmt"

	"writ/internal/fault"
)

// kindVersion is what the tombstone of one version of a key is kept under; no subject has
// its mark.
const kindVersion = "version"

// EraseVersion destroys one former version of a subject's key, and proves it as Erase does:
// what it sealed can never be read again. It gives fault.Conflict for the newest version. It
// may be asked again.
func (r *Ring) EraseVersion(ctx context.Context, id string) error { // clause: crypto.key-rotation
	if err := r.open(); err != nil {
		return err
	}
	r.erasing.Lock()
	defer r.erasing.Unlock()
	mark := kindVersion + "/" + id
	err := r.store.write(ctx, func(q querier) error {
		if _, found, err := tombstone(ctx, q, mark); err != nil || found {
			return err
		}
		row, err := byID(ctx, q, id)
		if err != nil {
			return err
		}
		last, err := newest(ctx, q, row.mark)
		if err != nil {
			return err
		}
		if last.id == id {
			return fault.Newf(fault.Conflict, "key_newest", "This is the newest version of a key; it is what data is sealed under.")
		}
		if _, err := q.exec(ctx, insertErasure, mark, kindVersion, r.now().UnixMicro(), 0); err != nil {
			return err
		}
		_, err = q.exec(ctx, insertDestroyed, id, mark, trace(row.box))
		return err
	})
	r.forget() // also after an error: a commit may have succeeded without an answer
	if err == nil {
		err = r.at("version intended")
	}
	if err == nil {
		_, err = r.complete(context.WithoutCancel(ctx), mark)
	}
	if err != nil {
		return fmt.Errorf("destroy a version of a key: %w", err)
	}
	return nil
}
