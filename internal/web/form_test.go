package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"writ/internal/fault"
	"writ/internal/web"
)

// sampleFolds are further acts of a page; the second was just refused.
func sampleFolds() []web.Form {
	return []web.Form{
		{Part: "end", Fold: "End it", Action: "/-/folds/end", Act: "End it now", Quiet: true, Fields: []web.Field{{Name: "reason", Label: "Why", Required: true}}},
		{Part: "add", Fold: "Add another", Action: "/-/folds/add", Act: "Add it", Quiet: true, Fields: []web.Field{{Name: "name", Label: "Name", Value: "x"}},
			Fault: fault.New(fault.Invalid, "refused", fault.Public{Problem: "It was not added.", Fields: []fault.Field{{Name: "name", Code: "short", Problem: "The name is too short."}}})},
		{Part: "away", Fold: "Take it away", Action: "/-/folds/away", Act: "Take it away", Loses: "It is gone."},
	}
}

// A form stands open; one with a fold is closed below its line, until it was refused, by a
// fault or beside a field.
func TestFormFolds(t *testing.T) {
	plain := web.Form{Action: "/-/x", Act: "Do it", Fields: []web.Field{{Name: "name", Label: "Name"}}}
	folded, refused, beside := plain, plain, plain
	folded.Fold, refused.Fold, beside.Fold = "Do <it>", "Do it", "Do it"
	refused.Fault = fault.New(fault.Conflict, "refused", fault.Public{Problem: "It was not done."})
	beside.Fields = []web.Field{{Name: "name", Label: "Name", Error: "It is too short."}}
	for _, c := range []struct {
		name    string
		form    web.Form
		begins  string
		details int
	}{
		{"open", plain, `<form class="form" action="/-/x"`, 0},
		{"folded", folded, `<details class="fold"><summary>Do &lt;it&gt;</summary>` + "\n" + `<form class="form" action="/-/x#errors"`, 1},
		{"refused", refused, `<details class="fold" open><summary>Do it</summary>` + "\n" + `<div class="errors" role="alert" tabindex="-1" id="errors">`, 1},
		{"refused beside a field", beside, `<details class="fold" open><summary>Do it</summary>` + "\n" + `<form class="form"`, 1},
	} {
		got, err := render(t, `{{template "form" .Data}}`, web.View{Data: c.form})
		if err != nil {
			t.Fatal(err)
		}
		_, got, _ = strings.Cut(got, "</h1>\n")
		if got = strings.TrimSpace(got); !strings.HasPrefix(got, c.begins) || strings.Count(got, "<details") != c.details || strings.Count(got, "</details>") != c.details {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// A post is of the form whose address and hidden values it has.
func TestFormSent(t *testing.T) {
	f := web.Form{Action: "/-/act#there", Hidden: []web.Pair{{Name: "act", Value: "end"}, {Name: "id", Value: "7"}}}
	for _, c := range []struct {
		name, method, path, typed string
		want                      bool
	}{
		{"its own", http.MethodPost, "/-/act", "act=end&id=7&reason=x", true},
		{"of another act", http.MethodPost, "/-/act", "act=add&id=7", false},
		{"of another thing", http.MethodPost, "/-/act", "act=end&id=8", false},
		{"to another address", http.MethodPost, "/-/act/more", "act=end&id=7", false},
		{"opened", http.MethodGet, "/-/act", "act=end&id=7", false},
	} {
		typed, err := url.ParseQuery(c.typed)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Sent(httptest.NewRequest(c.method, c.path, nil), typed); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What was typed stands in the fields again, but no password; the fields that were given stay.
func TestFill(t *testing.T) {
	given := []web.Field{{Name: "name"}, {Name: "absent", Value: "as before"}, {Name: "secret", Type: "password"}, {Name: "file", Type: "file"},
		{Name: "ticked", Type: "checkbox"}, {Name: "unticked", Type: "checkbox", Options: []web.Option{{Chosen: true}}},
		{Name: "one", Type: "select", Options: []web.Option{{Value: "a", Chosen: true}, {Value: "b"}}}}
	got := web.Fill(given, url.Values{"name": {"Elm"}, "secret": {"hunter2"}, "file": {"x"}, "ticked": {"on"}, "one": {"b"}})
	for i, want := range []string{"Elm", "as before", "", ""} {
		if got[i].Value != want {
			t.Errorf("%s is %q, want %q", got[i].Name, got[i].Value, want)
		}
	}
	if !got[4].Options[0].Chosen || got[5].Options[0].Chosen {
		t.Error("boxes are not ticked as they were")
	}
	if got[6].Options[0].Chosen || !got[6].Options[1].Chosen {
		t.Error("another choice stands there than was made")
	}
	if given[0].Value != "" || !given[6].Options[0].Chosen || !given[5].Options[0].Chosen {
		t.Error("the fields that were given are changed")
	}
}

// Without a script a fold opens by the keyboard, and the answer to one that was refused begins
// where the refusal stands.
func TestFoldsByKeyboard(t *testing.T) {
	ctx, base, complaints := browser(t)
	see := func(js string) string {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](js))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 300), chromedp.Navigate(base+"/-/folds#errors"), chromedp.WaitVisible("#errors"), chromedp.KeyEvent(kb.Tab)); err != nil {
		t.Fatal(err)
	}
	if got := see(`document.activeElement.getAttribute("href")`); got != "#f-add-name" {
		t.Errorf("from the refusal Tab leads to %q", got)
	}
	const shown = `[...document.querySelectorAll(".fold > .form")].map(f => f.checkVisibility() ? "shown" : "hidden").join(" ")`
	if got, want := see(shown), "hidden shown hidden"; got != want {
		t.Errorf("forms are %s, want %s", got, want)
	}
	see(`document.querySelector("summary").focus(), ""`)
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#f-end-reason"), chromedp.KeyEvent(kb.Tab)); err != nil {
		t.Fatal(err)
	}
	if got := see(`document.activeElement.id`); got != "f-end-reason" {
		t.Errorf("after the line Tab leads to %q", got)
	}
	if c := complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", strings.Join(c, "; "))
	}
}
