// What a program with oauth4webapi does. It checks each answer by the letter of its RFC: PAR
// (9126), iss (9207), the tokens (6749, OpenID Connect Core), introspection (7662),
// revocation (7009).
import * as oauth from 'oauth4webapi'
import readline from 'node:readline/promises'
const [where, id, secret, redirect, bye] = process.argv.slice(2)
const issuer = new URL(where)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))
const client = { client_id: id }, proof = oauth.ClientSecretBasic(secret)
const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce()
const asked = new URLSearchParams({ client_id: id, redirect_uri: redirect, response_type: 'code', scope: 'openid email', state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' })
const pushed = await oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(as, client, proof, asked))
const to = new URL(as.authorization_endpoint)
to.searchParams.set('client_id', id)
to.searchParams.set('request_uri', pushed.request_uri)
console.log(to.href)
const back = new URL(await readline.createInterface({ input: process.stdin }).question(''))
if (!as.authorization_response_iss_parameter_supported) throw new Error('iss is not promised')
const answer = oauth.validateAuthResponse(as, client, back, state)
const signed = await oauth.authorizationCodeGrantRequest(as, client, proof, answer, redirect, verifier)
const tokens = await oauth.processAuthorizationCodeResponse(as, client, signed, { expectedNonce: nonce, requireIdToken: true })
await oauth.validateApplicationLevelSignature(as, signed)
const { sub } = oauth.getValidatedIdTokenClaims(tokens)
const info = await oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, tokens.access_token))
const fresh = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token))
const good = async () => (await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, proof, fresh.access_token))).active
const before = await good()
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proof, fresh.refresh_token))
const out = new URL(as.end_session_endpoint)
out.searchParams.set('id_token_hint', fresh.id_token)
out.searchParams.set('post_logout_redirect_uri', bye)
console.log(JSON.stringify({ email: info.email, sub, refreshed: fresh.access_token !== tokens.access_token && oauth.getValidatedIdTokenClaims(fresh).sub === sub, before, after: await good(), out: out.href }))
process.exit(0)
