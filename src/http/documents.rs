//! Documents of agreements, and logos: stored bytes, shown as exactly what they were checked to be.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};

use super::{
    journey::{Open, rendered},
    pages::{Document, protect},
    visit::Visit,
};
use crate::{
    domain::{
        link::Sources,
        terms::{DocumentId, MediaType},
    },
    error::Code,
    flows::Vestibule,
};

/// A document that a journey asks to be read.
pub async fn document(
    State(_): State<Arc<Vestibule>>,
    Path((authority, id, document)): Path<(String, String, String)>,
    visit: Visit,
) -> Response {
    let open = match Open::find(visit, &authority, &id).await {
        Ok(open) => open,
        Err(response) => return *response,
    };
    let wanted: Option<DocumentId> = document.parse().ok();
    let found = open.view.agreements.iter().flat_map(|agreement| &agreement.files).find_map(|file| {
        let version = file.versions.iter().find(|version| Some(version.document) == wanted)?;
        Some((file.display_name.clone(), file.language.clone(), version.clone()))
    });
    let Some((title, document_language, version)) = found else {
        return open.visit.refuse_in(Some(&open.view), Code::PathUnknown);
    };
    let tenant = open.view.tenant.id;
    let bytes = match open.vestibule().documents.bytes(tenant, &version.document).await {
        Ok(bytes) => bytes,
        Err(code) => return open.visit.refuse_in(Some(&open.view), code),
    };
    if version.media == MediaType::Pdf {
        return pdf(bytes, open.chrome(None).https);
    }
    let Ok(text) = std::str::from_utf8(&bytes) else { return open.visit.refuse_in(Some(&open.view), Code::Internal) };
    let mut chrome = open.chrome(None);
    chrome.account = None;
    let body = rendered(version.media, text).under(&title);
    let page = Document { chrome, title, document_language, version: version.version, published: version.published, body };
    page.into_response()
}

/// A PDF as a document of its own, in the browser's viewer: never executed, never framed, never sniffed.
fn pdf(bytes: Bytes, https: bool) -> Response {
    let mut response = Response::new(Body::from(bytes));
    protect(response.headers_mut(), None, https);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    // The viewer of Chromium is a plug-in document with a style of its own.
    let policy = "default-src 'none'; object-src 'self'; plugin-types application/pdf; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// A tenant's logo. Its name is the hash of its bytes, so it can be cached for ever.
pub async fn logo(State(_): State<Arc<Vestibule>>, Path((authority, logo)): Path<(String, String)>, visit: Visit) -> Response {
    let sources = Sources { path: Some(&authority), ..Sources::default() };
    let view = match visit.vestibule.directory.context(sources).await {
        Ok(view) => view,
        Err(code) => return visit.refuse(code),
    };
    let wanted = view.tenant.branding.logo.filter(|known| known.to_string() == logo);
    let Some(wanted) = wanted else { return visit.refuse_in(Some(&view), Code::PathUnknown) };
    match visit.vestibule.documents.bytes(view.tenant.id, &wanted).await {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
            headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
            response
        }
        Err(code) => visit.refuse_in(Some(&view), code),
    }
}
