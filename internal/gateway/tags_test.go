package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// What a route's data is comes from the tags of the operations under it, by method, and of their
// fields.
func TestDataUnderARoute(t *testing.T) { // breaks: inc.breach-scope
	api := strings.Replace(ordersAPI, `"get": {"parameters"`, `"get": {"tags": ["contact"], "parameters"`, 1)
	api = strings.Replace(api, `"x-writ-mask": "last4"`, `"x-writ-mask": "last4", "x-writ-data": "financial"`, 1)
	api = strings.Replace(api, `"get": {"security": [{"o"`, `"get": {"tags": ["financial", "contact"], "security": [{"o"`, 1)
	k := described(t, options{api: api})
	for what, want := range map[string]string{"GET /orders/": "[{GET /orders/list [contact] [{/card financial}]} {GET /orders/{id} [financial contact] []}]", "GET /orders/list": "[{GET /orders/list [contact] [{/card financial}]}]",
		"PUT /orders/": "[{PUT /orders/{id} [] []}]", "GET /open": "[]", "GET /nothing/": "[]"} {
		method, pattern, _ := strings.Cut(what, " ")
		if got := fmt.Sprint(k.g.Data(method, pattern)); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}
