//! The mail that brings an invitation, and the note to somebody else that it was sent.

use askama::Template;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    message::{ComposeError, Mail, Sender, one_line},
    names::{NAME_MAX, Names},
    passcode::accent,
    quoted,
    texts::{Arguments, Texts},
};
use crate::{
    domain::{EmailAddress, LanguageTag, WebUrl, tenant::Tenant},
    secret::Secret,
};

/// How many characters of the inviter's own words a mail shows.
pub const MESSAGE_MAX: usize = 2_000;

/// How many characters of whom to ask are shown.
const CONTACT_MAX: usize = 200;

/// What the mail with an invitation says (b2b-facts section 4). Nothing in it comes from a request (checklist O-12). It has no
/// pictures: one fetched from elsewhere would tell that the mail was opened, and one inside would be in every queued mail.
#[derive(Debug)]
pub struct Invitation<'a> {
    /// The organisation that invites.
    pub tenant: &'a Tenant,
    /// Who is invited.
    pub to: &'a EmailAddress,
    /// What they are called, where that is known.
    pub guest_name: Option<&'a str>,
    /// Who invites; `None` for a program or the operator, then it is the organisation.
    pub inviter: Option<Inviter<'a>>,
    /// The link that redeems the invitation, ticket and all, on the server's public origin.
    pub link: &'a Secret,
    /// Where it leads after that. Only its host is shown, and its port.
    pub redirect: &'a WebUrl,
    /// When the link ends; `None`: never.
    pub expires: Option<Timestamp>,
    /// The inviter's own words: text, of which [`MESSAGE_MAX`] characters are shown.
    pub message: Option<&'a str>,
    /// The language that the inviter asked for, which comes first.
    pub message_language: Option<&'a LanguageTag>,
    /// The guest's language, where it is known; then the tenant's, then English.
    pub guest_language: Option<&'a LanguageTag>,
    /// The server's public origin from the configuration.
    pub public_url: &'a WebUrl,
}

/// Who invites.
#[derive(Clone, Copy, Debug)]
pub struct Inviter<'a> {
    /// Their name.
    pub name: &'a str,
    /// Their address, where it is known. Answers to the mail go there.
    pub mail: Option<&'a EmailAddress>,
}

#[derive(Template)]
#[template(path = "mail/invitation.html")]
struct Html<'a> {
    language: &'a str,
    heading: &'a str,
    accent: &'a str,
    on_accent: &'static str,
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "mail/invitation.txt", escape = "none")]
struct Text<'a> {
    letter: &'a Letter,
}

/// What both forms of the mail say, in one language.
struct Letter {
    language: String,
    warning: Option<String>,
    heading: String,
    paragraphs: Vec<String>,
    message: Option<Message>,
    action: Option<Action>,
    footer: Vec<Footnote>,
}

/// The inviter's own words.
struct Message {
    by: String,
    lines: Vec<String>,
}

/// What the guest can do.
struct Action {
    accept: String,
    link: Zeroizing<String>,
    copy: String,
    remarks: Vec<String>,
}

/// A sentence of the small print, and the address that it names.
struct Footnote {
    text: String,
    link: Option<String>,
}

impl Invitation<'_> {
    /// The mail to the guest.
    ///
    /// # Errors
    /// When a template fails, which the templates at hand do not.
    pub fn mail(&self, sender: &Sender) -> Result<Mail, ComposeError> {
        let texts = self.texts();
        let names = self.names(&texts);
        let custom = &self.tenant.policy.invitation_mail;
        let subject = match (&custom.subject, &names.inviter) {
            (Some(subject), _) => names.filled(subject),
            (None, Some(_)) => texts.text("mail-invitation-subject", &subject_arguments(&names)),
            (None, None) => texts.text("mail-invitation-subject-nobody", &subject_arguments(&names)),
        };
        let arguments = self.arguments(&names);
        let text = |key: &str| texts.text(key, &arguments);
        let by = if names.inviter.is_some() { "mail-invitation-invited" } else { "mail-invitation-invited-nobody" };
        let to_apps = self.redirect.origin() == self.public_url.origin();
        let leads = if to_apps { "mail-invitation-leads-apps" } else { "mail-invitation-leads" };
        let lifetime = match self.expires {
            Some(end) => texts.text("mail-invitation-until", &Arguments::from([("moment".into(), texts.moment(end).into())])),
            None => text("mail-invitation-for-ever"),
        };
        let letter = Letter {
            language: texts.language(),
            warning: Some(text("mail-invitation-warning")),
            heading: text("mail-invitation-heading"),
            paragraphs: vec![self.greeting(&texts), text(by), text("mail-invitation-for")],
            message: self.quoted(&text),
            action: Some(Action {
                accept: text("mail-invitation-accept"),
                link: Zeroizing::new(self.link.expose().to_owned()),
                copy: text("mail-invitation-copy"),
                remarks: vec![text(leads), format!("{lifetime} {}", text("mail-invitation-alone"))],
            }),
            footer: vec![self.privacy(&text), self.block(&text), self.answers(&texts, &text)],
        };
        self.finished(self.to, names.from(self.tenant, sender, &texts), subject, &letter)
    }

    /// The note to `to`, whom the inviter wants to know of the invitation of `guest`. It has no link: who holds the link may be
    /// led on as the guest.
    ///
    /// # Errors
    /// When a template fails, which the templates at hand do not.
    pub fn notice(&self, sender: &Sender, to: &EmailAddress, guest: &str) -> Result<Mail, ComposeError> {
        let texts = self.texts();
        let names = self.names(&texts);
        let mut arguments = self.arguments(&names);
        let guest = one_line(guest, NAME_MAX);
        let shown = if guest.is_empty() || guest == self.to.as_str() {
            self.to.to_string()
        } else {
            format!("{} ({})", quoted::unlinked(&guest), self.to)
        };
        arguments.insert("guest".into(), shown.into());
        let text = |key: &str| texts.text(key, &arguments);
        let by = if names.inviter.is_some() { "mail-notice-invited" } else { "mail-notice-invited-nobody" };
        let letter = Letter {
            language: texts.language(),
            warning: None,
            heading: text("mail-notice-heading"),
            paragraphs: vec![text("mail-greeting"), text(by), text("mail-notice-nothing-to-do")],
            message: self.quoted(&text),
            action: None,
            footer: vec![self.privacy(&text), self.answers(&texts, &text)],
        };
        let subject = texts.text("mail-notice-subject", &subject_arguments(&names));
        self.finished(to, names.from(self.tenant, sender, &texts), subject, &letter)
    }

    fn texts(&self) -> Texts {
        Texts::in_first_of(
            [self.message_language, self.guest_language, self.tenant.policy.language.as_ref()].into_iter().flatten(),
        )
    }

    fn names(&self, texts: &Texts) -> Names {
        Names::of(self.tenant, self.inviter.map(|inviter| inviter.name), texts)
    }

    /// How the guest is addressed: by name where theirs is known and is not just made of the address.
    fn greeting(&self, texts: &Texts) -> String {
        let name = self.guest_name.map(|name| one_line(name, NAME_MAX)).filter(|name| !name.is_empty());
        let local = self.to.as_str().split('@').next();
        match name.filter(|name| Some(name.as_str()) != local) {
            Some(name) => texts.text("mail-greeting-name", &Arguments::from([("name".into(), quoted::unlinked(&name).into())])),
            None => texts.text("mail-greeting", &Arguments::new()),
        }
    }

    /// The arguments of the sentences of the body: no name in them becomes a link.
    fn arguments(&self, names: &Names) -> Arguments {
        let mut organisation = quoted::unlinked(&names.organisation);
        let short = organisation.clone();
        if let Some(domain) = &names.domain {
            organisation = format!("{organisation} ({domain})");
        }
        let mut inviter = names.inviter.as_deref().map_or_else(|| short.clone(), quoted::unlinked);
        let inviter_short = inviter.clone();
        if let Some(mail) = self.inviter.and_then(|inviter| inviter.mail) {
            inviter = format!("{inviter} ({mail})");
        }
        Arguments::from([
            ("organisation".into(), short.into()),
            ("organisation-in-full".into(), organisation.into()),
            ("inviter".into(), inviter_short.into()),
            ("inviter-in-full".into(), inviter.into()),
            ("address".into(), self.to.to_string().into()),
            ("host".into(), self.redirect.host().into()),
            ("origin".into(), self.public_url.origin().into()),
        ])
    }

    fn quoted(&self, text: &impl Fn(&str) -> String) -> Option<Message> {
        let lines = quoted::lines(self.message?, MESSAGE_MAX);
        (!lines.is_empty()).then(|| Message { by: text("mail-invitation-message"), lines })
    }

    fn privacy(&self, text: &impl Fn(&str) -> String) -> Footnote {
        match &self.tenant.privacy.statement_url {
            Some(url) => Footnote { text: text("mail-invitation-privacy"), link: Some(url.to_string()) },
            None => Footnote { text: text("mail-invitation-no-privacy"), link: None },
        }
    }

    fn block(&self, text: &impl Fn(&str) -> String) -> Footnote {
        let base = self.public_url.as_str().trim_end_matches('/');
        let link = format!("{base}/{}/block-invitations", self.tenant.id);
        Footnote { text: text("mail-invitation-block"), link: Some(link) }
    }

    /// Who reads the answers; where nobody does, whom to ask instead.
    fn answers(&self, texts: &Texts, text: &impl Fn(&str) -> String) -> Footnote {
        if self.inviter.is_some_and(|inviter| inviter.mail.is_some()) {
            return Footnote { text: text("mail-invitation-answers"), link: None };
        }
        let automatic = text("mail-automatic");
        let text =
            match self.tenant.contact().map(|contact| one_line(&contact, CONTACT_MAX)).filter(|contact| !contact.is_empty()) {
                Some(contact) => {
                    // An address may become a link here, since the organisation gives it; words are words.
                    let contact = if contact.parse::<EmailAddress>().is_ok() { contact } else { quoted::unlinked(&contact) };
                    format!("{automatic} {}", texts.text("mail-contact", &Arguments::from([("contact".into(), contact.into())])))
                }
                None => automatic,
            };
        Footnote { text, link: None }
    }

    fn finished(&self, to: &EmailAddress, from: Sender, subject: String, letter: &Letter) -> Result<Mail, ComposeError> {
        let (accent, on_accent) = accent(self.tenant);
        let html = Html { language: &letter.language, heading: &letter.heading, accent: &accent, on_accent, letter };
        Ok(Mail {
            to: to.clone(),
            from,
            reply_to: self.inviter.and_then(|inviter| inviter.mail.cloned()),
            text: Zeroizing::new(Text { letter }.render().map_err(|_| ComposeError)?),
            html: Zeroizing::new(html.render().map_err(|_| ComposeError)?),
            subject,
            language: letter.language.clone(),
        })
    }
}

/// The arguments of subjects, in which nothing becomes a link.
fn subject_arguments(names: &Names) -> Arguments {
    let mut arguments = Arguments::from([("organisation".into(), names.organisation.clone().into())]);
    arguments.extend(names.inviter.clone().map(|inviter| ("inviter".into(), inviter.into())));
    arguments
}
