// An independent OpenID Connect client. It reads one line of JSON (issuer, client_id, client_secret, redirect_uri, scope),
// prints one with the authorization URL, reads the URL that the browser was sent back to, and prints what it got.
// `openid-client` makes every check itself: issuer, signature, nonce, state, times, at_hash, userinfo's sub.
import { createInterface } from 'node:readline'
import * as openid from 'openid-client'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const read = async () => (await lines.next()).value
const print = (value) => process.stdout.write(JSON.stringify(value) + '\n')

const asked = JSON.parse(await read())
const configuration = await openid.discovery(
  new URL(asked.issuer), asked.client_id, asked.client_secret, openid.ClientSecretBasic(asked.client_secret),
  { execute: asked.issuer.startsWith('http:') ? [openid.allowInsecureRequests] : [] })

const verifier = openid.randomPKCECodeVerifier()
const nonce = openid.randomNonce()
const state = openid.randomState()
const url = openid.buildAuthorizationUrl(configuration, {
  redirect_uri: asked.redirect_uri,
  scope: asked.scope,
  code_challenge: await openid.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  nonce,
  state,
  // OpenID Connect Core 11: offline access is given only when the person is asked
  prompt: asked.scope.split(' ').includes('offline_access') ? 'consent' : 'login',
})
print({ authorization_url: url.href })

const back = new URL(await read())
const tokens = await openid.authorizationCodeGrant(configuration, back,
  { pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true })
const claims = tokens.claims()
const userinfo = await openid.fetchUserInfo(configuration, tokens.access_token, claims.sub)
const refreshed = tokens.refresh_token ? await openid.refreshTokenGrant(configuration, tokens.refresh_token) : undefined
print({
  server: configuration.serverMetadata(),
  claims,
  userinfo,
  scope: tokens.scope,
  refreshed: refreshed && { claims: refreshed.claims(), rotated: refreshed.refresh_token !== tokens.refresh_token },
})
process.exit(0)
