//! Power cuts on a disk that keeps its promise about syncs and no other: what was written since the last sync may be there,
//! or not, each sector of 512 bytes for itself.

use std::{collections::BTreeMap, io, sync::Mutex};

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::{
    clock::{Entropy, SeededEntropy, SystemClock},
    domain::TenantId,
    store::{Partition, Write, contract::full},
};

const SECTOR: usize = 512;

/// A disk of one file. Clones are the same disk.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug)]
struct DiskState {
    /// What a reader sees.
    content: Vec<u8>,
    /// Every content that a sector had since the last sync, oldest first, and likewise every length.
    sectors: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    lengths: Vec<usize>,
    /// How many more operations there are until the power is cut.
    power: u64,
    /// A disk that says it has synced and has not, to see this test fail.
    lies: bool,
}

impl Disk {
    fn new() -> Self {
        let state = DiskState { content: Vec::new(), sectors: BTreeMap::new(), lengths: vec![0], power: 0, lies: false };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Does one operation, if there is power for it.
    fn operate<T>(&self, operation: impl FnOnce(&mut DiskState) -> T) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        state.power = state.power.checked_sub(1).ok_or_else(|| io::Error::other("the power is cut"))?;
        Ok(operation(&mut state))
    }

    /// Makes the disk what a power cut may have left, and supplies it with power for so many operations.
    fn restart(&self, random: &mut impl FnMut(usize) -> usize, power: u64) {
        let state = &mut *self.0.lock().unwrap();
        let length = state.lengths[random(state.lengths.len())];
        for (sector, contents) in std::mem::take(&mut state.sectors) {
            state.change(sector * SECTOR, &contents[random(contents.len())]);
        }
        state.content.resize(length, 0);
        state.lengths = vec![length];
        state.power = power;
    }
}

impl DiskState {
    fn sector(&self, sector: usize) -> [u8; SECTOR] {
        let mut content = [0; SECTOR];
        let start = (sector * SECTOR).min(self.content.len());
        let stored = &self.content[start..(start + SECTOR).min(self.content.len())];
        content[..stored.len()].copy_from_slice(stored);
        content
    }

    fn change(&mut self, offset: usize, data: &[u8]) {
        self.content.resize(self.content.len().max(offset + data.len()), 0);
        self.content[offset..offset + data.len()].copy_from_slice(data);
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        let touched = offset / SECTOR..(offset + data.len()).div_ceil(SECTOR);
        for sector in touched.clone() {
            let synced = self.sector(sector);
            self.sectors.entry(sector).or_insert_with(|| vec![synced]);
        }
        self.change(offset, data);
        for sector in touched {
            let written = self.sector(sector);
            self.sectors.entry(sector).or_default().push(written);
        }
    }

    fn set_len(&mut self, length: usize) {
        if length < self.content.len() {
            // What is cut off reads as zeros should the file grow again.
            let cut_off = vec![0; self.content.len() - length];
            self.write(length, &cut_off);
        }
        self.content.resize(length, 0);
        self.lengths.push(length);
    }

    fn sync(&mut self) {
        if !self.lies {
            self.sectors.clear();
            self.lengths = vec![self.content.len()];
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.operate(|state| state.content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.operate(|state| {
            // A disk that lied may be shorter than the engine believes.
            let stored = state.content.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(stored);
            Ok(())
        })?
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.operate(|state| state.set_len(usize::try_from(length).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(DiskState::sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(|state| state.write(usize::try_from(offset).unwrap(), data))
    }
}

fn open(disk: &Disk) -> Result<EmbeddedStore, OpenError> {
    discard_unfinished(disk)?;
    EmbeddedStore::start(disk.clone(), Arc::new(SystemClock))
}

const WORKERS: usize = 3;
/// Each batch makes this many records, and removes those that a batch made this long ago.
const RECORDS: u8 = 3;
const KEPT: u64 = 4;

fn prefix(worker: usize) -> Key {
    Key::new(Partition::Tenant(TenantId(Uuid::from_u128(worker as u128))), b'k', &[])
}

fn record(worker: usize, number: u64, part: u8) -> (Key, Bytes) {
    let key = Key::new(prefix(worker).partition(), b'k', &[&number.to_be_bytes(), &[part]]);
    // From nothing to several pages.
    let length = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (51 + 2 * part);
    (key, vec![number.to_le_bytes()[0] ^ part; usize::try_from(length).unwrap()].into())
}

fn batch(worker: usize, number: u64) -> Batch {
    let batch = (0..RECORDS).fold(Batch::new(prefix(worker).partition()), |batch, part| {
        let (key, value) = record(worker, number, part);
        batch.write(Write::Put { key, value, expires: None })
    });
    let old = number.checked_sub(KEPT).into_iter().flat_map(|old| (0..RECORDS).map(move |part| record(worker, old, part).0));
    old.map(Write::Delete).fold(batch, Batch::write)
}

/// The records there are after batch `last`, of those from 1 on.
fn expected(worker: usize, last: u64) -> Vec<(Key, Bytes)> {
    let kept = last.saturating_sub(KEPT - 1).max(1)..=last;
    kept.flat_map(|number| (0..RECORDS).map(move |part| record(worker, number, part))).collect()
}

/// Commits batches until the power is cut; `acknowledged` says how far each worker has come.
async fn work(store: &EmbeddedStore, acknowledged: &mut [u64; WORKERS]) {
    let workers = acknowledged.iter_mut().enumerate().map(|(worker, acknowledged)| async move {
        while store.commit(batch(worker, *acknowledged + 1)).await.is_ok() {
            *acknowledged += 1;
        }
    });
    futures_util::future::join_all(workers).await;
}

/// Cuts the power `cuts` times; the answer names the first thing that was lost.
async fn cut_power(seed: u64, cuts: u32, lies: bool) -> Result<(), String> {
    let entropy = SeededEntropy::new(seed);
    let mut random = |below: usize| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    };
    let mut disk = Disk::new();
    let mut acknowledged = [0; WORKERS];
    for cut in 0..cuts {
        if cut % 8 == 0 {
            (disk, acknowledged) = (Disk::new(), [0; WORKERS]);
            disk.0.lock().unwrap().lies = lies;
        }
        let power = random(400) as u64;
        disk.restart(&mut random, power);
        // The cut may come while the file is made or repaired.
        if let Ok(store) = open(&disk) {
            work(&store, &mut acknowledged).await;
            drop(store);
        }
        disk.restart(&mut random, u64::MAX);
        let store = open(&disk).map_err(|error| format!("cut {cut}: {error}"))?;
        for (worker, acknowledged) in acknowledged.iter_mut().enumerate() {
            let page = Page { after: None, limit: 1000 };
            let found = store.scan(&prefix(worker), page).await.map_err(|error| format!("cut {cut}: {error}"))?;
            let found: Vec<_> = found.into_iter().map(|entry| (entry.key, entry.value)).collect();
            // The batch that was not answered may be there, whole.
            if found == expected(worker, *acknowledged + 1) {
                *acknowledged += 1;
            } else if found != expected(worker, *acknowledged) {
                return Err(format!("cut {cut}: worker {worker} lost batch {acknowledged} or half of the next"));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_power_cut_loses_nothing_acknowledged_and_leaves_nothing_half() {
    for seed in 0..if full() { 250 } else { 10 } {
        cut_power(seed, 40, false).await.unwrap_or_else(|lost| panic!("seed {seed}: {lost}"));
    }
}

#[tokio::test]
async fn after_a_write_that_the_disk_refused_nothing_is_accepted() {
    let disk = Disk::new();
    disk.0.lock().unwrap().power = u64::MAX;
    let store = open(&disk).unwrap();
    store.commit(batch(0, 1)).await.unwrap();
    let mut failed = std::pin::pin!(store.failed());
    assert!(futures_util::FutureExt::now_or_never(failed.as_mut()).is_none());
    let mut watch = store.watch();

    disk.0.lock().unwrap().power = 0;
    let group = [batch(0, 2), batch(1, 1), batch(2, 1)].map(|batch| store.commit(batch));
    for answer in futures_util::future::join_all(group).await {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(failed.await.contains("the power is cut"));

    // The disk works again, but what it holds is unknown until the file is opened anew.
    disk.0.lock().unwrap().power = u64::MAX;
    let answer = store.commit(batch(0, 2)).await;
    assert!(matches!(&answer, Err(StoreError::Unavailable(reason)) if reason.contains("the power is cut")), "{answer:?}");
    drop(store);
    assert_eq!(watch.next().await, None, "nothing was reported that was not acknowledged");
    let store = open(&disk).unwrap();
    let found = store.scan(&prefix(0), Page { after: None, limit: 100 }).await.unwrap();
    assert!(found.into_iter().map(|entry| (entry.key, entry.value)).eq(expected(0, 1)));
}

#[tokio::test]
async fn this_test_catches_a_disk_that_lies_about_syncs() {
    let mut caught = 0;
    for seed in 0..5 {
        // The engine may stop with a panic at what it finds then, in builds with debug assertions.
        let outcome = tokio::spawn(cut_power(seed, 40, true)).await;
        caught += u32::from(!matches!(outcome, Ok(Ok(()))));
    }
    assert_eq!(caught, 5);
}
