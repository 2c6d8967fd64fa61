//! What the store says about one person, in one round trip where it is known whose records they are.

use super::Foundation;
use crate::{
    domain::{
        AppId, EmailAddress, TenantId, UserId,
        invitation::Invitation,
        redemption::{recognise, recognise_invited},
        tenant::IdentitySource,
        terms::Acceptance,
        user::{Identity, User, VerifiedIdentity},
    },
    error::Code,
    store::{
        Entry, Key, StoreError,
        records::{self, Assignment, Stored, UserRef, take},
    },
};

/// A user with what belongs to them, as it was read: what a commit about them checks.
#[derive(Clone, Debug, Default)]
pub(super) struct PersonRecords {
    /// The user.
    pub(super) user: Option<Stored<User>>,
    /// Their answers to agreements.
    pub(super) acceptances: Option<Stored<Vec<Acceptance>>>,
    /// Their assignment to the app.
    pub(super) assignment: Option<Stored<Assignment>>,
    /// Who has the identity that was proven, if it was read.
    pub(super) by_identity: Option<Stored<UserRef>>,
    /// The invitation that they have, if they are yet to come, whichever link they came by: it is redeemed with them.
    pub(super) invitation: Option<Stored<Invitation>>,
}

impl PersonRecords {
    /// The keys to read for a user who is known already; take the answers to [`PersonRecords::from_entries`].
    #[must_use]
    pub(super) fn keys(tenant: TenantId, user: UserId, app: Option<AppId>) -> Vec<Key> {
        let own = [records::user(tenant, user).key().clone(), records::acceptances(tenant, user).key().clone()];
        own.into_iter().chain(app.map(|app| records::assignment(tenant, user, app).key().clone())).collect()
    }

    /// What was read under [`PersonRecords::keys`], and not an entry more.
    ///
    /// # Errors
    /// When a record is unreadable.
    pub(super) fn from_entries(
        entries: &mut impl Iterator<Item = Option<Entry>>,
        app: Option<AppId>,
    ) -> Result<Self, StoreError> {
        let user = take(entries)?;
        let acceptances = take(entries)?;
        let assignment = match app {
            Some(_) => take(entries)?,
            None => None,
        };
        Ok(Self { user, acceptances, assignment, by_identity: None, invitation: None })
    }

    /// Reads them.
    ///
    /// # Errors
    /// When the store is unavailable or a record is unreadable.
    pub(super) async fn read(
        foundation: &Foundation,
        tenant: TenantId,
        user: UserId,
        app: Option<AppId>,
    ) -> Result<Self, StoreError> {
        let entries = foundation.store.entries(&Self::keys(tenant, user, app)).await?;
        Self::from_entries(&mut entries.into_iter(), app)
    }

    /// Reads the invitation that they have, if they are yet to come and it is not the one that was `read` before.
    ///
    /// # Errors
    /// When the store is unavailable or the record is unreadable.
    pub(super) async fn find_invitation(
        &mut self,
        foundation: &Foundation,
        tenant: TenantId,
        read: Option<Stored<Invitation>>,
    ) -> Result<(), StoreError> {
        let pending = self.user.as_ref().map(|stored| &stored.value).filter(|user| user.is_pending());
        let Some(newest) = pending.and_then(|user| user.invitation) else { return Ok(()) };
        self.invitation = match read.filter(|read| read.value.id == newest) {
            Some(read) => Some(read),
            None => foundation.store.get(&records::invitation(tenant, newest)).await?,
        };
        Ok(())
    }
}

/// Finds the records of whoever has an identity, or holds its verified address and is yet to come.
///
/// Where it was seen before whom that leads to, their records are read at the same time as what leads to them, so that one
/// round trip does; should it lead to somebody else by now, a second one reads theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recognition<'a> {
    /// In which tenant.
    pub(super) tenant: TenantId,
    /// On the way to which app; `None` for the panel.
    pub(super) app: Option<AppId>,
    /// The identity.
    pub(super) identity: &'a Identity,
    /// The address that is proven with it.
    pub(super) address: Option<&'a EmailAddress>,
    /// Who it was when somebody looked last.
    pub(super) likely: Option<UserId>,
    /// Whose invitation was opened: they are meant, and nobody else.
    pub(super) invited: Option<UserId>,
}

impl<'a> Recognition<'a> {
    /// Of somebody who has proven who they are, and may have opened the invitation of the user `invited`.
    #[must_use]
    pub(super) fn of(
        proof: &'a VerifiedIdentity,
        tenant: TenantId,
        app: Option<AppId>,
        likely: Option<UserId>,
        invited: Option<UserId>,
    ) -> Self {
        let (address, likely) = match proof.source {
            _ if invited.is_some() => (None, invited),
            // The password was this user's: the subject is the user.
            IdentitySource::LocalAccount => (None, proof.identity.subject.parse().ok()),
            IdentitySource::HomeOrganisation | IdentitySource::OneTimePasscode => {
                (proof.email.as_ref().map(|email| email.address()), likely)
            }
        };
        Self { tenant, app, identity: &proof.identity, address, likely, invited }
    }

    /// What to read; take the answers to [`Recognition::finish`].
    #[must_use]
    pub(super) fn keys(&self) -> Vec<Key> {
        let by_identity = records::identity(self.tenant, self.identity).key().clone();
        let by_address = self.address.map(|address| records::address(self.tenant, address).key().clone());
        let likely = self.likely.map(|user| PersonRecords::keys(self.tenant, user, self.app));
        std::iter::once(by_identity).chain(by_address).chain(likely.into_iter().flatten()).collect()
    }

    /// The records of the person that `proof` makes them, or why they are nobody here.
    ///
    /// # Errors
    /// When the store is unavailable or a record is unreadable.
    pub(super) async fn finish(
        &self,
        foundation: &Foundation,
        proof: &VerifiedIdentity,
        entries: &mut impl Iterator<Item = Option<Entry>>,
    ) -> Result<Result<PersonRecords, Code>, StoreError> {
        let by_identity: Option<Stored<UserRef>> = take(entries)?;
        let by_address: Option<Stored<UserRef>> = match self.address {
            Some(_) => take(entries)?,
            None => None,
        };
        let mut read = Vec::with_capacity(2);
        if let Some(likely) = self.likely {
            read.push((likely, PersonRecords::from_entries(entries, self.app)?));
        }
        let local = proof.source == IdentitySource::LocalAccount;
        if local && self.invited.is_none() {
            let Some((own, user)) = read.pop().and_then(|(_, own)| own.user.clone().map(|user| (own, user.value))) else {
                return Ok(Err(Code::NotInvited));
            };
            // A guest who has redeemed in another way keeps to that, whatever opens an account of theirs here.
            let elsewhere = user.identity().is_some_and(|bound| *bound != proof.identity);
            let own = PersonRecords { by_identity, ..own };
            return Ok(if elsewhere { Err(Code::BoundToAnotherIdentity) } else { Ok(own) });
        }
        let mut ids = [by_identity.as_ref(), by_address.as_ref()].map(|found| found.map(|found| found.value.user));
        if local {
            ids[0] = ids[0].or_else(|| proof.identity.subject.parse().ok());
        }
        let mut missing: Vec<_> = ids.into_iter().flatten().filter(|id| self.likely != Some(*id)).collect();
        missing.dedup();
        if !missing.is_empty() {
            let keys = missing.iter().flat_map(|id| PersonRecords::keys(self.tenant, *id, self.app)).collect::<Vec<_>>();
            let mut entries = foundation.store.entries(&keys).await?.into_iter();
            for id in missing {
                read.push((id, PersonRecords::from_entries(&mut entries, self.app)?));
            }
        }
        let user = |id: Option<UserId>| read.iter().find(|(known, _)| Some(*known) == id)?.1.user.as_ref();
        let [bound, holder] = ids.map(|id| user(id).map(|stored| &stored.value));
        let known = match self.invited {
            Some(invited) => user(Some(invited))
                .ok_or(Code::InvitationRevoked)
                .and_then(|invited| recognise_invited(proof, bound, &invited.value)),
            None => recognise(proof, bound, holder),
        };
        Ok(known.map(|user| user.id).and_then(|id| {
            let found = read.into_iter().find(|(known, _)| *known == id).ok_or(Code::NotInvited)?;
            Ok(PersonRecords { by_identity, ..found.1 })
        }))
    }
}
