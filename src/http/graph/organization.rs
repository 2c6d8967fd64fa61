//! The organisation itself (b2b-facts section 5.6).

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    call::{Call, etag},
    listing,
    user_change::{Members, is_annotation, parsed},
};
use crate::{
    domain::{TenantId, WebUrl, tenant::Tenant},
    flows::organisation::{PrivacyChange, change_privacy},
    odata::{Answer, Error, ErrorCode, Property, Query, Schema, Select, Shape, json::object},
    store::records::Stored,
};

const SCHEMA: Schema = Schema {
    entity: "organization",
    properties: &[
        Property::new("id", Shape::Opaque).by_default(),
        Property::new("createdDateTime", Shape::Opaque).by_default(),
        Property::new("displayName", Shape::Opaque).by_default(),
        Property::new("preferredLanguage", Shape::Opaque).by_default(),
        Property::new("privacyProfile", Shape::Opaque).by_default(),
        Property::new("tenantType", Shape::Opaque).by_default(),
        Property::new("verifiedDomains", Shape::Opaque).by_default(),
    ],
    default_top: 100,
};

/// The longest address of a privacy statement, in characters (b2b-facts section 12).
const STATEMENT_MAX: usize = 255;
/// Properties that Graph lets administrators change and this server does not have.
const NOT_OFFERED: [&str; 6] = [
    "technicalNotificationMails",
    "securityComplianceNotificationMails",
    "marketingNotificationEmails",
    "securityComplianceNotificationPhones",
    "businessPhones",
    "onPremisesSyncEnabled",
];

/// `GET /organization`
pub(super) async fn list(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, &SCHEMA)?;
    let stored = read(&call).await?;
    let envelope = call.envelope("organization");
    let one = vec![(stored.value.id.0, json(&stored))];
    let found = listing::few(&call, &query, &call.pages(envelope, &query), one)?;
    Ok(Answer::json(StatusCode::OK, envelope.page(&query, found.entities, found.count, found.next_link)))
}

/// `GET /organization/{id}`
pub(super) async fn get(call: Call) -> Result<Answer, Error> {
    let select = Select::of_one(&call.query, &SCHEMA)?;
    let stored = named(&call).await?;
    Ok(Answer::json(StatusCode::OK, call.envelope("organization").entity(&select, json(&stored))))
}

/// `PATCH /organization/{id}`: the privacy profile.
pub(super) async fn patch(call: Call) -> Result<Answer, Error> {
    let stored = named(&call).await?;
    let mut members = Members(call.members());
    let refused = |name: &str, why: &str| Error::new(ErrorCode::RequestBadRequest, format!("Property '{name}' {why}."));
    if let Some(name) = NOT_OFFERED.into_iter().find(|name| members.0.contains_key(*name)) {
        return Err(refused(name, "is not offered here"));
    }
    if let Some(property) = SCHEMA.properties.iter().find(|p| p.name() != "privacyProfile" && members.0.contains_key(p.name())) {
        return Err(refused(property.name(), "is read-only and cannot be set"));
    }
    let profile = members.taken("privacyProfile", |value| match value {
        Value::Object(profile) => Some(profile),
        _ => None,
    })?;
    members.nothing_left("organization")?;
    let Some(mut profile) = profile.map(Members) else { return Err(refused("privacyProfile", "is required")) };
    profile.0.retain(|name, _| !is_annotation(name));
    let change = PrivacyChange {
        statement_url: profile.taken("statementUrl", statement)?,
        contact_email: profile.taken("contactEmail", parsed)?,
    };
    profile.nothing_left("privacyProfile")?;
    let (tenant, actor, expected) = (call.caller.tenant(), call.caller.actor(), call.unchanged(stored.version)?);
    change_privacy(call.foundation(), tenant, &actor, expected, &change).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn statement(value: Value) -> Option<Option<WebUrl>> {
    if value.as_str().is_some_and(|text| text.chars().count() > STATEMENT_MAX) {
        return None;
    }
    parsed(value)
}

/// The record, not the copy in memory: it has the version that a change is compared with.
async fn read(call: &Call) -> Result<Stored<Tenant>, Error> {
    call.directory().organisation().await?.ok_or_else(Error::not_found)
}

/// The caller's own organisation: another one's id is as unknown as any (checklist T-02).
async fn named(call: &Call) -> Result<Stored<Tenant>, Error> {
    if TenantId(call.id(0)?) == call.caller.tenant() { read(call).await } else { Err(Error::not_found()) }
}

fn json(stored: &Stored<Tenant>) -> Map<String, Value> {
    let tenant = &stored.value;
    let (initial, default) = (tenant.initial_domain(), tenant.shown_domain());
    let verified = tenant.domains.iter().filter(|domain| domain.verified);
    let domains: Vec<_> = verified
        .map(|domain| {
            json!({
                "capabilities": "Email",
                "isDefault": Some(&domain.name) == default,
                "isInitial": Some(&domain.name) == initial,
                "name": domain.name,
                "type": "Managed",
            })
        })
        .collect();
    object(json!({
        "@odata.etag": etag(stored.version).to_string(),
        "id": tenant.id,
        "createdDateTime": tenant.created,
        "displayName": tenant.display_name,
        "preferredLanguage": tenant.policy.language,
        "privacyProfile": {
            "contactEmail": tenant.privacy.contact_email,
            "statementUrl": tenant.privacy.statement_url.as_ref().map(WebUrl::as_str),
        },
        "tenantType": "AAD",
        "verifiedDomains": domains,
    }))
}
