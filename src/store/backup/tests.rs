use futures_util::FutureExt;
use uuid::Uuid;

use super::*;
use crate::{
    clock::ManualClock,
    domain::TenantId,
    store::{
        Entry, Key, Write,
        contract::START,
        records::{TenantListed, kind},
        walk::Walk,
    },
};

const TENANT: TenantId = TenantId(Uuid::from_u128(1));

/// A folder with a store in it.
struct Scene {
    folder: tempfile::TempDir,
    clock: Arc<dyn Clock>,
}

impl Scene {
    async fn new(records: usize) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::new(START)) };
        let store = scene.open("store");
        let batch = Batch::new(Partition::Global).put(&records::tenant_listed(TENANT), &TenantListed { id: TENANT });
        store.commit(batch.put(&records::key_ring(), &"ours".to_owned())).await.unwrap();
        for record in 0..records {
            put(&store, &format!("{record}"), &"x".repeat(500)).await;
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self, name: &str) -> EmbeddedStore {
        EmbeddedStore::open(&self.path(name), Arc::clone(&self.clock)).unwrap()
    }

    async fn back_up(&self, store: &EmbeddedStore) -> Result<Copied, BackupError> {
        back_up(&*store.snapshot().unwrap(), &self.path("backup"), Arc::clone(&self.clock), &mut |_| {}).await
    }

    async fn restore(&self, replace: bool, ring: Option<&str>) -> Result<Restored, BackupError> {
        restore(&self.path("backup"), &self.path("store"), replace, ring, Arc::clone(&self.clock)).await
    }

    /// The files that are there.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn key(name: &str) -> Key {
    Key::new(Partition::Tenant(TENANT), kind::USER, &[name.as_bytes()])
}

async fn put(store: &EmbeddedStore, name: &str, value: &str) {
    let write = Write::Put { key: key(name), value: value.to_owned().into(), expires: None };
    store.commit(Batch::new(Partition::Tenant(TENANT)).write(write)).await.unwrap();
}

/// Everything but the mark of a backup.
async fn contents(store: &dyn Backend) -> Vec<(Key, Vec<u8>)> {
    let mut all = Vec::new();
    for partition in walk::partitions(store).await.unwrap() {
        let mut walk = Walk::of(store, partition);
        while let Some(Entry { key, value, .. }) = walk.next().await.unwrap() {
            all.push((key, value.to_vec()));
        }
    }
    all.retain(|(key, _)| key != records::backup().key());
    all
}

async fn taken(store: &EmbeddedStore) -> Option<Backup> {
    let entry = store.get(&[records::backup().key().clone()]).await.unwrap().remove(0);
    entry.map(|entry| records::decode(entry).unwrap().value)
}

#[tokio::test]
async fn a_backup_is_one_moment_and_a_store() {
    let scene = Scene::new(300).await;
    let store = scene.open("store");
    let before = contents(&store).await;
    let snapshot = store.snapshot().unwrap();
    put(&store, "after", "x").await;
    let copied = back_up(&*snapshot, &scene.path("backup"), Arc::clone(&scene.clock), &mut |_| {}).await.unwrap();
    assert_eq!(copied.records, 302);
    assert_eq!(scene.files(), ["backup", "store"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(scene.path("backup")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let backup = scene.open("backup");
    assert_eq!(contents(&backup).await, before);
    assert_eq!((taken(&backup).await, taken(&store).await), (Some(Backup { taken: Some(START) }), None));

    let bytes = fs::read(scene.path("backup")).unwrap();
    assert!(matches!(scene.back_up(&store).await, Err(BackupError::Exists(_))));
    assert!(fs::read(scene.path("backup")).unwrap() == bytes, "it is not written over");
}

#[tokio::test]
async fn a_backup_that_was_cut_off_leaves_nothing() {
    let scene = Scene::new(300).await;
    let store = scene.open("store");
    assert!(scene.back_up(&store).now_or_never().is_none(), "given up in the middle");
    assert_eq!(scene.files(), ["store"]);
    // The process was killed: what it left is not in the way.
    fs::write(scene.path("backup.unfinished"), "half").unwrap();
    scene.back_up(&store).await.unwrap();
    assert_eq!(scene.files(), ["backup", "store"]);
    fs::remove_file(scene.path("backup")).unwrap();
    let other = scene.open("backup.unfinished");
    assert!(matches!(scene.back_up(&store).await, Err(BackupError::InUse(_))), "another is at work");
    drop(other);
}

#[tokio::test]
async fn a_backup_comes_back_and_what_was_there_is_kept() {
    let scene = Scene::new(10).await;
    let before = {
        let store = scene.open("store");
        scene.back_up(&store).await.unwrap();
        let before = contents(&store).await;
        put(&store, "after", "x").await;
        assert!(matches!(scene.restore(true, None).await, Err(BackupError::InUse(_))), "a server has it");
        before
    };
    assert!(matches!(scene.restore(false, None).await, Err(BackupError::Occupied(_))));
    assert!(matches!(scene.restore(true, Some("another")).await, Err(BackupError::Ring(_))));
    assert_eq!(contents(&scene.open("store")).await.len(), before.len() + 1, "as it was");

    let restored = scene.restore(true, Some("ours")).await.unwrap();
    assert_eq!((restored.taken, restored.records), (Some(START), 13));
    let kept = restored.kept.unwrap();
    assert_eq!(kept, scene.path("store.replaced-20270115T080000Z"));
    assert_eq!(scene.files(), ["backup", "store", "store.replaced-20270115T080000Z"]);
    let store = scene.open("store");
    assert_eq!(contents(&store).await, before);
    assert!(taken(&store).await.is_some());
    let kept = EmbeddedStore::open(&kept, Arc::clone(&scene.clock)).unwrap();
    assert_eq!(contents(&kept).await.len(), before.len() + 1);
}

#[tokio::test]
async fn a_copy_of_the_file_by_hand_is_a_backup_too() {
    let scene = Scene::new(10).await;
    fs::rename(scene.path("store"), scene.path("backup")).unwrap();
    let open = scene.open("backup");
    assert!(matches!(scene.restore(false, None).await, Err(BackupError::InUse(_))), "somebody works on it");
    drop(open);
    let restored = scene.restore(false, None).await.unwrap();
    assert_eq!((restored.taken, restored.kept), (None, None));
    assert_eq!(taken(&scene.open("store")).await, Some(Backup { taken: None }));
    assert_eq!(taken(&scene.open("backup")).await, None, "what is restored from is left alone");
}

#[tokio::test]
async fn f_19_what_is_no_backup_or_a_damaged_one_is_refused() {
    let scene = Scene::new(200).await;
    let before = {
        let store = scene.open("store");
        scene.back_up(&store).await.unwrap();
        contents(&store).await
    };
    let good = fs::read(scene.path("backup")).unwrap();
    let mut refused = 0;
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        fs::write(scene.path("backup"), damaged).unwrap();
        match scene.restore(true, None).await {
            Err(BackupError::Unusable(path, _)) => {
                assert_eq!(path, scene.path("backup"));
                refused += 1;
            }
            // A bit that nothing is stored in, or that the engine could repair.
            Ok(restored) => fs::remove_file(restored.kept.unwrap()).unwrap(),
            Err(other) => panic!("byte {at}: {other}"),
        }
        assert_eq!(contents(&scene.open("store")).await, before, "byte {at}");
    }
    assert!(refused > 0, "some bit matters");
    for content in [&good[..good.len() / 2], b"text", b""] {
        fs::write(scene.path("backup"), content).unwrap();
        assert!(scene.restore(true, None).await.is_err(), "{} bytes", content.len());
    }
    fs::remove_file(scene.path("backup")).unwrap();
    assert!(matches!(scene.restore(true, None).await, Err(BackupError::Missing(_))));
    assert_eq!(contents(&scene.open("store")).await, before);
}
