package console_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/keyring"
	"writ/internal/policy/policytest"
	"writ/internal/seal"
	"writ/internal/secret"
	keyholders "writ/internal/vault/holders"
)

// roster gives the holders of the root key what they need of identity.
type roster struct{ w *world }

func (r roster) Find(ctx context.Context, who actor.Actor, ref string) (keyholders.Person, error) {
	p, err := r.w.people.Show(ctx, who, ref)
	return keyholders.Person{ID: p.ID, Name: p.Name, Email: p.Email}, err
}
func (r roster) Name(ctx context.Context, id string) string  { return r.w.people.Name(ctx, id) }
func (r roster) Email(ctx context.Context, id string) string { return r.w.people.Email(ctx, id) }
func (r roster) Staffed(ctx context.Context, id string) (bool, error) {
	p, err := r.w.people.ActivePerson(ctx, id)
	return err == nil && len(p.Roles) > 0 && slices.Contains(access.StaffRoles(), p.Roles[0]), nil
}
func (r roster) Owners(context.Context) ([]string, error)    { return []string{r.w.ids["ana"]}, nil }
func (r roster) FreshNow(context.Context, actor.Actor) error { return nil }

// keyHolders is the module, on a folder of its own.
func (w *world) keyHolders() *keyholders.Service {
	w.t.Helper()
	dir, now := w.t.TempDir(), w.kit.Clock.Now
	rules := clause.NewLive[keyholders.Rules](now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		w.t.Fatal(err)
	}
	root := secret.Random(32)
	if err := errors.Join(w.kit.Ring.AddRoot(w.t.Context(), root), w.kit.Ring.KeepRoot(w.t.Context(), root)); err != nil {
		w.t.Fatal(err)
	}
	return must[*keyholders.Service](w.t)(keyholders.New(keyholders.Deps{DB: w.kit.DB, Ring: w.kit.Ring, File: seal.In(dir), People: roster{w}, Mail: w.mail, Access: w.access, Rules: rules,
		Fingerprint: keyring.Fingerprint, Company: func() string { return "Harbour Ltd" }, Origin: "https://localhost:8443", Now: now, Log: slog.New(slog.DiscardHandler), RootFile: filepath.Join(dir, "root.key"),
		Weakness: "the server opens by itself with root.key, which lies in the folder of the data: whoever has the folder has both",
		Root:     func(context.Context) (secret.Bytes, error) { return secret.NewBytes(root.Reveal()), nil }, Seal: func() error { w.sealed++; return nil }}))
}

// enrolHolder gives somebody a key file, and hands its line in.
func (w *world) enrolHolder(name string) {
	w.t.Helper()
	k := must[seal.Private](w.t)(seal.NewPrivate())
	if err := w.holders.Enrol(w.t.Context(), w.as(name), k.Key); err != nil {
		w.t.Fatal(err)
	}
}

// An owner asks people, sees who has enrolled, has shares tried and made anew, and seals;
// an auditor sees it and changes nothing.
func TestHolderPages(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/holders"
	w.get("ana", at).want(200, "whoever has root.key opens the vault alone", "Ask them")
	if emil := w.get("emil", at).want(200, "Nobody holds a share").Body.String(); strings.Contains(emil, "Ask them") {
		t.Error("an auditor is offered to appoint")
	}
	w.post("dev", at, url.Values{"holder": {"dev"}}).want(403)
	w.post("ana", at, url.Values{"holder": {"nobody-here"}}).want(422, "There is nobody called", "nobody-here")
	w.post("ana", at, url.Values{"holder": {"ana, ben\r\nchiara"}}).want(303)
	w.get("ana", at).want(200, "Chiara Moretti", "not yet", "Your own share")
	for _, n := range []string{"ana", "ben", "chiara"} {
		w.enrolHolder(n)
	}
	w.get("ana", at).want(200, "2 of 3 holders open the vault together", "never tried", "key file", "in use", "Told, because it was declared: the server opens by itself")
	w.post("ana", at+"/drill", nil).want(303)
	w.get("ana", at).want(200, "A drill is on: 0 of 2 shares are given")
	w.post("ana", at+"/remove", url.Values{"holder": {w.ids["chiara"]}}).want(303)
	w.post("ana", at+"/remove", url.Values{"holder": {w.ids["ben"]}}).want(409, "Then only 1 would hold a share", "Appoint another holder first")
	w.get("ana", at).want(200, "New shares are due: a holder has left", "Make new shares")
	w.post("ana", at+"/reshare", nil).want(409, "2 holders have a key, and 2 are needed")
	w.post("ana", at+"/seal", url.Values{"reason": {"x"}}).want(422, "The reason is missing")
	w.post("emil", at+"/seal", url.Values{"reason": {"a thief"}}).want(403)
	if w.sealed != 0 {
		t.Fatal("sealed")
	}
	if to := w.post("ana", at+"/seal", url.Values{"reason": {"a thief on the machine"}}).want(303).Header().Get("Location"); to != "/-/unseal" || w.sealed != 1 {
		t.Errorf("leads to %s, sealed %d times", to, w.sealed)
	}
}
