// Command zitadel is what a program with zitadel/oidc's client does. scripts/judges.sh builds
// it in a module of its own, because that library brings more than a test is worth.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	issuer, id, secret, redirect, bye := args[0], args[1], args[2], args[3], args[4]
	const nonce = "a nonce of a test"
	party, err := rp.NewRelyingPartyOIDC(ctx, issuer, id, secret, redirect, []string{oidc.ScopeOpenID, oidc.ScopeEmail}, rp.WithAuthStyle(oauth2.AuthStyleInHeader),
		rp.WithSigningAlgsFromDiscovery(), rp.WithVerifierOpts(rp.WithNonce(func(context.Context) string { return nonce })))
	if err != nil {
		return err
	}
	verifier := oauth2.GenerateVerifier()
	fmt.Println(rp.AuthURL("a-state", party, rp.WithCodeChallenge(oidc.NewSHACodeChallenge(verifier)), rp.AuthURLOpt(rp.WithURLParam("nonce", nonce))))
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	back, err := url.Parse(in.Text())
	if err != nil {
		return err
	}
	tokens, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, back.Query().Get("code"), party, rp.WithCodeVerifier(verifier))
	if err != nil {
		return err
	}
	info, err := rp.Userinfo[*oidc.UserInfo](ctx, tokens.AccessToken, tokens.TokenType, tokens.IDTokenClaims.Subject, party)
	if err != nil {
		return err
	}
	later, err := rp.NewRelyingPartyOIDC(ctx, issuer, id, secret, redirect, nil, rp.WithAuthStyle(oauth2.AuthStyleInHeader), rp.WithSigningAlgsFromDiscovery()) // a new id token has no nonce
	if err != nil {
		return err
	}
	fresh, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, later, tokens.RefreshToken, "", "")
	if err != nil {
		return err
	}
	good := func() bool {
		_, err := rp.Userinfo[*oidc.UserInfo](ctx, fresh.AccessToken, fresh.TokenType, info.Subject, party)
		return err == nil
	}
	before := good()
	if err := rp.RevokeToken(ctx, party, fresh.RefreshToken, "refresh_token"); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"email": info.Email, "sub": tokens.IDTokenClaims.Subject, "before": before, "after": good(),
		"refreshed": fresh.AccessToken != tokens.AccessToken && fresh.IDTokenClaims.Subject == info.Subject,
		"out":       party.GetEndSessionEndpoint() + "?" + url.Values{"id_token_hint": {fresh.IDToken}, "post_logout_redirect_uri": {bye}}.Encode()})
}
