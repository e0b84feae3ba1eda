package keyring

import (
	"context"
	"fmt"

	"writ/internal/envelope"
	"writ/internal/secret"
)

// Finder gives the key that a box names, as Ring does.
type Finder interface {
	ByID(ctx context.Context, id string) (envelope.Key, error)
}

// OpenBox opens what was sealed for a place with the key that the box names: fault.Gone
// where that was destroyed, and what envelope.Key.Open says of a box that is not for there.
func OpenBox(ctx context.Context, keys Finder, at envelope.AAD, box []byte) (secret.Bytes, error) {
	id, err := envelope.KeyID(box)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open %s.%s: %w", at.Table, at.Column, err)
	}
	k, err := keys.ByID(ctx, id)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open %s.%s: %w", at.Table, at.Column, err)
	}
	b, err := k.Open(box, at)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("open %s.%s: %w", at.Table, at.Column, err)
	}
	return b, nil
}
