//! What commands do to a store: by the running server, over its socket, or by the command itself when none runs. One piece
//! of code does either, so the two cannot differ.

#[cfg(feature = "embedded")]
use std::{path::PathBuf, sync::Arc};

use anyhow::anyhow;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[cfg(feature = "embedded")]
use crate::store::backup;
use crate::{
    domain::{TenantId, link::TenantName},
    flows::{
        Foundation,
        apply::{self, ApplyError, Report, spec::Desired},
        check,
        keys::{Rotated, rotate_keys},
    },
    store::{StoreError, records},
};

/// Something that can be asked of a running server, or done without one.
pub(super) trait Operation: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its place on the administration socket.
    const PATH: &'static str;
    /// Whether it waits for others to end, and they for it: two that change the same would only make each other start over.
    const ALONE: bool = true;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned + Send;

    fn perform(&self, foundation: &Foundation) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Why something was not done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    /// A line each.
    pub(super) problems: Vec<String>,
    /// Whether the same may succeed later: nothing is wrong with what was asked.
    pub(super) temporary: bool,
}

impl Failure {
    pub(super) fn refused(problem: impl std::fmt::Display) -> Self {
        Self { problems: vec![problem.to_string()], temporary: false }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { problems: vec![error.to_string()], temporary: true }
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(problems) => Self { problems, temporary: false },
            ApplyError::Store(error) => error.into(),
        }
    }
}

impl From<Failure> for anyhow::Error {
    fn from(failure: Failure) -> Self {
        anyhow!("{}", failure.problems.join("\n"))
    }
}

/// Brings the store to a declared state.
#[derive(Serialize, Deserialize)]
pub(super) struct Apply {
    pub(super) desired: Desired,
    pub(super) dry_run: bool,
}

impl Operation for Apply {
    const PATH: &'static str = "/apply";
    type Answer = Report;

    async fn perform(&self, foundation: &Foundation) -> Result<Report, Failure> {
        Ok(apply::apply(foundation, &self.desired, self.dry_run).await?)
    }
}

/// Makes new signing keys for a tenant.
#[derive(Serialize, Deserialize)]
pub(super) struct RotateKeys {
    /// Its id or one of its verified domains.
    pub(super) tenant: String,
    pub(super) publish_ahead_seconds: u32,
}

impl Operation for RotateKeys {
    const PATH: &'static str = "/keys/rotate";
    type Answer = Rotated;

    async fn perform(&self, foundation: &Foundation) -> Result<Rotated, Failure> {
        let tenant = tenant(foundation, &self.tenant).await?;
        Ok(rotate_keys(foundation, tenant, SignedDuration::from_secs(self.publish_ahead_seconds.into())).await?)
    }
}

/// Reads the whole store and says what is wrong in it.
#[derive(Serialize, Deserialize)]
pub(super) struct CheckStore {}

impl Operation for CheckStore {
    const PATH: &'static str = "/store/check";
    const ALONE: bool = false;
    type Answer = check::Report;

    async fn perform(&self, foundation: &Foundation) -> Result<check::Report, Failure> {
        let snapshot = foundation.store.snapshot()?;
        let store = snapshot.as_ref().unwrap_or(foundation.store.backend());
        Ok(check::check(&**store, Some(&foundation.ring), snapshot.is_some()).await?)
    }
}

/// Writes what is stored now into a new file.
#[cfg(feature = "embedded")]
#[derive(Serialize, Deserialize)]
pub(super) struct BackUp {
    /// An absolute path: the server's folder is not that of who asks.
    pub(super) file: PathBuf,
}

/// What is in a backup.
#[cfg(feature = "embedded")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BackedUp {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

#[cfg(feature = "embedded")]
impl Operation for BackUp {
    const PATH: &'static str = "/store/backup";
    const ALONE: bool = false;
    type Answer = BackedUp;

    async fn perform(&self, foundation: &Foundation) -> Result<BackedUp, Failure> {
        let snapshot = foundation.store.snapshot()?.ok_or_else(|| {
            Failure::refused("this store is not one file, and has backups of its own: see the documentation of Redis")
        })?;
        let backed_up = backup::back_up(&*snapshot, &self.file, Arc::clone(&foundation.clock), &mut |_| {}).await;
        let copied = backed_up.map_err(Failure::refused)?;
        Ok(BackedUp { records: copied.records, bytes: copied.bytes })
    }
}

/// The tenant with this id or verified domain.
pub(super) async fn tenant(foundation: &Foundation, name: &str) -> Result<TenantId, Failure> {
    let store = &foundation.store;
    let unknown = || Failure::refused(format_args!("{name}: there is no such tenant"));
    match TenantName::parse(name).map_err(|code| Failure::refused(format_args!("{name}: {}", code.sentence())))? {
        TenantName::Id(id) => store.get(&records::tenant(id)).await?.map(|tenant| tenant.value.id).ok_or_else(unknown),
        TenantName::Domain(domain) => {
            let claim = store.get(&records::domain_claim(&domain)).await?.ok_or_else(unknown)?.value;
            let tenant = store.get(&records::tenant(claim.tenant)).await?.ok_or_else(unknown)?.value;
            match tenant.domain(&domain) {
                Some(domain) if domain.verified => Ok(tenant.id),
                Some(_) => Err(Failure::refused(format_args!("{name}: this domain is claimed, but not verified"))),
                None => Err(unknown()),
            }
        }
    }
}
