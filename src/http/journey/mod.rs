//! The pages of a journey: one dispatcher that shows what is owed, and forms that take down one fact each.
//!
//! Every form answers with a redirect back to the dispatcher, so that a reload never sends anything twice. A step that
//! leads to another origin is a page with a link and a refresh, since `form-action` would stop a redirect.

mod account;
mod errand;
mod forms;
mod land;
mod mailbox;
mod steps;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

pub use forms::post;
pub(super) use land::answer_client;
pub(super) use steps::{refused_at_home, rendered, silent_refusal};

use super::{
    browser::{self, Cookies},
    pages::{AccountInUse, Chrome, Link},
    urls::{self, Action},
    visit::{Visit, see_other},
};
use crate::{
    domain::{journey::Errand, link::Sources, tenant::IdentitySource},
    error::Code,
    flows::{
        Loaded, Vestibule,
        directory::TenantView,
        journey::{Journey, JourneyId, Proof},
        opened::Introduction,
        session::Session,
    },
    i18n::Languages,
    oidc::AuthorizeRequest,
    store::StoreError,
};

/// A journey that a request belongs to.
pub(super) struct Open {
    pub(super) visit: Visit,
    pub(super) view: Arc<TenantView>,
    pub(super) journey: Journey,
    pub(super) session: Option<Session>,
    pub(super) languages: Languages,
    pub(super) cookies: Cookies,
}

/// `GET` of a journey: the page that is owed.
pub async fn show(State(_): State<Arc<Vestibule>>, Path((authority, id)): Path<(String, String)>, visit: Visit) -> Response {
    match Open::find(visit, &authority, &id).await {
        Ok(mut open) => {
            if let Some(source) = open.visit.query().and_then(chosen) {
                open.journey.choose(source);
            }
            let trouble = open.journey.trouble.take().and_then(Code::numbered);
            steps::show(open, trouble).await
        }
        Err(response) => *response,
    }
}

/// The link of a refusal that leads on in another way.
fn with(source: IdentitySource) -> &'static str {
    match source {
        IdentitySource::HomeOrganisation => "with=organisation",
        IdentitySource::OneTimePasscode => "with=code",
        IdentitySource::LocalAccount => "with=account",
    }
}

fn chosen(query: &str) -> Option<IdentitySource> {
    use IdentitySource::{HomeOrganisation, LocalAccount, OneTimePasscode};
    [HomeOrganisation, OneTimePasscode, LocalAccount].into_iter().find(|source| with(*source) == query)
}

impl Open {
    /// Begins a journey for a request that has none yet.
    pub(super) fn begin(visit: Visit, view: Arc<TenantView>, journey: Journey, session: Option<Session>) -> Self {
        let languages = wished(&visit, &view, journey.request.as_ref());
        Self { visit, view, journey, session, languages, cookies: Cookies::default() }
    }

    /// The journey that a path names, if this browser carries it.
    pub(super) async fn find(visit: Visit, authority: &str, id: &str) -> Result<Self, Box<Response>> {
        let sources = Sources { path: Some(authority), ..Sources::default() };
        let view = visit.vestibule.directory.context(sources).await.map_err(|code| Box::new(visit.refuse(code)))?;
        let id: JourneyId = id.parse().map_err(|code| Box::new(visit.refuse_in(Some(&view), code)))?;
        match browser::journey(&visit.headers, view.tenant.id, id, &visit.vestibule) {
            Ok(journey) => {
                let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
                Ok(Self::begin(visit, view, journey, session))
            }
            Err(code) => {
                let mut cookies = Cookies::default();
                cookies.drop_journey(id, &visit.headers);
                Err(Box::new(cookies.onto(not_here(&visit, &view, code))))
            }
        }
    }

    /// The journey of this browser with a tenant that `belongs`.
    pub(super) async fn find_where(
        visit: Visit,
        authority: &str,
        belongs: impl Fn(&Journey) -> bool,
    ) -> Result<Self, Box<Response>> {
        let sources = Sources { path: Some(authority), ..Sources::default() };
        let view = visit.vestibule.directory.context(sources).await.map_err(|code| Box::new(visit.refuse(code)))?;
        let mut journeys = browser::journeys(&visit.headers, view.tenant.id, &visit.vestibule).into_iter();
        let journey =
            journeys.find(|journey| belongs(journey)).ok_or_else(|| Box::new(not_here(&visit, &view, Code::JourneyLost)))?;
        let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
        Ok(Self::begin(visit, view, journey, session))
    }

    pub(super) fn vestibule(&self) -> &Vestibule {
        &self.visit.vestibule
    }

    pub(super) async fn load(&mut self) -> Result<Loaded, Code> {
        let (vestibule, wished) = (&self.visit.vestibule, &self.languages.wished);
        let loaded = Loaded::load(vestibule, &self.view, &mut self.journey, self.session.as_ref(), wished).await;
        loaded.map_err(StoreError::refusal)
    }

    /// Back to the dispatcher, with the journey as it is now.
    pub(super) fn go_on(mut self) -> Response {
        if let Err(code) = self.keep() {
            return self.visit.refuse_in(Some(&self.view), code);
        }
        let here = urls::Path::Journey(self.view.tenant.id, self.journey.id);
        self.cookies.onto(see_other(&here))
    }

    /// The same after a form that did not count: the page that is owed says why. A page that answered the form itself would
    /// have the browser send it again when it is loaded again, and a wrong code would be two.
    pub(super) fn go_back(mut self, code: Code) -> Response {
        self.journey.trouble = Some(code.number());
        self.go_on()
    }

    /// Keeps the journey in the browser.
    pub(super) fn keep(&mut self) -> Result<(), Code> {
        self.cookies.keep_journey(&self.journey, &self.visit.headers, &self.visit.vestibule)
    }

    /// Ends the journey.
    pub(super) fn close(&mut self) {
        self.cookies.drop_journey(self.journey.id, &self.visit.headers);
    }

    pub(super) fn form(&self, action: Action) -> Link {
        urls::Path::Form(self.view.tenant.id, self.journey.id, action).to_string().into()
    }

    /// What is shown around a page; `loaded` says who is in front of it.
    pub(super) fn chrome(&self, loaded: Option<&Loaded>) -> Chrome {
        let mut chrome = self.visit.chrome(Some(&self.view), None);
        chrome.language = self.languages.page;
        chrome.csrf = self.journey.form_token();
        chrome.account = self.account(loaded);
        chrome
    }

    fn account(&self, loaded: Option<&Loaded>) -> Option<AccountInUse> {
        let switch = Some(self.form(Action::SwitchAccount));
        let user = loaded.and_then(|loaded| loaded.user.as_ref());
        let proven = self.journey.proof.as_ref().map(|Proof { identity: proof, .. }| {
            let email = proof.email.as_ref().map(|email| email.address().to_string()).or(proof.claimed_email.clone());
            email.or(proof.name.clone()).or_else(|| user.map(|user| user.display_name.clone())).unwrap_or_default()
        });
        let session = loaded.and_then(|loaded| loaded.session.as_ref());
        let by_session = session.zip(user).map(|(session, user)| session.account(user));
        let met = loaded.and_then(|loaded| loaded.met.clone());
        if let Some(label) = proven.or(by_session).filter(|label| !label.is_empty()).or(met) {
            return Some(AccountInUse { label, proven: true, switch });
        }
        let label = self.journey.address.as_ref()?.to_string();
        Some(AccountInUse { label, proven: false, switch })
    }

    /// The name of the app that the journey leads to.
    pub(super) fn app_name(&self) -> Option<String> {
        let app = self.journey.destination.app()?;
        self.view.apps.get(&app).map(|app| app.display_name.clone())
    }

    /// What the first pages say of the invitation that began the journey.
    fn introduction(&self) -> Option<Introduction> {
        self.journey.invitation.as_ref()?.introduction.clone()
    }

    /// The link that starts this journey over: without the client's request, which is answered once. The link of an invitation
    /// is not kept, so the journey that it began goes on.
    pub(super) fn start_again(&self) -> Link {
        let tenant = self.view.tenant.id;
        let path = match (self.journey.errand, self.journey.destination.app()) {
            _ if self.journey.invitation.is_some() => urls::Path::Journey(tenant, self.journey.id),
            (Some(Errand::Leave), _) => urls::Path::Leave(tenant),
            (Some(Errand::BlockInvitations), _) => urls::Path::BlockInvitations(tenant),
            (Some(Errand::SendAgain), _) => urls::Path::SendAgain(tenant),
            (None, Some(app)) => urls::Path::App(tenant, app),
            (None, None) => urls::Path::Panel(tenant),
        };
        path.to_string().into()
    }
}

/// A journey that is over and was taken for one that is not.
fn lost(mut open: Open, code: Code) -> Response {
    open.close();
    let response = not_here(&open.visit, &open.view, code);
    open.cookies.onto(response)
}

/// A journey that is not here: the way on is the apps panel, which starts a new one.
fn not_here(visit: &Visit, view: &TenantView, code: Code) -> Response {
    let mut refusal = super::pages::Refusal::new(visit.chrome(Some(view), None), code);
    refusal.contact = super::visit::contact(view);
    refusal.start_again = Some(urls::Path::Panel(view.tenant.id).to_string().into());
    visit.refuse_with(refusal)
}

pub(super) fn wished(visit: &Visit, view: &TenantView, request: Option<&AuthorizeRequest>) -> Languages {
    let asked = request.map(|request| request.ui_locales.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(" "));
    visit.languages(asked.as_deref(), Some(&view.tenant))
}
