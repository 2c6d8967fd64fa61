//! What a client learns before it begins: metadata and keys.

use serde_json::Value;
use url::Url;

use crate::support::{client::Client, journey::shared_demo, visitor::Visitor};

#[tokio::test]
async fn s_27_the_metadata_is_the_same_at_its_three_places() {
    let demo = shared_demo().await;
    let mut http = Visitor::new(&demo);
    let (base, tenant) = (demo.origin(), &demo.tenant_id);
    let documents = [
        format!("{}/.well-known/openid-configuration", demo.issuer),
        format!("{base}/.well-known/openid-configuration/{tenant}/v2.0"),
        format!("{base}/.well-known/oauth-authorization-server/{tenant}/v2.0"),
        // a client may know its tenant by the domain; the issuer is the same
        format!("{base}/{}/v2.0/.well-known/openid-configuration", demo.verified_domain),
    ];
    let mut bodies = Vec::new();
    for url in documents {
        let answer = http.get_json(&url).await.expect(200);
        assert!(answer.header("content-type").starts_with("application/json"), "{url}: {:?}", answer.headers);
        bodies.push(answer.json());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    assert_eq!(bodies[0]["issuer"], *demo.issuer);
}

#[tokio::test]
async fn s_27_t_09_an_unknown_tenant_has_no_metadata_and_looks_like_any_other() {
    let demo = shared_demo().await;
    let mut http = Visitor::new(&demo);
    let mut answers = Vec::new();
    for tenant in ["00000000-0000-4000-8000-000000000000", "nobody.example", "xn--nbody-kta.example"] {
        for url in [
            format!("{}/{tenant}/v2.0/.well-known/openid-configuration", demo.origin()),
            format!("{}/.well-known/oauth-authorization-server/{tenant}/v2.0", demo.origin()),
        ] {
            answers.push(http.get_json(&url).await.refused(404, "VB1002"));
        }
    }
    let shape = |body: &Value| body.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| shape(&answer.json()) == shape(&answers[0].json())), "{answers:?}");
}

#[tokio::test]
async fn s_26_s_28_c_04_c_07_c_20_the_metadata_says_what_is_offered_and_what_is_not() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let has = |name: &str, value: &str| client.metadata[name].as_array().is_some_and(|list| list.iter().any(|v| v == value));
    assert!(has("id_token_signing_alg_values_supported", "RS256") && has("scopes_supported", "openid"));
    assert!(!has("id_token_signing_alg_values_supported", "none"), "C-04");
    assert_eq!(client.metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(client.metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(client.metadata["request_parameter_supported"], false);
    assert_eq!(client.metadata["request_uri_parameter_supported"], false, "true when absent");
    for endpoint in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"] {
        let url: Url = client.endpoint(endpoint);
        assert_eq!(url.origin().ascii_serialization(), demo.origin(), "{endpoint}");
    }
}

#[tokio::test]
async fn s_20_the_published_keys_are_public_unique_and_cacheable() {
    let demo = shared_demo().await;
    let client = Client::of(&demo).await;
    let answer = client.http().get_json(client.endpoint("jwks_uri").as_str()).await.expect(200);
    let body = answer.json();
    let keys = body["keys"].as_array().expect("keys");
    let mut ids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().expect("a kid")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), keys.len(), "{body}");
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(key.get(private).is_none(), "a private member {private}");
        }
    }
    assert!(answer.header("cache-control").contains("max-age="), "{:?}", answer.headers);
}
