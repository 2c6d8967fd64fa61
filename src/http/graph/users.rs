//! Users: list, get, delete, end their sessions; and who is signed in.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::{
    call::{Call, etag},
    invitation_state,
    listing::{self, Found},
    user_entity::{FOR_APPS, FOR_PEOPLE, INVITATION, UserEntity},
};
use crate::{
    domain::{UserId, user::User},
    error::Code,
    flows::reading::USERS,
    odata::{Answer, Error, Literal, Query, Schema, Select},
    store::records::Stored,
};

/// What the caller may see of users.
pub(super) fn schema(call: &Call) -> &'static Schema {
    if call.caller.is_app() { &FOR_APPS } else { &FOR_PEOPLE }
}

/// `GET /users`
pub(super) async fn list(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, schema(&call))?;
    let envelope = call.envelope("users");
    let pages = call.pages(envelope, &query);
    let initial = call.caller.view.tenant.initial_domain();
    let found = match indexed(&call, &query).await? {
        Some(users) => {
            let users = users.into_iter().map(|stored| UserEntity::of(stored, initial));
            let matching = |user: &UserEntity| query.filter.as_ref().is_none_or(|filter| filter.matches(user));
            let entities: Vec<_> = users.filter(matching).take(usize::from(query.top)).collect();
            let count = u64::try_from(entities.len()).ok();
            Found { entities, count, next_link: None }
        }
        None => listing::page(&call, &query, &pages, &USERS, |stored| UserEntity::of(stored, initial)).await?,
    };
    let entities = shown(&call, &query.select, &found.entities).await?;
    Ok(Answer::json(StatusCode::OK, envelope.page(&query, entities, found.count, found.next_link)))
}

/// The only users that a filter can match, where an index knows: by id, by the invited address, by the name in the directory.
async fn indexed(call: &Call, query: &Query) -> Result<Option<Vec<Stored<User>>>, Error> {
    let directory = call.directory();
    let Some(filter) = query.filter.as_ref().filter(|_| query.skip_token.is_none()) else { return Ok(None) };
    for demand in filter.demands() {
        // More than a few, or null, which no index has: those are read like any other.
        let [literal] = demand.one_of else { continue };
        let found = match (demand.names.as_slice(), literal) {
            (["id"], Literal::Guid(id)) => directory.user(UserId(*id)).await?,
            (["mail"], Literal::String(mail)) => by_address(call, mail).await?,
            (["proxyAddresses"], Literal::String(address)) => {
                let mail = address.split_once(':').filter(|(kind, _)| kind.eq_ignore_ascii_case("smtp"));
                by_address(call, mail.map_or("", |(_, mail)| mail)).await?
            }
            (["userPrincipalName"], Literal::String(name)) => {
                match directory.user_by_name(name).await? {
                    // The name stays when addresses change, so there may be somebody all the same.
                    None => continue,
                    found => found,
                }
            }
            _ => continue,
        };
        return Ok(Some(found.into_iter().collect()));
    }
    Ok(None)
}

async fn by_address(call: &Call, mail: &str) -> Result<Option<Stored<User>>, Code> {
    let Ok(address) = mail.parse() else { return Ok(None) };
    call.directory().user_by_address(&address).await
}

/// What is answered of users, with what has to be read for it beside them.
pub(super) async fn shown(call: &Call, select: &Select, users: &[UserEntity]) -> Result<Vec<Map<String, Value>>, Error> {
    let mut shown: Vec<_> = users.iter().map(|user| user.json(select)).collect();
    if select.has(INVITATION) {
        let states = invitation_state::of(call, users.iter().map(|user| &user.user)).await?;
        for (members, state) in shown.iter_mut().zip(states) {
            members.insert(INVITATION.into(), state);
        }
    }
    Ok(shown)
}

/// One user, alone in an answer.
pub(super) async fn one(call: &Call, collection: &str, user: UserEntity) -> Result<Answer, Error> {
    let select = Select::of_one(&call.query, schema(call))?;
    let tag = etag(user.version).to_string();
    let members = shown(call, &select, &[user]).await?.pop().unwrap_or_default();
    let mut answer = Answer::json(StatusCode::OK, call.envelope(collection).entity(&select, members));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers.insert(header::ETAG, tag);
    }
    Ok(answer)
}

/// The user that the path names, by id or by the name in the directory.
pub(super) async fn named(call: &Call) -> Result<Stored<User>, Error> {
    let found = match call.id(0) {
        Ok(id) => call.directory().user(UserId(id)).await?,
        Err(_) => call.directory().user_by_name(call.parameter(0)).await?,
    };
    found.ok_or_else(Error::not_found)
}

/// `GET /users/{id}`
pub(super) async fn get(call: Call) -> Result<Answer, Error> {
    let user = UserEntity::of(named(&call).await?, call.caller.view.tenant.initial_domain());
    one(&call, "users", user).await
}

/// `GET /me`
pub(super) async fn me(call: Call) -> Result<Answer, Error> {
    let id = call.caller.user().ok_or_else(Error::not_found)?;
    let user = call.directory().user(id).await?;
    let user = UserEntity::of(user.ok_or_else(Error::not_found)?, call.caller.view.tenant.initial_domain());
    one(&call, "users", user).await
}

/// `DELETE /users/{id}`
pub(super) async fn delete(call: Call) -> Result<Answer, Error> {
    let user = named(&call).await?;
    let expected = call.unchanged(user.version)?;
    call.administer(async |directory| directory.delete(user.value.id, expected).await).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// `POST /users/{id}/revokeSignInSessions`
pub(super) async fn revoke_sessions(call: Call) -> Result<Answer, Error> {
    let user = named(&call).await?;
    let expected = call.unchanged(user.version)?;
    call.administer(async |directory| directory.revoke_sessions(user.value.id, expected).await).await?;
    let context = format!("{}/$metadata#Edm.Boolean", call.api.service);
    Ok(Answer::json(StatusCode::OK, serde_json::json!({ "@odata.context": context, "value": true })))
}
