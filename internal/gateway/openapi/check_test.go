package openapi_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"writ/internal/gateway/openapi"
)

const shop = `"/items/{id}": {
 "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}],
 "get": {"parameters": [
   {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
   {"name": "on", "in": "query", "schema": {"type": "string", "format": "date"}},
   {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
   {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["up", "down"]}},
   {"name": "tag", "in": "query", "schema": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 5}}},
   {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}}},
   {"name": "pipe", "in": "query", "style": "pipeDelimited", "explode": false, "schema": {"type": "array", "items": {"type": "integer"}}},
   {"name": "f", "in": "query", "style": "deepObject", "schema": {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}},
   {"name": "j", "in": "query", "content": {"application/json": {"schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}}},
   {"name": "X-Trace", "in": "header", "schema": {"type": "string", "pattern": "^[a-f]+$"}},
   {"name": "theme", "in": "cookie", "schema": {"type": "string", "enum": ["dark"]}}],
  "responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}, "4XX": {"description": "no"}}},
 "put": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}},
   "application/x-www-form-urlencoded": {"schema": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "t": {"type": "array", "items": {"type": "string", "maxLength": 3}}}}},
   "multipart/form-data": {"schema": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "file": {"type": "string", "format": "binary"}, "meta": {"type": "object", "properties": {"a": {"type": "integer"}}}}}},
   "text/plain": {"schema": {"type": "string", "maxLength": 4}}, "image/png": {"schema": {"type": "string", "format": "binary"}}}},
  "responses": {"200": {"description": "d"}}},
 "delete": {"responses": {"204": {"description": "d"}}}},
"/strict": {"get": {"x-writ-headers": "described", "parameters": [{"name": "X-One", "in": "header", "required": true, "schema": {"type": "integer"}}], "responses": {"200": {"description": "d"}}}}`

const item = `, "schemas": {"Item": {"type": "object", "required": ["id", "name"], "properties": {
  "id": {"type": "string", "format": "uuid", "readOnly": true}, "name": {"type": "string", "minLength": 1, "maxLength": 5}, "secret": {"type": "string", "writeOnly": true},
  "price": {"type": "number", "minimum": 0, "x-writ-mask": "all"}, "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}}, "free": {"type": "object", "additionalProperties": {"type": "integer"}},
  "kind": {"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}]}}},
 "Base": {"type": "object", "properties": {"no": {"type": "integer"}}}, "Part": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "properties": {"card": {"type": "string", "maxLength": 20, "x-writ-mask": "last4"}, "sub": {"$ref": "#/components/schemas/Part"}}}]},
 "A": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}, "B": {"type": "object", "required": ["b"], "properties": {"b": {"type": "string", "maxLength": 3}}}}`

const uuid = "/items/0197f7a2-1111-7abc-8def-0123456789ab"

func wrongs(all []openapi.Wrong) string {
	var s []string
	for _, w := range all {
		s = append(s, w.Place()+" "+w.Keyword)
	}
	slices.Sort(s)
	return strings.Join(s, "; ")
}

// both runs a test for 3.0 and 3.1.
func both(t *testing.T, paths, components string, f func(*testing.T, *openapi.API)) {
	for _, v := range []string{"3.0.3", "3.1.0"} {
		t.Run(v, func(t *testing.T) { f(t, load(t, doc(v, paths, components))) })
	}
}

// What nobody described is refused, and the refusal says where and which rule, no value.
func TestParameters(t *testing.T) { // breaks: use.public-api
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		for target, want := range map[string]string{
			"": "", "limit=5&on=2026-02-03&deep=true&sort=up&tag=a&tag=b&ids=1,2&pipe=1|2&f[n]=1&f%5Bs%5D=x&j=%7B%22a%22:1%7D": "",
			"limit=0": "query/limit minimum", "limit=101": "query/limit maximum", "limit=x": "query/limit type", "limit=": "query/limit type", "limit=1.5": "query/limit type", "limit=01": "query/limit type",
			"limit=1&limit=2": "query/limit repeated", "limit=1e99999999": "query/limit type", "other=1": "query/other unknown", "4111111111111111=1": "query unknown", "li%6dit=1000": "query/limit maximum",
			"on=3-2-2026": "query/on format", "deep=1": "query/deep type", "sort=4111111111111111": "query/sort enum", "tag=a&tag=b&tag=c": "query/tag maxItems", "tag=toolong": "query/tag/0 maxLength",
			"ids=1,x": "query/ids/1 type", "ids=1%2C2": "query/ids delimiter", "pipe=1%7C2": "query/pipe delimiter", "f[n]=x": "query/f/n type", "f[z]=1": "query/f unknown", "f=1": "query/f unknown", "f[n]=1&f[n]=2": "query/f repeated", "g[n]=1": "query/g[n] unknown",
			"j=1": "query/j type", "j={": "query/j json", `j={"a":1,"a":2}`: "query/j json", `j={"z":1}`: "query/j/z unknown", "limit": "query/limit type", "&": "query unknown",
		} {
			m := a.Find("GET", uuid)
			all, err := m.Check(openapi.Request{Query: target, Header: http.Header{}})
			if got := wrongs(all); got != want || err != nil {
				t.Errorf("?%s: %q, want %q (%v)", target, got, want, err)
			}
		}
		m := a.Find("GET", "/items/4111111111111111")
		if all, _ := m.Check(openapi.Request{}); wrongs(all) != "path/id format" {
			t.Errorf("path: %s", wrongs(all))
		}
		for name, x := range map[string]struct {
			h       http.Header
			program bool
			want    string
		}{
			"header":            {http.Header{"X-Trace": {"abc"}}, true, ""},
			"wrong header":      {http.Header{"X-Trace": {"4111"}}, false, "header/X-Trace pattern"},
			"header twice":      {http.Header{"X-Trace": {"abc", "abc"}}, false, "header/X-Trace repeated"},
			"cookie":            {http.Header{"Cookie": {"theme=dark; __Host-writ=x"}}, true, ""},
			"wrong cookie":      {http.Header{"Cookie": {"theme=light"}}, false, "cookie/theme enum"},
			"cookie twice":      {http.Header{"Cookie": {"theme=dark", "theme=dark"}}, false, "cookie/theme repeated"},
			"unknown, program":  {http.Header{"Cookie": {"a=b"}}, true, "cookie/a unknown"},
			"unknown, a person": {http.Header{"Cookie": {"a=b"}}, false, ""},
		} {
			m := a.Find("GET", uuid)
			if all, err := m.Check(openapi.Request{Header: x.h, Program: x.program}); wrongs(all) != x.want || err != nil {
				t.Errorf("%s: %s", name, wrongs(all))
			}
		}
		m = a.Find("GET", "/strict")
		if all, _ := m.Check(openapi.Request{Header: http.Header{"X-Two": {"1"}, "Accept": {"*/*"}, "Sec-Fetch-Site": {"none"}}}); wrongs(all) != "header/X-One required; header/X-Two unknown" {
			t.Errorf("strict: %s", wrongs(all))
		}
	})
}

// A body is there only where one is described, however its length is said.
func TestWhetherABodyMayBe(t *testing.T) { // breaks: use.public-api
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		for x, want := range map[string]string{"GET 0": "", "GET 5": "body body", "GET -1": "body body", "DELETE -1": "body body", "PUT 0": "body required", "PUT 5": "", "PUT -1": ""} {
			var method string
			var length int64
			fmt.Sscan(x, &method, &length)
			m := a.Find(method, uuid)
			if all, _ := m.Check(openapi.Request{Length: length}); wrongs(all) != want {
				t.Errorf("%s: %s", x, wrongs(all))
			}
		}
	})
}

func put(a *openapi.API, kind, body string) string {
	m := a.Find("PUT", uuid)
	md, params := m.Op.Media(http.Header{"Content-Type": {kind}})
	if md == nil {
		return "415"
	}
	all, err := md.Body([]byte(body), params)
	if err != nil {
		return err.Error()
	}
	return wrongs(all)
}

func TestBodies(t *testing.T) { // breaks: use.public-api
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		const js = "application/json"
		for name, x := range map[string]struct{ kind, body, want string }{
			"good":                   {js, `{"name":"a","price":1.50,"parts":[{"no":1,"card":"4","sub":{"no":2}}],"free":{"x":1},"kind":{"a":1},"secret":"s"}`, ""},
			"with a character set":   {js + "; charset=UTF-8", `{"name":"a"}`, ""},
			"another character set":  {js + "; charset=utf-16", `{"name":"a"}`, "415"},
			"another media type":     {"application/xml", `<a/>`, "415"},
			"media type of nobody":   {"json", `{}`, "415"},
			"missing":                {js, `{}`, "body/name required"},
			"empty":                  {js, ``, "body required"},
			"only read":              {js, `{"name":"a","id":"0197f7a2-1111-7abc-8def-0123456789ab"}`, "body/id unknown"},
			"unknown field":          {js, `{"name":"a","evil":1}`, "body/evil unknown"},
			"unknown, a number":      {js, `{"name":"a","4111111111111111":1}`, "body/* unknown"},
			"unknown, joined":        {js, `{"name":"a","parts":[{"no":1,"evil":1}]}`, "body/parts/0/evil unknown"},
			"unknown, far down":      {js, `{"name":"a","parts":[{"sub":{"sub":{"evil":1}}}]}`, "body/parts/0/sub/sub/evil unknown"},
			"unknown, one of two":    {js, `{"name":"a","kind":{"a":1,"evil":1}}`, "body/kind/evil unknown"},
			"none of two":            {js, `{"name":"a","kind":{}}`, "body/kind oneOf"},
			"too long":               {js, `{"name":"4111111111111111"}`, "body/name maxLength"},
			"wrong type":             {js, `{"name":4111111111111111}`, "body/name type"},
			"free, wrong type":       {js, `{"name":"a","free":{"4111111111111111":"x"}}`, "body/free/* type"},
			"no JSON":                {js, `{"name":}`, "body json"},
			"two values":             {js, `{"name":"a"}{}`, "body json"},
			"name twice":             {js, `{"name":"a","name":"b"}`, "body duplicate"},
			"name twice, escaped":    {js, `{"name":"a","n\u0061me":"b"}`, "body duplicate"},
			"broken UTF-8":           {js, "{\"name\":\"\xff\"}", "body json"},
			"a number of a gigabyte": {js, `{"name":"a","price":1e999999999}`, "body number"},
			"nested without end":     {js, strings.Repeat(`[`, 10000), "body depth"},
			"as deep as it may be":   {js, strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64), "body type"},
			"one deeper":             {js, strings.Repeat(`[`, 65) + strings.Repeat(`]`, 65), "body depth"},
			"form":                   {"application/x-www-form-urlencoded", "n=1&t=a&t=b", ""},
			"form, unknown":          {"application/x-www-form-urlencoded", "n=1&z=a", "body/z unknown"},
			"form, twice":            {"application/x-www-form-urlencoded", "n=1&n=2", "body/n repeated"},
			"form, escape":           {"application/x-www-form-urlencoded", "n=%zz", "body encoding"},
			"form, list":             {"application/x-www-form-urlencoded", "n=1&t=long", "body/t/0 maxLength"},
			"text":                   {"text/plain", "four", ""},
			"text, too long":         {"text/plain", "fives", "body maxLength"},
			"not looked into":        {"image/png", "anything", ""},
			"parts without boundary": {"multipart/form-data", "x", "body encoding"},
		} {
			if got := put(a, x.kind, x.body); got != x.want {
				t.Errorf("%s: %q, want %q", name, got, x.want)
			}
		}
		if md, _ := a.Find("PUT", uuid).Op.Media(http.Header{"Content-Type": {js}, "Content-Encoding": {"gzip"}}); md != nil {
			t.Error("a packed body is taken, and nobody would see what is in it")
		}
		if md, _ := a.Find("PUT", uuid).Op.Media(http.Header{"Content-Type": {js, "text/plain"}}); md != nil {
			t.Error("a media type that is said twice is taken")
		}
	})
}

func TestParts(t *testing.T) { // breaks: use.public-api
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		form := func(parts ...[2]string) (string, string) {
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			for _, p := range parts {
				name, file, _ := strings.Cut(p[0], "@")
				h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + name + `"`}}
				if file != "" {
					h.Set("Content-Disposition", h.Get("Content-Disposition")+`; filename="`+file+`"`)
				}
				pw, _ := w.CreatePart(h)
				io.WriteString(pw, p[1])
			}
			w.Close()
			return w.FormDataContentType(), b.String()
		}
		for want, parts := range map[string][][2]string{
			"":                    {{"n", "1"}, {"file@a.bin", "\xff\x00"}, {"meta", `{"a":1}`}},
			"body/n type":         {{"n", "x"}},
			"body/n required":     {{"file@a", "x"}},
			"body/n repeated":     {{"n", "1"}, {"n", "2"}},
			"body/z unknown":      {{"n", "1"}, {"z", "1"}},
			"body/meta/a type":    {{"n", "1"}, {"meta", `{"a":"b"}`}},
			"body/meta/z unknown": {{"n", "1"}, {"meta", `{"z":"b"}`}},
		} {
			kind, body := form(parts...)
			if got := put(a, kind, body); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		kind, body := form(slices.Repeat([][2]string{{"n", "1"}}, 101)...)
		if got := put(a, kind, body); got != "body parts" {
			t.Errorf("101 parts: %q", got)
		}
	})
}

// No refusal repeats what was sent: a test card in each place comes back in none.
func TestNoValueInRefusals(t *testing.T) {
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		const card = "4111111111111111"
		see := func(all []openapi.Wrong) {
			if len(all) == 0 {
				t.Error("nothing was refused")
			}
			for _, w := range all {
				if strings.Contains(w.Place()+w.Problem()+w.Keyword, "4111") {
					t.Errorf("%+v", w)
				}
			}
		}
		m := a.Find("GET", "/items/"+card)
		all, _ := m.Check(openapi.Request{Query: card + "=1&limit=" + card + "x&f[" + card + "]=1", Header: http.Header{"X-Trace": {card}, "Cookie": {card + "=1; theme=" + card}}, Program: true})
		see(all)
		md, _ := a.Find("PUT", uuid).Op.Media(http.Header{"Content-Type": {"application/json"}})
		for _, body := range []string{`{"` + card + `":1}`, `{"name":"` + card + `"}`, `{"name":"a","free":{"` + card + `":"x"}}`, `{"name":"a","kind":"` + card + `"}`} {
			all, _ := md.Body([]byte(body), nil)
			see(all)
		}
	})
}

func TestAccept(t *testing.T) { // breaks: use.public-api
	op := load(t, doc("3.1.0", shop, item)).Find("GET", uuid).Op
	for accept, want := range map[string]bool{"": true, "*/*": true, "application/json": true, "application/*;q=0.1": true, "text/html": false, "application/json;q=0": false, "text/html, */*;q=0.1": true} {
		h := http.Header{}
		if accept != "" {
			h.Set("Accept", accept)
		}
		if got := op.Gives(h); got != want {
			t.Errorf("%s: %v", accept, got)
		}
	}
}

func TestAnswers(t *testing.T) {
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		op := a.Find("GET", uuid).Op
		good := `{"id":"0197f7a2-1111-7abc-8def-0123456789ab","name":"a","more":1}`
		for name, x := range map[string]struct {
			status     int
			kind, body string
			want       string
		}{
			"good, and more than described": {200, "application/json", good, ""}, "missing": {200, "application/json", `{}`, "required"}, "no JSON": {200, "application/json", `x`, "json"},
			"only written": {200, "application/json", strings.Replace(good, "more", "secret", 1), "unknown"}, "status": {201, "application/json", good, "status"}, "family of statuses": {404, "text/html", "x", "media"}, "media": {200, "text/html", "x", "media"}, "media, unseen": {200, "text/html", "", "media"}, "unseen": {200, "application/json", "", ""},
		} {
			if got, err := op.CheckAnswer(x.status, x.kind, []byte(x.body)); got != x.want || err != nil {
				t.Errorf("%s: %q", name, got)
			}
		}
		var masks []string
		for _, m := range op.Masks(200, "application/json; charset=utf-8") {
			masks = append(masks, m.Pointer+"="+m.How)
		}
		for _, want := range []string{"/price=all", "/parts/*/card=last4", "/parts/*/sub/card=last4"} {
			if !slices.Contains(masks, want) {
				t.Errorf("no mask %s in %v", want, masks)
			}
		}
	})
}

// A number whose exact value takes a gigabyte is not read, and a request with countless faults is told
// of twenty.
func TestJudgingIsBounded(t *testing.T) { // breaks: use.public-api
	both(t, shop, item, func(t *testing.T, a *openapi.API) {
		md, _ := a.Find("PUT", uuid).Op.Media(http.Header{"Content-Type": {"application/json"}})
		for _, n := range []string{strings.Repeat("9", 401), "1e401", "1e-401", "1." + strings.Repeat("0", 400)} {
			if all, err := md.Body([]byte(`{"price":`+n+`}`), nil); err != nil || !strings.Contains(wrongs(all), "number") {
				t.Errorf("%.12s…: %s %v", n, wrongs(all), err)
			}
		}
		bad := strings.TrimSuffix(strings.Repeat(`{"no":"x"},`, 50), ",")
		if all, err := md.Body([]byte(`{"parts":[`+bad+`]}`), nil); err != nil || len(all) != 20 {
			t.Errorf("%d faults, want 20: %v", len(all), err)
		}
	})
}

func TestOldWays(t *testing.T) {
	a := load(t, doc("3.0.3", `"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {
"a": {"type": "string", "nullable": true, "maxLength": 3}, "b": {"type": "integer", "minimum": 1, "exclusiveMinimum": true}, "c": {"type": "integer", "maximum": 9, "exclusiveMaximum": false}, "d": {"type": "string"}}}}}}, `+ok+`}}`, ""))
	md, _ := a.Find("POST", "/x").Op.Media(http.Header{"Content-Type": {"application/json"}})
	for body, want := range map[string]string{`{"a":null}`: "", `{"a":"long"}`: "body/a maxLength", `{"b":1}`: "body/b exclusiveMinimum", `{"b":2}`: "", `{"c":9}`: "", `{"c":10}`: "body/c maximum", `{"d":null}`: "body/d type"} {
		if all, _ := md.Body([]byte(body), nil); wrongs(all) != want {
			t.Errorf("%s: %s", body, wrongs(all))
		}
	}
}
