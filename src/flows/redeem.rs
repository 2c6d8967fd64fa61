//! What a journey leaves behind, in one commit: the identity bound, the answers recorded, the audit entries written.
//!
//! Before this commit nothing about the guest has changed; after it everything has, and doing it again changes nothing.

use jiff::Timestamp;

use super::{
    Vestibule,
    accounts::{self, Credentials},
    audited,
    directory::TenantView,
    journey::Journey,
    loaded::{Loaded, Read},
    person::PersonRecords,
    seen::Seen,
    session::Session,
};
use crate::{
    crash,
    domain::{
        LanguageTag, TenantId,
        audit::{Activity, Actor, Head},
        invitation::{Invitation, InvitationState},
        journey::{Step, next},
        redemption::redeem,
        tenant::IdentitySource,
        terms::{Acceptance, Answer},
        user::{ExternalUserState, User},
    },
    error::Code,
    store::{
        Batch, Partition, Races, StoreError,
        records::{self, Acceptances, Stored, UserRef, take},
    },
};

/// Commits what was agreed in a journey, if everything is agreed; then the journey holds nothing that is not recorded.
///
/// # Errors
/// A refusal, or the store's failure: then nothing has changed.
pub async fn commit_agreed(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &mut Journey,
    session: Option<&Session>,
    languages: &[LanguageTag],
) -> Result<(), Code> {
    let foundation = &vestibule.foundation;
    let mut races = Races::default();
    loop {
        let now = foundation.now();
        let head = [records::audit_head(view.tenant.id).key().clone()];
        let read = Loaded::read(foundation, view, journey, journey.vouched_by(session, view), &head).await;
        let Read { loaded, records, beside } = read.map_err(StoreError::refusal)?;
        let head = take(&mut beside.into_iter()).map_err(StoreError::refusal)?;
        crash::point("redeem-read");
        journey.seen = Seen::of(&loaded, now);
        match next(&loaded.facts(view, journey, languages)) {
            Step::Redeem => {}
            Step::Refuse(code) => return Err(code),
            Step::Land => {
                // Another click has made it true. Whoever says so vouches for it, so it must be as durable as if this one had:
                // a commit that only checks waits for that.
                let user = records.user.as_ref().ok_or(Code::NotInvited)?;
                let key = records::user(view.tenant.id, user.value.id);
                let seen = Batch::new(Partition::Tenant(view.tenant.id)).unchanged(&key, Some(user));
                if races.won(foundation.store.commit(seen).await).map_err(StoreError::refusal)? {
                    return Ok(());
                }
                continue;
            }
            // Something is owed after all: the next page says what.
            _ => return Ok(()),
        }
        let account = new_account(vestibule, view, journey, &records).await?;
        let (mut batch, after) = agreed(view.tenant.id, journey, records, head.as_ref(), now)?;
        if let (Some(before), Some(credential)) = (&account, &journey.credential) {
            batch = before.replace(batch, credential);
        }
        crash::point("redeem-decided");
        if races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)? {
            crash::point("redeem-committed");
            journey.given.clear();
            journey.permissions_accepted = None;
            journey.credential = None;
            journey.seen = Seen::of(&after, now);
            return Ok(());
        }
    }
}

/// What the account of a guest who is about to redeem with one was opened by until now, which is what they have just set up
/// takes the place of; `None` for everybody else.
async fn new_account(
    vestibule: &Vestibule,
    view: &TenantView,
    journey: &Journey,
    records: &PersonRecords,
) -> Result<Option<Credentials>, Code> {
    let pending = records.user.as_ref().map(|stored| &stored.value).filter(|user| user.is_pending());
    let (Some(user), Some(proof)) = (pending, &journey.proof) else { return Ok(None) };
    if proof.identity.source != IdentitySource::LocalAccount {
        return Ok(None);
    }
    if !view.tenant.policy.offers(IdentitySource::LocalAccount) {
        return Err(Code::NoIdentitySource);
    }
    if journey.credential.is_none() || proof.identity.identity != accounts::identity(view, user.id) {
        // Something of before a reset, or of somebody else: it redeems nothing.
        return Err(Code::BoundToAnotherIdentity);
    }
    let before = Credentials::read(&vestibule.foundation, view.tenant.id, user.id).await.map_err(StoreError::refusal)?;
    Ok(Some(before))
}

/// The batch that makes true what was agreed, and what is known of the person once it is.
fn agreed(
    tenant: TenantId,
    journey: &Journey,
    mut read: PersonRecords,
    head: Option<&Stored<Head>>,
    now: Timestamp,
) -> Result<(Batch, Loaded), Code> {
    let mut after = Loaded::of(&read);
    let stored = read.user.take().ok_or(Code::NotInvited)?;
    let mut batch = Batch::new(Partition::Tenant(tenant));
    let mut activities = Vec::new();

    let (user, activity) = user_after(&stored.value, journey, now)?;
    let key = records::user(tenant, stored.value.id);
    batch = batch.unchanged(&key, Some(&stored));
    if let Some(activity) = activity {
        batch = batch.put(&key, &user);
        activities.push(activity);
    }
    if let (true, Some(identity)) = (stored.value.is_pending(), user.identity()) {
        let (index, known) = (records::identity(tenant, identity), read.by_identity.as_ref());
        if known.is_some_and(|known| known.value.user != user.id) {
            // Somebody else of this tenant has this identity already.
            return Err(Code::BoundToAnotherIdentity);
        }
        batch = batch.unchanged(&index, known).put(&index, &UserRef::to(&user));
        if let Some(open) = read.invitation.filter(|read| read.value.state == InvitationState::Open) {
            let state = InvitationState::Redeemed { at: now, identity: identity.clone() };
            let redeemed = Invitation { state, ..open.value.clone() };
            let key = records::invitation(tenant, open.value.id);
            batch = batch.unchanged(&key, Some(&open)).put(&key, &redeemed);
            after.invitation = Some(redeemed);
        }
    }
    let recorded = &mut after.acceptances;
    let fresh: Vec<_> = journey.given.iter().filter(|given| !is_recorded(recorded, given)).cloned().collect();
    if !fresh.is_empty() {
        let key = records::acceptances(tenant, user.id);
        activities.extend(fresh.iter().map(answered));
        recorded.extend(fresh);
        batch = batch.unchanged(&key, read.acceptances.as_ref()).put(&key, recorded);
    }
    if let Some(credential) = journey.credential.as_ref().filter(|_| stored.value.is_pending()) {
        activities.push(Activity::AccountSetUp { user: user.id, with: credential.label().to_owned(), recovered: false });
    }
    if !activities.is_empty() {
        let told = activities.into_iter().map(|activity: Activity| activity.to(&user));
        batch = audited(batch, tenant, head, now, &Actor::User(user.id), told);
    }
    after.user = Some(user);
    Ok((batch, after))
}

/// The user afterwards, and what to say of it in the audit log when something changed.
fn user_after(user: &User, journey: &Journey, now: Timestamp) -> Result<(User, Option<Activity>), Code> {
    let Some(accepted) = journey.permissions_accepted.filter(|_| user.external.is_some()) else {
        return Ok((user.clone(), None));
    };
    let after = match (&journey.proof, user.clone()) {
        (Some(proof), user) => redeem(user, &proof.identity, accepted, now)?,
        (None, mut user) => {
            // Signed in by a session: asked again, bound as before.
            let Some(ExternalUserState::Accepted { permissions_accepted, .. }) = &mut user.external else {
                return Err(Code::JourneyLost);
            };
            *permissions_accepted = accepted;
            user
        }
    };
    let activity = match &after.external {
        _ if after == *user => None,
        Some(ExternalUserState::Accepted { identity, source, .. }) if user.is_pending() => {
            Some(Activity::Redeemed { user: user.id, source: source.label().to_owned(), issuer: identity.issuer.clone() })
        }
        _ => Some(Activity::PermissionsAccepted { user: user.id }),
    };
    Ok((after, activity))
}

/// Whether the latest recorded answer says the same: a form that was sent twice is one answer.
fn is_recorded(recorded: &[Acceptance], given: &Acceptance) -> bool {
    let latest = recorded.iter().rev().find(|answer| answer.agreement == given.agreement);
    latest.is_some_and(|latest| {
        latest.document == given.document
            && latest.version == given.version
            && latest.language == given.language
            && latest.answer == given.answer
    })
}

fn answered(answer: &Acceptance) -> Activity {
    Activity::TermsAnswered {
        user: answer.user,
        agreement: answer.agreement,
        answer: match answer.answer {
            Answer::Accepted => "accepted".into(),
            Answer::Declined => "declined".into(),
        },
        document: answer.document.to_string(),
    }
}

/// Records that somebody declined terms. It blocks what the agreement covers until they answer again; nothing else changes.
///
/// # Errors
/// When the store is unavailable.
pub async fn record_decline(vestibule: &Vestibule, view: &TenantView, declined: &Acceptance) -> Result<(), Code> {
    let foundation = &vestibule.foundation;
    let tenant = view.tenant.id;
    let key = records::acceptances(tenant, declined.user);
    let mut races = Races::default();
    loop {
        let keys = [key.key().clone(), records::audit_head(tenant).key().clone()];
        let mut entries = foundation.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
        let stored: Option<Stored<Acceptances>> = take(&mut entries).map_err(StoreError::refusal)?;
        let head = take(&mut entries).map_err(StoreError::refusal)?;
        let mut all = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
        if is_recorded(&all, declined) {
            return Ok(());
        }
        all.push(declined.clone());
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, stored.as_ref()).put(&key, &all);
        let actor = Actor::User(declined.user);
        let batch = audited(batch, tenant, head.as_ref(), declined.at, &actor, [answered(declined)]);
        if races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)? {
            return Ok(());
        }
    }
}
