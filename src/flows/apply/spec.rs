//! What an apply file says: tenants with their domains, apps, federations, agreements and users.
//!
//! The file is TOML; documents and pictures are files beside it. [`Desired::load`] reads both, so that what goes over the
//! administration socket is complete. What the file does not mention is left as it is.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize, Serializer};

pub use super::documents::{DOCUMENT_LIMIT, LOGO_LIMIT};
use crate::{
    config::source,
    domain::{
        AgreementId, AppId, Domain, EmailAddress, FederationId, LanguageTag, TenantId, UserId, WebUrl,
        app::{PkcePolicy, RedirectUri, SigningAlg},
        tenant::{Color, PrivacyProfile, TenantDomain, TenantPolicy},
        terms::UserScope,
        user::UserType,
    },
    secret::Secret,
};

/// The state that an operator wants.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Desired {
    /// Tenants.
    #[serde(rename = "tenant")]
    pub tenants: Vec<TenantSpec>,
    /// The bytes of the documents and logos that `tenants` names by path, base64; filled in by [`Desired::load`].
    pub files: BTreeMap<PathBuf, String>,
}

/// A tenant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSpec {
    /// Its id; when absent, the tenant whose first domain is the same, or a new one.
    pub id: Option<TenantId>,
    /// Its name.
    pub display_name: String,
    /// Its domains, the initial one first.
    pub domains: Vec<DomainSpec>,
    /// Host names, without a port, that stand for it. Like the three that follow: as it is when not given.
    pub hosts: Option<Vec<Domain>>,
    /// What guests are told about their data.
    pub privacy: Option<PrivacyProfile>,
    /// How its pages look.
    pub branding: Option<BrandingSpec>,
    /// How it treats its guests.
    pub policy: Option<TenantPolicy>,
    /// False: nobody signs in, and whoever was signed in is not any more. As it is when left out.
    pub enabled: Option<bool>,
    /// Its apps.
    #[serde(default, rename = "app")]
    pub apps: Vec<AppSpec>,
    /// The home organisations that it trusts.
    #[serde(default, rename = "federation")]
    pub federations: Vec<FederationSpec>,
    /// Its terms of use.
    #[serde(default, rename = "agreement")]
    pub agreements: Vec<AgreementSpec>,
    /// Guests and members.
    #[serde(default, rename = "user")]
    pub users: Vec<UserSpec>,
}

/// A domain that a tenant claims.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainSpec {
    /// Its name.
    pub name: Domain,
    /// True: the operator declares that it is the tenant's. False: a DNS record has to show it, or has shown it already.
    pub verified: bool,
}

impl DomainSpec {
    /// What it comes to where the tenant has the domain already, as `before`. Not being declared takes nothing away from
    /// what DNS has shown; no longer being declared takes the declaration back.
    pub(super) fn over(&self, before: Option<&TenantDomain>) -> TenantDomain {
        let proven = before.filter(|before| !self.verified && before.dns.is_some());
        let declared = || TenantDomain { name: self.name.clone(), verified: self.verified, dns: None };
        proven.cloned().unwrap_or_else(declared)
    }
}

/// How a tenant's pages look.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrandingSpec {
    /// The accent colour.
    pub accent: Option<Color>,
    /// A PNG file, at most 100 KiB.
    pub logo: Option<PathBuf>,
}

/// An app; found by its id, else by its name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    /// Its id, which is its `client_id`.
    pub id: Option<AppId>,
    /// Its name.
    pub display_name: String,
    /// One line for the panel.
    pub description: Option<String>,
    /// Where it starts.
    pub homepage: Option<WebUrl>,
    /// Where codes may be sent.
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may go after signing out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// A client that cannot keep a secret.
    #[serde(default)]
    pub public: bool,
    /// The secret of a confidential client, at least 32 characters. Without it one is made and printed, once.
    #[serde(default, serialize_with = "expose_some")]
    pub client_secret: Option<Secret>,
    /// Whether PKCE is required.
    #[serde(default)]
    pub pkce: PkcePolicy,
    /// Whether it has a tile on the panel.
    #[serde(default = "yes")]
    pub visible: bool,
    /// Whether only assigned users may open it.
    #[serde(default)]
    pub assignment_required: bool,
    /// Whether it may be signed in to.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Directory permissions.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// Directory permissions that it may ask for in the name of somebody who signs in to it.
    #[serde(default)]
    pub delegated_permissions: Vec<String>,
    /// How its ID tokens are signed.
    #[serde(default = "rs256")]
    pub id_token_alg: SigningAlg,
    /// How its access tokens are signed.
    #[serde(default = "es256")]
    pub access_token_alg: SigningAlg,
}

fn yes() -> bool {
    true
}

fn rs256() -> SigningAlg {
    SigningAlg::RS256
}

fn es256() -> SigningAlg {
    SigningAlg::ES256
}

/// A home organisation; found by its id, else by its issuer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederationSpec {
    /// Its id, which is part of the redirect URI to register there: `<public URL>/<tenant id>/federation/<id>/callback`.
    pub id: Option<FederationId>,
    /// Its name.
    pub display_name: String,
    /// Its issuer, exactly.
    pub issuer: WebUrl,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there.
    #[serde(serialize_with = "expose")]
    pub client_secret: Secret,
    /// The e-mail domains it is trusted for.
    pub domains: Vec<Domain>,
    /// Whether it is in use.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Terms of use; found by their name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementSpec {
    /// Its id, when it must be a given one.
    pub id: Option<AgreementId>,
    /// Its name for administrators.
    pub name: String,
    /// Where it stands among several.
    #[serde(default)]
    pub order: u32,
    /// Whether it has to be opened before it can be accepted.
    #[serde(default = "yes")]
    pub must_open: bool,
    /// The names of the apps it covers; all sign-ins when empty.
    #[serde(default)]
    pub apps: Vec<String>,
    /// Whom it covers.
    #[serde(default)]
    pub users: UserScope,
    /// Its files, the default language first.
    #[serde(rename = "file")]
    pub files: Vec<AgreementFileSpec>,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub published: bool,
}

/// An agreement in one language. A file whose bytes differ from the current version becomes a new version.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementFileSpec {
    /// The language.
    pub language: LanguageTag,
    /// The title that guests see.
    pub display_name: String,
    /// The document: `.pdf`, `.md` or `.txt`, at most 10 MiB.
    pub path: PathBuf,
    /// Whether a new version voids earlier acceptances.
    #[serde(default = "yes")]
    pub major: bool,
}

/// A guest or member; found by id, else by address.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The id; needed for somebody without an address.
    pub id: Option<UserId>,
    /// Guest (the default) or member.
    #[serde(default = "guest")]
    pub user_type: UserType,
    /// The name.
    pub display_name: String,
    /// The invited address. When another object has it, it becomes one of the others, and the guest needs the mailed link.
    pub mail: Option<EmailAddress>,
    /// Further addresses. As they are when left out.
    pub other_mails: Option<Vec<EmailAddress>>,
    /// The language of mails. As it is when left out.
    pub preferred_language: Option<LanguageTag>,
    /// False: blocked, with every session ended at once. As it is when left out: nobody is let in again by accident.
    pub account_enabled: Option<bool>,
    /// Whether they may invite guests where the tenant leaves that to administrators and guest inviters. As it is when left
    /// out.
    pub guest_inviter: Option<bool>,
    /// A member's password.
    #[serde(default, serialize_with = "expose_some")]
    pub password: Option<Secret>,
    /// The names of the apps they are assigned to.
    #[serde(default)]
    pub apps: Vec<String>,
}

fn guest() -> UserType {
    UserType::Guest
}

/// What is wrong with an apply file. Each problem says where it is.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SpecError(pub Vec<String>);

impl Desired {
    /// Reads an apply file and the files it names.
    ///
    /// # Errors
    /// Every problem that was found, not just the first.
    pub fn load(path: &Path) -> Result<Self, SpecError> {
        let at = |problem: &dyn std::fmt::Display| SpecError(vec![format!("{}: {problem}", path.display())]);
        let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
        let mut desired: Self = source::read(&text).map_err(|problem| at(&problem))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut problems = Vec::new();
        for (named, whose) in desired.named_files() {
            match read_limited(&folder.join(&named)) {
                Ok(bytes) => {
                    desired.files.insert(named, BASE64_STANDARD.encode(bytes));
                }
                Err(error) => problems.push(format!("{whose}: {}: {error}", folder.join(&named).display())),
            }
        }
        if problems.is_empty() { Ok(desired) } else { Err(SpecError(problems)) }
    }

    /// The files, each with what names it.
    fn named_files(&self) -> Vec<(PathBuf, String)> {
        let agreements = self.tenants.iter().flat_map(|tenant| &tenant.agreements);
        let documents = agreements.flat_map(|agreement| {
            let whose = format!("agreement {:?}", agreement.name);
            agreement.files.iter().map(move |file| (file.path.clone(), whose.clone()))
        });
        let logos = self.tenants.iter().filter_map(|tenant| Some((tenant.branding.as_ref()?.logo.clone()?, "logo".to_owned())));
        documents.chain(logos).collect()
    }
}

/// Reads a file, but never much more than a document may have: what is longer is refused when it is looked at.
fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(DOCUMENT_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The administration socket carries secrets, from one process of the operator to another; nothing else writes them.
fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn expose_some<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_is_missing_is_named_with_its_folder_and_its_agreement() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tenants.toml");
        let agreement = "[[tenant.agreement]]\nname = \"Terms\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\n\
             display_name = \"Terms\"\npath = \"terms.pdf\"\n";
        std::fs::write(&file, format!("[[tenant]]\ndisplay_name = \"Contoso\"\ndomains = []\n{agreement}")).unwrap();
        let SpecError(problems) = Desired::load(&file).unwrap_err();
        let expected = format!("agreement \"Terms\": {}: ", folder.path().join("terms.pdf").display());
        assert!(problems.len() == 1 && problems[0].starts_with(&expected), "{problems:?}");
    }
}
