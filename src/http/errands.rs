//! What somebody can come for who does not want to get in: to leave, to have invitations by mail stopped, and to be
//! sent one once more. Each is a
//! journey of its own, which ends with a question and a button.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{browser, journey::Open, links, visit::Visit};
use crate::{
    domain::journey::Errand,
    flows::{Vestibule, journey::Journey},
};

/// `/<authority>/leave`.
pub async fn leave(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    begin(visit, &authority, Errand::Leave).await
}

/// `/<authority>/block-invitations`.
pub async fn block_invitations(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    begin(visit, &authority, Errand::BlockInvitations).await
}

/// `/<authority>/invitation`.
pub async fn send_again(State(_): State<Arc<Vestibule>>, Path(authority): Path<String>, visit: Visit) -> Response {
    begin(visit, &authority, Errand::SendAgain).await
}

async fn begin(visit: Visit, authority: &str, errand: Errand) -> Response {
    let view = match links::context(&visit, Some(authority)).await {
        Ok(view) => view,
        Err(code) => return links::refuse_link(&visit, code),
    };
    let session = browser::session(&visit.headers, view.tenant.id, &visit.vestibule);
    let journey = Journey::on_errand(errand, view.tenant.id, &visit.vestibule.foundation);
    Open::begin(visit, view, journey, session).go_on()
}
