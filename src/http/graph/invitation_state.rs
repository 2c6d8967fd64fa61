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
    store::{
        StoreError,
        records::{self, Delivery, DeliveryState, Stored},
    },
};

/// For each user the state of their latest invitation; null for those without any. Nothing in it redeems (checklist T-04).
pub(super) async fn of(call: &Call, users: impl Iterator<Item = &User>) -> Result<Vec<Value>, Error> {
    let (store, tenant, now) = (&call.foundation().store, call.caller.tenant(), call.foundation().now());
    let ids: Vec<_> = users.map(|user| user.invitation).collect();
    let invited = || ids.iter().flatten().copied();
    let invitations: Vec<_> = invited().map(|id| records::invitation(tenant, id)).collect();
    let deliveries: Vec<_> = invited().map(|id| records::delivery(tenant, id)).collect();
    let invitations: Vec<Option<Stored<Invitation>>> = store.get_all(&invitations).await.map_err(StoreError::refusal)?;
    let deliveries: Vec<Option<Stored<Delivery>>> = store.get_all(&deliveries).await.map_err(StoreError::refusal)?;
    let mut read = invitations.into_iter().zip(deliveries);
    let state = |id: &Option<_>| {
        let (invitation, delivery) = id.and_then(|_| read.next()).unwrap_or_default();
        invitation.map_or(Value::Null, |invitation| shown(&invitation.value, delivery.as_ref(), now))
    };
    Ok(ids.iter().map(state).collect())
}

fn shown(invitation: &Invitation, delivery: Option<&Stored<Delivery>>, now: Timestamp) -> Value {
    json!({
        "id": invitation.id,
        "state": state(invitation, now),
        "createdDateTime": invitation.created,
        "expirationDateTime": invitation.expires,
        "address": invitation.address,
        "inviteRedirectUrl": invitation.redirect.as_str(),
        "delivery": delivery.map(|delivery| mailed(&delivery.value)),
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
