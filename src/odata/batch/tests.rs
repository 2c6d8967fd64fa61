use http::StatusCode;
use serde_json::{Value, json};

use super::{super::json::parse_bounded, About, Answer, Batch, Body, Error, Item};

const ABOUT: About<'_> = About { request_id: "r", client_request_id: None, date: jiff::Timestamp::UNIX_EPOCH };

fn batch(requests: &Value) -> Result<Batch, Error> {
    Batch::parse(json!({ "requests": requests }))
}

fn one(member: &str, value: Value) -> Result<Item, Error> {
    let mut request = json!({"id": "1", "method": "POST", "url": "/users"});
    request[member] = value;
    batch(&json!([request])).map(|mut batch| batch.next().expect("one").1)
}

/// Runs a batch; `fails` are answered 409. Gives the order and the statuses.
fn run(mut batch: Batch, fails: &[&str]) -> (Vec<String>, Vec<u64>) {
    let mut order = Vec::new();
    while let Some((place, item)) = batch.next() {
        let status = if fails.contains(&item.path.as_str()) { StatusCode::CONFLICT } else { StatusCode::OK };
        order.push(item.path);
        batch.answer(place, Answer::json(status, json!({})));
    }
    let whole = batch.finish(ABOUT);
    let statuses = whole["responses"].as_array().unwrap().iter().map(|response| response["status"].as_u64().unwrap());
    (order, statuses.collect())
}

fn item(id: &str, depends_on: &[&str]) -> Value {
    json!({"id": id, "method": "GET", "url": format!("/{id}"), "dependsOn": depends_on})
}

#[test]
fn a_06_a_batch_has_one_to_twenty_items_with_ids_of_their_own() {
    let many = |count: usize| Value::Array((0..count).map(|at| item(&at.to_string(), &[])).collect());
    assert!(batch(&many(20)).is_ok());
    for bad in [many(0), many(21), json!([item("a", &[]), item("a", &[])]), json!([1]), json!({})] {
        assert_eq!(batch(&bad).unwrap_err().status().as_u16(), 400, "{bad}");
    }
    for body in ["", "[]", "{}", "null", r#"{"requests":[],"requests":[]}"#, r#"{"requests":null}"#, r#"{"requests":[],"x":1}"#] {
        let parsed = parse_bounded(body.as_bytes()).and_then(Batch::parse);
        assert_eq!(parsed.unwrap_err().status().as_u16(), 400, "{body}");
    }
    for id in [json!(1), json!(""), Value::Null, json!("a\nb"), json!("a".repeat(129))] {
        assert!(one("id", id).is_err());
    }
}

#[test]
fn a_06_an_item_names_a_path_below_the_root_and_nothing_else() {
    for (url, path, query) in [
        ("/users", "/users", ""),
        ("/users/a_b%23EXT%23@x.example?$select=id&x=/../y", "/users/a_b%23EXT%23@x.example", "$select=id&x=/../y"),
        ("/users?", "/users", ""),
        (
            "/tenantRelationships/findTenantInformationByTenantId(tenantId='1')",
            "/tenantRelationships/findTenantInformationByTenantId(tenantId='1')",
            "",
        ),
    ] {
        let item = one("url", json!(url)).unwrap();
        assert_eq!((item.path.as_str(), item.query.as_str()), (path, query), "{url}");
    }
    for bad in [
        "",
        "/",
        "users",
        "https://evil.example/users",
        "//evil.example/users",
        "/users/",
        "/users//a",
        "/.",
        "/users/../domains",
        "/users/%2e%2e/domains",
        "/users/%2E%2e",
        "/users%2fa",
        "/users%5ca",
        "/users\\a",
        "/users#a",
        "/users/%0d%0a",
        "/users/%00",
        "/users/%",
        "/users/%4",
        "/users/%zz",
        "/us ers",
        "/üsers",
        "/$batch",
        "/%24Batch",
        "/x/$batch",
        "?$filter=x",
        "/users\r\nHost: x",
        &format!("/{}", "a".repeat(8192)),
    ] {
        assert_eq!(one("url", json!(bad)).unwrap_err().status().as_u16(), 400, "{bad}");
    }
    assert!(one("url", json!(1)).is_err());
}

#[test]
fn a_06_an_item_is_nobody_else() {
    for name in ["Authorization", "cookie", "HOST", "proxy-authorization"] {
        assert_eq!(one("headers", json!({name: "x"})).unwrap_err().status().as_u16(), 400, "{name}");
    }
    let headers = json!({"If-Match": "*", "X-Forwarded-For": "::1", "Content-Length": "9", "ConsistencyLevel": "eventual", "content-type": "application/json"});
    let carried = one("headers", headers).unwrap().headers;
    let mut names: Vec<_> = carried.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["consistencylevel", "content-type", "if-match"]);
    for bad in [
        json!({"If-Match": "a\r\nb"}),
        json!({"a b": "x"}),
        json!({"prefer": 1}),
        json!({"prefer": "a", "Prefer": "b"}),
        json!([]),
    ] {
        assert!(one("headers", bad.clone()).is_err(), "{bad}");
    }
    for method in ["get", "Patch", "DELETE", "PUT"] {
        assert!(one("method", json!(method)).is_ok(), "{method}");
    }
    for method in [json!("HEAD"), json!("CONNECT"), json!("OPTIONS"), json!("GET "), json!(""), Value::Null] {
        assert!(one("method", method).is_err());
    }
    assert!(one("atomicityGroup", json!("g")).is_err());
    assert!(one("if", json!("$1/x")).is_err());
}

#[test]
fn a_body_is_json_or_base64() {
    let posted = |body: Value, of: &str| {
        let request = json!({"id": "1", "method": "POST", "url": "/users", "headers": {"Content-Type": of}, "body": body});
        batch(&json!([request])).map(|mut batch| batch.next().expect("one").1.body)
    };
    assert_eq!(one("body", json!({"a": 1})).unwrap().body, Body::Json(json!({"a": 1})));
    assert_eq!(one("body", Value::Null).unwrap().body, Body::None);
    assert_eq!(posted(json!({"a": 1}), "Application/JSON; charset=utf-8").unwrap(), Body::Json(json!({"a": 1})));
    assert_eq!(posted(json!("eyJhIjoxfQ=="), "application/json").unwrap(), Body::Json(json!({"a": 1})));
    assert_eq!(posted(json!("eyJhIjoxfQ"), "application/json").unwrap(), Body::Json(json!({"a": 1})));
    assert_eq!(posted(json!("__8="), "image/png").unwrap(), Body::Bytes(vec![255, 255]));
    assert!(posted(json!("eyJhIjoxLCJhIjoyfQ=="), "application/json").is_err(), "a member twice");
    assert!(posted(json!({"a": 1}), "image/png").is_err());
    assert!(posted(json!("%"), "image/png").is_err());
    for method in ["GET", "DELETE"] {
        let request = json!({"id": "1", "method": method, "url": "/users", "body": {}});
        assert!(batch(&json!([request])).is_err(), "{method}");
    }
}

#[test]
fn items_run_after_what_they_depend_on_and_not_when_it_failed() {
    let items = json!([item("a", &["c"]), item("b", &[]), item("c", &["b"]), item("d", &[])]);
    let (order, statuses) = run(batch(&items).unwrap(), &[]);
    assert_eq!(order, ["/b", "/c", "/a", "/d"]);
    assert_eq!(statuses, [200; 4]);
    let (order, statuses) = run(batch(&items).unwrap(), &["/b"]);
    assert_eq!(order, ["/b", "/d"], "what depends on a failure, also by way of another, is not run");
    assert_eq!(statuses, [424, 409, 424, 200]);
    for circle in [json!([item("a", &["a"])]), json!([item("a", &["b"]), item("b", &["a"])]), json!([item("a", &["x"])])] {
        assert_eq!(batch(&circle).unwrap_err().status().as_u16(), 400, "{circle}");
    }
}

#[test]
fn the_answer_has_a_response_for_each_item() {
    let mut two = batch(&json!([item("a", &[]), item("b", &[])])).unwrap();
    let (place, _) = two.next().unwrap();
    let mut throttled = Answer::json(StatusCode::TOO_MANY_REQUESTS, json!({"error": {}}));
    throttled.headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("5"));
    two.answer(place, throttled);
    let (place, _) = two.next().unwrap();
    two.answer(place, Answer::empty(StatusCode::NO_CONTENT));
    assert!(two.next().is_none());
    assert_eq!(
        two.finish(ABOUT),
        json!({"responses": [
            {"id": "a", "status": 429, "headers": {"retry-after": "5", "Content-Type": "application/json"}, "body": {"error": {}}},
            {"id": "b", "status": 204, "headers": {}},
        ]})
    );
}
