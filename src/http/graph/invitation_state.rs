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
    let ids: Vec<_> = users.map(|user| user.invitation).collect();
    let invited: Vec<_> = ids.iter().flatten().copied().collect();
    let mut read = call.directory().invitations(&invited).await?.into_iter();
    let state = |id: &Option<_>| {
        let (invitation, delivery) = id.and_then(|_| read.next()).unwrap_or_default();
        invitation.map_or(Value::Null, |invitation| shown(&invitation, delivery.as_ref(), now))
    };
    Ok(ids.iter().map(state).collect())
}

fn shown(invitation: &Invitation, delivery: Option<&Delivery>, now: Timestamp) -> Value {
    json!({
        "id": invitation.id,
        "state": state(invitation, now),
        "createdDateTime": invitation.created,
        "expirationDateTime": invitation.expires,
        "address": invitation.address,
        "inviteRedirectUrl": invitation.redirect.as_str(),
        "delivery": delivery.map(mailed),
    })
}

fn state(invitation: &Invitation, now: Timestamp) -> &'static str {
    match (&invitation.state, invitation.admit(now)) {
        (_, Err(Code::InvitationExpired)) => "Expired",
        (InvitationState::Open, _) => "Open",
        (InvitationState::Redeemed { .. }, _) => "Redeemed",
        (InvitationState::Replaced { .. }, _) => "Replaced",
        (InvitationState::Revoked { .. }, _) => "Revoked",
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
