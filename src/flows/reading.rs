//! What the directory API reads of a tenant. Its handlers know no keys: they ask here.

use std::ops::Range;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::guests::find;
use crate::{
    domain::{
        AppId, EmailAddress, InvitationId, TenantId, UserId, audit::Event, invitation::Invitation, tenant::Tenant, user::User,
    },
    error::Code,
    store::{
        Page, StoreError,
        records::{self, Assignment, DeletedUser, Delivery, RecordKey, Store, Stored, decode},
    },
};

/// A collection of records of one type that are named by ids.
#[derive(Clone, Copy, Debug)]
pub struct Collection<T> {
    all: fn(TenantId) -> RecordKey<T>,
    one: fn(TenantId, Uuid) -> RecordKey<T>,
    id: fn(&T) -> Uuid,
}

/// The users.
pub const USERS: Collection<User> =
    Collection { all: records::users, one: |tenant, id| records::user(tenant, UserId(id)), id: |user| user.id.0 };
/// The deleted users that can be restored.
pub const DELETED_USERS: Collection<DeletedUser> = Collection {
    all: records::deleted_users,
    one: |tenant, id| records::deleted_user(tenant, UserId(id)),
    id: |deleted| deleted.user.id.0,
};

/// A tenant's directory, to be read. Everything here fails with [`Code::StoreUnavailable`] when the store is, and with what is
/// told of a record that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    store: &'a Store,
    tenant: TenantId,
}

impl<'a> Reader<'a> {
    /// That of `tenant`.
    #[must_use]
    pub fn new(store: &'a Store, tenant: TenantId) -> Self {
        Self { store, tenant }
    }

    /// The records of a collection in the order of their ids, with these, after one of them and at most so many.
    pub async fn piece<T: DeserializeOwned>(
        &self,
        collection: &Collection<T>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<(Uuid, Stored<T>)>, Code> {
        let after = after.map(|id| (collection.one)(self.tenant, id).key().clone());
        let entries = self.store.backend().scan((collection.all)(self.tenant).key(), Page { after, limit }).await;
        let read = |entry| decode(entry).map(|stored: Stored<T>| ((collection.id)(&stored.value), stored));
        entries.and_then(|entries| entries.into_iter().map(read).collect()).map_err(StoreError::refusal)
    }

    /// A user.
    pub async fn user(&self, id: UserId) -> Result<Option<Stored<User>>, Code> {
        find::by_id(self.store, self.tenant, id).await.map_err(StoreError::refusal)
    }

    /// The user that an address leads to.
    pub async fn user_by_address(&self, address: &EmailAddress) -> Result<Option<Stored<User>>, Code> {
        find::by_address(self.store, self.tenant, address).await.map_err(StoreError::refusal)
    }

    /// The user with a name in the directory, as long as an index leads there; see [`find::by_principal_name`].
    pub async fn user_by_name(&self, name: &str) -> Result<Option<Stored<User>>, Code> {
        find::by_principal_name(self.store, self.tenant, name).await.map_err(StoreError::refusal)
    }

    /// Several users, each in the place of its id.
    pub async fn users(&self, ids: impl Iterator<Item = UserId>) -> Result<Vec<Option<Stored<User>>>, Code> {
        let keys: Vec<_> = ids.map(|id| records::user(self.tenant, id)).collect();
        self.store.get_all(&keys).await.map_err(StoreError::refusal)
    }

    /// A deleted user, as long as they can be restored.
    pub async fn deleted_user(&self, id: UserId) -> Result<Option<Stored<DeletedUser>>, Code> {
        find::deleted_by_id(self.store, self.tenant, id).await.map_err(StoreError::refusal)
    }

    /// What became of invitations and of their mails, each in the place of its id.
    pub async fn invitations(&self, ids: &[InvitationId]) -> Result<Vec<(Option<Invitation>, Option<Delivery>)>, Code> {
        let invitations: Vec<_> = ids.iter().map(|id| records::invitation(self.tenant, *id)).collect();
        let deliveries: Vec<_> = ids.iter().map(|id| records::delivery(self.tenant, *id)).collect();
        let invitations = self.store.get_all(&invitations).await.map_err(StoreError::refusal)?;
        let deliveries = self.store.get_all(&deliveries).await.map_err(StoreError::refusal)?;
        let pairs = invitations.into_iter().zip(deliveries);
        Ok(pairs.map(|(invitation, delivery)| (invitation.map(|it| it.value), delivery.map(|it| it.value))).collect())
    }

    /// The assignments of a user, who has few.
    pub async fn assignments(&self, user: UserId) -> Result<Vec<Assignment>, Code> {
        let stored = self.store.list(&records::assignments(self.tenant, user)).await.map_err(StoreError::refusal)?;
        Ok(stored.into_iter().map(|stored| stored.value).collect())
    }

    /// The assignments of all users in the order of users, after one of them and at most so many.
    pub async fn all_assignments(&self, after: Option<(UserId, AppId)>, limit: usize) -> Result<Vec<(UserId, Assignment)>, Code> {
        let after = after.map(|(user, app)| records::assignment(self.tenant, user, app).key().clone());
        let entries = self.store.backend().scan(records::all_assignments(self.tenant).key(), Page { after, limit }).await;
        let read = |entry| {
            let Stored { value, key, .. } = decode(entry).map_err(StoreError::refusal)?;
            let user = key.segments().next().and_then(|segment| Uuid::from_slice(segment).ok());
            Ok((UserId(user.ok_or(Code::Internal)?), value))
        };
        entries.map_err(StoreError::refusal)?.into_iter().map(read).collect()
    }

    /// The organisation as it is recorded, with the version that a change is compared with.
    pub async fn organisation(&self) -> Result<Option<Stored<Tenant>>, Code> {
        self.store.get(&records::tenant(self.tenant)).await.map_err(StoreError::refusal)
    }

    /// The number of the latest entry of the audit log; 0 where there is none.
    pub async fn latest_audit(&self) -> Result<u64, Code> {
        let head = self.store.get(&records::audit_head(self.tenant)).await.map_err(StoreError::refusal)?;
        Ok(head.map_or(0, |head| head.value.sequence))
    }

    /// Entries of the audit log by their numbers, newest first; those that are gone are left out.
    pub async fn audits(&self, numbers: Range<u64>) -> Result<Vec<Event>, Code> {
        let keys: Vec<_> = numbers.rev().map(|number| records::audit_event(self.tenant, number)).collect();
        let events = self.store.get_all(&keys).await.map_err(StoreError::refusal)?;
        Ok(events.into_iter().flatten().map(|stored| stored.value).collect())
    }
}
