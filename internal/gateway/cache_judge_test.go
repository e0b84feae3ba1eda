package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const judgeVersion = "0.4.5"

// judged is where npm has put the HTTP cache tests, or the test is skipped.
func judged(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no folder to keep the cache tests in: %v", err)
	}
	dir := filepath.Join(cache, "writ-test", "http-cache-tests-"+judgeVersion)
	at := filepath.Join(dir, "node_modules", "http-cache-tests")
	if _, err := os.Stat(filepath.Join(at, "package.json")); err == nil {
		return at
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no HTTP cache tests in " + dir + ", and no npm to fetch them")
	}
	out, err := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "http-cache-tests@"+judgeVersion).CombinedOutput()
	if err != nil {
		t.Skipf("no HTTP cache tests: npm could not fetch them: %v\n%s", err, out)
	}
	return at
}

// missed are the required tests that are not met, each with its reason. Any other is a
// fault here.
var missed = map[string]string{
	"age-parse-prefix":                          "its name wants an Age of two members to be stale, its check wants it fresh; age-parse-dup-0 wants the contrary",
	"headers-store-Transfer-Encoding":           "an answer in an unknown transfer coding is refused (502): where it ends cannot be known",
	"headers-store-Set-Cookie":                  "an answer that sets a cookie is never stored: host.cdn",
	"304-etag-update-response-Set-Cookie":       "an answer that sets a cookie is never stored: host.cdn",
	"headers-store-Content-Encoding":            "text in an unknown packing cannot be looked into for numbers of cards and is refused (502): data.card-summary",
	"304-etag-update-response-Content-Encoding": "likewise",
	"stale-close-must-revalidate":               "the answer is 502 as it must be; the check takes an answer without its server's header for a stored one",
	"stale-close-no-cache":                      "as stale-close-must-revalidate",
	"stale-close-proxy-revalidate":              "as stale-close-must-revalidate",
	"stale-close-s-maxage=2":                    "as stale-close-must-revalidate",
}

// leastRequired is how many of the required tests are met at the least.
const leastRequired = 147

// The HTTP working group's cache tests judge the whole pipeline, on a route that anyone
// may read. It takes minutes: the tests wait for files to become stale.
func TestJudgeHTTPCache(t *testing.T) {
	if os.Getenv("WRIT_JUDGES") == "" {
		t.Skip("set WRIT_JUDGES=1: this judge takes minutes; scripts/judges.sh runs it")
	}
	at := judged(t)
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node to run the HTTP cache tests with")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := exec.CommandContext(ctx, node, "server/server.mjs")
	server.Dir, server.Env = at, append(os.Environ(), "npm_config_protocol=http", "npm_config_port="+port, "npm_config_pidfile="+filepath.Join(t.TempDir(), "pid"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = server.Wait() }()
	up := "http://localhost:" + port
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", "localhost:"+port); err == nil {
			c.Close()
			break
		}
		if time.Now().After(until) {
			t.Fatal("the server of the HTTP cache tests did not start")
		}
	}
	k := open(t, options{url: up, values: map[string]any{"use.no-automation/default": "anyone"}, routes: `
- path: /test/
  who: anyone
  cache: templates
  cache_vary: [Req-Num, Test-Id, Foo, Bar, Baz, Abc, Accept-Language, Accept]
- {path: /, who: anyone}
`})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	b, err := os.ReadFile(k.ca.CertPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cli := exec.CommandContext(ctx, node, "--no-warnings", "cli.mjs")
	cli.Dir, cli.Env, cli.Stdout, cli.Stderr = at, append(os.Environ(), "npm_config_base="+k.base, "npm_config_id="+os.Getenv("WRIT_JUDGE_ID"), "npm_package_config_id=", "NODE_EXTRA_CA_CERTS="+ca), &out, &errs
	if err := cli.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if os.Getenv("WRIT_JUDGE_ID") != "" {
		t.Log(out.String())
		return
	}
	score(t, node, at, out.Bytes())
}

// score compares the results with what is required.
func score(t *testing.T, node, at string, out []byte) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(out[bytes.IndexByte(out, '{'):], &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list := exec.CommandContext(t.Context(), node, "--no-warnings", "--input-type=module", "-e", `
import tests from './tests/index.mjs'
const out = {}
for (const s of tests) for (const t of s.tests) if (!t.browser_only) out[t.id] = t.kind || 'required'
console.log(JSON.stringify(out))`)
	list.Dir = at
	b, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string]string
	if err := json.Unmarshal(b, &kinds); err != nil {
		t.Fatal(err)
	}
	met, all := map[string]int{}, map[string]int{}
	var misses []string
	for id, kind := range kinds {
		res, ran := got[id]
		if !ran {
			continue
		}
		all[kind]++
		if res == true {
			met[kind]++
			if kind == "required" && missed[id] != "" {
				t.Errorf("%s is met: take it from the list of misses", id)
			}
			continue
		}
		misses = append(misses, fmt.Sprintf("%s %s: %v", kind, id, res))
		if kind == "required" && missed[id] == "" {
			t.Errorf("required %s: %v", id, res)
		}
	}
	slices.Sort(misses)
	t.Logf("required %d of %d, optimal %d of %d, checked %d of %d\n%s", met["required"], all["required"], met["optimal"], all["optimal"], met["check"], all["check"], strings.Join(misses, "\n"))
	if met["required"] < leastRequired {
		t.Errorf("%d required tests are met; at least %d must be", met["required"], leastRequired)
	}
}
