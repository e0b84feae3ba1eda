package ssm_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"writ/internal/vault"
)

// What chamber sends, call by call: it writes, reads, lists and runs with a service's values.
func TestReplay_chamber(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		w.vault.AutoAlias = true // the operator's switch; chamber names a key of its own
		write := func(name, value, number string) {
			t.Helper()
			c.good("GetParameters", fmt.Sprintf(`{"Names":[%q],"WithDecryption":false}`, name))
			c.good("DescribeParameters", `{"MaxResults":50,"ParameterFilters":[{"Key":"Path","Option":"OneLevel","Values":["/shop"]}]}`)
			if s := c.good("GetParameters", `{"Names":["/_chamber/store-config"],"WithDecryption":true}`); !reflect.DeepEqual(s.at("InvalidParameters"), []any{"/_chamber/store-config"}) {
				t.Error(s.raw)
			}
			s := c.good("PutParameter", fmt.Sprintf(`{"Name":%q,"Value":%q,"Type":"SecureString","KeyId":"alias/parameter_store_key","Overwrite":true,"Description":%q}`, name, value, number))
			if fmt.Sprint(s.at("Version")) != number {
				t.Error(s.raw)
			}
		}
		write("/shop/db_password", "first", "1")
		write("/shop/db_password", "second", "2")
		write("/shop/api_key", "key", "1")
		if s := c.good("GetParametersByPath", `{"Path":"/shop/","WithDecryption":true}`); s.at("Parameters", 0, "Value") != "key" || s.at("Parameters", 1, "Value") != "second" || s.at("Parameters", 2) != nil { // exec, export
			t.Error(s.raw)
		}
		s := c.good("DescribeParameters", `{"MaxResults":50,"ParameterFilters":[{"Key":"Path","Option":"OneLevel","Values":["/shop"]}]}`) // list
		for i, d := range []string{"1", "2"} {
			for _, must := range []string{"Name", "LastModifiedUser", "LastModifiedDate", "Version", "Description"} { // read without a look whether they are there
				if s.at("Parameters", i, must) == nil {
					t.Errorf("%s is missing: %s", must, s.raw)
				}
			}
			if s.at("Parameters", i, "Description") != d || s.at("Parameters", i, "KeyId") != "alias/parameter_store_key" {
				t.Error(s.raw)
			}
		}
		if s := c.good("DescribeParameters", `{"MaxResults":50,"ParameterFilters":[{"Key":"Name","Option":"BeginsWith","Values":["/"]}]}`); len(s.at("Parameters").([]any)) != 2 { // list-services
			t.Error(s.raw)
		}
		h := c.good("GetParameterHistory", `{"Name":"/shop/db_password","WithDecryption":false}`)
		if h.at("Parameters", 1, "Version") != 2.0 || h.at("Parameters", 0, "LastModifiedUser") == nil || h.at("Parameters", 0, "LastModifiedDate") == nil {
			t.Error(h.raw)
		}
		if s := c.good("GetParameters", `{"Names":["/shop/db_password:1"],"WithDecryption":true}`); s.at("Parameters", 0, "Value") != "first" {
			t.Error(s.raw)
		}
		c.good("AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/shop/api_key","Tags":[{"Key":"env","Value":"live"}]}`)
		c.bad("InvalidResourceId", "ListTagsForResource", `{"ResourceType":"Parameter","ResourceId":"/shop/none"}`)
		c.good("DeleteParameter", `{"Name":"/shop/api_key"}`)
		c.bad("ParameterNotFound", "DeleteParameter", `{"Name":"/shop/api_key"}`)
	})
}

// What terraform sends for a resource that is made, changed, made another type, and removed.
func TestReplay_terraform(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		read := func(kind, value string, version float64) {
			t.Helper()
			if s := c.good("GetParameter", `{"Name":"/tf/a","WithDecryption":true}`); s.at("Parameter", "Value") != value || s.at("Parameter", "Type") != kind || s.at("Parameter", "Version") != version {
				t.Error(s.raw)
			}
			s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Option":"Equals","Values":["/tf/a"]}]}`)
			if ps := s.at("Parameters").([]any); len(ps) != 1 || s.at("Parameters", 0, "Tier") != "Standard" {
				t.Error(s.raw)
			}
			c.good("ListTagsForResource", `{"ResourceType":"Parameter","ResourceId":"/tf/a"}`)
		}
		c.good("PutParameter", `{"Name":"/tf/a","Value":"1","Type":"String","AllowedPattern":"","Tier":"Standard","Tags":[{"Key":"by","Value":"tf"}]}`)
		read("String", "1", 1)
		c.good("PutParameter", `{"Name":"/tf/a","Value":"2","Type":"String","AllowedPattern":"","Overwrite":true,"Tier":"Standard","DataType":"text"}`)
		c.good("AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/tf/a","Tags":[{"Key":"by","Value":"tf"}]}`)
		read("String", "2", 2)
		secure := `{"Name":"/tf/a","Value":"3","Type":"SecureString","AllowedPattern":"","Overwrite":true,"Tier":"Standard","KeyId":"alias/aws/ssm"}`
		c.bad("HierarchyTypeMismatchException", "PutParameter", secure)
		w.vault.ChangeType = true // the operator's switch
		c.good("PutParameter", secure)
		read("SecureString", "3", 3)
		if s := c.good("GetParameterHistory", `{"Name":"/tf/a","WithDecryption":false}`); s.at("Parameters", 0, "Value") != "1" || s.at("Parameters", 2, "Value") == "3" || s.at("Parameters", 2, "KeyId") != "alias/aws/ssm" {
			t.Error(s.raw)
		}
		c.good("PutParameter", `{"Name":"/tf/a","Value":"4","Type":"String","AllowedPattern":"","Overwrite":true}`)
		if s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Values":["/tf/a"]}]}`); s.at("Parameters", 0, "KeyId") != nil || s.at("Parameters", 0, "Type") != "String" {
			t.Error(s.raw)
		}
		c.good("DeleteParameter", `{"Name":"/tf/a"}`)
		c.bad("ParameterNotFound", "DeleteParameter", `{"Name":"/tf/a"}`)
		c.bad("ParameterNotFound", "GetParameter", `{"Name":"/tf/a","WithDecryption":true}`)
	})
}

// What external-secrets sends: single values by selector, paths, and another way when it may
// not read a path.
func TestReplay_externalSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world, c client) {
		for i, v := range []string{"1", "2"} {
			c.good("PutParameter", fmt.Sprintf(`{"Name":"/es/a","Value":%q,"Type":"SecureString","Overwrite":%t}`, v, i > 0))
		}
		c.good("PutParameter", `{"Name":"/es/b/c","Value":"3","Type":"String","Tags":[{"Key":"sync","Value":"yes"}]}`)
		c.good("LabelParameterVersion", `{"Name":"/es/a","ParameterVersion":1,"Labels":["stable"]}`)
		for sel, want := range map[string]string{"/es/a": "2", "/es/a:1": "1", "/es/a:stable": "1"} {
			if s := c.good("GetParameter", fmt.Sprintf(`{"Name":%q,"WithDecryption":true}`, sel)); s.at("Parameter", "Value") != want {
				t.Error(s.raw)
			}
		}
		if s := c.good("GetParametersByPath", `{"Path":"/es","Recursive":true,"WithDecryption":true}`); len(s.at("Parameters").([]any)) != 2 {
			t.Error(s.raw)
		}
		narrow := w.client(vault.NewKey{Path: "/es/b", Reads: true})
		narrow.bad("AccessDeniedException", "GetParametersByPath", `{"Path":"/es","Recursive":true,"WithDecryption":true}`)
		if s := c.good("DescribeParameters", `{"ParameterFilters":[{"Key":"tag:sync","Option":"Equals","Values":["yes"]},{"Key":"Path","Option":"Recursive","Values":["/es"]}]}`); s.at("Parameters", 0, "Name") != "/es/b/c" || s.at("Parameters", 1) != nil {
			t.Error(s.raw)
		}
		if s := narrow.good("GetParameter", `{"Name":"/es/b/c","WithDecryption":true}`); s.at("Parameter", "Value") != "3" {
			t.Error(s.raw)
		}
		if s := c.call("GetParameter", `{"Name":"/es/none","WithDecryption":true}`); !strings.Contains(s.raw, "ParameterNotFound") {
			t.Error(s.raw)
		}
	})
}
