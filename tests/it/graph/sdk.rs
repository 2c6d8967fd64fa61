//! Microsoft's SDK for Python, unmodified but for its address and its credentials, and what it has on the wire.

use std::{collections::HashMap, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    api::Api,
    listing::guests,
    recorder::{Exchange, Recorder},
};
use crate::support::{apply::apply, process::Demo};

/// More than one page holds.
const PENDING: usize = 1_200;

/// What `graph_sdk.py` said, step by step.
async fn run(settings: &Value) -> HashMap<String, Value> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"));
    let python = folder.join("venv/bin/python");
    assert!(python.exists(), "run tests/run once: it installs the Python packages");
    let mut child = Command::new(python)
        .arg(folder.join("graph_sdk.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(settings.to_string().as_bytes()).await.expect("written");
    drop(input);
    let output = child.wait_with_output().await.expect("its end");
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaints}");
    let steps = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    steps.map(|step| (step["step"].as_str().expect("a step").to_owned(), step)).collect()
}

/// The one request whose line begins so.
fn asked<'e>(exchanges: &'e [Exchange], line: &str) -> &'e Exchange {
    let found: Vec<_> = exchanges.iter().filter(|exchange| exchange.line.starts_with(line)).collect();
    let lines: Vec<_> = exchanges.iter().map(|exchange| &exchange.line).collect();
    assert!(!found.is_empty(), "{line} in {lines:#?}");
    found[0]
}

#[tokio::test]
async fn the_sdk_of_microsoft_invites_lists_pages_patches_deletes_and_restores() {
    let demo = Demo::start();
    let api = Api::with(
        &demo,
        &[
            "Directory.ReadWrite.All",
            "AppRoleAssignment.ReadWrite.All",
            "AuditLog.Read.All",
            "CrossTenantInformation.ReadBasic.All",
        ],
    )
    .await;
    apply(&demo, &guests(PENDING), &[]);
    // Those of the demo who have not come yet are pending, too, and so is the one whom the SDK invites.
    let pending = api.get("/users?$filter=externalUserState eq 'PendingAcceptance'&$count=true&$top=1").await.expect(200).json();
    let pending = usize::try_from(pending["@odata.count"].as_u64().expect("a count")).expect("small") + 1;
    let server = url::Url::parse(&demo.origin()).expect("a URL").port_or_known_default().expect("a port");
    let recorder = Recorder::to(([127, 0, 0, 1], server).into()).await;
    let said = run(&json!({
        "base": format!("http://localhost:{}/v1.0", recorder.address.port()),
        "direct": api.service,
        "token_endpoint": format!("{}/{}/oauth2/v2.0/token", demo.origin(), demo.tenant_id),
        "scope": format!("{}/.default", demo.origin()),
        "client_id": api.app,
        "client_secret": api.secret,
        "tenant": demo.tenant_id,
        "domain": demo.verified_domain,
        "redirect": demo.app.url,
        "app": demo.app.client_id,
    }))
    .await;

    let user = said["invited"]["user"].as_str().expect("an id").to_owned();
    demo.secret(said["invited"]["link"].as_str().expect("a link"));
    assert_eq!((&said["invited"]["status"], &said["invited"]["kind"]), (&json!("PendingAcceptance"), &json!("Guest")));
    let listed = &said["listed"];
    assert_eq!(
        (listed["count"].as_u64(), listed["page"].as_u64(), listed["first"].as_str()),
        (Some(1_200), Some(999), Some("Guest 00000"))
    );
    assert!(listed["more"].as_str().is_some_and(|link| link.starts_with(&api.service)), "{listed}");
    assert_eq!(said["walked"], json!({ "step": "walked", "users": pending, "distinct": pending, "guest": true }));
    let patched = &said["patched"];
    assert_eq!((&patched["enabled"], &patched["others"]), (&json!(false), &json!(["adele@elsewhere.example"])));
    assert_eq!(
        (&patched["kind"], &patched["creation"], &patched["state"]),
        (&json!("Guest"), &json!("Invitation"), &json!("PendingAcceptance"))
    );
    assert_eq!(patched["identity"], format!("adele_sdk.example#EXT#@{}", demo.verified_domain));
    assert!(patched["created"].as_str().is_some_and(|moment| moment.starts_with("20")), "a moment: {patched}");
    assert_eq!(said["found"]["ids"], json!([user]));
    assert_eq!(said["revoked"]["value"], true);
    assert_eq!(said["assigned"]["resources"], json!(["Expenses"]));
    assert!(said["applications"]["names"].as_array().is_some_and(|names| names.contains(&json!("Expenses"))));
    assert_eq!((&said["deleted"]["status"], &said["deleted"]["code"]), (&json!(404), &json!("Request_ResourceNotFound")));
    assert!(said["deleted"]["request"].as_str().is_some_and(|id| !id.is_empty()));
    assert_eq!(said["deleted items"]["ids"], json!([user]));
    assert_eq!(said["restored"]["id"], user.as_str());
    assert_eq!(
        (&said["organization"]["id"], &said["organization"]["domains"][0]),
        (&json!(demo.tenant_id), &json!(demo.verified_domain))
    );
    assert_eq!(said["tenants"]["names"], json!(["Contoso", "Contoso"]));
    assert!(said["audits"]["names"].as_array().is_some_and(|names| names.contains(&json!("Invite external user"))));
    assert_eq!(said["batch"]["urls"][0], format!("{}/users/{user}", api.service), "absolute, as Graph takes them");
    assert_eq!(said["batch"]["statuses"], json!({ "known": 200, "unknown": 404, "gone": 204 }));

    on_the_wire(&recorder.exchanges(), &user, &demo, &api);
}

/// What the SDK sent, and what it was answered, byte for byte where it matters.
fn on_the_wire(exchanges: &[Exchange], user: &str, demo: &Demo, api: &Api) {
    let invitation = asked(exchanges, "POST /v1.0/invitations ");
    let sent: Value = serde_json::from_str(&invitation.body).expect("JSON");
    assert_eq!(
        sent,
        json!({
            "inviteRedirectUrl": demo.app.url,
            "invitedUserEmailAddress": "adele@sdk.example",
            "invitedUserMessageInfo": { "customizedMessageBody": "Welcome" },
            "sendInvitationMessage": false,
        })
    );
    let head = invitation.head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/json") && head.contains("authorization: bearer ey"), "{head}");
    assert_eq!(invitation.status, "HTTP/1.1 201 Created");
    let mut answer: Value = serde_json::from_str(&invitation.answer).expect("JSON");
    let id = answer["id"].take();
    let link = answer["inviteRedeemUrl"].take();
    assert!(link.as_str().is_some_and(|link| link.contains(&format!("user={}&ticket=", id.as_str().unwrap_or_default()))));
    let expected = json!({
        "@odata.context": format!("{}/$metadata#invitations/$entity", api.service),
        "id": null,
        "inviteRedeemUrl": null,
        "invitedUserDisplayName": null,
        "invitedUserType": "Guest",
        "invitedUserEmailAddress": "adele@sdk.example",
        "sendInvitationMessage": false,
        "resetRedemption": false,
        "inviteRedirectUrl": demo.app.url,
        "status": "PendingAcceptance",
        "invitedUserMessageInfo": {
            "messageLanguage": null,
            "customizedMessageBody": "Welcome",
            "ccRecipients": [{ "emailAddress": { "name": null, "address": null } }],
        },
        "invitedUser": { "id": user },
        "vestibuleDelivery": null,
    });
    assert_eq!(answer, expected);

    let list = asked(exchanges, "GET /v1.0/users?$count=true&");
    assert_eq!(
        list.line,
        "GET /v1.0/users?$count=true&$filter=externalUserState%20eq%20%27PendingAcceptance%27%20and%20startswith%28displayName\
         %2C%27Guest%200%27%29&$orderby=displayName&$select=id,displayName,externalUserState&$top=999 HTTP/1.1"
    );
    assert!(list.head.to_ascii_lowercase().contains("consistencylevel: eventual"));
    let page: Value = serde_json::from_str(&list.answer).expect("JSON");
    assert_eq!(page["@odata.context"], format!("{}/$metadata#users(id,displayName,externalUserState)", api.service));
    let mut members: Vec<_> = page["value"][0].as_object().expect("a user").keys().collect();
    members.sort();
    assert_eq!(members, ["@odata.etag", "displayName", "externalUserState", "id"]);
    assert!(page["@odata.nextLink"].as_str().is_some_and(|link| link.contains("$skiptoken=")));

    let patch = asked(exchanges, &format!("PATCH /v1.0/users/{user} "));
    let change: Value = serde_json::from_str(&patch.body).expect("JSON");
    assert_eq!(
        change,
        json!({ "@odata.type": "#microsoft.graph.user", "accountEnabled": false, "otherMails": ["adele@elsewhere.example"] })
    );
    assert_eq!((patch.status.as_str(), patch.answer.as_str()), ("HTTP/1.1 204 No Content", ""));
    let revoke = asked(exchanges, &format!("POST /v1.0/users/{user}/revokeSignInSessions "));
    assert!(revoke.body.is_empty() && !revoke.head.to_ascii_lowercase().contains("content-type"), "{}", revoke.head);
    let delete = asked(exchanges, &format!("DELETE /v1.0/users/{user} "));
    assert_eq!((delete.status.as_str(), delete.answer.as_str()), ("HTTP/1.1 204 No Content", ""));
    let gone = exchanges.iter().find(|exchange| exchange.status.starts_with("HTTP/1.1 404")).expect("one was refused");
    let refusal: Value = serde_json::from_str(&gone.answer).expect("JSON");
    let inner: Vec<_> = refusal["error"]["innerError"].as_object().expect("an inner error").keys().map(String::as_str).collect();
    assert!(["client-request-id", "date", "request-id"].iter().all(|name| inner.contains(name)), "{refusal}");
    asked(exchanges, "GET /v1.0/directory/deletedItems/graph.user ");
    asked(exchanges, &format!("POST /v1.0/directory/deletedItems/{user}/restore "));
    asked(exchanges, &format!("GET /v1.0/tenantRelationships/findTenantInformationByTenantId(tenantId='{}') ", demo.tenant_id));
}
