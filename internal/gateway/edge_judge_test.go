package gateway_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The outside judges of the edge look at real listeners; scripts/edge.sh has them run.
// judge is where a tool lies, or the test is skipped.
func judge(t *testing.T, tool string) string {
	t.Helper()
	if os.Getenv("WRIT_JUDGES") == "" {
		t.Skip("set WRIT_JUDGES=1: this judge takes minutes; scripts/edge.sh runs it")
	}
	if all, err := filepath.Glob(filepath.Join("..", "..", "bin", "tools", tool+"-v*")); err == nil && len(all) > 0 {
		if at, err := filepath.Abs(all[len(all)-1]); err == nil {
			return at
		}
	}
	at, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("no %s here; scripts/edge.sh installs it where it can", tool)
	}
	return at
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// plainPage is an application that says the same to everybody.
func plainPage(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, strings.Repeat("<p>All is well.</p>\n", 100))
}

// unmetHTTP2 are the cases of h2spec that net/http does not meet, each with its reason.
var unmetHTTP2 = map[string]string{
	"http2/6.5.3: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                            "net/http hangs up on a frame of settings that says one thing twice",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the connection-specific header field":                       "net/http answers 400, as RFC 9113 section 8.1.1 allows; the judge wants the stream to be reset",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"": "likewise",
}

// leastHTTP2 is how many of its 145 cases are met at the least.
const leastHTTP2 = 141

// h2spec judges HTTP/2 at the public listener, with the whole pipeline behind it.
func TestJudgeHTTP2(t *testing.T) {
	tool := judge(t, "h2spec")
	k := open(t, options{upstream: http.HandlerFunc(plainPage)})
	report := filepath.Join(t.TempDir(), "h2spec.xml")
	out, _ := exec.CommandContext(t.Context(), tool, "-h", "localhost", "-p", portOf(k.addr), "-t", "-k", "-o", "2", "-P", "/open/x", "-j", report).CombinedOutput() // its status says that a case failed
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var all struct {
		Suites []struct {
			Package string `xml:"package,attr"`
			Cases   []struct {
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	met, n := 0, 0
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			n++
			name := s.Package + ": " + c.Name
			switch bad := c.Failure != nil || c.Error != nil; {
			case !bad && c.Skipped == nil:
				met++
				if unmetHTTP2[name] != "" {
					t.Errorf("%s is met: take it from the list", name)
				}
			case bad && unmetHTTP2[name] == "":
				t.Errorf("not met: %s", name)
			case c.Skipped != nil:
				t.Logf("left out by the judge: %s", name)
			}
		}
	}
	t.Logf("%d of %d cases of h2spec are met", met, n)
	if met < leastHTTP2 {
		t.Errorf("%d cases are met; at least %d must be\n%s", met, leastHTTP2, out)
	}
}

// notOfTheListener are findings of testssl.sh about what this test's machine lacks, each with its reason.
var notOfTheListener = map[string]string{
	"engine_problem":     "the judge's own openssl has no engine for GOST",
	"cert_revocation":    "the local authority, which speaks for this machine alone, is asked by nobody; one that issues by ACME names its list",
	"TLS_session_ticket": "crypto/tls says seven days whatever the keys are; these open tickets for a day at the most (listen: TestTicketsAreGoodForADay)",
}

// testssl.sh finds nothing to say of the listener's TLS and headers, not even of low severity.
func TestJudgeTLS(t *testing.T) { // breaks: crypto.current-public
	tool := judge(t, "testssl")
	k := open(t, options{host: "app.example.test", upstream: http.HandlerFunc(plainPage)})
	report := filepath.Join(t.TempDir(), "testssl.json")
	cmd := exec.CommandContext(t.Context(), tool, "--quiet", "--color", "0", "--warnings", "off", "--severity", "LOW", "--jsonfile", report, "--add-ca", k.ca.CertPath(), "--nodns", "none", "--ip", "127.0.0.1", "app.example.test:"+portOf(k.addr)+"/open/x")
	out, err := cmd.CombinedOutput()
	b, readErr := os.ReadFile(report)
	if readErr != nil {
		t.Fatalf("%v, %v\n%s", err, readErr, out)
	}
	var found []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(b, &found); err != nil {
		t.Fatalf("%v\n%s\n%s", err, b, out)
	}
	for _, f := range found {
		if notOfTheListener[f.ID] == "" {
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	if !bytes.Contains(out, []byte("Done ")) { // it looked at all
		t.Errorf("testssl.sh did not come to its end:\n%s", out)
	}
	t.Logf("%d findings of low severity or more, all of them of the judge or of this machine", len(found))
}

// sslscan is offered TLS 1.2 and 1.3 with authenticated encryption, and nothing else.
func TestJudgeSuites(t *testing.T) { // breaks: crypto.current-public
	tool := judge(t, "sslscan")
	k := open(t, options{})
	out, err := exec.CommandContext(t.Context(), tool, "--xml=-", "--no-colour", "localhost:"+portOf(k.addr)).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var all struct {
		Test struct {
			Protocols []struct {
				Type    string `xml:"type,attr"`
				Version string `xml:"version,attr"`
				Enabled string `xml:"enabled,attr"`
			} `xml:"protocol"`
			Ciphers []struct {
				Version string `xml:"sslversion,attr"`
				Name    string `xml:"cipher,attr"`
			} `xml:"cipher"`
		} `xml:"ssltest"`
	}
	if err := xml.Unmarshal(out, &all); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	open := map[string]bool{}
	for _, p := range all.Test.Protocols {
		if p.Enabled == "1" {
			open[p.Type+" "+p.Version] = true
		}
	}
	if fmt.Sprint(open) != fmt.Sprint(map[string]bool{"tls 1.2": true, "tls 1.3": true}) {
		t.Errorf("open are %v", open)
	}
	for _, c := range all.Test.Ciphers {
		if !strings.Contains(c.Name, "GCM") && !strings.Contains(c.Name, "CHACHA20") {
			t.Errorf("%s %s is offered", c.Version, c.Name)
		}
	}
	if len(all.Test.Ciphers) < 6 {
		t.Errorf("%d suites were seen:\n%s", len(all.Test.Ciphers), out)
	}
	t.Logf("%d suites of %v", len(all.Test.Ciphers), open)
}

// A thousand slow clients of each kind do not keep others from being served.
func TestJudgeSlowClients(t *testing.T) {
	tool := judge(t, "slowhttptest")
	page := bytes.Repeat([]byte("a page that is read slowly\n"), 40_000)
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		http.ServeContent(w, r, "page.txt", time.Time{}, bytes.NewReader(page))
	})})
	for name, mode := range map[string][]string{
		"headers": {"-H", "-i", "5", "-x", "24"},
		"bodies":  {"-B", "-i", "5", "-x", "24", "-s", "8192"},
		"ranges":  {"-R", "-a", "1", "-b", "3000"},
		"reading": {"-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			report := filepath.Join(t.TempDir(), "slow")
			args := append(mode, "-c", "1000", "-r", "200", "-l", "40", "-p", "5", "-g", "-o", report, "-u", k.base+"/open/page.txt")
			out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
			f, openErr := os.Open(report + ".csv")
			if openErr != nil {
				t.Fatalf("%v, %v\n%s", err, openErr, out)
			}
			defer f.Close()
			rows, err := csv.NewReader(f).ReadAll()
			if err != nil || len(rows) < 2 {
				t.Fatalf("%v\n%s", err, out)
			}
			at, most := slices.Index(rows[0], "Service Available"), 0
			for _, r := range rows[1:] {
				if n, err := strconv.Atoi(r[at]); err != nil || n == 0 {
					t.Errorf("after %s s: not available: %v", r[0], r)
				}
				if n, _ := strconv.Atoi(r[slices.Index(rows[0], "Connected")]); n > most {
					most = n
				}
			}
			t.Logf("available at each of %d looks, up to %d connections at once", len(rows)-1, most)
		})
	}
}
