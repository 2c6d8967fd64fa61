//! The directory API for whoever runs the server: without a token, where nobody else can come.

use std::sync::Arc;

use axum::{body::Bytes, response::Response};
use http::Request;

use super::{Caller, DirectoryApi, answer, call::Asked, route};
use crate::{
    domain::TenantId,
    error::Code,
    http::visit::{TraceId, Visit},
    odata::{Answer, Error},
    store::StoreError,
};

impl DirectoryApi {
    /// Serves a request below `/v1.0` about a tenant, as the operator: with all permissions in it, no limits but that of reading
    /// all of it, and the operator in the audit log. For the administration socket and for commands; no listener has it.
    pub async fn serve_operator(&self, tenant: TenantId, request: Request<Bytes>) -> Response {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(TraceId::draw(&*self.0.vestibule.foundation.entropy));
        let visit = Visit::of(&parts, &self.0.vestibule);
        let answered = self.answer(tenant, &visit, body).await;
        answer::respond(&visit, answered)
    }

    async fn answer(&self, tenant: TenantId, visit: &Visit, body: Bytes) -> Result<Answer, Error> {
        let view = self.0.vestibule.directory.tenant(tenant).await.map_err(StoreError::refusal)?;
        let caller = Arc::new(Caller::operator(view.ok_or(Code::TenantUnknown)?));
        let asked = Asked::of(visit, body);
        let found = route::find(&asked.method, &asked.path);
        self.0.serve_to(&caller, visit, found, asked).await
    }
}
