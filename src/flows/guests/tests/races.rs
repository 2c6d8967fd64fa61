//! Two at once: over the memory store, and over a file, where commits take time.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::{domain::redemption::redeem, domain::redemption::tests::proven, store::embedded::EmbeddedStore};

/// A scene over a file.
async fn on_disk() -> (tempfile::TempDir, Scene) {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::new();
    let clock = Arc::clone(&house.foundation.clock);
    let file = Arc::new(EmbeddedStore::open(&folder.path().join("store"), clock).unwrap());
    house.foundation.store = Store::new(file);
    house.apply(&contoso("")).await;
    let view = view(&house.foundation).await;
    let sender = Sender { name: None, address: address("guests@vestibule.example") };
    (folder, Scene { house, view, sender })
}

/// The lanes of another process on the same store.
fn elsewhere(scene: &Scene) -> Foundation {
    Foundation { lanes: Arc::default(), ..scene.house.foundation.clone() }
}

#[tokio::test]
async fn two_invitations_of_one_address_are_one_guest() {
    let scene = Scene::new().await;
    let other = elsewhere(&scene);
    let there = Administration { foundation: &other, ..scene.operator() };
    let (here, wanted) = (scene.operator(), invite("sam@fabrikam.example"));
    let (one, two) = tokio::join!(here.invite(&wanted), there.invite(&wanted));
    assert_eq!(one.unwrap().user.id, two.unwrap().user.id);
    // A guest whose address is another's, too.
    let adele = scene.house.user("adele@contoso.example").await;
    let private = Change { other_mails: Some(vec![address("adele@home.example")]), ..Change::default() };
    scene.operator().change(adele.id, None, &private).await.unwrap();
    let wanted = invite("adele@home.example");
    let (one, two) = tokio::join!(here.invite(&wanted), there.invite(&wanted));
    assert_eq!(one.unwrap().user.id, two.unwrap().user.id);
    scene.since(0).await;
}

#[tokio::test]
async fn many_at_once_are_all_carried_out() {
    let (_folder, scene) = on_disk().await;
    let other = elsewhere(&scene);
    let there = Administration { foundation: &other, ..scene.operator() };
    let before = scene.entries().await;
    let invites: Vec<_> = (0..64).map(|n| invite(&format!("guest{n}@fabrikam.example"))).collect();
    let here = scene.operator();
    let all = invites
        .iter()
        .enumerate()
        .map(|(n, wanted)| async move { if n % 2 == 0 { there.invite(wanted).await } else { here.invite(wanted).await } });
    for invited in join_all(all).await {
        invited.unwrap();
    }
    assert_eq!(scene.since(before).await.len(), 128);
}

/// Redemption as the commit of a journey does it: decided on what was read, committed if that is still so.
async fn redeem_against(scene: &Scene, id: UserId, delete: bool) -> (Result<(), StoreError>, Result<(), Code>) {
    let now = scene.house.foundation.now();
    let stored = scene.store().get(&records::user(tenant(), id)).await.unwrap().unwrap();
    let user = redeem(stored.value.clone(), &proven("sam", "sam@fabrikam.example", true, true), now, now).unwrap();
    let mut changes = Changes::of(tenant());
    changes.put_user(tenant(), Some(&stored), &user);
    let index = records::identity(tenant(), user.identity().unwrap());
    changes.write(|batch| batch.absent(&index).put(&index, &UserRef::to(&user)));
    let operator = scene.operator();
    let act =
        async { if delete { operator.delete(id, None).await.map(|_| ()) } else { operator.block(id, None).await.map(|_| ()) } };
    tokio::join!(scene.store().commit(changes.batch), act)
}

#[tokio::test]
async fn a_guest_who_redeems_while_being_deleted_is_deleted() {
    let mut outcomes = [0, 0];
    for n in 0..8 {
        let (_folder, scene) = on_disk().await;
        let (user, _) = scene.invited("sam@fabrikam.example").await;
        scene.house.clock.advance(1);
        if n % 2 == 0 {
            tokio::time::sleep(Duration::from_micros(50 * n)).await;
        }
        let (redeemed, deleted) = redeem_against(&scene, user.id, true).await;
        deleted.unwrap();
        outcomes[usize::from(redeemed.is_ok())] += 1;
        assert!(scene.house.get(&records::user(tenant(), user.id)).await.is_none());
        scene.since(0).await;
    }
    assert_eq!(outcomes.iter().sum::<i32>(), 8, "{outcomes:?}");
}

#[tokio::test]
async fn a_guest_who_redeems_while_being_blocked_is_blocked() {
    let scene = Scene::new().await;
    let (user, _) = scene.invited("sam@fabrikam.example").await;
    let (_, blocked) = redeem_against(&scene, user.id, false).await;
    blocked.unwrap();
    assert!(!scene.user(user.id).await.account_enabled);
    scene.since(0).await;
}
