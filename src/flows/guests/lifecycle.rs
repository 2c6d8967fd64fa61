//! Deleting, restoring, and deleting for good (b2b-facts section 11).

use super::{Act, Addresses, Administration, Changes, barred, belongings};
use crate::{
    domain::{
        UserId,
        audit::{Activity, Actor},
        invitation::InvitationState,
        user::User,
    },
    error::Code,
    store::{
        StoreError, Version,
        records::{self, DeletedUser, InvitedIndex, Stored, Tombstone, UserRef},
    },
};

impl Administration<'_> {
    /// Deletes a user. They are out at once, at every door; nothing leads to them any more, and their invitation ends. For 30
    /// days they can be restored with all that is theirs; and if they were blocked, the same person comes back only by who
    /// might have unblocked them. Of somebody who does it to themselves, the audit log says that they
    /// left.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`], [`Code::VersionOutdated`], or the store's failure: then nothing has changed.
    pub async fn delete(&self, id: UserId, expected: Option<Version>) -> Result<DeletedUser, Code> {
        let (store, tenant) = (&self.foundation.store, self.tenant());
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.user(id, expected).await?;
            let mut changes = Changes::of(tenant);
            let user = User { sessions_valid_from: moment.now, ..stored.value.clone() };
            let deleted = DeletedUser { user, deleted: moment.now };
            let gone = deleted.gone();
            let tombstone = Tombstone { user: id, deleted: moment.now };
            let key = records::user(tenant, id);
            changes.write(|batch| {
                batch
                    .unchanged(&key, Some(&stored))
                    .delete(&key)
                    .put_until(&records::deleted_user(tenant, id), &deleted, Some(gone))
                    .put(&records::tombstone(tenant, id), &tombstone)
            });
            let reindexed = Addresses::of(tenant).reindex(store, Some(&stored.value), None).await.map_err(StoreError::refusal)?;
            changes.write(|batch| reindexed.write(batch, tenant));
            changes.unlink(store, tenant, &stored.value).await.map_err(StoreError::refusal)?;
            belongings::keep(store, &mut changes, (tenant, id), Some(gone)).await.map_err(StoreError::refusal)?;
            barred::bar(&mut changes, tenant, &stored.value, gone);
            if let Some(latest) = self.latest(&stored.value).await? {
                let invitation = &latest.invitation.value;
                let state = match &invitation.state {
                    InvitationState::Open => InvitationState::Revoked { at: moment.now },
                    state => state.clone(),
                };
                if let Some(address) = &invitation.address {
                    changes.write(|batch| batch.delete(&records::invited(tenant, address, id)));
                }
                if invitation.state == InvitationState::Open {
                    changes.tell(Activity::InvitationRevoked { user: id, invitation: invitation.id }.to(&stored.value));
                }
                self.keep(&mut changes, &latest, state, Some(gone));
            }
            changes.cut_off(tenant, &deleted.user, true, moment.now);
            let told = match self.actor {
                Actor::User(actor) if *actor == id => Activity::UserLeft { user: id },
                _ => Activity::UserDeleted { user: id },
            };
            changes.tell(told.to(&stored.value));
            if act.commit(&moment, changes).await? {
                return Ok(deleted);
            }
        }
    }

    /// Brings back a deleted user with all that was theirs, in the state that they were in. Sessions stay ended, and a link
    /// that ended stays so. An address that somebody else has by now becomes one of the other addresses.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`] for somebody who was not deleted, or too long ago; [`Code::IdentityTaken`];
    /// [`Code::VersionOutdated`]; or the store's failure: then nothing has changed.
    pub async fn restore(&self, id: UserId, expected: Option<Version>) -> Result<User, Code> {
        let (store, tenant) = (&self.foundation.store, self.tenant());
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.deleted(id, expected).await?;
            let mut changes = Changes::of(tenant);
            let mut user = stored.value.user.clone();
            let mut addresses = Addresses::of(tenant);
            if let Some(mail) = user.mail.clone()
                && addresses.holder(store, &mail).await.map_err(StoreError::refusal)?.is_some()
            {
                user.mail = None;
                user.other_mails.insert(0, mail);
            }
            if let Some(identity) = user.identity() {
                let key = records::identity(tenant, identity);
                if store.get(&key).await.map_err(StoreError::refusal)?.is_some() {
                    return Err(Code::IdentityTaken);
                }
                changes.write(|batch| batch.absent(&key).put(&key, &UserRef::to(&user)));
            }
            let deleted = records::deleted_user(tenant, id);
            changes.write(|batch| {
                let batch = batch.unchanged(&deleted, Some(&stored)).delete(&deleted);
                batch.delete(&records::tombstone(tenant, id))
            });
            changes.put_user(tenant, None, &user);
            let reindexed = addresses.reindex(store, None, Some(&user)).await.map_err(StoreError::refusal)?;
            changes.write(|batch| reindexed.write(batch, tenant));
            belongings::keep(store, &mut changes, (tenant, id), None).await.map_err(StoreError::refusal)?;
            barred::unbar(&mut changes, tenant, &stored.value.user);
            if let Some(latest) = self.latest(&user).await? {
                let invitation = &latest.invitation.value;
                if let Some(address) = &invitation.address {
                    changes.write(|batch| batch.put(&records::invited(tenant, address, id), &InvitedIndex { user: id }));
                }
                let state = invitation.state.clone();
                self.keep(&mut changes, &latest, state, None);
            }
            changes.cut_off(tenant, &user, !user.account_enabled, moment.now);
            changes.tell(Activity::UserRestored { user: id }.to(&user));
            if act.commit(&moment, changes).await? {
                return Ok(user);
            }
        }
    }

    /// Deletes for good who was deleted before. That there was somebody with this id is remembered, so that the id is never
    /// used again (checklist T-06), and so are the answers to agreements, which name nobody. The audit log keeps what it said of
    /// them, their names of the time included: it is a chain, and nothing is taken out of it.
    ///
    /// # Errors
    /// [`Code::ObjectUnknown`], [`Code::VersionOutdated`], or the store's failure: then nothing has changed.
    pub async fn delete_permanently(&self, id: UserId, expected: Option<Version>) -> Result<(), Code> {
        let (store, tenant) = (&self.foundation.store, self.tenant());
        let mut act = Act::begin(*self).await;
        loop {
            let moment = act.moment().await?;
            let stored = self.deleted(id, expected).await?;
            let mut changes = Changes::of(tenant);
            let key = records::deleted_user(tenant, id);
            changes.write(|batch| batch.unchanged(&key, Some(&stored)).delete(&key));
            belongings::remove(store, &mut changes, tenant, id).await.map_err(StoreError::refusal)?;
            barred::unbar(&mut changes, tenant, &stored.value.user);
            if let Some(invitation) = stored.value.user.invitation {
                changes.write(|batch| {
                    batch.delete(&records::invitation(tenant, invitation)).delete(&records::delivery(tenant, invitation))
                });
            }
            changes.tell(Activity::UserDeletedPermanently { user: id }.to(&stored.value.user));
            if act.commit(&moment, changes).await? {
                return Ok(());
            }
        }
    }

    /// A deleted user who is as the caller read them.
    async fn deleted(&self, id: UserId, expected: Option<Version>) -> Result<Stored<DeletedUser>, Code> {
        let found = self.foundation.store.get(&records::deleted_user(self.tenant(), id)).await.map_err(StoreError::refusal)?;
        let found = found.ok_or(Code::ObjectUnknown)?;
        match expected {
            Some(expected) if expected != found.version => Err(Code::VersionOutdated),
            _ => Ok(found),
        }
    }
}
