//! Applications and service principals, read only: both are the apps of the tenant, which `apply` declares.

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{call::Call, listing};
use crate::{
    domain::{
        AppId, TenantId,
        app::{App, ClientType},
        terms::DocumentId,
    },
    odata::{self, Answer, Entity, Error, Ops, Property, Query, Schema, Select, Shape, Type, json::object},
};

const ID: Shape = Shape::Single(Type::Guid, Ops::EQUALITY);
const NAME: Shape = Shape::Single(Type::String, Ops::EQUALITY.and(Ops::STARTS_WITH));
const FLAG: Shape = Shape::Single(Type::Boolean, Ops::EQUALITY);

const APPLICATION: Schema = Schema {
    entity: "application",
    properties: &[
        Property::new("id", ID).by_default(),
        Property::new("appId", ID).by_default(),
        Property::new("displayName", NAME).by_default(),
        Property::new("description", Shape::Opaque).by_default(),
        Property::new("publicClient", Shape::Opaque).by_default(),
        Property::new("signInAudience", Shape::Opaque).by_default(),
        Property::new("web", Shape::Opaque).by_default(),
    ],
    default_top: 100,
};

const SERVICE_PRINCIPAL: Schema = Schema {
    entity: "servicePrincipal",
    properties: &[
        Property::new("id", ID).by_default(),
        Property::new("accountEnabled", FLAG).by_default(),
        Property::new("appId", ID).by_default(),
        Property::new("appOwnerOrganizationId", Shape::Opaque).by_default(),
        Property::new("appRoleAssignmentRequired", FLAG).by_default(),
        Property::new("appRoles", Shape::Opaque).by_default(),
        Property::new("description", Shape::Opaque).by_default(),
        Property::new("displayName", NAME).by_default(),
        Property::new("homepage", Shape::Opaque).by_default(),
        Property::new("loginUrl", Shape::Opaque).by_default(),
        Property::new("preferredSingleSignOnMode", Shape::Opaque).by_default(),
        Property::new("replyUrls", Shape::Opaque).by_default(),
        Property::new("servicePrincipalType", Shape::Opaque).by_default(),
        Property::new("tags", Shape::Opaque).by_default(),
    ],
    default_top: 100,
};

/// One of the two views of apps.
struct Kind {
    collection: &'static str,
    schema: &'static Schema,
    id: fn(TenantId, AppId) -> Uuid,
    json: fn(&Call, &App) -> Map<String, Value>,
}

const APPLICATIONS: Kind = Kind { collection: "applications", schema: &APPLICATION, id: application_id, json: application };
const SERVICE_PRINCIPALS: Kind =
    Kind { collection: "servicePrincipals", schema: &SERVICE_PRINCIPAL, id: service_principal_id, json: service_principal };

/// The id of an app as an object of the directory, which is not its `appId`. Derived from that, so that it needs no record.
fn derived(what: &str, tenant: TenantId, app: AppId) -> Uuid {
    let name = DocumentId::of(&[what.as_bytes(), tenant.as_bytes(), app.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&name.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn application_id(tenant: TenantId, app: AppId) -> Uuid {
    derived("application", tenant, app)
}

/// The id of the service principal of an app.
pub(super) fn service_principal_id(tenant: TenantId, app: AppId) -> Uuid {
    derived("service principal", tenant, app)
}

/// The app whose service principal has an id.
pub(super) fn by_service_principal(call: &Call, id: Uuid) -> Option<&App> {
    let tenant = call.caller.tenant();
    call.caller.view.apps.values().find(|app| service_principal_id(tenant, app.id) == id)
}

/// An app as filters see it.
struct AppEntity<'a> {
    id: Uuid,
    app: &'a App,
}

impl Entity for AppEntity<'_> {
    fn property(&self, name: &str) -> odata::Value<'_> {
        match name {
            "id" => self.id.into(),
            "appId" => self.app.id.0.into(),
            "displayName" => self.app.display_name.as_str().into(),
            "accountEnabled" => self.app.enabled.into(),
            "appRoleAssignmentRequired" => self.app.assignment_required.into(),
            _ => odata::Value::Null,
        }
    }
}

/// `GET /applications`
pub(super) async fn list_applications(call: Call) -> Result<Answer, Error> {
    list(&call, &APPLICATIONS)
}

/// `GET /servicePrincipals`
pub(super) async fn list_service_principals(call: Call) -> Result<Answer, Error> {
    list(&call, &SERVICE_PRINCIPALS)
}

/// `GET /applications/{id}`
pub(super) async fn get_application(call: Call) -> Result<Answer, Error> {
    let id = call.id(0)?;
    get(&call, &APPLICATIONS, |app| application_id(call.caller.tenant(), app.id) == id)
}

/// `GET /servicePrincipals/{id}`
pub(super) async fn get_service_principal(call: Call) -> Result<Answer, Error> {
    let id = call.id(0)?;
    get(&call, &SERVICE_PRINCIPALS, |app| service_principal_id(call.caller.tenant(), app.id) == id)
}

/// `GET /applications(appId='{appId}')`
pub(super) async fn get_application_by_app(call: Call) -> Result<Answer, Error> {
    let id = call.id(0)?;
    get(&call, &APPLICATIONS, |app| app.id.0 == id)
}

/// `GET /servicePrincipals(appId='{appId}')`
pub(super) async fn get_service_principal_by_app(call: Call) -> Result<Answer, Error> {
    let id = call.id(0)?;
    get(&call, &SERVICE_PRINCIPALS, |app| app.id.0 == id)
}

/// All apps are in memory with the tenant, in the order of their `appId`.
fn list(call: &Call, kind: &Kind) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, kind.schema)?;
    let tenant = call.caller.tenant();
    let envelope = call.envelope(kind.collection);
    let pages = call.pages(envelope, &query);
    let matching = |app: &&App| {
        let entity = AppEntity { id: (kind.id)(tenant, app.id), app };
        query.filter.as_ref().is_none_or(|filter| filter.matches(&entity))
    };
    let matching = call.caller.view.apps.values().filter(matching).map(|app| (app.id.0, app));
    let found = listing::few(call, &query, &pages, matching.collect())?;
    let entities = found.entities.into_iter().map(|app| (kind.json)(call, app));
    Ok(Answer::json(StatusCode::OK, envelope.page(&query, entities, found.count, found.next_link)))
}

fn get(call: &Call, kind: &Kind, wanted: impl Fn(&App) -> bool) -> Result<Answer, Error> {
    let select = Select::of_one(&call.query, kind.schema)?;
    let app = call.caller.view.apps.values().find(|app| wanted(app)).ok_or_else(Error::not_found)?;
    Ok(Answer::json(StatusCode::OK, call.envelope(kind.collection).entity(&select, (kind.json)(call, app))))
}

fn redirects(app: &App) -> Vec<&str> {
    app.redirect_uris.iter().map(|uri| uri.as_str()).collect()
}

fn application(call: &Call, app: &App) -> Map<String, Value> {
    let public = matches!(app.client, ClientType::Public);
    let (of_web, of_public) = if public { (Vec::new(), redirects(app)) } else { (redirects(app), Vec::new()) };
    object(json!({
        "id": application_id(call.caller.tenant(), app.id),
        "appId": app.id,
        "displayName": app.display_name,
        "description": app.description,
        "publicClient": { "redirectUris": of_public },
        "signInAudience": "AzureADMyOrg",
        "web": { "homePageUrl": app.homepage.as_ref().map(|url| url.as_str()), "redirectUris": of_web },
    }))
}

fn service_principal(call: &Call, app: &App) -> Map<String, Value> {
    let homepage = app.homepage.as_ref().map(|url| url.as_str());
    object(json!({
        "id": service_principal_id(call.caller.tenant(), app.id),
        "accountEnabled": app.enabled,
        "appId": app.id,
        "appOwnerOrganizationId": call.caller.tenant(),
        "appRoleAssignmentRequired": app.assignment_required,
        "appRoles": [],
        "description": app.description,
        "displayName": app.display_name,
        "homepage": homepage,
        "loginUrl": homepage,
        "preferredSingleSignOnMode": "oidc",
        "replyUrls": redirects(app),
        "servicePrincipalType": "Application",
        "tags": if app.visible { Vec::new() } else { vec!["HideApp"] },
    }))
}
