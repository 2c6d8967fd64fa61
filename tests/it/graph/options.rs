//! Query options, on every route there is.

use reqwest::Method;
use serde_json::Value;

use super::api::{Api, address};
use crate::support::{apply::home_tenant, journey::shared_demo};

/// Options that no route can take as they are here.
const IMPOSSIBLE: [&str; 14] = [
    "$select=nothing",
    "$filter=nothing eq 1",
    "$orderby=nothing",
    "$top=0",
    "$count=perhaps",
    "$skiptoken=x",
    "$skip=1",
    "$expand=manager",
    "$search=x",
    "$format=json",
    "$apply=x",
    "$unknown=1",
    "select=id",
    "top=1",
];
/// Options that are in order where a route takes them.
const POSSIBLE: [&str; 4] = ["$select=id", "$filter=id eq 'x'", "$top=1", "$count=true"];

/// The names of the options that an operation of the OpenAPI document takes.
fn taken(operation: &Value) -> Vec<&str> {
    let parameters = operation["parameters"].as_array().expect("parameters");
    let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
    in_query.map(|parameter| parameter["name"].as_str().expect("a name")).collect()
}

/// An option that a route does not take is refused with words, never passed over: it would answer another question.
#[tokio::test]
async fn no_route_passes_over_a_query_option() {
    let demo = shared_demo().await;
    let all = [
        "Directory.ReadWrite.All",
        "AppRoleAssignment.ReadWrite.All",
        "AuditLog.Read.All",
        "CrossTenantInformation.ReadBasic.All",
    ];
    let api = Api::with(&demo, &all).await;
    let (guest, gone) = (api.guest(&demo, &address()).await, api.guest(&demo, &address()).await);
    api.delete(&format!("/users/{gone}")).await.expect(204);
    let first = async |list: &str| {
        let page = api.get(&format!("{list}?$top=1")).await.expect(200).json();
        page["value"][0]["id"].as_str().expect("an id").to_owned()
    };
    let (application, service) = (first("/applications").await, first("/servicePrincipals").await);
    let (audit, (_, domain)) = (first("/auditLogs/directoryAudits").await, home_tenant(&demo).await);
    let mut tried = 0;
    for (path, methods) in api.document.0["paths"].as_object().expect("paths") {
        // A person's own, which is among what people may do.
        if path == "/me" {
            continue;
        }
        let id = match path.split('/').nth(1) {
            Some("users") => &guest,
            Some("directory") => &gone,
            Some("organization") => &api.tenant,
            Some("applications") => &application,
            Some("servicePrincipals") => &service,
            _ => &audit,
        };
        let parameters = [("{tenantId}", &api.tenant), ("{domainName}", &domain), ("{appId}", &demo.app.client_id), ("{id}", id)];
        let path = parameters.into_iter().fold(path.clone(), |path, (name, value)| path.replace(name, value));
        for (method, operation) in methods.as_object().expect("methods") {
            let method: Method = method.to_ascii_uppercase().parse().expect("a method");
            let taken = taken(operation);
            let foreign = POSSIBLE.into_iter().filter(|option| !taken.iter().any(|name| option.starts_with(&format!("{name}="))));
            for option in IMPOSSIBLE.into_iter().chain(foreign) {
                let request = api.request(method.clone(), &format!("{path}?{option}"));
                let sends = matches!(method, Method::POST | Method::PATCH);
                let answer = api.send(if sends { request.json(&serde_json::json!({})) } else { request }).await;
                assert!(matches!(answer.status, 400 | 501), "{method} {path}?{option}: {} {}", answer.status, answer.text);
                let about = answer.json()["error"]["message"].as_str().expect("words").to_owned();
                assert!(
                    ["option", "$", "page", "Assignments", "Sponsors"].iter().any(|word| about.contains(word)),
                    "{path}?{option}: {about}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
    // None of it was carried out.
    api.get(&format!("/users/{guest}")).await.expect(200);
    api.get(&format!("/directory/deletedItems/{gone}")).await.expect(200);
}
