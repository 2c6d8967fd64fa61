//! Time and randomness, as arguments.
//!
//! Nothing in this crate asks the machine for the time or for random bytes except the two system types here; a lint
//! (`clippy.toml`) keeps it so. Code under test gets [`ManualClock`] and [`SeededEntropy`]; a whole program under test has
//! its clock put forward (see `ahead` below).

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// A source of bytes nobody can predict.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the whole of `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(ahead()).unwrap_or(now)
    }
}

/// How far a debug build is made to be ahead of the machine, so that tests need not wait: the seconds in the file that
/// `VESTIBULE_CLOCK_AHEAD` names, once there is one.
#[cfg(debug_assertions)]
fn ahead() -> SignedDuration {
    use std::{fs, path::PathBuf, sync::OnceLock};
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "a switch for tests, absent from release builds")]
    let file = FILE.get_or_init(|| std::env::var("VESTIBULE_CLOCK_AHEAD").ok().map(PathBuf::from));
    let seconds = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
    SignedDuration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_default())
}

/// A release build shows the machine's time.
#[cfg(not(debug_assertions))]
#[inline(always)]
fn ahead() -> SignedDuration {
    SignedDuration::ZERO
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `start`, to the second.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_second())))
    }

    /// Moves the clock by `seconds`, backwards when negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
    fn fill(&self, buffer: &mut [u8]) {
        // A machine without randomness must not go on: every secret would be guessable.
        getrandom::fill(buffer).expect("the operating system provides randomness");
    }
}

/// A reproducible sequence, for tests only: whoever knows the seed knows every byte.
#[derive(Debug)]
pub struct SeededEntropy(std::sync::atomic::AtomicU64);

impl SeededEntropy {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(std::sync::atomic::AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // SplitMix64 (Steele, Lea, Flood 2014).
        for chunk in buffer.chunks_mut(8) {
            let mut word = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A random identifier (UUID version 4) drawn from `entropy`.
#[must_use]
pub fn random_uuid(entropy: &dyn Entropy) -> uuid::Uuid {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
