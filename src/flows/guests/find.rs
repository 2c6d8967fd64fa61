//! Finding users: by id, by address, by the name in the directory, and page by page.

use serde::de::DeserializeOwned;

use crate::{
    domain::{EmailAddress, TenantId, UserId, user::User},
    store::{
        Page, StoreError,
        records::{self, DeletedUser, RecordKey, Store, Stored, UserRef, decode},
    },
};

/// The most users of one page (b2b-facts section 12).
pub const PAGE_MAX: usize = 999;

/// The user with an id.
///
/// # Errors
/// When the store is unavailable.
pub async fn by_id(store: &Store, tenant: TenantId, id: UserId) -> Result<Option<Stored<User>>, StoreError> {
    store.get(&records::user(tenant, id)).await
}

/// The user that an address leads to. Others who have it, too, are not found by it.
///
/// # Errors
/// When the store is unavailable.
pub async fn by_address(store: &Store, tenant: TenantId, address: &EmailAddress) -> Result<Option<Stored<User>>, StoreError> {
    let Some(index) = store.get(&records::address(tenant, address)).await? else { return Ok(None) };
    let found = store.get(&records::user(tenant, index.value.user)).await?;
    Ok(found.filter(|user| user.value.holds(address)))
}

/// The user with a name in the directory (see [`User::principal_name_of`]), compared without regard to ASCII case. There is
/// no index of these names: it is found where the id or the address is in it and the user still has that address.
///
/// # Errors
/// When the store is unavailable.
pub async fn by_principal_name(store: &Store, tenant: TenantId, name: &str) -> Result<Option<Stored<User>>, StoreError> {
    let local = name.split_once('@').map_or("", |(local, _)| local);
    let ids = local.split('#').next().and_then(|id| id.parse().ok());
    let addresses: Vec<_> = addresses_in(name).iter().map(|address| records::address(tenant, address)).collect();
    let held: Vec<Option<Stored<UserRef>>> = store.get_all(&addresses).await?;
    let ids = ids.into_iter().chain(held.into_iter().flatten().map(|index| index.value.user));
    let users: Vec<_> = ids.map(|id| records::user(tenant, id)).collect();
    let found = store.get_all(&users).await?.into_iter().flatten();
    Ok(found.into_iter().find(|user| user.value.principal_name.eq_ignore_ascii_case(name)))
}

/// The addresses that a name may have been made of: any `_` may have been the `@`.
fn addresses_in(name: &str) -> Vec<EmailAddress> {
    let Some((invited, _)) = name.split_once("#EXT#@").or_else(|| name.split_once("#ext#@")) else {
        return name.parse().into_iter().collect();
    };
    let at = |(index, _): (usize, &str)| format!("{}@{}", &invited[..index], &invited[index + 1..]).parse().ok();
    invited.match_indices('_').filter_map(at).collect()
}

/// A page of users in the order of their ids: those after `after`, at most `limit` (and never more than [`PAGE_MAX`]). There
/// are more when it is full.
///
/// # Errors
/// When the store is unavailable.
pub async fn page(store: &Store, tenant: TenantId, after: Option<UserId>, limit: usize) -> Result<Vec<Stored<User>>, StoreError> {
    scan(store, &records::users(tenant), after.map(|id| records::user(tenant, id)), limit).await
}

/// The deleted user with an id, as long as they can be restored.
///
/// # Errors
/// When the store is unavailable.
pub async fn deleted_by_id(store: &Store, tenant: TenantId, id: UserId) -> Result<Option<Stored<DeletedUser>>, StoreError> {
    store.get(&records::deleted_user(tenant, id)).await
}

/// A page of deleted users who can be restored, as [`page`].
///
/// # Errors
/// When the store is unavailable.
pub async fn deleted_page(
    store: &Store,
    tenant: TenantId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<Stored<DeletedUser>>, StoreError> {
    scan(store, &records::deleted_users(tenant), after.map(|id| records::deleted_user(tenant, id)), limit).await
}

async fn scan<T: DeserializeOwned>(
    store: &Store,
    prefix: &RecordKey<T>,
    after: Option<RecordKey<T>>,
    limit: usize,
) -> Result<Vec<Stored<T>>, StoreError> {
    let page = Page { after: after.map(|key| key.key().clone()), limit: limit.min(PAGE_MAX) };
    store.backend().scan(prefix.key(), page).await?.into_iter().map(decode).collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_where_an_at_sign_may_have_been() {
        let in_words = |name: &str| addresses_in(name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            in_words("first_last_fabrikam.example#EXT#@contoso.example"),
            ["first_last@fabrikam.example"],
            "a domain has no underscore"
        );
        assert_eq!(in_words("adele@contoso.example"), ["adele@contoso.example"]);
        assert!(in_words("nobody").is_empty());
    }
}
