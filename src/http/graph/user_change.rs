//! `PATCH /users/{id}`: who may change what of a user.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{auth::denied, call::Call, user_entity::FOR_APPS, users::named};
use crate::{
    domain::{permission::Permission, user::UserType},
    error::Code,
    flows::guests::{Change, LIST_MAX, NAME_MAX, ProfileChange, TEXT_MAX, check_text},
    odata::{Answer, Error, ErrorCode},
};

/// `PATCH /users/{id}`
pub(super) async fn patch(call: Call) -> Result<Answer, Error> {
    let user = named(&call).await?;
    let change = change(&call)?;
    let expected = call.unchanged(user.version)?;
    call.administer(async |directory| directory.change(user.value.id, expected, &change).await).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn change(call: &Call) -> Result<Change, Error> {
    let mut members = Members(call.members());
    members.0.retain(|name, _| !is_annotation(name));
    // Whoever may do no more than block and unblock does nothing else with the same request (checklist A-06).
    let only_blocks = members.0.keys().all(|name| name == "accountEnabled");
    if !only_blocks && !call.caller.may(Permission::UserReadWriteAll) {
        return Err(denied());
    }
    let change = Change {
        display_name: members.taken("displayName", name)?,
        user_type: members.taken("userType", user_type)?,
        account_enabled: members.taken("accountEnabled", flag)?,
        mail: members.taken("mail", parsed)?,
        other_mails: members.taken("otherMails", list)?,
        preferred_language: members.taken("preferredLanguage", parsed)?,
        guest_inviter: members.taken("vestibuleGuestInviter", flag)?,
        sponsors: None,
        profile: ProfileChange {
            given_name: members.taken("givenName", text)?,
            surname: members.taken("surname", text)?,
            company_name: members.taken("companyName", text)?,
            job_title: members.taken("jobTitle", text)?,
            department: members.taken("department", text)?,
            office_location: members.taken("officeLocation", text)?,
            mobile_phone: members.taken("mobilePhone", text)?,
            business_phones: members.taken("businessPhones", texts)?,
        },
    };
    match members.0.keys().next() {
        None => Ok(change),
        Some(name) if FOR_APPS.property(name).is_some() => {
            Err(Error::new(ErrorCode::RequestBadRequest, format!("Property '{}' is read-only and cannot be set.", shown(name))))
        }
        Some(name) => Err(unknown_member(name, "user")),
    }
}

/// Whether a member is of OData itself (`@odata.type`), and says nothing of the resource.
pub(super) fn is_annotation(name: &str) -> bool {
    name.starts_with("@odata.")
}

/// A member that no request of this kind has.
pub(super) fn unknown_member(name: &str, of: &str) -> Error {
    Error::new(ErrorCode::RequestBadRequest, format!("Property '{}' does not exist on type '{of}'.", shown(name)))
}

/// At most 64 characters of what the caller sent, nothing that is not seen.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// A member that has a value that it cannot have.
pub(super) fn invalid(name: &str) -> Error {
    Error::new(ErrorCode::RequestBadRequest, format!("Invalid value specified for property '{name}'."))
        .with(Code::PropertyInvalid)
}

/// The members of a body, which are taken out one by one.
pub(super) struct Members(pub(super) Map<String, Value>);

impl Members {
    /// Takes a member out; `None` when it is not there.
    ///
    /// # Errors
    /// 400 that names it when it is not what `read` reads.
    pub(super) fn taken<T>(&mut self, name: &str, read: impl Fn(Value) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| invalid(name))
    }

    /// That nothing is left but annotations.
    ///
    /// # Errors
    /// 400 that names a member.
    pub(super) fn nothing_left(mut self, of: &str) -> Result<(), Error> {
        self.0.retain(|name, _| !is_annotation(name));
        self.0.keys().next().map_or(Ok(()), |name| Err(unknown_member(name, of)))
    }
}

/// A text that has to be there.
pub(super) fn required_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The name of somebody.
pub(super) fn name(value: Value) -> Option<String> {
    required_text(value).filter(|name| check_text(name, NAME_MAX).is_ok())
}

/// A text on one line; null takes it away.
fn text(value: Value) -> Option<Option<String>> {
    parsed(value).filter(|text: &Option<String>| text.as_ref().is_none_or(|text| check_text(text, TEXT_MAX).is_ok()))
}

/// A list of such texts.
fn texts(value: Value) -> Option<Vec<String>> {
    list(value).filter(|texts: &Vec<String>| texts.iter().all(|text| check_text(text, TEXT_MAX).is_ok()))
}

/// `true` or `false`.
pub(super) fn flag(value: Value) -> Option<bool> {
    value.as_bool()
}

/// A text that can be read as `T`; null takes it away.
pub(super) fn parsed<T: std::str::FromStr>(value: Value) -> Option<Option<T>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => text.parse().ok().map(Some),
        _ => None,
    }
}

/// A list of texts that can each be read as `T`, of at most [`LIST_MAX`].
pub(super) fn list<T: std::str::FromStr>(value: Value) -> Option<Vec<T>> {
    let Value::Array(items) = value else { return None };
    if items.len() > LIST_MAX {
        return None;
    }
    items.into_iter().map(|item| item.as_str().and_then(|text| text.parse().ok())).collect()
}

/// `Guest` or `Member`.
pub(super) fn user_type(value: Value) -> Option<UserType> {
    let label = value.as_str()?;
    [UserType::Guest, UserType::Member].into_iter().find(|kind| kind.label() == label)
}
