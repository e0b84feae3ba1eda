package ssm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A parameter ends when it was said to, and says before that it will; a new version puts
// off what is about changes.
func TestLifecycle(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		end := w.kit.Clock.Now().Add(10 * 24 * time.Hour).UTC().Format(time.RFC3339)
		rules := fmt.Sprintf(`[{\"Type\":\"Expiration\",\"Version\":\"1.0\",\"Attributes\":{\"Timestamp\":\"%s\"}},{\"Type\":\"ExpirationNotification\",\"Version\":\"1.0\",\"Attributes\":{\"Before\":\"2\",\"Unit\":\"Days\"}},{\"Type\":\"NoChangeNotification\",\"Version\":\"1.0\",\"Attributes\":{\"After\":\"5\",\"Unit\":\"Days\"}}]`, end)
		c.good("PutParameter", `{"Name":"/l/a","Value":"1","Type":"String","Policies":"`+rules+`"}`)
		days := func(n int, told ...string) {
			t.Helper()
			before := len(w.kit.Recorded("vault.param-reminded"))
			for range n {
				w.kit.Clock.Advance(24 * time.Hour)
				for range 2 { // what was done is not done again
					if err := w.vault.Tend(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			var got []string
			for _, e := range w.kit.Recorded("vault.param-reminded")[before:] {
				for _, kind := range []string{"ExpirationNotification", "NoChangeNotification"} {
					if strings.Contains(e.Body, `"`+kind+`"`) {
						got = append(got, kind)
					}
				}
			}
			if strings.Join(got, " ") != strings.Join(told, " ") {
				t.Errorf("told %v, want %v", got, told)
			}
		}
		days(4)
		c.good("PutParameter", `{"Name":"/l/a","Value":"2","Overwrite":true}`) // five days anew
		days(3)
		days(1, "ExpirationNotification")
		days(1, "NoChangeNotification")
		c.good("GetParameter", `{"Name":"/l/a"}`)
		days(1)
		c.bad("ParameterNotFound", "GetParameter", `{"Name":"/l/a"}`)
		if d := w.kit.Recorded("vault.param-deleted"); len(d) != 1 || !strings.Contains(d[0].Body, "expired") {
			t.Errorf("%v", d)
		}
	})
}
