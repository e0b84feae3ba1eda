// Package nodetest gives a test a package of npm, pinned, and node to run it: other
// people's programs that judge ours. They are fetched once into the user's cache,
// without their install scripts, and nothing of them goes into the program.
//
// For: tests. It refuses nothing and protects nothing; production code never imports it.
package nodetest

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Script writes a script beside a package, such as openid-client@6.9.0, so that it can
// import it, and returns node and the script. Without node, or where npm cannot fetch the
// package, the test is skipped.
func Script(t testing.TB, pkg, name, text string) (node, script string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node here; scripts/need.sh installs npm")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no folder for packages of npm: ", err)
	}
	dir := filepath.Join(cache, "writ-tests", pkg)
	at := strings.LastIndex(pkg, "@")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", filepath.FromSlash(pkg[:at]), "package.json")); err != nil {
		fetch(t, dir, pkg)
	}
	script = filepath.Join(dir, name)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return node, script
}

func fetch(t testing.TB, dir, pkg string) {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("no %s in %s, and no npm to fetch it; scripts/need.sh installs npm", pkg, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", pkg}
	if out, err := exec.CommandContext(t.Context(), npm, args...).CombinedOutput(); err != nil {
		t.Skipf("npm could not fetch %s: %v %s", pkg, err, out)
	}
}

// Talk is a program that is spoken with line by line.
type Talk struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.Writer
	out  *bufio.Scanner
	said bytes.Buffer
}

// Start runs a program with nothing of our environment but PATH, HOME and what is given, until
// the test ends.
func Start(t testing.TB, env []string, program string, args ...string) *Talk {
	t.Helper()
	k := &Talk{t: t, cmd: exec.Command(program, args...)}
	k.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	in, err := k.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.in, k.out, k.cmd.Stderr = in, bufio.NewScanner(out), &k.said
	k.out.Buffer(nil, 1<<20)
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // one that has ended by itself takes no harm
		_ = k.cmd.Process.Kill()
		_ = k.cmd.Wait()
	})
	return k
}

// Hear is the next line that the program says; a program that has ended fails the test.
func (k *Talk) Hear() string {
	k.t.Helper()
	if !k.out.Scan() {
		_ = k.cmd.Wait()
		k.t.Fatalf("%s ended: %s", filepath.Base(k.cmd.Path), &k.said)
	}
	return k.out.Text()
}

// Say sends the program a line.
func (k *Talk) Say(line string) {
	k.t.Helper()
	if _, err := k.in.Write([]byte(line + "\n")); err != nil {
		k.t.Fatalf("%s does not listen: %v %s", filepath.Base(k.cmd.Path), err, &k.said)
	}
}
