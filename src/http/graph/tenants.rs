//! The public face of the organisations of this server: what anybody learns who opens a link to them.

use http::StatusCode;
use serde_json::json;

use super::call::Call;
use crate::{
    domain::{Domain, TenantId, link::Sources, tenant::Tenant},
    error::Code,
    odata::{Answer, Error},
    store::StoreError,
};

/// `GET /tenantRelationships/findTenantInformationByTenantId(tenantId='…')`
pub(super) async fn by_id(call: Call) -> Result<Answer, Error> {
    let view = call.vestibule().directory.tenant(TenantId(call.id(0)?)).await.map_err(StoreError::refusal)?;
    Ok(face(&call, &view.ok_or_else(Error::not_found)?.tenant))
}

/// `GET /tenantRelationships/findTenantInformationByDomainName(domainName='…')`. Only a verified domain says whose it is.
pub(super) async fn by_domain(call: Call) -> Result<Answer, Error> {
    let domain: Domain = call.parameter(0).parse().map_err(|_| Error::not_found())?;
    let sources = Sources { path: Some(domain.as_str()), ..Sources::default() };
    match call.vestibule().directory.context(sources).await {
        Ok(view) => Ok(face(&call, &view.tenant)),
        Err(Code::StoreUnavailable) => Err(Code::StoreUnavailable.into()),
        Err(_) => Err(Error::not_found()),
    }
}

fn face(call: &Call, tenant: &Tenant) -> Answer {
    let body = json!({
        "@odata.context": format!("{}/$metadata#microsoft.graph.tenantInformation", call.api.service),
        "tenantId": tenant.id,
        "displayName": tenant.display_name,
        "defaultDomainName": tenant.shown_domain(),
        "federationBrandName": null,
    });
    Answer::json(StatusCode::OK, body)
}
