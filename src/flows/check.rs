//! Reads a whole store and says what is wrong in it: records that do not read as what they are, references that lead
//! nowhere, documents that are not whole, audit logs that were changed, secrets that this server's ring does not open.
//!
//! It only reads. On a store of one file it looks at one moment; elsewhere others go on writing while it reads, and then a
//! reference may be reported that was only being made: check again.

mod kinds;
mod tenant;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use self::{
    kinds::Kind,
    tenant::{Names, TenantCheck},
};
use crate::{
    domain::{EmailAddress, TenantId},
    seal::KeyRing,
    store::{
        Backend, Entry, Key, Partition, StoreError,
        records::{Claim, kind},
        walk::{self, Walk},
    },
};

/// More problems than this are counted, not told.
const TOLD: usize = 1_000;

/// What is in a store, and what is wrong with it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// How many records there are of each kind.
    pub kinds: Vec<KindCount>,
    /// A line each; at most a thousand.
    pub problems: Vec<String>,
    /// How many problems are not among the lines.
    pub more_problems: u64,
    /// Whether there was a key ring to open with what is sealed.
    pub opened_sealed: bool,
    /// Whether the store was looked at as of one moment.
    pub one_moment: bool,
}

/// How many records of a kind there are.
#[derive(Debug, Serialize, Deserialize)]
pub struct KindCount {
    /// The kind's number.
    pub kind: u8,
    /// What it is.
    pub name: String,
    /// Records.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
}

/// Checks a store, given as a snapshot where it has such. What is sealed is opened where there is a ring.
///
/// # Errors
/// When the store is unavailable. A record that cannot be read is no error but a problem.
pub async fn check(store: &dyn Backend, mut ring: Option<&KeyRing>, one_moment: bool) -> Result<Report, StoreError> {
    let mut findings = Findings::default();
    let mut claims = HashMap::new();
    let mut walk = Walk::of(store, Partition::Global);
    while let Some(entry) = readable(walk.next().await, Partition::Global, &mut findings)? {
        findings.record(&entry);
        match entry.key.kind() {
            kind::UNFINISHED => findings.about(&entry.key, "the store is not whole; copy again"),
            kind::KEY_RING
                if ring.is_some_and(|ring| !kinds::read(&entry.value).is_ok_and(|known: String| known == ring.fingerprint())) =>
            {
                findings.about(&entry.key, "the key ring here is not the one that seals this store; nothing was opened");
                ring = None;
            }
            _ => {}
        }
        if let (kind::DOMAIN_CLAIM | kind::HOST_CLAIM, Ok(claim)) = (entry.key.kind(), kinds::read::<Claim>(&entry.value)) {
            claims.insert(entry.key, claim.tenant);
        }
    }
    let mut names = HashMap::new();
    for partition in walk::partitions(store).await? {
        let Partition::Tenant(tenant) = partition else { continue };
        let mut check = TenantCheck::new(tenant, ring);
        let mut walk = Walk::of(store, partition);
        while let Some(entry) = readable(walk.next().await, partition, &mut findings)? {
            if findings.record(&entry) {
                check.record(&entry, &mut findings);
            }
        }
        names.insert(tenant, check.finish(&mut findings));
    }
    compare_names(&claims, &names, &mut findings);
    Ok(findings.report(ring.is_some(), one_moment))
}

/// What cannot be read at all ends the walk through its partition, not the check.
fn readable(
    read: Result<Option<Entry>, StoreError>,
    partition: Partition,
    findings: &mut Findings,
) -> Result<Option<Entry>, StoreError> {
    match read {
        Err(StoreError::Corrupt(what)) => {
            findings.problem(format_args!("{partition}: cannot be read to its end: {what}"));
            Ok(None)
        }
        read => read,
    }
}

/// Names that are unique on the server: every claim is its tenant's, and every name of a tenant is claimed.
fn compare_names(claims: &HashMap<Key, TenantId>, names: &HashMap<TenantId, Names>, findings: &mut Findings) {
    for (key, tenant) in claims {
        match names.get(tenant) {
            None => findings.about(key, format_args!("claimed by tenant {tenant}, which is not in the list of tenants")),
            Some(names) if !names.contains(key) => {
                findings.about(key, format_args!("claimed by tenant {tenant}, which does not have it; apply its file again"));
            }
            Some(_) => {}
        }
    }
    for (tenant, names) in names {
        for key in names {
            match claims.get(key) {
                Some(holder) if holder == tenant => {}
                Some(holder) => findings.about(key, format_args!("tenant {tenant} has it, and tenant {holder} has claimed it")),
                None => findings.about(key, format_args!("tenant {tenant} has it and has not claimed it")),
            }
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    counts: BTreeMap<u8, (u64, u64)>,
    problems: Vec<String>,
    more: u64,
}

impl Findings {
    fn problem(&mut self, problem: impl std::fmt::Display) {
        if self.problems.len() < TOLD {
            self.problems.push(problem.to_string());
        } else {
            self.more += 1;
        }
    }

    /// A problem with the record of this name.
    fn about(&mut self, key: &Key, problem: impl std::fmt::Display) {
        self.problem(format_args!("{}: {problem}", described(key)));
    }

    /// Counts a record and looks at it alone; says whether it is good.
    fn record(&mut self, entry: &Entry) -> bool {
        let (records, bytes) = self.counts.entry(entry.key.kind()).or_default();
        *records += 1;
        *bytes += (entry.key.bytes().len() + entry.value.len()) as u64;
        let problem = match Kind::of(entry.key.kind()) {
            Some(kind) => kind.problem(entry),
            None => Some("this version does not know records of this kind".into()),
        };
        if let Some(problem) = &problem {
            self.about(&entry.key, problem);
        }
        problem.is_none()
    }

    fn report(self, opened_sealed: bool, one_moment: bool) -> Report {
        let kinds = self.counts.into_iter().map(|(kind, (records, bytes))| KindCount {
            kind,
            name: Kind::of(kind).map_or("unknown", |kind| kind.name).to_owned(),
            records,
            bytes,
        });
        Report { kinds: kinds.collect(), problems: self.problems, more_problems: self.more, opened_sealed, one_moment }
    }
}

/// A record's name, for people: ids as they are written elsewhere, addresses masked.
fn described(key: &Key) -> String {
    let name = Kind::of(key.kind()).map_or_else(|| format!("kind {}", key.kind()), |kind| kind.name.to_owned());
    let mut text = match key.partition() {
        Partition::Global => name,
        Partition::Tenant(tenant) => format!("tenant {tenant}: {name}"),
    };
    for segment in key.segments() {
        text.push(' ');
        match (segment.len(), std::str::from_utf8(segment)) {
            (16, _) => text.push_str(&uuid::Uuid::from_slice(segment).unwrap_or_default().to_string()),
            (_, Ok(segment)) if !segment.is_empty() && !segment.chars().any(char::is_control) => {
                let masked = segment.parse::<EmailAddress>().map(|address| address.masked());
                text.push_str(masked.as_deref().unwrap_or(segment));
            }
            _ => text.extend(segment.iter().map(|byte| format!("{byte:02x}"))),
        }
    }
    text
}

#[cfg(test)]
mod tests;
