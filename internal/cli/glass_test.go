package cli_test

import "testing"

// A share comes from standard input and is sent once; what comes back is told in words.
func TestGlass(t *testing.T) {
	f := serve(t)
	f.on("POST break-glass/sets", `{"number":3,"need":2,"state":"waiting","shares":[{"place":1,"name":"Ana"},{"place":2,"name":"Ben"},{"place":3,"name":"Eve"}]}`)
	f.on("GET break-glass", `{"live":{"number":2,"need":2,"state":"live","shares":[{"place":1,"name":"Ana","picked_up":"2026-11-02T06:00:00Z"},{"place":2,"name":"Ben","left":true}]},"uses":[]}`)
	f.on("DELETE break-glass/sets", nil)
	f.must(0, []string{"break-glass", "prepare", "--holder", "ana", "--holder", "ben", "--holder", "eve", "--need", "2"}, "Set 3 is prepared: 2 of 3 are needed")
	f.must(0, []string{"break-glass", "show"}, "Ana", "2 of 2", "not yet, has left", "never tried")
	f.must(0, []string{"break-glass", "show", "--format", "json"}, `"live"`)
	f.must(0, []string{"break-glass", "withdraw"}, "withdrawn")
	f.must(2, []string{"break-glass", "prepare"}, "holder")
	f.must(2, []string{"break-glass", "open"}, "--reason")
	f.must(2, []string{"break-glass", "open", "--reason", "x", "--code", "y"}, "--reason")
	f.must(2, []string{"break-glass", "drill"}, "tandard input holds no share")
	if !f.asked("POST", `"holders":["ana","ben","eve"]`, `"need":2`) || !f.asked("DELETE", "break-glass/sets") {
		t.Errorf("asked %q", f.seen)
	}
	for _, c := range []struct {
		answer string
		args   []string
		says   []string
	}{
		{`{"code":"K3PX-9T2M","given":1,"need":2,"until":"2026-11-02T06:15:00Z"}`, []string{"open", "--reason", "all are ill"}, []string{"1 of 2 shares are given", "06:15 UTC", "K3PX-9T2M"}},
		{`{"given":2,"need":2,"done":true,"until":"2026-11-02T06:05:00Z","url":"https://x/-/break-glass/enter/t"}`, []string{"open", "--code", "K3PX-9T2M"}, []string{"The glass is broken", "https://x/-/break-glass/enter/t"}},
		{`{"given":2,"need":2,"done":true,"drill":true}`, []string{"drill", "--code", "K3PX-9T2M"}, []string{"The shares fit"}},
	} {
		f := serve(t)
		f.on("POST break-glass", c.answer)
		f.in = " 048S-2YQM \n"
		f.must(0, append([]string{"break-glass"}, c.args...), c.says...)
		if !f.asked("POST", `"share":"048S-2YQM"`) {
			t.Errorf("%v asked %q", c.args, f.seen)
		}
	}
}
