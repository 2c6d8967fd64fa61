//! Which user an address leads to: the rules of the address index, for everything that gives or takes addresses.
//!
//! More than one object of a tenant may have an address; the index leads to the one that had it first. Who comes later needs
//! the link in the mail (decision 4), and is remembered: when the first one lets go of it, the address passes to one of those
//! who have it still.

use std::collections::BTreeMap;

use crate::{
    domain::{EmailAddress, TenantId, UserId, user::User},
    store::{
        Batch, StoreError,
        records::{self, AlsoHeld, Store, Stored, UserRef},
    },
};

/// Who holds the addresses that a change mentions, while it grows: two users of one change may want the same one.
pub(in crate::flows) struct Addresses {
    tenant: TenantId,
    known: BTreeMap<EmailAddress, Holder>,
    /// Who was changed already in this change, as they are by now; `None` of one who is not there any more.
    changed: BTreeMap<UserId, Option<User>>,
}

struct Holder {
    stored: Option<Stored<UserRef>>,
    now: Option<UserId>,
    /// Who has come to have it beside that user in this change.
    also: Vec<UserRef>,
}

/// What has to be written to keep the index in step.
#[derive(Default)]
pub(in crate::flows) struct Reindexed(Vec<Entry>);

enum Entry {
    /// The address leads to somebody, or to nobody.
    Leads {
        address: EmailAddress,
        read: Option<Stored<UserRef>>,
        /// The user whom the address passes to, as read.
        heir: Option<Box<Stored<User>>>,
        after: Option<UserRef>,
    },
    /// Somebody has it whom it does not lead to, or no longer does. It is written without a check of its own: every act and every
    /// apply checks the end of the audit log, so that nothing has changed since it was decided.
    AlsoHeld { address: EmailAddress, user: UserId, held: bool },
}

impl Reindexed {
    /// Adds it to a batch.
    pub(in crate::flows) fn write(self, batch: Batch, tenant: TenantId) -> Batch {
        self.0.into_iter().fold(batch, |batch, entry| entry.write(batch, tenant))
    }
}

impl Entry {
    fn write(self, batch: Batch, tenant: TenantId) -> Batch {
        match self {
            Self::Leads { address, read, heir, after } => {
                let key = records::address(tenant, &address);
                let mut batch = batch.unchanged(&key, read.as_ref());
                if let Some(heir) = heir {
                    batch = batch.unchanged(&records::user(tenant, heir.value.id), Some(&heir));
                }
                match after {
                    Some(entry) => batch.put(&key, &entry),
                    None => batch.delete(&key),
                }
            }
            Self::AlsoHeld { address, user, held: true } => {
                batch.put(&records::also_held(tenant, &address, user), &AlsoHeld { user })
            }
            Self::AlsoHeld { address, user, held: false } => batch.delete(&records::also_held(tenant, &address, user)),
        }
    }
}

impl Addresses {
    /// Of a tenant; nothing was read yet.
    pub(in crate::flows) fn of(tenant: TenantId) -> Self {
        Self { tenant, known: BTreeMap::new(), changed: BTreeMap::new() }
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
                Ok(unknown.insert(Holder { stored, now, also: Vec::new() }))
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
        if let Some(user) = before.or(after) {
            self.changed.insert(user.id, after.cloned());
        }
        let let_go = |address: &&EmailAddress| after.is_none_or(|after| !after.holds(address));
        for address in before.into_iter().flat_map(User::addresses).filter(let_go) {
            let Some(user) = before.map(|before| before.id) else { continue };
            let holder = self.read(store, address).await?;
            holder.also.retain(|also| also.user != user);
            if holder.now != Some(user) {
                changes.0.push(Entry::AlsoHeld { address: address.clone(), user, held: false });
                continue;
            }
            let (heir, after) = self.heir(store, address).await?;
            let holder = self.read(store, address).await?;
            holder.now = after.as_ref().map(|after| after.user);
            let passed = holder.now.map(|user| Entry::AlsoHeld { address: address.clone(), user, held: false });
            changes.0.push(Entry::Leads { address: address.clone(), read: holder.stored.clone(), heir, after });
            changes.0.extend(passed);
        }
        let Some(user) = after else { return Ok(changes) };
        for address in user.addresses() {
            let (holder, entry) = (self.read(store, address).await?, UserRef::to(user));
            let stale = holder.now == Some(user.id) && holder.stored.as_ref().is_some_and(|stored| stored.value != entry);
            if holder.now.is_none() || stale {
                holder.now = Some(user.id);
                let read = holder.stored.clone();
                changes.0.push(Entry::Leads { address: address.clone(), read, heir: None, after: Some(entry) });
            } else if holder.now != Some(user.id) && before.is_none_or(|before| !before.holds(address)) {
                holder.also.push(entry);
                changes.0.push(Entry::AlsoHeld { address: address.clone(), user: user.id, held: true });
            }
        }
        Ok(changes)
    }

    /// Whom an address passes to that was let go of: somebody who comes to have it in this change, or who had it before, as
    /// this change has made them or as they were read.
    async fn heir(
        &mut self,
        store: &Store,
        address: &EmailAddress,
    ) -> Result<(Option<Box<Stored<User>>>, Option<UserRef>), StoreError> {
        let tenant = self.tenant;
        let holder = self.read(store, address).await?;
        if !holder.also.is_empty() {
            return Ok((None, Some(holder.also.remove(0))));
        }
        for AlsoHeld { user } in store.list(&records::all_also_held(tenant, address)).await?.into_iter().map(|also| also.value) {
            if let Some(changed) = self.changed.get(&user) {
                if let Some(user) = changed.as_ref().filter(|user| user.holds(address)) {
                    return Ok((None, Some(UserRef::to(user))));
                }
            } else if let Some(user) = store.get(&records::user(tenant, user)).await?.filter(|user| user.value.holds(address)) {
                let after = UserRef::to(&user.value);
                return Ok((Some(Box::new(user)), Some(after)));
            }
        }
        Ok((None, None))
    }
}
