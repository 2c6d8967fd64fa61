use super::*;

pub(crate) async fn what_was_never_written_is_absent(scene: Scene) {
    assert_eq!(scene.entry(&key("a")).await, None);
    assert_eq!(scene.store.get(&[]).await.unwrap(), []);
    assert_eq!(scene.scan(&all_keys()).await, []);
}

pub(crate) async fn reads_answer_in_the_order_asked(scene: Scene) {
    for name in ["a", "b", "c"] {
        scene.put(&key(name), name).await;
    }
    let answer = scene.store.get(&keys(&["c", "none", "a", "c", "b"])).await.unwrap();
    let names: Vec<_> = answer.iter().map(|entry| entry.as_ref().map(|e| (e.key.clone(), e.value.clone()))).collect();
    let expected = ["c", "none", "a", "c", "b"].map(|name| (name != "none").then(|| (key(name), Bytes::from(name))));
    assert_eq!(names, expected);
}

pub(crate) async fn a_put_replaces_and_a_delete_removes(scene: Scene) {
    scene.put(&key("a"), "one").await;
    scene.put(&key("a"), "two").await;
    assert_eq!(scene.value(&key("a")).await.unwrap(), "two");
    assert_eq!(scene.scan(&all_keys()).await, keys(&["a"]));
    scene.delete(&key("a")).await;
    assert_eq!(scene.entry(&key("a")).await, None);
    assert_eq!(scene.scan(&all_keys()).await, []);
}

pub(crate) async fn every_write_has_a_version_of_its_own(scene: Scene) {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        scene.put(&key("a"), "same").await;
        assert!(seen.insert(scene.version(&key("a")).await), "a version was used twice");
    }
}

pub(crate) async fn a_version_is_not_used_again_after_a_delete(scene: Scene) {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        scene.put(&key("a"), "same").await;
        assert!(seen.insert(scene.version(&key("a")).await), "a version was used twice");
        scene.delete(&key("a")).await;
    }
}

pub(crate) async fn t_02_partitions_do_not_see_each_other(scene: Scene) {
    let partitions = [Partition::Global, tenant(0), tenant(1), tenant(2), tenant(u128::MAX)];
    let in_partition = |partition| Key::new(partition, b'k', &[b"same"]);
    for (partition, value) in partitions.into_iter().zip(["global", "zero", "one", "two", "max"]) {
        assert_eq!(scene.entry(&in_partition(partition)).await, None, "{partition:?}");
        scene.put(&in_partition(partition), value).await;
    }
    for (partition, value) in partitions.into_iter().zip(["global", "zero", "one", "two", "max"]) {
        assert_eq!(scene.value(&in_partition(partition)).await.unwrap(), value);
        // The empty prefix is the whole partition.
        let whole = Key::from_parts(partition, Bytes::new());
        assert_eq!(scene.scan(&whole).await, [in_partition(partition)]);
    }
    scene.delete(&in_partition(tenant(1))).await;
    assert_eq!(scene.value(&in_partition(tenant(2))).await.unwrap(), "two");
}

pub(crate) async fn a_08_keys_with_separators_stay_apart(scene: Scene) {
    let hostile: &[&[&[u8]]] = &[
        &[],
        &[b""],
        &[b"", b""],
        &[b"a"],
        &[b"a", b""],
        &[b"", b"a"],
        &[b"a", b"b"],
        &[b"a:b"],
        &[b"a\0b"],
        &[b"a\0\x01b"],
        &[b"a\nb"],
        &[b"a\r\nDEL b"],
        &[b"a{b}c"],
        &[b"a*b?[c]"],
        &[b"ab"],
        &[b"\0"],
        &[b"\0\0"],
        &[b"\xff"],
        &[b"\xff\xff"],
        &[b"\xff\xfe\xfd"],
        &[b"\0\x01a"],
        &[&[b'x'; 300]],
        &[&[b'x'; 301]],
    ];
    let names = || [b'k', b'l', 0, 0xFF].into_iter().flat_map(|kind| hostile.iter().map(move |segments| (kind, segments)));
    let mut all: Vec<Key> = names().map(|(kind, segments)| Key::new(tenant(1), kind, segments)).collect();
    for (number, key) in all.iter().enumerate() {
        assert_eq!(scene.entry(key).await, None, "{key:?} is another key's record");
        scene.commit(&[], &[put(key, number.to_string())]).await.unwrap();
    }
    for (number, key) in all.iter().enumerate() {
        assert_eq!(scene.value(key).await.unwrap(), number.to_string(), "{key:?}");
    }
    all.sort();
    assert_eq!(scene.scan(&Key::from_parts(tenant(1), Bytes::new())).await, all);
    for key in &all {
        scene.delete(key).await;
    }
    assert_eq!(scene.scan(&Key::from_parts(tenant(1), Bytes::new())).await, []);
}

pub(crate) async fn values_of_no_bytes_and_of_one_mebibyte_are_kept(scene: Scene) {
    let large: Bytes = (0..1024 * 1024).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    scene.commit(&[], &[put(&key("none"), ""), put(&key("large"), large.clone())]).await.unwrap();
    assert_eq!(scene.value(&key("none")).await.unwrap(), "");
    assert_eq!(scene.value(&key("large")).await.unwrap(), large);
    assert_eq!(scene.scan(&all_keys()).await, keys(&["none", "large"]));
}
