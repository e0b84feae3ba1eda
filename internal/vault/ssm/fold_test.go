package ssm_test

import (
	"context"
	"strings"
	"testing"
)

// A flood of calls that are not let in is a few entries and a count, and stops nobody.
func TestFloodIsCounted(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client) {
		x := wrong(c.key)
		x.w = w
		for range 50 {
			x.bad("InvalidSignatureException", "GetParameter", `{"Name":"/a"}`)
		}
		c.bad("ParameterNotFound", "GetParameter", `{"Name":"/a"}`)
		if n := len(w.kit.Recorded("vault.read-refused")); n != 10 {
			t.Errorf("%d entries", n)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := w.vault.Run(ctx); err != nil { // a server that ends writes what it counted
			t.Fatal(err)
		}
		if r := w.kit.Recorded("vault.reads-refused"); len(r) != 1 || !strings.Contains(r[0].Body, "40") {
			t.Errorf("%v", r)
		}
	})
}
