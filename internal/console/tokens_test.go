package console_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"writ/internal/identity"
	"writ/internal/identity/legacy"
	"writ/internal/secret"
)

// The console shows every token, ends one, and how far those who were brought over have come.
func TestTokensAndImports(t *testing.T) { // breaks: auth.best-practice, auth.hash
	w := newWorld(t)
	ctx := context.Background()
	must[identity.ProgramAccount](t)(w.people.MakeService(ctx, operator, identity.NewProgram{Name: "export", Roles: []string{"auditor"}, Mine: identity.OwnedByTeam}))
	made := must[identity.IssuedToken](t)(w.people.IssueToken(ctx, operator, identity.NewToken{Name: "nightly", Scopes: []string{"journal.read"}, Service: "export"}))
	page := w.get("ana", "/-/console/people/tokens").Body.String()
	for _, words := range []string{"nightly", "export", "journal.read", "never used", "owned by the team", made.ID} {
		if !strings.Contains(page, words) {
			t.Errorf("the page says nothing of %q", words)
		}
	}
	if strings.Contains(page, made.Text.Reveal()) {
		t.Error("the page shows a token")
	}
	if got := w.post("dev", "/-/console/people/tokens/end", url.Values{"token": {made.ID}}); got.Code != 303 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if page := w.get("ana", "/-/console/people/tokens").Body.String(); strings.Contains(page, "nightly") {
		t.Error("an ended token is listed")
	}
	pair := legacy.Pair{Password: secret.NewText("correct horse battery"), Hash: secret.NewText("$5$abcdefgh$sYjQ4vynYsNAnM.JMipLH1IMXSipuA8cURgfc3GsHo.")}
	im := must[identity.Import](t)(w.people.BeginImport(ctx, operator, identity.NewImport{Pair: pair}))
	must[[]identity.ImportResult](t)(w.people.ImportRows(ctx, operator, im.ID, []identity.ImportRow{{Line: 1, Email: "a@customer.test", Hash: pair.Hash}, {Line: 2, Email: "b@customer.test"}}, false))
	page = w.get("ana", "/-/console/people/brought-over").Body.String()
	for _, words := range []string{"sha-crypt", "0 of 1 direct, 1 waiting", "1 to set a new password", "180 days", `role="img"`} {
		if !strings.Contains(page, words) {
			t.Errorf("the burn-down says nothing of %q", words)
		}
	}
}
