//! Forms and cookies: what another site, a sibling host or a curious client can make the server do. Nothing.

use reqwest::{
    Method,
    header::{ACCEPT, COOKIE, HeaderValue},
};
use url::Url;

use crate::support::{
    client::Client,
    count,
    jar::Jar,
    journey::{Guest, shared_demo},
    page::{Action, Page},
    process::{Demo, SignsInWith},
    random, soon,
    visitor::{Answer, Visitor},
};

/// A form as its page sends it.
fn post_of(page: &Page, button: &str, typed: &[(&str, &str)]) -> (Url, Vec<(String, String)>) {
    match page.press(button, typed) {
        Action::Post(url, fields) => (url, fields),
        Action::Get(url) => panic!("{button} is a link to {url}"),
    }
}

/// The same form, sent by somebody else.
async fn forged(browser: &Visitor, url: &Url, fields: &[(String, String)], headers: &[(&str, &str)]) -> Answer {
    let mut request = browser.request(Method::POST, url).header(ACCEPT, "text/html").form(fields);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.receive(request).await
}

/// S-63 on one form: other origins, siblings, a missing token, a token of another flow.
async fn refuses_forgeries(guest: &Guest<'_>, page: &Page, button: &str, typed: &[(&str, &str)], foreign: &[(String, String)]) {
    let (url, fields) = post_of(page, button, typed);
    let own = url.origin().ascii_serialization();
    for headers in [
        vec![("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null"), ("sec-fetch-site", "cross-site")],
        vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "cross-site")],
    ] {
        let answer = forged(&guest.browser, &url, &fields, &headers).await;
        answer.refused(403, "VB4007");
    }
    let same = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    let token_of = |fields: &[(String, String)]| fields.iter().find(|(name, _)| name.contains("csrf")).cloned();
    let token = token_of(&fields).unwrap_or_else(|| panic!("{button}: no token in {fields:?}"));
    let without: Vec<_> = fields.iter().filter(|field| **field != token).cloned().collect();
    let with = |value: String| without.iter().cloned().chain([(token.0.clone(), value)]).collect::<Vec<_>>();
    let foreign = token_of(foreign).expect("a token of another flow").1;
    for fields in [without.clone(), with(String::new()), with(random()), with(foreign), with(format!("{}A", token.1))] {
        let answer = forged(&guest.browser, &url, &fields, &same).await;
        assert!(answer.status.is_client_error(), "{button}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn s_63_b_10_no_form_can_be_sent_from_elsewhere() {
    let demo = Demo::start();
    let mut other = Visitor::new(&demo);
    let page = other.visit(&demo.links.panel_by_id).await.page();
    let (_, foreign) = post_of(&page, "next", &[("email", "x@fabrikam.example")]);
    for person in [SignsInWith::HomeOrganisation, SignsInWith::OneTimePasscode] {
        let mut guest = Guest::new(&demo, demo.person(person));
        let mut answer = guest.browser.visit(&demo.links.panel_by_id).await;
        for _ in 0..12 {
            let page = answer.page();
            for button in ["next", "send-code", "open-terms", "accept", "decline", "cancel", "switch-account", "sign-out"] {
                if page.has(button) && page.element(button).is_some_and(|element| element.name == "button") {
                    refuses_forgeries(&guest, &page, button, &[], &foreign).await;
                }
            }
            if page.has("sign-out") {
                break;
            }
            // None of it changed anything: the person goes on.
            answer = guest.step(answer).await;
        }
        assert!(answer.page().has("sign-out"), "{:?} {}", guest.pressed, answer.body);
    }
}

#[tokio::test]
async fn s_64_no_page_is_shown_inside_another() {
    let demo = shared_demo().await;
    let mut guest = Guest::signed_in(&demo).await;
    let journey = Visitor::new(&demo).visit(&demo.links.panel_by_id).await.url;
    let client = Client::of(&demo).await;
    let authorize = Url::parse(&client.request().url()).expect("a URL");
    let panel = Url::parse(&demo.links.panel_by_id).expect("a URL");
    for dest in ["iframe", "frame", "object", "embed", "fencedframe"] {
        for url in [&panel, &journey, &authorize] {
            let request = guest.browser.request(Method::GET, url).header(ACCEPT, "text/html").header("sec-fetch-dest", dest);
            let answer = guest.browser.send(request.header("sec-fetch-mode", "navigate")).await;
            answer.refused(403, "VB4008");
        }
    }
}

/// The bytes of every file in the data folder. A page is written only by a commit, so equal bytes are an equal store.
fn store_bytes(demo: &Demo) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(demo.data()).expect("the data folder").flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    let mut files: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).expect("a readable file"))).collect();
    files.sort();
    files
}

#[tokio::test]
async fn s_65_d_09_get_head_and_options_change_nothing_however_often() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    // A page with everything on it: halfway through a journey of somebody else.
    let mut halfway = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    let review = halfway.stop_before(&demo.links.app, "accept").await;
    let mut urls = review.page().targets();
    urls.extend(guest.browser.visit(&demo.links.panel_by_id).await.page().targets());
    urls.push(review.url.clone());
    let links = &demo.links;
    let texts = [&links.panel_by_id, &links.panel_by_domain, &links.app, &links.app_by_domain, &links.common, &demo.base_url];
    urls.extend(texts.iter().filter_map(|link| Url::parse(link).ok()));
    for endpoint in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"] {
        urls.push(client.endpoint(endpoint));
    }
    for path in ["healthz", "readyz", "metrics", "robots.txt", "favicon.ico", "nowhere", ".well-known/openid-configuration"] {
        urls.push(Url::parse(&format!("{}/{path}", demo.origin())).expect("a URL"));
    }
    let segments = ["address", "send-code", "code", "password", "home-organisation", "permissions", "open-terms", "terms"];
    for segment in segments.into_iter().chain(["switch-account", "continue"]) {
        urls.push(Url::parse(&format!("{}/{segment}", review.url)).expect("a URL"));
    }
    urls.retain(|url| url.origin().ascii_serialization() == demo.origin());
    urls.sort();
    urls.dedup();
    assert!(urls.len() > 25, "{urls:?}");
    let before = store_bytes(&demo);
    let starts = count(200, 100_000) / urls.len() + 1;
    for url in &urls {
        for browser in [&guest.browser, &halfway.browser, &Visitor::new(&demo)] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                let request = browser.request(method, url).header(ACCEPT, "text/html");
                browser.receive(request).await;
            }
        }
        for _ in 0..starts {
            let stranger = Visitor::new(&demo);
            stranger.receive(stranger.request(Method::GET, &Url::parse(&client.request().url()).expect("a URL"))).await;
        }
    }
    assert!(store_bytes(&demo) == before, "S-65, D-09: the store changed");
}

/// S-66, B-03: what a thief or a sibling put there before the sign-in does not survive it.
#[tokio::test]
async fn s_66_b_03_a_sign_in_renews_the_session() {
    let demo = shared_demo().await;
    let mut guest = Guest::signed_in(&demo).await;
    let session = |jar: &Jar| {
        let found: Vec<_> =
            jar.iter().filter(|cookie| cookie.name.contains("vb-s-")).map(|cookie| cookie.value.clone()).collect();
        assert_eq!(found.len(), found.iter().collect::<std::collections::HashSet<_>>().len());
        found
    };
    let first = session(&guest.browser.jar);
    let client = Client::of(&demo).await;
    let request = client.request().with("prompt", "login");
    client.code(&mut guest, &request).await;
    let second = session(&guest.browser.jar);
    assert!(second.iter().all(|value| !first.contains(value)), "renewed at login");
    // a planted session is not taken over
    let mut victim = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let host = Url::parse(&demo.base_url).expect("a URL").host_str().expect("a host").to_owned();
    let name = format!("__Host-vb-s-{}", demo.tenant_id.replace('-', ""));
    victim.browser.jar.plant(&host, &name, "AAAAplanted");
    victim.arrive(&demo.links.panel_by_id).await.expect(200);
    assert!(!session(&victim.browser.jar).contains(&"AAAAplanted".to_owned()));
}

/// S-50: after signing out the stolen cookie is worth nothing.
#[tokio::test]
async fn s_50_g_13_a_stolen_session_ends_with_the_session() {
    let demo = shared_demo().await;
    let mut guest = Guest::signed_in(&demo).await;
    let mut thief = guest.browser.clone();
    let panel = guest.browser.visit(&demo.links.panel_by_id).await.page();
    let answer = guest.browser.press(&panel, "sign-out", &[]).await;
    guest.browser.follow(answer).await.expect(200);
    for browser in [&mut guest.browser, &mut thief] {
        let mut out = async || !browser.visit(&demo.links.panel_by_id).await.expect(200).page().has("sign-out");
        // The node that did it knows at once, another one a moment later.
        let ended = if demo.is_several() { soon(out).await } else { out().await };
        assert!(ended, "still signed in");
    }
}

/// B-01, B-02, B-04: the session is read from exactly one cookie of exactly that name.
#[tokio::test]
async fn b_01_b_02_b_04_the_session_cookie_is_known_by_its_exact_octets() {
    let demo = shared_demo().await;
    let guest = Guest::signed_in(&demo).await;
    let panel = Url::parse(&demo.links.panel_by_id).expect("a URL");
    let cookies = guest.browser.jar.header(&panel).expect("cookies");
    let name = format!("__Host-vb-s-{}=", demo.tenant_id.replace('-', ""));
    let session = cookies.split("; ").find(|cookie| cookie.starts_with(&name)).expect("a session").to_owned();
    let http = Visitor::new(&demo);
    let signed_in = async |cookie: Vec<u8>| {
        let value = HeaderValue::from_bytes(&cookie).expect("a header value");
        let request = http.request(Method::GET, &panel).header(ACCEPT, "text/html").header(COOKIE, value);
        http.receive(request).await.page().has("sign-out")
    };
    assert!(signed_in(session.clone().into_bytes()).await);
    // B-04: rubbish beside it does not hide it
    for beside in [b"x=\xff\xfe".to_vec(), b"=;;; a".to_vec(), "ü=ü".as_bytes().to_vec(), b"\"=\"".to_vec(), b"x".to_vec()] {
        assert!(signed_in([&beside, &b"; "[..], session.as_bytes()].concat()).await, "before: {beside:?}");
        assert!(signed_in([session.as_bytes(), &b"; "[..], &beside].concat()).await, "after: {beside:?}");
    }
    // B-01: near misses are not it
    let (name, value) = session.split_once('=').expect("a cookie");
    let near = [
        name.replace("__", "%5F%5F"),
        name.replace("Host", "%48ost"),
        name.to_ascii_lowercase(),
        name.to_ascii_uppercase(),
        format!("\u{2000}{name}"),
        format!("\u{85}{name}"),
        format!("\u{a0}{name}"),
        format!("\"{name}\""),
        format!("{name} "),
        format!("{name}%20"),
        format!("{name}.0"),
        name[2..].to_owned(),
        format!("${name}"),
    ];
    for other in &near {
        assert!(!signed_in(format!("{other}={value}").into_bytes()).await, "{other}");
        // B-02: nor do they get in the way of the real one
        assert!(signed_in(format!("{session}; {other}=planted").into_bytes()).await, "{other}");
    }
    // B-02: the name twice is no cookie at all
    for twice in [format!("{session}; {session}"), format!("{session}; {name}=planted"), format!("{name}=planted; {session}")] {
        assert!(!signed_in(twice.clone().into_bytes()).await, "{twice}");
    }
    // every changed octet of the value is noticed
    for at in (0..value.len()).step_by(value.len() / 24 + 1) {
        let mut changed = value.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(!signed_in([name.as_bytes(), b"=", &changed].concat()).await, "octet {at}");
    }
}

/// L-06: endpoints in any order, without a proof, never lead in.
#[tokio::test]
async fn l_06_no_walk_through_the_endpoints_replaces_a_proof() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let segments = ["", "address", "send-code", "code", "password", "home-organisation", "permissions", "open-terms", "terms"];
    let segments: Vec<_> = segments.into_iter().chain(["switch-account", "continue"]).collect();
    let names = ["email", "code", "password", "answer", "action", "version", "document", "agreement", "way", "federation"];
    let known = demo.person(SignsInWith::OneTimePasscode).email;
    let values = ["", "accept", "decline", "00000000", "1", known.as_str(), "x@fabrikam.example", "en"];
    let mut dice = Dice(0x5eed);
    for walk in 0..count(6, 500) {
        let mut browser = Visitor::new(&demo);
        let request = client.request();
        let start = [request.url(), demo.links.app.clone(), demo.links.panel_by_id.clone()][walk % 3].clone();
        let mut answer = browser.visit(&start).await;
        let journey = answer.url.clone();
        let token =
            answer.page().elements.iter().find(|e| e.attribute("name").is_some_and(|name| name.contains("csrf"))).cloned();
        let token = token.expect("a form with a token");
        for _ in 0..40 {
            let segment = segments[dice.below(segments.len())];
            let url = Url::parse(&format!("{}/{segment}", journey.as_str().trim_end_matches('/'))).expect("a URL");
            let mut fields = vec![(
                token.attribute("name").unwrap_or_default().to_owned(),
                token.attribute("value").unwrap_or_default().to_owned(),
            )];
            for name in names {
                if dice.below(3) == 0 {
                    fields.push((name.to_owned(), values[dice.below(values.len())].to_owned()));
                }
            }
            answer = match dice.below(4) {
                0 => browser.open(url.as_str()).await,
                _ => {
                    let request = browser
                        .request(Method::POST, &url)
                        .header("origin", demo.origin())
                        .header("sec-fetch-site", "same-origin");
                    browser.send(request.header(ACCEPT, "text/html").form(&fields)).await
                }
            };
            let to = answer.onward().map(String::from).unwrap_or_default();
            assert!(!(to.starts_with(&client.redirect_uri) && to.contains("code=")), "a code at {url}");
            assert!(!answer.page().has("accept"), "past the proof at {url}");
            assert!(browser.jar.iter().all(|cookie| !cookie.name.contains("vb-s-")), "a session at {url}");
        }
    }
}

/// A small generator (xorshift), so that a failing walk can be walked again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or_default()
    }
}
