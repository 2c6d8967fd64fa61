//! Who is meant by an id, an address, or a name in the directory.

use anyhow::bail;
use serde_json::Value;
use uuid::Uuid;

use super::api::{Api, Refused, Request, literal};

/// What is selected of users, beside what is answered anyway.
pub(super) const SELECT: &str = "id,displayName,mail,otherMails,userPrincipalName,userType,externalUserState,\
     externalUserStateChangeDateTime,source,invitationAccepted,accountEnabled,preferredLanguage,companyName,createdDateTime,\
     vestibuleInvitation";

/// The user with an id, a mail address or a name in the directory (`…#EXT#@…`).
///
/// # Errors
/// When there is none, or more than one has the address.
pub(super) async fn find(api: &Api, who: &str) -> anyhow::Result<Value> {
    if who.parse::<Uuid>().is_ok() || who.contains("#EXT#") {
        return api.ask(&Request::get(&["users", who]).query("$select", SELECT)).await.map_err(|error| unknown(error, who));
    }
    // Somebody has an address in `otherMails` when another one had it in `mail` before, or they accepted with it.
    for filter in [format!("mail eq {}", literal(who)), format!("otherMails/any(m:m eq {})", literal(who))] {
        let found = api.all(Request::get(&["users"]).query("$filter", &filter).query("$select", SELECT)).await?;
        match <[Value; 1]>::try_from(found) {
            Ok([user]) => return Ok(user),
            Err(others) if others.is_empty() => {}
            Err(others) => {
                let ids: Vec<_> = others.iter().filter_map(|user| user["id"].as_str()).collect();
                bail!("{who}: several users have this address; name one by its id: {}", ids.join(", "))
            }
        }
    }
    bail!("{who}: there is no such user; `vestibule guest list` shows who there is")
}

/// The id of a user, as for [`find`].
///
/// # Errors
/// Those of [`find`].
pub(super) async fn id(api: &Api, who: &str) -> anyhow::Result<String> {
    match who.parse::<Uuid>() {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Ok(text(&find(api, who).await?["id"])),
    }
}

/// The id of a deleted user, by id or address.
///
/// # Errors
/// When there is none, or more than one had the address.
pub(super) async fn deleted(api: &Api, who: &str) -> anyhow::Result<String> {
    if let Ok(id) = who.parse::<Uuid>() {
        return Ok(id.to_string());
    }
    let of = &["directory", "deletedItems", "microsoft.graph.user"];
    let filter = format!("mail eq {}", literal(who));
    let found = api.all(Request::get(of).query("$filter", &filter).query("$select", "id,mail,deletedDateTime")).await?;
    match found.as_slice() {
        [user] => Ok(text(&user["id"])),
        [] => bail!("{who}: no deleted user has this address"),
        several => {
            let ids = several.iter().map(|user| format!("{} (deleted {})", text(&user["id"]), text(&user["deletedDateTime"])));
            bail!("{who}: several deleted users have this address; name one by its id: {}", ids.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The refusal of what is not there, with what it was.
pub(super) fn unknown(error: anyhow::Error, what: &str) -> anyhow::Error {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.status == http::StatusCode::NOT_FOUND => error.context(what.to_owned()),
        _ => error,
    }
}

/// A text of the server's; nothing where it has none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
