//! Nobody is sent where they should not be.

use url::Url;

use crate::support::{
    client::{Client, parameter},
    journey::{Guest, shared_demo},
    visitor::Visitor,
};

/// The corpus of redirect URIs, made for one that is registered.
fn corpus(registered: &str) -> Vec<String> {
    let url = Url::parse(registered).expect("a URL");
    let host = registered.split('/').nth(2).expect("a host");
    let lines = include_str!("../../fixtures/redirect-uri-templates.txt").lines().filter(|line| !line.starts_with('#'));
    let fill = |line: &str| {
        line.replace("{uri}", registered)
            .replace("{origin}", &url.origin().ascii_serialization())
            .replace("{host}", host)
            .replace("{path}", url.path())
    };
    let mut corpus: Vec<_> = lines.map(fill).filter(|line| line != registered).collect();
    corpus.push(format!("{registered}?{}", "x".repeat(2000)));
    corpus.push(registered.to_ascii_uppercase());
    corpus.push(format!("{registered}\0"));
    corpus.push(format!("{registered}\r\n"));
    corpus
}

#[tokio::test]
async fn r_01_s_23_only_the_registered_redirect_uri_is_gone_to() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let corpus = corpus(&client.redirect_uri);
    assert!(corpus.len() > 80);
    for uri in corpus {
        for prompt in ["select_account", "none"] {
            let request = client.request().with("redirect_uri", &uri).with("prompt", prompt);
            let answer = guest.browser.open(&request.url()).await;
            assert_eq!(answer.onward(), None, "{uri:?}");
            answer.refused(400, "VB5001");
        }
    }
}

/// there is no parameter that sends a person somewhere after signing in or out.
#[tokio::test]
async fn r_02_no_parameter_or_header_is_an_open_redirect() {
    let demo = shared_demo().await;
    let mut guest = Guest::signed_in(&demo).await;
    let evil = "https://evil.example/";
    let names =
        ["rd", "redirect", "redirect_uri", "return", "return_to", "next", "url", "continue", "target", "goto", "ReturnUrl"];
    let start = [&demo.links.panel_by_id, &demo.links.app];
    for link in start {
        for name in names {
            let mut url = Url::parse(link).expect("a URL");
            url.query_pairs_mut().append_pair(name, evil);
            for browser in [&mut guest.browser, &mut Visitor::new(&demo)] {
                let answer = browser.open(url.as_str()).await;
                assert!(answer.onward().is_none_or(|to| to.host_str() != Some("evil.example")), "{url}");
            }
        }
        let url = Url::parse(link).expect("a URL");
        for header in ["referer", "x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-host", "forwarded", "origin"]
        {
            let request = guest.browser.request(reqwest::Method::GET, &url).header("accept", "text/html").header(header, evil);
            let answer = guest.browser.receive(request).await;
            assert!(!answer.body.contains("evil.example"), "{header}: {}", answer.body);
            assert!(answer.onward().is_none_or(|to| to.host_str() != Some("evil.example")), "{header}");
        }
    }
}

/// S-47: a sign-out that nobody vouches for asks first; a link on another site cannot end a session.
#[tokio::test]
async fn s_47_signing_out_without_a_hint_asks_first() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let answer = guest.browser.visit(client.endpoint("end_session_endpoint").as_str()).await.expect(200);
    assert!(answer.page().has("sign-out"), "{}", answer.body);
    let panel = guest.browser.visit(&demo.links.panel_by_id).await;
    assert!(panel.page().has("sign-out"), "still signed in: {}", panel.body);
    let answer = guest.browser.press(&answer.page(), "sign-out", &[]).await;
    guest.browser.follow(answer).await.expect(200);
    let panel = guest.browser.visit(&demo.links.panel_by_id).await;
    assert!(!panel.page().has("sign-out"), "{}", panel.body);
}

/// H-18: under another name the server says nothing.
#[tokio::test]
async fn h_18_an_unknown_host_is_refused() {
    let demo = shared_demo().await;
    let http = Visitor::new(&demo);
    let url = Url::parse(&demo.links.panel_by_id).expect("a URL");
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2", "xn--e1afmkfd.example"] {
        let request = http.request(reqwest::Method::GET, &url).header("host", host).header("accept", "text/html");
        let answer = http.receive(request).await;
        assert_eq!(answer.status, 421, "{host}: {}", answer.body);
    }
}

/// S-46: after signing out a browser goes only to a registered address, and only with a hint that is good.
#[tokio::test]
async fn s_46_signing_out_sends_nobody_to_an_unregistered_address() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let hint = client.exchange(&demo, &code, &request).await.id_token.expect("an ID token");
    let end = client.endpoint("end_session_endpoint");
    for (to, hint) in [("https://evil.example/", hint.as_str()), ("https://evil.example/", ""), (&client.redirect_uri, "x.y.z")] {
        let mut url = end.clone();
        url.query_pairs_mut().append_pair("post_logout_redirect_uri", to);
        if !hint.is_empty() {
            url.query_pairs_mut().append_pair("id_token_hint", hint);
        }
        let answer = guest.browser.open(url.as_str()).await;
        assert!(
            answer.onward().is_none_or(|onward| parameter(&onward, "code").is_none() && !onward.as_str().starts_with(to)),
            "{to}"
        );
    }
}
