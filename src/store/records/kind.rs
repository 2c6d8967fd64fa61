//! The kinds of records. A number never changes its meaning.

/// Global: a tenant exists.
pub const TENANT_LISTED: u8 = 1;
/// Global: a domain is claimed by a tenant.
pub const DOMAIN_CLAIM: u8 = 2;
/// Global: a host is claimed by a tenant.
pub const HOST_CLAIM: u8 = 3;
/// Global: which key ring seals this store.
pub const KEY_RING: u8 = 4;
/// Global: this store is being filled, and not yet whole.
pub const UNFINISHED: u8 = 5;
/// Global: this is a backup, and was not in use since.
pub const BACKUP: u8 = 6;
/// The tenant itself.
pub const TENANT: u8 = 10;
/// Apps.
pub const APP: u8 = 11;
/// Federations.
pub const FEDERATION: u8 = 12;
/// Agreements.
pub const AGREEMENT: u8 = 13;
/// Signing keys.
pub const SIGNING_KEY: u8 = 14;
/// Documents: what they are.
pub const DOCUMENT: u8 = 15;
/// Documents: their bytes, in chunks.
pub const DOCUMENT_CHUNK: u8 = 16;
/// Users who were deleted and can be restored.
pub const DELETED_USER: u8 = 18;
/// Ids of users who were deleted, for ever.
pub const TOMBSTONE: u8 = 19;
/// Users.
pub const USER: u8 = 20;
/// Which user holds an address.
pub const ADDRESS_INDEX: u8 = 21;
/// Which user an identity is bound to.
pub const IDENTITY_INDEX: u8 = 22;
/// Passwords.
pub const PASSWORD: u8 = 23;
/// A user's answers to agreements.
pub const ACCEPTANCES: u8 = 24;
/// Assignments of users to apps, by user.
pub const ASSIGNMENT: u8 = 25;
/// Invitations.
pub const INVITATION: u8 = 26;
/// Addresses whose holders want no invitations by mail.
pub const INVITATIONS_BLOCKED: u8 = 27;
/// Who was invited under an address.
pub const INVITED_INDEX: u8 = 28;
/// Passkeys.
pub const PASSKEY: u8 = 29;
/// Since when a user's sessions count, and whether the user is blocked: what doors must know at once.
pub const USER_CUTOFF: u8 = 30;
/// Sessions that ended early.
pub const SESSION_END: u8 = 31;
/// Up to which change of terms sessions have to be re-checked.
pub const TERMS_EPOCH: u8 = 32;
/// Since when any session of the tenant counts.
pub const TENANT_CUTOFF: u8 = 33;
/// Addresses and identities of deleted users who were blocked.
pub const BARRED: u8 = 34;
/// Who has an address that leads to somebody else.
pub const ALSO_HELD: u8 = 35;
/// Codes that were used.
pub const USED_CODE: u8 = 40;
/// Refresh families.
pub const REFRESH_FAMILY: u8 = 41;
/// Which refresh families a session has.
pub const SESSION_FAMILY: u8 = 42;
/// Passcode challenges.
pub const PASSCODE: u8 = 50;
/// Counters of sends and guesses.
pub const COUNTER: u8 = 51;
/// Mail to be sent.
pub const OUTBOX: u8 = 52;
/// What became of the mail of an invitation.
pub const DELIVERY: u8 = 53;
/// Challenges that a passkey has answered.
pub const ANSWERED_CHALLENGE: u8 = 54;
/// The audit log.
pub const AUDIT_EVENT: u8 = 60;
/// The end of the audit log's chain.
pub const AUDIT_HEAD: u8 = 61;
