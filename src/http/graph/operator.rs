//! The directory API for whoever runs the server: without a token, where nobody else can come.

use std::sync::Arc;

use axum::{body::Bytes, response::Response};
use http::Request;

use super::{Api, Caller, answer, call::Asked};
use crate::{
    domain::TenantId,
    error::Code,
    flows::Vestibule,
    http::visit::{TraceId, Visit},
    odata::{Answer, Error},
    store::StoreError,
};

/// The directory API, as the operator: with all permissions in any tenant, no limits, and the operator in the audit log. For the
/// administration socket and for commands; no listener has it.
#[derive(Clone)]
pub struct OperatorApi(Arc<Api>);

impl std::fmt::Debug for OperatorApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorApi")
    }
}

impl OperatorApi {
    /// The directory API of a server.
    #[must_use]
    pub fn new(vestibule: &Arc<Vestibule>) -> Self {
        Self(Arc::new(Api::new(vestibule)))
    }

    /// Serves a request below `/v1.0` about a tenant.
    pub async fn serve(&self, tenant: TenantId, request: Request<Bytes>) -> Response {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(TraceId::draw(&*self.0.vestibule.foundation.entropy));
        let visit = Visit::of(&parts, &self.0.vestibule);
        let answered = self.answer(tenant, &visit, body).await;
        answer::respond(&visit, answered)
    }

    async fn answer(&self, tenant: TenantId, visit: &Visit, body: Bytes) -> Result<Answer, Error> {
        let view = self.0.vestibule.directory.tenant(tenant).await.map_err(StoreError::refusal)?;
        let caller = Arc::new(Caller::operator(view.ok_or(Code::TenantUnknown)?));
        self.0.serve_to(&caller, visit, Asked::of(visit, body)).await
    }
}
