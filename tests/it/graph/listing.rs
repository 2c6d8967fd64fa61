//! Lists: filters, order, count, pages, page tokens.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::api::{Api, address};
use crate::support::{apply::apply, journey::shared_demo, process::Demo};

/// All pages of a list, and how many there were.
pub(super) async fn walk(api: &Api, path: &str) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut next) = (Vec::new(), 0, Some(path.to_owned()));
    while let Some(link) = next {
        let page = api.get(&link).await.expect(200).json();
        assert!(pages == 0 || page.get("@odata.count").is_none(), "the count is on the first page only");
        all.extend(page["value"].as_array().expect("a list").iter().cloned());
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        pages += 1;
        assert!(pages < 200, "{path}");
    }
    (all, pages)
}

fn names(users: &[Value]) -> Vec<String> {
    users.iter().map(|user| user["displayName"].as_str().expect("a name").to_owned()).collect()
}

/// `count` pending guests named by number, as `apply` reads them.
pub(super) fn guests(count: usize) -> String {
    let guest = |n| format!("[[tenant.user]]\ndisplay_name = \"Guest {n:05}\"\nmail = \"guest{n:05}@many.example\"\n\n");
    (0..count).map(guest).collect()
}

#[tokio::test]
async fn users_are_filtered_ordered_counted_and_paged() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.ReadWrite.All"]).await;
    apply(&demo, &guests(25), &[]);
    let of_ours = "$filter=startswith(displayName,'Guest 0')";
    for top in [1, 7, 25, 999] {
        let (users, pages) = walk(&api, &format!("/users?{of_ours}&$top={top}&$select=displayName")).await;
        let distinct: BTreeSet<_> = names(&users).into_iter().collect();
        assert_eq!((users.len(), distinct.len()), (25, 25), "$top={top}");
        assert!(pages >= 25_usize.div_ceil(top), "{pages}");
        for order in ["displayName", "displayName desc", "createdDateTime", "userPrincipalName desc"] {
            let (ordered, _) = walk(&api, &format!("/users?{of_ours}&$orderby={order}&$top={top}&$select=displayName")).await;
            let ordered = names(&ordered);
            let mut sorted: Vec<_> = distinct.iter().cloned().collect();
            if order.ends_with("desc") {
                sorted.reverse();
            }
            if order == "createdDateTime" {
                assert_eq!(ordered.iter().collect::<BTreeSet<_>>().len(), 25, "made at one moment, and each once");
            } else {
                assert_eq!(ordered, sorted, "{order} $top={top}");
            }
        }
    }
    let counted = api.get(&format!("/users?{of_ours}&$count=true&$top=3&$select=id")).await.expect(200).json();
    assert_eq!((counted["@odata.count"].as_u64(), counted["value"].as_array().map(Vec::len)), (Some(25), Some(3)));
    let all = api.get("/users?$count=true&$top=999").await.expect(200).json();
    assert_eq!(all["@odata.count"].as_u64(), all["value"].as_array().and_then(|all| all.len().try_into().ok()));

    // Filters that an index answers, and their likes that it does not, say the same.
    for (filter, found) in [
        ("mail eq 'guest00003@many.example'", 1),
        ("mail eq 'GUEST00003@MANY.example'", 1),
        ("mail eq 'nobody@many.example'", 0),
        ("mail eq 'not an address'", 0),
        ("mail in ('guest00003@many.example','guest00004@many.example')", 2),
        ("proxyAddresses/any(x:x eq 'SMTP:guest00003@many.example')", 1),
        ("proxyAddresses/any(x:x eq 'guest00003@many.example')", 0),
        ("otherMails/any(x:x eq 'guest00003@many.example')", 0),
        ("otherMails/any(x:x eq 'nobody@many.example')", 0),
        ("endswith(mail,'0003@many.example')", 1),
        ("mail eq 'guest00003@many.example' and displayName eq 'Guest 00004'", 0),
        ("mail eq 'guest00003@many.example' or displayName eq 'Guest 00004'", 2),
        ("externalUserState eq 'PendingAcceptance' and startswith(displayName,'Guest 0001')", 10),
        ("invitationAccepted eq 'No' and source eq 'Invited user' and startswith(displayName,'Guest 0001')", 10),
        ("externalUserState eq 'Accepted' and startswith(displayName,'Guest 0')", 0),
        ("not(userType eq 'Guest')", 0),
        ("identities/any(i:i/issuer eq 'nobody')", 0),
    ] {
        let (users, _) = walk(&api, &format!("/users?$filter={}", filter.replace('+', "%2B"))).await;
        assert_eq!(users.len(), found, "{filter}");
    }
    let one = walk(&api, "/users?$filter=mail eq 'guest00003@many.example'").await.0[0].clone();
    let (id, name) = (one["id"].as_str().expect("an id"), one["userPrincipalName"].as_str().expect("a name").replace('#', "%23"));
    for filter in [format!("id eq '{id}'"), format!("id eq {id}"), format!("userPrincipalName eq '{name}'")] {
        assert_eq!(walk(&api, &format!("/users?$filter={filter}")).await.0, std::slice::from_ref(&one), "{filter}");
    }
    // A name stays when the address changes, and is found all the same; an address that two have is found with both.
    let path = format!("/users/{id}");
    api.patch(&path, &json!({ "mail": address(), "otherMails": ["guest00004@many.example"] })).await.expect(204);
    assert_eq!(walk(&api, &format!("/users?$filter=userPrincipalName eq '{name}'")).await.0[0]["id"], id);
    let (both, _) = walk(&api, "/users?$filter=otherMails/any(x:x eq 'guest00004@many.example')").await;
    assert_eq!(both.iter().map(|user| user["id"].as_str().expect("an id")).collect::<Vec<_>>(), [id]);
    // Whoever had it first lets it go: the other has it all the same.
    let first = walk(&api, "/users?$filter=mail eq 'guest00004@many.example'").await.0[0]["id"].clone();
    let path = format!("/users/{}", first.as_str().expect("an id"));
    api.patch(&path, &json!({ "mail": address() })).await.expect(204);
    let (one, _) = walk(&api, "/users?$filter=otherMails/any(x:x eq 'guest00004@many.example')").await;
    assert_eq!(one.iter().map(|user| user["id"].as_str().expect("an id")).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn what_is_not_offered_is_refused_with_words() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["Directory.Read.All", "AuditLog.Read.All"]).await;
    for (query, status) in [
        ("$select=password", 501),
        ("$select=*", 501),
        ("$expand=manager", 501),
        ("$search=\"displayName:x\"", 501),
        ("$skip=5", 501),
        ("$top=0", 400),
        ("$top=1000", 400),
        ("$top=x", 400),
        ("$top=1&$top=2", 400),
        ("$count=yes", 400),
        ("$orderby=mail", 400),
        ("$orderby=nothing", 400),
        ("$filter=nothing eq 'x'", 400),
        ("$filter=mail eq", 400),
        ("$filter=contains(mail,'x')", 400),
        ("$filter=tolower(mail) eq 'x'", 501),
        ("filter=mail eq 'x'", 400),
        ("$unknown=1", 400),
        ("$skiptoken=x", 400),
    ] {
        let answer = api.get(&format!("/users?{query}")).await;
        assert!(answer.status == status || (status == 501 && answer.status == 400), "{query}: {}", answer.text);
    }
    let id = super::api::app_id();
    for path in
        [format!("/users/{id}?$select=nothing"), format!("/users/{id}?$filter=id eq 'x'"), "/organization?$orderby=id".into()]
    {
        assert!(matches!(api.get(&path).await.status, 400 | 404 | 501), "{path}");
    }
    assert_eq!(api.get("/users?$select=password").await.code(), "NotImplemented");
    assert_eq!(api.get("/auditLogs/directoryAudits?$filter=category eq 'UserManagement'&$count=true").await.status, 501);
}

/// a page token is good as it is, for its own query, and for nothing else.
#[tokio::test]
async fn a_01_a_changed_page_token_is_refused() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["Directory.Read.All", "AuditLog.Read.All"]).await;
    for n in 0..3 {
        apply(&demo, &format!("[[tenant.user]]\ndisplay_name = \"Paged {n}\"\nmail = \"{}\"\n", address()), &[]);
    }
    let first = api.get("/users?$top=1&$orderby=displayName").await.expect(200).json();
    let link = first["@odata.nextLink"].as_str().expect("a link").to_owned();
    api.get(&link).await.expect(200);
    let (rest, token) = link.split_once("$skiptoken=").expect("a token");
    // Every byte, but not every value of every byte: the unit test has those.
    for at in 0..token.len() {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let answer = api.get(&format!("{rest}$skiptoken={changed}")).await;
        assert_eq!(answer.status, 400, "byte {at}: {}", answer.text);
    }
    for other in [
        format!("/users?$top=2&$orderby=displayName&$skiptoken={token}"),
        format!("/users?$top=1&$skiptoken={token}"),
        format!("/users?$top=1&$orderby=displayName&$filter=accountEnabled eq true&$skiptoken={token}"),
        format!("/directory/deletedItems/graph.user?$top=1&$orderby=displayName&$skiptoken={token}"),
        format!("/applications?$top=1&$skiptoken={token}"),
        format!("/auditLogs/directoryAudits?$top=1&$skiptoken={token}"),
    ] {
        api.get(&other).await.expect(400);
    }
}

/// Apps and the audit log are paged, too.
#[tokio::test]
async fn other_lists_are_paged_as_well() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["Directory.Read.All", "AuditLog.Read.All", "AppRoleAssignment.ReadWrite.All"]).await;
    for (list, key) in [("/applications", "appId"), ("/servicePrincipals", "appId"), ("/auditLogs/directoryAudits", "id")] {
        let of = async |top: usize| {
            let (entities, _) = walk(&api, &format!("{list}?$top={top}")).await;
            entities.iter().map(|entity| entity[key].as_str().expect("a key").to_owned()).collect::<BTreeSet<_>>()
        };
        let (in_pieces, at_once) = (of(3).await, of(999).await);
        assert!(in_pieces.len() > 3, "{list}");
        // Others are at work in the demo meanwhile.
        assert!(in_pieces.is_subset(&at_once), "{list}");
    }
    let mine = api.get(&format!("/applications(appId='{}')", demo.app.client_id)).await.expect(200).json();
    let same = api.get(&format!("/applications/{}", mine["id"].as_str().expect("an id"))).await.expect(200).json();
    assert_eq!(mine, same);
    let filter = format!("/servicePrincipals?$filter=appId eq '{}'", demo.app.client_id);
    let found = api.get(&filter).await.expect(200).json();
    assert_eq!(found["value"][0]["appId"], demo.app.client_id.as_str());
}

/// What belongs to one user or one app is a list like any other: no option is passed over, and links lead on.
#[tokio::test]
async fn short_lists_are_paged_and_show_what_is_selected() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["Directory.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"]).await;
    let (guest, other) = (api.guest(&demo, &address()).await, api.guest(&demo, &address()).await);
    let mut sponsors = BTreeSet::new();
    for _ in 0..3 {
        let sponsor = api.guest(&demo, &address()).await;
        let reference = json!({ "@odata.id": format!("{}/users/{sponsor}", api.service) });
        api.post(&format!("/users/{guest}/sponsors/$ref"), &reference).await.expect(204);
        sponsors.insert(sponsor);
    }
    let mut resources = Vec::new();
    for app in [&demo.app.client_id, &api.app] {
        let resource = api.get(&format!("/servicePrincipals(appId='{app}')")).await.expect(200).json()["id"].clone();
        for user in [&guest, &other] {
            let nil = "00000000-0000-0000-0000-000000000000";
            let assignment = json!({ "principalId": user, "resourceId": resource, "appRoleId": nil });
            api.post(&format!("/users/{user}/appRoleAssignments"), &assignment).await.expect(201);
        }
        resources.push(resource);
    }
    let mine = resources[1].as_str().expect("an id");
    let (of_guest, of_app) =
        (format!("/users/{guest}/appRoleAssignments"), format!("/servicePrincipals/{mine}/appRoleAssignedTo"));
    for (list, key, expected) in [
        (format!("/users/{guest}/sponsors"), "id", sponsors),
        (of_guest.clone(), "resourceId", resources.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()),
        (of_app, "principalId", [guest.clone(), other.clone()].into()),
    ] {
        let (entities, pages) = walk(&api, &format!("{list}?$top=1")).await;
        let found: Vec<_> = entities.iter().map(|entity| entity[key].as_str().expect("a key").to_owned()).collect();
        assert!(found.len() == expected.len() && pages >= expected.len(), "{list}: {found:?}, {pages} pages");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{list}");
        api.get(&format!("{list}?$skiptoken=x")).await.expect(400);
    }
    let counted = api.get(&format!("{of_guest}?$top=1&$count=true")).await.expect(200).json();
    assert_eq!((counted["@odata.count"].as_u64(), counted["value"].as_array().map(Vec::len)), (Some(2), Some(1)));
    api.get("/organization?$skiptoken=x").await.expect(400);

    let invitation = "$select=id,vestibuleInvitation";
    let shown = api.get(&format!("/users/{guest}/sponsors?{invitation}")).await.expect(200).json();
    assert!(shown["value"].as_array().expect("a list").iter().all(|sponsor| sponsor["vestibuleInvitation"]["state"] == "Open"));
    api.delete(&format!("/users/{other}")).await.expect(204);
    let (deleted, _) = walk(&api, &format!("/directory/deletedItems/microsoft.graph.user?{invitation}")).await;
    let deleted = deleted.iter().find(|user| user["id"] == other.as_str()).expect("it is there");
    let alone = api.get(&format!("/directory/deletedItems/{other}?{invitation}")).await.expect(200).json();
    assert!(deleted["vestibuleInvitation"]["id"].is_string(), "{deleted}");
    assert_eq!(deleted["vestibuleInvitation"], alone["vestibuleInvitation"]);
}
