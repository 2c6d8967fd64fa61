//! The names in a mail: who invites, to which organisation, and whom the mail is from.

use super::{
    message::{Sender, one_line},
    texts::{Arguments, Texts},
};
use crate::domain::tenant::{InvitationMail, Tenant};

/// How many characters of a name are shown.
pub(super) const NAME_MAX: usize = 80;

/// The names in the sentences of a mail.
pub(super) struct Names {
    /// The person who invites; `None` where it is the organisation, and in mails that are no invitation.
    pub(super) inviter: Option<String>,
    pub(super) organisation: String,
    /// Only one that is verified tells the guest anything.
    pub(super) domain: Option<String>,
}

impl Names {
    pub(super) fn of(tenant: &Tenant, inviter: Option<&str>, texts: &Texts) -> Self {
        let inviter = inviter.map(|name| one_line(name, NAME_MAX)).filter(|name| !name.is_empty());
        let domain = tenant.domains.iter().find(|domain| domain.verified).map(|domain| domain.name.to_string());
        Self { inviter, organisation: texts.organisation(tenant), domain }
    }

    /// A text of the tenant with these names. Where no person invites, or no domain is verified, it is the organisation.
    pub(super) fn filled(&self, text: &str) -> String {
        let organisation = self.organisation.as_str();
        let inviter = self.inviter.as_deref().unwrap_or(organisation);
        InvitationMail::filled(text, inviter, organisation, self.domain.as_deref().unwrap_or(organisation))
    }

    /// Whom every mail of `tenant` is from: the name that the tenant has chosen, else its own name and that of the operator's
    /// `sender`, whose address it is in any case.
    pub(super) fn from(&self, tenant: &Tenant, sender: &Sender, texts: &Texts) -> Sender {
        let name = match (&tenant.policy.invitation_mail.from_name, &sender.name) {
            (Some(chosen), _) => self.filled(chosen),
            (None, None) => self.organisation.clone(),
            (None, Some(operator)) if operator.contains(&self.organisation) => operator.clone(),
            (None, Some(operator)) => {
                let names = [("organisation", self.organisation.clone()), ("operator", operator.clone())];
                texts.text("mail-from", &Arguments::from(names.map(|(key, name)| (key.into(), name.into()))))
            }
        };
        // Mail programs show the name only: it must not pass for an address.
        Sender { name: Some(name.replace('@', "(at)")), address: sender.address.clone() }
    }
}
