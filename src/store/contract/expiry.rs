use super::*;

pub(crate) async fn what_has_expired_is_absent_from_then_on(scene: Scene) {
    let a = key("a");
    scene.commit(&[], &[put_until(&a, "short", Scene::at(60)), put(&key("b"), "long")]).await.unwrap();
    scene.clock.advance(59);
    assert_eq!(scene.value(&a).await.unwrap(), "short");
    assert_eq!(scene.scan(&all_keys()).await, keys(&["a", "b"]));
    scene.clock.advance(1);
    assert_eq!(scene.entry(&a).await, None);
    assert_eq!(scene.scan(&all_keys()).await, keys(&["b"]));
}

pub(crate) async fn the_deadline_is_kept_exactly(scene: Scene) {
    let deadline = Timestamp::new(START.as_second() + 60, 123_456_789).unwrap();
    scene.commit(&[], &[put_until(&key("a"), "x", deadline)]).await.unwrap();
    assert_eq!(scene.entry(&key("a")).await.unwrap().expires, Some(deadline));
    scene.commit(&[], &[put_until(&key("b"), "x", Timestamp::MAX), put_until(&key("c"), "x", Timestamp::MIN)]).await.unwrap();
    assert_eq!(scene.entry(&key("b")).await.unwrap().expires, Some(Timestamp::MAX));
    assert_eq!(scene.entry(&key("c")).await, None, "written with a deadline that has passed");
}

pub(crate) async fn what_has_expired_counts_as_absent_in_checks(scene: Scene) {
    let (a, b) = (key("a"), key("b"));
    scene.commit(&[], &[put_until(&a, "x", Scene::at(60)), put_until(&b, "x", Scene::at(60))]).await.unwrap();
    let is = Check::Is(a.clone(), scene.version(&a).await);
    let absent = Check::Absent(a.clone());
    scene.commit(std::slice::from_ref(&is), &[]).await.unwrap();
    assert!(is_conflict(&scene.commit(std::slice::from_ref(&absent), &[]).await));
    scene.clock.advance(60);
    assert!(is_conflict(&scene.commit(&[is], &[]).await));
    scene.commit(&[absent], &[]).await.unwrap();
}

pub(crate) async fn an_expired_record_can_be_made_again(scene: Scene) {
    let a = key("a");
    scene.commit(&[], &[put_until(&a, "first", Scene::at(60))]).await.unwrap();
    let first = scene.version(&a).await;
    scene.clock.advance(60);
    scene.commit(&[Check::Absent(a.clone())], &[put_until(&a, "second", Scene::at(120))]).await.unwrap();
    assert_eq!(scene.value(&a).await.unwrap(), "second");
    assert_ne!(scene.version(&a).await, first);
    scene.clock.advance(59);
    assert_eq!(scene.value(&a).await.unwrap(), "second");
    scene.clock.advance(1);
    assert_eq!(scene.value(&a).await, None);
}

pub(crate) async fn a_new_write_moves_or_removes_the_deadline(scene: Scene) {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let short = [put_until(&a, "x", Scene::at(60)), put_until(&b, "x", Scene::at(60)), put_until(&c, "x", Scene::at(600))];
    scene.commit(&[], &short).await.unwrap();
    scene.commit(&[], &[put(&a, "x"), put_until(&b, "x", Scene::at(120)), put_until(&c, "x", Scene::at(30))]).await.unwrap();
    assert_eq!(scene.entry(&a).await.unwrap().expires, None);
    scene.clock.advance(60);
    // Commits give the sweep its chance to take too much.
    scene.delete(&key("z")).await;
    assert_eq!(scene.scan(&all_keys()).await, keys(&["a", "b"]));
    scene.clock.advance(60);
    scene.delete(&key("z")).await;
    assert_eq!(scene.scan(&all_keys()).await, keys(&["a"]));
}

pub(crate) async fn sweeping_takes_the_expired_only(scene: Scene) {
    let writes: Vec<Write> = (0..200).map(|n| put_until(&key(&format!("{n:03}")), "x", Scene::at(n))).collect();
    scene.commit(&[], &writes).await.unwrap();
    scene.clock.advance(99);
    for _ in 0..20 {
        scene.put(&key("z"), "x").await;
    }
    let left: Vec<Key> = [key("z")].into_iter().chain((100..200).map(|n| key(&n.to_string()))).collect();
    assert_eq!(scene.scan(&all_keys()).await, left);
}

pub(crate) async fn a_page_is_filled_past_expired_records(scene: Scene) {
    let short: Vec<Write> = (0..50).map(|n| put_until(&key(&format!("a{n:02}")), "x", Scene::at(60))).collect();
    scene.commit(&[], &short).await.unwrap();
    scene.commit(&[], &[put(&key("b00"), "x"), put(&key("b01"), "x"), put(&key("b02"), "x")]).await.unwrap();
    scene.clock.advance(60);
    assert_eq!(scene.page(&all_keys(), None, 2).await, keys(&["b00", "b01"]));
}
