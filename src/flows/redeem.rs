//! What a journey leaves behind, in one commit: the identity bound, the answers recorded, the audit entries written.
//!
//! Before this commit nothing about the guest has changed; after it everything has, and doing it again changes nothing.

use jiff::Timestamp;

use super::{
    Races, Vestibule, audited,
    directory::{TenantView, unavailable},
    journey::{Journey, Loaded},
    session::Session,
};
use crate::{
    crash,
    domain::{
        LanguageTag,
        audit::{Activity, Actor},
        journey::{Step, next},
        redemption::redeem,
        terms::{Acceptance, Answer},
        user::{ExternalUserState, User, UserType},
    },
    error::Code,
    store::{
        Batch, Partition,
        records::{self, UserRef},
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
        let loaded = Loaded::load(foundation, view, journey, session).await.map_err(unavailable)?;
        crash::point("redeem-read");
        match next(&loaded.facts(view, journey, languages)) {
            Step::Redeem => {}
            Step::Refuse(code) => return Err(code),
            // Something is owed after all: the next page says what.
            _ => return Ok(()),
        }
        let batch = agreed(vestibule, view, journey, &loaded).await?;
        crash::point("redeem-decided");
        if races.won(foundation.store.commit(batch).await).map_err(unavailable)? {
            crash::point("redeem-committed");
            journey.given.clear();
            journey.permissions_accepted = None;
            return Ok(());
        }
    }
}

/// The batch that makes true what was agreed.
async fn agreed(vestibule: &Vestibule, view: &TenantView, journey: &Journey, loaded: &Loaded) -> Result<Batch, Code> {
    let foundation = &vestibule.foundation;
    let (tenant, now) = (view.tenant.id, foundation.now());
    let stored = loaded.user.as_ref().ok_or(Code::NotInvited)?;
    let mut batch = Batch::new(Partition::Tenant(tenant));
    let mut activities = Vec::new();

    let (user, activity) = after(&stored.value, journey, now)?;
    let key = records::user(tenant, stored.value.id);
    batch = batch.unchanged(&key, Some(stored));
    if let Some(activity) = activity {
        batch = batch.put(&key, &user);
        activities.push(activity);
    }
    if let (true, Some(identity)) = (stored.value.is_pending(), user.identity()) {
        let index = records::identity(tenant, identity);
        let known = foundation.store.get(&index).await.map_err(unavailable)?;
        if known.as_ref().is_some_and(|known| known.value.user != user.id) {
            // Somebody else of this tenant has this identity already.
            return Err(Code::BoundToAnotherIdentity);
        }
        batch = batch.unchanged(&index, known.as_ref()).put(&index, &UserRef { user: user.id });
    }
    let recorded = loaded.acceptances.as_ref().map(|stored| stored.value.as_slice()).unwrap_or_default();
    let fresh: Vec<_> = journey.given.iter().filter(|given| !is_recorded(recorded, given)).cloned().collect();
    if !fresh.is_empty() {
        let key = records::acceptances(tenant, user.id);
        activities.extend(fresh.iter().map(answered));
        let all: Vec<_> = recorded.iter().cloned().chain(fresh).collect();
        batch = batch.unchanged(&key, loaded.acceptances.as_ref()).put(&key, &all);
    }
    if activities.is_empty() {
        return Ok(batch);
    }
    let head = foundation.audit_head(tenant).await.map_err(unavailable)?;
    Ok(audited(batch, tenant, head.as_ref(), now, &Actor::User(user.id), activities))
}

/// The user afterwards, and what to say of it in the audit log when something changed.
fn after(user: &User, journey: &Journey, now: Timestamp) -> Result<(User, Option<Activity>), Code> {
    let Some(accepted) = journey.permissions_accepted.filter(|_| user.user_type == UserType::Guest) else {
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
        let stored = foundation.store.get(&key).await.map_err(unavailable)?;
        let mut all = stored.as_ref().map(|stored| stored.value.clone()).unwrap_or_default();
        if is_recorded(&all, declined) {
            return Ok(());
        }
        all.push(declined.clone());
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, stored.as_ref()).put(&key, &all);
        let head = foundation.audit_head(tenant).await.map_err(unavailable)?;
        let actor = Actor::User(declined.user);
        let batch = audited(batch, tenant, head.as_ref(), declined.at, &actor, [answered(declined)]);
        if races.won(foundation.store.commit(batch).await).map_err(unavailable)? {
            return Ok(());
        }
    }
}
