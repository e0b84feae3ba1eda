package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe-core is fetched by npm at test time into the user's cache, and taken only when it
// is the file that was looked at when the version was chosen.
const (
	axeVersion = "4.14.1"
	axeSum     = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c" // SHA-256 of axe.min.js
)

var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "writ-tests", "axe-core-"+axeVersion)
	file := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	b, err := os.ReadFile(file)
	if err != nil {
		npm, err := exec.LookPath("npm")
		if err != nil {
			return "", fmt.Errorf("axe-core is not in %s, and there is no npm to fetch it", dir)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		out, err := exec.Command(npm, "install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@"+axeVersion).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("npm could not fetch axe-core %s: %w\n%s", axeVersion, err, out)
		}
		if b, err = os.ReadFile(file); err != nil {
			return "", err
		}
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != axeSum {
		return "", fmt.Errorf("%s is not the axe-core that was looked at (SHA-256 %x): remove %s", file, sum, dir)
	}
	return string(b), nil
})

// theAxe is axe's source, or the test is skipped.
func theAxe(t *testing.T) string {
	t.Helper()
	source, err := axe()
	if err != nil {
		if strings.Contains(err.Error(), "is not the axe-core") {
			t.Fatal(err)
		}
		t.Skip("no look with axe: ", err)
	}
	return source
}

// violation is a rule that a page breaks.
type violation struct {
	ID, Help string
	Nodes    []struct {
		Target         json.RawMessage
		HTML           string
		FailureSummary string `json:"failureSummary"`
	}
}

func (v violation) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "axe %s (%s), %d places:", v.ID, v.Help, len(v.Nodes))
	for _, n := range v.Nodes[:min(len(v.Nodes), 5)] {
		fmt.Fprintf(&s, "\n\t%s  %s\n\t\t%s", n.Target, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " "))
	}
	return s.String()
}

// every runs all of axe's default rules; colours only those that look at colours, for a
// page that differs in nothing else from one that was looked at before.
const (
	every   = `{}`
	colours = `{runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}}`
)

// axe returns what axe finds on the page that is open.
func (b *tab) axe(source, rules string) []violation {
	b.t.Helper()
	if !eval[bool](b, `"axe" in window`) {
		b.do("bring axe", chromedp.Evaluate[chromedp.Void](source))
	}
	found := eval[string](b, `axe.run(document, Object.assign(`+rules+`, {resultTypes: ["violations"], preload: false})).then(r => JSON.stringify(r.violations))`)
	var vs []violation
	if err := json.Unmarshal([]byte(found), &vs); err != nil {
		b.t.Fatal(err)
	}
	return vs
}
