//! Deleted users, for the 30 days in which they can be restored.

use http::StatusCode;

use super::{
    call::Call,
    listing,
    user_entity::{FOR_APPS, UserEntity},
    users::{one, shown},
};
use crate::{
    domain::UserId,
    flows::reading::DELETED_USERS,
    odata::{Answer, Error, Query},
    store::records::{DeletedUser, Stored},
};

/// `GET /directory/deletedItems/microsoft.graph.user`
pub(super) async fn list(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, &FOR_APPS)?;
    let envelope = call.envelope("directory/deletedItems/microsoft.graph.user");
    let pages = call.pages(envelope, &query);
    let initial = call.caller.view.tenant.initial_domain();
    let found = listing::page(&call, &query, &pages, &DELETED_USERS, |stored| UserEntity::of_deleted(stored, initial)).await?;
    let entities = shown(&call, &query.select, &found.entities).await?;
    Ok(Answer::json(StatusCode::OK, envelope.page(&query, entities, found.count, found.next_link)))
}

async fn named(call: &Call) -> Result<Stored<DeletedUser>, Error> {
    call.directory().deleted_user(UserId(call.id(0)?)).await?.ok_or_else(Error::not_found)
}

/// `GET /directory/deletedItems/{id}`
pub(super) async fn get(call: Call) -> Result<Answer, Error> {
    let user = UserEntity::of_deleted(named(&call).await?, call.caller.view.tenant.initial_domain());
    one(&call, "directory/deletedItems", user).await
}

/// `POST /directory/deletedItems/{id}/restore`
pub(super) async fn restore(call: Call) -> Result<Answer, Error> {
    let deleted = named(&call).await?;
    let expected = call.unchanged(deleted.version)?;
    let id = deleted.value.user.id;
    call.administer(async |directory| directory.restore(id, expected).await).await?;
    let user = call.directory().user(id).await?;
    let user = UserEntity::of(user.ok_or_else(Error::not_found)?, call.caller.view.tenant.initial_domain());
    one(&call, "directoryObjects", user).await
}

/// `DELETE /directory/deletedItems/{id}`
pub(super) async fn delete(call: Call) -> Result<Answer, Error> {
    let deleted = named(&call).await?;
    let expected = call.unchanged(deleted.version)?;
    let id = deleted.value.user.id;
    call.administer(async |directory| directory.delete_permanently(id, expected).await).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
