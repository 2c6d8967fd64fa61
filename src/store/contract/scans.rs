use super::*;

async fn fill(scene: &Scene, keys: &[Key]) {
    let writes: Vec<Write> = keys.iter().map(|key| put(key, "x")).collect();
    scene.commit(&[], &writes).await.unwrap();
}

fn segments(segments: &[&[u8]]) -> Key {
    Key::new(tenant(1), b'k', segments)
}

pub(crate) async fn scans_answer_in_key_order(scene: Scene) {
    let mut names = keys(&["m", "a", "z", "b", "\u{0}", "~", "aa", "Z"]);
    fill(&scene, &names).await;
    names.sort();
    assert_eq!(scene.scan(&all_keys()).await, names);
}

pub(crate) async fn a_prefix_shows_its_own_records_only(scene: Scene) {
    let mine = [segments(&[b"b"]), segments(&[b"b", b""]), segments(&[b"b", b"1"]), segments(&[b"b", b"\xff\xff"])];
    let others = [segments(&[b"a", b"1"]), segments(&[b"c", b"1"]), Key::new(tenant(1), b'j', &[b"b", b"1"])];
    fill(&scene, &mine).await;
    fill(&scene, &others).await;
    fill(&scene, &[Key::new(tenant(2), b'k', &[b"b", b"1"])]).await;
    fill(&scene, &[Key::new(Partition::Global, b'k', &[b"b", b"1"])]).await;
    assert_eq!(scene.scan(&segments(&[b"b"])).await, mine);
    assert_eq!(scene.scan(&segments(&[b"b", b"1"])).await, [segments(&[b"b", b"1"])]);
    assert_eq!(scene.scan(&segments(&[b"none"])).await, []);
}

pub(crate) async fn a_08_a_segment_is_not_a_prefix_of_a_longer_one(scene: Scene) {
    fill(&scene, &[segments(&[b"ab", b"1"]), segments(&[b"a:", b"1"]), segments(&[b"a\0", b"1"]), segments(&[b"a", b"1"])]).await;
    assert_eq!(scene.scan(&segments(&[b"a"])).await, [segments(&[b"a", b"1"])]);
}

pub(crate) async fn pages_join_without_gap_or_overlap(scene: Scene) {
    let names: Vec<Key> = (0..25u8).map(|n| segments(&[b"p", &[n]])).collect();
    fill(&scene, &names).await;
    fill(&scene, &[segments(&[b"o"]), segments(&[b"q"])]).await;
    let prefix = segments(&[b"p"]);
    for limit in [1, 7, 25, 26] {
        let mut seen: Vec<Key> = Vec::new();
        loop {
            let page = scene.page(&prefix, seen.last(), limit).await;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, names, "in pages of {limit}");
    }
    assert_eq!(scene.page(&prefix, None, 0).await, []);
    // A place between two records, or whose record is gone, will do as well.
    scene.delete(&names[3]).await;
    assert_eq!(scene.page(&prefix, Some(&names[3]), 1).await, names[4..5]);
}

pub(crate) async fn a_page_outside_the_prefix_shows_nothing_foreign(scene: Scene) {
    let names = [segments(&[b"a"]), segments(&[b"b", b"1"]), segments(&[b"b", b"2"]), segments(&[b"c"])];
    fill(&scene, &names).await;
    let prefix = segments(&[b"b"]);
    assert_eq!(scene.page(&prefix, Some(&names[0]), 10).await, names[1..3]);
    assert_eq!(scene.page(&prefix, Some(&names[2]), 10).await, []);
    assert_eq!(scene.page(&prefix, Some(&names[3]), 10).await, []);
}

pub(crate) async fn an_empty_prefix_shows_the_whole_partition(scene: Scene) {
    for partition in [Partition::Global, tenant(1), tenant(2)] {
        let everything = Key::from_parts(partition, Bytes::new());
        assert_eq!(scene.scan(&everything).await, []);
        let mut names: Vec<Key> = [0, 1, b'k', 0xff]
            .into_iter()
            .flat_map(|kind| [&[][..], &[&b"a"[..]], &[b"\xff"]].map(|s| Key::new(partition, kind, s)))
            .collect();
        fill(&scene, &names).await;
        names.sort();
        assert_eq!(scene.scan(&everything).await, names);
        for limit in [1, 5, 12, 13] {
            let mut seen: Vec<Key> = Vec::new();
            loop {
                let page = scene.page(&everything, seen.last(), limit).await;
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            assert_eq!(seen, names, "in pages of {limit}");
        }
    }
}
