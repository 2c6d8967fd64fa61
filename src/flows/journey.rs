//! A sign-in in progress, as it travels sealed in the browser.
//!
//! The store knows nothing of a journey until it ends: what was typed, proven, opened and agreed to is in the browser's
//! cookie, where nobody can read or change it, and becomes true for everybody in one commit.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Foundation, accounts::Credential, directory::TenantView, opened::OpenedInvitation, seen::Seen, session::Session};
use crate::{
    domain::{
        EmailAddress, SessionId, TenantId, UserId, VerifiedEmail,
        journey::{Demands, Errand},
        link::Destination,
        tenant::IdentitySource,
        terms::{Acceptance, DocumentId},
        user::VerifiedIdentity,
    },
    error::Code,
    identity::{passkey::Ceremony, upstream::UpstreamAttempt},
    oidc::{AuthorizeRequest, authorize::Prompts},
    secret::constant_time_eq,
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
    /// What it is for, if not to get in.
    pub errand: Option<Errand>,
    /// The invitation whose link began it.
    pub invitation: Option<OpenedInvitation>,
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
    /// Who holds the address that a code was asked for: where to look first once it is proven, and nothing more. Nobody's
    /// id for strangers, so that the journey is as long.
    pub holder: Option<UserId>,
    /// When a code was sent last.
    pub code_sent: Option<Timestamp>,
    /// How many codes were asked for.
    pub codes_sent: u32,
    /// Why the form that was sent last did not count, by the number of its code: the next page says so, once.
    pub trouble: Option<u16>,
    /// What was proven.
    pub proof: Option<Proof>,
    /// The mailbox that was proven beside it, or, on an errand about an address, without it.
    pub mailbox: Option<VerifiedEmail>,
    /// When that was. A proof sets up one account once, and none that was set up, or whose sessions were ended, since.
    pub mailbox_proven: Option<Timestamp>,
    /// Whether they want to set up an account that lives here.
    pub setting_up: bool,
    /// What the browser was asked to do with a passkey.
    pub ceremony: Option<Ceremony>,
    /// What is to open the account that is set up, written when its guest redeems.
    pub credential: Option<Credential>,
    /// When the review of permissions was accepted.
    pub permissions_accepted: Option<Timestamp>,
    /// Which documents were opened.
    pub opened: Vec<DocumentId>,
    /// Which agreements were accepted.
    pub given: Vec<Acceptance>,
    /// What was seen of the person when somebody looked last.
    pub seen: Option<Seen>,
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
            errand: None,
            invitation: None,
            request,
            address: None,
            chosen: None,
            switching: false,
            attempt: None,
            holder: None,
            code_sent: None,
            codes_sent: 0,
            trouble: None,
            proof: None,
            mailbox: None,
            mailbox_proven: None,
            setting_up: false,
            ceremony: None,
            credential: None,
            permissions_accepted: None,
            opened: Vec::new(),
            given: Vec::new(),
            seen: None,
        }
    }

    /// A new journey to somewhere else than in.
    #[must_use]
    pub fn on_errand(errand: Errand, tenant: TenantId, foundation: &Foundation) -> Self {
        Self { errand: Some(errand), ..Self::start(tenant, Destination::Panel, None, foundation) }
    }

    /// A new journey from the link of an invitation. Somebody who is yet to accept it goes straight to proving the invited
    /// address, unless this browser has a session, of whomever.
    #[must_use]
    pub fn from_invitation(
        opened: OpenedInvitation,
        session: Option<&Session>,
        tenant: TenantId,
        foundation: &Foundation,
    ) -> Self {
        let taken = opened.address.clone().filter(|_| session.is_none() && opened.is_open());
        let journey = Self::start(tenant, Destination::Panel, None, foundation);
        Self { invitation: Some(opened), address: taken, ..journey }
    }

    /// The journey as the value of its cookie.
    #[must_use]
    pub fn seal(&self, foundation: &Foundation) -> String {
        foundation.ring.seal(b"journey", self, &*foundation.entropy)
    }

    /// The journey without what was seen of its person, which can be read again.
    #[must_use]
    pub fn without_seen(&self) -> Self {
        Self { seen: None, ..self.clone() }
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

    /// Forgets who was in front of us, and keeps where the journey leads. Whoever was met here with somebody else's session
    /// goes on as the one who was invited.
    pub fn switch_account(&mut self) {
        let asked_nothing = self.proof.is_none() && self.address.is_none();
        let invited = self.invitation.as_ref().and_then(|opened| opened.address.clone());
        self.address = invited.filter(|_| asked_nothing);
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

    /// Sets up an account that lives here, instead of signing in with one.
    pub fn set_up(&mut self) {
        self.choose(IdentitySource::LocalAccount);
        self.setting_up = true;
    }

    /// Takes down what was proven. What was agreed to before was agreed to by somebody else.
    pub fn prove(&mut self, identity: VerifiedIdentity, foundation: &Foundation) {
        self.forget_proof();
        let session = SessionId::random(&*foundation.entropy);
        self.proof = Some(Proof { identity, at: foundation.now(), session });
    }

    /// Takes down that a mailbox was proven, beside all else.
    pub fn prove_mailbox(&mut self, mailbox: VerifiedEmail, now: Timestamp) {
        self.mailbox = Some(mailbox);
        self.mailbox_proven = Some(now);
        self.code_sent = None;
        self.codes_sent = 0;
    }

    /// Starts over: somebody declined, and may think better of it.
    pub fn start_over(&mut self) {
        self.address = self.invitation.as_ref().and_then(|opened| opened.address.clone());
        self.forget_proof();
    }

    fn forget_proof(&mut self) {
        self.chosen = None;
        self.attempt = None;
        self.holder = None;
        self.code_sent = None;
        self.codes_sent = 0;
        self.proof = None;
        self.mailbox = None;
        self.mailbox_proven = None;
        self.setting_up = false;
        self.ceremony = None;
        self.credential = None;
        self.permissions_accepted = None;
        self.opened.clear();
        self.given.clear();
        self.seen = None;
    }

    /// The session, if it may vouch for the person: not where they prove anew who they are, and not for somebody else, whom
    /// they said they are or who was invited; nor one that began at a home organisation which is no longer in use.
    pub(super) fn vouched_by<'a>(&self, session: Option<&'a Session>, view: &TenantView) -> Option<&'a Session> {
        let meant = |session: &Session| self.invitation.as_ref().is_none_or(|opened| opened.user == session.user);
        session.filter(|session| self.has_not_asked() && meant(session) && view.trusts(&session.issuer))
    }

    /// The session, if it is of somebody else than was invited and nobody has said yet which of the two is meant.
    pub(super) fn met_with<'a>(&self, session: Option<&'a Session>) -> Option<&'a Session> {
        let other = |session: &Session| self.invitation.as_ref().is_some_and(|opened| opened.user != session.user);
        session.filter(|session| self.has_not_asked() && other(session))
    }

    /// Whether nobody has proven or said anything here yet.
    fn has_not_asked(&self) -> bool {
        self.proof.is_none() && !self.switching && self.address.is_none()
    }

    /// Whether the journey is as the link of an invitation began it, and goes on with the invited address.
    #[must_use]
    pub fn has_pressed_nothing(&self) -> bool {
        let invited = self.invitation.as_ref().and_then(|opened| opened.address.as_ref());
        self.chosen.is_none() && !self.switching && self.address.as_ref() == invited
    }

    /// Whether an address is the one that was invited, by the link of an invitation that was still open.
    #[must_use]
    pub fn is_of_invited(&self, address: &EmailAddress) -> bool {
        self.invitation.as_ref().is_some_and(|opened| opened.is_open() && opened.address.as_ref() == Some(address))
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

/// The ways to sign in that are open to an address, first to last.
#[must_use]
pub fn ways(view: &TenantView, address: &EmailAddress) -> Vec<IdentitySource> {
    if view.tenant.domain(&address.domain()).is_some() {
        return vec![IdentitySource::LocalAccount];
    }
    let applies = |source: &IdentitySource| match source {
        IdentitySource::HomeOrganisation => view.federation_for(&address.domain()).is_some(),
        IdentitySource::OneTimePasscode => true,
        IdentitySource::LocalAccount => true,
    };
    view.tenant.policy.redemption_order.iter().copied().filter(applies).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        flows::{
            apply::tests::{House, contoso, tenant},
            directory::Directory,
        },
        live::LiveState,
    };

    /// The tenant's order decides, of the ways that the address has; the tenant's own people have their accounts alone. A
    /// home organisation that is switched off is none.
    #[tokio::test]
    async fn o_15_the_first_way_is_the_first_of_the_order_that_applies() {
        use IdentitySource::{HomeOrganisation as Home, LocalAccount as Account, OneTimePasscode as Code};
        let house = House::new();
        let labs = "domains = [\"fabrikam.example\"]\nenabled = true";
        for (policy, federated, other) in [
            ("", vec![Home, Code], vec![Code]),
            (r#"redemption_order = ["one_time_passcode", "home_organisation"]"#, vec![Code, Home], vec![Code]),
            (r#"redemption_order = ["one_time_passcode"]"#, vec![Code], vec![Code]),
            (r#"redemption_order = ["home_organisation"], upstream_only = true"#, vec![Home], vec![]),
        ] {
            for enabled in [true, false] {
                let text = contoso("")
                    .replace("branding = {", &format!("policy = {{ {policy} }}\nbranding = {{"))
                    .replace("domains = [\"fabrikam.example\"]", &labs.replace("true", &enabled.to_string()));
                house.apply(&text).await;
                let directory = Directory::new(house.foundation.clone(), Arc::new(LiveState::new(LiveState::MAX_SILENCE)));
                let view = directory.tenant(tenant()).await.unwrap().unwrap();
                let of = |address: &str| ways(&view, &address.parse().unwrap());
                let expected = if enabled { &federated } else { &other };
                assert_eq!(of("maria@fabrikam.example"), *expected, "{policy} {enabled}");
                assert_eq!(of("maria@eu.fabrikam.example"), other, "{policy}: a sub-domain is another domain");
                assert_eq!(of("ola@elsewhere.example"), other, "{policy}");
                assert_eq!(of("adele@contoso.example"), [Account], "{policy}");
            }
        }
    }
}
