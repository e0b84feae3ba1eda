package openapi_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"writ/internal/gateway/openapi"
)

// Whatever a file holds, it is read or refused with a place, and never ends the server.
func FuzzLoad(f *testing.F) {
	f.Add(doc("3.1.0", shop, item))
	f.Add(doc("3.0.3", shop, item))
	f.Add("openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n  /x:\n    get: {responses: {200: {description: d}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := openapi.Load(t.Context(), openapi.Source{Name: "f", Text: []byte(text)})
		if err != nil {
			return
		}
		a.Each(func(p *openapi.Path, op *openapi.Operation) {
			m := a.Find(op.Method, p.Template)
			if m.Op != nil {
				if _, err := m.Check(openapi.Request{}); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// Whatever a request says, it is judged and not repeated.
func FuzzBody(f *testing.F) {
	a := load(f, doc("3.1.0", shop, item))
	op := a.Find("PUT", uuid).Op
	for _, s := range []string{`{"name":"a"}`, `{"name":"a","name":"b"}`, "n=1&t=a", "[[[[", `{"name":"a","price":1e400}`, "--x\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n--x--\r\n"} {
		f.Add("application/json", s)
		f.Add("application/x-www-form-urlencoded", s)
		f.Add("multipart/form-data; boundary=x", s)
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		md, params := op.Media(http.Header{"Content-Type": {kind}})
		if md == nil {
			return
		}
		all, err := md.Body([]byte(body), params)
		if err != nil {
			t.Fatal(err)
		}
		if md.Type == "application/json" && len(all) == 0 && body != "" {
			var v struct{ Name string }
			if err := json.Unmarshal([]byte(body), &v); err != nil || v.Name == "" {
				t.Errorf("taken: %q (%v)", body, err)
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	a := load(f, doc("3.1.0", shop, item))
	f.Add("limit=1&f[n]=2&j={}&pipe=1|2")
	f.Fuzz(func(t *testing.T, q string) {
		m := a.Find("GET", uuid)
		if _, err := m.Check(openapi.Request{Query: q, Header: http.Header{"Cookie": {q}, "X-Trace": {q}}, Program: true}); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkGet(b *testing.B) {
	a := load(b, doc("3.1.0", shop, item))
	h := http.Header{"Accept": {"application/json"}}
	for name, q := range map[string]string{"plain": "", "typed": "limit=10&sort=up"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := a.Find("GET", uuid)
				if all, err := m.Check(openapi.Request{Query: q, Header: h}); err != nil || len(all) > 0 {
					b.Fatal(all, err)
				}
			}
		})
	}
}

func BenchmarkBody(b *testing.B) {
	a := load(b, doc("3.1.0", shop, item))
	md, _ := a.Find("PUT", uuid).Op.Media(http.Header{"Content-Type": {"application/json"}})
	body := []byte(`{"name":"a","kind":{"a":1},"price":3,"parts":[`)
	for i := range 25 {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"no":17,"card":"0123456789abcdef"}`...)
	}
	body = append(body, `]}`...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if all, err := md.Body(body, nil); err != nil || len(all) > 0 {
			b.Fatal(all, err)
		}
	}
}
