package ledgertest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Job are the words that Killed gave this process, which then ends with whoever started it;
// nil in any other process. env is the package's own name for such a child.
func Job(env string) []string {
	words := os.Getenv(env)
	if words == "" {
		return nil
	}
	go func() { // whoever started it may be gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	return strings.Split(words, "\n")
}

// Killed runs this test binary's TestChild as a process of its own, which may kill itself at
// any moment, and reports whether it did. A child that fails otherwise fails the test.
func Killed(t testing.TB, env string, job ...string) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), env+"="+strings.Join(job, "\n"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.Exited()) {
		t.Fatalf("the child failed: %v\n%s", err, out)
	}
	return err != nil
}
