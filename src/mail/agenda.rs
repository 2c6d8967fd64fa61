//! What the outbox worker has to do, and when: in memory, rebuilt from the store whenever there is doubt.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::MailId;
use crate::domain::TenantId;

/// The place of a mail in the store.
pub(super) type Place = (TenantId, MailId);

/// Waiting mails by tenant and time, and those that are being sent.
///
/// Tenants take turns, and none has more than its share of the hands: a tenant whose mails are slow to go waits for itself.
#[derive(Debug)]
pub(super) struct Agenda {
    at_once: usize,
    at_once_per_tenant: usize,
    times: HashMap<Place, Timestamp>,
    queues: BTreeMap<TenantId, BTreeSet<(Timestamp, MailId)>>,
    under_way: BTreeMap<TenantId, BTreeSet<MailId>>,
    last_served: Option<TenantId>,
}

impl Agenda {
    /// Nothing to do; at most so many mails under way at once, in all and of one tenant.
    pub(super) fn new(at_once: usize, at_once_per_tenant: usize) -> Self {
        Self {
            at_once,
            at_once_per_tenant,
            times: HashMap::new(),
            queues: BTreeMap::new(),
            under_way: BTreeMap::new(),
            last_served: None,
        }
    }

    /// Forgets what waits, not what is under way.
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.queues.clear();
    }

    /// `place` is to be looked at from `time` on, unless it is under way: then its end will tell.
    pub(super) fn plan(&mut self, place: Place, time: Timestamp) {
        let (tenant, id) = place;
        if self.under_way.get(&tenant).is_some_and(|ids| ids.contains(&id)) {
            return;
        }
        self.forget(place);
        self.times.insert(place, time);
        self.queues.entry(tenant).or_default().insert((time, id));
    }

    fn forget(&mut self, place: Place) {
        let (tenant, id) = place;
        if let Some(time) = self.times.remove(&place)
            && let Some(queue) = self.queues.get_mut(&tenant)
        {
            queue.remove(&(time, id));
            if queue.is_empty() {
                self.queues.remove(&tenant);
            }
        }
    }

    /// The next mail that is due at `now`, which is under way from here on; `None` when none is due or all hands are full.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Place> {
        if self.under_way.values().map(BTreeSet::len).sum::<usize>() >= self.at_once {
            return None;
        }
        let due = |(tenant, queue): (&TenantId, &BTreeSet<(Timestamp, MailId)>)| {
            let free = self.has_hands(*tenant);
            queue.first().filter(|(time, _)| free && *time <= now).map(|(_, id)| (*tenant, *id))
        };
        let after = self.last_served.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let turn = self.queues.range((after, std::ops::Bound::Unbounded)).find_map(due);
        let place = turn.or_else(|| self.queues.iter().find_map(due))?;
        self.forget(place);
        self.under_way.entry(place.0).or_default().insert(place.1);
        self.last_served = Some(place.0);
        Some(place)
    }

    /// `place` is no longer under way.
    pub(super) fn finish(&mut self, (tenant, id): Place) {
        if let Some(ids) = self.under_way.get_mut(&tenant) {
            ids.remove(&id);
            if ids.is_empty() {
                self.under_way.remove(&tenant);
            }
        }
    }

    /// When the next mail is due of those that could be taken up at once.
    pub(super) fn next_time(&self) -> Option<Timestamp> {
        let open = self.queues.iter().filter(|(tenant, _)| self.has_hands(**tenant));
        open.filter_map(|(_, queue)| queue.first()).map(|(time, _)| *time).min()
    }

    fn has_hands(&self, tenant: TenantId) -> bool {
        self.under_way.get(&tenant).map_or(0, BTreeSet::len) < self.at_once_per_tenant
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn place(tenant: u128, id: u128) -> Place {
        (TenantId(Uuid::from_u128(tenant)), MailId(Uuid::from_u128(id)))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn tenants_take_turns_and_none_takes_all_hands() {
        let mut agenda = Agenda::new(4, 2);
        for id in 0..10 {
            agenda.plan(place(1, id), at(0));
        }
        agenda.plan(place(2, 100), at(5));
        agenda.plan(place(3, 200), at(5));
        let taken: Vec<_> = std::iter::from_fn(|| agenda.take_due(at(9))).collect();
        assert_eq!(taken, [place(1, 0), place(2, 100), place(3, 200), place(1, 1)]);
        agenda.finish(place(2, 100));
        assert_eq!(agenda.take_due(at(9)), None, "tenant 1 has its share");
        assert_eq!(agenda.next_time(), None);
        agenda.finish(place(1, 1));
        assert_eq!(agenda.next_time(), Some(at(0)));
        assert_eq!(agenda.take_due(at(9)), Some(place(1, 2)));
    }

    #[test]
    fn what_is_under_way_is_not_taken_twice() {
        let mut agenda = Agenda::new(9, 9);
        agenda.plan(place(1, 1), at(0));
        assert_eq!(agenda.take_due(at(0)), Some(place(1, 1)));
        agenda.plan(place(1, 1), at(0));
        agenda.clear();
        assert_eq!(agenda.take_due(at(0)), None);
        agenda.finish(place(1, 1));
        agenda.plan(place(1, 1), at(7));
        agenda.plan(place(1, 1), at(3));
        assert_eq!((agenda.take_due(at(2)), agenda.next_time()), (None, Some(at(3))));
        assert_eq!(agenda.take_due(at(3)), Some(place(1, 1)));
        agenda.finish(place(1, 1));
        assert_eq!(agenda.take_due(at(99)), None, "planned once");
    }
}
