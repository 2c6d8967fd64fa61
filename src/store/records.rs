//! Which records there are, what they are called, and how they are read and written.
//!
//! A [`RecordKey`] knows the type that lives under it, so a user can be neither read nor written as an app. Every key of a
//! tenant's record has the tenant in it: what is looked up is always (tenant, id), never an id alone (checklist T-02).

mod delivery;
pub mod kind;
mod typed;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Key, Partition};
use crate::{
    domain::{
        AgreementId, AppId, Domain, EmailAddress, FederationId, InvitationId, SessionId, TenantId, UserId,
        app::App,
        audit,
        federation::Federation,
        invitation::Invitation,
        tenant::Tenant,
        terms::{Acceptance, Agreement, DocumentId, MediaType},
        user::{Identity, User, UserType},
    },
    oidc::{
        TenantKey,
        grant::{GrantId, RefreshFamily},
    },
};

pub use delivery::{Delivery, DeliveryState};
pub use typed::{RecordKey, Store, Stored, decode, take};

/// Global: a tenant that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantListed {
    /// Its id.
    pub id: TenantId,
}

/// Global: the store is being filled by a copy. Written first, deleted last: while it is there, records may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// When that began.
    pub since: Timestamp,
}

/// Global: the store was a backup until now. Who opens it first ends what may have ended since the backup was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// When it was taken, where that is known.
    pub taken: Option<Timestamp>,
}

/// Global: who has claimed a domain or a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The tenant.
    pub tenant: TenantId,
}

/// Which user an index entry points to, and what has to be known of them before anything is mailed to an address: a code can
/// then be sent without reading the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// The user.
    pub user: UserId,
    /// Whether they are a guest.
    pub guest: bool,
}

impl UserRef {
    /// What points to `user`.
    #[must_use]
    pub fn to(user: &User) -> Self {
        Self { user: user.id, guest: user.user_type == UserType::Guest }
    }
}

/// What a stored document is; its bytes are in chunks beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentInfo {
    /// Its kind.
    pub media: MediaType,
    /// Its size in bytes.
    pub size: u64,
    /// The number of chunks.
    pub chunks: u32,
}

/// A user's right to open an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The app.
    pub app: AppId,
    /// The value of the `roles` claim, where a role was given.
    pub role: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A user who was deleted. The record ends with the time in which they can be restored, and so does all else that is theirs
/// alone (assignments, passwords, passkeys): nothing has to come and sweep it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedUser {
    /// As they were. No index leads to them.
    pub user: User,
    /// When that was.
    pub deleted: Timestamp,
}

impl DeletedUser {
    /// When they can no longer be restored: after 30 days (b2b-facts section 12).
    #[must_use]
    pub fn gone(&self) -> Timestamp {
        self.deleted.saturating_add(jiff::SignedDuration::from_hours(30 * 24)).unwrap_or(Timestamp::MAX)
    }
}

/// That there was a user with this id, and when they were deleted. It stays for ever: ids are never used again (checklist
/// T-06). Restoring them takes it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Who.
    pub user: UserId,
    /// When.
    pub deleted: Timestamp,
}

/// That an address or an identity was a deleted user's who was blocked. It ends with the time in which they can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    /// The user.
    pub user: UserId,
}

/// That the holder of an address wants no invitations of this tenant by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationsBlocked {
    /// Since when.
    pub since: Timestamp,
}

/// Somebody who was invited under an address, whether or not the address leads to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedIndex {
    /// Who.
    pub user: UserId,
}

/// Somebody who has an address that leads to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoHeld {
    /// Who.
    pub user: UserId,
}

/// What doors must know of a user at once, kept apart from the user so that it can be watched and listed cheaply. It
/// exists only for users whose sessions were cut off, and expires when the last session it concerns has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCutoff {
    /// The user.
    pub user: UserId,
    /// Sessions that began before this are void.
    pub sessions_valid_from: Timestamp,
    /// Whether the user may not sign in at all.
    pub blocked: bool,
}

impl UserCutoff {
    /// When no session that it concerns can still be alive: a session lasts 24 hours at most.
    #[must_use]
    pub fn forget_at(&self, now: Timestamp) -> Timestamp {
        sessions_over(now)
    }
}

/// When no session that began before `now` can still be alive: a session lasts 24 hours at most.
#[must_use]
pub fn sessions_over(now: Timestamp) -> Timestamp {
    now.saturating_add(jiff::SignedDuration::from_hours(25)).unwrap_or(Timestamp::MAX)
}

/// That no session of the tenant counts which began earlier. Expires when the last of them has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantCutoff {
    /// Sessions that began before this are void.
    pub sessions_valid_from: Timestamp,
}

/// A session that ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// The session.
    pub session: SessionId,
    /// When it ended.
    pub at: Timestamp,
    /// When it would have ended by itself: no need to remember it longer.
    pub forget: Timestamp,
}

/// That a code was used. Kept until the code would have expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCode {
    /// When.
    pub at: Timestamp,
}

/// That a session has a refresh family, which ends with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFamily {
    /// The family.
    pub family: GrantId,
}

/// Counts the changes of a tenant's terms. A session that was settled under an older count is checked again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsEpoch {
    /// The latest change that may concern every sign-in.
    pub everywhere: u64,
    /// The latest changes that concern single apps only.
    pub apps: std::collections::BTreeMap<AppId, u64>,
}

impl TermsEpoch {
    /// The epoch of sign-ins to `app`, or to the panel.
    #[must_use]
    pub fn of(&self, app: Option<AppId>) -> u64 {
        let app = app.and_then(|app| self.apps.get(&app)).copied().unwrap_or_default();
        self.everywhere.max(app)
    }
}

/// All answers of one user, oldest first.
pub type Acceptances = Vec<Acceptance>;

macro_rules! tenant_keys {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $record:ty = $kind:ident [$($segment:expr),*];)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(tenant: TenantId $(, $argument: $type)*) -> RecordKey<$record> {
            RecordKey::in_tenant(tenant, kind::$kind, &[$($segment),*])
        })*
    };
}

tenant_keys! {
    /// The tenant.
    tenant() -> Tenant = TENANT [];
    /// An app.
    app(id: AppId) -> App = APP [id.as_bytes()];
    /// All apps.
    apps() -> App = APP [];
    /// A federation.
    federation(id: FederationId) -> Federation = FEDERATION [id.as_bytes()];
    /// All federations.
    federations() -> Federation = FEDERATION [];
    /// An agreement.
    agreement(id: AgreementId) -> Agreement = AGREEMENT [id.as_bytes()];
    /// All agreements.
    agreements() -> Agreement = AGREEMENT [];
    /// What a document is.
    document(id: &DocumentId) -> DocumentInfo = DOCUMENT [id.as_bytes()];
    /// A user.
    user(id: UserId) -> User = USER [id.as_bytes()];
    /// All users. A prefix: read it in pages.
    users() -> User = USER [];
    /// Who holds an address.
    address(address: &EmailAddress) -> UserRef = ADDRESS_INDEX [address.as_str().as_bytes()];
    /// Whom an identity is bound to.
    identity(identity: &Identity) -> UserRef = IDENTITY_INDEX [&hash_of(&[&identity.issuer, &identity.subject])];
    /// That an address was a deleted user's who was blocked.
    barred_address(address: &EmailAddress, user: UserId) -> Barred = BARRED [&hash_of(&[address.as_str()]), user.as_bytes()];
    /// All such users who had an address.
    all_barred_address(address: &EmailAddress) -> Barred = BARRED [&hash_of(&[address.as_str()])];
    /// That an identity was a deleted user's who was blocked.
    barred_identity(identity: &Identity, user: UserId) -> Barred =
        BARRED [&hash_of(&[&identity.issuer, &identity.subject]), user.as_bytes()];
    /// All such users who had an identity.
    all_barred_identity(identity: &Identity) -> Barred = BARRED [&hash_of(&[&identity.issuer, &identity.subject])];
    /// A user's answers to agreements.
    acceptances(user: UserId) -> Acceptances = ACCEPTANCES [user.as_bytes()];
    /// Whether a user is assigned to an app.
    assignment(user: UserId, app: AppId) -> Assignment = ASSIGNMENT [user.as_bytes(), app.as_bytes()];
    /// The apps that a user is assigned to.
    assignments(user: UserId) -> Assignment = ASSIGNMENT [user.as_bytes()];
    /// All assignments, by user. A prefix: read it in pages.
    all_assignments() -> Assignment = ASSIGNMENT [];
    /// An invitation.
    invitation(id: InvitationId) -> Invitation = INVITATION [id.as_bytes()];
    /// That a user was invited under an address. It is there while they have an invitation.
    invited(address: &EmailAddress, user: UserId) -> InvitedIndex = INVITED_INDEX [address.as_str().as_bytes(), user.as_bytes()];
    /// All who were invited under an address.
    all_invited(address: &EmailAddress) -> InvitedIndex = INVITED_INDEX [address.as_str().as_bytes()];
    /// That a user has an address that leads to somebody else.
    also_held(address: &EmailAddress, user: UserId) -> AlsoHeld = ALSO_HELD [address.as_str().as_bytes(), user.as_bytes()];
    /// All who have an address that leads to somebody else.
    all_also_held(address: &EmailAddress) -> AlsoHeld = ALSO_HELD [address.as_str().as_bytes()];
    /// A user who was deleted.
    deleted_user(id: UserId) -> DeletedUser = DELETED_USER [id.as_bytes()];
    /// All users who were deleted and can be restored. A prefix: read it in pages.
    deleted_users() -> DeletedUser = DELETED_USER [];
    /// That a user was deleted.
    tombstone(id: UserId) -> Tombstone = TOMBSTONE [id.as_bytes()];
    /// Whether an address wants no invitations by mail.
    invitations_blocked(address: &EmailAddress) -> InvitationsBlocked = INVITATIONS_BLOCKED [address.as_str().as_bytes()];
    /// What became of the mail of an invitation.
    delivery(invitation: InvitationId) -> Delivery = DELIVERY [invitation.as_bytes()];
    /// What became of the mails of all invitations. A prefix: read it in pages.
    deliveries() -> Delivery = DELIVERY [];
    /// What doors must know of a user.
    user_cutoff(user: UserId) -> UserCutoff = USER_CUTOFF [user.as_bytes()];
    /// All that doors must know of users.
    user_cutoffs() -> UserCutoff = USER_CUTOFF [];
    /// Since when any session of the tenant counts.
    tenant_cutoff() -> TenantCutoff = TENANT_CUTOFF [];
    /// A session that ended early.
    session_end(session: SessionId) -> SessionEnd = SESSION_END [session.as_bytes()];
    /// All sessions that ended early.
    session_ends() -> SessionEnd = SESSION_END [];
    /// That a code was used, by the name of its grant.
    used_code(grant: GrantId) -> UsedCode = USED_CODE [grant.as_bytes()];
    /// A refresh family.
    refresh_family(family: GrantId) -> RefreshFamily = REFRESH_FAMILY [family.as_bytes()];
    /// That a session has a refresh family.
    session_family(session: SessionId, family: GrantId) -> SessionFamily = SESSION_FAMILY [session.as_bytes(), family.as_bytes()];
    /// The refresh families of a session.
    session_families(session: SessionId) -> SessionFamily = SESSION_FAMILY [session.as_bytes()];
    /// A signing key.
    signing_key(kid: &str) -> TenantKey = SIGNING_KEY [kid.as_bytes()];
    /// All signing keys.
    signing_keys() -> TenantKey = SIGNING_KEY [];
    /// The count of changes of terms.
    terms_epoch() -> TermsEpoch = TERMS_EPOCH [];
    /// An entry of the audit log.
    audit_event(sequence: u64) -> audit::Event = AUDIT_EVENT [&sequence.to_be_bytes()];
    /// The audit log.
    audit_events() -> audit::Event = AUDIT_EVENT [];
    /// The end of the audit log.
    audit_head() -> audit::Head = AUDIT_HEAD [];
}

/// An identity in keys. No address has a zero in it, so that none has the same hash.
fn hash_of(words: &[&str]) -> [u8; 32] {
    *crate::secret::SecretHash::of(words.join("\0").as_bytes()).as_bytes()
}

/// The bytes of a document, chunk by chunk.
#[must_use]
pub fn document_chunk(tenant: TenantId, id: &DocumentId, index: u32) -> Key {
    Key::new(Partition::Tenant(tenant), kind::DOCUMENT_CHUNK, &[id.as_bytes(), &index.to_be_bytes()])
}

/// A tenant that exists.
#[must_use]
pub fn tenant_listed(id: TenantId) -> RecordKey<TenantListed> {
    RecordKey::global(kind::TENANT_LISTED, &[id.as_bytes()])
}

/// All tenants that exist.
#[must_use]
pub fn tenants_listed() -> RecordKey<TenantListed> {
    RecordKey::global(kind::TENANT_LISTED, &[])
}

/// Who has claimed a domain.
#[must_use]
pub fn domain_claim(domain: &Domain) -> RecordKey<Claim> {
    RecordKey::global(kind::DOMAIN_CLAIM, &[domain.as_str().as_bytes()])
}

/// Who has claimed a host.
#[must_use]
pub fn host_claim(host: &str) -> RecordKey<Claim> {
    RecordKey::global(kind::HOST_CLAIM, &[host.as_bytes()])
}

/// The fingerprint of the key ring that seals this store.
#[must_use]
pub fn key_ring() -> RecordKey<String> {
    RecordKey::global(kind::KEY_RING, &[])
}

/// That the store is not whole yet.
#[must_use]
pub fn unfinished() -> RecordKey<Unfinished> {
    RecordKey::global(kind::UNFINISHED, &[])
}

/// That the store is a backup, not in use since.
#[must_use]
pub fn backup() -> RecordKey<Backup> {
    RecordKey::global(kind::BACKUP, &[])
}
