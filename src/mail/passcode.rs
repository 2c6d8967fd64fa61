//! The mail that carries a one-time passcode.

use askama::Template;
use zeroize::Zeroizing;

use super::{
    message::{ComposeError, Mail, Sender},
    names::Names,
    texts::{Arguments, Texts},
};
use crate::{
    domain::{
        EmailAddress, LanguageTag, WebUrl,
        tenant::{Color, Tenant},
    },
    secret::Secret,
};

/// The colour of mails of tenants that have chosen none.
const DEFAULT_ACCENT: &str = "#0b5cad";

/// What the mail with a one-time passcode says. Nothing in it comes from a request but the choice of the language (checklist
/// O-12), and it has no links.
#[derive(Debug)]
pub struct Passcode<'a> {
    /// The organisation that the guest is signing in to.
    pub tenant: &'a Tenant,
    /// Whom the code is for.
    pub to: &'a EmailAddress,
    /// The code: digits only. Shown in groups of four; a page that asks for it ignores white space.
    pub code: &'a Secret,
    /// How long the code lives, in minutes.
    pub minutes: u8,
    /// The language of the page that asks for the code; then the tenant's, then English.
    pub language: Option<&'a LanguageTag>,
    /// The server's public origin from the configuration, shown as text so that it can be compared with the browser's.
    pub origin: Option<&'a WebUrl>,
}

/// The colour of a tenant's mails, and that of text on it.
pub(super) fn accent(tenant: &Tenant) -> (String, &'static str) {
    let accent = tenant.branding.accent;
    (accent.map_or_else(|| DEFAULT_ACCENT.to_owned(), String::from), accent.map_or("#ffffff", Color::readable_text))
}

#[derive(Template)]
#[template(path = "mail/passcode.html")]
struct Html<'a> {
    language: &'a str,
    heading: &'a str,
    accent: String,
    on_accent: &'static str,
    code: &'a str,
    texts: &'a PasscodeTexts,
}

#[derive(Template)]
#[template(path = "mail/passcode.txt", escape = "none")]
struct Text<'a> {
    code: &'a str,
    texts: &'a PasscodeTexts,
}

/// The sentences, in the guest's language.
struct PasscodeTexts {
    heading: String,
    greeting: String,
    asked: String,
    enter: String,
    lifetime: String,
    never_tell: String,
    ignore: String,
    origin: Option<String>,
    automatic: String,
}

impl Passcode<'_> {
    /// The mail.
    ///
    /// # Errors
    /// When a template fails, which the templates at hand do not.
    pub fn mail(&self, sender: &Sender) -> Result<Mail, ComposeError> {
        let texts = Texts::in_first_of(self.language.into_iter().chain(&self.tenant.policy.language));
        let names = Names::of(self.tenant, None, &texts);
        let sentences = self.sentences(&texts, &names);
        let digits = self.code.expose().as_bytes();
        let groups: Vec<_> = digits.chunks(4).map(String::from_utf8_lossy).collect();
        let code = Zeroizing::new(groups.join(" "));
        let (accent, on_accent) = accent(self.tenant);
        let language = texts.language();
        let html = Html { language: &language, heading: &sentences.heading, accent, on_accent, code: &code, texts: &sentences };
        Ok(Mail {
            to: self.to.clone(),
            from: names.from(self.tenant, sender, &texts),
            reply_to: None,
            text: Zeroizing::new(Text { code: &code, texts: &sentences }.render().map_err(|_| ComposeError)?),
            html: Zeroizing::new(html.render().map_err(|_| ComposeError)?),
            subject: sentences.heading,
            language,
        })
    }

    fn sentences(&self, texts: &Texts, names: &Names) -> PasscodeTexts {
        let organisation = names.organisation.clone();
        let mut arguments =
            Arguments::from([("organisation".into(), organisation.into()), ("minutes".into(), self.minutes.into())]);
        let asked = if names.domain.is_some() { "mail-passcode-asked-domain" } else { "mail-passcode-asked" };
        arguments.extend(names.domain.clone().map(|domain| ("domain".into(), domain.into())));
        arguments.extend(self.origin.map(|origin| ("origin".into(), origin.origin().into())));
        let text = |key: &str| texts.text(key, &arguments);
        PasscodeTexts {
            heading: text("mail-passcode-subject"),
            greeting: text("mail-greeting"),
            asked: text(asked),
            enter: text("mail-passcode-enter"),
            lifetime: text("mail-passcode-lifetime"),
            never_tell: text("mail-passcode-never-tell"),
            ignore: text("mail-passcode-ignore"),
            origin: self.origin.map(|_| text("mail-passcode-origin")),
            automatic: text("mail-automatic"),
        }
    }
}
