//! The administration socket: how commands talk to a running server, since the store belongs to one process.
//!
//! A Unix socket in the data folder that only its owner can open. No cookies, no tokens: who can reach it is who runs the
//! server.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use jiff::SignedDuration;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use crate::{
    domain::link::{Sources, TenantName},
    flows::{
        Vestibule,
        apply::{self, ApplyError, spec::Desired},
        keys,
    },
};

/// A document of 10 MiB is 14 MiB of base64, and there may be several.
const BODY: usize = 256 << 20;

/// Where the socket of a data folder is.
pub(super) fn socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// Asks for an apply.
#[derive(Serialize, Deserialize)]
pub(super) struct ApplyRequest {
    pub(super) desired: Desired,
    pub(super) dry_run: bool,
}

/// Asks for a rotation of keys.
#[derive(Serialize, Deserialize)]
pub(super) struct RotateRequest {
    pub(super) tenant: String,
    pub(super) publish_ahead_seconds: i64,
}

/// Why something was not done, a line each.
#[derive(Serialize, Deserialize)]
pub(super) struct Problems {
    pub(super) problems: Vec<String>,
}

/// An open socket, which goes when it is closed.
pub(super) struct Admin {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Admin {
    pub(super) fn close(self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the socket and answers on it.
pub(super) fn listen(data: &Path, vestibule: &Arc<Vestibule>) -> anyhow::Result<Admin> {
    let path = socket(data);
    // The store is ours by now, so a socket that is left is a dead process's.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).with_context(|| path.display().to_string())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // A host program may have a recorder of its own; then it has the figures.
    let _ = metrics::set_global_recorder(recorder);
    let app = Router::new()
        .route("/apply", post(apply_desired))
        .route("/keys/rotate", post(rotate))
        .route("/metrics", get(move || render(metrics.clone())))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Arc::clone(vestibule));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the administration socket has failed");
        }
    });
    Ok(Admin { path, task })
}

async fn render(metrics: PrometheusHandle) -> String {
    metrics.run_upkeep();
    metrics.render()
}

async fn apply_desired(State(vestibule): State<Arc<Vestibule>>, Json(request): Json<ApplyRequest>) -> Response {
    match apply::apply(&vestibule.foundation, &request.desired, request.dry_run).await {
        Ok(report) => Json(report).into_response(),
        Err(ApplyError::Refused(problems)) => refuse(StatusCode::UNPROCESSABLE_ENTITY, problems),
        Err(ApplyError::Store(error)) => refuse(StatusCode::SERVICE_UNAVAILABLE, vec![error.to_string()]),
    }
}

async fn rotate(State(vestibule): State<Arc<Vestibule>>, Json(request): Json<RotateRequest>) -> Response {
    let sources = Sources { path: Some(&request.tenant), ..Sources::default() };
    let view = match TenantName::parse(&request.tenant) {
        Ok(_) => vestibule.directory.context(sources).await,
        Err(code) => Err(code),
    };
    let view = match view {
        Ok(view) => view,
        Err(code) => return refuse(StatusCode::NOT_FOUND, vec![format!("{code}: {}", code.sentence())]),
    };
    let ahead = SignedDuration::from_secs(request.publish_ahead_seconds.max(0));
    match keys::rotate_keys(&vestibule.foundation, view.tenant.id, ahead).await {
        Ok(rotated) => Json(rotated).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, vec![error.to_string()]),
    }
}

fn refuse(status: StatusCode, problems: Vec<String>) -> Response {
    (status, Json(Problems { problems })).into_response()
}
