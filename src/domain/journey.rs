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
    /// To have invitations by mail stopped, or allowed again.
    BlockInvitations,
    /// To be sent an open invitation once more.
    SendAgain,
}

/// Somebody who has no account here yet, or cannot get into it, and wants to set one up.
#[derive(Clone, Copy, Debug)]
pub struct SetUp<'a> {
    /// Whose account it would be: who was invited by the link that was opened, or else who holds the mailbox that was proven.
    pub user: Option<&'a User>,
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
    /// When that was.
    pub mailbox_proven: Option<Timestamp>,
    /// The invitation whose link was opened, which leads somewhere still ([`Invitation::admit`]).
    pub invitation: Option<&'a Invitation>,
    /// Whether they are yet to come, and what they have proven was a blocked user's who is deleted, whom their inviter could
    /// not let in.
    pub barred: bool,
    /// What they come for, if not to get in.
    pub errand: Option<Errand>,
    /// That they want to set up an account that lives here, instead of signing in with one.
    pub set_up: Option<SetUp<'a>>,
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
    /// Have it chosen what opens the account from now on.
    SetUpAccount,
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
    if facts.barred {
        return Err(Step::Refuse(Code::AccountBlocked));
    }
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
        Person::Claims(Some(IdentitySource::LocalAccount)) if facts.set_up.is_some() => set_up(facts),
        Person::Claims(Some(source)) => Step::Authenticate(source),
        Person::Refused(code) => Step::Refuse(code),
        Person::Recognised(known) => return Ok(known),
    })
}

/// The next step of who wants to set up an account. A mailbox is proven first, as for redemption; an account that there is
/// already is set up anew by the same proof, and nothing else is known of it before.
fn set_up<'a>(facts: &Facts<'a>) -> Step<'a> {
    let user = facts.set_up.and_then(|set_up| set_up.user);
    let policy = &facts.tenant.policy;
    if !policy.offers(IdentitySource::LocalAccount) {
        return Step::Refuse(Code::NoIdentitySource);
    }
    if let (Some(invitation), Some(user)) = (facts.invitation, user.filter(|user| user.is_pending())) {
        match redemption::may_set_up(user, invitation, facts.mailbox, policy) {
            Ok(()) => {}
            Err(Objection::Mailbox(address)) => return Step::ProveMailbox(address),
            Err(Objection::Refusal(code)) => return Step::Refuse(code),
        }
    } else {
        let Some(address) = facts.address else { return Step::Identify };
        if facts.mailbox.is_none_or(|mailbox| mailbox.address() != address) {
            return Step::ProveMailbox(address);
        }
        if user.is_some_and(|user| !user.holds(address)) {
            return Step::Refuse(Code::InvitedAsAnother);
        }
        if user.is_some_and(|user| !redemption::may_recover(user, facts.mailbox_proven)) {
            return Step::ProveMailbox(address);
        }
    }
    let Some(user) = user else { return Step::Refuse(Code::NotInvited) };
    if let Err(code) = redemption::admit(user, None, facts.invitation, policy) {
        return Step::Refuse(code);
    }
    match &user.external {
        None => Step::Refuse(Code::NotInvited),
        Some(ExternalUserState::Accepted { source, .. }) if *source != IdentitySource::LocalAccount => {
            Step::Refuse(Code::BoundToAnotherIdentity)
        }
        Some(_) => Step::SetUpAccount,
    }
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
        // It is mailed, so nothing has to be proven to ask for it.
        Errand::SendAgain => facts.address.map_or(Step::Identify, |_| Step::Confirm(errand)),
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
mod tests;
