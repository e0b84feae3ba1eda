package demo

import (
	"context"

	"writ/internal/actor"
	"writ/internal/app"
	"writ/internal/secret"
	"writ/internal/vault/item"
)

// credentials puts what a small company keeps into its vault: a login that two people hold,
// the key of a program, and a note.
func credentials(ctx context.Context, srv *app.App) error {
	password, err := item.Generate(item.Recipe{Length: 20})
	if err != nil {
		return err
	}
	key, err := item.Generate(item.Recipe{Length: 40, Classes: []string{"lower", "digit"}})
	if err != nil {
		return err
	}
	for _, in := range []item.NewItem{
		{Owners: []string{"ana@example.test", "ben@example.test"}, Draft: item.Draft{Kind: "login", Title: "Domain registrar", Folder: "Operations", Vendor: "Larch Domains", Critical: true, Rotate: 180, Values: map[string]secret.Text{
			"url": secret.NewText("https://login.larchdomains.example"), "username": secret.NewText("hostmaster@fernhill.example"), "password": password.Text, "totp": secret.NewText("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")}}},
		{Owners: []string{"emil@example.test"}, Draft: item.Draft{Kind: "api-key", Title: "Mail delivery", Folder: "Operations", Vendor: "Swift Post", Rotate: 90, Values: map[string]secret.Text{
			"url": secret.NewText("https://api.swiftpost.example"), "key-id": secret.NewText("fernhill-live"), "key": key.Text}}},
		{Owners: []string{"ana@example.test"}, Draft: item.Draft{Kind: "note", Title: "Office alarm", Folder: "Office", Values: map[string]secret.Text{"text": secret.NewText("The panel is behind the coats. The code is with Chloe.")}}},
	} {
		if _, err := srv.Items().Create(ctx, actor.System("demo"), in); err != nil {
			return err
		}
	}
	return nil
}
