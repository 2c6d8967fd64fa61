//! What a guest agrees to: the review of permissions, terms of use, and the document itself.

use askama::Template;
use jiff::Timestamp;

use super::{Chrome, Contact, Link, markdown::Rendered, page};
use crate::{
    domain::{LanguageTag, terms::MediaType},
    error::Code,
};

/// The review of permissions: who asks, for what, under which privacy statement. Posts `answer`, `accept` or `cancel`.
#[derive(Clone, Debug, Template)]
#[template(path = "review_permissions.html")]
pub struct ReviewPermissions {
    /// Around it.
    pub chrome: Chrome,
    /// Where the form posts to.
    pub action: Link,
    /// The app that the link leads to, by name.
    pub app: Option<String>,
    /// The address that was invited, where it is not the account in use.
    pub invited_as: Option<String>,
    /// The organisation's privacy statement.
    pub privacy_statement: Option<Link>,
    /// Whom to write to about it.
    pub privacy_contact: Option<Contact>,
    /// Whether the guest has agreed before and is asked anew.
    pub again: bool,
}

/// What kind of document an agreement is, as the page tells it.
pub type DocumentKind = MediaType;

/// One agreement. Posts `document` and `answer`, `accept` or `decline`; the button `open-terms` posts to another tab.
#[derive(Clone, Debug, Template)]
#[template(path = "terms.html")]
pub struct Terms {
    /// Around it.
    pub chrome: Chrome,
    /// Where the answer is posted to.
    pub action: Link,
    /// Where `open-terms` posts to; it answers with the document.
    pub open_action: Link,
    /// The title, in the language of the document.
    pub title: String,
    /// What kind of document it is.
    pub kind: DocumentKind,
    /// The language of the document.
    pub document_language: LanguageTag,
    /// Its version within that language.
    pub version: u32,
    /// When that version came into force.
    pub published: Timestamp,
    /// What is accepted: the SHA-256 of the document, posted back as `document`.
    pub document: String,
    /// The app that the link leads to, by name.
    pub app: Option<String>,
    /// Whether the document has to be opened before *Accept* counts.
    pub must_open: bool,
    /// Whether it was opened.
    pub opened: bool,
    /// The document itself, where it can be shown in the page.
    pub panel: Option<Rendered>,
    /// Which of how many agreements this is, counted from 1.
    pub position: (u32, u32),
    /// Why the last answer did not count: [`Code::TermsNotOpened`] or [`Code::TermsChanged`].
    pub error: Option<Code>,
}

impl Terms {
    /// Whether opening the document is the next thing to do.
    fn opening_is_next(&self) -> bool {
        self.must_open && !self.opened
    }

    /// Whether what was wrong is put right by opening the document.
    fn is_about_opening(&self) -> bool {
        self.error == Some(Code::TermsNotOpened)
    }

    fn kind_key(&self) -> &'static str {
        match self.kind {
            MediaType::Pdf => "terms-kind-pdf",
            MediaType::Markdown | MediaType::Text => "terms-kind-page",
        }
    }

    /// The `lang` of title and document, where it is not that of the page.
    fn other_language(&self) -> Option<&str> {
        let tag = self.document_language.as_str();
        (tag != self.chrome.language.tag()).then_some(tag)
    }
}

/// A document in a tab of its own.
#[derive(Clone, Debug, Template)]
#[template(path = "document.html")]
pub struct Document {
    /// Around it.
    pub chrome: Chrome,
    /// The title, in the language of the document.
    pub title: String,
    /// The language of the document.
    pub document_language: LanguageTag,
    /// Its version within that language.
    pub version: u32,
    /// When that version came into force.
    pub published: Timestamp,
    /// The document.
    pub body: Rendered,
}

page!(ReviewPermissions, Terms, Document);
