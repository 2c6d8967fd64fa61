//! Invitations over the API: what is answered, what is mailed, what is shown afterwards.

use serde_json::{Value, json};

use super::api::{Api, address};
use crate::support::{apply::apply, journey::shared_demo, process::Demo};

const STATE: &str = "$select=id,externalUserState,creationType,userType,source,invitationAccepted,vestibuleInvitation,\
                     showInAddressList,otherMails,proxyAddresses,userPrincipalName,mailNickname,identities";

/// The answer is Graph's, member by member (facts 5.1).
#[tokio::test]
async fn an_invitation_is_answered_as_by_graph() {
    let demo = shared_demo().await;
    let api = Api::with(&demo, &["User.Invite.All", "User.Read.All"]).await;
    let mail = address();
    let redirect = format!("{}/welcome?x=1", demo.app.url.trim_end_matches('/'));
    let body = json!({ "invitedUserEmailAddress": mail.to_ascii_uppercase(), "inviteRedirectUrl": redirect });
    let mut answer = api.post("/invitations", &body).await.expect(201).json();
    let link = answer["inviteRedeemUrl"].take();
    let (link, invitation) = (link.as_str().expect("a link"), answer["id"].as_str().expect("an id").to_owned());
    let user = answer["invitedUser"]["id"].as_str().expect("an id").to_owned();
    demo.secret(link);
    assert!(link.starts_with(&format!("{}/redeem?tenant={}&user={invitation}&ticket=", demo.origin(), demo.tenant_id)), "{link}");
    assert_eq!(
        answer,
        json!({
            "@odata.context": format!("{}/$metadata#invitations/$entity", api.service),
            "id": invitation,
            "inviteRedeemUrl": null,
            "invitedUserDisplayName": null,
            "invitedUserType": "Guest",
            "invitedUserEmailAddress": mail,
            "sendInvitationMessage": false,
            "resetRedemption": false,
            "inviteRedirectUrl": redirect,
            "status": "PendingAcceptance",
            "invitedUserMessageInfo": {
                "messageLanguage": null,
                "customizedMessageBody": null,
                "ccRecipients": [{ "emailAddress": { "name": null, "address": null } }],
            },
            "invitedUser": { "id": user },
            "vestibuleDelivery": null,
        })
    );
    let shown = api.get(&format!("/users/{user}?{STATE}")).await.expect(200).json();
    let name = format!("{}#EXT#@{}", mail.replace('@', "_"), demo.verified_domain);
    assert_eq!(shown["userPrincipalName"], name.as_str());
    assert_eq!(shown["mailNickname"], name.split('@').next().expect("a nickname"));
    assert_eq!(shown["proxyAddresses"], json!([format!("SMTP:{mail}")]));
    assert_eq!((shown["externalUserState"].as_str(), shown["userType"].as_str()), (Some("PendingAcceptance"), Some("Guest")));
    assert_eq!((shown["source"].as_str(), shown["invitationAccepted"].as_str()), (Some("Invited user"), Some("No")));
    assert_eq!((shown["creationType"].as_str(), &shown["showInAddressList"]), (Some("Invitation"), &json!(false)));
    let state = &shown["vestibuleInvitation"];
    assert_eq!((state["id"].as_str(), state["state"].as_str()), (Some(invitation.as_str()), Some("Open")));
    assert_eq!((state["address"].as_str(), &state["delivery"]), (Some(mail.as_str()), &Value::Null));
    // By the name in the directory, too; and without $select, with the default members of Graph only.
    let by_name = api.get(&format!("/users/{}", name.replace('#', "%23"))).await.expect(200).json();
    let mut members: Vec<&str> = by_name.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "@odata.context",
            "@odata.etag",
            "businessPhones",
            "displayName",
            "givenName",
            "id",
            "jobTitle",
            "mail",
            "mobilePhone",
            "officeLocation",
            "preferredLanguage",
            "surname",
            "userPrincipalName",
        ]
    );
    for (wrong, status) in [
        (json!({ "inviteRedirectUrl": redirect }), 400),
        (json!({ "invitedUserEmailAddress": "no address", "inviteRedirectUrl": redirect }), 400),
        (json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": "https://evil.example/" }), 400),
        (json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": "javascript:alert(1)" }), 400),
        (json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": redirect, "status": "Completed" }), 400),
        (json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": redirect, "other": 1 }), 400),
        (json!({ "invitedUserEmailAddress": address(), "sendInvitationMessage": "yes" }), 400),
        (json!({ "invitedUserEmailAddress": format!("x@{}", demo.verified_domain), "inviteRedirectUrl": redirect }), 400),
        (json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": redirect, "invitedUserType": "Member" }), 403),
        (json!({ "invitedUserEmailAddress": mail, "inviteRedirectUrl": redirect, "resetRedemption": true }), 403),
        (json!({ "invitedUserEmailAddress": mail, "invitedUser": { "id": user } }), 403),
    ] {
        assert_eq!(api.post("/invitations", &wrong).await.status, status, "{wrong}");
    }
}

/// T-04: the link is in the one answer, and nowhere afterwards: not with the user, not in the audit log, not in the server's log.
#[tokio::test]
async fn t_04_the_link_is_shown_once() {
    let demo = Demo::start();
    let admin = Api::with(&demo, &["Directory.ReadWrite.All", "AuditLog.Read.All", "AppRoleAssignment.ReadWrite.All"]).await;
    let invitation = admin.invite(&demo, &address()).await;
    let link = invitation["inviteRedeemUrl"].as_str().expect("a link");
    let ticket = link.split("ticket=").nth(1).expect("a ticket").to_owned();
    demo.secret(&ticket);
    let user = invitation["invitedUser"]["id"].as_str().expect("an id");
    let id = invitation["id"].as_str().expect("an id");
    let properties = admin.document.0["components"]["schemas"]["user"]["properties"].as_object().expect("properties").clone();
    let all = properties.keys().filter(|name| !name.starts_with('@')).cloned().collect::<Vec<_>>().join(",");
    let resent = admin.post(&format!("/users/{user}/resendInvitation"), &json!({})).await.expect(200);
    demo.secret(resent.json()["inviteRedeemUrl"].as_str().expect("an app may be what mails it"));
    let tickets = [
        ticket,
        resent.json()["inviteRedeemUrl"].as_str().and_then(|link| link.split("ticket=").nth(1)).expect("one").to_owned(),
    ];
    for path in [
        format!("/users/{user}"),
        format!("/users/{user}?$select={all}"),
        format!("/users?$select={all}&$top=999"),
        format!("/users/{user}/sponsors"),
        "/auditLogs/directoryAudits?$top=999".into(),
        "/organization".into(),
        "/applications".into(),
    ] {
        let text = admin.get(&path).await.expect(200).text;
        assert!(tickets.iter().all(|ticket| !text.contains(ticket.as_str())) && !text.contains("ticket"), "{path}");
    }
    for nowhere in [format!("/invitations/{id}"), "/invitations".into(), format!("/users/{user}/invitation")] {
        let answer = admin.get(&nowhere).await;
        assert!(matches!(answer.status, 404 | 405), "{nowhere}: {}", answer.status);
    }
    admin.delete(&format!("/users/{user}")).await.expect(204);
    let deleted = admin.get(&format!("/directory/deletedItems/{user}?$select={all}")).await.expect(200).text;
    assert!(!deleted.contains("ticket"));
}

/// L-08: where the link is all that is asked for, who may only invite gets that of somebody new, and of nobody who was there.
#[tokio::test]
async fn l_08_a_link_that_is_enough_is_for_who_may_change_users() {
    let demo = Demo::start();
    let inviter = Api::with(&demo, &["User.Invite.All"]).await;
    let admin = Api::with(&demo, &["User.ReadWrite.All"]).await;
    let body = json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": demo.app.url });
    let link = |answer: &Value| answer["inviteRedeemUrl"].as_str().map(|link| demo.secret(link)).is_some();
    let invited = inviter.post("/invitations", &body).await.expect(201).json();
    assert!(link(&invited) && link(&inviter.post("/invitations", &body).await.expect(201).json()), "a mailbox is asked for, too");
    apply(&demo, "policy = { alias_redemption = \"link\" }\n", &[]);
    let again = async |api: &Api| link(&api.post("/invitations", &body).await.expect(201).json());
    assert!(crate::support::soon(async || !again(&inviter).await).await);
    assert!(again(&admin).await);
    let resend = format!("/users/{}/resendInvitation", invited["invitedUser"]["id"].as_str().expect("an id"));
    for (api, shown) in [(&inviter, false), (&admin, true)] {
        let resent = api.post(&resend, &json!({ "sendInvitationMessage": false })).await.expect(200).json();
        assert_eq!(link(&resent), shown);
    }
    let new = json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": demo.app.url });
    assert!(link(&inviter.post("/invitations", &new).await.expect(201).json()), "nobody was there");
}

/// T-05: who lets a blocked person in again is told so.
#[tokio::test]
async fn t_05_a_blocked_person_who_is_invited_anew_is_told_of() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.ReadWrite.All", "User.EnableDisableAccount.All"]).await;
    let mail = address();
    let invited = api.invite(&demo, &mail).await;
    assert_eq!(invited["vestibuleWasBlocked"], Value::Null);
    let first = invited["invitedUser"]["id"].as_str().expect("an id").to_owned();
    api.patch(&format!("/users/{first}"), &json!({ "accountEnabled": false })).await.expect(204);
    api.delete(&format!("/users/{first}")).await.expect(204);
    assert_eq!(api.invite(&demo, &mail).await["vestibuleWasBlocked"], true);
    let restored = api.post(&format!("/directory/deletedItems/{first}/restore"), &json!({})).await.expect(409).json();
    assert_eq!(restored["error"]["innerError"]["vbCode"], "VB7020");
}

/// Resend, revoke and reset, and what the guest's properties say of each; every act is in the audit log under Graph's name.
#[tokio::test]
async fn an_invitation_is_sent_again_taken_back_and_reset() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.ReadWrite.All", "AuditLog.Read.All"]).await;
    let mail = address();
    let body = json!({
        "invitedUserEmailAddress": mail,
        "inviteRedirectUrl": demo.app.url,
        "invitedUserDisplayName": "Adele Vance",
        "sendInvitationMessage": true,
        "invitedUserMessageInfo": { "messageLanguage": "de", "customizedMessageBody": "Bis bald <b>!</b>" },
    });
    let invitation = api.post("/invitations", &body).await.expect(201).json();
    demo.secret(invitation["inviteRedeemUrl"].as_str().expect("a link"));
    assert_eq!(invitation["invitedUserMessageInfo"]["customizedMessageBody"], "Bis bald <b>!</b>");
    let user = invitation["invitedUser"]["id"].as_str().expect("an id").to_owned();
    let path = format!("/users/{user}");
    let state = async || api.get(&format!("{path}?{STATE}")).await.expect(200).json()["vestibuleInvitation"].clone();
    assert!(crate::support::soon(async || state().await["delivery"]["state"] == "Sent").await, "{}", state().await);
    let first = state().await["id"].clone();

    let again =
        api.post(&format!("{path}/resendInvitation"), &json!({ "sendInvitationMessage": false })).await.expect(200).json();
    demo.secret(again["inviteRedeemUrl"].as_str().expect("a link"));
    assert_ne!(state().await["id"], first);
    assert_eq!(state().await["delivery"], Value::Null);
    api.post(&format!("{path}/revokeInvitation"), &json!({})).await.expect(204);
    assert_eq!(state().await["state"], "Revoked");
    let reset = json!({ "invitedUserEmailAddress": mail, "sendInvitationMessage": false });
    let reset = api.post(&format!("{path}/resetRedemption"), &reset).await.expect(200).json();
    demo.secret(reset["inviteRedeemUrl"].as_str().expect("a link"));
    assert_eq!((reset["resetRedemption"].as_bool(), reset["invitedUser"]["id"].as_str()), (Some(true), Some(user.as_str())));
    let mut by_graph = body.clone();
    by_graph["resetRedemption"] = json!(true);
    by_graph["sendInvitationMessage"] = json!(false);
    by_graph["invitedUser"] = json!({ "id": user });
    let reset = api.post("/invitations", &by_graph).await.expect(201).json();
    demo.secret(reset["inviteRedeemUrl"].as_str().expect("a link"));
    by_graph["invitedUserEmailAddress"] = json!(address());
    api.post("/invitations", &by_graph).await.expect(400);
    api.patch(&path, &json!({ "accountEnabled": false })).await.expect(204);
    api.post(&format!("{path}/resendInvitation"), &json!({})).await.expect(409);
    api.patch(&path, &json!({ "accountEnabled": true })).await.expect(204);
    api.post(&format!("{path}/revokeSignInSessions"), &json!({})).await.expect(200);
    api.delete(&path).await.expect(204);

    let audits = api.get("/auditLogs/directoryAudits?$top=999").await.expect(200).json();
    let of_user: Vec<_> =
        audits["value"].as_array().expect("a list").iter().filter(|a| a["targetResources"][0]["id"] == user.as_str()).collect();
    let names: Vec<_> = of_user.iter().map(|audit| audit["activityDisplayName"].as_str().expect("a name")).collect();
    for name in [
        "Add user",
        "Invite external user",
        "Resend external user invite",
        "Revoke external user invite",
        "Disable account",
        "Enable account",
        "Update StsRefreshTokenValidFrom Timestamp",
        "Delete external user",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(of_user.iter().all(|audit| audit["initiatedBy"]["app"]["appId"] == api.app.as_str()));
    assert_eq!(names.last(), Some(&"Add user"), "newest first: {names:?}");
    let upn = mail.replace('@', "_");
    for audit in &of_user {
        let target = &audit["targetResources"][0];
        let called = target["userPrincipalName"].as_str().unwrap_or_default();
        assert!(target["displayName"] == "Adele Vance" && called.starts_with(&upn), "{audit}");
    }
    let filter = "/auditLogs/directoryAudits?$filter=activityDisplayName eq 'Invite external user'&$top=2";
    let page = api.get(filter).await.expect(200).json();
    assert_eq!(page["value"].as_array().map(Vec::len), Some(2));
    assert!(page["value"].as_array().expect("a list").iter().all(|audit| audit["activityDisplayName"] == "Invite external user"));
    let of_user = |page: &Value| {
        let audits = page["value"].as_array().expect("a list").iter();
        audits.filter(|audit| audit["targetResources"][0]["id"] == user.as_str()).count()
    };
    let mut next = page["@odata.nextLink"].as_str().map(str::to_owned);
    let mut found = of_user(&page);
    while let Some(link) = next {
        let page = api.get(&link).await.expect(200).json();
        found += of_user(&page);
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!(found, 3, "invited, and reset twice; what was sent again has a name of its own");
}

/// The organisation's policy is above every permission.
#[tokio::test]
async fn where_inviting_is_off_no_permission_helps() {
    let demo = Demo::start();
    let api = Api::with(&demo, &["User.Invite.All"]).await;
    apply(&demo, "policy = { allow_invites_from = \"none\" }\n", &[]);
    let body = json!({ "invitedUserEmailAddress": address(), "inviteRedirectUrl": demo.app.url });
    assert!(crate::support::soon(async || api.post("/invitations", &body).await.status == 403).await);
    let answer = api.post("/invitations", &body).await.expect(403).json();
    assert_eq!(answer["error"]["innerError"]["vbCode"], "VB7003");
}
