//! How a journey comes to a proof: at the home organisation, by a mailed code, with a password.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{
    Vestibule, accounts,
    directory::TenantView,
    journey::{Journey, ways},
    loaded::Loaded,
    person::Recognition,
    seen::Seen,
};
use crate::{
    domain::{
        EmailAddress, FederationId, UserId, WebUrl,
        federation::Federation,
        invitation::Invitation,
        tenant::{AliasRedemption, IdentitySource},
        user::{Identity, VerifiedIdentity},
    },
    error::Code,
    i18n::Language,
    identity::{
        passcode::{Asked, NewCode},
        upstream::{Callback, Demands, UpstreamError},
    },
    mail,
    secret::Secret,
    store::{
        Batch, StoreError,
        records::{self, Stored, UserRef, take},
    },
};

/// Where a browser is sent to prove an identity.
#[derive(Debug)]
pub struct Away {
    /// The home organisation's name.
    pub name: String,
    /// Its authorization endpoint, with the request.
    pub url: String,
}

/// Starts a sign-in at the home organisation of the journey's address. `callback` names the redirect URI of a federation.
///
/// # Errors
/// When there is none, or it cannot be reached or trusted.
pub async fn begin_home(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    callback: impl Fn(FederationId) -> Result<WebUrl, Code>,
) -> Result<Away, Code> {
    let address = journey.address.clone().ok_or(Code::NoIdentitySource)?;
    offered(view, &address, IdentitySource::HomeOrganisation)?;
    let federation = view.federation_for(&address.domain()).ok_or(Code::HomeDisabled)?;
    let asked = journey.demands();
    let request = journey.request.as_ref();
    let demands = Demands {
        login_hint: Some(&address),
        prompt_login: asked.authenticated_since.is_some_and(|since| since >= journey.started),
        max_age: request.and_then(|request| request.max_age),
    };
    let begun = vestibule.upstreams.begin(federation, &callback(federation.id)?, demands).await;
    let (url, attempt) = begun.map_err(|error| refused(view, federation, &error))?;
    journey.attempt = Some(attempt);
    Ok(Away { name: federation.display_name.clone(), url: url.into() })
}

/// Takes the home organisation's answer.
///
/// # Errors
/// When the sign-in was not begun by this journey at this home organisation, or the answer cannot be trusted.
pub async fn finish_home(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    federation: FederationId,
    redirect_uri: &WebUrl,
    answer: &Callback,
) -> Result<(), Code> {
    let attempt = journey.attempt.take().ok_or(Code::JourneyLost)?;
    let federation = view.federation(federation).ok_or(Code::HomeDisabled)?;
    if !view.tenant.policy.offers(IdentitySource::HomeOrganisation) {
        return Err(Code::HomeDisabled);
    }
    let secret = federation.open_secret(view.tenant.id, &vestibule.foundation.ring).ok_or_else(|| {
        tracing::error!(tenant = %view.tenant.id, federation = %federation.id, "the client secret was sealed by a key that is not in the ring");
        Code::Internal
    })?;
    let finished = vestibule.upstreams.finish(federation, &secret, redirect_uri, &attempt, answer).await;
    let identity = finished.map_err(|error| refused(view, federation, &error))?;
    journey.prove(identity, &vestibule.foundation);
    Ok(())
}

fn refused(view: &TenantView, federation: &Federation, error: &UpstreamError) -> Code {
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(tenant = %view.tenant.id, federation = %federation.id, %error, source, "sign-in at a home organisation failed");
    error.code()
}

/// Whether the tenant offers this way to prove an identity to somebody with this address. Asked again at every step: a form
/// can be posted that no page has shown.
fn offered(view: &TenantView, address: &EmailAddress, source: IdentitySource) -> Result<(), Code> {
    if ways(view, address).contains(&source) { Ok(()) } else { Err(Code::NoIdentitySource) }
}

/// Mails a code to the journey's address, if it is for somebody: a guest who has it, or signs in with it, or whoever may redeem
/// with it by the invitation whose link they have opened. For others everything is the same but the mail. It is written in
/// the `language` of the page.
///
/// # Errors
/// When the client or the tenant asks too often, or the store is unavailable.
pub async fn send_code(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    client: IpAddr,
    language: Language,
) -> Result<(), Code> {
    let address = journey.address.clone().ok_or(Code::JourneyLost)?;
    offered(view, &address, IdentitySource::OneTimePasscode)?;
    let tenant = view.tenant.id;
    let by_identity = records::identity(tenant, &mailbox_identity(view, &address)).key().clone();
    let by_address = records::address(tenant, &address).key().clone();
    let invitation = journey.invitation.as_ref().map(|opened| records::invitation(tenant, opened.id).key().clone());
    let index: Vec<_> = [by_identity, by_address].into_iter().chain(invitation).collect();
    let asks = (client, invited_by_link(journey, &address));
    let (asked, found) = vestibule.passcodes.ask(&view.tenant, &journey.id.0, &address, asks, &index).await?;
    let mut found = found.into_iter();
    let mut holder = || take::<UserRef>(&mut found).map_err(StoreError::refusal);
    let holder = holder()?.or(holder()?).map(|index| index.value);
    let invitation: Option<Stored<Invitation>> = take(&mut found.chain([None])).map_err(StoreError::refusal)?;
    let invited =
        invitation.is_some_and(|invitation| may_redeem_with(&invitation.value, &address, view, vestibule.foundation.now()));
    let user = holder.as_ref().map_or(UserId(uuid::Uuid::nil()), |holder| holder.user);
    let known = holder.is_some_and(|holder| holder.guest) || invited;
    let addressee = Addressee { address: &address, known, language };
    mail_code(vestibule, view, journey, asked, addressee).await?;
    journey.holder = Some(user);
    Ok(())
}

/// The guest by whose invitation's link the journey began, if it went to this address. Not the invitation: whoever may invite
/// could make as many as they like.
fn invited_by_link(journey: &Journey, address: &EmailAddress) -> Option<UserId> {
    journey.invitation.as_ref().filter(|opened| opened.address.as_ref() == Some(address)).map(|opened| opened.user)
}

/// Whether the ticket of an open invitation lets somebody come with `address`. Whoever has it may then have a code sent there,
/// also to an address that nobody here has; how often, is limited as ever.
fn may_redeem_with(invitation: &Invitation, address: &EmailAddress, view: &TenantView, now: Timestamp) -> bool {
    let aliases = view.tenant.policy.alias_redemption != AliasRedemption::Deny;
    invitation.is_open(now) && (aliases || invitation.address.as_ref().is_none_or(|invited| invited == address))
}

/// Who a code is for.
struct Addressee<'a> {
    /// Where it goes.
    address: &'a EmailAddress,
    /// Whether it is for anybody; else its mail is a decoy.
    known: bool,
    /// What they read on the page that asks for it.
    language: Language,
}

async fn mail_code(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    asked: Asked<'_>,
    addressee: Addressee<'_>,
) -> Result<(), Code> {
    let minutes = view.tenant.policy.passcode_minutes;
    let language = addressee.language.tag().parse().ok();
    let enqueue = |batch: Batch, code: &NewCode| {
        let passcode = mail::Passcode {
            tenant: &view.tenant,
            to: addressee.address,
            code: &code.digits,
            minutes,
            language: language.as_ref(),
            origin: Some(vestibule.public_url()),
        };
        let mail = passcode.mail(&vestibule.sender).map_err(|error| {
            tracing::error!(%error, "a passcode mail could not be written");
            Code::Internal
        })?;
        Ok(vestibule.outbox.enqueue(batch, view.tenant.id, &mail, code.expires, code.decoy))
    };
    vestibule.passcodes.send(asked, addressee.known, enqueue).await?;
    journey.code_sent = Some(vestibule.foundation.now());
    journey.codes_sent = journey.codes_sent.saturating_add(1);
    Ok(())
}

/// Mails a code to `mailbox`, which is to be proven beside an identity, or without one: if somebody was invited there. For
/// others everything is the same but the mail. This is no way to sign in, so it is open where the tenant offers no passcodes.
///
/// # Errors
/// When the client or the tenant asks too often, or the store is unavailable.
pub async fn send_mailbox_code(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    mailbox: &EmailAddress,
    client: IpAddr,
    language: Language,
) -> Result<(), Code> {
    let tenant = view.tenant.id;
    let index = [records::address(tenant, mailbox).key().clone()];
    let asks = (client, invited_by_link(journey, mailbox));
    let (asked, found) = vestibule.passcodes.ask(&view.tenant, &journey.id.0, mailbox, asks, &index).await?;
    let holder: Option<Stored<UserRef>> = take(&mut found.into_iter()).map_err(StoreError::refusal)?;
    let invited = vestibule.foundation.store.list(&records::all_invited(tenant, mailbox)).await.map_err(StoreError::refusal)?;
    let known = holder.is_some_and(|holder| holder.value.guest) || !invited.is_empty();
    mail_code(vestibule, view, journey, asked, Addressee { address: mailbox, known, language }).await
}

/// Takes the code that was mailed to `mailbox`.
///
/// # Errors
/// When it is wrong, too old, or has been tried too often.
pub async fn verify_mailbox(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    mailbox: &EmailAddress,
    typed: &str,
) -> Result<(), Code> {
    let invited = invited_by_link(journey, mailbox);
    let (proven, _) = vestibule.passcodes.verify(view.tenant.id, &journey.id.0, mailbox, typed, invited, &[]).await?;
    journey.prove_mailbox(proven, vestibule.foundation.now());
    Ok(())
}

/// Who somebody is who reads a mailbox: the same person the next time, at this tenant and nowhere else.
fn mailbox_identity(view: &TenantView, address: &EmailAddress) -> Identity {
    Identity { issuer: view.keys.issuer().as_str().to_owned(), subject: format!("mailto:{address}") }
}

/// Takes the code that was typed.
///
/// # Errors
/// When it is wrong, too old, or has been tried too often.
pub async fn verify_code(vestibule: &Vestibule, view: &TenantView, journey: &mut Journey, typed: &str) -> Result<(), Code> {
    let address = journey.address.clone().ok_or(Code::JourneyLost)?;
    offered(view, &address, IdentitySource::OneTimePasscode)?;
    let (foundation, now) = (&vestibule.foundation, vestibule.foundation.now());
    let identity = mailbox_identity(view, &address);
    let (tenant, app) = (view.tenant.id, journey.destination.app());
    let likely = journey.holder;
    let recognition = Recognition { tenant, app, identity: &identity, address: Some(&address), likely, invited: None };
    // Who that is by a link is looked up with the invitation, for the next page.
    let beside = if journey.invitation.is_some() { Vec::new() } else { recognition.keys() };
    let invited = invited_by_link(journey, &address);
    let (email, read) = vestibule.passcodes.verify(tenant, &journey.id.0, &address, typed, invited, &beside).await?;
    let proof = VerifiedIdentity {
        identity: identity.clone(),
        source: IdentitySource::OneTimePasscode,
        email: Some(email),
        claimed_email: None,
        name: None,
        auth_time: now,
        amr: vec!["otp".to_owned()],
    };
    if journey.invitation.is_some() {
        journey.prove(proof, foundation);
        return Ok(());
    }
    // The code is used up: whatever is wrong with what was read beside it is for the next page to find out.
    let found = recognition.finish(foundation, &proof, &mut read.into_iter()).await;
    journey.prove(proof, foundation);
    journey.seen = found.ok().and_then(Result::ok).and_then(|records| Seen::of(&Loaded::of(&records), now));
    Ok(())
}

/// Takes the password of an account that lives here.
///
/// # Errors
/// [`Code::PasswordWrong`], also when there is no such person; [`Code::TooManyCodes`] after too many tries.
pub async fn verify_password(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    password: &Secret,
) -> Result<(), Code> {
    let address = journey.address.clone().ok_or(Code::JourneyLost)?;
    offered(view, &address, IdentitySource::LocalAccount)?;
    let index = records::address(view.tenant.id, &address);
    let holder = vestibule.foundation.store.get(&index).await.map_err(StoreError::refusal)?.map(|index| index.value.user);
    let user = vestibule.accounts.verify(view.tenant.id, &address, holder, password).await?;
    let now = vestibule.foundation.now();
    let email = view.tenant.verified_member_address(&address);
    let identity = accounts::proven(view, user, &accounts::PASSWORD_AMR, email, Some(address.to_string()), now);
    journey.prove(identity, &vestibule.foundation);
    Ok(())
}
