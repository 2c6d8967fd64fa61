//! A guest leaves the organisation: their own act, which needs proof of who they are and nothing else (b2b-facts section 11).

use super::{Vestibule, directory::TenantView, guests::Administration};
use crate::{
    domain::{UserId, audit::Actor},
    error::Code,
};

/// Deletes the user who asks for it: they are out at once, at every door, and can be restored for 30 days. Somebody who is gone
/// already has left.
///
/// # Errors
/// The store's failure: then nothing has changed.
pub async fn leave(vestibule: &Vestibule, view: &TenantView, user: UserId) -> Result<(), Code> {
    let (foundation, sender, actor) = (&vestibule.foundation, &vestibule.sender, Actor::User(user));
    let administration = Administration { foundation, view, actor: &actor, sender };
    match administration.delete(user, None).await {
        Ok(_) | Err(Code::ObjectUnknown) => Ok(()),
        Err(code) => Err(code),
    }
}
