//! What belongs together within a tenant. One pass in key order, which is the order of the kinds' numbers: users come before
//! what refers to them. It remembers ids, not records.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest;

use super::{Findings, kinds::read};
use crate::{
    domain::{
        EmailAddress, InvitationId, SessionId, TenantId, UserId,
        audit::{Event, Head},
        federation::Federation,
        invitation::{Invitation, InvitationState},
        tenant::Tenant,
        terms::{Agreement, DocumentId},
        user::User,
    },
    flows::guests::marks_of_deleted,
    mail::OutboxItem,
    oidc::{
        TenantKey,
        grant::{GrantId, RefreshFamily},
    },
    seal::KeyRing,
    store::{
        Entry, Key,
        records::{self, DeletedUser, Delivery, DocumentInfo, SessionFamily, Tombstone, UserRef, kind},
    },
};

/// The claims that a tenant's names need.
pub(super) type Names = HashSet<Key>;

/// What a tenant's records have said so far.
pub(super) struct TenantCheck<'a> {
    tenant: TenantId,
    ring: Option<&'a KeyRing>,
    names: Names,
    /// Documents that something shows.
    shown: HashSet<DocumentId>,
    /// Documents whose chunks have not come yet.
    documents: HashMap<DocumentId, DocumentInfo>,
    described: HashSet<DocumentId>,
    chunks: Option<Chunks>,
    users: HashSet<UserId>,
    /// Users who were deleted and can be restored.
    deleted: HashSet<UserId>,
    /// Users who were deleted, whether or not they can be restored.
    tombstones: HashSet<UserId>,
    /// Users' latest invitations that have not come yet.
    invitations: HashMap<InvitationId, UserId>,
    /// Invitations that have come.
    known_invitations: HashSet<InvitationId>,
    /// The addresses that those were invited under, by the names of the index's entries.
    invited: HashMap<Key, UserId>,
    /// Who holds an address; more than one may, and the index names one of them.
    addresses: HashMap<EmailAddress, Vec<UserRef>>,
    /// Those of them to whom the address does not lead, by the names of the entries that say so.
    also_held: HashMap<Key, UserId>,
    /// Who was blocked and is deleted, by the names of the marks that keep them out.
    barred: HashMap<Key, UserId>,
    /// Who is bound to an identity, by the name of its index entry.
    identities: HashMap<Key, UserId>,
    families: HashMap<GrantId, SessionId>,
    audit: Option<Head>,
    /// One break is told; all that follows would be broken, too.
    audit_broken: bool,
}

/// The chunks of one document, as they come.
struct Chunks {
    document: DocumentId,
    count: u32,
    /// Each has the number after the one before.
    in_order: bool,
    size: u64,
    hash: digest::Context,
}

impl<'a> TenantCheck<'a> {
    pub(super) fn new(tenant: TenantId, ring: Option<&'a KeyRing>) -> Self {
        Self {
            tenant,
            ring,
            names: HashSet::new(),
            shown: HashSet::new(),
            documents: HashMap::new(),
            described: HashSet::new(),
            chunks: None,
            users: HashSet::new(),
            deleted: HashSet::new(),
            tombstones: HashSet::new(),
            invitations: HashMap::new(),
            known_invitations: HashSet::new(),
            invited: HashMap::new(),
            addresses: HashMap::new(),
            also_held: HashMap::new(),
            barred: HashMap::new(),
            identities: HashMap::new(),
            families: HashMap::new(),
            audit: None,
            audit_broken: false,
        }
    }

    /// Takes in a record that is good by itself.
    pub(super) fn record(&mut self, entry: &Entry, findings: &mut Findings) {
        // It was read once already, so it reads.
        let _ = self.take(entry, findings);
    }

    fn take(&mut self, entry: &Entry, findings: &mut Findings) -> Result<(), String> {
        let Entry { key, value, .. } = entry;
        match key.kind() {
            kind::TENANT => {
                let tenant: Tenant = read(value)?;
                self.names.extend(tenant.domains.iter().map(|domain| records::domain_claim(&domain.name).key().clone()));
                self.names.extend(tenant.hosts.iter().map(|host| records::host_claim(host).key().clone()));
                self.shown.extend(tenant.branding.logo);
            }
            kind::FEDERATION => {
                let federation: Federation = read(value)?;
                self.sealed(key, |tenant, ring| federation.open_secret(tenant, ring).is_some(), findings);
            }
            kind::AGREEMENT => {
                let agreement: Agreement = read(value)?;
                self.shown.extend(agreement.files.iter().flat_map(|file| &file.versions).map(|version| version.document));
            }
            kind::SIGNING_KEY => {
                let signing: TenantKey = read(value)?;
                self.sealed(key, |tenant, ring| signing.check(tenant, ring).is_ok(), findings);
            }
            kind::DOCUMENT => self.document(key, read(value)?),
            kind::DOCUMENT_CHUNK => self.chunk(entry, findings),
            kind::DELETED_USER => {
                let user = read::<DeletedUser>(value)?.user;
                let marks = marks_of_deleted(self.tenant, &user);
                self.barred.extend(marks.into_iter().map(|mark| (mark.key().clone(), user.id)));
                self.deleted.insert(user.id);
            }
            kind::TOMBSTONE => {
                self.tombstones.insert(read::<Tombstone>(value)?.user);
            }
            kind::USER => self.user(key, read(value)?, findings),
            kind::ADDRESS_INDEX => self.address(key, &read(value)?, findings),
            kind::IDENTITY_INDEX => {
                let index: UserRef = read(value)?;
                if self.identities.remove(key) != Some(index.user) {
                    findings.about(key, format_args!("leads to user {}, who is not bound to it", index.user));
                }
            }
            kind::PASSWORD | kind::PASSKEY | kind::ASSIGNMENT => {
                let known = |user| self.users.contains(&user) || self.deleted.contains(&user);
                if !user_of(key).is_some_and(known) {
                    findings.about(key, "its user is not there");
                }
            }
            // Answers stay for reports, and a cut-off until the last session has ended.
            kind::ACCEPTANCES | kind::USER_CUTOFF => {
                let known = |user| self.users.contains(&user) || self.tombstones.contains(&user);
                if !user_of(key).is_some_and(known) {
                    findings.about(key, "its user is not there");
                }
            }
            kind::INVITATION => self.invitation(key, &read(value)?, findings),
            kind::INVITED_INDEX if self.invited.remove(key) != user_of_index(key) => {
                findings.about(key, "its user was not invited under it");
            }
            kind::ALSO_HELD if self.also_held.remove(key) != user_of_index(key) => {
                findings.about(key, "its user does not have the address, or it leads to that user");
            }
            kind::BARRED if self.barred.remove(key).is_none() => {
                findings.about(key, "its user is not among those who were blocked and deleted and can be restored");
            }
            kind::REFRESH_FAMILY => {
                let family: RefreshFamily = read(value)?;
                self.sealed(key, |tenant, ring| family.opens(tenant, ring), findings);
                self.families.insert(family.id, family.sign_in.session);
            }
            kind::SESSION_FAMILY => {
                let family = read::<SessionFamily>(value)?.family;
                let session = self.families.remove(&family);
                if session.is_none_or(|session| key.segments().next() != Some(session.as_bytes())) {
                    findings.about(key, "the session has no such refresh family");
                }
            }
            kind::OUTBOX => {
                let mail: OutboxItem = read(value)?;
                self.sealed(key, |tenant, ring| mail.opens(tenant, ring), findings);
            }
            kind::DELIVERY if !self.known_invitations.contains(&read::<Delivery>(value)?.invitation) => {
                findings.about(key, "its invitation is not there");
            }
            kind::AUDIT_EVENT => self.event(key, &read(value)?, findings),
            kind::AUDIT_HEAD => self.head(key, &read(value)?, findings),
            _ => {}
        }
        Ok(())
    }

    /// Tells what is left over when everything has been read, and which names the tenant has.
    pub(super) fn finish(mut self, findings: &mut Findings) -> Names {
        self.end_of_chunks(findings);
        let tenant = self.tenant;
        for document in self.documents.keys() {
            findings.about(records::document(tenant, document).key(), "its content is missing");
        }
        for document in self.shown.difference(&self.described) {
            findings.about(records::document(tenant, document).key(), "it is shown to people, and is not there");
        }
        for UserRef { user, .. } in self.addresses.values().flatten() {
            findings.about(records::user(tenant, *user).key(), "one of its addresses does not lead to it");
        }
        for user in self.deleted.difference(&self.tombstones) {
            findings.about(records::deleted_user(tenant, *user).key(), "there is no mark that it was deleted");
        }
        for (invitation, user) in &self.invitations {
            let invitation = records::invitation(tenant, *invitation);
            findings.about(invitation.key(), format_args!("it is the latest of user {user}, and is not there"));
        }
        for user in self.invited.values() {
            findings.about(records::user(tenant, *user).key(), "the address that it was invited under does not lead to it");
        }
        for user in self.also_held.values() {
            findings.about(
                records::user(tenant, *user).key(),
                "one of its addresses leads to somebody else, and will not pass to it",
            );
        }
        for user in self.barred.values() {
            let user = records::deleted_user(tenant, *user);
            findings.about(user.key(), "it was blocked, and a mark that keeps it out is missing");
        }
        for user in self.identities.values() {
            findings.about(records::user(tenant, *user).key(), "the identity that it is bound to does not lead to it");
        }
        for family in self.families.keys() {
            let key = records::refresh_family(tenant, *family);
            findings.about(key.key(), "its session does not know it, so that signing out would not end it");
        }
        if let Some(head) = self.audit {
            let key = records::audit_head(tenant);
            findings.about(key.key(), format_args!("it is missing; the last entry is number {}", head.sequence));
        }
        self.names
    }

    fn sealed(&self, key: &Key, opens: impl FnOnce(TenantId, &KeyRing) -> bool, findings: &mut Findings) {
        if self.ring.is_some_and(|ring| !opens(self.tenant, ring)) {
            findings.about(key, "what is sealed in it does not open with this key ring");
        }
    }

    fn user(&mut self, key: &Key, user: User, findings: &mut Findings) {
        self.users.insert(user.id);
        if self.deleted.contains(&user.id) || self.tombstones.contains(&user.id) {
            findings.about(key, "it is there, and is marked as deleted");
        }
        self.invitations.extend(user.invitation.map(|invitation| (invitation, user.id)));
        if let Some(identity) = user.identity() {
            self.identities.insert(records::identity(self.tenant, identity).key().clone(), user.id);
        }
        let entry = UserRef::to(&user);
        for address in user.mail.into_iter().chain(user.other_mails) {
            self.addresses.entry(address).or_default().push(entry.clone());
        }
    }

    fn address(&mut self, key: &Key, index: &UserRef, findings: &mut Findings) {
        let address: Option<EmailAddress> =
            key.segments().next().and_then(|segment| std::str::from_utf8(segment).ok()?.parse().ok());
        let holders = address.as_ref().and_then(|address| self.addresses.remove(address));
        let others = holders.iter().flatten().map(|holder| holder.user).filter(|user| *user != index.user);
        if let Some(address) = &address {
            self.also_held.extend(others.map(|user| (records::also_held(self.tenant, address, user).key().clone(), user)));
        }
        match holders.iter().flatten().find(|holder| holder.user == index.user) {
            Some(holder) if holder == index => {}
            Some(_) => findings.about(key, format_args!("says of user {} what is not so", index.user)),
            None => findings.about(key, format_args!("leads to user {}, who does not have it", index.user)),
        }
    }

    /// Invitations that are not the latest of their user are remembered for a while, whatever became of the user.
    fn invitation(&mut self, key: &Key, invitation: &Invitation, findings: &mut Findings) {
        self.known_invitations.insert(invitation.id);
        let Some(user) = self.invitations.remove(&invitation.id) else {
            if invitation.state == InvitationState::Open {
                findings.about(key, "it is open, and is no user's latest");
            }
            return;
        };
        if user != invitation.user {
            findings.about(key, format_args!("it is the latest of user {user}, and another's"));
        }
        if let Some(address) = &invitation.address {
            self.invited.insert(records::invited(self.tenant, address, user).key().clone(), user);
        }
    }

    fn document(&mut self, key: &Key, info: DocumentInfo) {
        if let Some(id) = document_of(key) {
            self.described.insert(id);
            self.documents.insert(id, info);
        }
    }

    fn chunk(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(document) = document_of(&entry.key) else { return };
        if self.chunks.as_ref().is_none_or(|chunks| chunks.document != document) {
            self.end_of_chunks(findings);
            let hash = digest::Context::new(&digest::SHA256);
            self.chunks = Some(Chunks { document, count: 0, in_order: true, size: 0, hash });
        }
        if let Some(chunks) = &mut self.chunks {
            chunks.in_order &= entry.key == records::document_chunk(self.tenant, &document, chunks.count);
            chunks.count += 1;
            chunks.size += entry.value.len() as u64;
            chunks.hash.update(&entry.value);
        }
    }

    /// Chunks without a description are the rest of an `apply` that was cut off, and no problem: the next one writes both.
    fn end_of_chunks(&mut self, findings: &mut Findings) {
        let Some(chunks) = self.chunks.take() else { return };
        let Some(info) = self.documents.remove(&chunks.document) else { return };
        let key = records::document(self.tenant, &chunks.document);
        if !chunks.in_order || chunks.count != info.chunks || chunks.size != info.size {
            let Chunks { count, size, .. } = chunks;
            let DocumentInfo { chunks, size: all, .. } = info;
            findings.about(key.key(), format_args!("it is not whole: {count} of {chunks} chunks, {size} of {all} bytes"));
        } else if chunks.hash.finish().as_ref() != chunks.document.as_bytes() {
            findings.about(key.key(), "its content is not what its name, the SHA-256, stands for");
        }
    }

    fn event(&mut self, key: &Key, event: &Event, findings: &mut Findings) {
        let head = self.audit.take().unwrap_or_default();
        if !event.follows(&head) && !self.audit_broken {
            findings.about(key, "the audit log was changed: this entry does not follow on the one before");
            self.audit_broken = true;
        }
        self.audit = Some(event.head(self.tenant));
    }

    fn head(&mut self, key: &Key, head: &Head, findings: &mut Findings) {
        if self.audit.take().unwrap_or_default() != *head && !self.audit_broken {
            findings.about(key, "the audit log was changed: it does not end with the entry that was written last");
        }
    }
}

/// The user whose id a record's name begins with.
fn user_of(key: &Key) -> Option<UserId> {
    uuid::Uuid::from_slice(key.segments().next()?).ok().map(UserId)
}

/// The user whose id a record's name ends with.
fn user_of_index(key: &Key) -> Option<UserId> {
    uuid::Uuid::from_slice(key.segments().last()?).ok().map(UserId)
}

/// The document that a record belongs to.
fn document_of(key: &Key) -> Option<DocumentId> {
    let hash: &[u8; 32] = key.segments().next()?.try_into().ok()?;
    hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().parse().ok()
}
