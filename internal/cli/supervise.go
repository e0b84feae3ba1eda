package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"writ/internal/secret"
)

// passed are the signals that go through to the program. SIGKILL and SIGSTOP cannot be;
// SIGTSTP and its kin are the terminal's, which has the program in front.
var passed = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGALRM}

// supervise starts the program and stays as its parent until it ends by itself. New
// values are read before the old program is stopped: a server that is away stops nothing.
func (a *app) supervise(ctx context.Context, src *source, bin string, args []string) error {
	signals := make(chan os.Signal, 16) // from before the first start, so that none is lost
	signal.Notify(signals, passed...)
	defer signal.Stop(signals)
	ctx = context.WithoutCancel(ctx) // a signal that goes through to the program must not end our own calls
	was, err := src.versions(ctx)    // first: a change in between is seen at the next look
	if err != nil && (src.in.bundle == "" || !away(err)) {
		return err
	}
	env, err := src.values(ctx)
	if err != nil {
		return err
	}
	silent, tick := false, a.tick(src.in) // the same complaint is made once
	for {
		p, err := a.startChild(bin, args, env)
		if err != nil {
			return fmt.Errorf("start %s: %w", args[0], err)
		}
		for env = nil; env == nil; {
			select {
			case s := <-signals:
				_ = p.cmd.Process.Signal(s) // to the program itself, as it would have got it in our place; it may have ended
			case err := <-p.ended:
				p.sweep()
				return status(err)
			case <-tick:
				tick = a.tick(src.in)
				now, next, err := src.changed(ctx, was)
				if err != nil && !silent {
					fmt.Fprintf(a.err, "The program goes on with the values it has: %s\n", visible(sentence(err.Error())))
				}
				silent, was, env = err != nil, now, next
			}
		}
		fmt.Fprintf(a.err, "A value under %s changed: %s is started anew.\n", visible(src.path), visible(args[0]))
		p.end(src.in.grace)
	}
}

// changed reads the values anew if their versions are not those of before.
func (s *source) changed(ctx context.Context, was string) (now string, env map[string]string, err error) {
	if now, err = s.versions(ctx); err != nil || now == was {
		return was, nil, err
	}
	env, err = s.values(ctx)
	return now, env, err
}

// tick is the next moment to look.
func (a *app) tick(in runFlags) <-chan time.Time {
	if a.server.Ticks != nil {
		return a.server.Ticks
	}
	more := time.Duration(0)
	if in.jitter > 0 {
		more = time.Duration(binary.BigEndian.Uint64(secret.Random(8).Reveal())>>1) % in.jitter
	}
	return time.After(in.every + more)
}

// child is the program that runs, at the head of a group of its own.
type child struct {
	cmd   *exec.Cmd
	tty   int        // the terminal that it was put in front of; -1 = none
	ended chan error // one, when it has ended
}

func (a *app) startChild(bin string, args []string, env map[string]string) (*child, error) {
	c := exec.Command(bin) //nolint:gosec // to start what it is told is what the command is for
	c.Args, c.Env = args, environment(env)
	c.Stdin, c.Stdout, c.Stderr = a.in, a.out, a.err
	p := &child{cmd: c, tty: -1, ended: make(chan error, 1)}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if f, ok := a.in.(*os.File); ok && isTerminal(f) { // it, and not we, reads and is interrupted
		p.tty = int(f.Fd())
		c.SysProcAttr.Foreground, c.SysProcAttr.Ctty = true, p.tty
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- c.Wait() }()
	return p, nil
}

// end asks the program to end, and kills it when it does not.
func (p *child) end(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended: then that is what comes next
	select {
	case <-p.ended:
		p.sweep()
	case <-time.After(grace):
		p.sweep()
		<-p.ended
	}
}

// sweep kills what is left of the group, and takes the terminal back.
func (p *child) sweep() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // none may be left
	if p.tty >= 0 {
		takeTerminal(p.tty)
	}
}

// status is how a program ended, as a shell tells it.
func status(err error) error {
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if w, ok := e.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return &exit{code: 128 + int(w.Signal())}
	}
	return &exit{code: e.ExitCode()}
}
