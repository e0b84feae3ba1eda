package ssm_test

import (
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/vault"
)

// Each read of a planted parameter is an entry of its own, by every door and in every form; nothing
// shows that it is planted to whoever may not plant, and no tag takes the mark.
func TestPlanted(t *testing.T) { // breaks: vault.access-logged
	each(t, func(t *testing.T, w *world, c client) {
		reads := func(want int, act string) {
			t.Helper()
			if n := len(w.kit.Recorded("vault.planted-read")); n != want {
				t.Errorf("%s: %d entries of planted reads, want %d", act, n, want)
			}
		}
		w.must(w.put("/shop/db", "real", vault.SecureString))
		w.must(w.put("/shop/old", "believed", vault.String))
		c.good("GetParameter", `{"Name":"/shop/old"}`)
		w.refused("denied", w.vault.Plant(t.Context(), w.engineer(), "/shop/old"))
		for range 2 { // again changes nothing
			w.must(w.vault.Plant(t.Context(), operator, "/shop/old"))
			w.must(w.vault.Plant(t.Context(), operator, "/shop/root"))
		}
		c.good("GetParameter", `{"Name":"/shop/db","WithDecryption":true}`)
		reads(0, "before anybody read one")
		c.good("GetParameter", `{"Name":"/shop/root"}`)
		reads(1, "sealed")
		if got := c.good("GetParameter", `{"Name":"/shop/root","WithDecryption":true}`); len(got.body["Parameter"].(map[string]any)["Value"].(string)) < 40 {
			t.Errorf("made with %s", got.raw)
		}
		reads(2, "open")
		c.good("GetParameters", `{"Names":["/shop/db","/shop/root","/shop/old"]}`)
		reads(4, "several")
		c.good("GetParametersByPath", `{"Path":"/shop"}`)
		reads(6, "by path")
		c.good("GetParameterHistory", `{"Name":"/shop/old"}`)
		reads(7, "history")
		c.good("GetParameter", `{"Name":"/shop/old:1"}`)
		reads(8, "a version")
		if _, err := w.vault.Get(t.Context(), operator, vault.Selector{Name: "/shop/old"}, vault.Read{}); err != nil {
			t.Fatal(err)
		}
		reads(9, "by a person")
		last := w.kit.Recorded("vault.planted-read")[0]
		if last.Fields["name"] != "/shop/root" || last.Fields["access-key"] != c.key.ID {
			t.Errorf("%+v", last)
		}

		for _, answer := range []string{"DescribeParameters", "ListTagsForResource"} {
			body := map[string]string{"DescribeParameters": `{}`, "ListTagsForResource": `{"ResourceType":"Parameter","ResourceId":"/shop/root"}`}[answer]
			if got := c.good(answer, body); strings.Contains(string(got.raw), "planted") {
				t.Errorf("%s tells: %s", answer, got.raw)
			}
		}
		if tags, err := w.vault.Tags(t.Context(), operator, "/shop/root"); err != nil || len(tags) != 0 {
			t.Errorf("%v %v", tags, err)
		}
		w.must(w.vault.DropTags(t.Context(), operator, "/shop/root", []string{"aws:writ-planted"}))
		c.good("GetParameter", `{"Name":"/shop/root"}`)
		reads(10, "after somebody took the tag")
		for _, who := range []actor.Actor{w.engineer(), {Kind: actor.Machine, ID: "m", Team: vault.Home, Via: "aws"}} {
			if names, err := w.vault.Planted(t.Context(), who); err == nil {
				t.Errorf("%s is told %v", who, names)
			}
		}
		if names, err := w.vault.Planted(t.Context(), operator); err != nil || strings.Join(names, " ") != "/shop/old /shop/root" {
			t.Errorf("%v %v", names, err)
		}
		w.refused("denied", w.vault.Unplant(t.Context(), w.engineer(), "/shop/root"))
		w.must(w.vault.Unplant(t.Context(), operator, "/shop/root"))
		c.good("GetParameter", `{"Name":"/shop/root"}`)
		reads(10, "no longer planted")
	})
}
