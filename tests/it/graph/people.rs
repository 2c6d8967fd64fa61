//! Tokens in somebody's name: what an app may do for who is signed in to it.

use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, address, app_id};
use crate::support::{
    apply::apply,
    client::{Client, peek},
    journey::Guest,
    process::{Demo, SignsInWith},
    random, soon,
};

/// An app that may ask for directory permissions, as an OpenID client.
async fn app(demo: &Demo, delegated: &[&str]) -> Client {
    let (id, secret, redirect) = (app_id(), random(), "http://localhost:9/callback");
    let declared = format!(
        "[[tenant.app]]\nid = \"{id}\"\ndisplay_name = \"For people {id}\"\nvisible = false\nclient_secret = \"{secret}\"\n\
         redirect_uris = [\"{redirect}\"]\ndelegated_permissions = {delegated:?}\n"
    );
    apply(demo, &declared, &[]);
    let mut client = Client::of(demo).await;
    (client.id, client.secret, client.redirect_uri) = (id, secret, redirect.to_owned());
    client
}

/// The token answer to a sign-in with these scopes.
async fn sign_in(demo: &Demo, client: &Client, guest: &mut Guest<'_>, scope: &str) -> Value {
    let request = client.request().with("scope", scope);
    let code = client.code(guest, &request).await;
    let answer = client.token(&client.code_grant(&code, &request.verifier)).await.expect(200).json();
    demo.secret(answer["access_token"].as_str().expect("a token"));
    answer
}

fn token(answer: &Value) -> String {
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// The audience of a token is the directory exactly where directory permissions were asked for and the app may have them.
#[tokio::test]
async fn s_54_directory_permissions_make_a_token_for_the_directory() {
    let demo = Demo::start();
    let client = app(&demo, &["User.Read", "User.Invite.All"]).await;
    let api = Api::with(&demo, &[]).await;
    let mut guest = Guest::signed_in(&demo).await;
    let plain = sign_in(&demo, &client, &mut guest, "openid profile").await;
    assert_eq!(peek(&token(&plain))["aud"], format!("api://{}", client.id));
    api.holding(&token(&plain)).get("/me").await.expect(401);
    let refused = sign_in(&demo, &client, &mut guest, "openid User.Read.All Directory.ReadWrite.All").await;
    assert_eq!(peek(&token(&refused))["aud"], format!("api://{}", client.id), "the app may not have them");

    let scope = format!("openid profile offline_access {}/User.Read User.Invite.All User.ReadWrite.All", demo.origin());
    let answer = sign_in(&demo, &client, &mut guest, &scope).await;
    let claims = peek(&token(&answer));
    assert_eq!(
        (claims["aud"].as_str(), claims["scp"].as_str()),
        (Some(demo.origin().as_str()), Some("openid profile offline_access User.Read User.Invite.All"))
    );
    assert_eq!(claims["roles"], Value::Null);
    client.userinfo(&token(&plain)).await.expect(200);
    client.userinfo(&token(&answer)).await.expect(200);

    let me = api.holding(&token(&answer));
    let shown = me.get("/me?$select=id,mail,userType,externalUserState").await.expect(200).json();
    assert_eq!((shown["id"].as_str(), shown["mail"].as_str()), (claims["oid"].as_str(), Some(guest.person.email.as_str())));
    let own = format!("/users/{}", shown["id"].as_str().expect("an id"));
    // L-14: nobody changes themselves here, and guests do not read the directory.
    for (method, path) in [
        (Method::GET, "/users".to_owned()),
        (Method::GET, own.clone()),
        (Method::DELETE, own.clone()),
        (Method::GET, "/organization".into()),
        (Method::GET, "/auditLogs/directoryAudits".into()),
        (Method::POST, format!("{own}/resendInvitation")),
    ] {
        me.send(me.request(method, &path)).await.expect(403);
    }
    me.patch(&own, &json!({ "mail": address() })).await.expect(403);
    me.patch("/me", &json!({ "externalUserState": "Accepted" })).await.expect(405);
    me.get("/me?$select=vestibuleInvitation").await.expect(400);
    me.get("/me?$top=1").await.expect(400);

    // Refreshed, for all or for less; and what is taken from the app is gone with the next token, and at once.
    let refresh = |scope: Option<&str>| {
        let mut form = vec![("grant_type", "refresh_token".to_owned())];
        form.push(("refresh_token", answer["refresh_token"].as_str().expect("a refresh token").to_owned()));
        form.extend(scope.map(|scope| ("scope", scope.to_owned())));
        form
    };
    let less = client.token(&refresh(Some(&format!("openid {}/User.Read", demo.origin())))).await.expect(200).json();
    assert_eq!(peek(&token(&less))["scp"], "openid User.Read");
    demo.secret(&token(&less));
    let inviting = json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": demo.app.url });
    assert_eq!(api.holding(&token(&less)).post("/invitations", &inviting).await.code(), "Authorization_RequestDenied");
    let declared = format!(
        "[[tenant.app]]\nid = \"{}\"\ndisplay_name = \"For people {}\"\nclient_secret = \"{}\"\nredirect_uris = [\"{}\"]\n",
        client.id, client.id, client.secret, client.redirect_uri
    );
    apply(&demo, &declared, &[]);
    assert!(soon(async || me.get("/me").await.status == 403).await);
}

/// An information worker invites where the organisation allows it, a guest where it allows that, too; and a token ends with its
/// session.
#[tokio::test]
async fn a_person_invites_where_the_policy_lets_them() {
    let demo = Demo::start();
    let client = app(&demo, &["User.Invite.All", "User.Read"]).await;
    let api = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let answer = sign_in(&demo, &client, &mut guest, "openid User.Invite.All User.Read").await;
    let me = api.holding(&token(&answer));
    let id = peek(&token(&answer))["oid"].as_str().expect("an id").to_owned();
    let invite = async |more: Value| {
        let mut body = json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": demo.app.url });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        me.post("/invitations", &body).await
    };
    // Neither administrator nor guest inviter.
    invite(json!({})).await.expect(403);
    api.patch(&format!("/users/{id}"), &json!({ "vestibuleGuestInviter": true })).await.expect(204);
    let made = invite(json!({})).await.expect(201).json();
    demo.secret(made["inviteRedeemUrl"].as_str().expect("nobody else would bring it"));
    let invited = made["invitedUser"]["id"].as_str().expect("an id").to_owned();
    let sponsors = api.get(&format!("/users/{invited}/sponsors?$select=id")).await.expect(200).json();
    assert_eq!(sponsors["value"][0]["id"], id.as_str(), "who invites answers for the guest");
    let mailed = invite(json!({ "sendInvitationMessage": true })).await.expect(201).json();
    assert_eq!(mailed["inviteRedeemUrl"], Value::Null, "T-04: the mail brings it, and nobody else need have it");
    // What else is known of somebody who is there is not for everybody who may invite.
    let private = address();
    api.patch(&format!("/users/{id}"), &json!({ "otherMails": [private] })).await.expect(204);
    let known = invite(json!({ "invitedUserEmailAddress": private })).await.expect(201).json();
    let told = (&known["status"], &known["invitedUserEmailAddress"], &known["id"]);
    assert_eq!(told, (&"Completed".into(), &private.as_str().into(), &Value::Null));
    invite(json!({ "invitedUserType": "Member" })).await.expect(403);
    invite(json!({ "resetRedemption": true, "invitedUser": { "id": invited } })).await.expect(403);
    api.patch(&format!("/users/{id}"), &json!({ "vestibuleGuestInviter": false })).await.expect(204);
    invite(json!({})).await.expect(403);
    apply(&demo, "policy = { allow_invites_from = \"everyone\" }\n", &[]);
    assert!(soon(async || invite(json!({ "sendInvitationMessage": true })).await.status == 201).await);
    // T-05: blocked, and out.
    me.get("/me").await.expect(200);
    api.patch(&format!("/users/{id}"), &json!({ "accountEnabled": false })).await.expect(204);
    assert!(soon(async || me.get("/me").await.status == 401).await);
}

/// A guest who wants no invitations by mail gets none; whoever invites them is told so and has the link, since nobody else
/// brings it.
#[tokio::test]
async fn who_invites_is_told_that_no_mail_goes_out() {
    let demo = Demo::start();
    let client = app(&demo, &["User.Invite.All"]).await;
    apply(&demo, "policy = { allow_invites_from = \"everyone\" }\n", &[]);
    let api = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let (reluctant, _) = demo.invited();
    let mut guest = Guest::new(&demo, reluctant.clone());
    let choice = guest.stop_before(&format!("{}/{}/block-invitations", demo.origin(), demo.tenant_id), "block").await;
    let blocked = guest.browser.press(&choice.page(), "block", &[]).await;
    assert!(guest.browser.follow(blocked).await.expect(200).page().has("allow"));

    let mut inviter = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let me = api.holding(&token(&sign_in(&demo, &client, &mut inviter, "openid User.Invite.All").await));
    let invite = async |api: &Api, mail: &str, send: bool| {
        let body = json!({ "invitedUserEmailAddress": mail, "inviteRedirectUrl": demo.app.url, "sendInvitationMessage": send });
        let answer = api.post("/invitations", &body).await.expect(201).json();
        if let Some(link) = answer["inviteRedeemUrl"].as_str() {
            demo.secret(link);
        }
        (answer["inviteRedeemUrl"].is_string(), answer["vestibuleDelivery"].clone())
    };
    assert_eq!(invite(&me, &reluctant.email, true).await, (false, Value::Null), "L-08: somebody else's guest");
    assert_eq!(invite(&api, &reluctant.email, true).await, (true, json!("Suppressed")));
    let found = api.get(&format!("/users?$filter=mail eq '{}'", reluctant.email)).await.expect(200).json();
    api.delete(&format!("/users/{}", found["value"][0]["id"].as_str().expect("an id"))).await.expect(204);
    assert_eq!(invite(&me, &reluctant.email, true).await, (true, json!("Suppressed")), "one of their own");
    assert_eq!(invite(&me, &address(), true).await, (false, json!("Queued")), "T-04");
    assert_eq!(invite(&me, &address(), false).await, (true, Value::Null));
}
