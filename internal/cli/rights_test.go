package cli_test

import (
	"net/http"
	"testing"
)

func TestRights(t *testing.T) {
	f := serve(t)
	g := `{"id":"g1","handle":"dana","role":"engineer","state":"counts","until":"2026-03-01T12:00:00Z","reason":"incident 12"}`
	f.on("POST grants", g)
	f.onDo("GET grants", func(r *http.Request) any {
		if r.FormValue("ended") != "true" {
			return `{"grants":[]}`
		}
		return `{"grants":[` + g + `,{"id":"g2","handle":"emil","role":"auditor","need":"project/x","state":"ended","cause":"need-ended"}]}`
	})
	f.on("POST grants/{id}/approve", g)
	f.on("DELETE grants/{id}", nil)
	f.on("POST needs/end", `{"ended":1}`)
	f.on("GET rights", `{"rights":[{"handle":"eve","role":"support","since":"2026-01-01T10:00:00Z","unused":true,"proposed":true}]}`)
	f.must(0, []string{"user", "grant", "person/dana", "--role", "engineer", "--reason", "incident 12", "--need", "ticket/7"}, "has the role engineer", "writ user revoke g1")
	if !f.asked("POST /-/api/v1/grants", `"person":"person/dana"`, `"for":"2h"`, `"need":"ticket/7"`, `"reason":"incident 12"`) {
		t.Errorf("asked %q", f.seen)
	}
	f.must(2, []string{"user", "grant", "person/dana", "--role", "engineer"}, "reason")
	f.must(0, []string{"user", "grants"}, "Nothing is lent")
	f.must(0, []string{"user", "grants", "--ended"}, "the moment", "project/x", "need-ended")
	f.must(0, []string{"user", "agree", "g1"}, "Agreed")
	f.must(0, []string{"user", "agree", "g1", "--format", "json"}, `"state":"counts"`)
	f.must(0, []string{"user", "revoke", "g1"}, "Taken back")
	f.must(0, []string{"user", "over", "ticket/7"}, "1 lent role")
	f.must(0, []string{"user", "unused"}, "eve", "yes")
}

func TestReviewsOfRights(t *testing.T) {
	f := serve(t)
	rv := `{"id":"r1","kind":"all","opened":"2026-03-01T10:00:00Z","due":"2026-03-15T10:00:00Z","items":3,"decided":1}`
	f.on("GET reviews", `{"reviews":[`+rv+`]}`)
	f.on("POST reviews", rv)
	f.on("GET reviews/{id}", `{"review":`+rv+`,"items":[{"id":"i1","handle":"dana","kind":"role","role":"engineer"},{"id":"i2","handle":"emil","kind":"role","role":"auditor","why":"unused","decision":"keep","outcome":"kept","reason":"audit"},{"id":"i3","handle":"emil","kind":"grant","role":"engineer"},{"id":"i4","handle":"emil","kind":"grant","role":"engineer"}]}`)
	f.on("POST reviews/{id}/items/{item}", `{"id":"i1","decision":"revoke"}`)
	f.on("POST reviews/{id}/close", rv)
	f.must(0, []string{"user", "review", "list"}, "r1", "1 of 3")
	f.must(0, []string{"user", "review", "open"}, "r1", "3 rights")
	f.must(0, []string{"user", "review", "show", "r1"}, "dana:engineer", "unused", "lent", "audit")
	f.must(0, []string{"user", "review", "decide", "r1", "person/dana:engineer", "revoke", "--reason", "left the team"}, "Recorded")
	if !f.asked("POST /-/api/v1/reviews/r1/items/i1", `"decision":"revoke"`, `"reason":"left the team"`) {
		t.Errorf("asked %q", f.seen)
	}
	f.must(1, []string{"user", "review", "decide", "r1", "zoe:owner", "keep", "--reason", "x y z"}, "no right")
	f.must(1, []string{"user", "review", "decide", "r1", "emil:engineer", "keep", "--reason", "x y z"}, "i3, i4")
	f.must(0, []string{"user", "review", "close", "r1"}, "Closed")
}
