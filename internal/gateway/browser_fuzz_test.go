package gateway_test

import (
	"strings"
	"testing"

	"writ/internal/gateway"
)

// However a form was sent, the application has it byte for byte, and its fields are those that
// stand in it.
func FuzzFormFields(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "writ-form=abc&writ-website=&note=x")
	f.Add("application/x-www-form-urlencoded", "writ-form=abc&writ-website=http%3A&writ-form")
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"writ-form\"\r\n\r\nabc\r\n--x\r\nContent-Disposition: form-data; name=\"writ-website\"\r\n\r\n\r\n--x--\r\n")
	f.Add("multipart/form-data", "--\r\n\r\n")
	f.Add("text/plain", "writ-form=abc")
	f.Fuzz(func(t *testing.T, kind, body string) {
		mark, trap, passed, refused := gateway.FormFields(kind, body)
		if passed != body {
			t.Errorf("the application has %q of %q", passed, body)
		}
		if refused && mark+trap != "" || !strings.Contains(body, mark) || !strings.Contains(body, trap) {
			t.Errorf("%q and %q of %q (refused: %v)", mark, trap, body, refused)
		}
	})
}

// A form gets fields for its own address alone, and nothing that leaves its place in the page.
func FuzzFormTag(f *testing.F) {
	for _, s := range []string{`<form method="post" action="/send">`, `<form method=POST>`, `<form method="get" action="/send">`, `<form method=post action='https://elsewhere.test/send'>`, `<form METHOD = post ACTION="../send?x=1#y">`, `<form method=post action="&quot;><script>">`} {
		f.Add([]byte(s))
	}
	k := open(f, options{})
	f.Fuzz(func(t *testing.T, tag []byte) {
		text, good := k.g.Stamped(tag, "/send")
		if text != "" && (strings.Count(text, "<") != 2 || strings.Count(text, ">") != 2 || strings.Count(text, `"`) != 16) {
			t.Errorf("%q gives %q", tag, text)
		}
		if good && !strings.Contains(strings.ToLower(string(tag)), "send") {
			t.Errorf("%q is good for an address that it does not name", tag)
		}
		if lower := strings.ToLower(string(tag)); text != "" && !strings.Contains(lower, "method") {
			t.Errorf("%q is not sent by POST", tag)
		}
	})
}
