//! The facts about the person of a journey, from the store or from what was seen before.

use jiff::Timestamp;

use super::{
    Foundation, Vestibule,
    directory::TenantView,
    guests::{is_barred, marks_of_proof, may_let_in},
    journey::{Journey, Proof, ways},
    person::{PersonRecords, Recognition},
    seen::Seen,
    session::Session,
};
use crate::{
    domain::{
        InvitationId, LanguageTag, VerifiedEmail,
        app::App,
        invitation::Invitation,
        journey::{Demands, Facts, Person, Recognised, SetUp, next},
        tenant::IdentitySource,
        terms::Acceptance,
        user::User,
    },
    error::Code,
    store::{
        Entry, Key, StoreError,
        records::{self, Assignment, Stored, take},
    },
};

/// What is known about the person of a journey.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The user that they are.
    pub user: Option<User>,
    /// Why they are nobody here.
    refused: Option<Code>,
    /// The way to sign in that applies to the address they typed.
    source: Option<Option<IdentitySource>>,
    /// Their answers to agreements.
    pub acceptances: Vec<Acceptance>,
    /// Their assignment to the app.
    pub assignment: Option<Assignment>,
    /// The session they come with, where it is what vouches for them.
    pub session: Option<Session>,
    /// The invitation whose link was opened.
    pub invitation: Option<Invitation>,
    /// Whether they are yet to come, and what they have proven was a blocked user's who is deleted, whom their inviter could
    /// not let in.
    pub barred: bool,
    /// Whose account would be set up, where somebody wants to.
    pub account: Option<User>,
    /// Whom this browser has a session of, where somebody else was invited.
    pub met: Option<User>,
}

/// What was read of the person of a journey.
pub(super) struct Read {
    /// As facts.
    pub(super) loaded: Loaded,
    /// As records, for a commit to check.
    pub(super) records: PersonRecords,
    /// What was asked for beside it.
    pub(super) beside: Vec<Option<Entry>>,
}

/// The invitation that a commit of this journey is about: the one whose link was opened, or, by a direct link, the one that
/// the guest has, as far as that was seen.
fn invitation_of(journey: &Journey) -> Option<InvitationId> {
    let opened = journey.invitation.as_ref().map(|opened| opened.id);
    opened.or_else(|| journey.seen.as_ref().map(Seen::user).filter(|user| user.is_pending())?.invitation)
}

/// Whether what was proven keeps this user out: one who is yet to come, where a blocked user had it who is deleted. Not where
/// they were invited by who may let them in, nor where they were not invited at all: the operator declares whom they like.
async fn is_kept_out(
    foundation: &Foundation,
    view: &TenantView,
    journey: &Journey,
    records: &PersonRecords,
) -> Result<bool, StoreError> {
    let Some(proof) = &journey.proof else { return Ok(false) };
    let invited = |user: &User| user.is_pending() && user.invitation.is_some();
    if !records.user.as_ref().is_some_and(|user| invited(&user.value)) {
        return Ok(false);
    }
    // Where it cannot be told who invited them, nobody has who might have let them in.
    if records.invitation.as_ref().is_some_and(|invitation| may_let_in(&invitation.value.invited_by, &view.apps)) {
        return Ok(false);
    }
    let mailbox = journey.mailbox.as_ref().map(VerifiedEmail::address);
    is_barred(&foundation.store, &marks_of_proof(view.tenant.id, &proof.identity, mailbox)).await
}

impl Loaded {
    /// What there is to know: from what was seen before where that is enough for the step that it leads to, else from the
    /// store, and seen from then on.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn load(
        vestibule: &Vestibule,
        view: &TenantView,
        journey: &mut Journey,
        session: Option<&Session>,
        languages: &[LanguageTag],
    ) -> Result<Self, StoreError> {
        if let Some(other) = journey.met_with(session) {
            let key = records::user(view.tenant.id, other.user);
            let met = vestibule.foundation.store.get(&key).await?.map(|stored| stored.value);
            return Ok(Self { refused: Some(Code::AlreadyGuest), met, ..Self::default() });
        }
        let session = journey.vouched_by(session, view);
        let now = vestibule.foundation.now();
        if let Some(seen) = &journey.seen
            && let Some(loaded) = seen.recall(vestibule, view.tenant.id, journey, session)
            && seen.is_enough_for(&next(&loaded.facts(view, journey, languages)), now)
        {
            return Ok(loaded);
        }
        let Read { loaded, .. } = Self::read(&vestibule.foundation, view, journey, session, &[]).await?;
        journey.seen = Seen::of(&loaded, now);
        Ok(loaded)
    }

    /// Reads what there is to know, and `beside` it in the same round trip. `session` is what [`Journey::vouched_by`] lets
    /// vouch for the person.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(super) async fn read(
        foundation: &Foundation,
        view: &TenantView,
        journey: &Journey,
        session: Option<&Session>,
        beside: &[Key],
    ) -> Result<Read, StoreError> {
        let (tenant, app) = (view.tenant.id, journey.destination.app());
        let opened = journey.invitation.as_ref();
        let likely = journey.seen.as_ref().map(|seen| seen.user().id).or(journey.holder);
        let of = |proof| Recognition::of(proof, tenant, app, likely, opened.map(|opened| opened.user));
        let recognition = journey.proof.as_ref().map(|proof| of(&proof.identity));
        let of_person = match (&recognition, session) {
            (Some(recognition), _) => recognition.keys(),
            (None, Some(session)) => PersonRecords::keys(tenant, session.user, app),
            (None, None) => Vec::new(),
        };
        let invitation = invitation_of(journey).filter(|_| !of_person.is_empty());
        let of_invitation = invitation.map(|id| records::invitation(tenant, id).key().clone());
        let keys: Vec<_> = beside.iter().cloned().chain(of_invitation).chain(of_person).collect();
        let found = if keys.is_empty() { Vec::new() } else { foundation.store.entries(&keys).await? };
        let mut entries = found.into_iter();
        let beside = entries.by_ref().take(beside.len()).collect();
        let invitation: Option<Stored<Invitation>> = match invitation {
            Some(_) => take(&mut entries)?,
            None => None,
        };
        let read = match (&journey.proof, &recognition, session) {
            (Some(proof), Some(recognition), _) => recognition.finish(foundation, &proof.identity, &mut entries).await?,
            (_, _, Some(_)) => Ok(PersonRecords::from_entries(&mut entries, app)?),
            _ => {
                let loaded = match journey.setting_up {
                    true => Self::setting_up(foundation, view, journey).await?,
                    false => Self::unproven(view, journey),
                };
                return Ok(Read { loaded, records: PersonRecords::default(), beside });
            }
        };
        // What the link leads to comes first: where it has ended, nobody is anybody by it.
        let leads = opened.map_or(Ok(()), |opened| match &invitation {
            Some(stored) if stored.value.user == opened.user => stored.value.admit(foundation.now()),
            _ => Err(Code::InvitationUnknown),
        });
        let (mut records, refused) = match leads.and(read) {
            Ok(records) => (records, None),
            Err(code) => (PersonRecords::default(), Some(code)),
        };
        let mut loaded = Self { refused, ..Self::of(&records) };
        loaded.session = session.filter(|_| loaded.user.is_some()).cloned();
        loaded.invitation = invitation.as_ref().filter(|_| opened.is_some() && refused.is_none()).map(|read| read.value.clone());
        records.find_invitation(foundation, tenant, invitation).await?;
        loaded.barred = is_kept_out(foundation, view, journey, &records).await?;
        Ok(Read { loaded, records, beside })
    }

    /// Somebody who has proven nothing.
    fn unproven(view: &TenantView, journey: &Journey) -> Self {
        let source = journey.address.as_ref().map(|address| {
            // By the address's domain alone, so that strangers and guests see the same (decision of the tenant's order, never
            // of what is known about an address).
            let ways = ways(view, address);
            journey.chosen.filter(|chosen| ways.contains(chosen)).or(ways.first().copied())
        });
        Self { source, ..Self::default() }
    }

    /// Somebody who has proven nothing but, perhaps, a mailbox, and wants to set up an account: of whom they were invited as,
    /// or of who holds that mailbox.
    async fn setting_up(foundation: &Foundation, view: &TenantView, journey: &Journey) -> Result<Self, StoreError> {
        let (store, tenant) = (&foundation.store, view.tenant.id);
        let mut loaded = Self::unproven(view, journey);
        let user = match (&journey.invitation, &journey.mailbox) {
            (Some(opened), _) => {
                let invitation = store.get(&records::invitation(tenant, opened.id)).await?.map(|stored| stored.value);
                let leads = invitation.as_ref().filter(|invitation| invitation.user == opened.user);
                if let Err(code) = leads.ok_or(Code::InvitationUnknown).and_then(|leads| leads.admit(foundation.now())) {
                    return Ok(Self { refused: Some(code), ..Self::default() });
                }
                loaded.invitation = invitation;
                Some(opened.user)
            }
            (None, Some(mailbox)) => store.get(&records::address(tenant, mailbox.address())).await?.map(|index| index.value.user),
            (None, None) => None,
        };
        if let Some(user) = user {
            loaded.account = store.get(&records::user(tenant, user)).await?.map(|stored| stored.value);
        }
        Ok(loaded)
    }

    /// What the records of a user say.
    #[must_use]
    pub(super) fn of(records: &PersonRecords) -> Self {
        Self {
            user: records.user.as_ref().map(|stored| stored.value.clone()),
            acceptances: records.acceptances.as_ref().map(|stored| stored.value.clone()).unwrap_or_default(),
            assignment: records.assignment.as_ref().map(|stored: &Stored<_>| stored.value.clone()),
            ..Self::default()
        }
    }

    /// What was known of a user, and the session that vouches for them.
    pub(super) fn of_user(
        user: User,
        acceptances: Vec<Acceptance>,
        assignment: Option<Assignment>,
        session: Option<Session>,
    ) -> Self {
        Self { user: Some(user), acceptances, assignment, session, ..Self::default() }
    }

    /// The same, of somebody who opened an invitation.
    pub(super) fn by(self, invitation: Option<Invitation>) -> Self {
        Self { invitation, ..self }
    }

    /// The facts, for [`crate::domain::journey`] to decide on.
    #[must_use]
    pub fn facts<'a>(&'a self, view: &'a TenantView, journey: &'a Journey, languages: &'a [LanguageTag]) -> Facts<'a> {
        let person = match (&self.user, self.refused, self.source) {
            (Some(user), ..) => Person::Recognised(self.recognised(user, journey)),
            (None, Some(code), _) => Person::Refused(code),
            (None, None, Some(source)) => Person::Claims(source),
            (None, None, None) => Person::Unknown,
        };
        Facts {
            tenant: &view.tenant,
            app: journey.destination.app().and_then(|app| view.apps.get(&app)),
            person,
            address: journey.address.as_ref(),
            mailbox: journey.mailbox.as_ref(),
            mailbox_proven: journey.mailbox_proven,
            invitation: journey.invitation.as_ref().and(self.invitation.as_ref()),
            barred: self.barred,
            errand: journey.errand,
            set_up: journey.setting_up.then_some(SetUp { user: self.account.as_ref() }),
            assigned: self.assignment.is_some(),
            permissions_accepted: journey.permissions_accepted,
            agreements: &view.agreements,
            recorded: &self.acceptances,
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
            Some(user) => Person::Recognised(Recognised { user, auth_time, began, proof: None }),
            None => Person::Refused(Code::NotInvited),
        };
        Facts {
            tenant: &view.tenant,
            app,
            person,
            address: None,
            mailbox: None,
            mailbox_proven: None,
            invitation: None,
            barred: false,
            errand: None,
            set_up: None,
            assigned: self.assignment.is_some(),
            permissions_accepted: None,
            agreements: &view.agreements,
            recorded: &self.acceptances,
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
}
