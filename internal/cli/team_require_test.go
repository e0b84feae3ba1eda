package cli_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// The command says how many lack the factor before it saves, and with --look saves nothing.
func TestTeamRequire(t *testing.T) {
	f := serve(t)
	saved := 0
	f.onDo("POST teams/{team}/require", func(r *http.Request) any {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(b), `"look":true`) {
			return `{"demand":"two-factor","before":"none","saved":false,"members":12,"lacking":3,"ended":0}`
		}
		saved++
		return `{"demand":"two-factor","before":"none","saved":true,"members":12,"lacking":3,"ended":4}`
	})
	f.must(0, []string{"team", "require", "t1", "two-factor", "--look"}, "3 of 12 members lack it", "Nothing was changed")
	if saved != 0 {
		t.Error("a look was saved")
	}
	f.must(0, []string{"team", "require", "t1", "two-factor"}, "3 of 12 members lack it", "demands two-factor", "4")
	f.must(0, []string{"team", "require", "t1", "two-factor", "--format", "json"}, `"saved"`)
	if saved != 2 {
		t.Errorf("saved %d times", saved)
	}
	f.must(2, []string{"team", "require", "t1"}, "2 arg")
}
