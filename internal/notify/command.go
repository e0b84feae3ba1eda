package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Command is a program of this machine that is named in the machine's settings.
const Command = "command"

const (
	commandTime = 20 * time.Second
	tryLater    = 75 // EX_TEMPFAIL of sysexits
)

// command gives a message to a program on its standard input, as a webhook gets it. There is
// no shell, no argument, and nothing of this server in its environment. It answers by its exit
// status: 0 = taken, 75 = later, anything else = not.
func (s *Service) command(ctx context.Context, c *channel, t *try) outcome { // clause: mon.notify
	path := s.Commands[c.url.Reveal()]
	if path == "" {
		return outcome{state: Rejected, code: "command_unlisted", text: "watch.commands names no such command any more"}
	}
	i, err := os.Stat(path)
	if err != nil || !i.Mode().IsRegular() {
		return outcome{state: Deferred, code: "command_missing", text: "it is not there"}
	}
	if i.Mode().Perm()&0o022 != 0 {
		return outcome{state: Rejected, code: "command_unsafe", text: "others than its owner may write to it"}
	}
	body, err := json.Marshal(hookBody(t))
	if err != nil {
		return outcome{state: Rejected, code: "too_long"}
	}
	ctx, stop := context.WithTimeout(ctx, commandTime)
	defer stop()
	said := &first{most: mostText}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(body), said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                                // with what it starts
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } //nolint:wrapcheck // exec looks at it
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	out := outcome{state: Accepted, code: "exit 0", text: said.String()}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil: // it may have told somebody
		out.state, out.code = Unknown, noAnswer
	case errors.As(err, &exit):
		out.state, out.code = Rejected, "exit "+strconv.Itoa(exit.ExitCode())
		if exit.ExitCode() == tryLater {
			out.state = Deferred
		}
	case errors.Is(err, exec.ErrWaitDelay): // it ended well; what it started holds on to its output
	default:
		out.state, out.code, out.text = Deferred, "command_failed", err.Error()
	}
	return out
}

// first keeps the beginning of what is written.
type first struct {
	bytes.Buffer
	most int
}

func (f *first) Write(b []byte) (int, error) {
	if room := f.most - f.Len(); room > 0 {
		_, _ = f.Buffer.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}
