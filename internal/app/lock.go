package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"writ/internal/fault"

	"golang.org/x/sys/unix"
)

// lock takes the folder for this process: two servers on one SQLite file would each
// believe that its memory is the truth. The kernel frees it when the process ends,
// however it ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, fault.New(fault.Conflict, "folder_in_use", fault.Public{
			Problem:  "Another Writ runs on the folder " + dir + ".",
			Expected: "One server a folder.", Next: "Stop the other one, or give this one a folder of its own."})
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	return f, nil
}
