package scim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// step is one request as a directory sends it, and what its answer must hold.
type step struct {
	Says   string            `json:"says"`
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Body   json.RawMessage   `json:"body"`
	Status int               `json:"status"`
	Want   json.RawMessage   `json:"want"`
	Lacks  string            `json:"lacks"`
	Save   map[string]string `json:"save"`
}

// The requests of Entra and Okta, in the order in which they send them.
func TestDirectories(t *testing.T) { // breaks: auth.best-practice
	for _, name := range []string{"entra", "okta"} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			c, _ := w.team("north")
			b, err := os.ReadFile("testdata/" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var steps []step
			if err := json.Unmarshal(b, &steps); err != nil {
				t.Fatal(err)
			}
			saved := []string{}
			put := func(s string) string { return strings.NewReplacer(saved...).Replace(s) }
			for _, s := range steps {
				r := c.do(s.Method, put(s.Path), put(string(s.Body)))
				if r.status != s.Status {
					t.Fatalf("%s: %d %s, want %d", s.Says, r.status, r.raw, s.Status)
				}
				if s.Want != nil {
					var want any
					if err := json.Unmarshal([]byte(put(string(s.Want))), &want); err != nil {
						t.Fatal(err)
					}
					if at := missing(want, any(r.body), ""); at != "" {
						t.Errorf("%s: %s: %s", s.Says, at, r.raw)
					}
				}
				if _, there := r.body[s.Lacks]; s.Lacks != "" && there {
					t.Errorf("%s: %s is there: %s", s.Says, s.Lacks, r.raw)
				}
				for as, key := range s.Save {
					saved = append(saved, "${"+as+"}", r.body[key].(string))
				}
			}
		})
	}
}

// missing says where got does not hold what is wanted.
func missing(want, got any, at string) string {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return at + " is no object"
		}
		for k, v := range want {
			if bad := missing(v, m[k], at+"/"+k); bad != "" {
				return bad
			}
		}
		return ""
	case []any:
		l, ok := got.([]any)
		if !ok || len(l) != len(want) {
			return fmt.Sprintf("%s is not a list of %d", at, len(want))
		}
		for i := range want {
			if bad := missing(want[i], l[i], fmt.Sprintf("%s/%d", at, i)); bad != "" {
				return bad
			}
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf("%s is %v, not %v", at, got, want)
	}
	return ""
}
