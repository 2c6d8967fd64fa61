use tokio::sync::Barrier;

use super::*;

pub(crate) async fn conditional_increments_add_up(scene: Scene) {
    let (workers, each) = if full() { (200, 1000) } else { (8, 25) };
    let scene = Arc::new(scene);
    at_once(workers, |_| {
        let scene = scene.clone();
        async move {
            let counter = key("counter");
            for _ in 0..each {
                loop {
                    let (check, count) = match scene.entry(&counter).await {
                        None => (Check::Absent(counter.clone()), 0),
                        Some(entry) => {
                            let count: u32 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                            (Check::Is(counter.clone(), entry.version), count)
                        }
                    };
                    match scene.commit(&[check], &[put(&counter, (count + 1).to_string())]).await {
                        Ok(()) => break,
                        Err(StoreError::Conflict) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(scene.value(&key("counter")).await.unwrap(), (workers * each).to_string());
}

pub(crate) async fn one_of_many_takes_a_record(scene: Scene) {
    let (workers, rounds) = (64, if full() { 1000 } else { 10 });
    let scene = Arc::new(scene);
    for round in 0..rounds {
        scene.put(&key("ticket"), "x").await;
        let start = Arc::new(Barrier::new(workers as usize));
        let taken = at_once(workers, |_| {
            let (scene, start) = (scene.clone(), start.clone());
            async move {
                start.wait().await;
                let Some(entry) = scene.entry(&key("ticket")).await else { return false };
                let taken = scene.commit(&[Check::Is(entry.key.clone(), entry.version)], &[Write::Delete(entry.key)]).await;
                assert!(taken.is_ok() || is_conflict(&taken), "{taken:?}");
                taken.is_ok()
            }
        })
        .await;
        assert_eq!(taken.into_iter().filter(|won| *won).count(), 1, "in round {round}");
    }
}

pub(crate) async fn commits_that_do_not_meet_all_land(scene: Scene) {
    let scene = Arc::new(scene);
    let (workers, each) = (32, 8);
    at_once(workers, |worker| {
        let scene = scene.clone();
        async move {
            for number in 0..each {
                let key = key(&format!("{worker:02}-{number}"));
                scene.commit(&[Check::Absent(key.clone())], &[put(&key, "x")]).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(scene.scan(&all_keys()).await.len(), (workers * each) as usize);
}

pub(crate) async fn an_acknowledged_write_is_read(scene: Scene) {
    let scene = Arc::new(scene);
    at_once(16, |worker| {
        let scene = scene.clone();
        async move {
            let key = key(&worker.to_string());
            for number in 0..10 {
                scene.commit(&[], &[put(&key, number.to_string())]).await.unwrap();
                assert_eq!(scene.value(&key).await.unwrap(), number.to_string());
            }
        }
    })
    .await;
}

pub(crate) async fn no_reader_sees_half_a_batch(scene: Scene) {
    let scene = Arc::new(scene);
    at_once(8, |worker| {
        let scene = scene.clone();
        async move {
            for number in 0..50 {
                if worker % 4 == 0 {
                    let value = format!("{worker}-{number}");
                    scene.commit(&[], &[put(&key("left"), value.clone()), put(&key("right"), value)]).await.unwrap();
                } else {
                    let both = scene.store.get(&keys(&["left", "right"])).await.unwrap();
                    let [left, right] = both.try_into().unwrap();
                    assert_eq!(left.map(|entry| entry.value), right.map(|entry| entry.value));
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
}
