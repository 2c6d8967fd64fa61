//! The few static files of the pages: one style sheet, two scripts, one icon; embedded, named by their content, cached for ever.
//! The icon is also where browsers and others look for one without being told, cached for a day.
//!
//! A tenant's accent colour is a style sheet too, written from its [`Color`]. So no page needs an inline style, and the
//! content security policy of pages allows none.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};

use crate::domain::{tenant::Color, terms::DocumentId};

/// The style sheet of all pages.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("vestibule", "css", "text/css; charset=utf-8", include_bytes!("../../assets/vestibule.css")));

/// The script of all pages. Without it every page still works.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("vestibule", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/vestibule.js"))
});

/// The script of pages that use passkeys.
pub static PASSKEY: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("passkey", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/passkey.js")));

/// The icon in the browser's tab.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")));

/// A static file.
#[derive(Debug)]
pub struct Asset {
    name: String,
    path: String,
    media_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let hash = DocumentId::of(bytes).to_string();
        let name = format!("{stem}-{}.{extension}", &hash[..16]);
        Self { path: format!("/assets/{name}"), name, media_type, bytes }
    }

    /// Where it is served, from the root of the host.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Where the style sheet of an accent colour is served, from the root of the host.
#[must_use]
pub fn accent_path(accent: Color) -> String {
    format!("/assets/accent-{}.css", String::from(accent).trim_start_matches('#'))
}

/// The route `/assets/{name}` of all static files, and `/favicon.ico`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/assets/{name}", get(async |Path(name): Path<String>| serve(&name)))
        .route("/favicon.ico", get(async || favicon()))
}

/// The icon for whoever asks the host for one, in the format that all of them read.
fn favicon() -> Response {
    let icon: &[u8] = include_bytes!("../../assets/favicon.ico");
    cached("image/x-icon", "public, max-age=86400", icon)
}

/// Whether a name at the root of a host is that of a file which browsers, crawlers and scanners ask every host for
/// (`robots.txt`, `apple-touch-icon.png`, `wp-login.php`): no domain ends like this.
pub(super) fn is_file_name(name: &str) -> bool {
    const ENDINGS: [&str; 11] = ["txt", "ico", "png", "svg", "xml", "json", "webmanifest", "js", "css", "html", "php"];
    name.starts_with('.')
        || name.rsplit_once('.').is_some_and(|(_, end)| ENDINGS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

fn serve(name: &str) -> Response {
    let asset = [&*STYLE, &*SCRIPT, &*PASSKEY, &*ICON].into_iter().find(|asset| asset.name == name);
    if let Some(asset) = asset {
        return forever(asset.media_type, asset.bytes);
    }
    let accent = name.strip_prefix("accent-").and_then(|rest| rest.strip_suffix(".css"));
    match accent.and_then(|digits| Color::try_from(format!("#{digits}")).ok()) {
        Some(accent) => forever(STYLE.media_type, accent_style(accent)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn accent_style(accent: Color) -> String {
    format!(":root{{--accent:{};--on-accent:{}}}", String::from(accent), accent.readable_text())
}

fn forever(media_type: &'static str, body: impl IntoResponse) -> Response {
    cached(media_type, "public, max-age=31536000, immutable", body)
}

fn cached(media_type: &'static str, caching: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // An icon is SVG: opened as a document it must not be able to do anything.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// All files with an accent style, by name.
#[cfg(test)]
pub(super) fn files_for_looking(accent: &str) -> Vec<(String, Vec<u8>)> {
    let accent = Color::try_from(accent.to_owned()).expect("a colour");
    let fixed = [&*STYLE, &*SCRIPT, &*PASSKEY, &*ICON].into_iter().map(|asset| (asset.name.clone(), asset.bytes.to_vec()));
    let name = accent_path(accent).trim_start_matches("/assets/").to_owned();
    fixed.chain([(name, accent_style(accent).into_bytes())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_served_under_the_hash_of_their_content() {
        for asset in [&*STYLE, &*SCRIPT, &*PASSKEY, &*ICON] {
            let response = serve(asset.path().strip_prefix("/assets/").unwrap());
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[header::CONTENT_TYPE], asset.media_type);
            assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        }
        assert_eq!(serve("vestibule-0000000000000000.css").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn only_colours_become_accent_styles() {
        let accent = Color::try_from("#0b5cad".to_owned()).unwrap();
        assert_eq!(accent_path(accent), "/assets/accent-0b5cad.css");
        assert_eq!(serve("accent-0b5cad.css").status(), StatusCode::OK);
        assert_eq!(accent_style(accent), ":root{--accent:#0b5cad;--on-accent:#ffffff}");
        for bad in ["accent-.css", "accent-0b5cad}.css", "accent-red.css", "accent-0b5cad", "accent-+b5cad.css"] {
            assert_eq!(serve(bad).status(), StatusCode::NOT_FOUND, "{bad}");
        }
    }

    #[test]
    fn the_style_sheet_loads_nothing_from_elsewhere() {
        let style = std::str::from_utf8(STYLE.bytes).unwrap();
        assert!(!style.contains("@import") && !style.contains("url(") && !style.contains("//"));
    }
}
