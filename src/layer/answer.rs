//! What the layer itself answers: redirects, plain pages, problem documents. Bodies are text, for any body type made of it.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE},
};

use crate::{clock::Entropy, error::Code};

/// Why the layer answered in place of the app. In the extensions of such responses, for access logs and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason. For a redirect to sign-in it says why one was needed.
    pub code: Code,
    /// What the page or document and the log call this refusal.
    pub trace: String,
}

impl Refusal {
    /// A refusal with a name of its own, noted in the log.
    pub(super) fn new(code: Code, entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let trace = bytes.iter().fold(String::with_capacity(16), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        tracing::info!(%code, trace, "refused: {}", code.sentence());
        Self { code, trace }
    }
}

/// Sends a browser on, by GET whatever it came with (checklist: never 307 or 308, which repeat a form elsewhere).
pub(super) fn see_other(location: &str) -> Response<String> {
    let mut response = bare(StatusCode::SEE_OTHER);
    set(&mut response, LOCATION, location);
    response
}

/// An empty answer that no cache keeps.
pub(super) fn bare(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The refusal as a problem document (RFC 9457), with where a person can sign in.
pub(super) fn problem(refusal: &Refusal, sign_in: &str) -> Response<String> {
    let (code, status) = (refusal.code, refusal.code.status());
    let document = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Refused"),
        "status": status.as_u16(),
        "detail": code.sentence(),
        "code": code.to_string(),
        "error": code.oauth().as_str(),
        "next": code.next_step(),
        "trace": refusal.trace,
        "sign_in": sign_in,
    });
    let mut response = refused(status).map(|_| document.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The refusal as a page, with a way on.
pub(super) fn refusal_page(refusal: &Refusal, way_on: Option<(&str, &str)>, entropy: &dyn Entropy) -> Response<String> {
    let code = refusal.code;
    let mut content = format!("<p>{}</p>", escape(code.next_step()));
    if let Some((target, label)) = way_on {
        let _ = write!(content, r#"<p><a class="button" id="continue" href="{}">{}</a></p>"#, escape(target), escape(label));
    }
    let _ = write!(content, r#"<p class="fine">{code} · {}</p>"#, escape(&refusal.trace));
    page(code.status(), code.sentence(), &content, entropy)
}

/// A page of a heading and some HTML of ours.
pub(super) fn page(status: StatusCode, heading: &str, content: &str, entropy: &dyn Entropy) -> Response<String> {
    const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:12vh auto;max-width:32rem;padding:0 1rem;\
        color-scheme:light dark}h1{font-size:1.4rem}.button{font:inherit;display:inline-block;padding:.5rem 1.25rem;\
        border:0;border-radius:.4rem;background:#0b57d0;color:#fff;text-decoration:none;cursor:pointer}\
        .fine{opacity:.7;font-size:.85rem}";
    let mut nonce = [0; 16];
    entropy.fill(&mut nonce);
    let nonce = BASE64_STANDARD.encode(nonce);
    let heading = escape(heading);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{heading}</title>\
         <style nonce=\"{nonce}\">{STYLE}</style></head><body><main><h1>{heading}</h1>{content}</main></body></html>\n"
    );
    let mut response = refused(status).map(|_| body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy =
        format!("default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    set(&mut response, CONTENT_SECURITY_POLICY, &policy);
    let headers = response.headers_mut();
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn refused(status: StatusCode) -> Response<String> {
    let mut response = bare(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// Sets a header whose value was built from what is known to be plain ASCII. Anything else is left out.
pub(super) fn set(response: &mut Response<String>, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Adds a cookie.
pub(super) fn set_cookie(response: &mut Response<String>, cookie: HeaderValue) {
    response.headers_mut().append(SET_COOKIE, cookie);
}

/// Text as HTML, in content and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
