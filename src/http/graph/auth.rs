//! Who calls: an app by itself, or in the name of somebody who is signed in to it.

use std::sync::Arc;

use http::{HeaderMap, header};
use jiff::SignedDuration;

use super::{super::visit::TraceId, route::Needs};
use crate::{
    domain::{
        AppId, TenantId, UserId,
        audit::Actor,
        permission::{Permission, Permissions},
        user::{User, UserType},
    },
    error::Code,
    flows::{Vestibule, directory::TenantView, tokens},
    odata::{Error, ErrorCode},
    oidc::token::{Resource, claimed_tenant, verify_access, verify_app},
    store::StoreError,
};

/// Who calls, in which tenant, with which permissions.
#[derive(Debug)]
pub(super) struct Caller {
    /// The tenant of the token: the one that is acted on.
    pub(super) view: Arc<TenantView>,
    /// None is the operator, who needs none.
    app: Option<AppId>,
    /// In whose name; none for an app by itself.
    person: Option<User>,
    permissions: Permissions,
}

impl Caller {
    /// Who runs the server: with all permissions, and nobody's token.
    pub(super) fn operator(view: Arc<TenantView>) -> Self {
        Self { view, app: None, person: None, permissions: Permission::ALL.iter().copied().collect() }
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.view.tenant.id
    }

    /// The app; none for the operator.
    pub(super) fn app(&self) -> Option<AppId> {
        self.app
    }

    pub(super) fn user(&self) -> Option<UserId> {
        self.person.as_ref().map(|person| person.id)
    }

    /// Whether this is an app by itself, or the operator: what stands for an administrator here.
    pub(super) fn is_app(&self) -> bool {
        self.person.is_none()
    }

    /// Whether it has a permission, or one that implies it.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Who acts, for the audit log.
    pub(super) fn actor(&self) -> Actor {
        match (&self.person, self.app) {
            (Some(person), _) => Actor::User(person.id),
            (None, Some(app)) => Actor::App(app),
            (None, None) => Actor::Operator,
        }
    }

    /// Whether a route is open to the caller.
    ///
    /// # Errors
    /// 403 `Authorization_RequestDenied`.
    pub(super) fn check(&self, needs: &Needs) -> Result<(), Error> {
        let any = |permissions: &[Permission]| permissions.iter().any(|permission| self.may(*permission));
        let permitted = match (needs, &self.person) {
            (Needs::Nothing | Needs::Caller, _) => true,
            (Needs::App(permissions) | Needs::AppOr { app: permissions, .. }, None) => any(permissions),
            (Needs::AppOr { members, anybody, .. }, Some(person)) => {
                any(anybody) || (person.user_type == UserType::Member && any(members))
            }
            (Needs::Person(permissions), Some(_)) => any(permissions),
            (Needs::App(_), Some(_)) | (Needs::Person(_), None) => false,
        };
        if permitted { Ok(()) } else { Err(denied()) }
    }
}

/// 403 for a caller without the permission.
pub(super) fn denied() -> Error {
    Error::new(ErrorCode::AuthorizationRequestDenied, "Insufficient privileges to complete the operation.")
        .with(Code::NotPermitted)
}

/// Whose token it is. Every part of it is judged by the keys of the tenant that it names, and its app and its session as they
/// are now: what was switched off or taken away since it was made counts (checklist T-01, T-05).
///
/// # Errors
/// 401 for whatever is wrong with it; 503 when the store is unavailable.
pub(super) async fn authenticate(vestibule: &Vestibule, headers: &HeaderMap, trace: &TraceId) -> Result<Caller, Error> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(unauthenticated()) };
    let token = field.to_str().ok().and_then(|field| field.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
    let token = token.ok_or_else(unauthenticated)?;
    let tenant = claimed_tenant(token).ok_or_else(unauthenticated)?;
    let refused = |why: &dyn std::fmt::Display| {
        // The tenant that the token names is the only one there is: nothing else in the request names one.
        tracing::info!(claimed_tenant = %tenant, trace = trace.0, "directory API: token refused: {why}");
        unauthenticated()
    };
    let view = vestibule.directory.tenant(tenant).await.map_err(StoreError::refusal)?;
    let view = view.ok_or_else(|| refused(&"there is no such tenant"))?;
    if !view.tenant.enabled {
        return Err(refused(&"the tenant is suspended"));
    }
    let (keys, now) = (view.keys.public(), vestibule.foundation.now());
    if let Ok(verified) = verify_app(keys, token, now, SignedDuration::ZERO) {
        let claims = verified.into_claims();
        let app = view.apps.get(&claims.client_id).filter(|app| app.enabled);
        let app = app.ok_or_else(|| refused(&"its app is gone or switched off"))?;
        let granted = Permissions::named(claims.roles.iter().map(String::as_str)).with_implied();
        let permissions = granted.both(app.own_permissions());
        return Ok(Caller { app: Some(app.id), person: None, permissions, view });
    }
    let verified = verify_access(keys, token, Resource::Directory, now, SignedDuration::ZERO).map_err(|error| refused(&error))?;
    let claims = verified.into_claims();
    let app = view.apps.get(&claims.client_id).filter(|app| app.enabled);
    let app = app.ok_or_else(|| refused(&"its app is gone or switched off"))?;
    let person = match tokens::check_person(vestibule, &view, &claims).await {
        Ok(person) => person,
        Err(Code::TokenInvalid) => return Err(refused(&"its session is over, or its person owes something")),
        Err(code) => return Err(code.into()),
    };
    let permissions = claims.scopes().directory().with_implied().both(app.delegable_permissions());
    Ok(Caller { app: Some(app.id), person: Some(person), permissions, view })
}

fn unauthenticated() -> Error {
    Error::new(ErrorCode::InvalidAuthenticationToken, "The access token is missing, has expired, or is not valid here.")
        .with(Code::TokenInvalid)
}
