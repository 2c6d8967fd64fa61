//! What an apply changes in one tenant: the difference between what is declared and what is stored, as one batch.

mod agreements;
mod apps;
mod federations;
mod tenant;
mod users;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    Report,
    documents::Document,
    spec::{Desired, TenantSpec},
};
use crate::{
    domain::{
        AppId, Domain, TenantId,
        audit::{Activity, Actor, Head, Told},
        tenant::Tenant,
    },
    flows::{
        Foundation, audited,
        guests::{NAME_MAX, check_text},
        keys,
    },
    store::{
        Batch, Partition, StoreError,
        records::{self, RecordKey, Stored},
    },
};

/// What the secrets of `tenants.example.toml` begin with. Nothing may run with them (checklist A-10).
const SAMPLE_SECRET: &str = "replace-me";

/// The difference, as it grows.
pub(super) struct Plan {
    pub(super) tenant: TenantId,
    /// Why it cannot be carried out.
    pub(super) problems: Vec<String>,
    /// What it does, in words.
    pub(super) outcome: Report,
    /// What has to be stored before it.
    pub(super) documents: Vec<Document>,
    /// The tenant as it was.
    pub(super) before: Option<Tenant>,
    name: String,
    initial_domain: Option<Domain>,
    now: Timestamp,
    batch: Batch,
    head: Option<Stored<Head>>,
    activities: Vec<Told>,
    /// The tenant has no signing keys yet.
    keyless: bool,
    /// All apps, by the names that the file calls them.
    apps: BTreeMap<String, AppId>,
}

impl Plan {
    /// Compares `spec` with the stored tenant.
    pub(super) async fn make(
        foundation: &Foundation,
        tenant: TenantId,
        desired: &Desired,
        spec: &TenantSpec,
    ) -> Result<Self, StoreError> {
        let mut plan = Self {
            tenant,
            problems: Vec::new(),
            outcome: Report::default(),
            documents: Vec::new(),
            before: None,
            name: spec.display_name.clone(),
            initial_domain: spec.domains.first().map(|domain| domain.name.clone()),
            now: foundation.now(),
            batch: Batch::new(Partition::Tenant(tenant)),
            head: foundation.audit_head(tenant).await?,
            activities: Vec::new(),
            keyless: foundation.store.list(&records::signing_keys(tenant)).await?.is_empty(),
            apps: BTreeMap::new(),
        };
        let policy = plan.tenant(foundation, desired, spec).await?;
        if plan.keyless {
            plan.outcome.changes.push(format!("+ signing keys ({})", plan.name));
        }
        plan.apps(foundation, &spec.apps).await?;
        plan.federations(foundation, &spec.federations).await?;
        plan.agreements(foundation, desired, &spec.agreements).await?;
        plan.users(foundation, &spec.users, &policy.guest_domains).await?;
        Ok(plan)
    }

    /// The changes with their audit entries, and the signing keys of a new tenant. What the plan says stays.
    pub(super) async fn batch(&mut self, foundation: &Foundation) -> Result<Batch, StoreError> {
        let mut batch = std::mem::replace(&mut self.batch, Batch::new(Partition::Tenant(self.tenant)));
        if self.keyless {
            for key in keys::first_keys(foundation, self.tenant, self.now).await? {
                let record = records::signing_key(self.tenant, key.kid());
                batch = batch.absent(&record).put(&record, &key);
            }
        }
        let activities = std::mem::take(&mut self.activities);
        if activities.is_empty() {
            return Ok(batch);
        }
        Ok(audited(batch, self.tenant, self.head.as_ref(), self.now, &Actor::Operator, activities))
    }

    /// Writes a record if it differs from the stored one, and says how.
    fn put<T: Serialize>(&mut self, key: &RecordKey<T>, stored: Option<&Stored<T>>, wanted: &T, what: &str) -> bool {
        match difference(stored, wanted, what) {
            None => return false,
            Some(what) if stored.is_none() => self.change(&format!("+ {what}")),
            Some(what) => self.change(&format!("~ {what}")),
        }
        self.extend(|batch| batch.unchanged(key, stored).put(key, wanted));
        true
    }

    /// Writes a record of the tenant's configuration, with its audit entry.
    fn configure<T: Serialize>(&mut self, key: &RecordKey<T>, stored: Option<&Stored<T>>, wanted: &T, what: String) -> bool {
        let difference = difference(stored, wanted, &what);
        let changed = self.put(key, stored, wanted, &what);
        self.activities.extend(difference.map(|what| Activity::Configured { what }.into()));
        changed
    }

    /// Goes on building the batch.
    fn extend(&mut self, build: impl FnOnce(Batch) -> Batch) {
        let batch = std::mem::replace(&mut self.batch, Batch::new(Partition::Tenant(self.tenant)));
        self.batch = build(batch);
    }

    /// A line of the report.
    fn change(&mut self, line: &str) {
        self.outcome.changes.push(format!("{line} ({})", self.name));
    }

    /// Something that stands in the way of the whole apply.
    fn problem(&mut self, problem: impl std::fmt::Display) {
        self.problems.push(format!("tenant {}: {problem}", self.name));
    }

    fn check_name(&mut self, what: &str, name: &str) {
        if check_text(name, NAME_MAX).is_err() {
            self.problem(format_args!(
                "{what}: a name has 1 to {NAME_MAX} characters, on one line, each to be seen, none that turns their direction"
            ));
        }
    }

    fn check_secret(&mut self, what: &str, secret: &str, at_least: usize) {
        if secret.starts_with(SAMPLE_SECRET) {
            self.problem(format_args!("{what}: client_secret is the sample's; put the real one there"));
        } else if secret.chars().count() < at_least {
            self.problem(format_args!("{what}: client_secret has at least {at_least} characters"));
        }
    }
}

/// What is new or differs, in words: `tenant Contoso: policy.session_hours`. Nothing where all is as it was.
fn difference<T: Serialize>(stored: Option<&Stored<T>>, wanted: &T, what: &str) -> Option<String> {
    let Some(stored) = stored else { return Some(what.to_owned()) };
    let json = |value: &T| serde_json::to_value(value).unwrap_or_default();
    let fields = differing_fields(&json(&stored.value), &json(wanted));
    (!fields.is_empty()).then(|| format!("{what}: {}", fields.join(", ")))
}

/// The names of what differs, those within a table with the table's: `policy.session_hours`.
fn differing_fields(before: &Value, after: &Value) -> Vec<String> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return vec!["changed".into()] };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let differing = names.filter(|name| before.get(*name) != after.get(*name));
    let named = differing.map(|name| match (before.get(name), after.get(name)) {
        (Some(inner @ Value::Object(_)), Some(other @ Value::Object(_))) => {
            differing_fields(inner, other).into_iter().map(|inner| format!("{name}.{inner}")).collect()
        }
        _ => vec![name.clone()],
    });
    named.flatten().collect()
}
