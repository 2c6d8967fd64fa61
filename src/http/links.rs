//! Direct sign-on links and the apps panel: which tenant, which app, and then a journey.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};

use super::{
    assets::is_file_name,
    browser::{self, Cookies},
    form::Form,
    journey::Open,
    pages::{AccountInUse, AppsPanel, Field, OrganisationForm, Refusal, Tile},
    urls,
    visit::{Visit, contact, see_other},
};
use crate::{
    domain::{
        Domain, EmailAddress,
        journey::{Step, next},
        link::{Destination, Sources},
    },
    error::Code,
    flows::{
        Loaded, Vestibule,
        directory::TenantView,
        journey::Journey,
        session::{self, Session},
    },
    oidc::{AuthorizeRequest, authorize::Prompts},
    store::records,
};

/// `/`: the panel of the tenant that `tenantid` or the host names.
pub async fn root(State(_): State<Arc<Vestibule>>, visit: Visit) -> Response {
    enter(visit, None, None).await
}

/// `/<tenant id or verified domain>`: that tenant's panel.
pub async fn panel(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    if is_file_name(&authority) {
        return visit.refuse(Code::PathUnknown);
    }
    enter(visit, Some(&authority), None).await
}

/// `/signin/<app name>/<app id>?tenantId=…`: that app. The name is for people; nothing looks at it.
pub async fn sign_in(State(_): State<Arc<Vestibule>>, Path((_, app)): Path<(String, String)>, visit: Visit) -> Response {
    enter(visit, None, Some(&app)).await
}

/// `/<authority>/signin/<app name>/<app id>`.
pub async fn sign_in_by_authority(
    State(_): State<Arc<Vestibule>>,
    Path((authority, _, app)): Path<(String, String, String)>,
    visit: Visit,
) -> Response {
    enter(visit, Some(&authority), Some(&app)).await
}

/// `/api/signin/<app id>?tenantId=…`.
pub async fn api_sign_in(State(_): State<Arc<Vestibule>>, Path(app): Path<String>, visit: Visit) -> Response {
    enter(visit, None, Some(&app)).await
}

async fn enter(visit: Visit, authority: Option<&str>, app: Option<&str>) -> Response {
    let view = match context(&visit, authority).await {
        Ok(view) => view,
        Err(code) => return refuse_link(&visit, code),
    };
    let destination = match app.map(str::parse).transpose() {
        Ok(None) => Destination::Panel,
        Ok(Some(id)) if view.apps.contains_key(&id) => Destination::App(id),
        Ok(Some(_)) => return visit.refuse_in(Some(&view), Code::AppUnknown),
        Err(_) => return visit.refuse_in(Some(&view), Code::LinkMalformed),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let journey = Journey::start(view.tenant.id, destination, None, &visit.vestibule.foundation);
    let mut open = Open::begin(visit, view, journey, session);
    let loaded = match open.load().await {
        Ok(loaded) => loaded,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let step = next(&loaded.facts(&open.view, &open.journey, &open.languages.wished));
    match (step, destination) {
        (Step::Land, Destination::Panel) => show_panel(open, &loaded).await,
        _ => open.go_on(),
    }
}

/// The tenant that a request's link names, in all its places.
pub(super) async fn context(visit: &Visit, authority: Option<&str>) -> Result<Arc<TenantView>, Code> {
    let sources = Sources { path: authority, query: visit.query(), ..Sources::default() };
    visit.vestibule.directory.context(sources).await
}

/// A link that names no tenant, or none that is known. A common link gets the field that leads on.
pub(super) fn refuse_link(visit: &Visit, code: Code) -> Response {
    let query: Vec<(String, String)> = query(visit).collect();
    let typed = query.iter().find(|(name, _)| name == "organisation").map(|(_, value)| value.trim().to_owned());
    let missing = code == Code::TenantMissing;
    let error = match typed.as_deref().filter(|_| missing).map(|typed| (typed, typed.parse::<Domain>())) {
        Some((_, Ok(domain))) => return see_other(&tenant_specific(visit.path(), &query, &domain)),
        Some((typed, Err(_))) => match typed.parse::<crate::domain::TenantId>() {
            Ok(_) => return see_other(&tenant_specific(visit.path(), &query, &typed)),
            Err(_) => Some(Code::OrganisationMalformed),
        },
        None => None,
    };
    let asked = match code {
        Code::TenantMissing => Some((visit.path().to_owned(), typed.unwrap_or_default())),
        // Who has typed it can correct it.
        Code::TenantUnknown => Some(common(visit.path(), &query)),
        _ => None,
    };
    let mut refusal = Refusal::new(visit.chrome(None, None), code);
    refusal.organisation_form = asked.map(|(action, value)| {
        let kept = query.into_iter().filter(|(name, _)| name != "organisation" && !names_tenant(name));
        let fields = kept.map(|(name, value)| Field { name, value }).collect();
        OrganisationForm { action: action.into(), value, fields, error }
    });
    visit.refuse_with(refusal)
}

/// The path of the same link without its organisation, and that: the inverse of [`tenant_specific`].
fn common(path: &str, query: &[(String, String)]) -> (String, String) {
    if let Some((_, named)) = query.iter().find(|(name, _)| names_tenant(name)) {
        return (path.to_owned(), named.clone());
    }
    let path = path.trim_start_matches('/');
    let (named, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    (format!("/common{rest}"), named.to_owned())
}

fn names_tenant(parameter: &str) -> bool {
    parameter.eq_ignore_ascii_case("tenantid")
}

fn query(visit: &Visit) -> impl Iterator<Item = (String, String)> {
    let query = visit.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned()))
}

/// The same link, naming `organisation`: in the place of a common authority, else as `tenantid`.
fn tenant_specific(path: &str, query: &[(String, String)], organisation: &impl std::fmt::Display) -> String {
    let common = ["common", "organizations", "consumers"];
    let mut segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
    let in_path = segments.first().is_some_and(|first| common.iter().any(|name| first.eq_ignore_ascii_case(name)));
    if in_path {
        segments[0] = organisation.to_string();
    }
    let mut kept = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(name, _)| name != "organisation" && !names_tenant(name)) {
        kept.append_pair(name, value);
    }
    if !in_path {
        kept.append_pair("tenantid", &organisation.to_string());
    }
    let kept = kept.finish();
    let path = format!("/{}", segments.join("/"));
    if kept.is_empty() { path } else { format!("{path}?{kept}") }
}

/// The apps that the guest can open: visible, and assigned or open to all.
async fn show_panel(open: Open, loaded: &Loaded) -> Response {
    let Some(user) = &loaded.user else {
        return open.visit.refuse_in(Some(&open.view), Code::Internal);
    };
    let tenant = open.view.tenant.id;
    let assigned = match open.vestibule().foundation.store.list(&records::assignments(tenant, user.id)).await {
        Ok(assigned) => assigned,
        Err(error) => return open.visit.refuse_in(Some(&open.view), error.refusal()),
    };
    let may_open = |id| assigned.iter().any(|assignment| assignment.value.app == id);
    let shown = open.view.apps.values().filter(|app| app.enabled && app.visible && app.homepage.is_some());
    let shown = shown.filter(|app| !app.assignment_required || may_open(app.id));
    let mut tiles: Vec<_> = shown
        .map(|app| Tile {
            name: app.display_name.clone(),
            description: app.description.clone(),
            start: urls::Path::App(tenant, app.id).to_string().into(),
        })
        .collect();
    tiles.sort_by(|a, b| a.name.cmp(&b.name));
    let token = session::form_token(&open.vestibule().foundation, loaded.session.as_ref());
    let label = loaded.session.as_ref().map_or_else(|| user.display_name.clone(), |session| session.account(user));
    let account = AccountInUse { label, proven: true, switch: None };
    let chrome = open.visit.chrome_for(&open.view, None, account, token);
    let sign_out = urls::Path::SignOut(tenant).to_string().into();
    let leave = user.external.is_some().then(|| urls::Path::Leave(tenant).to_string().into());
    AppsPanel { chrome, name: user.display_name.clone(), tiles, contact: contact(&open.view), sign_out, leave }.into_response()
}

/// Ends the session with a tenant, by the button on its panel.
pub async fn sign_out(
    State(_): State<Arc<Vestibule>>,
    Path(authority): Path<String>,
    visit: Visit,
    body: axum::body::Bytes,
) -> Response {
    let sources = Sources { path: Some(&authority), ..Sources::default() };
    let view = match visit.vestibule.directory.context(sources).await {
        Ok(view) => view,
        Err(code) => return visit.refuse(code),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let genuine = Form::parse(&body).is_ok_and(|form| {
        form.get("csrf").is_some_and(|token| session::is_form_token(&visit.vestibule.foundation, session.as_ref(), token))
    });
    match session {
        Some(_) if !genuine => visit.refuse_in(Some(&view), Code::CrossSite),
        session => end_session(&visit, &view, session.as_ref()).await,
    }
}

/// Ends a session and says so.
pub(super) async fn end_session(visit: &Visit, view: &TenantView, session: Option<&Session>) -> Response {
    if let Some(session) = session
        && let Err(error) = session::end(&visit.vestibule.foundation, session).await
    {
        return visit.refuse_in(Some(view), error.refusal());
    }
    let mut cookies = Cookies::default();
    if session.is_some() {
        // Only what was there is taken away: a request without the cookie proves nothing about the browser.
        cookies.drop_session(view.tenant.id);
    }
    let home = session.and_then(|session| view.federations.iter().find(|f| f.issuer.as_str() == session.issuer));
    let page = super::pages::SignedOut {
        chrome: visit.chrome(Some(view), None),
        home_organisation: home.map(|federation| federation.display_name.clone()),
        sign_in: Some(urls::Path::Panel(view.tenant.id).to_string().into()),
    };
    cookies.onto(page.into_response())
}

/// Starts a journey for a client's request.
pub(super) fn start(visit: Visit, view: Arc<TenantView>, request: AuthorizeRequest, session: Option<Session>) -> Open {
    let destination = Destination::App(request.app);
    let mut journey = Journey::start(view.tenant.id, destination, Some(request), &visit.vestibule.foundation);
    let Some(request) = &journey.request else { return Open::begin(visit, view, journey, session) };
    let hint = request.login_hint.as_deref().and_then(|hint| hint.parse().ok());
    let member = hint.filter(|address: &EmailAddress| view.tenant.domain(&address.domain()).is_some());
    let signed_in_as = |address: &EmailAddress| {
        session.as_ref().is_some_and(|session| session.email.as_ref().is_some_and(|email| email.address() == address))
    };
    let other_user = request.hinted_user.is_some_and(|hinted| session.as_ref().is_some_and(|session| session.user != hinted));
    // Another of the tenant's own people is meant than the one whose session this browser has: who is it?
    let other_member = session.is_some() && member.as_ref().is_some_and(|member| !signed_in_as(member));
    let fresh = request.prompts.contains(Prompts::LOGIN) || request.max_age == Some(0);
    journey.switching = other_user || other_member || request.prompts.contains(Prompts::SELECT_ACCOUNT);
    // A hint for one of the tenant's own people goes straight to the password page, where it can still be corrected.
    if let Some(address) = member.filter(|_| session.is_none() || fresh || other_member) {
        journey.identify(address);
    }
    Open::begin(visit, view, journey, session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_link_becomes_tenant_specific() {
        let domain: Domain = "contoso.example".parse().unwrap();
        let query = |text: &str| -> Vec<(String, String)> {
            url::form_urlencoded::parse(text.as_bytes()).map(|(n, v)| (n.into_owned(), v.into_owned())).collect()
        };
        assert_eq!(tenant_specific("/", &query("organisation=x"), &domain), "/?tenantid=contoso.example");
        assert_eq!(
            tenant_specific("/signin/a/b", &query("x=1&organisation=y"), &domain),
            "/signin/a/b?x=1&tenantid=contoso.example"
        );
        assert_eq!(
            tenant_specific("/common/oauth2/v2.0/authorize", &query("a=b&organisation=y"), &domain),
            "/contoso.example/oauth2/v2.0/authorize?a=b"
        );
        assert_eq!(tenant_specific("/Organizations", &query(""), &domain), "/contoso.example");
    }
}
