//! The public face of the organisations of this server: what anybody learns who opens a link to them.

use http::StatusCode;
use serde_json::json;

use super::call::Call;
use crate::{
    domain::{Domain, TenantId, link::Sources, tenant::Tenant},
    error::Code,
    odata::{Answer, Error, Property, Schema, Select, Shape, json::object},
    store::StoreError,
};

const SCHEMA: Schema = Schema {
    entity: "tenantInformation",
    properties: &[
        Property::new("tenantId", Shape::Opaque).by_default(),
        Property::new("displayName", Shape::Opaque).by_default(),
        Property::new("defaultDomainName", Shape::Opaque).by_default(),
        Property::new("federationBrandName", Shape::Opaque).by_default(),
    ],
    default_top: 100,
};

/// `GET /tenantRelationships/findTenantInformationByTenantId(tenantId='…')`. A suspended one is as unknown as by its domain.
pub(super) async fn by_id(call: Call) -> Result<Answer, Error> {
    let view = call.vestibule().directory.tenant(TenantId(call.id(0)?)).await.map_err(StoreError::refusal)?;
    face(&call, &view.filter(|view| view.tenant.enabled).ok_or_else(Error::not_found)?.tenant)
}

/// `GET /tenantRelationships/findTenantInformationByDomainName(domainName='…')`. Only a verified domain says whose it is.
pub(super) async fn by_domain(call: Call) -> Result<Answer, Error> {
    let domain: Domain = call.parameter(0).parse().map_err(|_| Error::not_found())?;
    let sources = Sources { path: Some(domain.as_str()), ..Sources::default() };
    match call.vestibule().directory.context(sources).await {
        Ok(view) => face(&call, &view.tenant),
        Err(Code::StoreUnavailable) => Err(Code::StoreUnavailable.into()),
        Err(_) => Err(Error::not_found()),
    }
}

fn face(call: &Call, tenant: &Tenant) -> Result<Answer, Error> {
    let select = Select::of_one(&call.query, &SCHEMA)?;
    let mut members = select.project(object(json!({
        "tenantId": tenant.id,
        "displayName": tenant.display_name,
        "defaultDomainName": tenant.shown_domain(),
        "federationBrandName": null,
    })));
    let context = format!("{}/$metadata#microsoft.graph.tenantInformation", call.api.service);
    members.insert("@odata.context".into(), context.into());
    Ok(Answer::json(StatusCode::OK, members.into()))
}
