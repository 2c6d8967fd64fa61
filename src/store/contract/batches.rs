use super::*;

fn is(key: &Key, version: Version) -> Check {
    Check::Is(key.clone(), version)
}

fn absent(key: &Key) -> Check {
    Check::Absent(key.clone())
}

pub(crate) async fn a_check_holds_while_the_record_is_as_it_was_read(scene: Scene) {
    let a = key("a");
    scene.put(&a, "one").await;
    scene.put(&key("b"), "unrelated").await;
    let version = scene.version(&a).await;
    scene.commit(&[is(&a, version)], &[put(&a, "two")]).await.unwrap();
    assert_eq!(scene.value(&a).await.unwrap(), "two");
}

pub(crate) async fn a_check_fails_once_the_record_was_written_deleted_or_made_again(scene: Scene) {
    let a = key("a");
    scene.put(&a, "one").await;
    let version = scene.version(&a).await;
    let late = async || is_conflict(&scene.commit(&[is(&a, version)], &[put(&a, "late")]).await);

    scene.put(&a, "one").await;
    assert!(late().await, "written again with the same value");
    scene.delete(&a).await;
    assert!(late().await, "deleted");
    scene.put(&a, "one").await;
    assert!(late().await, "made again");
    assert_eq!(scene.value(&a).await.unwrap(), "one");
    assert!(is_conflict(&scene.commit(&[is(&key("never"), version)], &[put(&a, "late")]).await));
}

pub(crate) async fn absence_can_be_checked(scene: Scene) {
    let a = key("a");
    scene.commit(&[absent(&a)], &[put(&a, "one")]).await.unwrap();
    assert!(is_conflict(&scene.commit(&[absent(&a)], &[put(&a, "two")]).await));
    assert_eq!(scene.value(&a).await.unwrap(), "one");
    scene.delete(&a).await;
    scene.commit(&[absent(&a)], &[put(&a, "three")]).await.unwrap();
    assert_eq!(scene.value(&a).await.unwrap(), "three");
}

pub(crate) async fn a_failed_check_undoes_the_whole_batch(scene: Scene) {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    scene.commit(&[], &[put(&a, "one"), put(&b, "one")]).await.unwrap();
    let before = scene.store.get(&keys(&["a", "b", "c"])).await.unwrap();
    // The check that fails is the last of three.
    let checks = [is(&a, scene.version(&a).await), absent(&c), absent(&b)];
    let writes = [put(&a, "two"), Write::Delete(b), put(&c, "two")];
    assert!(is_conflict(&scene.commit(&checks, &writes).await));
    assert_eq!(scene.store.get(&keys(&["a", "b", "c"])).await.unwrap(), before);
}

pub(crate) async fn checks_see_the_state_before_the_batch(scene: Scene) {
    let (a, b) = (key("a"), key("b"));
    scene.put(&a, "one").await;
    let checks = [is(&a, scene.version(&a).await), absent(&b)];
    scene.commit(&checks, &[Write::Delete(a.clone()), put(&b, "one")]).await.unwrap();
    assert_eq!(scene.scan(&all_keys()).await, [b]);
}

pub(crate) async fn the_later_write_of_one_key_wins(scene: Scene) {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    scene.put(&c, "old").await;
    let writes = [
        put(&a, "first"),
        put(&a, "last"),
        put(&b, "first"),
        Write::Delete(b.clone()),
        Write::Delete(c.clone()),
        put(&c, "last"),
    ];
    scene.commit(&[], &writes).await.unwrap();
    assert_eq!(scene.value(&a).await.unwrap(), "last");
    assert_eq!(scene.value(&b).await, None);
    assert_eq!(scene.value(&c).await.unwrap(), "last");
}

pub(crate) async fn a_batch_of_checks_alone_answers_them(scene: Scene) {
    let a = key("a");
    scene.put(&a, "one").await;
    let entry = scene.entry(&a).await;
    let version = scene.version(&a).await;
    scene.commit(&[is(&a, version), absent(&key("b"))], &[]).await.unwrap();
    assert!(is_conflict(&scene.commit(&[absent(&a)], &[]).await));
    assert_eq!(scene.entry(&a).await, entry);
}

pub(crate) async fn an_empty_batch_is_accepted(scene: Scene) {
    scene.commit(&[], &[]).await.unwrap();
}

pub(crate) async fn deleting_what_is_absent_is_accepted(scene: Scene) {
    scene.delete(&key("a")).await;
    assert_eq!(scene.entry(&key("a")).await, None);
}
