//! Assignments of users to apps.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    apps::{by_service_principal, service_principal_id},
    call::Call,
    listing::{self, LOOKED_AT},
    user_change::{Members, parsed},
    users::named,
};
use crate::{
    domain::{AppId, UserId, app::App, user::User},
    flows::guests::check_role,
    odata::{self, Answer, Entity, Error, ErrorCode, Ops, Property, Query, Schema, Shape, Type, json::object},
    store::records::Assignment,
};

const ID: Shape = Shape::Single(Type::Guid, Ops::EQUALITY);

const SCHEMA: Schema = Schema {
    entity: "appRoleAssignment",
    properties: &[
        Property::new("id", Shape::Opaque).by_default(),
        Property::new("appRoleId", Shape::Opaque).by_default(),
        Property::new("createdDateTime", Shape::Opaque).by_default(),
        Property::new("principalDisplayName", Shape::Opaque).by_default(),
        Property::new("principalId", ID).by_default(),
        Property::new("principalType", Shape::Opaque).by_default(),
        Property::new("resourceDisplayName", Shape::Opaque).by_default(),
        Property::new("resourceId", ID).by_default(),
        Property::new("vestibuleRole", Shape::Opaque).by_default(),
    ],
    default_top: 100,
};

/// Records that are read at once.
const PIECE: usize = 500;

/// An assignment as filters see it.
struct Assigned {
    user: UserId,
    resource: Uuid,
}

impl Entity for Assigned {
    fn property(&self, name: &str) -> odata::Value<'_> {
        match name {
            "principalId" => self.user.0.into(),
            "resourceId" => self.resource.into(),
            _ => odata::Value::Null,
        }
    }
}

/// `GET /users/{id}/appRoleAssignments`: all are read for each page, since apps are few.
pub(super) async fn of_user(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, &SCHEMA)?;
    let user = named(&call).await?.value;
    let tenant = call.caller.tenant();
    let mut matching = Vec::new();
    for value in call.directory().assignments(user.id).await? {
        let Some(app) = call.caller.view.apps.get(&value.app) else { continue };
        let entity = Assigned { user: user.id, resource: service_principal_id(tenant, app.id) };
        if query.filter.as_ref().is_none_or(|filter| filter.matches(&entity)) {
            matching.push((app.id.0, json(&call, &user, app, &value)));
        }
    }
    let (path, collection) = of("users", "appRoleAssignments", user.id.0);
    let found = listing::few(&call, &query, &call.pages(call.envelope(&path), &query), matching)?;
    let page = call.envelope(&collection).page(&query, found.entities, found.count, found.next_link);
    Ok(Answer::json(StatusCode::OK, page))
}

/// Where the assignments of something are listed, and what their context calls that.
fn of(owners: &str, assignments: &str, id: Uuid) -> (String, String) {
    (format!("{owners}/{id}/{assignments}"), format!("{owners}('{id}')/{assignments}"))
}

/// `GET /servicePrincipals/{id}/appRoleAssignedTo`. Assignments are kept by user, so a page looks at a bounded number of them
/// and may be short, or empty, and still have a next link.
pub(super) async fn of_app(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, &SCHEMA)?;
    if query.filter.is_some() || query.count {
        return Err(Error::not_implemented("Assignments of an app are offered without $filter and $count."));
    }
    let app = by_service_principal(&call, call.id(0)?).ok_or_else(Error::not_found)?;
    let (foundation, tenant) = (call.foundation(), call.caller.tenant());
    let (path, collection) = of("servicePrincipals", "appRoleAssignedTo", service_principal_id(tenant, app.id));
    let pages = call.pages(call.envelope(&path), &query);
    let mut last: Option<(UserId, AppId)> = pages.open(foundation.now())?;
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let reading = call.reading()?;
    let complete = loop {
        let _turn = reading.turn().await;
        let piece = call.directory().all_assignments(last, PIECE).await?;
        let complete = piece.len() < PIECE;
        for (user, assignment) in piece {
            if found.len() == usize::from(query.top) {
                break;
            }
            (looked_at, last) = (looked_at + 1, Some((user, assignment.app)));
            if assignment.app == app.id {
                found.push((user, assignment));
            }
        }
        let full = found.len() == usize::from(query.top);
        if full || complete || looked_at >= LOOKED_AT {
            break complete && !full;
        }
    };
    let users = call.directory().users(found.iter().map(|(user, _)| *user)).await?;
    // Those of deleted users are kept for when they are restored.
    let of_users = users.iter().zip(&found).filter_map(|(user, (_, assignment))| Some((&user.as_ref()?.value, assignment)));
    let shown: Vec<_> = of_users.map(|(user, assignment)| json(&call, user, app, assignment)).collect();
    let next = last.filter(|_| !complete).map(|last| pages.next_link(last, foundation.now(), &*foundation.entropy));
    Ok(Answer::json(StatusCode::OK, call.envelope(&collection).page(&query, shown, None, next)))
}

/// The value of a role; null is none.
fn role(value: Value) -> Option<Option<String>> {
    parsed(value).filter(|role: &Option<String>| role.as_ref().is_none_or(|role| check_role(role).is_ok()))
}

/// `POST /users/{id}/appRoleAssignments`
pub(super) async fn assign(call: Call) -> Result<Answer, Error> {
    let user = named(&call).await?.value;
    let mut members = Members(call.members());
    let required = |name: &str| Error::new(ErrorCode::RequestBadRequest, format!("Property '{name}' is required."));
    let mut id = |name: &str| -> Result<Uuid, Error> { members.taken(name, parsed)?.flatten().ok_or_else(|| required(name)) };
    let (principal, resource, role_id) = (id("principalId")?, id("resourceId")?, id("appRoleId")?);
    let role = members.taken("vestibuleRole", role)?.flatten();
    members.nothing_left("appRoleAssignment")?;
    if principal != user.id.0 {
        return Err(Error::new(ErrorCode::RequestBadRequest, "'principalId' is the id of the user that the path names."));
    }
    if !role_id.is_nil() {
        return Err(Error::new(
            ErrorCode::RequestBadRequest,
            "Apps declare no roles here: 'appRoleId' is all zeros, and a role is given by its value as 'vestibuleRole'.",
        ));
    }
    let app = by_service_principal(&call, resource).ok_or_else(Error::not_found)?;
    let assignment = call.administer(async |directory| directory.assign(user.id, app.id, role).await).await?;
    let mut shown = json(&call, &user, app, &assignment);
    let context = format!("{}/$metadata#appRoleAssignments/$entity", call.api.service);
    shown.insert("@odata.context".into(), context.into());
    Ok(Answer::json(StatusCode::CREATED, shown.into()))
}

/// `DELETE /users/{id}/appRoleAssignments/{assignment}`
pub(super) async fn unassign(call: Call) -> Result<Answer, Error> {
    let user = named(&call).await?.value.id;
    let (of, app) = pair(call.parameter(1)).ok_or_else(Error::not_found)?;
    if of != user {
        return Err(Error::not_found());
    }
    remove(&call, user, app).await
}

/// `DELETE /servicePrincipals/{id}/appRoleAssignedTo/{assignment}`
pub(super) async fn unassign_from_app(call: Call) -> Result<Answer, Error> {
    let app = by_service_principal(&call, call.id(0)?).ok_or_else(Error::not_found)?;
    let (user, of) = pair(call.parameter(1)).filter(|(_, of)| *of == app.id).ok_or_else(Error::not_found)?;
    remove(&call, user, of).await
}

async fn remove(call: &Call, user: UserId, app: AppId) -> Result<Answer, Error> {
    call.administer(async |directory| directory.unassign(user, app).await).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// The id of an assignment: whose it is, and to what.
fn id(user: UserId, app: AppId) -> String {
    BASE64_URL_SAFE_NO_PAD.encode([*user.as_bytes(), *app.as_bytes()].concat())
}

fn pair(id: &str) -> Option<(UserId, AppId)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).ok()?;
    let (user, app) = bytes.split_at_checked(16)?;
    Some((UserId(Uuid::from_slice(user).ok()?), AppId(Uuid::from_slice(app).ok()?)))
}

fn json(call: &Call, user: &User, app: &App, assignment: &Assignment) -> Map<String, Value> {
    object(json!({
        "id": id(user.id, app.id),
        "appRoleId": Uuid::nil(),
        "createdDateTime": assignment.since,
        "principalDisplayName": user.display_name,
        "principalId": user.id,
        "principalType": "User",
        "resourceDisplayName": app.display_name,
        "resourceId": service_principal_id(call.caller.tenant(), app.id),
        "vestibuleRole": assignment.role,
    }))
}
