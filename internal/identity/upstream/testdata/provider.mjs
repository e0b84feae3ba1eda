// A company's provider, as npm's oidc-provider is one, with its own pages. Its settings
// come as JSON; it says its port, and anybody may sign in there under any name.
import Provider from 'oidc-provider'
const { issuer, jwks, callback } = JSON.parse(process.argv[2])
console.info = console.warn = () => {} // it warns that its pages are for trials
const people = {
  unverified: { email_verified: false },
  nodomain: { hd: undefined },
}
const provider = new Provider(issuer, {
  jwks,
  clients: [{ client_id: 'writ', client_secret: 's3cret', redirect_uris: [callback] }],
  claims: { openid: ['sub', 'hd', 'amr'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false, // what it knows stands in the id token, as most companies' do
  cookies: { keys: ['a key of a test'] },
  pkce: { required: () => true },
  ttl: { IdToken: 3600, AccessToken: 600, AuthorizationCode: 60, Interaction: 600, Session: 3600, Grant: 3600 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, hd: 'example.test', email: id.split('/')[0] + '@example.test', email_verified: true, ...people[id.split('/')[1]] }) }),
})
provider.proxy = true // TLS ends before it
const finished = provider.interactionFinished.bind(provider)
provider.interactionFinished = (req, res, result, options) => { // its pages ask for no second factor; some people have shown one
  if (result.login?.accountId.endsWith('/strong')) result.login.amr = ['pwd', 'mfa']
  return finished(req, res, result, options)
}
const server = provider.listen(0, '127.0.0.1', () => console.log(server.address().port))
