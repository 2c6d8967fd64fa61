use super::*;
use crate::{
    domain::{AppId, invitation::InvitationState},
    flows::guests::find,
};

#[tokio::test]
async fn properties_change_and_an_entry_says_which() {
    let scene = Scene::new().await;
    let (sam, _) = scene.invited("sam@fabrikam.example").await;
    let adele = scene.house.user("adele@contoso.example").await;
    let before = scene.entries().await;
    let change = Change {
        display_name: Some("Sam Smith".into()),
        preferred_language: Some(Some("de".parse().unwrap())),
        guest_inviter: Some(true),
        profile: ProfileChange {
            company_name: Some(Some("Fabrikam".into())),
            business_phones: Some(vec!["+49 1".into()]),
            ..ProfileChange::default()
        },
        ..Change::default()
    };
    let version = scene.store().get(&records::user(tenant(), sam.id)).await.unwrap().unwrap().version;
    let after = scene.operator().change(sam.id, Some(version), &change).await.unwrap();
    assert_eq!(scene.user(sam.id).await, after);
    assert_eq!((after.display_name.as_str(), after.profile.company_name.as_deref()), ("Sam Smith", Some("Fabrikam")));
    let outdated = scene.operator().change(sam.id, Some(version), &change).await;
    assert_eq!(outdated.unwrap_err(), Code::VersionOutdated, "it was changed since");
    scene.operator().change(sam.id, None, &change).await.unwrap();
    scene.operator().set_sponsors(sam.id, None, vec![adele.id]).await.unwrap();
    let member = Change { user_type: Some(UserType::Member), ..Change::default() };
    scene.operator().change(sam.id, None, &member).await.unwrap();
    let none = Change { preferred_language: Some(None), ..Change::default() };
    assert_eq!(scene.operator().change(sam.id, None, &none).await.unwrap().preferred_language, None);
    let words = ["display name, language, guest inviter, profile", "sponsors", "guest to member", "language"];
    let told = words.map(|what| Activity::UserChanged { user: sam.id, what: what.into() });
    assert_eq!(scene.since(before).await, told, "what changes nothing is not told");
    assert_eq!(scene.user(sam.id).await.principal_name, sam.principal_name);
    assert!(scene.user(sam.id).await.is_pending(), "how somebody signs in is another matter");
}

#[tokio::test]
async fn each_refusal_of_a_change_has_its_code() {
    let scene = Scene::new().await;
    let (sam, _) = scene.invited("sam@fabrikam.example").await;
    let nobody = UserId(uuid::Uuid::nil());
    let before = scene.entries().await;
    let base = Change::default;
    let long = ProfileChange { surname: Some(Some("x".repeat(65))), ..ProfileChange::default() };
    let lines = ProfileChange { job_title: Some(Some("a\nb".into())), ..ProfileChange::default() };
    let refused = [
        (Change { display_name: Some(" \u{7}".into()), ..base() }, Code::PropertyInvalid),
        (Change { display_name: Some("Sam \u{202e}htimS".into()), ..base() }, Code::PropertyInvalid),
        (Change { profile: long, ..base() }, Code::PropertyInvalid),
        (Change { profile: lines, ..base() }, Code::PropertyInvalid),
        (Change { mail: Some(Some(address("maria@fabrikam.example"))), ..base() }, Code::AddressTaken),
        (Change { sponsors: Some(vec![nobody]), ..base() }, Code::SponsorUnknown),
        (Change { sponsors: Some(vec![nobody; LIST_MAX + 1]), ..base() }, Code::PropertyInvalid),
    ];
    for (change, code) in refused {
        assert_eq!(scene.operator().change(sam.id, None, &change).await.unwrap_err(), code, "{change:?}");
    }
    assert_eq!(scene.operator().block(nobody, None).await.unwrap_err(), Code::ObjectUnknown);
    assert_eq!(scene.operator().revoke_sessions(nobody, None).await.unwrap_err(), Code::ObjectUnknown);
    assert_eq!(scene.since(before).await, []);
}

/// Whatever else changes with it, the audit log says that somebody was blocked.
#[tokio::test]
async fn a_block_is_told_beside_what_else_changed() {
    let scene = Scene::new().await;
    let user = scene.house.user("maria@fabrikam.example").await.id;
    let before = scene.entries().await;
    let change = Change { account_enabled: Some(false), display_name: Some("Maria".into()), ..Change::default() };
    scene.operator().change(user, None, &change).await.unwrap();
    scene.operator().unblock(user, None).await.unwrap();
    let renamed = Activity::UserChanged { user, what: "display name".into() };
    assert_eq!(scene.since(before).await, [renamed, Activity::UserBlocked { user }, Activity::UserUnblocked { user }]);
}

#[tokio::test]
async fn f_27_a_block_ends_sessions_at_once_and_an_unblock_does_not_bring_them_back() {
    let scene = Scene::new().await;
    let maria = scene.house.user("maria@fabrikam.example").await;
    scene.house.clock.advance(60);
    let blocked = scene.operator().block(maria.id, None).await.unwrap();
    let cutoff = || async { scene.house.get(&records::user_cutoff(tenant(), maria.id)).await.unwrap() };
    assert_eq!((cutoff().await.blocked, blocked.sessions_valid_from), (true, scene.house.foundation.now()));
    scene.house.clock.advance(60);
    scene.operator().unblock(maria.id, None).await.unwrap();
    assert_eq!((cutoff().await.blocked, cutoff().await.sessions_valid_from), (false, blocked.sessions_valid_from));
    scene.operator().revoke_sessions(maria.id, None).await.unwrap();
    assert_eq!(cutoff().await.sessions_valid_from, scene.house.foundation.now());
    assert_eq!(scene.user(maria.id).await.sessions_valid_from, scene.house.foundation.now());
    assert_eq!(scene.since(0).await.last(), Some(&Activity::SessionsRevoked { user: maria.id }));
}

/// L-14: who has accepted stays who they are; an open invitation to an address that is taken away ends.
#[tokio::test]
async fn l_14_another_mail_is_no_proof_of_anything() {
    let scene = Scene::new().await;
    let (accepted, _) = scene.invited("sam@fabrikam.example").await;
    scene.redeemed(accepted.id, "sam").await;
    let (pending, _) = scene.invited("kim@fabrikam.example").await;
    let to = |mail: &str| Change { mail: Some(Some(address(mail))), ..Change::default() };
    let before = scene.entries().await;
    let renamed = scene.operator().change(accepted.id, None, &to("sam@new.example")).await.unwrap();
    assert!(renamed.identity().is_some(), "bound as before");
    assert_eq!(scene.holder("sam@fabrikam.example").await, None);
    assert_eq!(scene.holder("sam@new.example").await, Some(accepted.id));
    assert_eq!(renamed.principal_name, accepted.principal_name, "the name never changes");
    scene.operator().change(pending.id, None, &to("kim@new.example")).await.unwrap();
    let invitation = scene.house.get(&records::invitation(tenant(), pending.invitation.unwrap())).await.unwrap();
    assert!(matches!(invitation.state, InvitationState::Revoked { .. }));
    let ended = Activity::InvitationRevoked { user: pending.id, invitation: invitation.id };
    assert_eq!(scene.since(before).await.last(), Some(&ended));
    let (again, _) = scene.invited("kim@new.example").await;
    assert_eq!(again.id, pending.id);
    // The old address is free for somebody else.
    let (another, _) = scene.invited("kim@fabrikam.example").await;
    assert_ne!(another.id, pending.id);
    scene.since(0).await;
}

/// However somebody came to have an address beside another: when the other lets go of it, it leads to them.
#[tokio::test]
async fn an_address_that_is_let_go_of_passes_to_who_has_it_still() {
    const SHARED: &str = "team@fabrikam.example";
    let mails =
        |mails: &[&str]| Change { other_mails: Some(mails.iter().map(|mail| address(mail)).collect()), ..Change::default() };
    for how in ["changed", "restored", "declared", "deleted first"] {
        let scene = Scene::new().await;
        let (first, _) = scene.invited("ana@fabrikam.example").await;
        let (second, _) = scene.invited("ben@fabrikam.example").await;
        let (third, _) = scene.invited("cid@fabrikam.example").await;
        scene.operator().change(first.id, None, &mails(&[SHARED])).await.unwrap();
        match how {
            "restored" => {
                scene.operator().change(second.id, None, &mails(&[SHARED])).await.unwrap();
                scene.operator().delete(second.id, None).await.unwrap();
                scene.operator().restore(second.id, None).await.unwrap();
            }
            "declared" => {
                let user =
                    format!("\n[[tenant.user]]\nid = \"{}\"\ndisplay_name = \"Ben\"\nother_mails = [\"{SHARED}\"]\n", second.id);
                scene.house.apply(&contoso(&user)).await;
            }
            _ => drop(scene.operator().change(second.id, None, &mails(&[SHARED])).await.unwrap()),
        }
        scene.operator().change(third.id, None, &mails(&[SHARED])).await.unwrap();
        scene.operator().change(third.id, None, &mails(&[])).await.unwrap();
        assert_eq!(scene.holder(SHARED).await, Some(first.id), "{how}");
        match how {
            "deleted first" => drop(scene.operator().delete(first.id, None).await.unwrap()),
            _ => drop(scene.operator().change(first.id, None, &mails(&[])).await.unwrap()),
        }
        assert_eq!(scene.holder(SHARED).await, Some(second.id), "{how}");
        scene.operator().change(second.id, None, &mails(&[])).await.unwrap();
        assert_eq!(scene.holder(SHARED).await, None, "{how}");
        scene.since(0).await;
    }
}

#[tokio::test]
async fn a_mail_that_moves_to_the_other_addresses_keeps_its_invitation() {
    let scene = Scene::new().await;
    let (sam, _) = scene.invited("sam@fabrikam.example").await;
    let change = Change {
        mail: Some(Some(address("sam@new.example"))),
        other_mails: Some(vec![address("sam@fabrikam.example"), address("sam@new.example"), address("sam@fabrikam.example")]),
        ..Change::default()
    };
    let after = scene.operator().change(sam.id, None, &change).await.unwrap();
    assert_eq!(after.other_mails, [address("sam@fabrikam.example")], "each once");
    let invitation = scene.house.get(&records::invitation(tenant(), sam.invitation.unwrap())).await.unwrap();
    assert_eq!(invitation.state, InvitationState::Open);
    scene.since(0).await;
}

#[tokio::test]
async fn assignments_come_with_roles_and_go() {
    let scene = Scene::new().await;
    let (sam, _) = scene.invited("sam@fabrikam.example").await;
    let app = scene.house.app("Travel").await.id;
    let operator = scene.operator();
    let before = scene.entries().await;
    let key = records::assignment(tenant(), sam.id, app);
    operator.assign(sam.id, app, Some("Reader".into())).await.unwrap();
    operator.assign(sam.id, app, Some("Reader".into())).await.unwrap();
    operator.assign(sam.id, app, Some("Writer".into())).await.unwrap();
    assert_eq!(scene.house.get(&key).await.unwrap().role.as_deref(), Some("Writer"));
    operator.unassign(sam.id, app).await.unwrap();
    assert!(scene.house.get(&key).await.is_none());
    let (assigned, unassigned) = (Activity::AppAssigned { user: sam.id, app }, Activity::AppUnassigned { user: sam.id, app });
    assert_eq!(scene.since(before).await, [assigned.clone(), assigned, unassigned]);
    assert_eq!(operator.unassign(sam.id, app).await.unwrap_err(), Code::ObjectUnknown);
    let nobody = UserId(uuid::Uuid::nil());
    assert_eq!(operator.assign(nobody, app, None).await.unwrap_err(), Code::ObjectUnknown);
    assert_eq!(operator.unassign(nobody, app).await.unwrap_err(), Code::ObjectUnknown);
    assert_eq!(operator.assign(sam.id, AppId(uuid::Uuid::nil()), None).await.unwrap_err(), Code::ObjectUnknown);
    assert_eq!(operator.assign(sam.id, app, Some(String::new())).await.unwrap_err(), Code::PropertyInvalid);
}

#[tokio::test]
async fn users_are_found_and_listed() {
    let scene = Scene::new().await;
    let mut invited = Vec::new();
    for n in 0..5 {
        invited.push(scene.invited(&format!("a_b.{n}@fabrikam.example")).await.0);
    }
    let (store, sam) = (scene.store(), &invited[0]);
    assert_eq!(find::by_id(store, tenant(), sam.id).await.unwrap().unwrap().value, *sam);
    assert_eq!(find::by_address(store, tenant(), &address("a_b.0@fabrikam.example")).await.unwrap().unwrap().value, *sam);
    assert!(find::by_address(store, tenant(), &address("x@fabrikam.example")).await.unwrap().is_none());
    for name in [sam.principal_name.clone(), sam.principal_name.to_ascii_uppercase()] {
        assert_eq!(find::by_principal_name(store, tenant(), &name).await.unwrap().unwrap().value.id, sam.id, "{name}");
    }
    let adele = find::by_principal_name(store, tenant(), "adele@contoso.example").await.unwrap().unwrap();
    assert_eq!(adele.value.display_name, "Adele Vance");
    for strange in ["", "#EXT#@", "x#EXT#@contoso.example", "a_b_fabrikam.example#EXT#@other.example", "@"] {
        assert!(find::by_principal_name(store, tenant(), strange).await.unwrap().is_none(), "{strange}");
    }
    scene.operator().delete(sam.id, None).await.unwrap();
    assert!(find::deleted_by_id(store, tenant(), sam.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_member_can_be_made_to_prove_elsewhere_who_they_are() {
    let scene = Scene::new().await;
    let adele = scene.house.user("adele@contoso.example").await;
    let private = Change { other_mails: Some(vec![address("adele@home.example")]), ..Change::default() };
    scene.operator().change(adele.id, None, &private).await.unwrap();
    let convert = Invite { user: Some(adele.id), ..invite("adele@home.example") };
    let (after, _) = open(scene.operator().invite(&convert).await.unwrap());
    assert_eq!((after.id, after.user_type, after.is_pending()), (adele.id, UserType::Member, true));
    let password = crate::identity::account::password(tenant(), adele.id);
    assert!(scene.house.get(&password).await.is_none(), "the password opens nothing any more");
    scene.since(0).await;
}

/// The audit log knows what somebody was called at the time, whatever becomes of them.
#[tokio::test]
async fn an_entry_has_the_names_of_its_time() {
    let scene = Scene::new().await;
    let (sam, _) = scene.invited("sam@fabrikam.example").await;
    let renamed = Change { display_name: Some("Sam Smith".into()), ..Change::default() };
    scene.operator().change(sam.id, None, &renamed).await.unwrap();
    scene.operator().delete(sam.id, None).await.unwrap();
    scene.operator().delete_permanently(sam.id, None).await.unwrap();
    let called = |name: &str| Called { display_name: name.into(), principal_name: sam.principal_name.clone() };
    let audit = scene.house.audit().await;
    let names: Vec<_> = audit.iter().rev().take(6).rev().map(|event| event.called.clone()).collect();
    let expected = ["sam", "sam", "sam", "Sam Smith", "Sam Smith", "Sam Smith"].map(|name| Some(called(name)));
    assert_eq!(names, expected);
}
