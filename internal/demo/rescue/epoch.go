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
	"writ/internal/incident"
)

// What has a newest try of its own, as the end of a name beside the database: what is restored, and
// whether backups are kept.
const (
	restores = ".epoch"
	holds    = ".epoch-hold"
)

// newest acts for a try while no other process does, and not where a newer one has acted: what a
// process does that was stopped in the middle ends before another begins, and what it has not begun
// it never does. Errors: fault.Conflict (epoch_over).
//
// A number says something beside those of its own ledger alone. One that has never acted here was made
// since, because every ledger that acts leaves its name: it begins anew, whatever its number, and those
// before it are over for good. Time does not come in, for a clock may be set back. So two are told
// apart only as well as their names: an old copy of a ledger that is run again has the name of the one
// that it was copied from, and is refused until its own tries have counted past the newest; and a
// server of an older ledger that never acted here, and wakes after a newer one has, is taken for new.
func (r *Rescue) newest(ctx context.Context, of string, e incident.Epoch, fn func() error) (err error) { // clause: inc.loss-restore
	if e.N < 1 || strings.ContainsAny(e.Ledger, " \n") || e.Ledger == "" {
		return fault.Newf(fault.Invalid, "epoch", "A try has the name of its ledger, and a positive number.")
	}
	f, err := os.OpenFile(r.store.File()+of, os.O_RDWR|os.O_CREATE, 0o600)
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
	text, err := io.ReadAll(io.LimitReader(f, maxTries+1))
	if err != nil {
		return fmt.Errorf("read the number of the newest try: %w", err)
	}
	at, err := after(text, e)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%s %020d\n", e.Ledger, e.N), at); err != nil {
		return fmt.Errorf("write the number of the newest try: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the number of the newest try: %w", err)
	}
	return fn()
}

// maxTries is how many bytes may say which ledgers have acted: about a thousand.
const maxTries = 64 << 10

// after is where the line of a try belongs among those of the ledgers that have acted, the newest
// last. A line without an end was cut off before its try had acted.
func after(text []byte, e incident.Epoch) (at int64, err error) {
	if len(text) > maxTries {
		return 0, fmt.Errorf("the numbers of the newest tries take more than %d bytes", maxTries)
	}
	whole := string(text[:strings.LastIndexByte(string(text), '\n')+1])
	at = int64(len(whole))
	for line := range strings.Lines(whole) {
		at -= int64(len(line)) // what is left behind it
		ledger, number, named := strings.Cut(strings.TrimSpace(line), " ")
		if !named { // from before ledgers had names
			continue
		}
		last, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil:
			return 0, fmt.Errorf("read the number of the newest try: %w", err)
		case ledger == e.Ledger && at > 0:
			return 0, fault.Newf(fault.Conflict, "epoch_over", "Another ledger has acted since this one did, so the try %d does not.", e.N)
		case ledger == e.Ledger && e.N < last:
			return 0, fault.Newf(fault.Conflict, "epoch_over", "The try %d has acted already, so the older %d does not.", last, e.N)
		case ledger == e.Ledger:
			return int64(len(whole) - len(line)), nil
		}
	}
	return int64(len(whole)), nil
}
