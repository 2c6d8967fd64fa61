//! What a change does when somebody else was faster.

use super::StoreError;

/// How often a commit that lost a race is decided and tried again.
///
/// Every audited change of a tenant appends to one chain, so of many at once each round lets one through.
const ATTEMPTS: usize = 256;

/// Counts the races that a change has lost: `loop { read, decide; if races.won(commit)? { break } }`.
#[derive(Debug)]
pub struct Races {
    lost: usize,
    most: usize,
}

impl Default for Races {
    fn default() -> Self {
        Self::at_most(ATTEMPTS)
    }
}

impl Races {
    /// Gives up when more than `most` were lost.
    #[must_use]
    pub fn at_most(most: usize) -> Self {
        Self { lost: 0, most }
    }

    /// Whether the commit went through. When somebody else was faster it did not, and the change is to be decided anew.
    ///
    /// # Errors
    /// When the store failed, or after too many lost races.
    pub fn won(&mut self, committed: Result<(), StoreError>) -> Result<bool, StoreError> {
        match committed {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) if self.lost < self.most => {
                self.lost += 1;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_race_is_run_again_until_there_were_too_many() {
        let mut races = Races::at_most(2);
        let lost = || Err(StoreError::Conflict);
        assert!(!races.won(lost()).unwrap() && !races.won(lost()).unwrap());
        assert!(races.won(Ok(())).unwrap());
        assert!(matches!(races.won(lost()), Err(StoreError::Conflict)));
        let failed = Err(StoreError::Unavailable(String::new()));
        assert!(matches!(Races::default().won(failed), Err(StoreError::Unavailable(_))), "no race at all");
    }
}
