//! The rules that every answer of the provider obeys, checked on whatever any test receives (checklist 2.5, R-05).

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use url::Url;

use super::{jar::SetCookie, page::Page};

/// S-58: what a cookie of ours looks like.
pub(crate) fn check_cookies(url: &Url, headers: &HeaderMap) {
    for cookie in SetCookie::all(headers) {
        let what = format!("S-58: {url} sets {cookie:?}");
        assert!(cookie.name.starts_with("__Host-vb-"), "{what}");
        assert!(cookie.attribute("secure").is_some() && cookie.attribute("httponly").is_some(), "{what}");
        assert_eq!(cookie.attribute("path"), Some("/"), "{what}");
        assert_eq!(cookie.attribute("domain"), None, "{what}");
        assert!(matches!(cookie.attribute("samesite"), Some("Lax" | "Strict")), "{what}");
    }
}

/// no token travels in a redirect. (A code does; that is what it is for.)
pub(crate) fn check_location(url: &Url, headers: &HeaderMap) {
    if let Some(location) = headers.get(LOCATION) {
        let location = location.to_str().expect("an ASCII Location");
        for token in ["access_token=", "id_token=", "refresh_token="] {
            assert!(!location.contains(token), "R-05: {url} redirects to {location}");
        }
    }
}

/// S-60 to S-62: what a page of ours carries.
pub(crate) fn check_page(url: &Url, headers: &HeaderMap, body: &str) {
    if !is_html(headers) {
        return;
    }
    let value = |name: &str| {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().expect("ASCII")).collect();
        assert!(values.len() < 2, "{url} sends {name} twice: {values:?}");
        values.first().copied().unwrap_or_default().to_owned()
    };
    let policy = value("content-security-policy");
    let directive =
        |name: &str| policy.split(';').map(str::trim).find_map(|part| part.strip_prefix(name)?.strip_prefix(' ').map(str::trim));
    let what = format!("S-60: {url} sends the policy {policy:?}");
    assert_eq!(directive("default-src"), Some("'none'"), "{what}");
    assert_eq!(directive("frame-ancestors"), Some("'none'"), "{what}");
    assert_eq!(directive("base-uri"), Some("'none'"), "{what}");
    assert!(directive("form-action").is_some_and(|targets| targets.starts_with("'self'") || targets == "'none'"), "{what}");
    assert!(!policy.contains("unsafe-") && !policy.contains('*'), "{what}");
    assert_eq!(value("x-frame-options"), "DENY", "S-60: {url}");
    assert_eq!(value("referrer-policy"), "no-referrer", "S-61: {url}");
    assert_eq!(value("x-content-type-options"), "nosniff", "S-62: {url}");
    assert_eq!(value("cross-origin-opener-policy"), "same-origin", "S-62: {url}");
    assert_eq!(value("cross-origin-resource-policy"), "same-origin", "S-62: {url}");
    assert!(value("cache-control").contains("no-store"), "S-62: {url}");
    if url.scheme() == "https" {
        assert!(value("strict-transport-security").contains("max-age="), "S-62: {url}");
    }
    check_assets(url, &policy, body);
}

fn check_assets(url: &Url, policy: &str, body: &str) {
    for element in &Page::parse(url, body).elements {
        let source = match element.name.as_str() {
            "script" => {
                let nonce = element.attribute("nonce").unwrap_or_default();
                let allowed = element.attribute("src").is_some() || policy.contains(&format!("'nonce-{nonce}'"));
                assert!(allowed, "S-60: {url} has a script without a nonce");
                element.attribute("src")
            }
            "img" | "iframe" | "embed" | "source" => element.attribute("src"),
            "object" => element.attribute("data"),
            "link" => element.attribute("href"),
            _ => None,
        };
        if let Some(source) = source.filter(|source| !source.starts_with("data:")) {
            let target = url.join(source).expect("a URL");
            assert_eq!(target.origin(), url.origin(), "S-61: {url} loads {target}");
        }
        let handler = element.attributes.iter().find(|(name, _)| name.starts_with("on") || name == "style");
        assert_eq!(handler, None, "S-60: {url} has an inline {handler:?}");
    }
}

/// Whether the answer is a page.
pub(crate) fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("text/html"))
}
