//! From what an invitation says to its mail.

use super::Letter;
use crate::{
    domain::WebUrl,
    error::Code,
    mail::{self, Mail, Sender},
};

/// Writes the mails of invitations, from `sender`, on the server whose public origin is `public_url`.
pub fn writer<'a>(sender: &'a Sender, public_url: &'a WebUrl) -> impl Fn(&Letter<'_>) -> Result<Mail, Code> + Send + Sync + 'a {
    move |letter| {
        let Letter { view, user, invitation, to, link, message, inviter } = *letter;
        let mail = mail::Invitation {
            tenant: &view.tenant,
            to,
            inviter: inviter.map(|inviter| mail::Inviter { name: &inviter.display_name, mail: inviter.mail.as_ref() }),
            link,
            redirect: &invitation.redirect,
            expires: invitation.expires,
            message: message.text.as_deref(),
            message_language: message.language.as_ref(),
            guest_language: user.preferred_language.as_ref(),
            public_url,
        };
        mail.mail(sender).map_err(|error| {
            tracing::error!(%error, "the mail of an invitation could not be written");
            Code::Internal
        })
    }
}
