// What a program with openid-client does: everything it knows of a provider.
import * as oc from 'openid-client'
import readline from 'node:readline/promises'
const [issuer, id, secret, redirect, bye] = process.argv.slice(2)
const config = await oc.discovery(new URL(issuer), id, undefined, oc.ClientSecretBasic(secret))
const verifier = oc.randomPKCECodeVerifier(), state = oc.randomState(), nonce = oc.randomNonce()
const to = await oc.buildAuthorizationUrlWithPAR(config, { redirect_uri: redirect, scope: 'openid email', state, nonce,
  code_challenge: await oc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' })
console.log(to.href)
const back = await readline.createInterface({ input: process.stdin }).question('')
const tokens = await oc.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true })
const info = await oc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
const fresh = await oc.refreshTokenGrant(config, tokens.refresh_token)
const good = async () => (await oc.tokenIntrospection(config, fresh.access_token)).active
const before = await good()
await oc.tokenRevocation(config, fresh.refresh_token)
console.log(JSON.stringify({ email: info.email, sub: tokens.claims().sub, refreshed: fresh.access_token !== tokens.access_token && fresh.claims().sub === info.sub, before, after: await good(),
  out: oc.buildEndSessionUrl(config, { post_logout_redirect_uri: bye, id_token_hint: fresh.id_token }).href }))
process.exit(0)
