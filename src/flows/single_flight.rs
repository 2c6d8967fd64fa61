//! Many who need the same thing at once ask the store once.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Reads under way, by what is read.
///
/// Nobody is given what was read before they came: who comes while a read is under way may know of a change that it missed,
/// and shares the next one with all others who came meanwhile. So however many come, at most two reads follow each other.
pub(super) struct SingleFlight<K: Eq + Hash + Clone, T>(Mutex<Flights<K, T>>);

type Flights<K, T> = HashMap<K, Boarded<T>>;

/// A flight, and how many are on it: counted under the lock, so that of two who leave at once the second knows that it is
/// the last.
struct Boarded<T> {
    flight: Arc<Flight<T>>,
    passengers: usize,
}

struct Flight<T> {
    /// Numbers arrivals and reads in the order in which they happen.
    moments: AtomicU64,
    /// When the last read began, and what it found. Locked while one is under way.
    last: tokio::sync::Mutex<Option<(u64, T)>>,
}

impl<K: Eq + Hash + Clone, T> std::fmt::Debug for SingleFlight<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SingleFlight")
    }
}

impl<K: Eq + Hash + Clone, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, T: Clone> SingleFlight<K, T> {
    /// What `read` finds, here or for somebody else; or what is `known` by the time that it would be read. A reader who
    /// gives up leaves the reading to the next.
    pub(super) async fn read<F: Future<Output = T>>(
        &self,
        key: &K,
        known: impl Fn() -> Option<T>,
        read: impl FnOnce() -> F,
    ) -> T {
        let passenger = Passenger::board(self, key);
        let flight = &passenger.flight;
        let came = flight.moments.fetch_add(1, Ordering::SeqCst);
        let mut last = flight.last.lock().await;
        if let Some(known) = known() {
            return known;
        }
        if let Some((began, found)) = &*last
            && *began > came
        {
            return found.clone();
        }
        let began = flight.moments.fetch_add(1, Ordering::SeqCst);
        let found = read().await;
        *last = Some((began, found.clone()));
        found
    }
}

impl<K: Eq + Hash + Clone, T> SingleFlight<K, T> {
    fn flights(&self) -> MutexGuard<'_, Flights<K, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a read. The last to leave clears up: anybody can ask for things that do not exist.
struct Passenger<'a, K: Eq + Hash + Clone, T> {
    flights: &'a SingleFlight<K, T>,
    key: K,
    flight: Arc<Flight<T>>,
}

impl<'a, K: Eq + Hash + Clone, T> Passenger<'a, K, T> {
    fn board(flights: &'a SingleFlight<K, T>, key: &K) -> Self {
        let new = || Flight { moments: AtomicU64::new(0), last: tokio::sync::Mutex::new(None) };
        let mut known = flights.flights();
        let boarded = known.entry(key.clone()).or_insert_with(|| Boarded { flight: Arc::new(new()), passengers: 0 });
        boarded.passengers += 1;
        Self { flights, key: key.clone(), flight: Arc::clone(&boarded.flight) }
    }
}

impl<K: Eq + Hash + Clone, T> Drop for Passenger<'_, K, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.flights();
        let Entry::Occupied(mut boarded) = flights.entry(self.key.clone()) else { return };
        boarded.get_mut().passengers -= 1;
        if boarded.get().passengers == 0 {
            boarded.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::{FutureExt, future::join_all};
    use tokio::task::yield_now;

    use super::*;

    /// What is read, and how often it was.
    #[derive(Default)]
    struct Source {
        value: AtomicUsize,
        reads: AtomicUsize,
    }

    impl Source {
        async fn read(&self) -> usize {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let value = self.value.load(Ordering::SeqCst);
            yield_now().await;
            value
        }
    }

    #[tokio::test]
    async fn many_share_a_read_and_nobody_gets_one_that_began_before_they_came() {
        let (flights, source) = (SingleFlight::default(), Source::default());
        let read = || flights.read(&1, || None, || source.read());
        let mut first = Box::pin(read());
        assert_eq!(first.as_mut().now_or_never(), None, "under way");
        source.value.store(1, Ordering::SeqCst);
        let (others, first) = tokio::join!(join_all((0..100).map(|_| read())), first);
        assert_eq!((first, others), (0, vec![1; 100]), "those who came later know of the change");
        assert_eq!(source.reads.load(Ordering::SeqCst), 2);
        assert!(flights.flights().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn what_is_known_meanwhile_is_not_read_again() {
        let (flights, source) = (SingleFlight::default(), Source::default());
        let known = || (source.reads.load(Ordering::SeqCst) > 0).then_some(7);
        let found = join_all((0..100).map(|_| flights.read(&1, known, || source.read()))).await;
        assert_eq!((found[0], found[99], source.reads.load(Ordering::SeqCst)), (0, 7, 1));
    }

    #[tokio::test]
    async fn a_reader_who_gives_up_stops_nobody() {
        let (flights, source) = (SingleFlight::default(), Source::default());
        let mut first = Box::pin(flights.read(&1, || None, std::future::pending));
        assert_eq!(first.as_mut().now_or_never(), None);
        let mut second = Box::pin(flights.read(&1, || None, || source.read()));
        assert_eq!(second.as_mut().now_or_never(), None);
        drop(first);
        assert_eq!(second.await, 0);
        assert!(flights.flights().is_empty());
    }
}
