//! Two organisations on one server (checklist T-01, T-02, W-02).

use reqwest::Method;
use serde_json::json;

use super::api::{Api, address, app_id};
use crate::support::{apply::home_tenant, journey::shared_demo};

const ALL: &[&str] =
    &["Directory.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "AuditLog.Read.All", "CrossTenantInformation.ReadBasic.All"];

/// T-02: with the token of one organisation, what belongs to another is what never was: byte for byte.
#[tokio::test]
async fn t_02_ids_of_another_organisation_are_unknown_byte_for_byte() {
    let demo = shared_demo().await;
    let (a, b) = (Api::with(&demo, ALL).await, Api::elsewhere(&demo, ALL).await);
    let guest = a.guest(&demo, &address()).await;
    let gone = a.guest(&demo, &address()).await;
    a.delete(&format!("/users/{gone}")).await.expect(204);
    let user = a.get(&format!("/users/{guest}")).await.expect(200).json();
    let name = user["userPrincipalName"].as_str().expect("a name").replace('#', "%23");
    let services = a.get("/servicePrincipals").await.expect(200).json();
    let service = services["value"][0]["id"].as_str().expect("an id").to_owned();
    let applications = a.get("/applications").await.expect(200).json();
    let application = applications["value"][0]["id"].as_str().expect("an id").to_owned();
    let audits = a.get("/auditLogs/directoryAudits?$top=1").await.expect(200).json();
    let audit = audits["value"][0]["id"].as_str().expect("an id").to_owned();
    let unknown = app_id();
    for (method, path, id) in [
        ("GET", "/users/{}", &guest),
        ("GET", "/users/{}?$select=id,vestibuleInvitation", &guest),
        ("GET", "/users/{}", &name),
        ("PATCH", "/users/{}", &guest),
        ("DELETE", "/users/{}", &guest),
        ("POST", "/users/{}/revokeSignInSessions", &guest),
        ("POST", "/users/{}/resendInvitation", &guest),
        ("POST", "/users/{}/revokeInvitation", &guest),
        ("POST", "/users/{}/resetRedemption", &guest),
        ("GET", "/users/{}/sponsors", &guest),
        ("DELETE", "/users/{}/sponsors/{}/$ref", &guest),
        ("GET", "/users/{}/appRoleAssignments", &guest),
        ("GET", "/directory/deletedItems/{}", &gone),
        ("POST", "/directory/deletedItems/{}/restore", &gone),
        ("DELETE", "/directory/deletedItems/{}", &gone),
        ("GET", "/organization/{}", &a.tenant),
        ("PATCH", "/organization/{}", &a.tenant),
        ("GET", "/servicePrincipals/{}", &service),
        ("GET", "/servicePrincipals/{}/appRoleAssignedTo", &service),
        ("GET", "/applications/{}", &application),
        ("GET", "/auditLogs/directoryAudits/{}", &audit),
    ] {
        let ask = async |id: &str| {
            let method: Method = method.parse().expect("a method");
            let request = b.request(method.clone(), &path.replace("{}", id));
            let request = if matches!(method, Method::POST | Method::PATCH) { request.json(&json!({})) } else { request };
            b.send(request).await
        };
        let (theirs, nobodys) = (ask(id).await, ask(&unknown).await);
        assert_eq!(theirs.status, 404, "{method} {path}: {}", theirs.text);
        assert_eq!(theirs.comparable(), nobodys.comparable(), "{method} {path}");
        assert_eq!(theirs.text.len(), nobodys.text.len(), "{method} {path}");
    }
    // Nothing of it happened, and lists have nothing of the other's in them.
    assert_eq!(a.get(&format!("/users/{guest}")).await.json()["userPrincipalName"], user["userPrincipalName"]);
    for list in ["/users?$top=999", "/directory/deletedItems/graph.user", "/auditLogs/directoryAudits", "/applications"] {
        let text = b.get(list).await.expect(200).text;
        assert!(!text.contains(&guest) && !text.contains(&gone) && !text.contains(&application), "{list}");
    }
    for filter in [format!("id eq '{guest}'"), format!("mail eq '{}'", user["mail"].as_str().expect("a mail"))] {
        let found = b.get(&format!("/users?$filter={filter}")).await.expect(200).json();
        assert_eq!(found["value"], json!([]), "{filter}");
    }
    let page = a.get("/users?$top=1").await.expect(200).json();
    b.get(page["@odata.nextLink"].as_str().expect("a link")).await.expect(400);
}

/// T-01, W-02: a token is good where it says, which only its own organisation's keys decide; a refusal names the organisation.
#[tokio::test]
async fn t_01_w_02_a_token_that_names_another_organisation_is_refused_and_told_of() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
    let demo = shared_demo().await;
    let (a, b) = (Api::with(&demo, ALL).await, Api::elsewhere(&demo, ALL).await);
    let parts: Vec<&str> = b.token.split('.').collect();
    let claims = String::from_utf8(BASE64.decode(parts[1]).expect("base64")).expect("UTF-8");
    let other = BASE64.encode(claims.replace(&b.tenant, &a.tenant));
    let forged = format!("{}.{other}.{}", parts[0], parts[2]);
    a.holding(&forged).get("/users").await.expect(401);
    let mixed = format!("{}.{}.{}", parts[0], a.token.split('.').nth(1).expect("claims"), parts[2]);
    a.holding(&mixed).get("/users").await.expect(401);
    let unknown = format!("{}.{}.{}", parts[0], BASE64.encode(claims.replace(&b.tenant, &app_id())), parts[2]);
    a.holding(&unknown).get("/users").await.expect(401);
    // At an endpoint that names an organisation itself, both are told.
    let userinfo = format!("{}/{}/oidc/userinfo", demo.origin(), a.tenant);
    let answer = reqwest::Client::new().get(userinfo).bearer_auth(&b.token).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let log = || demo.process().log();
    let refusal = format!("claimed_tenant={}", a.tenant);
    assert!(log().lines().any(|line| line.contains("token refused") && line.contains(&refusal)), "{}", log());
    let both = |line: &&str| line.contains("of another tenant") && line.contains(&a.tenant) && line.contains(&b.tenant);
    assert!(log().lines().any(|line| both(&line)), "{}", log());
}

/// The public face of the organisations of the server, by id and by verified domain.
#[tokio::test]
async fn the_public_face_of_an_organisation_is_found_by_id_and_by_verified_domain() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["CrossTenantInformation.ReadBasic.All"]).await;
    let (home, domain) = home_tenant(&demo).await;
    let by_id = format!("/tenantRelationships/findTenantInformationByTenantId(tenantId='{home}')");
    let by_domain = |domain: &str| format!("/tenantRelationships/findTenantInformationByDomainName(domainName='{domain}')");
    let face = api.get(&by_id).await.expect(200).json();
    assert_eq!(face["displayName"], "Fabrikam");
    assert_eq!((face["tenantId"].as_str(), face["defaultDomainName"].as_str()), (Some(home.as_str()), Some(domain.as_str())));
    assert_eq!(api.get(&by_domain(&domain)).await.expect(200).json(), face);
    assert_eq!(api.get(&by_domain(&domain.to_ascii_uppercase())).await.expect(200).json(), face);
    let unknown = api.get(&by_domain("nobody.example")).await.expect(404).comparable();
    for nothing in ["not a domain", "fabrikam-labs.example", home.as_str(), "'' or 1"] {
        assert_eq!(api.get(&by_domain(nothing)).await.comparable(), unknown, "{nothing}");
    }
}
