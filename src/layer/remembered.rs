//! Credentials that were found genuine, so that each is opened or verified once.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};

use jiff::Timestamp;

use super::guest::Guest;

/// How many credentials are remembered.
const CAPACITY: usize = 4_096;

/// What genuine credentials stand for, under a condition `C` that must still hold when they are used again.
///
/// The key is the whole credential, so nobody gets in on a part of somebody else's (checklist H-15). What is remembered is only
/// that it was genuine: whether it has expired, was revoked or is behind on terms is decided anew on every request. Read
/// without locks.
#[derive(Debug)]
pub(super) struct Remembered<C> {
    known: papaya::HashMap<Box<[u8]>, (Guest, C), ByItsEnd>,
}

impl<C> Default for Remembered<C> {
    fn default() -> Self {
        Self { known: papaya::HashMap::default() }
    }
}

impl<C> Remembered<C> {
    /// The guest of a credential that is known, if the condition holds.
    pub(super) fn find(&self, credential: &[u8], holds: impl FnOnce(&C) -> bool) -> Option<Guest> {
        self.known.pin().get(credential).filter(|(_, condition)| holds(condition)).map(|(guest, _)| guest.clone())
    }

    /// Remembers a genuine credential.
    pub(super) fn insert(&self, credential: &[u8], guest: Guest, condition: C, now: Timestamp) {
        let known = self.known.pin();
        if known.len() >= CAPACITY {
            known.retain(|_, (guest, _)| guest.as_ref().expires > now);
        }
        if known.len() >= CAPACITY {
            // All of them are good. To look at each once more costs microseconds; to grow without end costs the process.
            known.clear();
        }
        known.insert(credential.into(), (guest, condition));
    }
}

/// Hashes credentials by their last bytes: signature or seal, which tell genuine ones apart as well as all of it. Equality is
/// that of whole credentials.
#[derive(Clone, Debug, Default)]
struct ByItsEnd(RandomState);

struct EndHasher(DefaultHasher);

impl BuildHasher for ByItsEnd {
    type Hasher = EndHasher;

    fn build_hasher(&self) -> EndHasher {
        EndHasher(self.0.build_hasher())
    }
}

impl Hasher for EndHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(&bytes[bytes.len().saturating_sub(24)..]);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        decision::Grant,
        domain::{AppId, SessionId, TenantId, UserId, user::UserType},
        layer::guest::Profile,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn guest(expires: i64) -> Guest {
        let id = Uuid::nil();
        let grant = Grant {
            tenant: TenantId(id),
            app: AppId(id),
            user: UserId(id),
            session: SessionId(id),
            began: at(0),
            auth_time: at(0),
            expires: at(expires),
            terms_epoch: 0,
        };
        Guest::new(grant, Profile::new("s", "", "", false, UserType::Guest).unwrap())
    }

    /// H-15: the whole credential counts, not what it is hashed by.
    #[test]
    fn h_15_equal_ends_are_not_equal_credentials() {
        let remembered = Remembered::default();
        let credential = [b'a'; 100];
        remembered.insert(&credential, guest(10), true, at(0));
        assert!(remembered.find(&credential, |holds| *holds).is_some());
        assert!(remembered.find(&credential, |holds| !holds).is_none());
        for other in [&credential[1..], &[b'a'; 101], &[&b"b"[..], &credential[1..]].concat(), b""] {
            assert!(remembered.find(other, |_| true).is_none(), "{}", other.len());
        }
    }

    #[test]
    fn d_06_no_more_are_remembered_than_there_is_room_for() {
        let remembered = Remembered::default();
        let name = |n: usize| format!("credential {n}").into_bytes();
        for n in 0..CAPACITY {
            remembered.insert(&name(n), guest(if n == 7 { 1_000 } else { 10 }), (), at(0));
        }
        remembered.insert(&name(CAPACITY), guest(1_000), (), at(11));
        assert_eq!(remembered.known.len(), 2, "what has expired went first");
        assert!(remembered.find(&name(7), |()| true).is_some());
        for n in 0..3 * CAPACITY {
            remembered.insert(&name(n), guest(1_000), (), at(11));
            assert!(remembered.known.len() <= CAPACITY);
        }
    }
}
