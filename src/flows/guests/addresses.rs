//! Which user an address leads to: the rules of the address index, for everything that gives or takes addresses.
//!
//! More than one object of a tenant may have an address; the index leads to the one that had it first. Who comes later needs
//! the link in the mail (decision 4). When the first one lets go of it, the address passes to a guest who was invited under
//! it, if there is one.

use std::collections::BTreeMap;

use crate::{
    domain::{EmailAddress, TenantId, UserId, user::User},
    store::{
        Batch, StoreError,
        records::{self, Store, Stored, UserRef},
    },
};

/// Who holds the addresses that a change mentions, while it grows: two users of one change may want the same one.
pub(in crate::flows) struct Addresses {
    tenant: TenantId,
    known: BTreeMap<EmailAddress, Holder>,
}

struct Holder {
    stored: Option<Stored<UserRef>>,
    now: Option<UserId>,
}

/// What has to be written to keep the index in step.
#[derive(Default)]
pub(in crate::flows) struct Reindexed(Vec<Entry>);

struct Entry {
    address: EmailAddress,
    read: Option<Stored<UserRef>>,
    /// The user whom the address passes to, as read.
    heir: Option<Stored<User>>,
    after: Option<UserRef>,
}

impl Reindexed {
    /// Adds it to a batch.
    pub(in crate::flows) fn write(self, mut batch: Batch, tenant: TenantId) -> Batch {
        for Entry { address, read, heir, after } in self.0 {
            let key = records::address(tenant, &address);
            batch = batch.unchanged(&key, read.as_ref());
            if let Some(heir) = heir {
                batch = batch.unchanged(&records::user(tenant, heir.value.id), Some(&heir));
            }
            batch = match after {
                Some(entry) => batch.put(&key, &entry),
                None => batch.delete(&key),
            };
        }
        batch
    }
}

impl Addresses {
    /// Of a tenant; nothing was read yet.
    pub(in crate::flows) fn of(tenant: TenantId) -> Self {
        Self { tenant, known: BTreeMap::new() }
    }

    /// Whom an address leads to once the change has been made.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(in crate::flows) async fn holder(&mut self, store: &Store, address: &EmailAddress) -> Result<Option<UserId>, StoreError> {
        Ok(self.read(store, address).await?.now)
    }

    async fn read(&mut self, store: &Store, address: &EmailAddress) -> Result<&mut Holder, StoreError> {
        use std::collections::btree_map::Entry;
        match self.known.entry(address.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let stored = store.get(&records::address(self.tenant, address)).await?;
                let now = stored.as_ref().map(|stored| stored.value.user);
                Ok(unknown.insert(Holder { stored, now }))
            }
        }
    }

    /// What changes when a user who was as `before` becomes as `after`; `None` for one who is not there. An address that
    /// somebody else holds stays theirs.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub(in crate::flows) async fn reindex(
        &mut self,
        store: &Store,
        before: Option<&User>,
        after: Option<&User>,
    ) -> Result<Reindexed, StoreError> {
        let mut changes = Reindexed::default();
        let let_go = |address: &&EmailAddress| after.is_none_or(|after| !after.holds(address));
        for address in before.into_iter().flat_map(User::addresses).filter(let_go) {
            let user = before.map(|before| before.id);
            if self.read(store, address).await?.now != user {
                continue;
            }
            let heir = heir(store, self.tenant, address, user).await?;
            let holder = self.read(store, address).await?;
            holder.now = heir.as_ref().map(|heir| heir.value.id);
            let passes_to = heir.as_ref().map(|heir| UserRef::to(&heir.value));
            changes.0.push(Entry { address: address.clone(), read: holder.stored.clone(), heir, after: passes_to });
        }
        let Some(user) = after else { return Ok(changes) };
        for address in user.addresses() {
            let (holder, entry) = (self.read(store, address).await?, UserRef::to(user));
            let stale = holder.now == Some(user.id) && holder.stored.as_ref().is_some_and(|stored| stored.value != entry);
            if holder.now.is_none() || stale {
                holder.now = Some(user.id);
                let read = holder.stored.clone();
                changes.0.push(Entry { address: address.clone(), read, heir: None, after: Some(entry) });
            }
        }
        Ok(changes)
    }
}

/// Another guest who was invited under an address and has it still.
async fn heir(
    store: &Store,
    tenant: TenantId,
    address: &EmailAddress,
    but: Option<UserId>,
) -> Result<Option<Stored<User>>, StoreError> {
    for invited in store.list(&records::all_invited(tenant, address)).await? {
        if Some(invited.value.user) != but
            && let Some(user) = store.get(&records::user(tenant, invited.value.user)).await?
            && user.value.holds(address)
        {
            return Ok(Some(user));
        }
    }
    Ok(None)
}
