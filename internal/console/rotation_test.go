package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"writ/internal/secret"
	"writ/internal/vault"
	"writ/internal/vault/rotate"
)

// knock lets in whoever holds a key that lives; a door that is away gives no answer.
func (w *world) knock(ctx context.Context, id string, key secret.Text) (string, error) {
	_, real, err := w.vault.Caller(ctx, id, secret.Text{})
	if w.away {
		return "", context.DeadlineExceeded
	}
	if err != nil || !real.Equal(key) {
		return "InvalidClientTokenId", nil
	}
	return "", nil
}

func TestRotationInTheConsole(t *testing.T) {
	w := newWorld(t)
	const name, at = "/shop/writ-key", "/-/console/secrets/rotation"
	page := "/-/console/secrets/show?" + url.Values{"name": {name}}.Encode()
	svc := w.console.Rotations.(*rotate.Service)
	r, err := svc.Add(t.Context(), w.as("dev"), rotate.Wish{Name: name, Kind: rotate.AccessKey, Spec: rotate.Spec{Path: "/shop"}})
	if err != nil {
		t.Fatal(err)
	}
	w.get("dev", page).want(200, "It replaces itself", "the former value works still", r.Fresh, "Replace it now", "An access key of this server, for /shop")
	if body := w.get("emil", page).want(200, "It replaces itself").Body.String(); strings.Contains(body, "Replace it now") {
		t.Error("an auditor is offered to replace it")
	}
	form := url.Values{"name": {name}, "exposed": {"yes"}}
	w.post("emil", at, form).want(403)
	w.post("dev", at, form).want(303)
	w.get("dev", page).want(200, "nothing is under way")
	w.away = true
	w.post("dev", at, url.Values{"name": {name}}).want(303)
	w.get("dev", page).want(200, "stands still after planned", "gave no answer", "What to do", "Try again now")
	w.away = false
	w.post("dev", at, url.Values{"name": {name}}).want(303)
	w.get("dev", page).want(200, "Works still", r.Fresh)
	w.post("dev", at+"/end", url.Values{"name": {name}}).want(409, "would stay open")
	w.post("dev", at, form).want(303)
	if _, err := w.vault.Get(t.Context(), w.as("dev"), vault.Selector{Name: name}, vault.Read{Decrypt: true, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	seen := w.as("dev").String()
	w.post("emil", at+"/known", url.Values{"who": {seen}}).want(403)
	w.post("dev", at+"/known", url.Values{"who": {seen}}).want(303)
	w.get("dev", "/-/console/secrets/seen").want(200, "There is none")
	w.post("dev", at, form).want(303)
	w.post("dev", at+"/end", url.Values{"name": {name}}).want(303)
	if body := w.get("dev", page).want(200, "Look at it").Body.String(); strings.Contains(body, "It replaces itself") {
		t.Error("it is ended and shown still")
	}
}
