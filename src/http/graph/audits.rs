//! The audit log, newest first.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{call::Call, limits::turn, listing::LOOKED_AT};
use crate::{
    domain::{
        UserId,
        audit::{Activity, Actor, Event},
    },
    odata::{self, Answer, Entity, Error, Ops, Property, Query, Schema, Select, Shape, Type, json::object},
};

const NAME: Shape = Shape::Single(Type::String, Ops::EQUALITY.and(Ops::STARTS_WITH));

const SCHEMA: Schema = Schema {
    entity: "directoryAudit",
    properties: &[
        Property::new("id", Shape::Opaque).by_default(),
        Property::new("activityDateTime", Shape::Single(Type::DateTime, Ops::EQUALITY.and(Ops::ORDER))).by_default(),
        Property::new("activityDisplayName", NAME).by_default(),
        Property::new("additionalDetails", Shape::Opaque).by_default(),
        Property::new("category", NAME).by_default(),
        Property::new("correlationId", Shape::Opaque).by_default(),
        Property::new("initiatedBy", Shape::Opaque).by_default(),
        Property::new("loggedByService", NAME).by_default(),
        Property::new("operationType", Shape::Opaque).by_default(),
        Property::new("result", Shape::Opaque).by_default(),
        Property::new("resultReason", Shape::Opaque).by_default(),
        Property::new("targetResources", Shape::Opaque).by_default(),
    ],
    default_top: 100,
};

/// Entries that are read at once.
const PIECE: u64 = 250;

/// `GET /auditLogs/directoryAudits`. A page looks at a bounded number of entries, and may be short or empty and still have a
/// next link.
pub(super) async fn list(call: Call) -> Result<Answer, Error> {
    let query = Query::parse(&call.query, &SCHEMA)?;
    if query.count && query.filter.is_some() {
        return Err(Error::not_implemented("$count is offered without $filter here."));
    }
    let (foundation, directory) = (call.foundation(), call.directory());
    let envelope = call.envelope("auditLogs/directoryAudits");
    let pages = call.pages(envelope, &query);
    let last = directory.latest_audit().await?;
    // The entries before this one are those that were not looked at.
    let mut before: u64 = pages.open(foundation.now())?.unwrap_or(last.saturating_add(1));
    let (top, mut looked_at, mut shown) = (usize::from(query.top), 0, Vec::new());
    let reading = query.filter.as_ref().map(|_| call.reading()).transpose()?;
    while before > 1 && shown.len() < top && looked_at < LOOKED_AT {
        let _turn = turn(reading.as_ref()).await;
        let first = before.saturating_sub(PIECE).max(1);
        for event in directory.audits(first..before).await? {
            if shown.len() == top {
                break;
            }
            (looked_at, before) = (looked_at + 1, event.sequence);
            let entity = Entry::of(&event);
            if query.filter.as_ref().is_none_or(|filter| filter.matches(&entity)) {
                shown.push(entity.json(&call, &event));
            }
        }
        // An entry that is gone must not keep the reader here.
        before = if shown.len() < top { first } else { before };
    }
    let next = (before > 1).then(|| pages.next_link(before, foundation.now(), &*foundation.entropy));
    Ok(Answer::json(StatusCode::OK, envelope.page(&query, shown, Some(last), next)))
}

/// `GET /auditLogs/directoryAudits/{id}`
pub(super) async fn get(call: Call) -> Result<Answer, Error> {
    let select = Select::of_one(&call.query, &SCHEMA)?;
    let tenant = call.caller.tenant();
    let sequence = call.parameter(0).strip_prefix("Directory_").and_then(|id| id.split_once('_'));
    let sequence = sequence.filter(|(of, _)| *of == tenant.to_string()).and_then(|(_, sequence)| sequence.parse().ok());
    let sequence: u64 = sequence.ok_or_else(Error::not_found)?;
    let event = call.directory().audits(sequence..sequence.saturating_add(1)).await?.pop().ok_or_else(Error::not_found)?;
    let members = Entry::of(&event).json(&call, &event);
    Ok(Answer::json(StatusCode::OK, call.envelope("auditLogs/directoryAudits").entity(&select, members)))
}

/// An entry in the words of Graph (b2b-facts section 11); where it has none, in ours.
struct Entry {
    at: Timestamp,
    name: &'static str,
    category: &'static str,
    service: &'static str,
    operation: &'static str,
    user: Option<UserId>,
    details: Vec<(&'static str, String)>,
}

const USERS: &str = "UserManagement";
const INVITED: &str = "Invited Users";
const CORE: &str = "Core Directory";

impl Entry {
    fn of(event: &Event) -> Self {
        let (name, category, service, operation) = words(&event.activity);
        let (user, details) = about(&event.activity);
        Self { at: event.at, name, category, service, operation, user, details }
    }

    fn json(&self, call: &Call, event: &Event) -> Map<String, Value> {
        let tenant = call.caller.tenant();
        let target = self.user.map(|user| {
            let called = event.called.as_ref();
            json!({
                "id": user,
                "displayName": called.map(|called| &called.display_name),
                "modifiedProperties": [],
                "type": "User",
                "userPrincipalName": called.map(|called| &called.principal_name),
            })
        });
        let details: Vec<_> = self.details.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        object(json!({
            "id": format!("Directory_{tenant}_{}", event.sequence),
            "activityDateTime": self.at,
            "activityDisplayName": self.name,
            "additionalDetails": details,
            "category": self.category,
            "correlationId": null,
            "initiatedBy": initiator(call, &event.actor),
            "loggedByService": self.service,
            "operationType": self.operation,
            "result": "success",
            "resultReason": "",
            "targetResources": target.into_iter().collect::<Vec<_>>(),
        }))
    }
}

impl Entity for Entry {
    fn property(&self, name: &str) -> odata::Value<'_> {
        match name {
            "activityDateTime" => self.at.into(),
            "activityDisplayName" => self.name.into(),
            "category" => self.category.into(),
            "loggedByService" => self.service.into(),
            _ => odata::Value::Null,
        }
    }
}

fn initiator(call: &Call, actor: &Actor) -> Value {
    let app = |id: Value, name: &str| json!({ "app": { "appId": id, "displayName": name }, "user": null });
    match actor {
        Actor::User(user) => {
            json!({ "app": null, "user": { "id": user, "displayName": null, "ipAddress": null, "userPrincipalName": null } })
        }
        Actor::App(id) => {
            let name = call.caller.view.apps.get(id).map_or("", |app| app.display_name.as_str());
            app(json!(id), name)
        }
        Actor::Operator => app(Value::Null, "Operator"),
        Actor::Server => app(Value::Null, "Vestibule"),
    }
}

/// Name, category, service and kind of operation.
fn words(activity: &Activity) -> (&'static str, &'static str, &'static str, &'static str) {
    match activity {
        Activity::Configured { .. } => ("Set Company Information", "DirectoryManagement", CORE, "Update"),
        Activity::DomainVerified { .. } => ("Verify domain", "DirectoryManagement", CORE, "Update"),
        Activity::DomainUnverified { .. } => ("Domain no longer verified", "DirectoryManagement", CORE, "Update"),
        Activity::UserAdded { .. } => ("Add user", USERS, CORE, "Add"),
        Activity::UserBlocked { .. } => ("Disable account", USERS, CORE, "Update"),
        Activity::UserUnblocked { .. } => ("Enable account", USERS, CORE, "Update"),
        Activity::UserChanged { .. } => ("Update user", USERS, CORE, "Update"),
        Activity::Redeemed { .. } => ("Redeem external user invite", USERS, INVITED, "Update"),
        Activity::PermissionsAccepted { .. } => ("Accept permissions", USERS, INVITED, "Update"),
        Activity::TermsAnswered { answer, .. } if answer == "accepted" => {
            ("Accept Terms Of Use", "Policy", "Terms Of Use", "Add")
        }
        Activity::TermsAnswered { .. } => ("Decline Terms Of Use", "Policy", "Terms Of Use", "Add"),
        Activity::SessionsRevoked { .. } => ("Update StsRefreshTokenValidFrom Timestamp", USERS, CORE, "Update"),
        Activity::SignedOut { .. } => ("Sign-out", "Authentication", CORE, "Update"),
        Activity::KeysRotated => ("Rotate signing keys", "KeyManagement", CORE, "Update"),
        Activity::ReuseDetected { .. } => ("Token used twice", "Authentication", CORE, "Update"),
        Activity::Invited { .. } => ("Invite external user", USERS, INVITED, "Add"),
        Activity::InvitationResent { .. } => ("Resend external user invite", USERS, INVITED, "Update"),
        Activity::InvitationMailSuppressed { .. } => ("Email not sent, user unsubscribed", USERS, INVITED, "Update"),
        Activity::InvitationRevoked { .. } => ("Revoke external user invite", USERS, INVITED, "Delete"),
        Activity::InvitationsBlocked { .. } => ("Email unsubscribed", USERS, INVITED, "Update"),
        Activity::InvitationsUnblocked { .. } => ("Email subscribed", USERS, INVITED, "Update"),
        Activity::RedemptionReset { .. } => ("Invite external user with reset invitation status", USERS, INVITED, "Update"),
        Activity::UserDeleted { .. } => ("Delete external user", USERS, INVITED, "Delete"),
        Activity::UserLeft { .. } => ("Leave organization", USERS, INVITED, "Delete"),
        Activity::UserRestored { .. } => ("Restore user", USERS, CORE, "Update"),
        Activity::UserDeletedPermanently { .. } => ("Hard Delete user", USERS, CORE, "Delete"),
        Activity::AppAssigned { .. } => ("Assign external user to application", "ApplicationManagement", INVITED, "Assign"),
        Activity::AppUnassigned { .. } => ("Remove app role assignment from user", "ApplicationManagement", CORE, "Unassign"),
        Activity::AccountSetUp { .. } => ("User registered security info", USERS, "Authentication Methods", "Add"),
    }
}

/// Whom it was done to, and what else is known.
fn about(activity: &Activity) -> (Option<UserId>, Vec<(&'static str, String)>) {
    let app = |app: &crate::domain::AppId| vec![("app", app.to_string())];
    match activity {
        Activity::Configured { what } => (None, vec![("what", what.clone())]),
        Activity::KeysRotated => (None, Vec::new()),
        Activity::DomainVerified { domain } | Activity::DomainUnverified { domain } => {
            (None, vec![("domain", domain.to_string())])
        }
        Activity::UserChanged { user, what } => (Some(*user), vec![("what", what.clone())]),
        Activity::Redeemed { user, source, issuer, alias } => {
            let alias = alias.iter().map(|alias| ("alias", alias.to_string()));
            let known = [("source", source.clone()), ("issuer", issuer.clone())];
            (Some(*user), known.into_iter().chain(alias).collect())
        }
        Activity::TermsAnswered { user, agreement, document, .. } => {
            (Some(*user), vec![("agreement", agreement.to_string()), ("document", document.clone())])
        }
        Activity::ReuseDetected { user, app: id }
        | Activity::AppAssigned { user, app: id }
        | Activity::AppUnassigned { user, app: id } => (Some(*user), app(id)),
        Activity::Invited { user, invitation, mail } | Activity::InvitationResent { user, invitation, mail } => {
            (Some(*user), vec![("invitation", invitation.to_string()), ("mail", mail.to_string())])
        }
        Activity::InvitationMailSuppressed { user, invitation } | Activity::InvitationRevoked { user, invitation } => {
            (Some(*user), vec![("invitation", invitation.to_string())])
        }
        Activity::AccountSetUp { user, with, recovered } => {
            (Some(*user), vec![("with", with.clone()), ("recovered", recovered.to_string())])
        }
        Activity::UserAdded { user }
        | Activity::UserBlocked { user }
        | Activity::UserUnblocked { user }
        | Activity::PermissionsAccepted { user }
        | Activity::SessionsRevoked { user }
        | Activity::SignedOut { user }
        | Activity::InvitationsBlocked { user }
        | Activity::InvitationsUnblocked { user }
        | Activity::RedemptionReset { user }
        | Activity::UserDeleted { user }
        | Activity::UserLeft { user }
        | Activity::UserRestored { user }
        | Activity::UserDeletedPermanently { user } => (Some(*user), Vec::new()),
    }
}
