//! Where home organisations send people back to: one path for each, so that no answer is taken for another's (checklist J-06).

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    journey::{self, Open},
    visit::Visit,
};
use crate::{
    domain::FederationId,
    error::Code,
    flows::{Vestibule, prove},
    identity::upstream::Callback,
};

/// The callback. What it learns goes into the sealed journey; the store is not touched.
pub async fn callback(
    State(_): State<Arc<Vestibule>>,
    Path((authority, federation)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let callback = match Callback::parse(visit.query().unwrap_or_default()) {
        Ok(callback) => callback,
        Err(code) => return visit.refuse(code),
    };
    // Our `state` begins with the journey that it belongs to; the rest is compared within.
    let Some((id, _)) = callback.state().and_then(|state| state.split_once('.')) else {
        return visit.refuse(Code::HomeAnswerInvalid);
    };
    let id = id.to_owned();
    let mut open = match Open::find(visit, &authority, &id).await {
        Ok(open) => open,
        Err(response) => return *response,
    };
    let Ok(federation) = federation.parse::<FederationId>() else {
        return open.visit.refuse_in(Some(&open.view), Code::PathUnknown);
    };
    match prove::finish_home(&open.visit.vestibule, &open.view, &mut open.journey, federation, &callback).await {
        Ok(()) => open.go_on(),
        Err(code) => journey::refused_at_home(open, code),
    }
}
