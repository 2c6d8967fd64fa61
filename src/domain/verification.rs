//! How a domain is shown to be a tenant's own: by a TXT record that only who runs the domain can publish.
//!
//! What a look-up has shown goes in, how the domain stands comes out. A look-up that failed shows nothing and changes
//! nothing: only an answer that says the record is not there does, and only after [`GRACE`] (checklist T-11).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Domain, TenantId, tenant::TenantDomain};
use crate::seal::KeyRing;

/// How long a domain stays verified after its record was found missing for the first time.
pub const GRACE: SignedDuration = SignedDuration::from_hours(72);
/// How long a record that was seen is not looked at again. A little less than a day, which is what it comes to when the
/// timer goes off about once an hour.
pub const REST: SignedDuration = SignedDuration::from_hours(23);

/// The label below the domain that the record is published under.
const LABEL: &str = "_vestibule-challenge";

/// The TXT record that shows who runs a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Its name, `_vestibule-challenge.<domain>`.
    pub name: String,
    /// The one string in it, `vestibule-domain-verification=` and 43 characters.
    pub value: String,
}

impl Challenge {
    /// The record for `domain` when `tenant` claims it. It follows from the server's key ring, so it is the same whenever
    /// it is asked for, another for every tenant and domain, and cannot be worked out from elsewhere.
    #[must_use]
    pub fn of(ring: &KeyRing, tenant: TenantId, domain: &Domain) -> Self {
        let of = [tenant.as_bytes().as_slice(), domain.as_str().as_bytes()].concat();
        let token = BASE64_URL_SAFE_NO_PAD.encode(ring.keyed_hash("domain verification", &of));
        Self { name: format!("{LABEL}.{domain}"), value: format!("vestibule-domain-verification={token}") }
    }
}

/// What an answer of the domain name system has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The record is there.
    Present,
    /// There is no such name, no TXT record, or none with the value.
    Absent,
}

/// What the domain name system has shown of a domain that is verified by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsProof {
    /// When the record was last seen.
    pub last_seen: Timestamp,
    /// When it was first found missing since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
}

/// A change of standing, which people should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The domain is verified from now on.
    Verified,
    /// It no longer is.
    Unverified,
}

impl TenantDomain {
    /// Whether the operator has declared it verified. Then no look-up ever changes that.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.verified && self.dns.is_none()
    }

    /// How it stands after a look-up at `now`, and whether that is a turn.
    #[must_use]
    pub fn after(&self, sighting: Sighting, now: Timestamp) -> (Self, Option<Turn>) {
        let with = |verified, dns| Self { name: self.name.clone(), verified, dns };
        match (sighting, &self.dns) {
            _ if self.is_declared() => (self.clone(), None),
            (Sighting::Present, _) => {
                let proof = DnsProof { last_seen: now, missing_since: None };
                (with(true, Some(proof)), (!self.verified).then_some(Turn::Verified))
            }
            (Sighting::Absent, Some(proof)) => {
                let since = proof.missing_since.unwrap_or(now);
                match now.duration_since(since) >= GRACE {
                    true => (with(false, None), Some(Turn::Unverified)),
                    false => (with(true, Some(DnsProof { missing_since: Some(since), ..proof.clone() })), None),
                }
            }
            (Sighting::Absent, None) => (self.clone(), None),
        }
    }

    /// Whether the timer should look at it: verified by a record that is missing, or was not looked at for [`REST`].
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let rested = |proof: &DnsProof| now.duration_since(proof.last_seen) >= REST;
        self.dns.as_ref().is_some_and(|proof| proof.missing_since.is_some() || rested(proof))
    }

    /// From when on it is no longer verified, should its record stay missing.
    #[must_use]
    pub fn verified_until(&self) -> Option<Timestamp> {
        self.dns.as_ref()?.missing_since?.checked_add(GRACE).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock, SeededEntropy},
        domain::verification::Sighting::{Absent, Present},
    };

    const HOUR: i64 = 3600;

    fn clock() -> ManualClock {
        ManualClock::new("2026-11-22T09:00:00Z".parse().unwrap())
    }

    fn claimed() -> TenantDomain {
        TenantDomain { name: "contoso.example".parse().unwrap(), verified: false, dns: None }
    }

    #[test]
    fn a_record_that_is_seen_verifies_and_one_that_is_not_does_nothing() {
        let clock = clock();
        assert_eq!(claimed().after(Absent, clock.now()), (claimed(), None));
        let (seen, turn) = claimed().after(Present, clock.now());
        assert_eq!((seen.verified, seen.is_declared(), turn), (true, false, Some(Turn::Verified)));
        clock.advance(HOUR);
        let (again, turn) = seen.after(Present, clock.now());
        assert_eq!((again.dns.unwrap().last_seen, turn), (clock.now(), None), "no turn, but seen later");
    }

    #[test]
    fn t_11_a_record_that_stays_away_unverifies_after_the_grace_and_not_before() {
        let clock = clock();
        let (mut domain, _) = claimed().after(Present, clock.now());
        clock.advance(24 * HOUR);
        let missed = clock.now();
        for _ in 0..72 {
            let (after, turn) = domain.after(Absent, clock.now());
            assert_eq!((after.verified, turn), (true, None), "{}", clock.now());
            assert_eq!(after.verified_until(), Some(missed + GRACE));
            domain = after;
            clock.advance(HOUR);
        }
        let (lost, turn) = domain.after(Absent, clock.now());
        assert_eq!((lost.clone(), turn), (claimed(), Some(Turn::Unverified)));
        assert_eq!(lost.after(Absent, clock.now()), (claimed(), None), "told once");
        assert_eq!(lost.after(Present, clock.now()).1, Some(Turn::Verified));
    }

    #[test]
    fn a_record_that_comes_back_in_time_ends_the_grace() {
        let clock = clock();
        let (seen, _) = claimed().after(Present, clock.now());
        let (missing, _) = seen.after(Absent, clock.now());
        clock.advance(71 * HOUR);
        let (back, _) = missing.after(Present, clock.now());
        clock.advance(2 * HOUR);
        let (missing, turn) = back.after(Absent, clock.now());
        assert_eq!((missing.dns.unwrap().missing_since, turn), (Some(clock.now()), None), "it begins anew");
    }

    #[test]
    fn what_the_operator_declared_no_look_up_changes() {
        let declared = TenantDomain { verified: true, ..claimed() };
        let now = clock().now();
        for sighting in [Present, Absent] {
            assert_eq!(declared.after(sighting, now), (declared.clone(), None));
        }
        assert!(!declared.is_due(now));
    }

    #[test]
    fn the_timer_looks_once_a_day_and_every_time_while_the_record_is_missing() {
        let clock = clock();
        assert!(!claimed().is_due(clock.now()), "nobody has asked for it yet");
        let (seen, _) = claimed().after(Present, clock.now());
        clock.advance(23 * HOUR - 1);
        assert!(!seen.is_due(clock.now()));
        clock.advance(1);
        assert!(seen.is_due(clock.now()));
        let (missing, _) = seen.after(Absent, clock.now());
        assert!(missing.is_due(clock.now()));
    }

    #[test]
    fn t_11_every_tenant_and_domain_has_a_record_of_its_own() {
        let ring = |seed| KeyRing::parse(&KeyRing::generate(&SeededEntropy::new(seed))).unwrap();
        let (one, other) = (TenantId(uuid::Uuid::from_u128(1)), TenantId(uuid::Uuid::from_u128(2)));
        let domain = |name: &str| name.parse::<Domain>().unwrap();
        let of = |seed, tenant, name| Challenge::of(&ring(seed), tenant, &domain(name));
        let challenge = of(1, one, "contoso.example");
        assert_eq!(challenge.name, "_vestibule-challenge.contoso.example");
        let token = challenge.value.strip_prefix("vestibule-domain-verification=").unwrap();
        assert_eq!(token.len(), 43);
        assert_eq!(challenge, of(1, one, "Contoso.Example."), "always the same");
        let others = [of(1, other, "contoso.example"), of(1, one, "labs.contoso.example"), of(2, one, "contoso.example")];
        for other in others {
            assert_ne!(challenge.value, other.value);
        }
    }

    #[test]
    fn records_of_before_read_as_declared_and_are_written_as_they_were() {
        let old = r#"{"name":"contoso.example","verified":true}"#;
        let read: TenantDomain = serde_json::from_str(old).unwrap();
        assert!(read.is_declared());
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }
}
