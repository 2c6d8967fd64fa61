//! A sign-in in progress, as it travels sealed in the browser, and the facts that are loaded for it.
//!
//! The store knows nothing of a journey until it ends: what was typed, proven, opened and agreed to is in the browser's
//! cookie, where nobody can read or change it, and becomes true for everybody in one commit.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Foundation, directory::TenantView, session::Session};
use crate::{
    domain::{
        AppId, EmailAddress, LanguageTag, SessionId, TenantId, UserId,
        app::App,
        journey::{Demands, Facts, Person, Recognised},
        link::Destination,
        redemption::recognise,
        tenant::IdentitySource,
        terms::{Acceptance, DocumentId},
        user::{User, VerifiedIdentity},
    },
    error::Code,
    identity::upstream::UpstreamAttempt,
    oidc::{AuthorizeRequest, authorize::Prompts},
    secret::constant_time_eq,
    store::{
        Entry, Key, StoreError,
        records::{self, Assignment, Stored, UserRef, decode},
    },
};

/// How long a sign-in may take.
const LIFE: SignedDuration = SignedDuration::from_mins(30);

/// Names a journey: in its cookie's name and in the path of its pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JourneyId(pub [u8; 16]);

impl std::fmt::Display for JourneyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::str::FromStr for JourneyId {
    type Err = Code;

    fn from_str(text: &str) -> Result<Self, Code> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Code::JourneyLost)?;
        bytes.try_into().map(Self).map_err(|_| Code::JourneyLost)
    }
}

/// A sign-in in progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Journey {
    /// Which one.
    pub id: JourneyId,
    /// The token of its forms.
    csrf: [u8; 16],
    /// With which tenant.
    pub tenant: TenantId,
    /// Since when.
    pub started: Timestamp,
    /// Where it leads.
    pub destination: Destination,
    /// The client's request that it answers, if there is one.
    pub request: Option<AuthorizeRequest>,
    /// The address that was typed.
    pub address: Option<EmailAddress>,
    /// The way to sign in that the person chose instead of the one that comes first.
    pub chosen: Option<IdentitySource>,
    /// Whether the person asked to use another account: the home organisation is told to ask, too.
    pub switching: bool,
    /// The sign-in at a home organisation that is under way.
    pub attempt: Option<UpstreamAttempt>,
    /// When a code was sent last.
    pub code_sent: Option<Timestamp>,
    /// How many codes were asked for.
    pub codes_sent: u32,
    /// What was proven.
    pub proof: Option<Proof>,
    /// When the review of permissions was accepted.
    pub permissions_accepted: Option<Timestamp>,
    /// Which documents were opened.
    pub opened: Vec<DocumentId>,
    /// Which agreements were accepted.
    pub given: Vec<Acceptance>,
}

/// What was proven in a journey, and the one session that it may become: a journey that is replayed is the same session
/// again, and dead when that one is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// Who they are.
    pub identity: VerifiedIdentity,
    /// When it was proven here.
    pub at: Timestamp,
    /// The session that it becomes.
    pub session: SessionId,
}

impl Journey {
    /// A new journey.
    #[must_use]
    pub fn start(tenant: TenantId, destination: Destination, request: Option<AuthorizeRequest>, foundation: &Foundation) -> Self {
        let mut id = [0; 16];
        let mut csrf = [0; 16];
        foundation.entropy.fill(&mut id);
        foundation.entropy.fill(&mut csrf);
        Self {
            id: JourneyId(id),
            csrf,
            tenant,
            started: foundation.now(),
            destination,
            request,
            address: None,
            chosen: None,
            switching: false,
            attempt: None,
            code_sent: None,
            codes_sent: 0,
            proof: None,
            permissions_accepted: None,
            opened: Vec::new(),
            given: Vec::new(),
        }
    }

    /// The journey as the value of its cookie.
    #[must_use]
    pub fn seal(&self, foundation: &Foundation) -> String {
        foundation.ring.seal(b"journey", self, &*foundation.entropy)
    }

    /// Reads a cookie.
    #[must_use]
    pub fn open(value: &str, foundation: &Foundation) -> Option<Self> {
        foundation.ring.open(b"journey", value)
    }

    /// Whether it has taken too long.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.started) > LIFE || now < self.started
    }

    /// The token that every form of this journey carries.
    #[must_use]
    pub fn form_token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.csrf)
    }

    /// Whether a form carried the token.
    #[must_use]
    pub fn is_form_token(&self, token: &str) -> bool {
        constant_time_eq(token.as_bytes(), self.form_token().as_bytes())
    }

    /// Forgets who was in front of us, and keeps where the journey leads.
    pub fn switch_account(&mut self) {
        self.address = None;
        self.switching = true;
        self.forget_proof();
    }

    /// Starts over from an address.
    pub fn identify(&mut self, address: EmailAddress) {
        self.forget_proof();
        self.address = Some(address);
    }

    /// Proves the identity in another way than the one that comes first.
    pub fn choose(&mut self, source: IdentitySource) {
        self.forget_proof();
        self.chosen = Some(source);
    }

    /// Takes down what was proven. What was agreed to before was agreed to by somebody else.
    pub fn prove(&mut self, identity: VerifiedIdentity, foundation: &Foundation) {
        self.forget_proof();
        let session = SessionId::random(&*foundation.entropy);
        self.proof = Some(Proof { identity, at: foundation.now(), session });
    }

    fn forget_proof(&mut self) {
        self.chosen = None;
        self.attempt = None;
        self.code_sent = None;
        self.codes_sent = 0;
        self.proof = None;
        self.permissions_accepted = None;
        self.opened.clear();
        self.given.clear();
    }

    /// Whether an earlier sign-in is not enough.
    #[must_use]
    pub fn wants_fresh_login(&self) -> bool {
        let asked = |request: &AuthorizeRequest| request.prompts.contains(Prompts::LOGIN) || request.max_age.is_some();
        self.switching || self.request.as_ref().is_some_and(asked)
    }

    /// What its client's request demands beyond the usual. What was proven in this journey is as fresh as was asked for:
    /// the home organisation was told, and its answer was checked.
    #[must_use]
    pub fn demands(&self) -> Demands {
        let request = self.request.as_ref();
        let age = request.and_then(|request| request.max_age).map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
        let by_age = age.map(|age| self.started.saturating_sub(age).unwrap_or(Timestamp::MIN));
        let login = self.switching || request.is_some_and(|request| request.prompts.contains(Prompts::LOGIN));
        let at_once = login.then_some(self.started);
        let consent = request.is_some_and(|request| request.prompts.contains(Prompts::CONSENT));
        Demands {
            only: request.and_then(|request| request.hinted_user),
            authenticated_since: by_age.max(at_once).filter(|_| self.proof.is_none()),
            permissions_since: consent.then_some(self.started),
        }
    }
}

/// What the store says about the person of a journey.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The user that they are.
    pub user: Option<Stored<User>>,
    /// Why they are nobody here.
    refused: Option<Code>,
    /// The way to sign in that applies to the address they typed.
    source: Option<Option<IdentitySource>>,
    /// Their answers to agreements.
    pub acceptances: Option<Stored<Vec<Acceptance>>>,
    /// Their assignment to the app.
    pub assignment: Option<Assignment>,
    /// The session they come with, where it is what vouches for them.
    pub session: Option<Session>,
}

impl Loaded {
    /// Reads what there is to know.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn load(
        foundation: &Foundation,
        view: &TenantView,
        journey: &Journey,
        session: Option<&Session>,
    ) -> Result<Self, StoreError> {
        let mut loaded = Self::default();
        if let Some(proof) = &journey.proof {
            match Self::match_identity(foundation, view, &proof.identity).await? {
                Ok(user) => loaded.user = Some(user),
                Err(code) => loaded.refused = Some(code),
            }
        } else if let Some(session) = session.filter(|_| !journey.switching && journey.address.is_none()) {
            loaded.user = foundation.store.get(&records::user(view.tenant.id, session.user)).await?;
            loaded.session = loaded.user.is_some().then(|| session.clone());
        }
        if let (None, Some(address)) = (&journey.proof, &journey.address) {
            // By the address's domain alone, so that strangers and guests see the same (decision of the tenant's order, never
            // of what is known about an address).
            let ways = ways(view, address);
            loaded.source = Some(journey.chosen.filter(|chosen| ways.contains(chosen)).or(ways.first().copied()));
        }
        if let Some(user) = loaded.user.as_ref().map(|user| user.value.id) {
            loaded.read_answers(foundation, view.tenant.id, user, journey.destination.app()).await?;
        }
        Ok(loaded)
    }

    /// The keys to read for a user who is known already; take the answers to [`Loaded::from_entries`].
    #[must_use]
    pub fn keys_of_user(tenant: TenantId, user: UserId, app: AppId) -> [Key; 3] {
        [
            records::user(tenant, user).key().clone(),
            records::acceptances(tenant, user).key().clone(),
            records::assignment(tenant, user, app).key().clone(),
        ]
    }

    /// What was read under [`Loaded::keys_of_user`].
    ///
    /// # Errors
    /// When a record is unreadable.
    pub fn from_entries(mut entries: impl Iterator<Item = Option<Entry>>) -> Result<Self, StoreError> {
        let user = entries.next().flatten().map(decode).transpose()?;
        let acceptances = entries.next().flatten().map(decode).transpose()?;
        let assignment = entries.next().flatten().map(decode::<Assignment>).transpose()?.map(|stored| stored.value);
        Ok(Self { user, acceptances, assignment, ..Self::default() })
    }

    async fn read_answers(
        &mut self,
        foundation: &Foundation,
        tenant: TenantId,
        user: UserId,
        app: Option<AppId>,
    ) -> Result<(), StoreError> {
        let mut keys = vec![records::acceptances(tenant, user).key().clone()];
        keys.extend(app.map(|app| records::assignment(tenant, user, app).key().clone()));
        let mut found = foundation.store.entries(&keys).await?.into_iter();
        self.acceptances = found.next().flatten().map(decode).transpose()?;
        self.assignment = found.next().flatten().map(decode::<Assignment>).transpose()?.map(|stored| stored.value);
        Ok(())
    }

    /// The user who has this identity, or holds its verified address and is yet to come.
    async fn match_identity(
        foundation: &Foundation,
        view: &TenantView,
        proof: &VerifiedIdentity,
    ) -> Result<Result<Stored<User>, Code>, StoreError> {
        let tenant = view.tenant.id;
        if proof.source == IdentitySource::LocalAccount {
            // The password was this user's: the subject is the user.
            let Ok(user) = proof.identity.subject.parse() else { return Ok(Err(Code::NotInvited)) };
            return Ok(foundation.store.get(&records::user(tenant, user)).await?.ok_or(Code::NotInvited));
        }
        let by_identity = records::identity(tenant, &proof.identity);
        let by_address = proof.email.as_ref().map(|email| records::address(tenant, email.address()));
        let keys: Vec<_> = [Some(by_identity.clone()), by_address].into_iter().flatten().collect();
        let refs: Vec<Option<Stored<UserRef>>> = foundation.store.get_all(&keys).await?;
        let users: Vec<_> = refs.iter().flatten().map(|found| records::user(tenant, found.value.user)).collect();
        let mut users = foundation.store.get_all(&users).await?.into_iter();
        let mut users = refs.iter().map(|found| found.as_ref().and_then(|_| users.next().flatten()));
        let (bound, holder) = (users.next().flatten(), users.next().flatten());
        let found = recognise(proof, bound.as_ref().map(|user| &user.value), holder.as_ref().map(|user| &user.value));
        Ok(match found.map(|user| user.id) {
            Ok(id) => bound.into_iter().chain(holder).find(|user| user.value.id == id).ok_or(Code::NotInvited),
            Err(code) => Err(code),
        })
    }

    /// The facts, for [`crate::domain::journey`] to decide on.
    #[must_use]
    pub fn facts<'a>(&'a self, view: &'a TenantView, journey: &'a Journey, languages: &'a [LanguageTag]) -> Facts<'a> {
        let person = match (&self.user, self.refused, self.source) {
            (Some(user), ..) => Person::Recognised(self.recognised(&user.value, journey)),
            (None, Some(code), _) => Person::Refused(code),
            (None, None, Some(source)) => Person::Claims(source),
            (None, None, None) => Person::Unknown,
        };
        Facts {
            tenant: &view.tenant,
            app: self.app(view, journey),
            person,
            assigned: self.assignment.is_some(),
            permissions_accepted: journey.permissions_accepted,
            agreements: &view.agreements,
            recorded: self.acceptances.as_ref().map(|stored| stored.value.as_slice()).unwrap_or_default(),
            given: &journey.given,
            languages,
            demands: journey.demands(),
        }
    }

    /// The facts about a user who is known already and was in the session since `began`.
    #[must_use]
    pub fn facts_of_user<'a>(
        &'a self,
        view: &'a TenantView,
        app: Option<&'a App>,
        auth_time: Timestamp,
        began: Timestamp,
    ) -> Facts<'a> {
        let person = match &self.user {
            Some(user) => Person::Recognised(Recognised { user: &user.value, auth_time, began, proof: None }),
            None => Person::Refused(Code::NotInvited),
        };
        Facts {
            tenant: &view.tenant,
            app,
            person,
            assigned: self.assignment.is_some(),
            permissions_accepted: None,
            agreements: &view.agreements,
            recorded: self.acceptances.as_ref().map(|stored| stored.value.as_slice()).unwrap_or_default(),
            given: &[],
            languages: &[],
            demands: Demands::default(),
        }
    }

    fn recognised<'a>(&'a self, user: &'a User, journey: &'a Journey) -> Recognised<'a> {
        match (&journey.proof, &self.session) {
            (Some(Proof { identity: proof, at, .. }), _) => {
                Recognised { user, auth_time: proof.auth_time, began: *at, proof: Some(proof) }
            }
            (None, Some(session)) => Recognised { user, auth_time: session.auth_time, began: session.began, proof: None },
            (None, None) => Recognised { user, auth_time: Timestamp::MIN, began: Timestamp::MIN, proof: None },
        }
    }

    #[allow(clippy::unused_self, reason = "reads with the others")]
    fn app<'a>(&self, view: &'a TenantView, journey: &Journey) -> Option<&'a App> {
        journey.destination.app().and_then(|app| view.apps.get(&app))
    }
}

/// The ways to sign in that are open to an address, first to last.
#[must_use]
pub fn ways(view: &TenantView, address: &EmailAddress) -> Vec<IdentitySource> {
    if view.tenant.domain(&address.domain()).is_some() {
        return vec![IdentitySource::LocalAccount];
    }
    let applies = |source: &IdentitySource| match source {
        IdentitySource::HomeOrganisation => view.federation_for(&address.domain()).is_some(),
        IdentitySource::OneTimePasscode => true,
        IdentitySource::LocalAccount => false,
    };
    view.tenant.policy.redemption_order.iter().copied().filter(applies).collect()
}
