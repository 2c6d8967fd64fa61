//! The reading side of the feed.

use jiff::{SignedDuration, Timestamp};

use super::{Line, LiveEvent, LiveState, Position, state::Tenant};
use crate::domain::TenantId;

/// Why a feed cannot be read on. Connect again from [`Follower::position`].
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A line is not what it should be.
    #[error("the feed has a line that is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
    /// There is a hole between what is known and what came.
    #[error("the feed left something out")]
    Gap,
}

/// Reads the lines of a tenant's feed into a [`LiveState`]. Does no input or output of its own.
#[derive(Debug)]
pub struct Follower {
    tenant: TenantId,
    position: Option<Position>,
    /// A snapshot of which not all parts have come.
    incoming: Option<(Position, Tenant)>,
}

impl Follower {
    /// A reader that has read nothing.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, position: None, incoming: None }
    }

    /// Whose feed it reads.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// From where to go on; `None` asks for a snapshot.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Takes in one line, without its line feed. Says whether the tenant's keys changed.
    ///
    /// # Errors
    /// When the line is damaged or does not follow on what is known. What was known stays known.
    pub fn take(&mut self, line: &[u8], live: &LiveState, now: Timestamp) -> Result<bool, Broken> {
        let line: Line = serde_json::from_slice(line)?;
        let at = Position { stream: line.stream, seq: line.seq };
        if let Some(part) = line.snapshot {
            if part.first {
                self.incoming = Some((at, Tenant::default()));
            }
            let (began, known) = self.incoming.as_ref().filter(|(began, _)| *began == at).ok_or(Broken::Gap)?;
            part.events.iter().for_each(|event| known.apply(event));
            if part.last {
                self.position = Some(*began);
                if let Some((_, known)) = self.incoming.take() {
                    live.install(self.tenant, known);
                }
                // Keys may have changed in what the snapshot stands for.
                return Ok(true);
            }
            return Ok(false);
        }
        self.incoming = None;
        let known = self.position.filter(|known| known.stream == at.stream).ok_or(Broken::Gap)?;
        let Some(event) = line.event else {
            return if known.seq == at.seq {
                // As old as they were where they came from.
                live.heard(now - SignedDuration::from_millis(line.age.unwrap_or_default().into()));
                Ok(false)
            } else {
                Err(Broken::Gap)
            };
        };
        if known.seq.checked_add(1) != Some(at.seq) {
            return Err(Broken::Gap);
        }
        live.apply(self.tenant, &event);
        self.position = Some(at);
        Ok(event == LiveEvent::KeysChanged)
    }
}
