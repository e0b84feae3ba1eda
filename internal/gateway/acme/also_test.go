package acme_test

import (
	"testing"
	"time"

	"writ/internal/gateway/acme"
)

// Each public name has a certificate of its own, by the challenge that is spoken at the public
// port; a name that is none of them has none.
func TestIssueFurtherNames(t *testing.T) { // breaks: crypto.certificates
	const beside = "status.example.test"
	w := open(t, 90*24*time.Hour)
	w.authority()
	w.serve(func(o *acme.Options) { o.HTTPPort, o.Also = 0, []string{beside} })
	serials := map[string]string{}
	for _, name := range []string{host, beside} {
		w.within("a certificate is served for "+name, func() bool {
			var err error
			serials[name], err = w.shown(name)
			return err == nil
		})
	}
	if n, _ := w.renewals(); n != 2 || serials[host] == serials[beside] {
		t.Errorf("told of %d, shown %v", n, serials)
	}
	if _, err := w.shown("other.example.test"); err == nil {
		t.Error("another name was served")
	}
}
