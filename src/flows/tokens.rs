//! Codes and tokens: what a settled sign-in gives a client, and what the client may trade.
//!
//! Everything here goes through [`crate::domain::journey::settle`] at the moment it mints: a guest who was blocked, or owes
//! new terms, gets nothing, whatever page or grant led here (checklist L-15, T-13). Issuing a code writes nothing; trading
//! it marks it as used in the same commit that stores what it gave.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    Vestibule, audited,
    directory::TenantView,
    loaded::Loaded,
    person::PersonRecords,
    session::{self, Session},
};
use crate::{
    crash,
    domain::{
        TenantId, UserId,
        app::App,
        audit::{Activity, Actor},
        journey::{Settled, settle},
        tenant::IdentitySource,
        user::{User, UserType},
    },
    error::Code,
    live::{Live, SessionStanding},
    oidc::{
        AccessClaims, AuthorizeRequest, Grantee, Scopes,
        grant::{
            Client, CodeExchange, CodeGrant, Grant, Limits, PresentedToken, RefreshError, RefreshFamily, TokenRequest,
            authenticate, check_code, check_directory_scope, code::SignIn,
        },
        token::{KnownEmail, TokenResponse, mint, mint_app},
    },
    secret::Secret,
    store::{
        Batch, Partition, Races, StoreError,
        records::{self, SessionFamily, Stored, UsedCode, take},
    },
};

/// How long a used code is remembered beyond its life, so that clocks that differ a little do not matter.
const REMEMBER: SignedDuration = SignedDuration::from_mins(2);

/// The code that answers a client's request for somebody with nothing left to do.
#[must_use]
pub fn issue_code(
    vestibule: &Vestibule,
    view: &TenantView,
    request: &AuthorizeRequest,
    session: &Session,
    settled: &Settled,
) -> Option<Secret> {
    let same = settled.tenant() == view.tenant.id && settled.user() == session.user && settled.app() == Some(request.app);
    let foundation = &vestibule.foundation;
    let sign_in = SignIn {
        user: session.user,
        session: session.id,
        session_began: session.began,
        session_expires: session.expires,
        auth_time: session.auth_time,
        source: session.source,
        amr: session.amr.clone(),
        idp: session.issuer.clone(),
        email: session.email.clone(),
        epoch: view.epoch(settled.app()),
    };
    let grant = CodeGrant::issue(request, view.tenant.id, sign_in, foundation.now(), &*foundation.entropy);
    same.then(|| grant.seal(&foundation.ring, &*foundation.entropy))
}

/// Answers a token request.
///
/// # Errors
/// What the client is told. A store that fails is [`Code::StoreUnavailable`], and nothing was given.
pub async fn answer(vestibule: &Vestibule, view: &Arc<TenantView>, request: TokenRequest) -> Result<TokenResponse, Code> {
    let client = authenticate(view.apps.get(&request.credentials.id), &request.credentials)?;
    match request.grant {
        Grant::Code(exchange) => trade_code(vestibule, view, &client, &exchange).await,
        Grant::Refresh { token, scopes } => {
            let scopes = scopes.and_then(|scopes| Scopes::parse_for(&scopes, view.keys.issuer().base()));
            refresh(vestibule, view, &client, &token, scopes).await
        }
        Grant::ClientCredentials { scope } => {
            check_directory_scope(&scope, view.keys.issuer())?;
            let foundation = &vestibule.foundation;
            mint_app(&client, &view.keys, foundation.now(), &*foundation.entropy)
        }
    }
}

pub(super) async fn trade_code(
    vestibule: &Vestibule,
    view: &TenantView,
    client: &Client<'_>,
    exchange: &CodeExchange,
) -> Result<TokenResponse, Code> {
    let foundation = &vestibule.foundation;
    let (tenant, now) = (view.tenant.id, foundation.now());
    let refused = |reason: &dyn std::fmt::Display| {
        tracing::info!(%tenant, app = %client.app().id, %reason, "a code was refused");
        Code::GrantInvalid
    };
    let grant = CodeGrant::open(&foundation.ring, tenant, &exchange.code).map_err(|reason| refused(&reason))?;
    check_code(&grant, exchange, client, tenant, now).map_err(|reason| refused(&reason))?;
    crash::point("code-checked");

    let used = records::used_code(tenant, grant.id);
    let mut keys = vec![used.key().clone()];
    keys.extend(PersonRecords::keys(tenant, grant.sign_in.user, Some(grant.app)));
    let mut entries = foundation.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
    if entries.next().flatten().is_some() {
        return Err(code_reused(vestibule, view, &grant).await);
    }
    let loaded = Loaded::of(&PersonRecords::from_entries(&mut entries, Some(grant.app)).map_err(StoreError::refusal)?);
    let settled = still_settled(vestibule, view, client.app(), &loaded, &grant.sign_in)?;

    let mut batch = Batch::new(Partition::Tenant(tenant));
    let forget = grant.expires.saturating_add(REMEMBER).unwrap_or(grant.expires);
    // A sign-out that comes first leaves nothing to give; one that comes later finds what was given.
    batch = batch.absent(&records::session_end(tenant, grant.sign_in.session));
    batch = batch.absent(&used).put_until(&used, &UsedCode { at: now }, Some(forget));
    let mut refresh_token = None;
    if grant.scopes.contains(Scopes::OFFLINE_ACCESS) {
        let limits = Limits::of(grant.sign_in.source);
        let (family, token) = RefreshFamily::begin(&grant, limits, &foundation.ring, now, &*foundation.entropy);
        let of_session = records::session_family(tenant, grant.sign_in.session, family.id);
        batch = batch.put_until(&of_session, &SessionFamily { family: family.id }, Some(family.expires)).put_until(
            &records::refresh_family(tenant, family.id),
            &family,
            Some(family.expires),
        );
        refresh_token = Some(token);
    }
    let grantee = grantee(view, client.app(), &settled, &loaded, &grant.sign_in, grant.scopes, grant.nonce.clone())?;
    let tokens = mint(grantee, client.app(), &view.keys, &foundation.ring, now, &*foundation.entropy)?;
    crash::point("tokens-made");
    match foundation.store.commit(batch).await {
        // Only the winner's tokens leave this function (checklist G-01).
        Ok(()) => {
            crash::point("tokens-committed");
            Ok(TokenResponse { refresh_token: refresh_token.map(|token| token.expose().to_owned()), ..tokens })
        }
        Err(StoreError::Conflict) => match foundation.store.get(&used).await.map_err(StoreError::refusal)? {
            Some(_) => Err(code_reused(vestibule, view, &grant).await),
            None => Err(refused(&"its session has ended")),
        },
        Err(error) => Err(error.refusal()),
    }
}

/// A code came twice, from somebody who has everything that belongs to it: what it gave is revoked, with the session that
/// it came from, so that its access tokens die as well (checklist S-30, G-02).
async fn code_reused(vestibule: &Vestibule, view: &TenantView, grant: &CodeGrant) -> Code {
    tracing::warn!(tenant = %view.tenant.id, app = %grant.app, "a code was used twice; its session ends");
    let foundation = &vestibule.foundation;
    let session = Session {
        tenant: view.tenant.id,
        user: grant.sign_in.user,
        id: grant.sign_in.session,
        began: grant.sign_in.session_began,
        auth_time: grant.sign_in.auth_time,
        expires: grant.sign_in.session_expires,
        source: grant.sign_in.source,
        issuer: grant.sign_in.idp.clone(),
        amr: Vec::new(),
        email: None,
    };
    let activity = Activity::ReuseDetected { user: grant.sign_in.user, app: grant.app };
    match session::end_because(foundation, &session, activity).await {
        Ok(()) => Code::GrantInvalid,
        Err(error) => error.refusal(),
    }
}

async fn refresh(
    vestibule: &Vestibule,
    view: &TenantView,
    client: &Client<'_>,
    token: &Secret,
    requested: Option<Scopes>,
) -> Result<TokenResponse, Code> {
    let foundation = &vestibule.foundation;
    let tenant = view.tenant.id;
    let presented = PresentedToken::parse(token).ok_or(Code::GrantInvalid)?;
    let key = records::refresh_family(tenant, presented.family());
    // The token says whose family it is; whether it may say so is checked with the family.
    let app = Some(client.app().id);
    let mut keys = vec![key.key().clone()];
    keys.extend(PersonRecords::keys(tenant, presented.user(), app));
    // A lost race means that somebody else rotated first: decided again, that is grace or reuse.
    let mut races = Races::at_most(3);
    loop {
        let now = foundation.now();
        let mut entries = foundation.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
        let family: Stored<RefreshFamily> = take(&mut entries).map_err(StoreError::refusal)?.ok_or(Code::GrantInvalid)?;
        let rotated = match family.value.rotate(&presented, client, requested, tenant, &foundation.ring, now) {
            Ok(rotated) => rotated,
            Err(RefreshError::Reused(revoked)) => {
                return Err(family_reused(vestibule, &key, &family, &revoked, tenant).await);
            }
            Err(error) => return Err(error.code()),
        };
        let sign_in = &family.value.sign_in;
        let loaded = Loaded::of(&PersonRecords::from_entries(&mut entries, app).map_err(StoreError::refusal)?);
        // Before the rotation is stored: somebody who agrees to new terms goes on with the token they have.
        let settled = still_settled(vestibule, view, client.app(), &loaded, sign_in)?;
        let grantee = grantee(view, client.app(), &settled, &loaded, sign_in, rotated.scopes, None)?;
        let tokens = mint(grantee, client.app(), &view.keys, &foundation.ring, now, &*foundation.entropy)?;
        // Within the grace period there is nothing to write, but what somebody else wrote has to be durable before it is
        // handed out again.
        let mut batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(&family));
        if let Some(next) = &rotated.family {
            batch = batch.absent(&records::session_end(tenant, sign_in.session)).put_until(&key, next, Some(next.expires));
        }
        if !races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)? {
            continue;
        }
        return Ok(TokenResponse { refresh_token: Some(rotated.token.expose().to_owned()), ..tokens });
    }
}

async fn family_reused(
    vestibule: &Vestibule,
    key: &records::RecordKey<RefreshFamily>,
    read: &Stored<RefreshFamily>,
    revoked: &RefreshFamily,
    tenant: TenantId,
) -> Code {
    tracing::warn!(%tenant, app = %revoked.app, "a refresh token was used twice; its family is revoked");
    let foundation = &vestibule.foundation;
    let (user, app) = (revoked.sign_in.user, revoked.app);
    let mut races = Races::default();
    let revoke = async {
        loop {
            let keys = [key.key().clone(), records::audit_head(tenant).key().clone()];
            let mut entries = foundation.store.entries(&keys).await?.into_iter();
            // Whatever it became meanwhile, it is revoked; when it is gone, there is nothing left to revoke.
            let current: Option<Stored<RefreshFamily>> = take(&mut entries)?;
            let Some(current) = current else { return Ok(()) };
            let head = take(&mut entries)?;
            let same = current.version == read.version;
            let ended = if same { revoked.clone() } else { current.value.clone().revoke(foundation.now()) };
            let batch = Batch::new(Partition::Tenant(tenant)).unchanged(key, Some(&current));
            let batch = batch.put_until(key, &ended, Some(ended.expires));
            let activity = Activity::ReuseDetected { user, app };
            let batch = audited(batch, tenant, head.as_ref(), foundation.now(), &Actor::App(app), [activity]);
            if races.won(foundation.store.commit(batch).await)? {
                return Ok::<_, StoreError>(());
            }
        }
    };
    revoke.await.map_or_else(StoreError::refusal, |()| Code::GrantInvalid)
}

/// The proof that nothing is owed, at this moment.
fn still_settled(
    vestibule: &Vestibule,
    view: &TenantView,
    app: &App,
    loaded: &Loaded,
    sign_in: &SignIn,
) -> Result<Settled, Code> {
    let began = sign_in.session_began;
    let standing = vestibule.live.session(view.tenant.id, sign_in.user, sign_in.session, began);
    let facts = loaded.facts_of_user(view, Some(app), sign_in.auth_time, began);
    match (standing, view.trusts(&sign_in.idp), settle(&facts)) {
        (SessionStanding::Valid, true, Ok(settled)) => Ok(settled),
        (standing, home_in_use, settled) => {
            let owed = settled.err().map(|step| format!("{step:?}").chars().take(60).collect::<String>());
            tracing::info!(?standing, home_in_use, owed, "a grant is no longer settled");
            Err(Code::GrantInvalid)
        }
    }
}

/// What tokens say: made from what is settled, and from nothing else.
fn grantee(
    view: &TenantView,
    app: &App,
    settled: &Settled,
    loaded: &Loaded,
    sign_in: &SignIn,
    scopes: Scopes,
    nonce: Option<String>,
) -> Result<Grantee, Code> {
    let user = loaded.user.as_ref().filter(|user| user.id == settled.user()).ok_or(Code::Internal)?;
    Ok(Grantee {
        app: app.id,
        user: user.id,
        user_type: user.user_type,
        name: user.display_name.clone(),
        email: known_email(view, user, sign_in),
        session: sign_in.session,
        session_began: sign_in.session_began,
        session_expires: sign_in.session_expires,
        auth_time: sign_in.auth_time,
        source: sign_in.source,
        amr: sign_in.amr.clone(),
        idp: sign_in.idp.clone(),
        epoch: sign_in.epoch.max(view.epoch(Some(app.id))),
        scopes,
        nonce,
        roles: loaded.assignment.iter().filter_map(|assignment| assignment.role.clone()).collect(),
    })
}

/// The address of a user: verified when it was proven at sign-in, or when the account that they sign in with was set up, or
/// when the tenant vouches for its member.
///
/// What opens an account that lives here proves no mailbox: what was proven beside it when it was set up counts as long as
/// [`User::proven_mailbox`] says so, in the session that began with it, too.
fn known_email(view: &TenantView, user: &User, sign_in: &SignIn) -> Option<KnownEmail> {
    if let Some(proven) = sign_in.email.as_ref().filter(|_| sign_in.source != IdentitySource::LocalAccount) {
        return Some(KnownEmail::Verified(proven.clone()));
    }
    if let Some(proven) = user.proven_mailbox() {
        return Some(KnownEmail::Verified(proven));
    }
    let mail = user.mail.as_ref()?;
    let vouched = (user.user_type == UserType::Member).then(|| view.tenant.verified_member_address(mail)).flatten();
    Some(vouched.map_or_else(|| KnownEmail::Claimed(mail.to_string()), KnownEmail::Verified))
}

/// The person of an access token, if they may still be told about, and anything be done in their name.
///
/// # Errors
/// [`Code::TokenInvalid`] when the token's app is gone or switched off, its session is over, its home organisation is no
/// longer in use, or its user owes something.
pub async fn check_person(vestibule: &Vestibule, view: &TenantView, claims: &AccessClaims) -> Result<User, Code> {
    let began = Timestamp::from_millisecond(claims.person.vb_began).map_err(|_| Code::TokenInvalid)?;
    let user: UserId = claims.person.oid;
    let app = view.apps.get(&claims.client_id).ok_or(Code::TokenInvalid)?;
    let standing = vestibule.live.session(view.tenant.id, user, claims.person.sid, began);
    if standing != SessionStanding::Valid || !view.trusts(&claims.person.idp) {
        return Err(Code::TokenInvalid);
    }
    let records =
        PersonRecords::read(&vestibule.foundation, view.tenant.id, user, Some(app.id)).await.map_err(StoreError::refusal)?;
    let loaded = Loaded::of(&records);
    settle(&loaded.facts_of_user(view, Some(app), began, began)).map_err(|_| Code::TokenInvalid)?;
    loaded.user.ok_or(Code::TokenInvalid)
}
