package app

import "testing"

// Where the terms lie stands as a link on the sign-up page: nothing but a place to read.
func TestTermsURL(t *testing.T) {
	for at, good := range map[string]bool{"": true, "https://www.example.com/terms?v=2": true, "/terms": true, "/legal/terms#customers": true,
		"http://www.example.com/terms": false, "javascript:alert(1)": false, "//evil.example/terms": false, `/\evil.example`: false, "/-/account": false, "terms": false,
		"https://u:p@example.com/": false, "https://": false, "data:text/html,x": false} {
		c := settings("Example")
		c.TermsURL = at
		if err := c.check("writ.yaml"); (err == nil) != good {
			t.Errorf("%q: %v", at, err)
		}
	}
}
