//! Where home organisations send people back to: one path for each, so that no answer is taken for another's (checklist J-06).

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};

use super::{
    journey::{self, Open},
    urls,
    visit::Visit,
};
use crate::{
    domain::FederationId,
    error::Code,
    flows::{Vestibule, journey::Journey, prove},
    identity::upstream::Callback,
};

/// The callback. What it learns goes into the sealed journey; the store is not touched.
pub async fn callback(
    State(_): State<Arc<Vestibule>>,
    Path((authority, federation)): Path<(String, String)>,
    callback: Result<Query<Callback>, QueryRejection>,
    visit: Visit,
) -> Response {
    let Ok(callback) = callback else { return visit.refuse(Code::RequestInvalid) };
    let Ok(federation) = federation.parse::<FederationId>() else { return visit.refuse(Code::PathUnknown) };
    let belongs = |journey: &Journey| {
        journey.attempt.as_ref().is_some_and(|attempt| attempt.federation() == federation && attempt.is_answered_by(&callback))
    };
    let mut open = match Open::find_where(visit, &authority, belongs).await {
        Ok(open) => open,
        Err(response) => return *response,
    };
    let redirect_uri = match urls::callback(open.visit.vestibule.public_url(), open.view.tenant.id, federation) {
        Ok(redirect_uri) => redirect_uri,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    let (vestibule, view) = (open.visit.vestibule.clone(), open.view.clone());
    match prove::finish_home(&vestibule, &view, &mut open.journey, federation, &redirect_uri, &callback).await {
        Ok(()) => open.go_on(),
        Err(code) => journey::refused_at_home(open, code),
    }
}
