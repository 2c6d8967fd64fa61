//! What became of guests' invitations and of their mails: the property `vestibuleInvitation`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use crate::{
    domain::{
        invitation::{Invitation, InvitationState},
        user::User,
    },
    error::Code,
    odata::Error,
    store::records::{Delivery, DeliveryState},
};

/// For each user the state of their latest invitation; null for those without any. Nothing in it redeems (checklist T-04).
pub(super) async fn of(call: &Call, users: impl Iterator<Item = &User>) -> Result<Vec<Value>, Error> {
    let now = call.foundation().now();
    let users: Vec<_> = users.collect();
    let invited: Vec<_> = users.iter().filter_map(|user| user.invitation).collect();
    let mut read = call.directory().invitations(&invited).await?.into_iter();
    let state = |user: &&User| {
        let (invitation, delivery) = user.invitation.and_then(|_| read.next()).unwrap_or_default();
        invitation.map_or(Value::Null, |invitation| shown(user, &invitation, delivery.as_ref(), now))
    };
    Ok(users.iter().map(state).collect())
}

fn shown(user: &User, invitation: &Invitation, delivery: Option<&Delivery>, now: Timestamp) -> Value {
    json!({
        "id": invitation.id,
        "state": state(user, invitation, now),
        "createdDateTime": invitation.created,
        "expirationDateTime": invitation.expires,
        "address": invitation.address,
        "inviteRedirectUrl": invitation.redirect.as_str(),
        "delivery": delivery.map(mailed),
    })
}

/// `Revoked` was taken back, and the guest does not come in by any link; `Ended` went with the address that it was for, or when
/// the guest was deleted, and a direct link leads in who proves an address of the guest.
fn state(user: &User, invitation: &Invitation, now: Timestamp) -> &'static str {
    match (&invitation.state, invitation.admit(now)) {
        (_, Err(Code::InvitationExpired)) => "Expired",
        (InvitationState::Open, _) => "Open",
        (InvitationState::Redeemed { .. }, _) => "Redeemed",
        (InvitationState::Replaced { .. }, _) => "Replaced",
        (InvitationState::Revoked { .. }, _) if user.is_revoked() => "Revoked",
        (InvitationState::Revoked { .. }, _) => "Ended",
    }
}

fn mailed(delivery: &Delivery) -> Value {
    let (state, at) = match &delivery.state {
        DeliveryState::Queued { since, .. } => ("Queued", since),
        DeliveryState::Sent { at } => ("Sent", at),
        DeliveryState::Failed { at } => ("Failed", at),
        DeliveryState::Suppressed { at } => ("Suppressed", at),
        DeliveryState::Withdrawn { at } => ("Withdrawn", at),
    };
    json!({ "state": state, "stateChangeDateTime": at, "attempts": delivery.attempts, "lastError": delivery.last_error })
}
