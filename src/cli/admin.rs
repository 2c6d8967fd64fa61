//! The administration socket: how commands talk to a running server, since the store belongs to one process.
//!
//! A Unix socket in the data folder that only its owner can open. No cookies, no tokens: who can reach it is who runs the
//! server.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    body::to_bytes,
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http::{Request as HttpRequest, StatusCode};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::UnixListener, sync::Mutex, time::timeout};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "embedded")]
use super::operation::BackUp;
use super::{
    audit::{ListAudit, VerifyAudit},
    domain::{ListDomains, VerifyDomain},
    guest::api::DIRECTORY,
    operation::{Apply, CheckStore, Failure, Operation, RotateKeys, tenant},
};
use crate::{http::graph::DirectoryApi, store::measured};

/// A document of 10 MiB is 14 MiB of base64, and there may be several.
const BODY: usize = 256 << 20;
/// How long an operation that is under way at the end is given.
const LAST: Duration = Duration::from_secs(10);

/// Where the socket of a data folder is.
pub(super) fn socket(data: &std::path::Path) -> PathBuf {
    data.join("admin.sock")
}

/// An open socket, which goes when it is closed.
pub(super) struct Admin {
    path: PathBuf,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Admin {
    /// Takes no more operations, and lets the one under way end.
    pub(super) async fn close(mut self) {
        let _ = std::fs::remove_file(&self.path);
        self.stop.cancel();
        if timeout(LAST, &mut self.task).await.is_err() {
            tracing::warn!("an operation did not end in time and is cut off; what it did not do can be asked for again");
            self.task.abort();
        }
    }
}

/// Begins to record what happens. Early, since a store that is away at the start is worth knowing about.
pub(super) fn record() -> anyhow::Result<PrometheusHandle> {
    let mut recorder = PrometheusBuilder::new();
    for histogram in [measured::SECONDS, measured::WATCH_LAG] {
        recorder = recorder.set_buckets_for_metric(Matcher::Full(histogram.to_owned()), &measured::BUCKETS)?;
    }
    let recorder = recorder.build_recorder();
    let handle = recorder.handle();
    // A host program may have a recorder of its own; then it has the figures.
    let _ = metrics::set_global_recorder(recorder);
    measured::describe();
    #[cfg(feature = "redis")]
    crate::store::redis::describe();
    Ok(handle)
}

/// Opens the socket and answers on it.
pub(super) fn listen(data: &std::path::Path, metrics: PrometheusHandle, directory_api: &DirectoryApi) -> anyhow::Result<Admin> {
    let path = socket(data);
    let listener = bind(&path).with_context(|| format!("{}: the administration socket", path.display()))?;
    let app = Router::new()
        .route(Apply::PATH, post(perform::<Apply>))
        .route(RotateKeys::PATH, post(perform::<RotateKeys>))
        .route(CheckStore::PATH, post(perform::<CheckStore>))
        .route(ListDomains::PATH, post(perform::<ListDomains>))
        .route(VerifyDomain::PATH, post(perform::<VerifyDomain>))
        .route(VerifyAudit::PATH, post(perform::<VerifyAudit>))
        .route(ListAudit::PATH, post(perform::<ListAudit>))
        .route("/metrics", get(move || render(metrics.clone())));
    #[cfg(feature = "embedded")]
    let app = app.route(BackUp::PATH, post(perform::<BackUp>));
    let app = app
        .route(&format!("{DIRECTORY}/{{tenant}}/{{*path}}"), any(directory))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Arc::new(Administration { directory: directory_api.clone(), turn: Mutex::default() }));
    let stop = CancellationToken::new();
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the administration socket has failed");
        }
    });
    Ok(Admin { path, stop, task })
}

/// Binds in a folder that nobody else can enter, and moves the socket out when only its owner can open it.
fn bind(path: &std::path::Path) -> io::Result<UnixListener> {
    let private = path.with_extension("new");
    // The store is ours by now, so what is left is a dead process's.
    let _ = std::fs::remove_dir_all(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let unfinished = private.join("s");
    let listener = UnixListener::bind(&unfinished)?;
    std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&unfinished, path)?;
    std::fs::remove_dir(&private)?;
    Ok(listener)
}

async fn render(metrics: PrometheusHandle) -> String {
    metrics.run_upkeep();
    metrics.render()
}

struct Administration {
    directory: DirectoryApi,
    /// For operations that are to be alone.
    turn: Mutex<()>,
}

async fn perform<O: Operation>(State(administration): State<Arc<Administration>>, Json(operation): Json<O>) -> Response {
    let _turn = if O::ALONE { Some(administration.turn.lock().await) } else { None };
    match operation.perform(&administration.directory.vestibule().foundation).await {
        Ok(answer) => Json(answer).into_response(),
        Err(failure) => refuse(failure),
    }
}

fn refuse(failure: Failure) -> Response {
    let status = if failure.temporary { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, Json(failure)).into_response()
}

/// The directory API of a tenant, as the operator: what follows the tenant in the path is the path there.
async fn directory(
    State(administration): State<Arc<Administration>>,
    Path((name, _)): Path<(String, String)>,
    request: axum::extract::Request,
) -> Response {
    let tenant = match tenant(&administration.directory.vestibule().foundation, &name).await {
        Ok(tenant) => tenant,
        Err(failure) => return refuse(failure),
    };
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map(|target| target.as_str()).unwrap_or_default();
    let target = target.strip_prefix(DIRECTORY).and_then(|rest| rest.strip_prefix('/')?.find('/').map(|at| &rest[at + 1..]));
    let (Some(Ok(uri)), Ok(body)) = (target.map(str::parse), to_bytes(body, BODY).await) else {
        return refuse(Failure::refused("the request cannot be read"));
    };
    parts.uri = uri;
    administration.directory.serve_operator(tenant, HttpRequest::from_parts(parts, body)).await
}
