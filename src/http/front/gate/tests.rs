use http::Request;
use proptest::prelude::*;

use super::*;

fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
    let request = build(Request::builder().uri("/").header("host", "contoso.example"));
    request.body(()).expect("a request").into_parts().0
}

fn code(parts: &Parts) -> Option<(u16, &'static str)> {
    judge(parts, &Limits::default()).err().map(|refusal| (refusal.code().status().as_u16(), refusal.reason()))
}

#[test]
fn p_01_every_path_of_the_corpus_is_judged_as_it_says() {
    let corpus = include_str!("../../../../fixtures/paths.txt");
    let mut count = 0;
    for line in corpus.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (answer, path) = line.split_once('\t').expect("an answer and a path");
        let path = unescape(path);
        let judged = judge_path(&path);
        assert_eq!(judged.is_ok(), answer == "accept", "{} {judged:?}", path.escape_ascii());
        count += 1;
    }
    assert!(count > 200, "{count} paths");
}

fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match rest {
            [b'\\', b'x', high, low, tail @ ..] => {
                out.push(hex(*high).expect("hex") * 16 + hex(*low).expect("hex"));
                tail
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

#[test]
fn p_04_hosts_are_compared_without_case() {
    let same = parts(|request| request.uri("https://CONTOSO.example/"));
    assert_eq!(code(&same), None);
    let other = parts(|request| request.uri("https://contoso.example.evil.example/"));
    assert_eq!(code(&other), Some((400, "the target's authority and Host differ")));
    let port = parts(|request| request.uri("https://contoso.example:443/"));
    assert_eq!(code(&port), Some((400, "the target's authority and Host differ")));
}

#[test]
fn p_05_only_the_listed_methods_pass_as_written() {
    for method in ALLOWED_METHODS.split(", ") {
        assert_eq!(code(&parts(|request| request.method(method))), None, "{method}");
    }
    for method in ["get", "Get", "FOO", "TRACE", "CONNECT", "PROPFIND", "QUERY"] {
        assert_eq!(code(&parts(|request| request.method(method))).map(|code| code.0), Some(405), "{method}");
    }
}

#[test]
fn p_08_a_host_is_a_name_with_an_optional_port() {
    for host in ["a", "a.example", "A.example.", "a.example:8443", "127.0.0.1:80", "[::1]", "[::1]:8080", "my_app:3000"] {
        assert!(judge_authority(host.as_bytes()), "{host}");
    }
    let long = "a".repeat(64);
    for host in [
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "good@evil.example",
        "a:",
        "a:0",
        "a:080",
        "a:65536",
        "a:+1",
        "a:1:2",
        "a/b",
        "a?b",
        "a%2eb",
        "ä.example",
        "[::1",
        "[::1]x",
        "[zz]",
        "::1",
        "a,b",
        "a;b",
        "a\\b",
        &long,
    ] {
        assert!(!judge_authority(host.as_bytes()), "{host}");
    }
}

#[test]
fn what_we_read_is_ascii_and_single() {
    let latin = http::HeaderValue::from_bytes(b"caf\xe9").expect("a value");
    for name in ["authorization", "content-type", "origin", "sec-fetch-mode", "accept", "x-forwarded-host"] {
        assert_eq!(code(&parts(|request| request.header(name, &latin))).map(|code| code.0), Some(400), "{name}");
    }
    for name in ["cookie", "user-agent", "x-other"] {
        assert_eq!(code(&parts(|request| request.header(name, &latin))), None, "{name}");
    }
    for name in ["authorization", "content-type", "origin", "sec-fetch-site"] {
        let twice = parts(|request| request.header(name, "a").header(name, "a"));
        assert_eq!(code(&twice).map(|code| code.0), Some(400), "{name}");
    }
}

#[test]
fn d_03_compressed_bodies_are_refused() {
    assert_eq!(code(&parts(|request| request.header("content-encoding", "gzip"))).map(|code| code.0), Some(415));
    assert_eq!(code(&parts(|request| request.header("content-encoding", "identity"))).map(|code| code.0), Some(415));
}

#[test]
fn d_11_large_heads_are_refused_with_their_own_status() {
    let long = "a".repeat(8 * 1024);
    assert_eq!(code(&parts(|request| request.uri(format!("/{long}")))).map(|code| code.0), Some(414));
    let wide = parts(|request| request.header("x-a", &long).header("x-b", &long));
    assert_eq!(code(&wide).map(|code| code.0), Some(431));
    let many = parts(|request| (0..64).fold(request, |request, n| request.header(format!("x-{n}"), "1")));
    assert_eq!(code(&many).map(|code| code.0), Some(431));
    let crumbs = parts(|request| (0..100).fold(request, |request, n| request.header("cookie", format!("c{n}=1"))));
    assert_eq!(code(&crumbs), None);
}

#[test]
fn h_03_fields_that_fold_into_others_are_dropped() {
    let mut headers = parts(|request| {
        request
            .header("X_Guest_Email", "evil")
            .header("x-guest_email", "evil")
            .header("X-Guest.Email", "evil")
            .header("x-ok", "1")
    })
    .headers;
    drop_foldable_fields(&mut headers);
    let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["host", "x-ok"]);
}

/// Once more with the eyes of a lenient reader: decode, treat `\` as `/`, cut `;...`, and look for what is ambiguous.
fn a_lenient_reader_is_misled(path: &str) -> bool {
    let mut text = path.to_owned();
    for _ in 0..3 {
        text = String::from_utf8_lossy(&percent_decoded(text.as_bytes())).into_owned();
    }
    let text = text.replace('\\', "/");
    text != path && !path.contains('%')
        || text.contains("//")
        || text.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
        || text.matches('/').count() != path.matches('/').count()
        || text.chars().any(char::is_control)
}

proptest! {
    #[test]
    fn p_01_what_passes_means_one_thing(path in "(/|\\.|%2e|%2F|%25|%5c|%0|2e|;|\\\\|a|%c3%a9|%|\u{e9}){0,12}") {
        let path = format!("/{path}");
        if judge_path(path.as_bytes()).is_ok() {
            prop_assert!(!a_lenient_reader_is_misled(&path));
        }
    }

    #[test]
    fn judging_never_panics(path in prop::collection::vec(any::<u8>(), 0..64), host in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = judge_path(&path);
        let _ = judge_authority(&host);
    }
}
