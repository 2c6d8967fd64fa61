//! A sign-in in progress, as facts and one pure function: [`next`] says which page is owed.
//!
//! Pages record one fact and come back here; steps never call each other. Every step whose fact holds is skipped, so a
//! returning guest sees none of them. Nothing is issued without [`Settled`], which only [`settle`] makes.

use jiff::Timestamp;

use serde::{Deserialize, Serialize};

use super::{
    AppId, EmailAddress, LanguageTag, TenantId, UserId, VerifiedEmail,
    app::App,
    invitation::Invitation,
    redemption::{self, Objection},
    tenant::{IdentitySource, Tenant},
    terms::{Acceptance, Agreement, Audience, Owed, owed},
    user::{ExternalUserState, User, VerifiedIdentity},
};
use crate::error::Code;

/// How a person was recognised.
#[derive(Clone, Copy, Debug)]
pub struct Recognised<'a> {
    /// The user they are.
    pub user: &'a User,
    /// When they authenticated, wherever that was.
    pub auth_time: Timestamp,
    /// When they came in here: since when the session runs, or when the proof was made.
    pub began: Timestamp,
    /// What they proved in this journey; `None` when a session vouches for them.
    pub proof: Option<&'a VerifiedIdentity>,
}

/// Who is in front of us.
#[derive(Clone, Copy, Debug)]
pub enum Person<'a> {
    /// Nobody has proven anything, and no address was typed.
    Unknown,
    /// Somebody who says they have an address, for which this source applies; `None` when there is no way to sign in.
    Claims(Option<IdentitySource>),
    /// Somebody who proved an identity that opens nothing here.
    Refused(Code),
    /// A user of the tenant.
    Recognised(Recognised<'a>),
}

/// What somebody comes for who does not want to get in. Such a journey ends with [`Step::Confirm`], never with a landing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// To leave the organisation.
    Leave,
    /// To have invitations by mail stopped, or sent again.
    BlockInvitations,
}

/// What an authorization request demands beyond the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demands {
    /// The client wants to hear about this person and nobody else (`id_token_hint`).
    pub only: Option<UserId>,
    /// The person must have authenticated at or after this time (`max_age`, `prompt=login`).
    pub authenticated_since: Option<Timestamp>,
    /// The review of permissions is shown again (`prompt=consent`), unless accepted at or after this time.
    pub permissions_since: Option<Timestamp>,
}

/// What is known about a sign-in.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The tenant that shares.
    pub tenant: &'a Tenant,
    /// The app that is entered; `None` for the apps panel.
    pub app: Option<&'a App>,
    /// Who is in front of us.
    pub person: Person<'a>,
    /// The address that was typed, or that an invitation names.
    pub address: Option<&'a EmailAddress>,
    /// The mailbox that was proven in this journey beside the identity, or without one.
    pub mailbox: Option<&'a VerifiedEmail>,
    /// The invitation whose link was opened, which leads somewhere still ([`Invitation::admit`]).
    pub invitation: Option<&'a Invitation>,
    /// What they come for, if not to get in.
    pub errand: Option<Errand>,
    /// Whether the user is assigned to the app.
    pub assigned: bool,
    /// When the review of permissions was accepted in this journey.
    pub permissions_accepted: Option<Timestamp>,
    /// The tenant's agreements.
    pub agreements: &'a [Agreement],
    /// The user's recorded answers.
    pub recorded: &'a [Acceptance],
    /// The answers given in this journey and not recorded yet.
    pub given: &'a [Acceptance],
    /// The languages the person reads, best first.
    pub languages: &'a [LanguageTag],
    /// What the request demands.
    pub demands: Demands,
}

/// The next thing a journey owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Ask for the address.
    Identify,
    /// Have the identity proven.
    Authenticate(IdentitySource),
    /// Have it proven that this mailbox is theirs, too.
    ProveMailbox(&'a EmailAddress),
    /// Say no.
    Refuse(Code),
    /// Show what is shared, and with whom.
    ReviewPermissions,
    /// Show an agreement.
    Terms(Owed<'a>),
    /// Commit what was agreed: bind the identity, record the answers.
    Redeem,
    /// Let them in.
    Land,
    /// Ask whether to do what they came for.
    Confirm(Errand),
}

/// Proof that nothing is owed: without it no session, no code and no token is made.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    tenant: TenantId,
    user: UserId,
    app: Option<AppId>,
}

impl Settled {
    /// In which tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.user
    }

    /// For which app; `None` for the panel.
    #[must_use]
    pub fn app(&self) -> Option<AppId> {
        self.app
    }
}

/// The next step.
#[must_use]
pub fn next<'a>(facts: &Facts<'a>) -> Step<'a> {
    match settle(facts) {
        Ok(_) => Step::Land,
        Err(step) => step,
    }
}

/// Lets through only when every step holds.
///
/// # Errors
/// The first step that does not hold.
pub fn settle<'a>(facts: &Facts<'a>) -> Result<Settled, Step<'a>> {
    if let Some(errand) = facts.errand {
        return Err(run(errand, facts));
    }
    if facts.app.is_some_and(|app| !app.enabled) {
        return Err(Step::Refuse(Code::AppUnknown));
    }
    let known = recognised(facts)?;
    let user = known.user;
    if facts.demands.authenticated_since.is_some_and(|since| known.auth_time < since) {
        return Err(Step::Identify);
    }
    if facts.demands.only.is_some_and(|only| only != user.id) {
        // Somebody who has just proven to be another is told so; a session is passed over.
        return Err(if known.proof.is_some() { Step::Refuse(Code::OtherAccountExpected) } else { Step::Identify });
    }
    redemption::admit(user, known.proof, facts.invitation, &facts.tenant.policy).map_err(Step::Refuse)?;
    if known.began < user.sessions_valid_from {
        return Err(Step::Identify);
    }
    if user.is_pending() {
        // A session is of somebody whose redemption was reset since: they have to prove an identity again.
        let proof = known.proof.ok_or(Step::Identify)?;
        let claimed = redemption::claim(proof, user, facts.invitation, facts.mailbox, &facts.tenant.policy);
        claimed.map_err(|objection| match objection {
            Objection::Mailbox(address) => Step::ProveMailbox(address),
            Objection::Refusal(code) => Step::Refuse(code),
        })?;
    }
    if facts.app.is_some_and(|app| app.assignment_required) && !facts.assigned {
        return Err(Step::Refuse(Code::AppNotAssigned));
    }
    if permissions_owed(facts, user) {
        return Err(Step::ReviewPermissions);
    }
    let audience = Audience { user_type: user.user_type, app: facts.app.map(|app| app.id), languages: facts.languages };
    let answers: Vec<_> = facts.recorded.iter().chain(facts.given).cloned().collect();
    if let Some(agreement) = owed(facts.agreements, &answers, audience).first() {
        return Err(Step::Terms(*agreement));
    }
    if user.is_pending() || facts.permissions_accepted.is_some() || !facts.given.is_empty() {
        return Err(Step::Redeem);
    }
    Ok(Settled { tenant: facts.tenant.id, user: user.id, app: facts.app.map(|app| app.id) })
}

/// Who they are, or the step that finds out.
fn recognised<'a>(facts: &Facts<'a>) -> Result<Recognised<'a>, Step<'a>> {
    Err(match facts.person {
        Person::Unknown => Step::Identify,
        Person::Claims(None) => Step::Refuse(Code::NoIdentitySource),
        Person::Claims(Some(source)) => Step::Authenticate(source),
        Person::Refused(code) => Step::Refuse(code),
        Person::Recognised(known) => return Ok(known),
    })
}

/// The next step of an errand. It needs proof of who they are, and nothing that access needs: somebody who is blocked, or
/// has agreed to nothing, can leave all the same.
fn run<'a>(errand: Errand, facts: &Facts<'a>) -> Step<'a> {
    match errand {
        Errand::Leave => match recognised(facts) {
            Err(step) => step,
            Ok(known) if known.began < known.user.sessions_valid_from => Step::Identify,
            Ok(known) if known.user.external.is_none() => Step::Refuse(Code::MembersStay),
            Ok(_) => Step::Confirm(errand),
        },
        // About an address, whoever has it: there need be no user, and nobody learns whether there is one.
        Errand::BlockInvitations => match facts.address {
            None => Step::Identify,
            Some(address) if facts.mailbox.is_some_and(|mailbox| mailbox.address() == address) => Step::Confirm(errand),
            Some(address) => Step::ProveMailbox(address),
        },
    }
}

/// Once per guest and tenant; again when an administrator or the request asks for it.
fn permissions_owed(facts: &Facts<'_>, user: &User) -> bool {
    let recorded = match &user.external {
        // Somebody who was never invited, of the organisation itself, has nothing to review.
        None => return false,
        Some(ExternalUserState::Accepted { permissions_accepted, .. }) => Some(*permissions_accepted),
        Some(ExternalUserState::PendingAcceptance { .. }) => None,
    };
    let Some(accepted) = facts.permissions_accepted.or(recorded) else { return true };
    let asked_again = facts.tenant.policy.permissions_reviewed_since.max(facts.demands.permissions_since);
    asked_again.is_some_and(|since| accepted < since)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        AgreementId,
        redemption::tests::{guest, proven},
        tenant::{TenantDomain, TenantPolicy},
        terms::{AgreementFile, Answer, DocumentId, FileVersion, MediaType, Scope},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn tenant() -> Tenant {
        Tenant {
            id: TenantId(uuid::Uuid::from_u128(1)),
            display_name: "Contoso".into(),
            domains: vec![TenantDomain { name: "contoso.example".parse().unwrap(), verified: true, dns: None }],
            hosts: Vec::new(),
            privacy: Default::default(),
            branding: Default::default(),
            policy: TenantPolicy::default(),
            created: at(0),
            enabled: true,
        }
    }

    fn agreement(versions: u32) -> Agreement {
        Agreement {
            id: AgreementId(uuid::Uuid::from_u128(9)),
            name: "terms".into(),
            order: 0,
            must_open: true,
            scope: Scope::default(),
            files: vec![AgreementFile {
                language: "en".parse().unwrap(),
                display_name: "Terms".into(),
                versions: (1..=versions)
                    .map(|version| FileVersion {
                        version,
                        document: DocumentId::of(&version.to_be_bytes()),
                        media: MediaType::Text,
                        major: true,
                        published: at(0),
                    })
                    .collect(),
            }],
            published: true,
        }
    }

    fn answer(version: u32, answer: Answer) -> Acceptance {
        Acceptance {
            agreement: agreement(1).id,
            user: guest("sam@home.example", None).id,
            language: "en".parse().unwrap(),
            version,
            document: DocumentId::of(&version.to_be_bytes()),
            answer,
            app: None,
            at: at(5),
        }
    }

    fn facts<'a>(tenant: &'a Tenant, person: Person<'a>, agreements: &'a [Agreement]) -> Facts<'a> {
        Facts {
            tenant,
            app: None,
            person,
            address: None,
            mailbox: None,
            invitation: None,
            errand: None,
            assigned: false,
            permissions_accepted: None,
            agreements,
            recorded: &[],
            given: &[],
            languages: &[],
            demands: Demands::default(),
        }
    }

    #[test]
    fn a_pending_guest_walks_the_whole_journey_and_a_returning_one_none_of_it() {
        let (tenant, agreements) = (tenant(), [agreement(1)]);
        let mut known = facts(&tenant, Person::Unknown, &agreements);
        assert_eq!(next(&known), Step::Identify);
        known.person = Person::Claims(Some(IdentitySource::HomeOrganisation));
        assert_eq!(next(&known), Step::Authenticate(IdentitySource::HomeOrganisation));
        let (user, proof) = (guest("sam@home.example", None), proven("sam", "sam@home.example", true, true));
        known.person = Person::Recognised(Recognised { user: &user, auth_time: at(1), began: at(1), proof: Some(&proof) });
        assert_eq!(next(&known), Step::ReviewPermissions);
        known.permissions_accepted = Some(at(2));
        assert!(matches!(next(&known), Step::Terms(_)));
        let given = [answer(1, Answer::Accepted)];
        known.given = &given;
        assert_eq!(next(&known), Step::Redeem);

        let user = redemption::redeem(user, &proof, at(2), at(3)).unwrap();
        let mut returning = facts(&tenant, Person::Unknown, &agreements);
        returning.person = Person::Recognised(Recognised { user: &user, auth_time: at(1), began: at(1), proof: None });
        returning.recorded = &given;
        assert_eq!(next(&returning), Step::Land);
        let agreements = [agreement(2)];
        returning.agreements = &agreements;
        assert!(matches!(next(&returning), Step::Terms(owed) if owed.version.version == 2), "a new version is asked once");
    }

    #[test]
    fn demands_of_the_request_are_met() {
        let tenant = tenant();
        let user = guest("sam@home.example", Some("sam"));
        let mut known =
            facts(&tenant, Person::Recognised(Recognised { user: &user, auth_time: at(10), began: at(10), proof: None }), &[]);
        assert_eq!(next(&known), Step::Land);
        known.demands.authenticated_since = Some(at(11));
        assert_eq!(next(&known), Step::Identify);
        known.demands = Demands { permissions_since: Some(at(11)), ..Demands::default() };
        assert_eq!(next(&known), Step::ReviewPermissions);
    }

    proptest! {
        /// L-15: no facts with anything owed ever yield a landing.
        #[test]
        fn l_15_nothing_lands_while_something_is_owed(
            bound in any::<bool>(), enabled in any::<bool>(), proof in any::<bool>(), consent in any::<bool>(),
            reviewed_since in 0i64..4, current in 1u32..4, recorded in prop::collection::vec((1u32..4, any::<bool>()), 0..4),
            given in prop::collection::vec((1u32..4, any::<bool>()), 0..3), assignment in any::<bool>(), assigned in any::<bool>(),
            valid_from in 0i64..3, auth in 0i64..3,
        ) {
            let mut tenant = tenant();
            tenant.policy.permissions_reviewed_since = Some(at(reviewed_since));
            let mut user = guest("sam@home.example", bound.then_some("sam"));
            user.account_enabled = enabled;
            user.sessions_valid_from = at(valid_from);
            let identity = proven("sam", "sam@home.example", true, true);
            let agreements = [agreement(current)];
            let to_answer = |(version, accepted): &(u32, bool)| answer(*version, if *accepted { Answer::Accepted } else { Answer::Declined });
            let recorded: Vec<_> = recorded.iter().map(to_answer).collect();
            let given: Vec<_> = given.iter().map(to_answer).collect();
            let app = App {
                id: AppId(uuid::Uuid::from_u128(3)), display_name: String::new(), description: None, homepage: None, redirect_uris: Vec::new(),
                post_logout_redirect_uris: Vec::new(), client: crate::domain::app::ClientType::Public, pkce: Default::default(), visible: true,
                assignment_required: assignment, enabled: true, permissions: Vec::new(),
                delegated_permissions: vec![], id_token_alg: crate::domain::app::SigningAlg::RS256, access_token_alg: crate::domain::app::SigningAlg::ES256,
            };
            let person = Person::Recognised(Recognised { user: &user, auth_time: at(auth), began: at(auth), proof: proof.then_some(&identity) });
            let facts = Facts { recorded: &recorded, given: &given, permissions_accepted: consent.then(|| at(9)), assigned, app: Some(&app),
                ..facts(&tenant, person, &agreements) };
            if next(&facts) == Step::Land {
                prop_assert!(bound && enabled && (assigned || !assignment) && given.is_empty() && !consent);
                prop_assert!(reviewed_since == 0, "accepted at 0, so a later review is owed");
                prop_assert!(auth >= valid_from);
                let last = recorded.iter().rev().find(|a| a.version == current);
                prop_assert_eq!(last.map(|a| a.answer), Some(Answer::Accepted));
            }
        }
    }
}
