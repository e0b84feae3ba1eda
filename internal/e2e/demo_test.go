package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The first five minutes: what the demo prints leads where it says.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	first := runDemo(t, dir)
	customer := regexp.MustCompile(`(\S+@orchard\.example\.test)[^\n]*\n\s+password: (\S+)`).FindStringSubmatch(first.said())
	if customer == nil || !strings.Contains(first.said(), "ana@example.test") || strings.Count(first.said(), "/-/invite/") != 4 {
		t.Fatalf("the demo says %s", first.said())
	}
	v := first.visitor()
	if a := v.page("/"); a.status != 200 {
		t.Errorf("the sample's home page: %v", a)
	}
	v.want(200, "POST", "sign-in", obj{"email": customer[1], "password": customer[2]})
	if a := v.page("/contacts"); a.status != 200 || !strings.Contains(a.body, "Ilse Brandt") || strings.Contains(a.body, "Greta Lund") {
		t.Errorf("Maria's contacts: %v", a)
	}
	if a := v.page("/-/trust"); a.status != 200 {
		t.Errorf("the public form of the policy: %v", a)
	}
	first.customer("newcomer@example.test")
	box := &visitor{t: t, http: &http.Client{}, base: regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(first.said()), head: http.Header{}}
	if a := box.page("/"); a.status != 200 || !strings.Contains(a.body, "newcomer@example.test") {
		t.Errorf("the mailbox: %v", a)
	}
	must(t, 1, first.writ("check"), "145 clauses")
	first.stop()

	again := runDemo(t, dir)
	if !strings.Contains(again.said(), customer[2]) {
		t.Error("the second start does not print the same people")
	}
	v.want(200, "GET", "session", nil)
	again.stop()
	must(t, 1, command{args: []string{"demo", "--dir", filepath.Join(t.TempDir(), "d"), "--https", "0.0.0.0:8443"}}, "loopback")
}

// demonstration is a running `writ demo`.
type demonstration struct{ *server }

// said is what it has printed.
func (d demonstration) said() string { return d.log.String() }

func runDemo(t *testing.T, dir string) demonstration {
	t.Helper()
	var n int
	for range 100 { // the demo wants three further ports at fixed distances
		p, err := strconv.Atoi(freePort(t))
		if err == nil && free(p+37) && free(p+38) && free(p+39) {
			n = p
			break
		}
	}
	port := strconv.Itoa(n)
	if made, err := os.ReadFile(filepath.Join(dir, "writ.yaml")); err == nil { // an older demo keeps its own
		port = regexp.MustCompile(`(?m)^https: .*:(\d+)$`).FindStringSubmatch(string(made))[1]
	}
	f := &folder{t: t, dir: dir, port: port, origin: "https://localhost:" + port}
	d := demonstration{f.launch("demo", "--dir", dir, "--https", "127.0.0.1:"+port)}
	eventually(t, "the demo says where to look", func() bool {
		if d.ended() {
			t.Fatalf("the demo ended: %s", d.log)
		}
		return strings.Contains(d.said(), "Ctrl-C stops")
	})
	return d
}
