//! The token and userinfo endpoints.

use std::{collections::HashSet, sync::Arc};

use reqwest::{
    Method,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{
    client::{Client, Tokens, peek},
    count, crowd,
    journey::{Guest, shared_demo},
    process::{Demo, run_ok, text},
    random,
    visitor::Answer,
};

#[track_caller]
fn oauth_error(answer: Answer, status: u16, error: &str) {
    let answer = answer.expect(status);
    assert_eq!(answer.json()["error"], error, "{}", answer.body);
}

/// A sign-in with offline access, which has to be asked for (S-21).
async fn offline_tokens(demo: &Demo, client: &Client, guest: &mut Guest<'_>) -> Tokens {
    let request = client.request().with("scope", "openid profile email offline_access").with("prompt", "consent");
    let code = client.code(guest, &request).await;
    client.exchange(demo, &code, &request).await
}

fn refresh(token: &str) -> Vec<(&'static str, String)> {
    vec![("grant_type", "refresh_token".into()), ("refresh_token", token.into())]
}

#[tokio::test]
async fn s_29_s_14_g_03_g_10_a_code_is_bound_to_everything_it_was_issued_for() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    demo.secret(&code);
    let right = client.code_grant(&code, &request.verifier);
    let with = |name: &str, value: &str| {
        let replace = |(n, v): &(&'static str, String)| (*n, if *n == name { value.to_owned() } else { v.clone() });
        right.iter().map(replace).collect::<Vec<_>>()
    };
    let without = |name: &str| right.iter().filter(|(n, _)| *n != name).cloned().collect::<Vec<_>>();
    oauth_error(client.token(&with("redirect_uri", "https://evil.example/")).await, 400, "invalid_grant");
    oauth_error(client.token(&with("code_verifier", &random())).await, 400, "invalid_grant");
    oauth_error(client.token(&without("code_verifier")).await, 400, "invalid_grant");
    oauth_error(client.token(&without("redirect_uri")).await, 400, "invalid_grant");
    oauth_error(client.token(&without("code")).await, 400, "invalid_request");
    oauth_error(client.token(&without("grant_type")).await, 400, "invalid_request");
    // G-10: truncated, lengthened, changed
    for other in [&code[1..], &code[..code.len() - 1], &format!("{code}A"), &format!("{code}="), &code.to_ascii_lowercase()] {
        oauth_error(client.token(&with("code", other)).await, 400, "invalid_grant");
    }
    // Another client, known and authenticated, brings the code (G-03).
    let mut other = client.clone();
    other.id.clone_from(&demo.admin.client_id);
    other.secret.clone_from(&demo.admin.client_secret);
    oauth_error(other.token(&right).await, 400, "invalid_grant");
    // None of that used it up.
    client.token(&right).await.expect(200);
    oauth_error(client.token(&right).await, 400, "invalid_grant");
}

#[tokio::test]
async fn s_29_a_code_lives_sixty_seconds() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    demo.later(std::time::Duration::from_secs(61));
    oauth_error(client.token(&client.code_grant(&code, &request.verifier)).await, 400, "invalid_grant");
}

#[tokio::test]
async fn s_11_g_09_a_verifier_without_a_challenge_is_a_downgrade() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    // The sample app is not exempt, so a request without a challenge is refused before there is a code.
    let request = client.request().without("code_challenge").without("code_challenge_method");
    let back = guest.arrive_at(&request.url(), &client.redirect_uri).await.expect("back at the client");
    assert!(back.query().is_some_and(|query| query.contains("error=invalid_request")), "{back}");
}

/// G-01: two hundred exchanges of one code at one moment; exactly one gets tokens.
#[tokio::test(flavor = "multi_thread")]
async fn g_01_a_code_gives_tokens_once_however_many_ask_together() {
    let _crowd = crowd().await;
    let demo = shared_demo().await;
    let client = Arc::new(Client::of(&demo).await);
    let mut guest = Guest::signed_in(&demo).await;
    for _ in 0..count(5, 1000) {
        let request = client.request();
        let code = client.code(&mut guest, &request).await;
        let grant = Arc::new(client.code_grant(&code, &request.verifier));
        let barrier = Arc::new(Barrier::new(200));
        let mut exchanges = JoinSet::new();
        for _ in 0..200 {
            let (client, grant, barrier) = (Arc::clone(&client), Arc::clone(&grant), Arc::clone(&barrier));
            exchanges.spawn(async move {
                barrier.wait().await;
                client.token(&grant).await
            });
        }
        let answers = exchanges.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "winners");
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.json()["error"] == "invalid_grant"));
    }
}

/// G-05, G-08: two hundred uses of one refresh token; the grace gives every tab the same successor, never a second family.
#[tokio::test(flavor = "multi_thread")]
async fn g_05_g_08_a_refresh_token_has_one_successor_however_many_ask_together() {
    let _crowd = crowd().await;
    let demo = shared_demo().await;
    let client = Arc::new(Client::of(&demo).await);
    let mut guest = Guest::signed_in(&demo).await;
    for _ in 0..count(2, 1000) {
        let first = offline_tokens(&demo, &client, &mut guest).await.refresh_token.expect("a refresh token");
        let barrier = Arc::new(Barrier::new(200));
        let mut uses = JoinSet::new();
        for _ in 0..200 {
            let (client, grant, barrier) = (Arc::clone(&client), refresh(&first), Arc::clone(&barrier));
            uses.spawn(async move {
                barrier.wait().await;
                client.token(&grant).await
            });
        }
        let answers = uses.join_all().await;
        let given: Vec<_> = answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.json()).collect();
        let successors: HashSet<_> = given.iter().map(|body| body["refresh_token"].as_str().expect("a successor")).collect();
        assert_eq!(successors.len(), 1, "successors");
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.json()["error"] == "invalid_grant"));
        let successor = (*successors.iter().next().expect("one")).to_owned();
        client.token(&refresh(&successor)).await.expect(200);
    }
}

/// G-06, G-08: once the grace is over or a newer one was used, an old refresh token ends the whole family.
#[tokio::test]
async fn g_06_s_31_an_old_refresh_token_ends_the_family() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let first = offline_tokens(&demo, &client, &mut guest).await.refresh_token.expect("a refresh token");
    let mut current = first.clone();
    for _ in 0..3 {
        let body = client.token(&refresh(&current)).await.expect(200).json();
        current = body["refresh_token"].as_str().expect("a successor").to_owned();
    }
    oauth_error(client.token(&refresh(&first)).await, 400, "invalid_grant");
    oauth_error(client.token(&refresh(&current)).await, 400, "invalid_grant");
}

/// S-30, G-02: the second use of a code ends what the first one gave.
#[tokio::test]
async fn s_30_g_02_a_replayed_code_revokes_what_it_gave() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request().with("scope", "openid offline_access").with("prompt", "consent");
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    oauth_error(client.token(&client.code_grant(&code, &request.verifier)).await, 400, "invalid_grant");
    let refresh_token = tokens.refresh_token.expect("a refresh token");
    oauth_error(client.token(&refresh(&refresh_token)).await, 400, "invalid_grant");
}

#[tokio::test]
async fn s_19_s_31_a_refresh_keeps_who_and_when_and_widens_nothing() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let first = offline_tokens(&demo, &client, &mut guest).await;
    let first_refresh = first.refresh_token.clone().expect("a refresh token");
    let mut wide = refresh(&first_refresh);
    wide.push(("scope", "openid profile email offline_access https://graph.example/.default".into()));
    let answer = client.token(&wide).await;
    assert!(answer.status == 400 || !answer.json()["scope"].as_str().unwrap_or_default().contains("graph"), "{}", answer.body);
    let second = if answer.status == 200 {
        client.tokens(&demo, &answer)
    } else {
        let answer = client.token(&refresh(&first_refresh)).await.expect(200);
        client.tokens(&demo, &answer)
    };
    for claim in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(first.claims[claim], second.claims[claim], "S-19: {claim}");
    }
    assert_ne!(first.refresh_token, second.refresh_token, "S-31: it rotates");
    // G-08: within the grace another tab gets the same successor; another client never.
    let mut other = client.clone();
    other.id.clone_from(&demo.admin.client_id);
    other.secret.clone_from(&demo.admin.client_secret);
    let current = second.refresh_token.expect("a refresh token");
    oauth_error(other.token(&refresh(&current)).await, 400, "invalid_grant");
    for other in [&current[1..], &format!("{current}A"), "", "x"] {
        let answer = client.token(&refresh(other)).await.expect(400);
        assert!(["invalid_grant", "invalid_request"].contains(&answer.json()["error"].as_str().unwrap_or_default()));
    }
    client.token(&refresh(&current)).await.expect(200);
}

#[tokio::test]
async fn s_21_offline_access_is_given_only_when_it_was_asked_for() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    assert_eq!(client.exchange(&demo, &code, &request).await.refresh_token, None);
}

#[tokio::test]
async fn s_18_s_17_s_45_c_05_c_06_userinfo_is_about_the_subject_of_the_id_token() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    let userinfo = client.userinfo(&tokens.access_token).await.expect(200);
    assert!(userinfo.header("cache-control").contains("no-store"), "S-14: {:?}", userinfo.headers);
    let claims = userinfo.json();
    assert_eq!(claims["sub"], tokens.claims["sub"]);
    assert_eq!(claims["email"], *guest.person.email);
    assert_eq!(claims["email_verified"], true, "S-17");
    let post = client.http().request(Method::POST, &client.endpoint("userinfo_endpoint"));
    let posted = client.http().receive(post.header(AUTHORIZATION, format!("Bearer {}", tokens.access_token))).await;
    assert_eq!(posted.expect(200).json()["sub"], tokens.claims["sub"], "C-05");
    let id_token = tokens.id_token.expect("an ID token");
    let (head, tail) = tokens.access_token.split_at(tokens.access_token.len() - 6);
    for wrong in [&id_token, "", "x", "a.b.c", &format!("{head}AAAAAA"), &tokens.access_token[1..], &format!("{head}{tail}A")] {
        let answer = client.userinfo(wrong).await.expect(401);
        let challenge = answer.header(WWW_AUTHENTICATE.as_str()).to_owned();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        if !wrong.is_empty() {
            assert!(challenge.contains(r#"error="invalid_token""#), "{wrong}: {challenge}");
        }
    }
    // S-45: a token in the URL is no token.
    let mut url = client.endpoint("userinfo_endpoint");
    url.set_query(Some(&format!("access_token={}", tokens.access_token)));
    client.http().get_json(url.as_str()).await.expect(401);
    let form = client.http().request(Method::POST, &client.endpoint("userinfo_endpoint"));
    client.http().receive(form.form(&[("access_token", &tokens.access_token)])).await.expect(401);
}

#[tokio::test]
async fn s_38_s_54_an_access_token_is_a_jwt_of_its_own_kind() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let tokens = client.exchange(&demo, &code, &request).await;
    let header = jsonwebtoken::decode_header(&tokens.access_token).expect("a JWT");
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256);
    let claims = peek(&tokens.access_token);
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(!claims[claim].is_null(), "RFC 9068 2.2: {claim} in {claims}");
    }
}

#[tokio::test]
async fn s_33_s_34_c_19_a_client_authenticates_in_one_way_and_properly() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let endpoint = client.endpoint("token_endpoint");
    let http = client.http();
    let grant = client.code_grant("nothing", &random());
    let post = || http.request(Method::POST, &endpoint);
    let mut both = grant.clone();
    both.extend([("client_id", client.id.clone()), ("client_secret", client.secret.clone())]);
    let answer = http.receive(post().basic_auth(&client.id, Some(&client.secret)).form(&both)).await;
    oauth_error(answer, 400, "invalid_request");
    // C-19: in the body alone is the other way
    oauth_error(http.receive(post().form(&both)).await, 400, "invalid_grant");
    let answer = http.receive(post().basic_auth(&client.id, Some("wrong")).form(&grant)).await;
    assert!(answer.header(WWW_AUTHENTICATE.as_str()).starts_with("Basic"), "{:?}", answer.headers);
    oauth_error(answer, 401, "invalid_client");
    for header in ["Basic", "Basic ", "Basic !!!", "Basic YQ==", "Basic Og==", "basic", "Bearer x", "Basic gICAgIA=="] {
        let answer = http.receive(post().header(AUTHORIZATION, header).form(&grant)).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{header}: {}", answer.body);
    }
    oauth_error(http.receive(post().form(&grant)).await, 401, "invalid_client");
}

#[tokio::test]
async fn s_32_grants_that_are_not_offered_are_named_so() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    for grant in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ] {
        let answer = client.token(&[("grant_type", grant.into()), ("username", "x".into()), ("password", "x".into())]).await;
        oauth_error(answer, 400, "unsupported_grant_type");
    }
}

#[tokio::test]
async fn the_administrators_application_gets_a_token_for_the_directory_and_nothing_else() {
    let demo = shared_demo().await;
    let mut client = Client::of(&demo).await;
    client.id.clone_from(&demo.admin.client_id);
    client.secret.clone_from(&demo.admin.client_secret);
    let ask = |scope: &str| vec![("grant_type", "client_credentials".to_owned()), ("scope", scope.to_owned())];
    let answer = client.token(&ask(&format!("{}/.default", demo.origin()))).await.expect(200).json();
    let token = answer["access_token"].as_str().expect("an access token");
    assert!(peek(token)["roles"].as_array().is_some_and(|roles| !roles.is_empty()));
    assert_eq!(answer.get("refresh_token"), None);
    assert_eq!(answer.get("id_token"), None);
    client.userinfo(token).await.expect(401);
    oauth_error(client.token(&ask("openid")).await, 400, "invalid_scope");
    let app = Client::of(&demo).await;
    let answer = app.token(&ask(&format!("{}/.default", demo.origin()))).await;
    assert!(
        answer.status == 400
            || peek(answer.json()["access_token"].as_str().unwrap_or(".e30."))["roles"].as_array().is_none_or(Vec::is_empty)
    );
}

/// F-13, S-20: after a rotation by command new tokens have new keys, and what the old ones signed is still good.
#[tokio::test]
async fn f_13_s_20_old_tokens_and_hints_outlive_a_rotation() {
    let demo = Demo::start();
    let client = Client::of(&demo).await;
    let mut guest = Guest::signed_in(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let old = client.exchange(&demo, &code, &request).await;
    let rotate =
        |ahead: &str| run_ok(&["keys", "rotate", &demo.verified_domain, "--publish-ahead", ahead, "--data", text(demo.data())]);
    let kid = |token: &str| jsonwebtoken::decode_header(token).expect("a JWT").kid;
    // published, and not used yet
    rotate("3600");
    let published = Client::of(&demo).await;
    assert!(published.keys.keys.len() > client.keys.keys.len(), "{:?}", published.keys);
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let same = client.exchange(&demo, &code, &request).await;
    assert_eq!(kid(&same.access_token), kid(&old.access_token));
    // used
    rotate("0");
    let client = Client::of(&demo).await;
    let request = client.request();
    let code = client.code(&mut guest, &request).await;
    let new = client.exchange(&demo, &code, &request).await;
    assert_ne!(kid(&new.access_token), kid(&old.access_token));
    client.userinfo(&old.access_token).await.expect(200);
    let hinted = client.request().with("prompt", "none").with("id_token_hint", &old.id_token.expect("an ID token"));
    let back = guest.browser.open(&hinted.url()).await.onward().expect("a redirect");
    client.code_in(&back, &hinted);
    // The app's door learns of the new keys by itself.
    guest.arrive(&demo.app.url).await.expect(200);
}
