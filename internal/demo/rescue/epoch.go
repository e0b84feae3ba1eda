package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/fault"
)

// newest acts for a try while no other process does, and not where a newer one has acted: what a
// process does that was stopped in the middle ends before another begins, and what it has not begun
// it never does. Errors: fault.Conflict (epoch_over).
func (r *Rescue) newest(ctx context.Context, epoch int64, fn func() error) (err error) { // clause: inc.loss-restore
	f, err := os.OpenFile(r.store.File()+".epoch", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the number of the newest try: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()            // which lets others in
	for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil { //nolint:gosec // a descriptor is small
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another restore: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return fmt.Errorf("read the number of the newest try: %w", err)
	}
	last := int64(0)
	if word := strings.TrimSpace(string(text)); word != "" {
		if last, err = strconv.ParseInt(word, 10, 64); err != nil {
			return fmt.Errorf("read the number of the newest try: %w", err)
		}
	}
	if epoch < last {
		return fault.Newf(fault.Conflict, "epoch_over", "The try %d has acted already, so the older %d does not.", last, epoch)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%020d\n", epoch), 0); err != nil {
		return fmt.Errorf("write the number of the newest try: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the number of the newest try: %w", err)
	}
	return fn()
}
