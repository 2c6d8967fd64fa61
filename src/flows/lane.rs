//! Changes of one tenant's directory, one after the other.
//!
//! Every audited change of a tenant appends to one chain, so of many at once the store lets one through and has all others
//! decide anew. Within one process they wait for each other here instead, first come, first served. Nobody has to: a change
//! that does not wait, or comes from another node, is still decided by the store.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::TenantId;

/// The lanes in use, by tenant. A lane is there while somebody is in it.
#[derive(Debug, Default)]
pub struct Lanes(Mutex<HashMap<TenantId, Lane>>);

#[derive(Debug, Default)]
struct Lane {
    turns: Arc<tokio::sync::Mutex<()>>,
    /// How many wait or have their turn.
    in_it: usize,
}

/// The turn of one change. The next one comes when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _turn: tokio::sync::OwnedMutexGuard<()>,
    _place: Place,
}

impl Lanes {
    /// Waits for a turn with `tenant`. Who gives up waiting leaves the lane.
    pub async fn turn(self: &Arc<Self>, tenant: TenantId) -> Turn {
        let place = Place { lanes: Arc::clone(self), tenant };
        let turns = {
            let mut lanes = self.lanes();
            let lane = lanes.entry(tenant).or_default();
            lane.in_it += 1;
            Arc::clone(&lane.turns)
        };
        Turn { _turn: turns.lock_owned().await, _place: place }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<TenantId, Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a lane. The last to leave takes the lane away.
#[derive(Debug)]
struct Place {
    lanes: Arc<Lanes>,
    tenant: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lanes();
        let Entry::Occupied(mut lane) = lanes.entry(self.tenant) else { return };
        lane.get_mut().in_it = lane.get().in_it.saturating_sub(1);
        if lane.get().in_it == 0 {
            lane.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_in_order_and_tenants_do_not_wait_for_each_other() {
        let (lanes, [contoso, other]) = (Arc::new(Lanes::default()), [1, 2].map(|n| TenantId(uuid::Uuid::from_u128(n))));
        let first = lanes.turn(contoso).await;
        let (mut second, mut third) = (Box::pin(lanes.turn(contoso)), Box::pin(lanes.turn(contoso)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        assert!(lanes.turn(other).now_or_never().is_some(), "another tenant's lane is free");
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "who came first is served first");
        let turn = second.await;
        drop(third);
        assert_eq!(lanes.lanes().len(), 1);
        drop(turn);
        assert!(lanes.lanes().is_empty(), "nothing is left behind");
    }
}
