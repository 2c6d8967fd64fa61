use super::*;
use crate::{
    domain::invitation::InvitationState,
    identity::account,
    store::{
        Change,
        records::{Acceptances, Assignment, kind},
    },
};

const DAY: i64 = 24 * 3600;

/// A guest who has accepted, may open an app and has answered agreements.
async fn accepted(scene: &Scene) -> (User, Identity) {
    let (user, _) = scene.invited("sam@fabrikam.example").await;
    let identity = scene.redeemed(user.id, "sam").await;
    let app = scene.house.app("Expenses").await.id;
    scene.operator().assign(user.id, app, None).await.unwrap();
    let mut changes = Changes::of(tenant());
    changes.write(|batch| batch.put(&records::acceptances(tenant(), user.id), &Acceptances::new()));
    scene.store().commit(changes.batch).await.unwrap();
    (scene.user(user.id).await, identity)
}

async fn assignments(scene: &Scene, user: UserId) -> Vec<Assignment> {
    let found = scene.store().list(&records::assignments(tenant(), user)).await.unwrap();
    found.into_iter().map(|stored| stored.value).collect()
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_comes_back_whole() {
    let scene = Scene::new().await;
    let (user, identity) = accepted(&scene).await;
    let before = scene.entries().await;
    scene.house.clock.advance(60);
    let deleted = scene.operator().delete(user.id, None).await.unwrap();
    assert!(scene.house.get(&records::user(tenant(), user.id)).await.is_none());
    assert_eq!(scene.holder("sam@fabrikam.example").await, None);
    assert!(scene.house.get(&records::identity(tenant(), &identity)).await.is_none());
    assert!(scene.house.get(&records::tombstone(tenant(), user.id)).await.is_some());
    assert!(scene.house.get(&records::user_cutoff(tenant(), user.id)).await.unwrap().blocked);
    assert_eq!(scene.since(before).await, [Activity::UserDeleted { user: user.id }]);
    assert_eq!(scene.operator().delete(user.id, None).await.unwrap_err(), Code::ObjectUnknown);

    scene.house.clock.advance(29 * DAY);
    let restored = scene.operator().restore(user.id, None).await.unwrap();
    assert_eq!(restored, User { sessions_valid_from: deleted.deleted, ..user.clone() });
    assert_eq!(scene.holder("sam@fabrikam.example").await, Some(user.id));
    assert_eq!(scene.house.get(&records::identity(tenant(), &identity)).await.unwrap().user, user.id);
    assert!(scene.house.get(&records::tombstone(tenant(), user.id)).await.is_none());
    let cutoff = scene.house.get(&records::user_cutoff(tenant(), user.id)).await.unwrap();
    assert_eq!((cutoff.blocked, cutoff.sessions_valid_from), (false, deleted.deleted), "sessions stay ended");
    scene.house.clock.advance(90 * DAY);
    assert_eq!(assignments(&scene, user.id).await.len(), 1, "what came back stays");
    assert_eq!(scene.since(before).await.len(), 2);
    assert_eq!(scene.operator().restore(user.id, None).await.unwrap_err(), Code::ObjectUnknown);
}

/// Leaving does not end a block: only who may unblock lets the same person in again.
#[tokio::test]
async fn t_05_a_blocked_guest_who_left_is_invited_anew_by_nobody_but_who_may_unblock() {
    let scene = Scene::with("policy = { allow_invites_from = \"everyone\" }").await;
    let adele = Actor::User(scene.house.user("adele@contoso.example").await.id);
    let (user, identity) = accepted(&scene).await;
    scene.operator().block(user.id, None).await.unwrap();
    let own = Actor::User(user.id);
    scene.by(&own).delete(user.id, None).await.unwrap();
    let unknown_app = Actor::App(crate::domain::AppId(uuid::Uuid::from_u128(5)));
    for actor in [&adele, &unknown_app] {
        let refused = scene.by(actor).invite(&invite("sam@fabrikam.example")).await.unwrap_err();
        assert_eq!(refused, Code::InviteeBarred, "{actor:?}");
    }
    let barred = async |scene: &Scene| {
        let address = records::barred_address(tenant(), &address("sam@fabrikam.example"), user.id);
        let identity = records::barred_identity(tenant(), &identity, user.id);
        (scene.house.get(&address).await.is_some(), scene.house.get(&identity).await.is_some())
    };
    assert_eq!(barred(&scene).await, (true, true));
    let restored = scene.operator().restore(user.id, None).await.unwrap();
    assert_eq!((restored.account_enabled, barred(&scene).await), (false, (false, false)), "back, and blocked");
    assert_eq!(scene.by(&adele).invite(&invite("sam@fabrikam.example")).await.unwrap_err(), Code::InviteeBlocked);

    scene.operator().delete(user.id, None).await.unwrap();
    let (again, _) = scene.invited("sam@fabrikam.example").await;
    assert_ne!(again.id, user.id);
    scene.operator().delete_permanently(user.id, None).await.unwrap();
    assert_eq!(barred(&scene).await, (false, false));
    scene.since(0).await;

    let (kim, _) = scene.invited("kim@fabrikam.example").await;
    scene.operator().block(kim.id, None).await.unwrap();
    scene.operator().delete(kim.id, None).await.unwrap();
    scene.house.clock.advance(30 * DAY);
    scene.by(&adele).invite(&invite("kim@fabrikam.example")).await.unwrap();
}

/// One who is gone for good takes no other's block with them, whoever of the two was deleted last.
#[tokio::test]
async fn t_05_of_two_blocked_users_who_had_an_address_each_is_kept_out() {
    for first_goes in [true, false] {
        let scene = Scene::with("policy = { allow_invites_from = \"everyone\" }").await;
        let adele = Actor::User(scene.house.user("adele@contoso.example").await.id);
        let mut both = Vec::new();
        for _ in 0..2 {
            let (user, _) = accepted(&scene).await;
            scene.operator().block(user.id, None).await.unwrap();
            scene.operator().delete(user.id, None).await.unwrap();
            both.push(user.id);
        }
        scene.since(0).await;
        let [goes, stays] = if first_goes { [both[0], both[1]] } else { [both[1], both[0]] };
        scene.operator().delete_permanently(goes, None).await.unwrap();
        let refused = scene.by(&adele).invite(&invite("sam@fabrikam.example")).await;
        assert_eq!(refused.unwrap_err(), Code::InviteeBarred, "{first_goes}");
        scene.since(0).await;
        scene.operator().delete_permanently(stays, None).await.unwrap();
        scene.by(&adele).invite(&invite("sam@fabrikam.example")).await.unwrap();
        scene.since(0).await;
    }
}

#[tokio::test]
async fn after_30_days_nothing_is_left_but_the_mark_and_the_answers() {
    let scene = Scene::new().await;
    let (user, _) = accepted(&scene).await;
    scene.operator().delete(user.id, None).await.unwrap();
    scene.house.clock.advance(30 * DAY);
    assert_eq!(scene.operator().restore(user.id, None).await.unwrap_err(), Code::ObjectUnknown);
    left(&scene, &user).await;
}

#[tokio::test]
async fn deleted_for_good_is_the_same_at_once() {
    let scene = Scene::new().await;
    let (user, _) = accepted(&scene).await;
    let password = account::password(tenant(), user.id);
    let adele = scene.house.user("adele@contoso.example").await;
    let theirs = scene.house.get(&account::password(tenant(), adele.id)).await.unwrap();
    let mut changes = Changes::of(tenant());
    changes.write(|batch| batch.put(&password, &theirs));
    scene.store().commit(changes.batch).await.unwrap();
    let before = scene.entries().await;
    assert_eq!(scene.operator().delete_permanently(user.id, None).await.unwrap_err(), Code::ObjectUnknown, "deleted first");
    scene.operator().delete(user.id, None).await.unwrap();
    assert!(scene.house.get(&password).await.is_some(), "it comes back with the user");
    assert_eq!(scene.operator().delete_permanently(user.id, Some(Version(0))).await.unwrap_err(), Code::VersionOutdated);
    scene.operator().delete_permanently(user.id, None).await.unwrap();
    assert!(scene.house.get(&password).await.is_none());
    left(&scene, &user).await;
    assert_eq!(scene.since(before).await.last(), Some(&Activity::UserDeletedPermanently { user: user.id }));
}

async fn left(scene: &Scene, user: &User) {
    assert!(scene.house.get(&records::deleted_user(tenant(), user.id)).await.is_none());
    assert!(scene.house.get(&records::invitation(tenant(), user.invitation.unwrap())).await.is_none());
    assert_eq!(assignments(scene, user.id).await, []);
    assert!(scene.house.get(&records::tombstone(tenant(), user.id)).await.is_some());
    assert!(scene.house.get(&records::acceptances(tenant(), user.id)).await.is_some());
    let mut walk = crate::store::walk::Walk::of(&**scene.store().backend(), Partition::Tenant(tenant()));
    while let Some(entry) = walk.next().await.unwrap() {
        assert!(!String::from_utf8_lossy(&entry.value).contains("sam@fabrikam"), "{:?}", entry.key);
    }
}

/// T-06: an address that comes again is somebody new, here and in other tenants; the id is never given again.
#[tokio::test]
async fn t_06_who_is_invited_after_a_deletion_is_somebody_new() {
    let scene = Scene::new().await;
    let (old, _) = accepted(&scene).await;
    scene.operator().delete(old.id, None).await.unwrap();
    let (new, _) = scene.invited("sam@fabrikam.example").await;
    assert_ne!(old.id, new.id);
    assert_eq!(assignments(&scene, new.id).await, []);
    assert!(new.is_pending());
    scene.since(0).await;
    // The old one comes back beside the new one, who keeps the address.
    let restored = scene.operator().restore(old.id, None).await.unwrap();
    assert_eq!((&restored.mail, restored.other_mails.as_slice()), (&None, [address("sam@fabrikam.example")].as_slice()));
    assert_eq!(scene.holder("sam@fabrikam.example").await, Some(new.id));
    scene.since(0).await;
    // When the new one goes, the address leads to the old one again.
    scene.operator().delete(new.id, None).await.unwrap();
    assert_eq!(scene.holder("sam@fabrikam.example").await, Some(old.id));
    scene.since(0).await;
}

#[tokio::test]
async fn nobody_comes_back_with_an_identity_that_is_anothers_by_now() {
    let scene = Scene::new().await;
    let (old, identity) = accepted(&scene).await;
    scene.operator().delete(old.id, None).await.unwrap();
    let (new, _) = scene.invited("sam@fabrikam.example").await;
    assert_eq!(scene.redeemed(new.id, "sam").await, identity);
    let before = scene.entries().await;
    assert_eq!(scene.operator().restore(old.id, None).await.unwrap_err(), Code::IdentityTaken);
    assert_eq!(scene.since(before).await, []);
    scene.operator().delete(new.id, None).await.unwrap();
    scene.operator().restore(old.id, None).await.unwrap();
    scene.since(before).await;
}

#[tokio::test]
async fn the_open_invitation_of_a_deleted_guest_ends_for_good() {
    let scene = Scene::new().await;
    let (user, _) = scene.invited("sam@fabrikam.example").await;
    let key = records::invitation(tenant(), user.invitation.unwrap());
    scene.operator().delete(user.id, None).await.unwrap();
    assert!(matches!(scene.house.get(&key).await.unwrap().state, InvitationState::Revoked { .. }));
    scene.operator().restore(user.id, None).await.unwrap();
    assert!(matches!(scene.house.get(&key).await.unwrap().state, InvitationState::Revoked { .. }));
    let (again, _) = scene.invited("sam@fabrikam.example").await;
    assert_eq!(again.id, user.id);
    scene.since(0).await;
}

#[tokio::test]
async fn a_blocked_user_comes_back_blocked_and_who_leaves_is_said_to_have_left() {
    let scene = Scene::new().await;
    let (user, _) = accepted(&scene).await;
    scene.operator().block(user.id, None).await.unwrap();
    let before = scene.entries().await;
    let themselves = Actor::User(user.id);
    assert_eq!(scene.by(&themselves).delete(user.id, Some(Version(0))).await.unwrap_err(), Code::VersionOutdated);
    scene.by(&themselves).delete(user.id, None).await.unwrap();
    let restored = scene.operator().restore(user.id, None).await.unwrap();
    assert!(!restored.account_enabled && restored.identity().is_some());
    assert!(scene.house.get(&records::user_cutoff(tenant(), user.id)).await.unwrap().blocked);
    assert_eq!(scene.since(before).await, [Activity::UserLeft { user: user.id }, Activity::UserRestored { user: user.id }]);
}

/// W-03: what an act does and what the log says of it are one commit.
#[tokio::test]
async fn w_03_each_act_is_one_commit_with_its_entries() {
    use futures_util::FutureExt;
    let scene = Scene::new().await;
    let (operator, app) = (scene.operator(), scene.house.app("Expenses").await.id);
    let (user, _) = scene.invited("sam@fabrikam.example").await;
    let mut watch = scene.store().watch();
    let mut entries = scene.entries().await;
    for act in ["invite", "revoke", "assign", "unassign", "block", "unblock", "reset", "sessions", "delete", "restore", "gone"] {
        let done = match act {
            "invite" => operator.resend(user.id, None, Some(Message::default())).await.map(|_| ()),
            "revoke" => operator.revoke(user.id, None).await.map(|_| ()),
            "assign" => operator.assign(user.id, app, None).await.map(|_| ()),
            "unassign" => operator.unassign(user.id, app).await,
            "block" => operator.block(user.id, None).await.map(|_| ()),
            "unblock" => operator.unblock(user.id, None).await.map(|_| ()),
            "reset" => operator.reset_redemption(user.id, None, None, None).await.map(|_| ()),
            "sessions" => operator.revoke_sessions(user.id, None).await.map(|_| ()),
            "delete" => operator.delete(user.id, None).await.map(|_| ()),
            "restore" => operator.restore(user.id, None).await.map(|_| ()),
            _ => operator.delete(user.id, None).await.map(|_| ()),
        };
        done.unwrap();
        let commits: Vec<_> = std::iter::from_fn(|| watch.next().now_or_never().flatten())
            .filter_map(|change| match change {
                Change::Keys(keys) => Some(keys),
                _ => None,
            })
            .collect();
        let [commit] = commits.as_slice() else { panic!("{act}: {} commits", commits.len()) };
        let told = scene.entries().await;
        let written = commit.iter().filter(|key| key.kind() == kind::AUDIT_EVENT).count();
        assert_eq!((written, told > entries), (told - entries, true), "{act}");
        entries = told;
    }
}
