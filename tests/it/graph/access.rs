//! Who may call what: tokens, permissions, forms of requests.

use reqwest::{Method, header};
use serde_json::json;

use super::api::{Api, app_id, declared};
use crate::support::{
    apply::apply,
    client::Client,
    journey::{Guest, shared_demo},
    process::Demo,
    random, soon,
};

/// What comes with a permission, beside itself.
fn implied(permission: &str) -> &'static [&'static str] {
    match permission {
        "User.ReadWrite.All" => &["User.Read.All", "User.Invite.All", "User.EnableDisableAccount.All"],
        "Directory.Read.All" => &["User.Read.All", "Organization.Read.All", "Application.Read.All"],
        "Directory.ReadWrite.All" => &[
            "Directory.Read.All",
            "User.ReadWrite.All",
            "User.Read.All",
            "User.Invite.All",
            "User.EnableDisableAccount.All",
            "Organization.ReadWrite.All",
            "Organization.Read.All",
            "Application.Read.All",
        ],
        "Organization.ReadWrite.All" => &["Organization.Read.All"],
        _ => &[],
    }
}

const PERMISSIONS: [&str; 14] = [
    "User.Read",
    "User.Read.All",
    "User.Invite.All",
    "User.EnableDisableAccount.All",
    "User.ReadWrite.All",
    "Organization.Read.All",
    "Organization.ReadWrite.All",
    "CrossTenantInformation.ReadBasic.All",
    "Application.Read.All",
    "AppRoleAssignment.ReadWrite.All",
    "AuditLog.Read.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
    "Agreement.Read.All",
];

/// A path that leads to a route, with parameters that name nobody.
fn some_path(template: &str) -> String {
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(&app_id());
        rest = after.split_once('}').expect("a closing brace").1;
    }
    path + rest
}

/// every route that there is refuses whoever has no token, and every permission opens the routes that it is for and no
/// other.
#[tokio::test]
async fn a_02_every_permission_opens_its_routes_and_no_other() {
    let demo = shared_demo().await;
    let nobody = Api::with(&demo, &[]).await;
    let routes = nobody.document.routes();
    assert!(routes.len() > 35, "{}", routes.len());
    let call = async |api: &Api, method: &str, path: &str, token: bool| {
        let method: Method = method.parse().expect("a method");
        let path = some_path(path);
        let request = if token { api.request(method.clone(), &path) } else { api.bare(method.clone(), &path) };
        let request = if method == Method::POST || method == Method::PATCH { request.json(&json!({})) } else { request };
        api.send(request).await
    };
    let guarded: Vec<_> = routes.iter().filter(|(_, path, _)| path != "/openapi.json").collect();
    assert_eq!(guarded.len(), routes.len() - 1, "only the document is for everybody");
    for (method, path, _) in &guarded {
        let answer = call(&nobody, method, path, false).await.expect(401);
        assert_eq!(
            (answer.header("www-authenticate").as_str(), answer.code().as_str()),
            ("Bearer", "InvalidAuthenticationToken")
        );
        let expected = if path == "/$batch" { 400 } else { 403 };
        call(&nobody, method, path, true).await.expect(expected);
    }
    let apps = PERMISSIONS.map(|permission| (permission, app_id(), random()));
    let all: String = apps.iter().map(|(permission, id, secret)| declared(id, secret, &[permission])).collect();
    apply(&demo, &all, &[]);
    for (permission, app, secret) in apps {
        let mut api = Api { app, secret, ..nobody.clone() };
        api.token = api.new_token(&demo).await;
        for (method, path, opened_by) in guarded.iter().filter(|(_, path, _)| path != "/$batch") {
            let opens = opened_by.iter().any(|name| name == permission || implied(permission).contains(&name.as_str()));
            let answer = call(&api, method, path, true).await;
            assert_eq!(answer.status != 403, opens, "{permission}: {method} {path}: {}", answer.text);
            assert_ne!(answer.status, 401, "{permission}: {method} {path}");
            if !opens {
                assert_eq!(answer.code(), "Authorization_RequestDenied");
            }
        }
    }
}

/// A-03, S-54, T-01: nothing but a token that was made for the directory gets in, and only in the header.
#[tokio::test]
async fn a_03_s_54_only_tokens_for_the_directory_are_taken_and_only_in_the_header() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.Read.All"]).await;
    api.get("/users").await.expect(200);
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    let of_app = api.token.clone();
    let (head, tail) = of_app.split_at(of_app.len() - 10);
    let parts: Vec<&str> = of_app.split('.').collect();
    for wrong in [
        tokens.access_token.as_str(),
        &tokens.id_token.expect("an ID token"),
        &tokens.refresh_token.expect("a refresh token"),
        "x",
        "",
        "a.b.c",
        &format!("{head}AAAAAAAAAA"),
        head,
        &format!("{of_app}A"),
        &format!("{}..{}", parts[0], parts[2]),
        &format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
        &format!("{} {tail}", of_app),
    ] {
        let answer = api.holding(wrong).get("/users").await.expect(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    let bare = |path: &str| api.bare(Method::GET, path);
    for elsewhere in [
        bare(&format!("/users?access_token={of_app}")),
        bare("/users").header(header::COOKIE, format!("access_token={of_app}; __Host-vb-s-{}={of_app}", demo.tenant_id)),
        bare("/users").header(header::AUTHORIZATION, format!("Basic {of_app}")),
        bare("/users").header(header::AUTHORIZATION, of_app.as_str()),
    ] {
        api.send(elsewhere).await.expect(401);
    }
    let twice = api.request(Method::GET, "/users").header(header::AUTHORIZATION, format!("Bearer {of_app}"));
    let answer = twice.send().await.expect("an answer");
    assert!(matches!(answer.status().as_u16(), 400 | 401), "{}", answer.status());
    // A session in a browser is nothing here.
    let url = url::Url::parse(&format!("{}/me", api.service)).expect("a URL");
    let answer = guest.browser.receive(guest.browser.request(Method::GET, &url)).await;
    assert_eq!(answer.status, 401);
}

/// T-05: what is taken from an app counts for the tokens that it has already.
#[tokio::test]
async fn t_05_a_permission_that_is_taken_away_and_an_app_that_is_switched_off_count_at_once() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.Read.All", "Organization.Read.All"]).await;
    api.get("/users").await.expect(200);
    let fewer = declared(&api.app, &api.secret, &["Organization.Read.All"]);
    apply(&demo, &fewer, &[]);
    assert!(soon(async || api.get("/users").await.status == 403).await);
    api.get("/organization").await.expect(200);
    apply(&demo, &fewer.replace("visible = false", "visible = false\nenabled = false"), &[]);
    assert!(soon(async || api.get("/organization").await.status == 401).await);
}

/// T-07: in a tenant that is suspended no token is good for anything.
#[tokio::test]
async fn t_07_a_suspended_tenant_has_no_directory() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.Read.All"]).await;
    let other = Api::elsewhere(&demo, &["CrossTenantInformation.ReadBasic.All"]).await;
    let of = |kind: &str, name: &str| format!("/tenantRelationships/findTenantInformationBy{kind}='{name}')");
    let by_id = of("TenantId(tenantId", &api.tenant);
    api.get("/users").await.expect(200);
    let domain = other.get(&by_id).await.expect(200).json()["defaultDomainName"].as_str().expect("a domain").to_owned();
    apply(&demo, "enabled = false\n", &[]);
    assert!(soon(async || api.get("/users").await.status == 401).await);
    // It has no public face either: by its id as by its domain it is what never was.
    let unknown = other.get(&of("TenantId(tenantId", &super::api::app_id())).await.expect(404).comparable();
    for path in [by_id, of("DomainName(domainName", &domain)] {
        assert_eq!(other.get(&path).await.comparable(), unknown, "{path}");
    }
}

/// a form of another site can send no JSON, and so changes nothing, whoever's browser sends it.
#[tokio::test]
async fn a_05_bodies_have_to_say_that_they_are_json() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.Invite.All"]).await;
    let body = json!({ "invitedUserEmailAddress": super::api::address(), "inviteRedirectUrl": demo.app.url }).to_string();
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""] {
        for path in ["/invitations", "/$batch"] {
            let request = api.request(Method::POST, path).header(header::CONTENT_TYPE, media).body(body.clone());
            api.send(request.header(header::ORIGIN, "https://evil.example")).await.expect(415);
        }
    }
    for (bad, what) in
        [("", "nothing"), ("[]", "a list"), ("{", "half"), ("{\"a\":1,\"a\":2}", "a member twice"), ("\"x\"", "a text")]
    {
        let request = api.request(Method::POST, "/invitations").header(header::CONTENT_TYPE, "application/json").body(bad);
        assert_eq!(api.send(request).await.status, 400, "{what}");
    }
    let preflight = api.bare(Method::OPTIONS, "/invitations").header(header::ORIGIN, "https://evil.example");
    api.send(preflight.header("access-control-request-method", "POST")).await.expect(401);
}

/// A tenant's invitations are limited to 150 in 5 s for all its apps together, batches and whatever else may mail one included;
/// the answer says how long to wait.
#[tokio::test]
async fn a_06_invitations_are_limited_for_all_apps_of_a_tenant_together() {
    let demo = crate::support::process::Demo::start();
    let (one, other) = (Api::with(&demo, &["User.ReadWrite.All"]).await, Api::with(&demo, &["User.Invite.All"]).await);
    let begun = std::time::Instant::now();
    let nobody = app_id();
    let mailing =
        ["/invitations".to_owned(), format!("/users/{nobody}/resendInvitation"), format!("/users/{nobody}/resetRedemption")];
    let item = |(id, url): (usize, &String)| {
        let headers = json!({ "Content-Type": "application/json" });
        json!({ "id": id.to_string(), "method": "POST", "url": url, "headers": headers, "body": {} })
    };
    let items: Vec<_> = mailing.iter().cycle().take(20).enumerate().map(item).collect();
    let batch = json!({ "requests": items });
    let mut limited = 0;
    for _ in 0..12 {
        for response in one.post("/$batch", &batch).await.expect(200).json()["responses"].as_array().expect("responses") {
            if response["status"] == 429 {
                assert!(response["headers"]["retry-after"].is_string(), "{response}");
                limited += 1;
            }
        }
    }
    // It took so long that a few more were let through.
    let refilled = begun.elapsed().as_millis() * 150 / 5_000;
    assert!(limited > 0 && i128::from(limited) >= 240 - 150 - i128::try_from(refilled).expect("small") - 1, "{limited}");
    assert!(limited <= 90, "{limited} of 240");
    let mut answer = other.post("/invitations", &json!({})).await;
    for _ in 0..200 {
        if answer.status == 429 {
            break;
        }
        answer = other.post("/invitations", &json!({})).await;
    }
    let wait: u32 = answer.expect(429).header("retry-after").parse().expect("seconds");
    assert!((1..=5).contains(&wait), "{wait}");
    // Nobody else waits for them.
    Api::elsewhere(&demo, &["User.Invite.All"]).await.post("/invitations", &json!({})).await.expect(400);
}
