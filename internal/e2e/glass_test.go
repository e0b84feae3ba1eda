package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var shareOnPage = regexp.MustCompile(`<code>([0-9A-Z-]{79})</code>`)

// glass splits a secret among the owners, practises, and breaks the glass: the session
// helps people back in, says so on its pages, and does not reach the application.
func (k *talker) glass(t *testing.T) {
	t.Helper()
	holders := []string{"ben@example.test", "chloe@example.test", threeOwners[0]}
	args := []string{"break-glass", "prepare", "--need", "2"}
	for _, h := range holders {
		args = append(args, "--holder", h)
	}
	k.ask(t, args...)
	var shares []string
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}}
	for _, h := range holders {
		v := k.visitor()
		k.enter(v, h, aPassword)
		m := shareOnPage.FindStringSubmatch(v.send("POST", "/-/break-glass/share", strings.NewReader(""), form).body)
		if m == nil {
			t.Fatalf("%s is shown no share", h)
		}
		shares = append(shares, m[1])
	}
	k.ask(t, "break-glass", "show")
	give := func(share string, args ...string) (out struct {
		Code, URL string
		Done      bool
	}) {
		c := k.writ(append([]string{"break-glass"}, args...)...)
		c.stdin = share + "\n"
		return decode[struct {
			Code, URL string
			Done      bool
		}](t, k.json(t, 0, c))
	}
	begun := give(shares[0], "drill")
	if !give(shares[1], "drill", "--code", begun.Code).Done {
		t.Error("the drill is not done with two shares")
	}
	begun = give(shares[2], "open", "--reason", "nobody can come in")
	done := give(shares[0], "open", "--code", begun.Code)
	v := k.visitor()
	if a := v.send("POST", done.URL[strings.Index(done.URL, "/-/"):], strings.NewReader(""), form); a.status != http.StatusSeeOther {
		t.Fatalf("enter: %v", a)
	}
	if a := v.page("/-/console/people"); a.status != http.StatusOK || !strings.Contains(a.body, "Break-glass session") {
		t.Errorf("the people: %v", a)
	}
	if a := v.page("/"); a.status != http.StatusForbidden {
		t.Errorf("the application: %v", a)
	}
	if a := v.send("POST", "/-/break-glass/end", strings.NewReader(""), form); a.status != http.StatusSeeOther {
		t.Errorf("end: %v", a)
	}
	if a := v.page("/-/console/people"); a.status == http.StatusOK {
		t.Error("it goes on after its end")
	}
	k.ask(t, "break-glass", "withdraw")
}
