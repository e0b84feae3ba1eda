package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
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

// A rotation is set up by the form: of a key, with what is wrong beside the field that it is about.
func TestRotationIsSetUp(t *testing.T) { // breaks: crypto.key-rotation
	w := newWorld(t)
	const at, name = "/-/console/secrets/rotation/new", "/shop/key"
	page := "/-/console/secrets/show?" + url.Values{"name": {name}}.Encode()
	w.get("emil", at).want(403)
	w.get("dev", at+"?kind=postgres").want(200, "First role", "administrator")
	if body := w.get("dev", at).want(200, "The key reaches this path").Body.String(); strings.Contains(body, "First role") {
		t.Error("one form holds both kinds")
	}
	form := func(more ...string) url.Values {
		f := url.Values{"kind": {"access-key"}, "name": {name}, "path": {"/shop"}, "reads": {"yes"}, "days": {"20"}, "hours": {"5"}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	w.post("emil", at, form()).want(403)
	w.post("dev", at, form("kind", "else")).want(422, "no such kind")
	w.post("dev", at, form("days", "many")).want(422, "after that many days")
	w.post("dev", at, form("hours", "-1")).want(422, "for that long or short")
	w.post("dev", at, url.Values{"kind": {"postgres"}, "name": {name}, "admin": {"/ops/db"}, "owner": {"shop"}, "role_a": {"a"}, "role_b": {"a"}, "template": {"postgres://{user}:{password}@/x?host=/run"}}).want(422, "three roles", "First role")
	w.post("dev", at, form()).want(303)
	r, err := w.console.Rotations.Of(t.Context(), w.as("dev"), name)
	if err != nil || r.Days != 20 || r.Grace != 5*time.Hour || r.Spec.Path != "/shop" || !r.Spec.Reads || r.Fresh == "" {
		t.Errorf("%+v %v", r, err)
	}
	w.get("dev", page).want(200, "It replaces itself", "for 5 h")
	w.post("dev", at, form()).want(409, "already")
	w.post("dev", "/-/console/secrets", url.Values{"new": {"yes"}, "name": {"/shop/else"}, "value": {"x"}, "kind": {"SecureString"}}).want(303)
	other := "/-/console/secrets/show?" + url.Values{"name": {"/shop/else"}}.Encode()
	w.get("dev", other).want(200, "It is replaced by hand")
	if body := w.get("emil", other).want(200).Body.String(); strings.Contains(body, "replaced by hand") {
		t.Error("an auditor is offered to set a rotation up")
	}
	w.post("dev", at, form("name", "/shop/else", "reads", "no")).want(422, "of neither slot")
	if body := w.get("dev", at+"?kind=token").want(200, "Scopes").Body.String(); strings.Contains(body, "The key reaches this path") {
		t.Error("one form holds two kinds")
	}
	svc := w.console.Rotations.(*rotate.Service)
	asked := &askedTokens{}
	svc.Tokens = asked
	w.post("dev", at, url.Values{"kind": {"token"}, "name": {"/shop/token"}, "service": {"exporter"}, "scopes": {"vault.read, orders:read"}}).want(404, "no such service")
	if asked.service != "exporter" || strings.Join(asked.scopes, "|") != "vault.read|orders:read" {
		t.Errorf("asked for %+v", asked)
	}
}

// askedTokens has no service, and notes which it was asked for.
type askedTokens struct {
	rotate.Tokens
	service string
	scopes  []string
}

func (a *askedTokens) Allowed(_ context.Context, _ actor.Actor, service string, scopes []string) (string, error) {
	a.service, a.scopes = service, scopes
	return "", fault.Newf(fault.NotFound, "no_service", "There is no such service in your team.")
}

// What is said about a name stands on its page, and is said there.
func TestAboutInTheConsole(t *testing.T) { // breaks: vault.encrypted-store
	w := newWorld(t)
	const name, at = "/shop/db/password", "/-/console/secrets/about"
	page := "/-/console/secrets/show?" + url.Values{"name": {name}}.Encode()
	w.post("dev", "/-/console/secrets", url.Values{"new": {"yes"}, "name": {name}, "value": {"x"}, "kind": {"SecureString"}}).want(303)
	say := func(more ...string) url.Values {
		f := url.Values{"name": {name}, "owner": {"dev"}, "clause": {"vault.secret-home"}, "days": {"30"}, "critical": {"on"}, "sensitive": {"on"}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	w.post("emil", at, say()).want(403)
	w.post("dev", at, say("owner", "nobody")).want(422, "no such owner")
	w.post("dev", at, say("clause", "x")).want(422, "no id of a clause")
	w.post("dev", at, say("days", "many")).want(422, "after that many days")
	w.post("dev", at, say()).want(303)
	w.get("dev", page).want(200, "Owner", "vault.secret-home", "30 days", "Critical", "it takes no plain type")
	a, err := w.vault.AboutOf(t.Context(), w.as("dev"), name)
	if err != nil || a.Owner != "person/"+w.ids["dev"] || a.Clause != "vault.secret-home" || a.Rotation != 30 || !a.Critical || !a.Sensitive {
		t.Errorf("%+v %v", a, err)
	}
	// What holds from above is not said again for the name alone.
	clause := "vault.encrypted-store"
	if _, err := w.vault.SetAbout(t.Context(), w.as("dev"), "/shop/app", vault.AboutChange{Clause: &clause}); err != nil {
		t.Fatal(err)
	}
	w.post("dev", "/-/console/secrets", url.Values{"new": {"yes"}, "name": {"/shop/app/x"}, "value": {"x"}, "kind": {"SecureString"}}).want(303)
	w.post("dev", at, url.Values{"name": {"/shop/app/x"}, "clause": {clause}, "days": {"9"}}).want(303)
	clause = "vault.secret-home"
	if _, err := w.vault.SetAbout(t.Context(), w.as("dev"), "/shop/app", vault.AboutChange{Clause: &clause}); err != nil {
		t.Fatal(err)
	}
	if a, err = w.vault.AboutOf(t.Context(), w.as("dev"), "/shop/app/x"); err != nil || a.Clause != clause || a.Rotation != 9 {
		t.Errorf("%+v %v", a, err)
	}
	if body := w.get("emil", page).want(200, "vault.secret-home").Body.String(); strings.Contains(body, "Say it") {
		t.Error("an auditor is offered to say something")
	}
}
