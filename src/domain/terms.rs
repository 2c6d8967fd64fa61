//! Terms of use: agreements, their documents and versions, and who has accepted what.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AgreementId, AppId, LanguageTag, UserId, user::UserType};

/// A stored document, named by the SHA-256 of its bytes (64 hexadecimal digits): what was accepted is exactly what was shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentId([u8; 32]);

impl DocumentId {
    /// The name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut id = [0; 32];
        id.copy_from_slice(digest.as_ref());
        Self(id)
    }

    /// The hash, as part of a store key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentId({self})")
    }
}

impl std::str::FromStr for DocumentId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "a document is named by 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refused);
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refused)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refused)?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for DocumentId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DocumentId> for String {
    fn from(id: DocumentId) -> Self {
        id.to_string()
    }
}

/// What kind of file a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaType {
    /// PDF, shown by the browser's own viewer.
    Pdf,
    /// CommonMark without raw HTML.
    Markdown,
    /// Plain text, UTF-8.
    Text,
}

/// Terms of use of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// Its name for administrators, unique in the tenant. Not shown to guests.
    pub name: String,
    /// Where it stands among several: lower first, then by name.
    #[serde(default)]
    pub order: u32,
    /// Whether *Accept* counts only after the document was opened.
    pub must_open: bool,
    /// Whom and what it covers.
    #[serde(default)]
    pub scope: Scope,
    /// One file a language, never empty; the first is the default.
    pub files: Vec<AgreementFile>,
    /// Whether it is in force.
    pub published: bool,
}

/// Whom and what an agreement covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Which sign-ins.
    pub apps: AppScope,
    /// Whose.
    pub users: UserScope,
}

/// Which sign-ins an agreement covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppScope {
    /// Every one, the apps panel included.
    #[default]
    Everywhere,
    /// Those to these apps.
    Apps(Vec<AppId>),
}

/// Whose sign-ins an agreement covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserScope {
    /// Guests'.
    #[default]
    Guests,
    /// Members'.
    Members,
    /// Everybody's.
    Everyone,
}

/// An agreement in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementFile {
    /// The language.
    pub language: LanguageTag,
    /// The title that guests see.
    pub display_name: String,
    /// All versions, oldest first, never empty. Old ones stay readable.
    pub versions: Vec<FileVersion>,
}

/// One version of an agreement in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileVersion {
    /// Counts up from 1 within the language.
    pub version: u32,
    /// The document.
    pub document: DocumentId,
    /// What kind of file it is.
    pub media: MediaType,
    /// Whether it voids earlier acceptances of this language.
    pub major: bool,
    /// When it came into force.
    pub published: Timestamp,
}

/// A guest's answer to one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// To which agreement.
    pub agreement: AgreementId,
    /// By whom.
    pub user: UserId,
    /// In which language.
    pub language: LanguageTag,
    /// To which version.
    pub version: u32,
    /// To exactly which document.
    pub document: DocumentId,
    /// What it was.
    pub answer: Answer,
    /// On the way to which app; `None` for the panel.
    pub app: Option<AppId>,
    /// When.
    pub at: Timestamp,
}

/// Accepted or declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Accepted.
    Accepted,
    /// Declined; can be revisited by signing in again.
    Declined,
}

/// An agreement that has to be answered now, as it is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed<'a> {
    /// The agreement.
    pub agreement: &'a Agreement,
    /// The file in the guest's language, or the default one.
    pub file: &'a AgreementFile,
    /// Its current version.
    pub version: &'a FileVersion,
}

/// Who is asked, on the way to what.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// Guest or member.
    pub user_type: UserType,
    /// The app that is entered; `None` for the panel.
    pub app: Option<AppId>,
    /// The languages the person reads, best first.
    pub languages: &'a [LanguageTag],
}

/// Which of `agreements` still have to be answered, in the order in which they are shown.
///
/// `answers` are all answers of this user, recorded ones and those of the journey so far, oldest first.
#[must_use]
pub fn owed<'a>(agreements: &'a [Agreement], answers: &[Acceptance], audience: Audience<'_>) -> Vec<Owed<'a>> {
    let mut owed: Vec<_> = agreements
        .iter()
        .filter(|agreement| agreement.published && agreement.scope.covers(audience) && !agreement.is_settled_by(answers))
        .filter_map(|agreement| agreement.shown_in(audience.languages))
        .collect();
    owed.sort_by(|a, b| (a.agreement.order, &a.agreement.name).cmp(&(b.agreement.order, &b.agreement.name)));
    owed
}

impl Scope {
    fn covers(&self, audience: Audience<'_>) -> bool {
        let user = match self.users {
            UserScope::Guests => audience.user_type == UserType::Guest,
            UserScope::Members => audience.user_type == UserType::Member,
            UserScope::Everyone => true,
        };
        let app = match &self.apps {
            AppScope::Everywhere => true,
            AppScope::Apps(apps) => audience.app.is_some_and(|app| apps.contains(&app)),
        };
        user && app
    }
}

impl Agreement {
    /// The file in the first of `languages` that there is one for (exactly, then by primary language), else the default.
    #[must_use]
    pub fn shown_in(&self, languages: &[LanguageTag]) -> Option<Owed<'_>> {
        let exact = |wanted: &LanguageTag| self.files.iter().find(|file| file.language == *wanted);
        let close = |wanted: &LanguageTag| self.files.iter().find(|file| file.language.primary() == wanted.primary());
        let file = languages.iter().find_map(|wanted| exact(wanted).or_else(|| close(wanted))).or(self.files.first())?;
        Some(Owed { agreement: self, file, version: file.versions.last()? })
    }

    /// Whether the latest answer that still counts is *accepted*.
    fn is_settled_by(&self, answers: &[Acceptance]) -> bool {
        answers
            .iter()
            .rev()
            .filter(|answer| answer.agreement == self.id)
            .find(|answer| self.still_counts(answer))
            .is_some_and(|answer| answer.answer == Answer::Accepted)
    }

    /// An answer counts for its own language until a major version follows there.
    fn still_counts(&self, answer: &Acceptance) -> bool {
        let Some(file) = self.files.iter().find(|file| file.language == answer.language) else { return false };
        let known = file.versions.iter().any(|v| v.version == answer.version && v.document == answer.document);
        let voided = file.versions.iter().any(|v| v.major && v.version > answer.version);
        known && !voided
    }
}
