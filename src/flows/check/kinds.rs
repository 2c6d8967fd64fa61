//! What each kind of record is called, where it belongs, how its key is built, and as what it reads.

use serde::de::DeserializeOwned;

use crate::{
    domain::{app::App, audit, federation::Federation, invitation::Invitation, tenant::Tenant, terms::Agreement, user::User},
    identity::{
        Attempts,
        account::PasswordRecord,
        passcode::Challenge,
        passkey::{Answered, PasskeyRecord},
    },
    mail::OutboxItem,
    oidc::{TenantKey, grant::RefreshFamily},
    store::{
        Entry, Partition,
        records::{
            Acceptances, AlsoHeld, Assignment, Backup, Barred, Claim, DeletedUser, Delivery, DocumentInfo, InvitationsBlocked,
            InvitedIndex, SessionEnd, SessionFamily, TenantCutoff, TenantListed, TermsEpoch, Tombstone, Unfinished, UsedCode,
            UserCutoff, UserRef, kind,
        },
    },
};

/// A kind of records.
pub(super) struct Kind {
    pub(super) number: u8,
    pub(super) name: &'static str,
    in_tenants: bool,
    segments: &'static [Segment],
    read: Read,
}

/// Reads a value, and says whether the key (partition and segments) is the record's own.
type Read = fn(Partition, &[&[u8]], &[u8]) -> Result<bool, String>;

/// A segment of a key.
enum Segment {
    /// So many bytes: ids, hashes, numbers.
    Bytes(usize),
    /// UTF-8, not empty.
    Text,
}
use Segment::{Bytes, Text};

const ID: Segment = Bytes(16);
const HASH: Segment = Bytes(32);

impl Kind {
    /// The kind with this number.
    pub(super) fn of(number: u8) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.number == number)
    }

    /// What is wrong with a record of this kind, looked at alone.
    pub(super) fn problem(&self, entry: &Entry) -> Option<String> {
        let partition = entry.key.partition();
        if self.in_tenants != matches!(partition, Partition::Tenant(_)) {
            return Some("such records do not belong into this partition".into());
        }
        let segments: Vec<&[u8]> = entry.key.segments().collect();
        let length = 1 + segments.iter().map(|segment| segment.len() + 2).sum::<usize>();
        let fit = segments.len() == self.segments.len()
            && length == entry.key.bytes().len()
            && self.segments.iter().zip(&segments).all(|(wanted, segment)| match wanted {
                Bytes(length) => segment.len() == *length,
                Text => std::str::from_utf8(segment).is_ok_and(|text| !text.is_empty()),
            });
        if !fit {
            return Some("its key is not built like one of this kind".into());
        }
        match (self.read)(partition, &segments, &entry.value) {
            Ok(true) => None,
            Ok(false) => Some("it is stored under another's key".into()),
            Err(problem) => Some(problem),
        }
    }
}

/// Reads a value. What is wrong is said without showing what is stored, which may be anything.
pub(super) fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| {
        let what = if error.is_data() { "it is not what it should be" } else { "it is damaged" };
        format!("{what}: reading stopped at line {} column {}", error.line(), error.column())
    })
}

/// The entries of the table: number, name, whether in tenants, the segments, the type, and whether the key is the record's own.
macro_rules! kinds {
    ($($number:ident, $name:literal, $in_tenants:literal, [$($segment:expr),*], $record:ty, $named:expr;)*) => {
        /// All kinds of records.
        static KINDS: &[Kind] = &[
            $(Kind {
                number: kind::$number,
                name: $name,
                in_tenants: $in_tenants,
                segments: &[$($segment),*],
                read: |partition, segments, value| {
                    let named: fn(&$record, Partition, &[&[u8]]) -> bool = $named;
                    read::<$record>(value).map(|record| named(&record, partition, segments))
                },
            },)*
            // Not JSON: bytes, whose hash is checked with the document.
            Kind {
                number: kind::DOCUMENT_CHUNK,
                name: "document chunk",
                in_tenants: true,
                segments: &[HASH, Bytes(4)],
                read: |_, _, _| Ok(true),
            },
        ];
    };
}

kinds! {
    TENANT_LISTED, "listed tenant", false, [ID], TenantListed, |record, _, name| record.id.as_bytes() == name[0];
    DOMAIN_CLAIM, "claim on a domain", false, [Text], Claim, |_, _, _| true;
    HOST_CLAIM, "claim on a host", false, [Text], Claim, |_, _, _| true;
    KEY_RING, "key ring's fingerprint", false, [], String, |_, _, _| true;
    UNFINISHED, "mark of an unfinished copy", false, [], Unfinished, |_, _, _| true;
    BACKUP, "mark of a backup", false, [], Backup, |_, _, _| true;
    TENANT, "tenant", true, [], Tenant, |record, partition, _| Partition::Tenant(record.id) == partition;
    APP, "app", true, [ID], App, |record, _, name| record.id.as_bytes() == name[0];
    FEDERATION, "federation", true, [ID], Federation, |record, _, name| record.id.as_bytes() == name[0];
    AGREEMENT, "agreement", true, [ID], Agreement, |record, _, name| record.id.as_bytes() == name[0];
    SIGNING_KEY, "signing key", true, [Text], TenantKey, |record, _, name| record.kid().as_bytes() == name[0];
    DOCUMENT, "document", true, [HASH], DocumentInfo, |_, _, _| true;
    DELETED_USER, "deleted user", true, [ID], DeletedUser, |record, _, name| record.user.id.as_bytes() == name[0];
    TOMBSTONE, "mark of a deleted user", true, [ID], Tombstone, |record, _, name| record.user.as_bytes() == name[0];
    USER, "user", true, [ID], User, |record, _, name| record.id.as_bytes() == name[0];
    ADDRESS_INDEX, "address", true, [Text], UserRef, |_, _, _| true;
    IDENTITY_INDEX, "identity", true, [HASH], UserRef, |_, _, _| true;
    PASSWORD, "password", true, [ID], PasswordRecord, |_, _, _| true;
    PASSKEY, "passkey", true, [ID, HASH], PasskeyRecord, |record, _, name| record.name().as_bytes() == name[1];
    ACCEPTANCES, "answers to agreements", true, [ID], Acceptances,
        |record, _, name| record.iter().all(|answer| answer.user.as_bytes() == name[0]);
    ASSIGNMENT, "assignment", true, [ID, ID], Assignment, |record, _, name| record.app.as_bytes() == name[1];
    INVITATION, "invitation", true, [ID], Invitation, |record, _, name| record.id.as_bytes() == name[0];
    INVITED_INDEX, "invited address", true, [Text, ID], InvitedIndex, |record, _, name| record.user.as_bytes() == name[1];
    INVITATIONS_BLOCKED, "address without invitations", true, [Text], InvitationsBlocked, |_, _, _| true;
    USER_CUTOFF, "cut-off of a user", true, [ID], UserCutoff, |record, _, name| record.user.as_bytes() == name[0];
    SESSION_END, "ended session", true, [ID], SessionEnd, |record, _, name| record.session.as_bytes() == name[0];
    TERMS_EPOCH, "count of changes of terms", true, [], TermsEpoch, |_, _, _| true;
    TENANT_CUTOFF, "cut-off of all sessions", true, [], TenantCutoff, |_, _, _| true;
    BARRED, "mark of a blocked user who is deleted", true, [HASH, ID], Barred,
        |record, _, name| record.user.as_bytes() == name[1];
    ALSO_HELD, "address held beside another", true, [Text, ID], AlsoHeld, |record, _, name| record.user.as_bytes() == name[1];
    USED_CODE, "used code", true, [ID], UsedCode, |_, _, _| true;
    REFRESH_FAMILY, "refresh family", true, [ID], RefreshFamily, |record, _, name| record.id.as_bytes() == name[0];
    SESSION_FAMILY, "session's refresh family", true, [ID, ID], SessionFamily,
        |record, _, name| record.family.as_bytes() == name[1];
    PASSCODE, "passcode", true, [ID, ID], Challenge, |_, _, _| true;
    COUNTER, "counter of sends and guesses", true, [Bytes(1), Bytes(3)], Attempts, |_, _, _| true;
    OUTBOX, "mail", true, [ID], OutboxItem, |record, _, name| record.id.0.as_bytes() == name[0];
    DELIVERY, "delivery of an invitation", true, [ID], Delivery, |record, _, name| record.invitation.as_bytes() == name[0];
    ANSWERED_CHALLENGE, "answered challenge", true, [HASH], Answered, |_, _, _| true;
    AUDIT_EVENT, "audit entry", true, [Bytes(8)], audit::Event, |record, _, name| record.sequence.to_be_bytes() == name[0];
    AUDIT_HEAD, "end of the audit log", true, [], audit::Head, |_, _, _| true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_record_is_in_the_table_once() {
        let declared = include_str!("../../store/records/kind.rs").lines().filter_map(|line| {
            let (name, number) = line.trim().strip_prefix("pub const ")?.split_once(": u8 = ")?;
            Some((name, number.trim_end_matches(';').parse::<u8>().expect("a number")))
        });
        let mut count = 0;
        for (name, number) in declared {
            assert_eq!(KINDS.iter().filter(|kind| kind.number == number).count(), 1, "{name}");
            count += 1;
        }
        assert_eq!((count, KINDS.len() > 25), (KINDS.len(), true));
    }
}
