package ssm_test

import (
	"testing"

	"writ/internal/ledger/ledgertest"
	"writ/internal/vault"
)

// Whatever a caller sends, signed, is answered in the clients' form: done, or refused under a
// code, and never a fault of ours. Names, selectors, filters, tokens, policies and patterns are all in there.
func FuzzCalls(f *testing.F) {
	ops := []string{"PutParameter", "GetParameter", "GetParameters", "GetParametersByPath", "DescribeParameters", "GetParameterHistory", "LabelParameterVersion", "UnlabelParameterVersion", "DeleteParameter", "DeleteParameters",
		"AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"}
	for i, body := range []string{`{"Name":"/a","Value":"{{ssm:x}}","Type":"String","AllowedPattern":"(((a+)+)+","Policies":"[{\"Type\":\"Expiration\",\"Attributes\":{\"Timestamp\":\"x\"}}]","Tier":"?"}`,
		`{"Name":"/a:99999999999999999999"}`, `{"Names":["/a","arn:aws:ssm:x","::",""]}`, `{"Path":"/","ParameterFilters":[{"Key":"tag:","Option":"x","Values":[]}],"NextToken":"MTo","MaxResults":-1}`,
		`{"Filters":[{"Key":"Name"}]}`, `{"Name":"/a","NextToken":"MTp4"}`, `{"Name":"/a","Labels":["\u0000"]}`, `{"ParameterVersion":1e400}`, `null`, `[]`, `{"Tags":[{}],"ResourceType":"Parameter"}`, `{"TagKeys":null}`, "\xff"} {
		f.Add(uint8(i), body)
	}
	w := open(f, ledgertest.Open(f, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	f.Fuzz(func(t *testing.T, op uint8, body string) {
		w.t = t
		s := c.call(ops[int(op)%len(ops)], body)
		if s.status != 200 && (s.status != 400 || s.code() == "") {
			t.Errorf("%s %q: %d %s", ops[int(op)%len(ops)], body, s.status, s.raw)
		}
	})
}
