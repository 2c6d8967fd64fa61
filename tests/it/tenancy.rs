//! One tenant never stands in for another, and nobody learns from outside who is known.

use reqwest::{Method, header::AUTHORIZATION};
use url::Url;

use crate::support::{
    apply::home_tenant,
    client::Client,
    journey::{Guest, shared_demo},
    process::{Demo, SignsInWith},
    random,
    visitor::{Answer, Visitor},
};

#[tokio::test]
async fn t_08_sources_that_disagree_are_refused_in_every_pair() {
    let demo = shared_demo().await;
    let (home_id, home_domain) = home_tenant(&demo).await;
    let base = demo.origin();
    let ours = [demo.tenant_id.as_str(), &demo.verified_domain];
    let others = [home_id.as_str(), &home_domain, "nobody.example", "00000000-0000-4000-8000-000000000000"];
    let app = &demo.app.client_id;
    for our in ours {
        for other in others {
            for (path, query) in [(our, other), (other, our)] {
                for url in [
                    format!("{base}/{path}?tenantid={query}"),
                    format!("{base}/{path}?TenantId={query}"),
                    format!("{base}/{path}/signin/Expenses/{app}?tenantId={query}"),
                    format!("{base}/{path}/oauth2/v2.0/authorize?tenantid={query}"),
                ] {
                    Visitor::new(&demo).open(&url).await.refused(400, "VB1004");
                }
            }
        }
        // sources that agree are one source
        for same in ours {
            Visitor::new(&demo).visit(&format!("{base}/{our}?tenantid={same}")).await.expect(200);
        }
    }
    let twice = format!("{base}/?tenantid={}&tenantId={home_id}", demo.tenant_id);
    Visitor::new(&demo).open(&twice).await.refused(400, "VB5003");
}

#[tokio::test]
async fn t_08_common_links_and_authorities_name_nobody() {
    let demo = shared_demo().await;
    let base = demo.origin();
    let app = &demo.app.client_id;
    for url in [
        demo.links.common.clone(),
        format!("{base}/"),
        format!("{base}/common"),
        format!("{base}/organizations"),
        format!("{base}/Consumers"),
        format!("{base}/signin/Expenses/{app}"),
        format!("{base}/api/signin/{app}"),
        format!("{base}/common/oauth2/v2.0/authorize?client_id={app}"),
        format!("{base}/common?tenantid={}", demo.tenant_id),
    ] {
        let answer = Visitor::new(&demo).open(&url).await.refused(400, "VB1001");
        assert!(answer.page().has("organisation") || url.contains("oauth2") || url.contains("common?"), "{url}: {}", answer.body);
        let problem = Visitor::new(&demo).get_json(&url).await.refused(400, "VB1001");
        assert_eq!(problem.header("content-type"), "application/problem+json");
    }
    for url in [format!("{base}/me"), format!("{base}/{{{}}}", demo.tenant_id), format!("{base}/?tenantid=a%20b")] {
        let answer = Visitor::new(&demo).open(&url).await;
        assert!(answer.status.is_client_error() && answer.onward().is_none(), "{url}: {}", answer.status);
    }
}

/// The field of the refusal page leads to the tenant-specific form of the same link.
#[tokio::test]
async fn the_field_for_the_organisation_leads_on_to_the_same_link() {
    let demo = shared_demo().await;
    let mut visitor = Visitor::new(&demo);
    let page = visitor.open(&demo.links.common).await.page();
    let answer = visitor.press(&page, "next", &[("organisation", "not a domain")]).await;
    let answer = visitor.follow(answer).await;
    // The page's own code stays; the field's is beside it.
    assert!(answer.page().has("organisation") && answer.body.contains("VB2014"), "{}", answer.body);
    let answer = visitor.press(&answer.page(), "next", &[("organisation", "nobody.example")]).await;
    visitor.follow(answer).await.refused(404, "VB1002");
    for typed in [demo.verified_domain.clone(), format!("  {}. ", demo.verified_domain.to_ascii_uppercase())] {
        let page = visitor.open(&demo.links.common).await.page();
        let answer = visitor.press(&page, "next", &[("organisation", &typed)]).await;
        let answer = visitor.follow(answer).await.expect(200);
        assert!(answer.page().has("email"), "{typed}: {}", answer.body);
    }
}

/// T-09: for people too an unknown tenant looks the same in whatever form it is named.
#[tokio::test]
async fn t_09_an_unknown_tenant_is_the_same_page_in_every_form() {
    let demo = shared_demo().await;
    let base = demo.origin();
    let mut texts = Vec::new();
    for unknown in ["nobody.example", "00000000-0000-4000-8000-000000000000", "xn--nobody-kta.example"] {
        for url in [format!("{base}/{unknown}"), format!("{base}/?tenantid={unknown}")] {
            let answer = Visitor::new(&demo).open(&url).await.refused(404, "VB1002");
            texts.push(without_reference(&answer));
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
}

/// The words of a page without the reference that differs on every one.
fn without_reference(answer: &Answer) -> String {
    let page = answer.page();
    page.text
        .split_whitespace()
        .filter(|word| !(word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit())))
        .collect::<Vec<_>>()
        .join(" ")
}

/// T-01: what was issued in one tenant is worth nothing in another.
#[tokio::test]
async fn t_01_nothing_of_one_tenant_opens_another() {
    let demo = shared_demo().await;
    let (home_id, _) = home_tenant(&demo).await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let there = |url: &Url| Url::parse(&url.as_str().replace(&demo.tenant_id, &home_id)).expect("a URL");
    let http = client.http();

    // code and client: not even known there
    let token = http.request(Method::POST, &there(&client.endpoint("token_endpoint")));
    let answer =
        http.receive(token.basic_auth(&client.id, Some(&client.secret)).form(&client.code_grant(&code, &request.verifier))).await;
    assert_eq!(answer.expect(401).json()["error"], "invalid_client");
    let tokens = client.exchange(&demo, &code, &request).await;
    let grant = [("grant_type", "refresh_token".to_owned()), ("refresh_token", tokens.refresh_token.expect("a refresh token"))];
    let token = http.request(Method::POST, &there(&client.endpoint("token_endpoint")));
    let answer = http.receive(token.basic_auth(&client.id, Some(&client.secret)).form(&grant)).await;
    assert_eq!(answer.expect(401).json()["error"], "invalid_client");

    // access token
    let userinfo = http.request(Method::GET, &there(&client.endpoint("userinfo_endpoint")));
    http.receive(userinfo.header(AUTHORIZATION, format!("Bearer {}", tokens.access_token))).await.expect(401);

    // client, at the authorization endpoint
    let url = request.url().replace(&demo.tenant_id, &home_id);
    guest.browser.open(&url).await.refused(404, "VB1006");

    // session: a thief renames the cookie so that it would be the other tenant's
    let panel = Url::parse(&format!("{}/{home_id}", demo.origin())).expect("a URL");
    let mut thief = Visitor::new(&demo);
    let simple = |id: &str| id.replace('-', "");
    for cookie in guest.browser.jar.iter().filter(|cookie| cookie.name.starts_with("__Host-vb-")) {
        let name = cookie.name.replace(&simple(&demo.tenant_id), &simple(&home_id)).replace(&demo.tenant_id, &home_id);
        thief.jar.plant(&cookie.host, &name, &cookie.value);
    }
    let answer = thief.visit(panel.as_str()).await.expect(200);
    assert!(!answer.page().has("sign-out"), "{}", answer.body);

    // journey: its path under the other tenant
    let mut stranger = Visitor::new(&demo);
    let page = stranger.visit(&demo.links.panel_by_id).await.expect(200);
    let moved = page.url.as_str().replace(&demo.tenant_id, &home_id);
    if moved != page.url.as_str() {
        stranger.open(&moved).await.refused(400, "VB4001");
    }
    let posted = stranger.act(match page.page().press("next", &[("email", "x@fabrikam.example")]) {
        crate::support::page::Action::Post(url, fields) => crate::support::page::Action::Post(
            Url::parse(&url.as_str().replace(&demo.tenant_id, &home_id)).expect("a URL"),
            fields,
        ),
        get => get,
    });
    let answer = posted.await;
    assert!(answer.status.is_client_error(), "{}: {}", answer.status, answer.body);

    // invitation: its link, and its ticket where a link of the other tenant would have one
    let (_, link) = demo.invited();
    let moved = link.replace(&demo.tenant_id, &home_id);
    assert_ne!(moved, link);
    Visitor::new(&demo).open(&moved).await.refused(404, "VB2016");

    // artefacts that were never issued are refused in the same way
    let userinfo = http.request(Method::GET, &there(&client.endpoint("userinfo_endpoint")));
    http.receive(userinfo.header(AUTHORIZATION, format!("Bearer {}", random()))).await.expect(401);
}

/// T-12, S-53: no two tenants share a key, so a token of one cannot verify in another.
#[tokio::test]
async fn t_12_s_53_every_tenant_has_keys_of_its_own() {
    let demo = shared_demo().await;
    let (home_id, _) = home_tenant(&demo).await;
    let client = Client::of(&demo).await;
    let url = client.endpoint("jwks_uri").as_str().replace(&demo.tenant_id, &home_id);
    let theirs = client.http().get_json(&url).await.expect(200).json();
    let theirs = theirs["keys"].as_array().expect("keys");
    assert!(!theirs.is_empty());
    for key in theirs {
        assert!(client.keys.find(key["kid"].as_str().expect("a kid")).is_none(), "{key}");
    }
}

/// T-10: asking for a code looks the same whether or not the address may sign in here.
#[tokio::test]
async fn t_10_the_passcode_page_does_not_tell_who_is_known() {
    let demo = Demo::start();
    let known = demo.person(SignsInWith::OneTimePasscode).email;
    let domain = known.split_once('@').expect("an address").1;
    let mut seen = Vec::new();
    // The same first letter, which stands in the picture beside the address.
    for address in [known.clone(), format!("{}nobody@{domain}", &known[..1])] {
        let mut guest = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
        guest.person.email.clone_from(&address);
        let sending = guest.stop_before(&demo.links.panel_by_id, "send-code").await;
        let page = sending.page();
        let sent = guest.browser.press(&page, "send-code", &[]).await;
        let entering = guest.browser.follow(sent).await;
        let wrong = guest.browser.press(&entering.page(), "next", &[("code", "00000000")]).await;
        let wrong = guest.browser.follow(wrong).await;
        let cookies: Vec<_> = guest.browser.jar.iter().map(|cookie| cookie.name.len()).collect();
        let shape = |answer: &Answer| {
            let text = without_reference(answer).replace(&address, "ADDRESS");
            let ids: Vec<_> = answer.page().elements.iter().filter_map(|e| e.attribute("id").map(str::to_owned)).collect();
            (answer.status, text, ids)
        };
        seen.push((shape(&sending), shape(&entering), shape(&wrong), cookies));
    }
    assert_eq!(seen[0], seen[1]);
}
