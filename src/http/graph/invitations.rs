//! Invitations: `POST /invitations`, and what is done with an invitation afterwards through its user (b2b-facts section 5.1).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    auth::denied,
    call::Call,
    user_change::{Members, flag, invalid, is_annotation, list, name, parsed, required_text, user_type},
    users::named,
};
use crate::{
    domain::{EmailAddress, LanguageTag, UserId, WebUrl, permission::Permission, user::UserType},
    error::Code,
    flows::guests::{Invite, Invited, LIST_MAX, Message, Outcome, Posted, Purpose},
    mail::MESSAGE_MAX,
    odata::{Answer, Error, ErrorCode},
};

/// What a request says, beside whom it invites: it comes back in the answer.
struct Said {
    send: bool,
    reset: bool,
    message: Message,
    /// `invitedUserMessageInfo` as Graph answers it.
    message_info: Value,
}

/// `POST /invitations`
pub(super) async fn create(call: Call) -> Result<Answer, Error> {
    let mut members = Members(call.members());
    let address = members.taken("invitedUserEmailAddress", required_text)?;
    let address =
        address.map(|text| text.parse::<EmailAddress>().map_err(|_| Error::from(Code::AddressMalformed))).transpose()?;
    let redirect = members.taken("inviteRedirectUrl", required_text)?;
    let redirect = redirect.map(|text| text.parse::<WebUrl>().map_err(|_| invalid("inviteRedirectUrl"))).transpose()?;
    let user = members.taken("invitedUser", invited_user)?;
    let kind = members.taken("invitedUserType", user_type)?.unwrap_or(UserType::Guest);
    let display_name = members.taken("invitedUserDisplayName", nullable_name)?.flatten();
    let sponsors = members.taken("invitedUserSponsors", sponsors)?;
    let sponsors = sponsors.or(members.taken("invitedUserSponsors@odata.bind", bound)?).unwrap_or_default();
    let said = said(&mut members, false)?;
    for read_only in ["id", "inviteRedeemUrl", "status", "vestibuleDelivery", "vestibuleWasBlocked"] {
        if members.0.contains_key(read_only) {
            return Err(Error::new(
                ErrorCode::RequestBadRequest,
                format!("Property '{read_only}' is read-only and cannot be set."),
            ));
        }
    }
    members.nothing_left("invitation")?;
    if address.is_none() && user.is_none() {
        return Err(Error::new(ErrorCode::RequestBadRequest, "Property 'invitedUserEmailAddress' is required.")
            .with(Code::AddressMissing));
    }
    // What changes somebody who is there, or makes a member, needs more than the leave to invite.
    if (user.is_some() || said.reset || kind == UserType::Member) && !call.caller.may(Permission::UserReadWriteAll) {
        return Err(denied());
    }
    let invite = Invite {
        address: address.clone(),
        user,
        expected: None,
        purpose: if said.reset { Purpose::Reset } else { Purpose::Invite },
        display_name: display_name.clone(),
        user_type: kind,
        language: said.message.language.clone(),
        redirect: redirect.clone(),
        send: said.send.then(|| said.message.clone()),
        sponsors,
    };
    let invited = call.administer(async |directory| directory.invite(&invite).await).await?;
    let mut shown = shown(&call, &said, invited, address.as_ref());
    shown["invitedUserDisplayName"] = json!(display_name);
    Ok(Answer::json(StatusCode::CREATED, shown))
}

/// `POST /users/{id}/resendInvitation`
pub(super) async fn resend(call: Call) -> Result<Answer, Error> {
    let mut members = Members(call.members());
    let said = said(&mut members, true)?;
    members.nothing_left("resendInvitation")?;
    let user = named(&call).await?;
    let expected = call.unchanged(user.version)?;
    let send = said.send.then(|| said.message.clone());
    let invited = call.administer(async |directory| directory.resend(user.value.id, expected, send).await).await?;
    Ok(Answer::json(StatusCode::OK, shown(&call, &said, invited, None)))
}

/// `POST /users/{id}/resetRedemption`
pub(super) async fn reset(call: Call) -> Result<Answer, Error> {
    let mut members = Members(call.members());
    let address = members.taken("invitedUserEmailAddress", parsed::<EmailAddress>)?.flatten();
    let mut said = said(&mut members, true)?;
    members.nothing_left("resetRedemption")?;
    said.reset = true;
    let user = named(&call).await?;
    let expected = call.unchanged(user.version)?;
    let send = said.send.then(|| said.message.clone());
    let id = user.value.id;
    let reset = call.administer(async |directory| directory.reset_redemption(id, expected, address, send).await).await?;
    Ok(Answer::json(StatusCode::OK, shown(&call, &said, reset, None)))
}

/// `POST /users/{id}/revokeInvitation`
pub(super) async fn revoke(call: Call) -> Result<Answer, Error> {
    let user = named(&call).await?;
    let expected = call.unchanged(user.version)?;
    call.administer(async |directory| directory.revoke(user.value.id, expected).await).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// The one answer that shows the link (checklist T-04): to an app, which may be what mails it; to an app in somebody's name
/// only when the server mails nothing, asked or not, since then nobody else would bring it. The address is the one that was
/// `asked` for: which others its user has is not for everybody to know who may invite.
fn shown(call: &Call, said: &Said, invited: Invited, asked: Option<&EmailAddress>) -> Value {
    let user = &invited.user;
    let (id, link, redirect, address, status, delivery) = match &invited.outcome {
        Outcome::Open { invitation, link, mail, opens } => {
            let brings = call.caller.is_app() || *mail != Posted::Queued;
            let may_have = !opens || call.caller.may(Permission::UserReadWriteAll);
            let link = Some(link.expose()).filter(|_| brings && may_have);
            let (redirect, address) = (Some(invitation.redirect.as_str()), invitation.address.as_ref());
            (Some(invitation.id), link, redirect, address, "PendingAcceptance", posted(*mail))
        }
        Outcome::Completed => {
            let status = if user.is_pending() { "PendingAcceptance" } else { "Completed" };
            let invitation = user.invitation.filter(|_| call.caller.is_app());
            (invitation, None, None, asked.or(user.addresses().next()), status, None)
        }
    };
    let mut shown = json!({
        "@odata.context": format!("{}/$metadata#invitations/$entity", call.api.service),
        "id": id,
        "inviteRedeemUrl": link,
        "invitedUserDisplayName": Value::Null,
        "invitedUserType": user.user_type.label(),
        "invitedUserEmailAddress": address,
        "sendInvitationMessage": said.send,
        "resetRedemption": said.reset,
        "inviteRedirectUrl": redirect,
        "status": status,
        "invitedUserMessageInfo": said.message_info,
        "invitedUser": { "id": user.id },
        "vestibuleDelivery": delivery,
    });
    if invited.was_blocked {
        shown["vestibuleWasBlocked"] = true.into();
    }
    shown
}

/// The state in which a mail begins, as in `vestibuleInvitation`; none where nobody asked for one.
fn posted(mail: Posted) -> Option<&'static str> {
    match mail {
        Posted::Nothing => None,
        Posted::Queued => Some("Queued"),
        Posted::Suppressed => Some("Suppressed"),
    }
}

/// Takes what is common to all requests that may mail an invitation; `send` is what is done when nothing is said of it.
fn said(members: &mut Members, send: bool) -> Result<Said, Error> {
    let send = members.taken("sendInvitationMessage", flag)?.unwrap_or(send);
    let reset = members.taken("resetRedemption", flag)?.unwrap_or(false);
    let info = members.taken("invitedUserMessageInfo", object)?.flatten().unwrap_or_default();
    let mut info = Members(info);
    let language = info.taken("messageLanguage", parsed::<LanguageTag>)?.flatten();
    let text = info.taken("customizedMessageBody", message_body)?.flatten();
    let copies = info.taken("ccRecipients", recipients)?.unwrap_or_default();
    info.nothing_left("invitedUserMessageInfo")?;
    let mut named = copies.into_iter().flatten();
    let cc = named.next();
    if named.next().is_some() {
        return Err(Error::new(ErrorCode::RequestBadRequest, "'ccRecipients' may have one recipient."));
    }
    // Without any, one empty recipient comes back, as from Graph.
    let (name, address) = cc.clone().map_or((None, None), |(name, address)| (name, Some(address)));
    let message_info = json!({
        "messageLanguage": language,
        "customizedMessageBody": text,
        "ccRecipients": [{ "emailAddress": { "name": name, "address": address } }],
    });
    let cc = cc.map(|(_, address)| address);
    Ok(Said { send, reset, message: Message { language, text, cc }, message_info })
}

/// The name of somebody new; null leaves it to the server.
fn nullable_name(value: Value) -> Option<Option<String>> {
    if value.is_null() { Some(None) } else { name(value).map(Some) }
}

/// What the inviter writes, which may have several lines.
fn message_body(value: Value) -> Option<Option<String>> {
    parsed(value).filter(|text: &Option<String>| text.as_ref().is_none_or(|text| text.chars().count() <= MESSAGE_MAX))
}

fn object(value: Value) -> Option<Option<Map<String, Value>>> {
    match value {
        Value::Null => Some(None),
        Value::Object(members) => Some(Some(without_annotations(members))),
        _ => None,
    }
}

fn without_annotations(mut members: Map<String, Value>) -> Map<String, Value> {
    members.retain(|name, _| !is_annotation(name));
    members
}

/// `{"id": …}`
fn invited_user(value: Value) -> Option<UserId> {
    let members = without_annotations(value.as_object()?.clone());
    let id = members.get("id")?.as_str()?.parse().ok();
    id.filter(|_| members.len() == 1)
}

/// An address, with a name where there is one.
type Recipient = (Option<String>, EmailAddress);

/// `None` for an empty one.
fn recipients(value: Value) -> Option<Vec<Option<Recipient>>> {
    let recipient = |item: &Value| {
        let address = item.as_object()?.get("emailAddress")?.as_object()?;
        let name = address.get("name").and_then(Value::as_str).map(str::to_owned);
        match address.get("address") {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => text.parse().ok().map(|address| Some((name, address))),
            Some(_) => None,
        }
    };
    value.as_array()?.iter().map(recipient).collect()
}

/// `[{"id": …}]`
fn sponsors(value: Value) -> Option<Vec<UserId>> {
    value.as_array().filter(|all| all.len() <= LIST_MAX)?.iter().map(|sponsor| invited_user(sponsor.clone())).collect()
}

/// `["https://…/users/<id>"]`: what the path ends with says who is meant.
fn bound(value: Value) -> Option<Vec<UserId>> {
    list::<String>(value)?.iter().map(|link| link.rsplit('/').next()?.parse().ok()).collect()
}
