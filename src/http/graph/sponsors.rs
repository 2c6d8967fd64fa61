//! Who answers for a guest.

use http::StatusCode;

use super::{
    call::Call,
    listing,
    user_change::{Members, required_text},
    user_entity::{FOR_APPS, UserEntity},
    users::{named, shown},
};
use crate::{
    domain::UserId,
    error::Code,
    odata::{Answer, Error, ErrorCode, Query},
};

/// How often a change is decided anew when somebody else was faster.
const ATTEMPTS: usize = 3;

/// `GET /users/{id}/sponsors`
pub(super) async fn list(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, &FOR_APPS)?;
    if query.filter.is_some() || query.order_by.is_some() {
        return Err(Error::not_implemented("Sponsors are offered without $filter and $orderby."));
    }
    let user = named(&call).await?;
    let initial = call.caller.view.tenant.initial_domain();
    let found = call.directory().users(user.value.sponsors.iter().copied()).await?;
    let sponsors = found.into_iter().flatten().map(|stored| (stored.value.id.0, UserEntity::of(stored, initial)));
    let path = format!("users/{}/sponsors", user.value.id);
    let found = listing::few(&call, &query, &call.pages(call.envelope(&path), &query), sponsors.collect())?;
    let sponsors = shown(&call, &query.select, &found.entities).await?;
    let page = call.envelope("directoryObjects").page(&query, sponsors, found.count, found.next_link);
    Ok(Answer::json(StatusCode::OK, page))
}

/// `POST /users/{id}/sponsors/$ref`
pub(super) async fn add(call: Call) -> Result<Answer, Error> {
    let mut members = Members(call.members());
    let invalid = || Error::new(ErrorCode::RequestBadRequest, "'@odata.id' is the address of a user: '<this API>/users/<id>'.");
    let link = members.taken("@odata.id", required_text)?.ok_or_else(invalid)?;
    members.nothing_left("reference")?;
    let path = link.strip_prefix(&call.api.service).ok_or_else(invalid)?;
    let id = ["/users/", "/directoryObjects/"].iter().find_map(|prefix| path.strip_prefix(prefix)).ok_or_else(invalid)?;
    let sponsor: UserId = id.parse().map_err(|_| invalid())?;
    change(&call, |sponsors| {
        if sponsors.contains(&sponsor) {
            return Err(Error::new(ErrorCode::RequestBadRequest, "This user is a sponsor already."));
        }
        sponsors.push(sponsor);
        Ok(())
    })
    .await
}

/// `DELETE /users/{id}/sponsors/{sponsor}/$ref`
pub(super) async fn remove(call: Call) -> Result<Answer, Error> {
    let sponsor = UserId(call.id(1)?);
    change(&call, |sponsors| {
        let before = sponsors.len();
        sponsors.retain(|id| *id != sponsor);
        if sponsors.len() == before { Err(Error::not_found()) } else { Ok(()) }
    })
    .await
}

async fn change(call: &Call, wanted: impl Fn(&mut Vec<UserId>) -> Result<(), Error>) -> Result<Answer, Error> {
    let mut attempt = 1;
    loop {
        let user = named(call).await?;
        let demanded = call.unchanged(user.version)?;
        let mut sponsors = user.value.sponsors.clone();
        wanted(&mut sponsors)?;
        let (id, version) = (user.value.id, Some(user.version));
        let done = call.administer(async |directory| directory.set_sponsors(id, version, sponsors).await).await;
        match done {
            Ok(_) => return Ok(Answer::empty(StatusCode::NO_CONTENT)),
            Err(error) if error.ours() == Some(Code::VersionOutdated) && demanded.is_none() && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
