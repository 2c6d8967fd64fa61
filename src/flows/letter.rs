//! The mail of an invitation, from what the directory says of it.

use super::{Vestibule, guests::Letter};
use crate::{
    error::Code,
    mail::{Invitation, Inviter, Mail},
};

/// Writes the mail that brings an invitation.
///
/// # Errors
/// [`Code::Internal`], which no template at hand leads to.
pub fn write(vestibule: &Vestibule, letter: &Letter<'_>) -> Result<Mail, Code> {
    let invitation = Invitation {
        tenant: &letter.view.tenant,
        to: letter.to,
        inviter: letter.inviter.map(|user| Inviter { name: &user.display_name, mail: user.mail.as_ref() }),
        link: letter.link,
        redirect: &letter.invitation.redirect,
        expires: letter.invitation.expires,
        message: letter.message.text.as_deref(),
        message_language: letter.message.language.as_ref(),
        guest_language: letter.user.preferred_language.as_ref(),
        public_url: vestibule.public_url(),
    };
    invitation.mail(&vestibule.sender).map_err(|error| {
        tracing::error!(%error, "the mail of an invitation cannot be written");
        Code::Internal
    })
}
