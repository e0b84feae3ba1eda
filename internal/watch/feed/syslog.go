package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"writ/internal/journal"
	"writ/internal/watch/export"
)

// syslog sends entries over one connection, which is closed as RFC 5425 wants it (4.4): when
// the receiver answers our end with its own, it has read everything before.
func (t *target) syslog(ctx context.Context, es []journal.Entry) (sent, error) {
	conn, err := t.Dial(ctx, "tcp", t.Address)
	if err != nil {
		return sent{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var b bytes.Buffer
	for i := range es {
		b.Write(export.Frame(export.Syslog(&es[i], t.s.Host)))
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return sent{}, fmt.Errorf("send: %w", err)
	}
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return sent{}, errors.New("the connection cannot be ended on one side")
	}
	if err := half.CloseWrite(); err != nil {
		return sent{}, fmt.Errorf("send: %w", err)
	}
	// A receiver that ends the connection alone has read everything too: had it not, its
	// system would have reset it.
	if _, err := io.Copy(io.Discard, io.LimitReader(conn, mostReply)); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return sent{}, fmt.Errorf("wait for the receiver to have read it: %w", err)
	}
	if ctx.Err() != nil {
		return sent{}, fmt.Errorf("wait for the receiver to have read it: %w", ctx.Err())
	}
	return sent{done: len(es)}, nil
}
