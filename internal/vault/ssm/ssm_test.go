package ssm_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/vault"
)

func each(t *testing.T, fn func(t *testing.T, w *world, c client)) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := open(t, kit)
		fn(t, w, w.client(vault.NewKey{Path: "/"}))
	}, vault.Schema())
}

// The protocol: who calls, how, and what of it is in the record.
func TestProtocol(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client) {
		c.good("PutParameter", `{"Name":"/a/b","Value":"s3cret-planted","Type":"SecureString"}`)
		is := func(what, code string, s said) {
			t.Helper()
			if s.status != 400 || s.code() != code {
				t.Errorf("%s: %d %s, want %s", what, s.status, s.raw, code)
			}
		}
		is("no target", "UnknownOperationException", c.send("", "ssm", "{}"))
		is("an unknown operation", "UnknownOperationException", c.call("StartAutomation", "{}"))
		is("a target of no service here", "UnknownOperationException", c.send("DynamoDB_20120810.GetItem", "ssm", "{}"))
		is("malformed JSON", "SerializationException", c.call("GetParameter", `{"Name":`))
		is("a number for a name", "SerializationException", c.call("GetParameter", `{"Name":3}`))
		is("unsigned", "MissingAuthenticationTokenException", c.call("GetParameter", `{"Name":"/a/b"}`, func(r *http.Request) { r.Header.Del("Authorization") }))
		x := wrong(c.key)
		x.w = w
		is("another secret", "InvalidSignatureException", x.call("GetParameter", `{"Name":"/a/b"}`))
		x = c
		x.key.ID = "AKIAABCDEFGHIJKLMNOP"
		is("an unknown key", "UnrecognizedClientException", x.call("GetParameter", `{"Name":"/a/b"}`))
		is("another service", "InvalidSignatureException", c.send("AmazonSSM.GetParameter", "kms", `{"Name":"/a/b"}`))
		is("an altered body", "InvalidSignatureException", c.call("GetParameter", `{"Name":"/a/b"}`, func(r *http.Request) {
			r.Body = http.NoBody
			r.ContentLength = 0
		}))
		is("an altered target", "InvalidSignatureException", c.call("GetParameter", `{"Name":"/a/b"}`, func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSSM.DeleteParameter") }))
		w.kit.Clock.Advance(time.Hour)
		late := c.call("GetParameter", `{"Name":"/a/b"}`, func(r *http.Request) { w.kit.Clock.Advance(5*time.Minute + time.Second) })
		is("a late call", "InvalidSignatureException", late)
		if n := len(w.kit.Recorded("vault.read-refused")); n != 7 {
			t.Errorf("%d refusals are recorded, not 7", n)
		}

		got := c.good("GetParameter", `{"Name":"/a/b","WithDecryption":true,"Else":{"x":[1]}}`)
		if got.at("Parameter", "Value") != "s3cret-planted" || got.head.Get("Content-Type") != "application/x-amz-json-1.1" {
			t.Errorf("%s %v", got.raw, got.head)
		}
		reads := w.kit.Recorded("vault.param-read")
		if len(reads) != 1 || reads[0].ID != got.head.Get("X-Amzn-RequestId") {
			t.Errorf("%d reads; %s is not the entry of %v", len(reads), got.head.Get("X-Amzn-RequestId"), reads)
		}
		for _, kind := range []string{"vault.param-put", "vault.param-read", "vault.read-refused", "vault.access-key-issued"} {
			for _, e := range w.kit.Recorded(kind) {
				if strings.Contains(e.Body, "s3cret-planted") || strings.Contains(e.Body, c.key.Secret.Reveal()) {
					t.Errorf("%s holds a secret: %s", kind, e.Body)
				}
			}
		}
		if s := c.call("GetParameter", `{"Name":"`+strings.Repeat("x", 1<<20)+`"}`); s.status != 400 {
			t.Errorf("more than a megabyte: %d", s.status)
		}
	})
}

func TestPut(t *testing.T) { // breaks: vault.encrypted-store
	each(t, func(t *testing.T, w *world, c client) {
		if s := c.good("PutParameter", `{"Name":"/p/a","Value":"1","Type":"String"}`); s.at("Version") != 1.0 || s.at("Tier") != "Standard" {
			t.Error(s.raw)
		}
		c.bad("ParameterAlreadyExists", "PutParameter", `{"Name":"/p/a","Value":"2","Type":"String"}`)
		if s := c.good("PutParameter", `{"Name":"/p/new","Value":"2","Type":"String","Overwrite":true}`); s.at("Version") != 1.0 {
			t.Error(s.raw)
		}
		if s := c.good("PutParameter", `{"Name":"/p/a","Value":"2","Overwrite":true}`); s.at("Version") != 2.0 {
			t.Error(s.raw)
		}
		if s := c.bad("ValidationException", "PutParameter", `{"Name":"/p/none","Value":"2"}`); s.at("message") != "A parameter type is required when you create a parameter." {
			t.Error(s.raw)
		}
		c.bad("HierarchyTypeMismatchException", "PutParameter", `{"Name":"/p/a","Value":"2","Type":"SecureString","Overwrite":true}`)
		c.bad("UnsupportedParameterType", "PutParameter", `{"Name":"/p/x","Value":"2","Type":"Text"}`)
		if s := c.bad("ValidationException", "PutParameter", `{"Name":"/p/a","Value":"2","Overwrite":true,"Tags":[{"Key":"a","Value":"b"}]}`); !strings.Contains(fmt.Sprint(s.at("message")), "AddTagsToResource") {
			t.Error(s.raw)
		}
		for _, name := range []string{"aws-x", "AWSx", "ssm.x", "SSM", "/ssm/x"} {
			c.bad("ValidationException", "PutParameter", fmt.Sprintf(`{"Name":%q,"Value":"1","Type":"String"}`, name))
		}
		c.bad("AccessDeniedException", "PutParameter", `{"Name":"/aws/reference","Value":"1","Type":"String"}`)
		for _, name := range []string{"a b", "ä", "a*", "", "a/b", "/a//b", "/a/"} {
			c.bad("ValidationException", "PutParameter", fmt.Sprintf(`{"Name":%q,"Value":"1","Type":"String"}`, name))
		}
		c.good("PutParameter", `{"Name":"  /p/trimmed ","Value":"1","Type":"String"}`)
		c.good("GetParameter", `{"Name":"/p/trimmed"}`)
		c.bad("HierarchyLevelLimitExceededException", "PutParameter", `{"Name":"`+strings.Repeat("/x", 16)+`","Value":"1","Type":"String"}`)
		c.good("PutParameter", `{"Name":"`+strings.Repeat("/x", 15)+`","Value":"1","Type":"String"}`)
		c.bad("ValidationException", "PutParameter", `{"Name":"/p/empty","Value":"","Type":"String"}`)
		long := func(n int) string { return strings.Repeat("v", n) }
		c.bad("ValidationException", "PutParameter", `{"Name":"/p/long","Value":"`+long(4097)+`","Type":"String"}`)
		if s := c.good("PutParameter", `{"Name":"/p/long","Value":"`+long(4097)+`","Type":"String","Tier":"Intelligent-Tiering"}`); s.at("Tier") != "Advanced" {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "PutParameter", `{"Name":"/p/longer","Value":"`+long(8193)+`","Type":"String","Tier":"Advanced"}`)
		c.good("PutParameter", `{"Name":"/p/list","Value":"a,b,,c","Type":"StringList"}`)
		if s := c.good("GetParameter", `{"Name":"/p/list"}`); s.at("Parameter", "Value") != "a,b,,c" {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "PutParameter", `{"Name":"/p/ref","Value":"x{{ssm:y}}","Type":"String"}`)
		c.bad("ParameterPatternMismatchException", "PutParameter", `{"Name":"/p/pat","Value":"x","Type":"String","AllowedPattern":"^[0-9]+$"}`)
		c.good("PutParameter", `{"Name":"/p/pat","Value":"7","Type":"String","AllowedPattern":"^[0-9]+$","Description":"a number"}`)
		c.bad("ParameterPatternMismatchException", "PutParameter", `{"Name":"/p/pat","Value":"x","Overwrite":true}`) // the pattern is kept
		c.good("PutParameter", `{"Name":"/p/pat","Value":"x","Overwrite":true,"AllowedPattern":""}`)
		c.bad("InvalidAllowedPatternException", "PutParameter", `{"Name":"/p/pat2","Value":"x","Type":"String","AllowedPattern":"("}`)
		if s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Values":["/p/pat"]}]}`); s.at("Parameters", 0, "Description") != "a number" || s.at("Parameters", 0, "DataType") != "text" || s.at("Parameters", 0, "Version") != 2.0 {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "PutParameter", `{"Name":"/p/dt","Value":"x","Type":"String","DataType":"else"}`)
		c.good("PutParameter", `{"Name":"/p/sec","Value":"x","Type":"SecureString"}`)
		if s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Values":["/p/sec"]}]}`); s.at("Parameters", 0, "KeyId") != "alias/aws/ssm" {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "PutParameter", `{"Name":"/p/k","Value":"x","Type":"String","KeyId":"alias/aws/ssm"}`)
		c.bad("InvalidKeyId", "PutParameter", `{"Name":"/p/k","Value":"x","Type":"SecureString","KeyId":"alias/else"}`)
		one := `{\"Type\":\"NoChangeNotification\",\"Version\":\"1.0\",\"Attributes\":{\"After\":\"20\",\"Unit\":\"Days\"}}`
		c.bad("PoliciesLimitExceededException", "PutParameter", `{"Name":"/p/pol","Value":"x","Type":"String","Policies":"[`+strings.TrimSuffix(strings.Repeat(one+",", 11), ",")+`]"}`)
		ends := `{\"Type\":\"Expiration\",\"Version\":\"1.0\",\"Attributes\":{\"Timestamp\":\"2090-01-01T00:00:00Z\"}}`
		c.bad("IncompatiblePolicyException", "PutParameter", `{"Name":"/p/pol","Value":"x","Type":"String","Policies":"[`+ends+`,`+ends+`]"}`)
		c.bad("InvalidPolicyTypeException", "PutParameter", `{"Name":"/p/pol","Value":"x","Type":"String","Policies":"[{\"Type\":\"Else\"}]"}`)
		c.bad("InvalidPolicyAttributeException", "PutParameter", `{"Name":"/p/pol","Value":"x","Type":"String","Policies":"[{\"Type\":\"Expiration\"}]"}`)
		c.good("PutParameter", `{"Name":"/p/pol","Value":"x","Type":"String","Policies":"[`+ends+`]"}`)
		if s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Values":["/p/pol"]}]}`); s.at("Parameters", 0, "Policies", 0, "PolicyType") != "Expiration" {
			t.Error(s.raw)
		}
		c.good("PutParameter", `{"Name":"/p/pol","Value":"x","Overwrite":true,"Policies":"[]"}`)
		if s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Values":["/p/pol"]}]}`); len(s.at("Parameters", 0, "Policies").([]any)) != 0 {
			t.Error(s.raw)
		}
	})
}

// A call that is sent again is answered again, and done once.
func TestPutAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		again := func(r *http.Request) { r.Header.Set("Amz-Sdk-Invocation-Id", "f3b1") }
		body := `{"Name":"/p/a","Value":"1","Type":"String","Overwrite":true}`
		for range 3 {
			if s := c.call("PutParameter", body, again); s.at("Version") != 1.0 {
				t.Error(s.raw)
			}
		}
		if s := c.call("PutParameter", strings.Replace(body, `"1"`, `"2"`, 1), again); s.at("Version") != 2.0 { // another body
			t.Error(s.raw)
		}
		w.kit.Clock.Advance(10 * time.Minute)
		if s := c.call("PutParameter", body, again); s.at("Version") != 3.0 {
			t.Error(s.raw)
		}
	})
}

// Many at once leave no gap and lose no version.
func TestPutAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		var wg sync.WaitGroup
		seen := make([]bool, 25)
		var mu sync.Mutex
		for i := range 24 {
			wg.Go(func() {
				s := c.call("PutParameter", fmt.Sprintf(`{"Name":"/p/a","Value":"%d","Type":"String","Overwrite":true}`, i))
				mu.Lock()
				defer mu.Unlock()
				if v, ok := s.at("Version").(float64); ok && v >= 1 && v <= 24 && !seen[int(v)] {
					seen[int(v)] = true
				} else {
					t.Errorf("%d %s", s.status, s.raw)
				}
			})
		}
		wg.Wait()
		if s := c.good("GetParameterHistory", `{"Name":"/p/a"}`); len(s.at("Parameters").([]any)) != 24 || s.at("Parameters", 0, "Version") != 1.0 {
			t.Error(s.raw)
		}
	})
}

func TestGet(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		for i := range 4 {
			c.good("PutParameter", fmt.Sprintf(`{"Name":"/g/a","Value":"v%d","Type":"SecureString","Overwrite":true}`, i+1))
		}
		c.good("LabelParameterVersion", `{"Name":"/g/a","ParameterVersion":2,"Labels":["prod"]}`)
		if s := c.good("GetParameter", `{"Name":"/g/a:3","WithDecryption":true}`); s.at("Parameter", "Value") != "v3" || s.at("Parameter", "Selector") != ":3" {
			t.Error(s.raw)
		}
		if s := c.good("GetParameter", `{"Name":"/g/a:prod","WithDecryption":true}`); s.at("Parameter", "Value") != "v2" || s.at("Parameter", "Selector") != ":prod" {
			t.Error(s.raw)
		}
		s := c.good("GetParameter", `{"Name":"/g/a"}`)
		if v := s.at("Parameter", "Value"); v == "v4" || v == "" {
			t.Errorf("not decrypted: %v", v)
		}
		arn := s.at("Parameter", "ARN").(string)
		if !strings.HasPrefix(arn, "arn:aws:ssm:eu-central-1:") || !strings.HasSuffix(arn, ":parameter/g/a") {
			t.Error(arn)
		}
		if s := c.good("GetParameter", `{"Name":"`+arn+`","WithDecryption":true}`); s.at("Parameter", "Value") != "v4" {
			t.Error(s.raw)
		}
		c.bad("ParameterNotFound", "GetParameter", `{"Name":"/g/none"}`)
		if s := c.bad("ParameterVersionNotFound", "GetParameter", `{"Name":"/g/a:9"}`); s.at("message") != "Systems Manager could not find version 9 of /g/a. Verify the version and try again." {
			t.Error(s.raw)
		}
		c.good("PutParameter", `{"Name":"/g/plain","Value":"p","Type":"String"}`)
		if s := c.good("GetParameter", `{"Name":"/g/plain","WithDecryption":true}`); s.at("Parameter", "Value") != "p" {
			t.Error(s.raw)
		}
		s = c.good("GetParameters", `{"Names":["/g/plain","/g/none","/g/a:1","/g/plain","not good"],"WithDecryption":true}`)
		if s.at("Parameters", 0, "Name") != "/g/a" || s.at("Parameters", 0, "Value") != "v1" || s.at("Parameters", 1, "Name") != "/g/plain" || s.at("Parameters", 2) != nil ||
			!reflect.DeepEqual(s.at("InvalidParameters"), []any{"not good", "/g/none"}) {
			t.Error(s.raw)
		}
		eleven := strings.TrimSuffix(strings.Repeat(`"/g/a",`, 11), ",")
		if s := c.bad("ValidationException", "GetParameters", `{"Names":[`+eleven+`]}`); !strings.HasPrefix(s.at("message").(string), "1 validation error detected: Value '[/g/a, ") ||
			!strings.HasSuffix(s.at("message").(string), "at 'names' failed to satisfy constraint: Member must have length less than or equal to 10.") {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "GetParameters", `{"Names":[]}`)
	})
}

func TestByPath(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		for _, n := range []string{"/s/a", "/s/b", "/s/sub/c", "/s/sub/d", "/sx", "/t/a", "single"} {
			kind := "String"
			if n == "/s/b" {
				kind = "SecureString"
			}
			c.good("PutParameter", fmt.Sprintf(`{"Name":%q,"Value":"1","Type":%q}`, n, kind))
		}
		names := func(s said) string {
			var out []string
			for _, p := range s.at("Parameters").([]any) {
				out = append(out, p.(map[string]any)["Name"].(string))
			}
			return strings.Join(out, " ")
		}
		for body, want := range map[string]string{
			`{"Path":"/s"}`:                  "/s/a /s/b",
			`{"Path":"/s/"}`:                 "/s/a /s/b",
			`{"Path":"/s","Recursive":true}`: "/s/a /s/b /s/sub/c /s/sub/d",
			`{"Path":"/s/sub"}`:              "/s/sub/c /s/sub/d",
			`{"Path":"/none"}`:               "",
			`{"Path":"/"}`:                   "/sx single",
			`{"Path":"/","Recursive":true}`:  "/s/a /s/b /s/sub/c /s/sub/d /sx /t/a single",
			`{"Path":"/s","ParameterFilters":[{"Key":"Type","Values":["SecureString"]}]}`: "/s/b",
		} {
			if s := c.good("GetParametersByPath", body); names(s) != want {
				t.Errorf("%s: %s, want %s", body, names(s), want)
			}
		}
		var all []string
		next := ""
		for range 10 {
			body := `{"Path":"/","Recursive":true,"MaxResults":2`
			if next != "" {
				body += `,"NextToken":"` + next + `"`
			}
			s := c.good("GetParametersByPath", body+"}")
			all = append(all, names(s))
			if next, _ = s.at("NextToken").(string); next == "" {
				break
			}
		}
		if strings.Join(all, " ") != "/s/a /s/b /s/sub/c /s/sub/d /sx /t/a single" {
			t.Error(all)
		}
		c.bad("InvalidNextToken", "GetParametersByPath", `{"Path":"/s","NextToken":"x"}`)
		c.bad("InvalidFilterKey", "GetParametersByPath", `{"Path":"/s","ParameterFilters":[{"Key":"Name","Values":["x"]}]}`)
		c.bad("InvalidFilterOption", "GetParametersByPath", `{"Path":"/s","ParameterFilters":[{"Key":"Label","Option":"BeginsWith","Values":["x"]}]}`)
		c.bad("ValidationException", "GetParametersByPath", `{"Path":"/s","MaxResults":11}`)
		c.bad("ValidationException", "GetParametersByPath", `{"Path":"s"}`)

		// Lists.
		c.good("AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/t/a","Tags":[{"Key":"team","Value":"red"}]}`)
		for filters, want := range map[string]string{
			`[{"Key":"Name","Option":"BeginsWith","Values":["/s/"]}]`:                   "/s/a /s/b /s/sub/c /s/sub/d",
			`[{"Key":"Name","Option":"Contains","Values":["sub"]}]`:                     "/s/sub/c /s/sub/d",
			`[{"Key":"Name","Values":["/s/a","/t/a"]}]`:                                 "/s/a /t/a",
			`[{"Key":"Path","Option":"OneLevel","Values":["/s"]}]`:                      "/s/a /s/b",
			`[{"Key":"Path","Option":"Recursive","Values":["/s/"]}]`:                    "/s/a /s/b /s/sub/c /s/sub/d",
			`[{"Key":"Type","Values":["SecureString"]}]`:                                "/s/b",
			`[{"Key":"Tier","Values":["Advanced"]}]`:                                    "",
			`[{"Key":"DataType","Values":["text"]},{"Key":"Name","Values":["single"]}]`: "single",
			`[{"Key":"tag:team","Values":["red"]}]`:                                     "/t/a",
			`[{"Key":"tag:team","Values":["blue"]}]`:                                    "",
		} {
			if s := c.good("DescribeParameters", `{"ParameterFilters":`+filters+`}`); names(s) != want {
				t.Errorf("%s: %s, want %s", filters, names(s), want)
			}
		}
		if s := c.good("DescribeParameters", `{"Filters":[{"Key":"Name","Values":["/s/sub"]}]}`); names(s) != "/s/sub/c /s/sub/d" {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "DescribeParameters", `{"Filters":[{"Key":"Name","Values":["a"]}],"ParameterFilters":[{"Key":"Name","Values":["a"]}]}`)
		c.bad("InvalidFilterKey", "DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Values":["a"]},{"Key":"Name","Values":["b"]}]}`)
		c.bad("InvalidFilterKey", "DescribeParameters", `{"ParameterFilters":[{"Key":"Colour","Values":["a"]}]}`)
		c.bad("InvalidFilterOption", "DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Option":"EndsWith","Values":["a"]}]}`)
		c.bad("InvalidFilterValue", "DescribeParameters", `{"ParameterFilters":[{"Key":"Path","Values":["a"]}]}`)
		c.bad("ValidationException", "DescribeParameters", `{"MaxResults":51}`)
	})
}

func TestHistoryLabelsAndTags(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		for i := range 3 {
			c.good("PutParameter", fmt.Sprintf(`{"Name":"/h/a","Value":"v%d","Type":"SecureString","Overwrite":true}`, i+1))
		}
		if s := c.good("LabelParameterVersion", `{"Name":"/h/a","ParameterVersion":1,"Labels":["prod","1bad","aws-x"]}`); !reflect.DeepEqual(s.at("InvalidLabels"), []any{"1bad", "aws-x"}) || s.at("ParameterVersion") != 1.0 {
			t.Error(s.raw)
		}
		c.good("LabelParameterVersion", `{"Name":"/h/a","Labels":["prod","next"]}`) // the newest; prod moves
		s := c.good("GetParameterHistory", `{"Name":"/h/a","WithDecryption":true}`)
		for i, want := range []struct {
			value  string
			labels []any
		}{{"v1", nil}, {"v2", nil}, {"v3", []any{"next", "prod"}}} {
			have, _ := s.at("Parameters", i, "Labels").([]any)
			if s.at("Parameters", i, "Value") != want.value || len(have) != len(want.labels) || len(have) > 0 && !reflect.DeepEqual(have, want.labels) || s.at("Parameters", i, "LastModifiedUser") == nil || s.at("Parameters", i, "ARN") != nil {
				t.Errorf("%d: %s", i, s.raw)
			}
		}
		if p := c.good("GetParameterHistory", `{"Name":"/h/a","MaxResults":2}`); p.at("NextToken") == nil {
			t.Error(p.raw)
		} else if q := c.good("GetParameterHistory", fmt.Sprintf(`{"Name":"/h/a","MaxResults":2,"NextToken":%q}`, p.at("NextToken"))); q.at("Parameters", 0, "Version") != 3.0 || q.at("NextToken") != nil {
			t.Error(q.raw)
		}
		if s := c.good("UnlabelParameterVersion", `{"Name":"/h/a","ParameterVersion":3,"Labels":["next","else"]}`); !reflect.DeepEqual(s.at("RemovedLabels"), []any{"next"}) || !reflect.DeepEqual(s.at("InvalidLabels"), []any{"else"}) {
			t.Error(s.raw)
		}
		c.bad("ValidationException", "UnlabelParameterVersion", `{"Name":"/h/a","Labels":["next"]}`)
		c.bad("ValidationException", "UnlabelParameterVersion", `{"Name":"/h/a","ParameterVersion":0,"Labels":["next"]}`) // 0 is not the newest
		c.bad("ParameterVersionNotFound", "LabelParameterVersion", `{"Name":"/h/a","ParameterVersion":9,"Labels":["x"]}`)
		c.bad("ParameterNotFound", "LabelParameterVersion", `{"Name":"/h/b","Labels":["x"]}`)
		c.good("LabelParameterVersion", `{"Name":"/h/a","ParameterVersion":2,"Labels":["l1","l2","l3","l4","l5","l6","l7","l8","l9","l10"]}`)
		c.bad("ParameterVersionLabelLimitExceeded", "LabelParameterVersion", `{"Name":"/h/a","ParameterVersion":2,"Labels":["l11"]}`)

		// Only a hundred versions, the oldest goes unless it has a label.
		for i := range 98 {
			c.good("PutParameter", fmt.Sprintf(`{"Name":"/h/a","Value":"w%d","Overwrite":true}`, i))
		}
		c.bad("ParameterVersionNotFound", "GetParameter", `{"Name":"/h/a:1"}`)
		c.bad("ParameterMaxVersionLimitExceeded", "PutParameter", `{"Name":"/h/a","Value":"x","Overwrite":true}`)

		c.good("AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/h/a","Tags":[{"Key":"a","Value":"1"},{"Key":"b","Value":"2"}]}`)
		c.good("AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/h/a","Tags":[{"Key":"a","Value":"3"}]}`)
		c.good("RemoveTagsFromResource", `{"ResourceType":"Parameter","ResourceId":"/h/a","TagKeys":["b","none"]}`)
		if s := c.good("ListTagsForResource", `{"ResourceType":"Parameter","ResourceId":"/h/a"}`); !reflect.DeepEqual(s.at("TagList"), []any{map[string]any{"Key": "a", "Value": "3"}}) {
			t.Error(s.raw)
		}
		c.bad("InvalidResourceId", "AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/h/none","Tags":[{"Key":"a","Value":"3"}]}`)
		c.bad("InvalidResourceId", "ListTagsForResource", `{"ResourceType":"Parameter","ResourceId":"/h/none"}`)
		c.bad("InvalidResourceType", "ListTagsForResource", `{"ResourceType":"Document","ResourceId":"/h/a"}`)
		var many []string
		for i := range 50 {
			many = append(many, fmt.Sprintf(`{"Key":"k%d","Value":"x"}`, i))
		}
		c.bad("TooManyTagsError", "AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/h/a","Tags":[`+strings.Join(many, ",")+`]}`)

		c.good("DeleteParameter", `{"Name":"/h/a"}`)
		c.bad("ParameterNotFound", "DeleteParameter", `{"Name":"/h/a"}`)
		c.bad("ParameterNotFound", "GetParameterHistory", `{"Name":"/h/a"}`)
		c.good("PutParameter", `{"Name":"/h/b","Value":"x","Type":"String"}`)
		if s := c.good("DeleteParameters", `{"Names":["/h/b","/h/none"]}`); !reflect.DeepEqual(s.at("DeletedParameters"), []any{"/h/b"}) || !reflect.DeepEqual(s.at("InvalidParameters"), []any{"/h/none"}) {
			t.Error(s.raw)
		}
		if s := c.good("PutParameter", `{"Name":"/h/a","Value":"x","Type":"String"}`); s.at("Version") != 1.0 {
			t.Error(s.raw)
		}
	})
}

// A key reaches its path, does what it may, and stands on its owner.
func TestKeys(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client) {
		for _, n := range []string{"/svc/a", "/svc-b/a", "/svc"} {
			c.good("PutParameter", fmt.Sprintf(`{"Name":%q,"Value":"1","Type":"SecureString"}`, n))
		}
		reader := w.client(vault.NewKey{Path: "/svc", Reads: true})
		reader.good("GetParameter", `{"Name":"/svc/a"}`)
		reader.good("GetParameter", `{"Name":"/svc"}`)
		reader.good("GetParametersByPath", `{"Path":"/svc"}`)
		reader.bad("AccessDeniedException", "GetParameter", `{"Name":"/svc-b/a"}`)
		reader.bad("AccessDeniedException", "GetParameter", `{"Name":"/svc-b/none"}`) // and no word on what is there
		reader.bad("AccessDeniedException", "GetParametersByPath", `{"Path":"/","Recursive":true}`)
		reader.bad("AccessDeniedException", "DescribeParameters", `{}`)
		reader.bad("AccessDeniedException", "PutParameter", `{"Name":"/svc/new","Value":"1","Type":"String"}`)
		reader.bad("AccessDeniedException", "DeleteParameter", `{"Name":"/svc/a"}`)
		writer := w.client(vault.NewKey{Path: "/svc", Owner: "person/eli"})
		writer.good("PutParameter", `{"Name":"/svc/new","Value":"1","Type":"String"}`)
		writer.bad("AccessDeniedException", "PutParameter", `{"Name":"/svc-b/new","Value":"1","Type":"String"}`)
		w.client(vault.NewKey{Path: "/svc", Owner: "person/aud"}).bad("AccessDeniedException", "GetParameter", `{"Name":"/svc/a"}`) // an auditor sees no values
		delete(w.owners, "person/eli")
		writer.bad("UnrecognizedClientException", "GetParameter", `{"Name":"/svc/a"}`)
		w.kit.Clock.Advance(90 * 24 * time.Hour)
		reader.bad("UnrecognizedClientException", "GetParameter", `{"Name":"/svc/a"}`)
		fresh := w.client(vault.NewKey{Path: "/"})
		fresh.good("GetParameter", `{"Name":"/svc/a"}`)
		if err := w.vault.EndKey(t.Context(), operator, fresh.key.ID); err != nil {
			t.Fatal(err)
		}
		fresh.bad("UnrecognizedClientException", "GetParameter", `{"Name":"/svc/a"}`)
		ks, err := w.vault.AccessKeys(t.Context(), operator)
		if err != nil || len(ks) != 5 || !ks[0].Ended || ks[0].Seen.IsZero() {
			t.Errorf("%v %v", ks, err)
		}
		who, _, err := w.vault.Caller(t.Context(), w.client(vault.NewKey{Path: "/"}).key.ID, secret.Text{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.vault.IssueKey(t.Context(), who, vault.NewKey{Path: "/"}); err == nil {
			t.Error("a key made a key")
		}
		if _, err := w.vault.Put(t.Context(), operator, vault.Put{Name: "/x", Value: secret.NewText("\xff"), Type: vault.String}); err == nil {
			t.Error("a value that is no text was taken")
		}
	})
}
