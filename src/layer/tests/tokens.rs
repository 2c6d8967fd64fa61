//! Bearer tokens at the door.

use std::sync::atomic::Ordering;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{
    StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    provider::{SESSION, at},
    *,
};
use crate::{clock::Clock, domain::AppId, error::Code, live::LiveEvent, oidc::token::mint};

fn request(authorization: &str) -> Request<()> {
    Request::get("/data").header(AUTHORIZATION, authorization).body(()).unwrap()
}

impl Door {
    async fn with(&self, token: &str) -> Response<String> {
        self.send(request(&format!("Bearer {token}"))).await
    }

    fn access_token(&self) -> String {
        self.provider.tokens(self.provider.ann(0, None)).access_token
    }
}

#[tokio::test]
async fn a_token_of_the_tenant_lets_a_program_in() {
    let door = Door::new();
    let token = door.access_token();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = door.send(request(&format!("{scheme} {token}"))).await;
        assert_eq!(answer.body(), "Ann Lee at /data with []");
    }
    assert_eq!(door.provider.fetches.load(Ordering::SeqCst), 1, "the keys were fetched once");
}

/// G-14: a remembered token is only remembered to be genuine.
#[tokio::test]
async fn g_14_a_remembered_token_is_still_revoked_and_expires() {
    let door = Door::new();
    let token = door.access_token();
    assert_eq!(door.with(&token).await.status(), StatusCode::OK);
    door.provider.happens(LiveEvent::TermsEpoch { everywhere: 1, apps: Default::default() });
    let owed = door.with(&token).await;
    assert_eq!((owed.status(), code(&owed)), (StatusCode::FORBIDDEN, Code::TermsOwed));
    assert!(owed.headers()[WWW_AUTHENTICATE].to_str().unwrap().contains(r#"error="interaction_required""#));
    door.provider.happens(LiveEvent::SessionEnded { session: SESSION, forget: at(9_999_999) });
    let ended = door.with(&token).await;
    assert_eq!((ended.status(), code(&ended)), (StatusCode::UNAUTHORIZED, Code::LoginRequired));
    assert!(ended.headers()[WWW_AUTHENTICATE].to_str().unwrap().contains(r#"error="invalid_token""#));

    let door = Door::new();
    let token = door.access_token();
    assert_eq!(door.with(&token).await.status(), StatusCode::OK);
    door.provider.clock.advance(600);
    door.provider.live.heard(door.provider.clock.now());
    assert_eq!(door.with(&token).await.status(), StatusCode::UNAUTHORIZED);
}

/// S-45: tokens in the query or in a form do not count.
#[tokio::test]
async fn s_45_a_token_in_the_query_is_ignored() {
    let door = Door::new();
    let token = door.access_token();
    let request = Request::get(format!("/data?access_token={token}")).body(()).unwrap();
    assert_eq!(code(&door.send(request).await), Code::LoginRequired);
}

/// S-38, S-54: other kinds of tokens are no access tokens, whatever they say inside.
#[tokio::test]
async fn s_38_an_id_token_is_no_access_token() {
    let door = Door::new();
    let id_token = door.provider.tokens(door.provider.ann(0, None)).id_token.unwrap();
    let refused = door.with(&id_token).await;
    assert_eq!((refused.status(), code(&refused)), (StatusCode::UNAUTHORIZED, Code::TokenInvalid));
    let mut other = TestProvider::app();
    other.id = AppId(Uuid::from_u128(99));
    let mut grantee = door.provider.ann(0, None);
    grantee.app = other.id;
    let provider = &door.provider;
    let token = mint(grantee, &other, &provider.keys, &provider.ring, provider.clock.now(), &crate::clock::SeededEntropy::new(3));
    assert_eq!(code(&door.with(&token.unwrap().access_token).await), Code::TokenInvalid, "another app's token");
}

/// J-01, S-51, S-52, S-53: forged tokens.
#[tokio::test]
async fn j_01_forged_tokens_are_refused() {
    let door = Door::new();
    let good = door.access_token();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let header_json: serde_json::Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let with = |changes: serde_json::Value| {
        let mut header = header_json.clone();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        BASE64_URL_SAFE_NO_PAD.encode(header.to_string())
    };
    let stranger = TestProvider::new();
    let foreign = stranger.tokens(stranger.ann(0, None)).access_token;
    let foreign: Vec<_> = foreign.split('.').collect();
    let mut forged: Vec<String> = ["none", "None", "nOnE", "HS256", "RS256", "ES384", "EdDSA"]
        .iter()
        .flat_map(|alg| {
            [format!("{}.{claims}.", with(json!({"alg": alg}))), format!("{}.{claims}.{signature}", with(json!({"alg": alg})))]
        })
        .collect();
    forged.extend([
        format!("{}.{claims}.{signature}", with(json!({"typ": "JWT"}))),
        format!("{}.{claims}.{signature}", with(json!({"crit": ["exp"]}))),
        format!("{}.{claims}.{signature}", with(json!({"jku": "https://evil.example/jwks"}))),
        format!("{header}.{}.{}", foreign[1], foreign[2]),
        format!("{header}.{claims}.{}", foreign[2]),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}A"),
        good[..good.len() - 1].to_owned(),
        "a".repeat(20_000),
        "x".into(),
    ]);
    // With the good token remembered, too.
    assert_eq!(door.with(&good).await.status(), StatusCode::OK);
    for token in forged {
        let refused = door.with(&token).await;
        assert_eq!((refused.status(), code(&refused)), (StatusCode::UNAUTHORIZED, Code::TokenInvalid), "{token}");
    }
    for odd in ["Bearer", "Bearer ", "Bearer \u{e9}"] {
        let value = http::HeaderValue::from_bytes(odd.as_bytes()).unwrap();
        let mut request = Request::get("/data").body(()).unwrap();
        request.headers_mut().insert(AUTHORIZATION, value);
        assert_eq!(door.send(request).await.status(), StatusCode::UNAUTHORIZED, "{odd}");
    }
    let mut twice = request(&format!("Bearer {good}"));
    twice.headers_mut().append(AUTHORIZATION, "Basic eDp5".parse().unwrap());
    assert_eq!(code(&door.send(twice).await), Code::TokenInvalid);
    assert_eq!(code(&door.send(request("Basic eDp5")).await), Code::LoginRequired, "other schemes are the app's business");
}

/// J-03: a token with an unknown key has the keys fetched, then is judged again.
#[tokio::test]
async fn j_03_unknown_keys_are_fetched_and_judged_again() {
    let door = Door::new();
    let stranger = TestProvider::new();
    let foreign = stranger.tokens(stranger.ann(0, None)).access_token;
    assert_eq!(code(&door.with(&foreign).await), Code::TokenInvalid);
    // The door learnt another key set, then the tenant's again.
    door.provider.fetched.store(Some(stranger.publish_keys()));
    let token = door.access_token();
    assert_eq!(door.with(&token).await.status(), StatusCode::OK);
    door.provider.fetched.store(None);
    door.provider.reachable.store(false, Ordering::SeqCst);
    assert_eq!(code(&door.with(&token).await), Code::LiveStale, "without keys nothing can be said of a token");
}

/// H-15: identities never cross, also under load and with tokens that share most of their text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_15_parallel_requests_each_get_their_own_identity() {
    let door = Arc::new(Door::new());
    let tokens: Vec<_> = (0..16)
        .map(|n| {
            let mut grantee = door.provider.ann(0, None);
            grantee.name = format!("Guest {n}");
            (format!("Guest {n} at /data with []"), door.provider.tokens(grantee).access_token)
        })
        .collect();
    let tasks: Vec<_> = (0..4)
        .map(|worker| {
            let (door, tokens) = (Arc::clone(&door), tokens.clone());
            tokio::spawn(async move {
                for n in 0..400 {
                    let (expected, token) = &tokens[(n * 7 + worker) % tokens.len()];
                    assert_eq!(door.with(token).await.body(), expected);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
