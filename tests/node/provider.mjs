// A home organisation that is not ours: `oidc-provider` on loopback, with accounts and a login form that needs no script.
//
// Reads lines of JSON. The first starts it; each line after that changes some settings, and everything but them goes on:
// sessions, codes, keys of the same name. Prints `{"ready":true}` when a line is in force, and `{"request":"GET /path"}`
// for every request. All settings:
//
//   issuer         its URL, whose port it listens on at 127.0.0.1
//   name           what it calls itself
//   client         { id, secret, redirect_uris, alg }, alg being RS256 or ES256
//   authentication `client_secret_basic` or `client_secret_post`: the only one that its token endpoint takes
//   claims         `id_token`, or `userinfo` for those of an address and a name being there alone
//   people         by login name: { password, email, email_verified, name }
//   key            the name of the signing keys: a name that is new makes new keys, and the old ones are gone
//   skew           how many seconds its clock is ahead
//   login_age      how many seconds ago it says that a person signed in who has just signed in
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const settings = { authentication: 'client_secret_basic', claims: 'id_token', key: 'first', skew: 0, login_age: 0 }
const print = (value) => process.stdout.write(JSON.stringify(value) + '\n')
const now = Date.now
Date.now = () => now() + settings.skew * 1000

const made = new Map()
const keys = (name) => {
  if (!made.has(name)) {
    const pairs = { RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }), ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
    made.set(name, Object.entries(pairs).map(([alg, { privateKey }]) =>
      ({ ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${name}-${alg}` })))
  }
  return made.get(name)
}

// What a provider keeps is in memory, and outlives a change of settings.
const kept = new Map()
class Memory {
  constructor(model) { this.model = model }
  key(id) { return `${this.model}:${id}` }
  found(test) { return [...kept.values()].find((payload) => payload.kind === this.model && test(payload)) }
  async upsert(id, payload) { kept.set(this.key(id), { ...payload }) }
  async find(id) { return kept.get(this.key(id)) }
  async findByUid(uid) { return this.found((payload) => payload.uid === uid) }
  async findByUserCode(code) { return this.found((payload) => payload.userCode === code) }
  async consume(id) { kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000) }
  async destroy(id) { kept.delete(this.key(id)) }
  async revokeByGrantId(grant) { for (const [key, payload] of kept) if (payload.grantId === grant) kept.delete(key) }
}

const account = (ctx, sub) => {
  const { email, email_verified, name } = settings.people[sub] ?? {}
  return settings.people[sub] && { accountId: sub, claims: () => ({ sub, email, email_verified, name }) }
}

// Nobody is asked whether the client may know them.
const grant = async (ctx) => {
  const { Grant } = ctx.oidc.provider
  const given = new Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId })
  given.addOIDCScope('openid profile email')
  await given.save()
  return given
}

let provider
const apply = () => {
  const { id, secret, redirect_uris, alg } = settings.client
  provider = new Provider(settings.issuer, {
    adapter: Memory,
    jwks: { keys: keys(settings.key) },
    clients: [{
      client_id: id,
      client_secret: secret,
      redirect_uris,
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: settings.authentication,
      id_token_signed_response_alg: alg,
    }],
    clientAuthMethods: [settings.authentication],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: settings.claims === 'userinfo',
    cookies: { keys: ['not a secret'] },
    features: { devInteractions: { enabled: false } },
    findAccount: account,
    interactions: { url: (ctx, { uid }) => `/login/${uid}` },
    loadExistingGrant: grant,
    pkce: { required: () => true },
    ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 600, IdToken: 300, Interaction: 600, Session: 3600 },
  })
}

const escaped = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
const form = (hint, problem) => `<!doctype html><html lang="en"><title>${escaped(settings.name)}</title>
<h1 id="home">${escaped(settings.name)}</h1>${problem ? `<p id="problem">${problem}</p>` : ''}
<form method="post"><label>Login name <input id="email" name="login" value="${escaped(hint)}"></label>
<label>Password <input id="password" name="password" type="password"></label>
<button id="next" name="do" value="login">Sign in</button> <button id="cancel" name="do" value="cancel">Cancel</button></form></html>`

const body = async (request) => {
  let text = ''
  for await (const part of request) text += part
  return new URLSearchParams(text)
}

const login = async (request, response) => {
  const { params } = await provider.interactionDetails(request, response)
  const page = (status, problem) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    response.end(form(params.login_hint ?? '', problem))
  }
  if (request.method !== 'POST') return page(200)
  const typed = await body(request)
  if (typed.get('do') === 'cancel') {
    const result = { error: 'access_denied', error_description: 'the person changed their mind' }
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
  }
  const person = settings.people[typed.get('login')]
  if (!person || person.password !== typed.get('password')) return page(403, 'Login name or password is wrong.')
  const ts = Math.floor(Date.now() / 1000) - settings.login_age
  const result = { login: { accountId: typed.get('login'), amr: ['pwd'], ts } }
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

const server = createServer(async (request, response) => {
  const path = request.url.split('?')[0]
  print({ request: `${request.method} ${path}` })
  try {
    if (path.startsWith('/login/')) await login(request, response)
    else await provider.callback()(request, response)
  } catch (error) {
    console.error(error)
    response.writeHead(500).end(String(error))
  }
})

for await (const line of createInterface({ input: process.stdin })) {
  Object.assign(settings, JSON.parse(line))
  apply()
  if (!server.listening) await new Promise((done) => server.listen(new URL(settings.issuer).port, '127.0.0.1', done))
  print({ ready: true })
}
process.exit(0)
