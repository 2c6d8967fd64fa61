//! `$batch`: each item is judged by itself (checklist A-06).

use serde_json::{Value, json};

use super::{
    api::{Api, address, app_id},
    listing::guests,
};
use crate::support::{apply::apply, journey::shared_demo, process::Demo};

fn responses(body: &Value) -> Vec<(String, u64)> {
    let responses = body["responses"].as_array().expect("responses");
    responses
        .iter()
        .map(|r| (r["id"].as_str().unwrap_or_default().to_owned(), r["status"].as_u64().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn a_06_items_of_a_batch_are_authorised_one_by_one() {
    let demo = shared_demo().await;
    let admin = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let reader = Api::with(&demo, &["User.Read.All"]).await;
    let elsewhere = Api::elsewhere(&demo, &["User.ReadWrite.All"]).await;
    let guest = admin.guest(&demo, &address()).await;
    let json_body = json!({ "Content-Type": "application/json" });
    let items = json!({ "requests": [
        { "id": "1", "method": "GET", "url": format!("/users/{guest}") },
        { "id": "2", "method": "PATCH", "url": format!("/users/{guest}"), "headers": json_body, "body": { "displayName": "Changed" } },
        { "id": "3", "method": "DELETE", "url": format!("/users/{guest}") },
        { "id": "4", "method": "GET", "url": "/auditLogs/directoryAudits" },
        { "id": "5", "method": "GET", "url": format!("/users/{}", app_id()) },
        { "id": "6", "method": "GET", "url": "/nothing" },
        { "id": "7", "method": "POST", "url": "/invitations", "headers": json_body, "body": {} },
    ]});
    let expected = [("1", 200), ("2", 403), ("3", 403), ("4", 403), ("5", 404), ("6", 404), ("7", 403)];
    let answer = reader.post("/$batch", &items).await.expect(200).json();
    assert_eq!(responses(&answer), expected.map(|(id, status)| (id.to_owned(), status)), "{answer}");
    for response in answer["responses"].as_array().expect("responses") {
        let status = u16::try_from(response["status"].as_u64().expect("a status")).expect("a status");
        if status >= 400 {
            reader.document.check("GET", "/nothing", status, &response["body"]);
        }
    }
    let there = elsewhere.post("/$batch", &items).await.expect(200).json();
    assert_eq!(responses(&there)[..3], [("1", 404), ("2", 404), ("3", 404)].map(|(id, status)| (id.to_owned(), status)));
    // An item is nobody else, whatever it says.
    for (name, value) in
        [("Authorization", format!("Bearer {}", admin.token)), ("Cookie", "x=y".into()), ("Host", "x.example".into())]
    {
        let item = json!({ "id": "1", "method": "DELETE", "url": format!("/users/{guest}"), "headers": { name: value } });
        reader.post("/$batch", &json!({ "requests": [item] })).await.expect(400);
    }
    assert_ne!(admin.get(&format!("/users/{guest}")).await.expect(200).json()["displayName"], "Changed");
}

/// The SDK for Python names items by absolute URLs; ours are taken, and those of others are not.
#[tokio::test]
async fn a_06_a_batch_is_for_this_api_and_no_other() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.Read.All"]).await;
    let one = |url: &str| json!({ "requests": [{ "id": "1", "method": "GET", "url": url, "depends_on": [] }] });
    let own = api.post("/$batch", &one(&format!("{}/users?$top=1", api.service))).await.expect(200).json();
    assert_eq!(responses(&own), [("1".to_owned(), 200)]);
    for wrong in [
        "https://graph.microsoft.com/v1.0/users",
        &format!("{}.evil.example/v1.0/users", demo.origin()),
        &format!("{}@evil.example/v1.0/users", demo.origin()),
        &format!("{}/users", demo.origin()),
        "//evil.example/users",
        "users",
        "/users/../organization",
        "/users/%2e%2e/organization",
        "/$batch",
        "/%24batch",
        &format!("{}/$batch", api.service),
        "",
    ] {
        api.post("/$batch", &one(wrong)).await.expect(400);
    }
    let many = |count: usize| {
        let items: Vec<_> =
            (0..count).map(|id| json!({ "id": id.to_string(), "method": "GET", "url": "/users?$top=1" })).collect();
        json!({ "requests": items })
    };
    assert_eq!(responses(&api.post("/$batch", &many(20)).await.expect(200).json()).len(), 20);
    for wrong in [many(21), many(0), json!({}), json!([])] {
        assert_eq!(api.post("/$batch", &wrong).await.status, 400);
    }
    let chain = json!({ "requests": [
        { "id": "b", "method": "GET", "url": "/users?$top=1", "depends_on": ["a"] },
        { "id": "a", "method": "GET", "url": "/nothing" },
    ]});
    let answer = api.post("/$batch", &chain).await.expect(200).json();
    assert_eq!(responses(&answer), [("b".to_owned(), 424), ("a".to_owned(), 404)]);
}

/// The answers of a batch are held until the last one is there, so their lists have a bound together.
#[tokio::test]
async fn the_lists_of_a_batch_are_bounded_together() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.Read.All"]).await;
    apply(&demo, &guests(700), &[]);
    let list = |id: &str| json!({ "id": id, "method": "GET", "url": "/users?$top=999&$select=id" });
    let one = json!({ "id": "4", "method": "GET", "url": "/users?$top=1" });
    let answer = api.post("/$batch", &json!({ "requests": [list("1"), list("2"), list("3"), one] })).await.expect(200).json();
    let statuses = [("1", 200), ("2", 200), ("3", 400), ("4", 200)].map(|(id, status)| (id.to_owned(), status));
    assert_eq!(responses(&answer), statuses);
    assert!(answer["responses"][2]["body"]["error"]["message"].as_str().is_some_and(|words| words.contains("2000 objects")));
}
