//! Accounts that live here: what opens them, how it is set up, and how it ends.
//!
//! A guest's account is opened by one thing, a passkey or a password. It is set up during redemption, by somebody who has
//! proven the invited mailbox, and becomes true with the redemption itself; until then it travels sealed in the journey.
//! Who has lost it proves the mailbox again and sets it up anew: what opened it before is gone, and every session ends.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Foundation, Vestibule, audited, cut_off, directory::TenantView};
use crate::{
    domain::{
        EmailAddress, TenantId, UserId, VerifiedEmail,
        audit::{Activity, Actor},
        redemption::may_recover,
        tenant::IdentitySource,
        user::{ExternalUserState, Identity, User, VerifiedIdentity},
    },
    error::Code,
    identity::{
        account::{self, PasswordError, PasswordRecord},
        passkey::{self, Begun, Ceremony, Owner, PasskeyRecord},
    },
    secret::Secret,
    store::{
        Batch, Key, Partition, Races, StoreError, Write,
        records::{self, RecordKey, Stored, take},
    },
};

/// How a password is named in `amr` (RFC 8176).
pub const PASSWORD_AMR: [&str; 1] = ["pwd"];
/// How a passkey is named in `amr` (RFC 8176): proof of possession of a key, and a person who was there. Where the key is
/// kept (`hwk`, `swk`) and whether a PIN or a finger was asked for (`mfa`) only an attested authenticator could tell.
pub const PASSKEY_AMR: [&str; 2] = ["pop", "user"];

/// What opens an account, before or after it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// A passkey.
    Passkey(PasskeyRecord),
    /// A password.
    Password(PasswordRecord),
}

impl Credential {
    /// What it is, in the audit log.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Passkey(_) => "passkey",
            Self::Password(_) => "password",
        }
    }

    /// What it is, in the words of RFC 8176.
    #[must_use]
    pub fn amr(&self) -> &'static [&'static str] {
        match self {
            Self::Passkey(_) => &PASSKEY_AMR,
            Self::Password(_) => &PASSWORD_AMR,
        }
    }
}

/// What opens a user's account, as it was read: what a commit that changes it checks.
#[derive(Clone, Debug)]
pub struct Credentials {
    tenant: TenantId,
    user: UserId,
    password: Option<Stored<PasswordRecord>>,
    passkeys: Vec<Stored<PasskeyRecord>>,
}

impl Credentials {
    /// Reads them.
    ///
    /// # Errors
    /// When the store is unavailable or a record is unreadable.
    pub async fn read(foundation: &Foundation, tenant: TenantId, user: UserId) -> Result<Self, StoreError> {
        let password = foundation.store.get(&account::password(tenant, user)).await?;
        let passkeys = foundation.store.list(&passkey::passkeys(tenant, user)).await?;
        Ok(Self { tenant, user, password, passkeys })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.password.is_none() && self.passkeys.is_empty()
    }

    /// Puts `credential` in the place of all there are.
    pub fn replace(&self, batch: Batch, credential: &Credential) -> Batch {
        let new = match credential {
            Credential::Password(_) => self.password_key().key().clone(),
            Credential::Passkey(record) => self.passkey_key(record).key().clone(),
        };
        let batch =
            self.keys().filter(|key| *key != new).fold(self.unchanged(batch), |batch, key| batch.write(Write::Delete(key)));
        match credential {
            Credential::Password(record) => batch.put(&self.password_key(), record),
            Credential::Passkey(record) => batch.put(&self.passkey_key(record), record),
        }
    }

    fn unchanged(&self, batch: Batch) -> Batch {
        let batch = batch.unchanged(&self.password_key(), self.password.as_ref());
        self.passkeys.iter().fold(batch, |batch, stored| batch.unchanged(&self.passkey_key(&stored.value), Some(stored)))
    }

    /// The names of those that are there.
    fn keys(&self) -> impl Iterator<Item = Key> {
        let passkeys = self.passkeys.iter().map(|stored| stored.key.clone());
        self.password.iter().map(|stored| stored.key.clone()).chain(passkeys)
    }

    fn password_key(&self) -> RecordKey<PasswordRecord> {
        account::password(self.tenant, self.user)
    }

    fn passkey_key(&self, record: &PasskeyRecord) -> RecordKey<PasskeyRecord> {
        passkey::passkey(self.tenant, self.user, &record.name())
    }
}

/// The identity of an account that lives here: the tenant's own issuer, and the user's id.
#[must_use]
pub fn identity(view: &TenantView, user: UserId) -> Identity {
    Identity { issuer: view.keys.issuer().as_str().to_owned(), subject: user.to_string() }
}

/// What somebody has proven who opened `user`'s account. `email` is the address that was proven beside it.
#[must_use]
pub fn proven(
    view: &TenantView,
    user: UserId,
    amr: &[&str],
    email: Option<VerifiedEmail>,
    claimed_email: Option<String>,
    now: Timestamp,
) -> VerifiedIdentity {
    VerifiedIdentity {
        identity: identity(view, user),
        source: IdentitySource::LocalAccount,
        email,
        claimed_email,
        name: None,
        auth_time: now,
        amr: amr.iter().map(|&method| method.to_owned()).collect(),
    }
}

/// Whether somebody with this address could set up an account, or sign in with a passkey: a guest, where the tenant lets
/// guests have accounts. Asked again at every step: a form can be posted that no page has shown.
#[must_use]
pub fn are_offered(view: &TenantView, address: &EmailAddress) -> bool {
    view.tenant.domain(&address.domain()).is_none() && view.tenant.policy.offers(IdentitySource::LocalAccount)
}

/// Asks for a new passkey of `user`; `None` where none are offered.
#[must_use]
pub fn begin_passkey(vestibule: &Vestibule, view: &TenantView, user: &User, existing: &Credentials) -> Option<Begun> {
    let name = user.mail.as_ref().map_or(user.display_name.as_str(), |mail| mail.as_str());
    // An account always has a name of some kind.
    let name = if name.is_empty() { user.principal_name.as_str() } else { name };
    let owner = Owner { tenant: view.tenant.id, organisation: &view.tenant.display_name, user: user.id, name };
    vestibule.passkeys.begin_creation(&owner, &existing.passkeys)
}

/// Takes the new passkey that the browser made. Nothing is written.
///
/// # Errors
/// [`Code::PasskeyRefused`].
pub fn finish_passkey(vestibule: &Vestibule, ceremony: &Ceremony, user: UserId, answer: &str) -> Result<Credential, Code> {
    vestibule.passkeys.finish_creation(ceremony, user, answer).map(Credential::Passkey)
}

/// Takes the new password of `user`. Nothing is written.
///
/// # Errors
/// What is wrong with it; [`Code::TooMany`] when there are too many to be hashed.
pub async fn new_password(vestibule: &Vestibule, view: &TenantView, user: &User, password: &Secret) -> Result<Credential, Code> {
    let addresses = user.mail.iter().chain(&user.other_mails).map(ToString::to_string);
    let names = [user.display_name.clone(), view.tenant.display_name.clone()];
    let about: Vec<_> = addresses.chain(names).collect();
    vestibule.accounts.hash(password, &about).await.map(Credential::Password).map_err(PasswordError::code)
}

/// Signs somebody in with a passkey: they need not say who they are.
///
/// # Errors
/// [`Code::NoIdentitySource`] where guests have no accounts; [`Code::PasskeyRefused`], [`Code::PasskeyCopied`],
/// [`Code::StoreUnavailable`].
pub async fn sign_in_with_passkey(
    vestibule: &Vestibule,
    view: &TenantView,
    ceremony: &Ceremony,
    answer: &str,
) -> Result<VerifiedIdentity, Code> {
    offered(view)?;
    let user = vestibule.passkeys.verify(view.tenant.id, ceremony, answer).await?;
    Ok(proven(view, user, &PASSKEY_AMR, None, None, vestibule.foundation.now()))
}

/// Whether guests have accounts at all. Not even one that was set up before opens anything where they have none.
fn offered(view: &TenantView) -> Result<(), Code> {
    if view.tenant.policy.offers(IdentitySource::LocalAccount) { Ok(()) } else { Err(Code::NoIdentitySource) }
}

/// Whether a user signs in with an account that lives here.
#[must_use]
pub fn is_bound(view: &TenantView, user: &User) -> bool {
    matches!(&user.external, Some(ExternalUserState::Accepted { source: IdentitySource::LocalAccount, .. }))
        && user.identity() == Some(&identity(view, user.id))
}

/// Sets an account up anew for a guest who has proven its mailbox at `proven`: what opened it before is gone, and all sessions
/// of the user end, everywhere.
///
/// # Errors
/// [`Code::NoIdentitySource`] where guests have no accounts; [`Code::BoundToAnotherIdentity`] for a guest who signs in in
/// another way, which only an administrator changes; [`Code::CodeExpired`] when the account was set up, or its sessions were
/// ended, since; [`Code::AccountBlocked`]; [`Code::NotInvited`] for nobody; [`Code::StoreUnavailable`].
pub async fn recover(
    vestibule: &Vestibule,
    view: &TenantView,
    user: UserId,
    proven: Option<Timestamp>,
    credential: &Credential,
) -> Result<(), Code> {
    offered(view)?;
    let (foundation, tenant) = (&vestibule.foundation, view.tenant.id);
    let key = records::user(tenant, user);
    let mut races = Races::default();
    loop {
        let keys = [key.key().clone(), records::audit_head(tenant).key().clone()];
        let mut entries = foundation.store.entries(&keys).await.map_err(StoreError::refusal)?.into_iter();
        let stored: Option<Stored<User>> = take(&mut entries).map_err(StoreError::refusal)?;
        let head = take(&mut entries).map_err(StoreError::refusal)?;
        let stored = stored.ok_or(Code::NotInvited)?;
        let before = Credentials::read(foundation, tenant, user).await.map_err(StoreError::refusal)?;
        if !stored.value.account_enabled {
            return Err(Code::AccountBlocked);
        }
        if !is_bound(view, &stored.value) {
            return Err(Code::BoundToAnotherIdentity);
        }
        if !may_recover(&stored.value, proven) {
            return Err(Code::CodeExpired);
        }
        let now = foundation.now();
        let after = User { sessions_valid_from: now, ..stored.value.clone() };
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(&stored)).put(&key, &after);
        let batch = before.replace(cut_off(batch, tenant, &after, false, now), credential);
        let activity = Activity::AccountSetUp { user, with: credential.label().to_owned(), recovered: true };
        let batch = audited(batch, tenant, head.as_ref(), now, &Actor::User(user), [activity.to(&after)]);
        if races.won(foundation.store.commit(batch).await).map_err(StoreError::refusal)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
