package app

import (
	"context"
	"strings"
	"testing"

	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/keyring"
)

// What the application says becomes subjects of the set: an account here under its mark,
// however it is named, anybody else with an address of their own.
func TestResolverReadsTheApplication(t *testing.T) { // breaks: inc.breach-scope
	answer := `{"records":[
{"team":"t1","record":"contact=1","people":[{"person":"p-ann"},{"id":"c1","name":"Zoe Zimt","email":"zoe@elsewhere.example"},{"id":"c2","name":"Bo","email":"Bo@example.test"}]},
{"team":"t1","record":"contact=2","people":[]}]}`
	asked := ""
	r := resolver{ask: func(_ context.Context, q []byte) ([]byte, error) { asked = string(q); return []byte(answer), nil }, mark: func(s keyring.Subject) string { return "m-" + s.ID },
		every: func(_ context.Context, fn func(identity.Team, identity.Person) error) error {
			return fn(identity.Team{}, identity.Person{ID: "p-bo", Email: "bo@example.test"})
		}}
	records := []string{"t1/contact=1", "t1/contact=2", "t1/contact=3"}
	got, err := r.Whose(t.Context(), "id-1", records)
	if err != nil {
		t.Fatal(err)
	}
	var subjects []string
	for _, o := range got["t1/contact=1"] {
		subjects = append(subjects, o.Subject+" "+o.Email)
	}
	if want := "person/m-p-ann |person/m-application/c1 zoe@elsewhere.example|person/m-p-bo "; strings.Join(subjects, "|") != want {
		t.Errorf("%q, want %q", strings.Join(subjects, "|"), want)
	}
	if gone, known := got["t1/contact=2"]; !known || len(gone) != 0 {
		t.Error("whoever is gone is not known to be")
	}
	if _, known := got["t1/contact=3"]; known {
		t.Error("what it did not say is known")
	}
	if want := `{"version":1,"id":"id-1","records":[{"team":"t1","record":"contact=1"},{"team":"t1","record":"contact=2"},{"team":"t1","record":"contact=3"}]}`; asked != want {
		t.Errorf("asked %s", asked)
	}
	for name, bad := range map[string]string{
		"no JSON": `<html>`, "another field": `{"records":[],"next":"x"}`, "not asked for": `{"records":[{"team":"t2","record":"contact=1","people":[]}]}`,
		"twice":  `{"records":[{"team":"t1","record":"contact=1","people":[]},{"team":"t1","record":"contact=1","people":[{"person":"p"}]}]}`,
		"nobody": `{"records":[{"team":"t1","record":"contact=1","people":[{}]}]}`, "no address": `{"records":[{"team":"t1","record":"contact=1","people":[{"id":"c1","email":"zoe"}]}]}`,
	} {
		answer = bad
		if _, err := r.Whose(t.Context(), "id-1", records); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOwners: an answer that is taken names nobody without a way to reach them, and no record that was
// not asked for.
func FuzzOwners(f *testing.F) {
	f.Add([]byte(`{"records":[{"team":"t1","record":"contact=1","people":[{"person":"p"},{"id":"c","name":"n","email":"a@b.example"}]}]}`))
	f.Add([]byte(`{"records":null}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, err := readOwners(answer, []string{"t1/contact=1"})
		if err != nil {
			return
		}
		for name, people := range got {
			if name != "t1/contact=1" {
				t.Errorf("%q was not asked for", name)
			}
			for _, p := range people {
				if p.Person == "" && (p.ID == "" || !strings.Contains(p.Email, "@")) {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}
