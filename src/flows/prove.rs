//! How a journey comes to a proof: at the home organisation, by a mailed code, with a password.

use std::net::IpAddr;

use super::{
    Vestibule,
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
        tenant::IdentitySource,
        user::{Identity, VerifiedIdentity},
    },
    error::Code,
    identity::{
        passcode::NewCode,
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
    if !view.tenant.policy.redemption_order.contains(&IdentitySource::HomeOrganisation) {
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

/// Mails a code to the journey's address, if a guest has it; for others everything is the same but the mail.
///
/// # Errors
/// When the client or the tenant asks too often, or the store is unavailable.
pub async fn send_code(vestibule: &Vestibule, view: &TenantView, journey: &mut Journey, client: IpAddr) -> Result<(), Code> {
    let address = journey.address.clone().ok_or(Code::JourneyLost)?;
    offered(view, &address, IdentitySource::OneTimePasscode)?;
    let tenant = view.tenant.id;
    let index = [records::address(tenant, &address).key().clone()];
    let (asked, found) = vestibule.passcodes.ask(&view.tenant, &address, client, &index).await?;
    let index: Option<Stored<UserRef>> = take(&mut found.into_iter()).map_err(StoreError::refusal)?;
    let user = index.as_ref().map_or(UserId(uuid::Uuid::nil()), |index| index.value.user);
    let holder = index.map(|index| index.value).filter(|index| index.guest);
    let language = holder.as_ref().and_then(|holder| holder.language.clone());
    let minutes = view.tenant.policy.passcode_minutes;
    let enqueue = |batch: Batch, code: &NewCode| {
        let passcode = mail::Passcode {
            tenant: &view.tenant,
            to: &address,
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
    vestibule.passcodes.send(asked, &journey.id.0, holder.is_some(), enqueue).await?;
    journey.holder = Some(user);
    journey.code_sent = Some(vestibule.foundation.now());
    journey.codes_sent = journey.codes_sent.saturating_add(1);
    Ok(())
}

/// Takes the code that was typed.
///
/// # Errors
/// When it is wrong, too old, or has been tried too often.
pub async fn verify_code(vestibule: &Vestibule, view: &TenantView, journey: &mut Journey, typed: &str) -> Result<(), Code> {
    let address = journey.address.clone().ok_or(Code::JourneyLost)?;
    offered(view, &address, IdentitySource::OneTimePasscode)?;
    let (foundation, now) = (&vestibule.foundation, vestibule.foundation.now());
    // Whoever holds the mailbox is the same person the next time, at this tenant and nowhere else.
    let identity = Identity { issuer: view.keys.issuer().as_str().to_owned(), subject: format!("mailto:{address}") };
    let (tenant, app) = (view.tenant.id, journey.destination.app());
    let recognition = Recognition { tenant, app, identity: &identity, address: Some(&address), likely: journey.holder };
    let verified = vestibule.passcodes.verify(tenant, &journey.id.0, &address, typed, &recognition.keys()).await;
    let (email, read) = verified?;
    let proof = VerifiedIdentity {
        identity: identity.clone(),
        source: IdentitySource::OneTimePasscode,
        email: Some(email),
        claimed_email: None,
        name: None,
        auth_time: now,
        amr: vec!["otp".to_owned()],
    };
    // The code is used up: whatever is wrong with what was read beside it is for the next page to find out.
    let found = recognition.finish(foundation, &proof, &mut read.into_iter()).await;
    journey.prove(proof, foundation);
    journey.seen = found.ok().and_then(Result::ok).and_then(|records| Seen::of(&Loaded::of(&records), now));
    Ok(())
}

/// Takes the password of one of the tenant's own people.
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
    let identity = VerifiedIdentity {
        identity: Identity { issuer: view.keys.issuer().as_str().to_owned(), subject: user.to_string() },
        source: IdentitySource::LocalAccount,
        email: view.tenant.verified_member_address(&address),
        claimed_email: Some(address.to_string()),
        name: None,
        auth_time: now,
        amr: vec!["pwd".to_owned()],
    };
    journey.prove(identity, &vestibule.foundation);
    Ok(())
}
