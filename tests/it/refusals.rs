//! Those who are not let in learn why, what to do next, and nothing else.

use reqwest::Method;
use url::Url;

use crate::support::{
    apply::{apply_to, put_guest, put_home_member},
    client::Client,
    journey::Guest,
    page::Page,
    process::{Demo, Process, SignsInWith},
    visitor::Visitor,
};

/// What every refusal page has: what happened, what to do next, its code, its reference in the log.
fn leads_on(page: &Page) {
    for id in ["refusal", "next-step", "error-code", "trace-id"] {
        assert!(page.has(id), "no {id}: {}", page.text);
    }
}

/// "You are not invited" comes after the proof and never before it (decision 3).
#[tokio::test]
async fn somebody_who_is_not_invited_is_told_so_after_the_proof() {
    let demo = Demo::start();
    let known = demo.person(SignsInWith::HomeOrganisation);
    let domain = known.email.split_once('@').expect("an address").1;
    let stranger = put_home_member(&demo, &format!("nobody@{domain}")).await;
    let mut guest = Guest::new(&demo, stranger.clone());
    let page = guest.stop_before(&demo.links.app, "next").await.page();
    let proof = guest.browser.press(&page, "next", &[("email", &stranger.email)]).await;
    let proof = guest.browser.follow(proof).await.expect(200);
    assert!(proof.page().has("password"), "no hint before the proof: {}", proof.body);
    let refused = guest.step(proof).await.refused(403, "VB2001");
    leads_on(&refused.page());
    assert!(refused.page().text.contains(&stranger.email), "it says which account is in use: {}", refused.body);
    assert!(refused.page().has("switch-account"), "{}", refused.body);
    // Once they are invited, the same link works.
    put_guest(&demo, &stranger.email, true);
    let mut guest = Guest::new(&demo, stranger);
    guest.arrive_at(&demo.links.panel_by_id, "nowhere:").await.expect_err("the panel").expect(200);
}

/// Somebody without an invitation gets no code, and the page does not say so.
#[tokio::test]
async fn somebody_who_is_not_invited_gets_no_passcode() {
    let demo = Demo::start();
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    let domain = guest.person.email.split_once('@').expect("an address").1.to_owned();
    guest.person.email = format!("nobody@{domain}");
    let page = guest.stop_before(&demo.links.app, "send-code").await.page();
    let answer = guest.browser.press(&page, "send-code", &[]).await;
    let answer = guest.browser.follow(answer).await.expect(200);
    assert!(answer.page().has("code") && answer.code().is_none(), "{}", answer.body);
    guest.mailbox.stays_empty().await;
}

/// L-02: an address that the home organisation does not vouch for matches nobody, though somebody of that address is invited.
#[tokio::test]
async fn l_01_l_02_an_unverified_upstream_address_matches_nobody() {
    let demo = Demo::start();
    let known = demo.person(SignsInWith::HomeOrganisation);
    let victim = "victim@fabrikam-labs.example";
    put_guest(&demo, victim, true);
    let member = put_home_member(&demo, victim).await;
    let mut guest = Guest::new(&demo, known);
    let page = guest.stop_before(&demo.links.app, "next").await.page();
    let email = guest.person.email.clone();
    let answer = guest.browser.press(&page, "next", &[("email", &email)]).await;
    let mut at_home = guest.browser.follow(answer).await.expect(200).page();
    if !at_home.has("password") {
        panic!("not at the home organisation: {}", at_home.text);
    }
    // There they sign in as somebody else, whose address has the domain that nobody verified.
    if at_home.element("email").is_none_or(|email| email.attribute("readonly").is_some()) {
        let answer = guest.browser.press(&at_home, "switch-account", &[]).await;
        at_home = guest.browser.follow(answer).await.page();
    }
    let password = member.password.as_deref().expect("a password");
    let answer = guest.browser.press(&at_home, "next", &[("email", victim), ("password", password)]).await;
    let refused = guest.browser.follow(answer).await.refused(403, "VB2002");
    leads_on(&refused.page());
    assert!(refused.page().has("switch-account"), "{}", refused.body);
}

#[tokio::test]
async fn a_domain_that_is_not_verified_is_refused_by_its_own_code() {
    let demo = Demo::start();
    let domains = [(demo.verified_domain.as_str(), true), ("contoso-labs.example", false)];
    apply_to(&demo, &demo.tenant_id, "Contoso", &domains, "", &[]);
    for url in [
        format!("{}/contoso-labs.example", demo.origin()),
        format!("{}/?tenantid=contoso-labs.example", demo.origin()),
        format!("{}/contoso-labs.example/signin/Expenses/{}", demo.origin(), demo.app.client_id),
    ] {
        let refused = Visitor::new(&demo).open(&url).await.refused(403, "VB1003");
        leads_on(&refused.page());
        let problem = Visitor::new(&demo).get_json(&url).await.refused(403, "VB1003");
        assert_eq!(problem.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn an_app_that_is_not_known_is_refused_by_its_own_code() {
    let demo = Demo::start();
    for app in ["00000000-0000-4000-8000-000000000000", "nothing", "0000000000004000800000000000000"] {
        let url = format!("{}/api/signin/{app}?tenantId={}", demo.origin(), demo.tenant_id);
        let answer = Visitor::new(&demo).visit(&url).await;
        assert!(matches!(answer.code(), Some("VB1006" | "VB1005")), "{app}: {} {}", answer.status, answer.body);
        leads_on(&answer.page());
    }
}

/// An address that cannot be one is corrected where it was typed.
#[tokio::test]
async fn l_11_an_address_that_cannot_be_one_is_refused_where_it_was_typed() {
    let demo = Demo::start();
    let mut visitor = Visitor::new(&demo);
    for typed in [
        "",
        "a",
        "a@",
        "@b.example",
        "a@b@c.example",
        "a b@c.example",
        "\"a\"@c.example",
        "a@c.example\r\nBcc: x@y.example",
        "a%b@c.example@d.example",
    ] {
        let page = visitor.visit(&demo.links.panel_by_id).await.page();
        let answer = visitor.press(&page, "next", &[("email", typed)]).await;
        let answer = visitor.follow(answer).await;
        assert_eq!(answer.code(), Some("VB2013"), "{typed:?}: {}", answer.body);
        assert!(answer.page().has("email"), "{typed:?}");
    }
}

/// W-04: what is refused before any route has seen it is told once, with the name that its answer carries, and without an
/// address that was in it.
#[tokio::test]
async fn w_04_what_the_front_refuses_is_told_once_and_without_addresses() {
    let demo = Demo::start();
    let address = demo.person(SignsInWith::HomeOrganisation).email;
    let visitor = Visitor::new(&demo);
    for (method, path, status, told) in [
        ("GET", "/a//b".to_owned(), 400, "path=\"/a//b\" reason=\"the path has an empty segment\""),
        ("GET", format!("/a//{address}"), 400, "reason=\"the path has an empty segment\""),
        ("FOO", format!("/v1.0/users/{address}"), 405, "path=\"/v1.0\" reason=\"the method is not offered\""),
        ("GET", format!("/{}/x", address.replace('@', "%40")), 404, "path=\"(not shown)\""),
    ] {
        let url = Url::parse(&format!("{}{path}", demo.origin())).expect("a URL");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = visitor.receive(visitor.request(method, &url)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let trace = answer.header("x-trace-id");
        assert!(answer.body.contains(trace) && trace.len() == 16, "{path}: {trace:?} {}", answer.body);
        let log: String = demo.nodes.iter().map(Process::log).collect();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&format!("{trace:?}"))).collect();
        assert!(lines.len() == 1 && lines[0].contains(told), "{path}: {lines:#?}");
        assert!(!log.contains(&address.replace('@', "%40")), "{path}: an address in the log");
    }
}

/// W-01: nothing that somebody sends begins a line of the log, or ends one. (What lines look like is checked when the demo ends.)
#[tokio::test]
async fn w_01_what_is_sent_makes_no_line_of_its_own() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    for hostile in ["x\r\n2026-11-22T00:00:00Z ERROR forged", "\u{1b}[2K\u{1b}[31mred", "a\u{2028}b\u{85}c\0d"] {
        let request = client.request();
        for (name, _) in &request.parameters {
            guest.browser.open(&client.request().with(name, hostile).url()).await;
        }
        for parameter in ["tenantid", "ticket", hostile] {
            let mut url = Url::parse(&demo.origin()).expect("a URL");
            url.query_pairs_mut().append_pair(parameter, hostile);
            guest.browser.open(url.as_str()).await;
        }
        for field in ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "client_id", hostile] {
            let mut grant = client.code_grant("x", &request.verifier);
            grant.retain(|(name, _)| *name != field);
            grant.push((field, hostile.to_owned()));
            let answer = client.token(&grant).await;
            assert!(answer.status.is_client_error(), "{field}: {}", answer.status);
        }
        let page = guest.stop_before(&demo.links.panel_by_id, "next").await.page();
        let answer = guest.browser.press(&page, "next", &[("email", hostile)]).await;
        guest.browser.follow(answer).await;
    }
    let log: String = demo.nodes.iter().map(Process::log).collect();
    assert!(log.lines().count() > 30, "it was told of:\n{log}");
}
