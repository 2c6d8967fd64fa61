//! The pages that people see: one typed context each, an askama template, and the headers that all pages share.
//!
//! A context is data: what the page says and where its forms post to. No rule lives here. A handler fills one in and
//! returns it; `IntoResponse` renders it, sets the status and the headers of [`respond`]. Every text is escaped by its
//! type. Every page works without JavaScript; forms post `csrf` and their fields, named as in each context's docs.

mod agree;
mod chrome;
mod errand;
mod mailbox;
pub mod markdown;
mod moving;
mod panel;
mod refusal;
#[cfg(test)]
mod samples;
mod sign_in;
#[cfg(test)]
mod tests;

pub use agree::{Document, DocumentKind, ReviewPermissions, Terms};
pub use chrome::{AccountInUse, Chrome, Contact, Field, Link, TenantFace};
pub use errand::{ConfirmLeave, InvitationsByMail, Left, SendAgain};
pub use mailbox::{Because, ProveMailbox};
pub use moving::{Destination, FormPost, Leaving, Resume};
pub use panel::{AppsPanel, SignOutConfirm, SignedOut, Tile};
pub use refusal::{Declined, OrganisationForm, Refusal};
pub use sign_in::{EnterCode, Identify, OtherWay, PasskeyForm, Password, SendCode, SetUpAccount, SignInAtHome};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// A page: a template with what its answer needs beside the HTML.
pub trait Page: askama::Template {
    /// What it shows around its own matter.
    fn chrome(&self) -> &Chrome;

    /// The status of the answer.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    /// The one other origin that a form of this page posts to.
    fn posts_to(&self) -> Option<String> {
        None
    }
}

/// Makes the contexts pages: `page!(Identify, Password)`.
macro_rules! page {
    ($($context:ty),+) => {
        $(impl $crate::http::pages::Page for $context {
            fn chrome(&self) -> &$crate::http::pages::Chrome {
                &self.chrome
            }
        }
        $crate::http::pages::page_response!($context);)+
    };
}

/// Makes a page an answer.
macro_rules! page_response {
    ($context:ty) => {
        impl axum::response::IntoResponse for $context {
            fn into_response(self) -> axum::response::Response {
                $crate::http::pages::respond(&self)
            }
        }
    };
}

use {page, page_response};

/// Renders a page and sets its headers (checklist S-60, S-61, S-62):
///
/// * a content security policy without any inline code or style and without frames, whose `form-action` names our own
///   origin and, on a page that posts to a client, that client's;
/// * `X-Frame-Options`, `nosniff`, no referrer, an opener and resource policy of our own origin, no permissions;
/// * `no-store`, so that going back after signing out shows nothing;
/// * over TLS, `Strict-Transport-Security` for a year. Sub-domains are not included: hosts belong to tenants.
pub fn respond(page: &impl Page) -> Response {
    let Ok(html) = page.render() else {
        // A template fails only when its writer does, and a `String` takes everything.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = (page.status(), html).into_response();
    let headers = response.headers_mut();
    protect(headers, page.posts_to().as_deref(), page.chrome().https);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(page.chrome().language.tag()));
    response
}

/// The headers of [`respond`] that protect a page, for answers that are no page of ours but are shown by browsers.
pub fn protect(headers: &mut HeaderMap, posts_to: Option<&str>, https: bool) {
    const FIXED: [(HeaderName, &str); 7] = [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
             midi=(), payment=(), usb=()",
        ),
    ];
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let other = posts_to.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'{other}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    // An origin is made of a scheme, an A-label or address, and a port, so this cannot fail; if it could, less is allowed.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}
