//! Every page, in every language, looked at as a browser would.

use std::collections::HashSet;

use http::{HeaderMap, StatusCode};

use super::samples::{Filling, Sample, all};
use crate::i18n::Language;

/// A start tag.
#[derive(Debug, PartialEq)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    /// Where the text behind it begins.
    end: usize,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Its name and those of its attributes, without what they say.
    fn shape(&self) -> String {
        self.attributes.iter().fold(self.name.clone(), |shape, (name, _)| shape + " " + name)
    }
}

/// All start tags of a page of ours: attribute values are always in double quotes.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = html[at..].find('<').map(|open| at + open) {
        let mut rest = &html[open + 1..];
        let name_end = rest.find(|c: char| c.is_whitespace() || c == '>').expect("a tag has a name");
        let name = rest[..name_end].to_owned();
        rest = &rest[name_end..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let stop = rest.find(|c: char| c == '=' || c == '>' || c.is_whitespace()).expect("a tag ends");
            let (attribute, tail) = rest.split_at(stop);
            assert!(!attribute.is_empty(), "{}", &html[open..(open + 80).min(html.len())]);
            let (value, tail) = match tail.strip_prefix("=\"") {
                Some(tail) => tail.split_once('"').expect("a value ends"),
                None => ("", tail),
            };
            attributes.push((attribute.to_owned(), value.to_owned()));
            rest = tail;
        }
        at = html.len() - rest.len();
        if !name.starts_with('/') && !name.starts_with('!') {
            tags.push(Tag { name, attributes, end: at });
        }
    }
    tags
}

fn benign(language: Language) -> Vec<Sample> {
    all(Filling { language, hostile: None })
}

fn ids(tags: &[Tag]) -> Vec<&str> {
    tags.iter().filter_map(|tag| tag.attribute("id")).collect()
}

#[test]
fn every_page_is_complete_in_every_language() {
    for &language in Language::ALL {
        for Sample { name, html, .. } in benign(language) {
            let page = format!("{name} in {}", language.tag());
            assert!(html.starts_with("<!doctype html>"), "{page}");
            assert!(!html.contains('\u{27e6}') && !html.contains("{$") && !html.contains("{ $"), "{page}: a sentence is missing");
            assert!(!html.contains('\u{2068}'), "{page}");
            let tags = tags(&html);
            let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
            for once in ["html", "title", "main", "h1", "header", "footer"] {
                assert_eq!(count(once), 1, "{page}: <{once}>");
            }
            assert_eq!(tags[1].attribute("lang"), None, "{page}");
            assert_eq!(tags[0].attribute("lang"), Some(language.tag()), "{page}");
            let title = &html[tags.iter().find(|tag| tag.name == "title").unwrap().end..];
            assert!(!title.starts_with("</") && !title.starts_with(" ·"), "{page}: empty title");
        }
    }
}

#[test]
fn ids_are_unique_and_every_reference_finds_its_target() {
    for Sample { name, html, .. } in benign(Language::English) {
        let tags = tags(&html);
        let ids = ids(&tags);
        let known: HashSet<_> = ids.iter().copied().collect();
        assert_eq!(known.len(), ids.len(), "{name}: {ids:?}");
        for tag in &tags {
            for reference in ["for", "aria-describedby", "aria-labelledby"] {
                for target in tag.attribute(reference).unwrap_or_default().split_whitespace() {
                    assert!(known.contains(target), "{name}: {reference}={target}");
                }
            }
        }
    }
}

#[test]
fn what_people_type_and_press_keeps_its_id() {
    let pages = benign(Language::English);
    let on = |page: &str, wanted: &[&str]| {
        let sample = pages.iter().find(|sample| sample.name == page).unwrap();
        let tags = tags(&sample.html);
        for id in wanted {
            let tag = tags.iter().find(|tag| tag.attribute("id") == Some(*id)).unwrap_or_else(|| panic!("{page}: no {id}"));
            assert!(["input", "button", "a"].contains(&tag.name.as_str()), "{page}: {id} is a <{}>", tag.name);
        }
    };
    on("identify", &["email", "next"]);
    on("send-code", &["send-code", "switch-account"]);
    on("enter-code", &["code", "next", "send-code", "switch-account"]);
    on("password", &["email", "password", "next"]);
    on("account", &["email", "password", "next", "passkey", "set-up"]);
    on("set-up", &["passkey", "new-password", "next", "switch-account"]);
    on("review", &["accept", "cancel", "switch-account"]);
    on("terms", &["open-terms", "accept", "decline", "switch-account"]);
    on("resume", &["continue", "switch-account"]);
    on("leaving-home", &["continue"]);
    on("form-post", &["continue"]);
    on("refusal-common", &["organisation", "next"]);
    on("refusal-not-invited", &["start-again", "switch-account"]);
    on("refusal-home-unreachable", &["with-code", "start-again", "switch-account"]);
    on("panel", &["app-1", "sign-out", "switch-account"]);
    on("declined", &["start-again", "continue", "switch-account"]);
    on("sign-out-confirm", &["sign-out", "cancel"]);
    on("prove-mailbox", &["send-code", "switch-account"]);
    on("prove-mailbox-error", &["code", "next", "send-code", "switch-account"]);
    on("send-again", &["send", "other-address"]);
    on("refusal-expired", &["send-again"]);
    on("confirm-leave", &["leave", "cancel"]);
    on("invitations-allowed", &["block"]);
    on("invitations-blocked", &["allow"]);
    on("refusal-already-guest", &["switch-account", "apps"]);
    on("leaving-invited", &["continue"]);
}

/// S-63: every form that changes something carries the token of its flow.
#[test]
fn s_63_every_form_that_posts_carries_the_token() {
    for Sample { name, html, .. } in benign(Language::English) {
        for form in html.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap();
            let to_client = name == "form-post";
            let posts = form.contains("method=\"post\"");
            assert!(posts || form.contains("method=\"get\""), "{name}");
            assert_eq!(form.contains("name=\"csrf\" value=\"c2FtcGxlLXRva2Vu\""), posts && !to_client, "{name}: {form}");
        }
    }
}

/// WCAG 2.2: names for what is typed into, errors tied to their field, alternatives, zoom, no trap for the unwary.
#[test]
fn pages_are_accessible_as_far_as_markup_can_tell() {
    for Sample { name, html, .. } in benign(Language::English) {
        let tags = tags(&html);
        let labelled: HashSet<_> = tags.iter().filter(|tag| tag.name == "label").filter_map(|tag| tag.attribute("for")).collect();
        for tag in &tags {
            let about = format!("{name}: {tag:?}");
            match tag.name.as_str() {
                "input" if tag.attribute("type") != Some("hidden") => {
                    assert!(labelled.contains(tag.attribute("id").unwrap()), "{about}");
                    assert!(tag.attribute("autocomplete").is_some(), "{about}");
                }
                "button" => assert_eq!(tag.attribute("type"), Some("submit"), "{about}"),
                "img" => assert!(tag.attribute("alt").is_some(), "{about}"),
                "svg" => assert_eq!(tag.attribute("aria-hidden"), Some("true"), "{about}"),
                "a" if tag.attribute("target").is_some() => {
                    assert!(tag.attribute("rel").unwrap().contains("noopener"), "{about}");
                }
                "meta" if tag.attribute("name") == Some("viewport") => {
                    assert_eq!(tag.attribute("content"), Some("width=device-width, initial-scale=1"), "{about}");
                }
                _ => {}
            }
            assert!(tag.attribute("tabindex").is_none_or(|index| index == "0"), "{about}");
        }
        // One way on stands out; a refusal may make it the one that switches the account.
        let primary = tags.iter().filter(|tag| {
            let classes = tag.attribute("class").unwrap_or_default();
            classes.split(' ').any(|class| ["primary", "danger", "prominent"].contains(&class))
        });
        assert!(primary.count() <= 1, "{name}");
        let autofocus = tags.iter().filter(|tag| tag.attribute("autofocus").is_some()).count();
        assert!(autofocus <= 1, "{name}");
        if name.ends_with("-error") {
            let alert = tags.iter().find(|tag| tag.attribute("role") == Some("alert")).unwrap();
            assert_eq!(alert.attribute("id"), Some("error"), "{name}");
            let wrong = tags.iter().find(|tag| tag.attribute("aria-invalid") == Some("true")).unwrap();
            assert!(wrong.attribute("aria-describedby").unwrap().split(' ').any(|id| id == "error"), "{name}");
        }
    }
}

/// S-60, S-61: nothing inline, nothing from elsewhere.
#[test]
fn s_60_pages_have_no_inline_code_and_load_nothing_from_elsewhere() {
    for Sample { name, html, .. } in benign(Language::English) {
        for tag in tags(&html) {
            let about = format!("{name}: {tag:?}");
            assert!(!["style", "iframe", "object", "embed", "base"].contains(&tag.name.as_str()), "{about}");
            assert!(tag.attributes.iter().all(|(name, _)| name != "style" && !name.starts_with("on")), "{about}");
            let loads = match tag.name.as_str() {
                "script" => {
                    assert!(html[tag.end..].starts_with("</script>"), "{about}");
                    tag.attribute("src")
                }
                "img" => tag.attribute("src"),
                "link" => tag.attribute("href"),
                _ => continue,
            };
            assert!(loads.unwrap().starts_with("/assets/"), "{about}");
        }
    }
}

/// S-60, S-61, S-62: the headers of every page.
#[test]
fn s_62_every_page_has_the_protecting_headers() {
    for Sample { name, response, .. } in benign(Language::German) {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'self'", "script-src 'self'"] {
            assert!(policy.split("; ").any(|known| known == part), "{name}: {part}");
        }
        let form_action = policy.split("; ").find(|part| part.starts_with("form-action")).unwrap();
        let expected = if name == "form-post" { " https://expenses.contoso.example:8443" } else { "" };
        assert_eq!(form_action, format!("form-action 'self'{expected}"), "{name}");
        for (header_name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
            ("content-type", "text/html; charset=utf-8"),
            ("content-language", "de"),
        ] {
            assert_eq!(header(header_name), value, "{name}");
        }
        assert!(header("permissions-policy").contains("camera=()"), "{name}");
    }
    let mut plain = HeaderMap::new();
    super::protect(&mut plain, None, false);
    assert!(!plain.contains_key("strict-transport-security"), "RFC 6797 7.2: never over plain HTTP");
}

#[test]
fn a_refusal_has_the_status_of_its_code() {
    for Sample { name, response, .. } in benign(Language::English) {
        let expected = match name {
            "refusal-common" | "refusal-common-error" => StatusCode::BAD_REQUEST,
            "refusal-path" | "refusal-unknown" => StatusCode::NOT_FOUND,
            "refusal-expired" => StatusCode::GONE,
            "refusal-already-guest" => StatusCode::CONFLICT,
            "refusal-internal" => StatusCode::INTERNAL_SERVER_ERROR,
            "refusal-home-unreachable" => StatusCode::SERVICE_UNAVAILABLE,
            name if name.starts_with("refusal") || name.starts_with("declined") => StatusCode::FORBIDDEN,
            _ => StatusCode::OK,
        };
        assert_eq!(response.status(), expected, "{name}");
    }
}

/// B-06, O-13: whatever a text says, the page has the same elements with the same attributes.
#[test]
fn o_13_hostile_texts_are_inert_on_every_page() {
    let corpus = include_str!("../../../fixtures/hostile-markup.txt");
    let shapes = |sample: &Sample| -> Vec<String> {
        // `<bdi>` surrounds every argument of a sentence.
        tags(&sample.html).iter().map(Tag::shape).collect()
    };
    let plain: Vec<_> = all(Filling { language: Language::English, hostile: Some("harmless") }).iter().map(shapes).collect();
    for hostile in corpus.lines().filter(|line| !line.starts_with("# ")) {
        for (sample, plain) in all(Filling { language: Language::English, hostile: Some(hostile) }).iter().zip(&plain) {
            assert_eq!(&shapes(sample), plain, "{} with {hostile:?}", sample.name);
            for tag in tags(&sample.html) {
                for name in ["href", "action", "src", "content"] {
                    let value = tag.attribute(name).unwrap_or_default();
                    assert!(!value.contains("script:") && !value.contains("data:"), "{}: {value}", sample.name);
                }
            }
        }
    }
}

/// Writes all samples as files to the folder that `VESTIBULE_SAMPLES` names, to be looked at in a browser.
#[test]
#[expect(clippy::disallowed_methods, reason = "a developer asks for the files by the environment")]
fn samples_to_files() {
    let Ok(folder) = std::env::var("VESTIBULE_SAMPLES") else { return };
    let folder = std::path::Path::new(&folder);
    for &language in Language::ALL {
        for Sample { name, html, .. } in benign(language) {
            // Browsers look up `/assets/...` from the root of the file system, so it is made relative.
            let html = html.replace("\"/assets/", "\"assets/").replace("http-equiv=\"refresh\"", "name=\"refresh\"");
            let html = html.replace(" data-submit-at-once", "");
            std::fs::write(folder.join(format!("{}-{name}.html", language.tag())), html).unwrap();
        }
    }
    std::fs::create_dir_all(folder.join("assets/logo")).unwrap();
    for (name, bytes) in crate::http::assets::files_for_looking("#0b5c63") {
        std::fs::write(folder.join("assets").join(name), bytes).unwrap();
    }
}
