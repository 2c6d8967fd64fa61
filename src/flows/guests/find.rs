//! Finding users: by id, by address, and by the name in the directory.

use crate::{
    domain::{EmailAddress, TenantId, UserId, user::User},
    store::{
        StoreError,
        records::{self, DeletedUser, Store, Stored, UserRef},
    },
};

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
    let held: Option<Stored<UserRef>> = match address_in(name) {
        Some(address) => store.get(&records::address(tenant, &address)).await?,
        None => None,
    };
    let ids = ids.into_iter().chain(held.map(|index| index.value.user));
    let users: Vec<_> = ids.map(|id| records::user(tenant, id)).collect();
    let found = store.get_all(&users).await?.into_iter().flatten();
    Ok(found.into_iter().find(|user| user.value.principal_name.eq_ignore_ascii_case(name)))
}

/// The address that a name may have been made of. A domain has no `_`, so the last one is where the `@` was.
fn address_in(name: &str) -> Option<EmailAddress> {
    let Some((invited, _)) = name.to_ascii_lowercase().find("#ext#@").map(|at| name.split_at(at)) else {
        return name.parse().ok();
    };
    let (local, domain) = invited.rsplit_once('_')?;
    format!("{local}@{domain}").parse().ok()
}

/// The deleted user with an id, as long as they can be restored.
///
/// # Errors
/// When the store is unavailable.
pub async fn deleted_by_id(store: &Store, tenant: TenantId, id: UserId) -> Result<Option<Stored<DeletedUser>>, StoreError> {
    store.get(&records::deleted_user(tenant, id)).await
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_where_the_at_sign_was() {
        let in_words = |name: &str| address_in(name).map(|address| address.to_string());
        for (name, address) in [
            ("first_last_fabrikam.example#EXT#@contoso.example", Some("first_last@fabrikam.example")),
            ("a_b_fabrikam.example#Ext#@contoso.example", Some("a_b@fabrikam.example")),
            ("adele@contoso.example", Some("adele@contoso.example")),
            ("nobody#EXT#@contoso.example", None),
            ("nobody", None),
        ] {
            assert_eq!(in_words(name).as_deref(), address, "{name}");
        }
    }
}
