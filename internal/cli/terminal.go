package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), ioctlGet)
	return err == nil
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminal(f)
}

// withoutEcho runs read while the terminal shows nothing, and brings the echo back
// even when the person gives up with ctrl-C.
func withoutEcho(f *os.File, read func() error) error {
	fd := int(f.Fd())
	old, err := unix.IoctlGetTermios(fd, ioctlGet)
	if err != nil {
		return fmt.Errorf("read terminal settings: %w", err)
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	quiet.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, ioctlSet, &quiet); err != nil {
		return fmt.Errorf("set terminal: %w", err)
	}
	return interruptible(read, func() { _ = unix.IoctlSetTermios(fd, ioctlSet, old) }) // nothing better can be done
}

// takeTerminal puts this process in front of the terminal again, after a program was.
func takeTerminal(fd int) {
	signal.Ignore(syscall.SIGTTOU) // who asks for it from behind is stopped otherwise
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, unix.Getpgrp()) // the terminal may be gone
}

// interruptible runs read, which is blocked in the kernel, so that ctrl-C ends the
// process; restore runs in any case.
func interruptible(read func() error, restore func()) error {
	defer restore()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	defer signal.Stop(stop)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-stop:
			restore()
			os.Exit(exitNo)
		case <-done:
		}
	}()
	return read()
}

// colour reports whether w takes colours: a terminal, and the person did not opt out
// (no-color.org).
func (a *app) colour(w io.Writer) bool {
	return onTerminal(w) && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// visible makes characters harmless that would move the cursor, change colours or turn
// the direction of writing. Line feeds and tabs stay.
func visible(s string) string {
	clean := func(r rune) bool {
		return r == '\n' || r == '\t' || r != unicode.ReplacementChar && unicode.IsGraphic(r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// working shows on a terminal that a long answer is awaited, and since when. The
// returned function wipes it away.
func (a *app) working(what string) (done func()) {
	if !onTerminal(a.err) {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(stopped)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				fmt.Fprint(a.err, "\r\x1b[K")
				return
			case <-tick.C:
				fmt.Fprintf(a.err, "\r\x1b[K%s … %d s", what, int(time.Since(start).Seconds()))
			}
		}
	}()
	return func() { close(stop); <-stopped }
}
