//! What may be changed of a user, by whom, and what becomes of two who change at once.

use reqwest::{Method, header};
use serde_json::{Value, json};

use super::api::{Api, Got, address, app_id};
use crate::support::journey::shared_demo;

/// Every property of a user with a value that it can have, and whether programs may set it.
fn properties() -> Vec<(&'static str, Value, bool)> {
    vec![
        ("displayName", json!("Adele Vance"), true),
        ("givenName", json!("Adele"), true),
        ("surname", json!("Vance"), true),
        ("jobTitle", json!("Retail Manager"), true),
        ("companyName", json!("Elsewhere"), true),
        ("department", json!("Retail"), true),
        ("officeLocation", json!("18/2111"), true),
        ("mobilePhone", json!("+1 425 555 0109"), true),
        ("businessPhones", json!(["+1 425 555 0100"]), true),
        ("preferredLanguage", json!("de"), true),
        ("mail", json!(address()), true),
        ("otherMails", json!([address()]), true),
        ("userType", json!("Member"), true),
        ("accountEnabled", json!(false), true),
        ("vestibuleGuestInviter", json!(true), true),
        ("id", json!(app_id()), false),
        ("userPrincipalName", json!("other@contoso.example"), false),
        ("createdDateTime", json!("2020-01-01T00:00:00Z"), false),
        ("creationType", json!(null), false),
        ("deletedDateTime", json!(null), false),
        ("externalUserState", json!("Accepted"), false),
        ("externalUserStateChangeDateTime", json!("2020-01-01T00:00:00Z"), false),
        ("identities", json!([]), false),
        ("invitationAccepted", json!("Yes"), false),
        ("mailNickname", json!("x"), false),
        ("proxyAddresses", json!([]), false),
        ("showInAddressList", json!(true), false),
        ("signInSessionsValidFromDateTime", json!("2020-01-01T00:00:00Z"), false),
        ("source", json!("Local account"), false),
        ("vestibuleInvitation", json!(null), false),
        ("passwordProfile", json!({ "password": "x" }), false),
        ("emailVerified", json!(true), false),
        ("principal_name", json!("x"), false),
        ("sponsors", json!([]), false),
        ("consentProvidedForMinor", json!("Granted"), false),
    ]
}

fn all(document: &super::schema::Document) -> String {
    let properties = document.0["components"]["schemas"]["user"]["properties"].as_object().expect("properties");
    properties.keys().filter(|name| !name.starts_with('@')).cloned().collect::<Vec<_>>().join(",")
}

/// A-06, L-14: programs set what is listed as theirs and nothing else, whatever comes with it.
#[tokio::test]
async fn a_06_l_14_each_property_is_for_those_who_may_set_it() {
    let demo = shared_demo().await;
    let admin = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let blocker = Api::with(&demo, &["User.EnableDisableAccount.All", "User.Read.All"]).await;
    let reader = Api::with(&demo, &["User.Read.All"]).await;
    let select = all(&admin.document);
    let described = select.split(',').filter(|name| properties().iter().any(|(property, ..)| property == name));
    assert_eq!(described.count(), select.split(',').count(), "the matrix has all properties: {select}");
    for (name, value, settable) in properties() {
        let id = admin.guest(&demo, &address()).await;
        let path = format!("/users/{id}");
        let shown = format!("{path}?$select={select}");
        let change = json!({ "@odata.type": "#microsoft.graph.user", name: value });
        let before = admin.get(&shown).await.expect(200).json();
        reader.patch(&path, &change).await.expect(403);
        let by_blocker = blocker.patch(&path, &json!({ name: value, "accountEnabled": true })).await;
        assert_eq!(by_blocker.status, if name == "accountEnabled" { 204 } else { 403 }, "{name}");
        assert_eq!(admin.get(&shown).await.expect(200).json(), before, "{name}");
        if settable {
            admin.patch(&path, &change).await.expect(204);
            assert_eq!(admin.get(&shown).await.expect(200).json()[name], value, "{name}");
        } else {
            // Nothing of a change is made that has something wrong in it.
            let answer = admin.patch(&path, &json!({ "displayName": "Changed", name: value })).await.expect(400);
            assert_eq!(answer.code(), "Request_BadRequest");
            assert_eq!(admin.get(&shown).await.expect(200).json(), before, "{name}");
        }
    }
    let id = admin.guest(&demo, &address()).await;
    for (property, wrong) in [
        ("displayName", json!(null)),
        ("displayName", json!("")),
        ("displayName", json!("x".repeat(257))),
        ("displayName", json!(5)),
        ("displayName", json!("Sam \u{202e}htimS")),
        ("givenName", json!("x".repeat(65))),
        ("givenName", json!("Sam\u{85}")),
        ("accountEnabled", json!("false")),
        ("accountEnabled", json!(null)),
        ("userType", json!("Administrator")),
        ("mail", json!("not an address")),
        ("otherMails", json!([null])),
        ("otherMails", json!((0..51).map(|n| format!("a{n}@b.example")).collect::<Vec<_>>())),
        ("preferredLanguage", json!("not a language!")),
        ("businessPhones", json!(vec!["1"; 51])),
        ("businessPhones", json!(["\u{2067}1"])),
        ("surname", json!("a\nb")),
    ] {
        let refused = admin.patch(&format!("/users/{id}"), &json!({ property: wrong })).await.expect(400);
        assert_names(&refused, property);
    }
    let invited = |name: &str, value: Value| json!({ "invitedUserEmailAddress": address(), name: value });
    for (property, body) in [
        ("invitedUserDisplayName", invited("invitedUserDisplayName", json!("Sam \u{2066}x"))),
        ("messageLanguage", invited("invitedUserMessageInfo", json!({ "messageLanguage": "nonsense" }))),
        ("customizedMessageBody", invited("invitedUserMessageInfo", json!({ "customizedMessageBody": "x".repeat(2_001) }))),
    ] {
        assert_names(&admin.post("/invitations", &body).await.expect(400), property);
    }
}

/// Whoever is refused because of a property is told which.
#[track_caller]
fn assert_names(refused: &Got, property: &str) {
    let error = refused.json()["error"].take();
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("'{property}'")) && error["innerError"]["vbCode"] == "VB7015", "{property}: {error}");
}

/// L-14: another address in the profile is no proof of anything: who is pending stays so, and an address that somebody has is
/// refused.
#[tokio::test]
async fn l_14_addresses_prove_nothing() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let (taken, free) = (address(), address());
    api.guest(&demo, &taken).await;
    let id = api.guest(&demo, &address()).await;
    let path = format!("/users/{id}");
    api.patch(&path, &json!({ "mail": taken })).await.expect(409);
    api.patch(&path, &json!({ "mail": free })).await.expect(204);
    let user =
        api.get(&format!("{path}?$select=mail,externalUserState,invitationAccepted,source,vestibuleInvitation")).await.json();
    assert_eq!((user["mail"].as_str(), user["externalUserState"].as_str()), (Some(free.as_str()), Some("PendingAcceptance")));
    assert_eq!((user["invitationAccepted"].as_str(), user["source"].as_str()), (Some("No"), Some("Invited user")));
    assert_eq!(user["vestibuleInvitation"]["state"], "Ended", "its link was for the address before");
}

/// of many who change the same version at once one wins, and the others are told.
#[tokio::test]
async fn a_07_of_parallel_changes_with_one_tag_one_wins() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let path = format!("/users/{}", api.guest(&demo, &address()).await);
    let read = api.get(&path).await.expect(200);
    let tag = read.header("etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(read.json()["@odata.etag"], tag.as_str());
    let patch = async |name: String, tag: String| {
        let request = api.request(Method::PATCH, &path).header(header::IF_MATCH, tag).json(&json!({ "displayName": name }));
        api.send(request).await.status
    };
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..12 {
        let (api, path, tag) = (api.clone(), path.clone(), tag.clone());
        racing.spawn(async move {
            let body = json!({ "displayName": format!("Name {n}") });
            api.send(api.request(Method::PATCH, &path).header(header::IF_MATCH, tag).json(&body)).await.status
        });
    }
    let mut statuses = racing.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![204], vec![412; 11]].concat());
    assert_eq!(patch("Late".into(), tag.clone()).await, 412);
    assert_eq!(patch("Whatever it is".into(), "*".into()).await, 204);
    let now = api.get(&path).await.header("etag");
    assert_ne!(now, tag);
    assert_eq!(patch("One of several".into(), format!("\"x\", {now}")).await, 204);
    for malformed in ["x", "W/x", "\"", "*, \"a\""] {
        assert_eq!(patch("Malformed".into(), malformed.into()).await, 400, "{malformed}");
    }
    for (method, path) in [(Method::DELETE, path.clone()), (Method::POST, format!("{path}/revokeSignInSessions"))] {
        api.send(api.request(method, &path).header(header::IF_MATCH, tag.as_str())).await.expect(412);
    }
    assert_eq!(api.get(&path).await.expect(200).json()["displayName"], "One of several");
}

/// Delete, restore, and delete for good; sponsors; assignments.
#[tokio::test]
async fn a_user_is_deleted_restored_and_deleted_for_good() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["Directory.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"]).await;
    let (guest, sponsor) = (api.guest(&demo, &address()).await, api.guest(&demo, &address()).await);
    let (path, deleted) = (format!("/users/{guest}"), format!("/directory/deletedItems/{guest}"));

    // sponsors
    let reference = json!({ "@odata.id": format!("{}/directoryObjects/{sponsor}", api.service) });
    api.post(&format!("{path}/sponsors/$ref"), &reference).await.expect(204);
    api.post(&format!("{path}/sponsors/$ref"), &reference).await.expect(400);
    let sponsors = api.get(&format!("{path}/sponsors?$select=id")).await.expect(200).json();
    assert_eq!(sponsors["value"][0]["id"], sponsor.as_str());
    for wrong in [format!("https://evil.example/v1.0/users/{sponsor}"), format!("{}/users/{}", api.service, app_id()), "x".into()]
    {
        assert_eq!(api.post(&format!("{path}/sponsors/$ref"), &json!({ "@odata.id": wrong })).await.status, 400);
    }
    api.delete(&format!("{path}/sponsors/{sponsor}/$ref")).await.expect(204);
    api.delete(&format!("{path}/sponsors/{sponsor}/$ref")).await.expect(404);

    // assignments
    let service = format!("/servicePrincipals(appId='{}')", demo.app.client_id);
    let service = api.get(&service).await.expect(200).json()["id"].as_str().expect("an id").to_owned();
    let nil = "00000000-0000-0000-0000-000000000000";
    let assignment = json!({ "principalId": guest, "resourceId": service, "appRoleId": nil, "vestibuleRole": "Approver" });
    let made = api.post(&format!("{path}/appRoleAssignments"), &assignment).await.expect(201).json();
    assert_eq!((made["principalType"].as_str(), made["vestibuleRole"].as_str()), (Some("User"), Some("Approver")));
    let of_user = api.get(&format!("{path}/appRoleAssignments")).await.expect(200).json();
    assert_eq!(of_user["value"][0]["id"], made["id"]);
    let of_app = format!("/servicePrincipals/{service}/appRoleAssignedTo?$top=999");
    let assigned = api.get(&of_app).await.expect(200).json();
    let assigned = assigned["value"].as_array().expect("a list");
    assert_eq!(assigned.iter().filter(|one| one["principalId"] == guest.as_str()).count(), 1);
    let mut two_roles = assignment.clone();
    two_roles["vestibuleRole"] = json!("Approver,admin");
    assert_names(&api.post(&format!("{path}/appRoleAssignments"), &two_roles).await.expect(400), "vestibuleRole");
    let mut other_role = assignment.clone();
    other_role["appRoleId"] = json!(app_id());
    assert_eq!(api.post(&format!("{path}/appRoleAssignments"), &other_role).await.status, 400);

    // deleted and restored
    api.delete(&path).await.expect(204);
    api.get(&path).await.expect(404);
    api.delete(&path).await.expect(404);
    let listed =
        api.get("/directory/deletedItems/microsoft.graph.user?$top=999&$select=id,deletedDateTime").await.expect(200).json();
    let listed = listed["value"].as_array().expect("a list").iter().find(|user| user["id"] == guest.as_str()).cloned();
    assert!(listed.expect("it is there")["deletedDateTime"].is_string());
    assert_eq!(api.get(&deleted).await.expect(200).json()["id"], guest.as_str());
    api.post(&format!("{deleted}/restore"), &json!({})).await.expect(200);
    api.get(&deleted).await.expect(404);
    let back = api.get(&format!("{path}/appRoleAssignments")).await.expect(200).json();
    assert_eq!(back["value"][0]["id"], made["id"], "with all that was theirs");
    let id = made["id"].as_str().expect("an id");
    api.delete(&format!("{path}/appRoleAssignments/{id}")).await.expect(204);
    api.delete(&format!("/servicePrincipals/{service}/appRoleAssignedTo/{id}")).await.expect(404);

    // for good
    api.delete(&path).await.expect(204);
    api.delete(&deleted).await.expect(204);
    api.get(&deleted).await.expect(404);
    api.post(&format!("{deleted}/restore"), &json!({})).await.expect(404);
}

/// Of the organisation, the privacy profile can be changed, and what cannot is named.
#[tokio::test]
async fn of_the_organisation_the_privacy_profile_can_be_changed() {
    let demo = shared_demo().await;
    let api = Api::elsewhere(&demo, &["Organization.ReadWrite.All"]).await;
    let list = api.get("/organization").await.expect(200).json();
    assert_eq!(list["value"].as_array().map(Vec::len), Some(1));
    let path = format!("/organization/{}", api.tenant);
    let before = api.get(&path).await.expect(200).json();
    assert_eq!((before["tenantType"].as_str(), before["displayName"].as_str()), (Some("AAD"), Some("Fabrikam")));
    assert_eq!(before["verifiedDomains"][0]["isInitial"], true);
    let profile = json!({ "statementUrl": "https://fabrikam.example/privacy", "contactEmail": "privacy@fabrikam.example" });
    api.patch(&path, &json!({ "privacyProfile": profile })).await.expect(204);
    let after = api.get(&path).await.expect(200).json();
    assert_eq!(after["privacyProfile"], profile);
    let stale = api.request(Method::PATCH, &path).header(header::IF_MATCH, before["@odata.etag"].as_str().expect("a tag"));
    api.send(stale.json(&json!({ "privacyProfile": { "contactEmail": null } }))).await.expect(412);
    for wrong in [
        json!({}),
        json!({ "displayName": "Other" }),
        json!({ "technicalNotificationMails": ["a@fabrikam.example"] }),
        json!({ "privacyProfile": { "statementUrl": "javascript:alert(1)" } }),
        json!({ "privacyProfile": { "statementUrl": format!("https://fabrikam.example/{}", "x".repeat(240)) } }),
        json!({ "privacyProfile": { "contactEmail": "x" } }),
        json!({ "privacyProfile": { "other": 1 } }),
        json!({ "other": 1 }),
    ] {
        assert_eq!(api.patch(&path, &wrong).await.status, 400, "{wrong}");
    }
    let named = api.patch(&path, &json!({ "technicalNotificationMails": [] })).await.text;
    assert!(named.contains("technicalNotificationMails"), "{named}");
    assert_eq!(api.get(&path).await.json(), after);
    api.patch(&path, &json!({ "privacyProfile": { "statementUrl": null, "contactEmail": null } })).await.expect(204);
}
