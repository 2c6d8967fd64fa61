//! All routes of the directory API, once: paths, permissions, what they take and give. The OpenAPI document and the tests that go
//! through all routes are made of it, too.

use http::Method;

use super::{
    apps, assignments, audits, deleted, invitations, organization,
    route::{Gives, Needs, Route, Run},
    sponsors, tenants, user_change, users,
};
use crate::domain::permission::Permission::{
    self, AppRoleAssignmentReadWriteAll, ApplicationReadAll, AuditLogReadAll, CrossTenantInformationReadBasicAll,
    DirectoryReadAll, OrganizationReadAll, OrganizationReadWriteAll, UserEnableDisableAccountAll, UserInviteAll, UserRead,
    UserReadAll, UserReadWriteAll,
};

/// For an app by itself and, with the same permission, in the name of a member. Guests cannot read the directory.
const fn members_too(permissions: &'static [Permission]) -> Needs {
    assert!(!permissions.is_empty());
    Needs::AppOr { app: permissions, members: permissions, anybody: &[] }
}

/// For an app by itself.
const fn apps_only(permissions: &'static [Permission]) -> Needs {
    assert!(!permissions.is_empty());
    Needs::App(permissions)
}

const fn route(method: Method, path: &'static str, needs: Needs, gives: Gives, run: Run, summary: &'static str) -> Route {
    Route { method, path, needs, summary, takes: None, gives, mails: false, run }
}

/// The same with a body.
const fn taking(
    takes: &'static str,
    method: Method,
    path: &'static str,
    needs: Needs,
    gives: Gives,
    run: Run,
    summary: &'static str,
) -> Route {
    Route { method, path, needs, summary, takes: Some(takes), gives, mails: false, run }
}

macro_rules! run {
    ($handler:path) => {
        Run::Handler(|call| Box::pin($handler(call)))
    };
}

const READ: Needs = members_too(&[UserReadAll]);
const WRITE: Needs = apps_only(&[UserReadWriteAll]);
const INVITE: Needs = apps_only(&[UserInviteAll]);
const READ_APPS: Needs = members_too(&[ApplicationReadAll]);
const READ_ASSIGNMENTS: Needs = apps_only(&[AppRoleAssignmentReadWriteAll, DirectoryReadAll]);
const ASSIGN: Needs = apps_only(&[AppRoleAssignmentReadWriteAll]);
const READ_TENANTS: Needs = members_too(&[CrossTenantInformationReadBasicAll]);
/// Whose policy lets them invite is for the directory to say.
const INVITE_AS_ANYBODY: Needs = Needs::AppOr { app: &[UserInviteAll], members: &[UserInviteAll], anybody: &[UserInviteAll] };

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;
const USER: Gives = Gives::One("user");
const USERS: Gives = Gives::Page("user");

/// The routes.
pub(super) static ROUTES: &[Route] = &[
    route(GET, "/openapi.json", Needs::Nothing, Gives::One("openapi"), Run::Document, "This document."),
    taking(
        "batch",
        POST,
        "/$batch",
        Needs::Caller,
        Gives::One("batchAnswer"),
        Run::Batch,
        "Up to 20 requests, each authorised by itself.",
    ),
    taking(
        "invitation",
        POST,
        "/invitations",
        INVITE_AS_ANYBODY,
        Gives::Created("invitation"),
        run!(invitations::create),
        "Invites a guest.",
    )
    .mailing(),
    route(GET, "/me", Needs::Person(&[UserRead, UserReadAll]), USER, run!(users::me), "Who is signed in."),
    route(GET, "/users", READ, USERS, run!(users::list), "Lists users."),
    route(GET, "/users/{id}", READ, USER, run!(users::get), "One user, by id or userPrincipalName."),
    taking(
        "userChange",
        PATCH,
        "/users/{id}",
        apps_only(&[UserEnableDisableAccountAll]),
        Gives::Nothing,
        run!(user_change::patch),
        "Changes a user; with User.EnableDisableAccount.All only accountEnabled.",
    ),
    route(DELETE, "/users/{id}", WRITE, Gives::Nothing, run!(users::delete), "Deletes a user, who can be restored for 30 days."),
    route(
        POST,
        "/users/{id}/revokeSignInSessions",
        WRITE,
        Gives::One("boolean"),
        run!(users::revoke_sessions),
        "Ends all sessions of a user.",
    ),
    taking(
        "sendInvitation",
        POST,
        "/users/{id}/resendInvitation",
        INVITE,
        Gives::One("invitation"),
        run!(invitations::resend),
        "Extension: gives a pending guest a new link and mails it.",
    )
    .mailing(),
    route(
        POST,
        "/users/{id}/revokeInvitation",
        INVITE,
        Gives::Nothing,
        run!(invitations::revoke),
        "Extension: takes an invitation back. Its guest does not come in until invited once more.",
    ),
    taking(
        "sendInvitation",
        POST,
        "/users/{id}/resetRedemption",
        WRITE,
        Gives::One("invitation"),
        run!(invitations::reset),
        "Extension: has a guest prove once more who they are.",
    )
    .mailing(),
    route(GET, "/users/{id}/sponsors", apps_only(&[UserReadAll]), USERS, run!(sponsors::list), "Who answers for a guest."),
    taking("reference", POST, "/users/{id}/sponsors/$ref", WRITE, Gives::Nothing, run!(sponsors::add), "Adds a sponsor."),
    route(DELETE, "/users/{id}/sponsors/{sponsor}/$ref", WRITE, Gives::Nothing, run!(sponsors::remove), "Removes a sponsor."),
    route(
        GET,
        "/users/{id}/appRoleAssignments",
        READ_ASSIGNMENTS,
        Gives::Page("appRoleAssignment"),
        run!(assignments::of_user),
        "The apps that a user is assigned to.",
    ),
    taking(
        "appRoleAssignment",
        POST,
        "/users/{id}/appRoleAssignments",
        ASSIGN,
        Gives::Created("appRoleAssignment"),
        run!(assignments::assign),
        "Assigns a user to an app.",
    ),
    route(
        DELETE,
        "/users/{id}/appRoleAssignments/{assignment}",
        ASSIGN,
        Gives::Nothing,
        run!(assignments::unassign),
        "Takes an assignment back.",
    ),
    route(
        GET,
        "/directory/deletedItems/microsoft.graph.user",
        apps_only(&[UserReadAll]),
        USERS,
        run!(deleted::list),
        "Lists deleted users.",
    ),
    route(
        GET,
        "/directory/deletedItems/graph.user",
        apps_only(&[UserReadAll]),
        USERS,
        run!(deleted::list),
        "The same under the short name.",
    ),
    route(GET, "/directory/deletedItems/{id}", apps_only(&[UserReadAll]), USER, run!(deleted::get), "A deleted user."),
    route(POST, "/directory/deletedItems/{id}/restore", WRITE, USER, run!(deleted::restore), "Restores a deleted user."),
    route(
        DELETE,
        "/directory/deletedItems/{id}",
        WRITE,
        Gives::Nothing,
        run!(deleted::delete),
        "Deletes a deleted user for good.",
    ),
    route(
        GET,
        "/organization",
        members_too(&[OrganizationReadAll]),
        Gives::Page("organization"),
        run!(organization::list),
        "The organisation, as a list of one.",
    ),
    route(
        GET,
        "/organization/{id}",
        members_too(&[OrganizationReadAll]),
        Gives::One("organization"),
        run!(organization::get),
        "The organisation.",
    ),
    taking(
        "organizationChange",
        PATCH,
        "/organization/{id}",
        apps_only(&[OrganizationReadWriteAll]),
        Gives::Nothing,
        run!(organization::patch),
        "Changes the privacy profile.",
    ),
    route(
        GET,
        "/tenantRelationships/findTenantInformationByTenantId(tenantId='{tenantId}')",
        READ_TENANTS,
        Gives::One("tenantInformation"),
        run!(tenants::by_id),
        "The public face of an organisation.",
    ),
    route(
        GET,
        "/tenantRelationships/findTenantInformationByDomainName(domainName='{domainName}')",
        READ_TENANTS,
        Gives::One("tenantInformation"),
        run!(tenants::by_domain),
        "The same by a verified domain.",
    ),
    route(GET, "/applications", READ_APPS, Gives::Page("application"), run!(apps::list_applications), "Lists apps."),
    route(GET, "/applications/{id}", READ_APPS, Gives::One("application"), run!(apps::get_application), "An app."),
    route(
        GET,
        "/applications(appId='{appId}')",
        READ_APPS,
        Gives::One("application"),
        run!(apps::get_application_by_app),
        "An app by its client id.",
    ),
    route(
        GET,
        "/servicePrincipals",
        READ_APPS,
        Gives::Page("servicePrincipal"),
        run!(apps::list_service_principals),
        "Lists apps as guests meet them.",
    ),
    route(
        GET,
        "/servicePrincipals/{id}",
        READ_APPS,
        Gives::One("servicePrincipal"),
        run!(apps::get_service_principal),
        "An app as guests meet it.",
    ),
    route(
        GET,
        "/servicePrincipals(appId='{appId}')",
        READ_APPS,
        Gives::One("servicePrincipal"),
        run!(apps::get_service_principal_by_app),
        "The same by its client id.",
    ),
    route(
        GET,
        "/servicePrincipals/{id}/appRoleAssignedTo",
        READ_ASSIGNMENTS,
        Gives::Page("appRoleAssignment"),
        run!(assignments::of_app),
        "Who is assigned to an app.",
    ),
    route(
        DELETE,
        "/servicePrincipals/{id}/appRoleAssignedTo/{assignment}",
        ASSIGN,
        Gives::Nothing,
        run!(assignments::unassign_from_app),
        "Takes an assignment back.",
    ),
    route(
        GET,
        "/auditLogs/directoryAudits",
        apps_only(&[AuditLogReadAll]),
        Gives::Page("directoryAudit"),
        run!(audits::list),
        "The audit log, newest first.",
    ),
    route(
        GET,
        "/auditLogs/directoryAudits/{id}",
        apps_only(&[AuditLogReadAll]),
        Gives::One("directoryAudit"),
        run!(audits::get),
        "An entry of the audit log.",
    ),
];
