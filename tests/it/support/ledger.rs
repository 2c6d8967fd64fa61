//! What has happened, by the audit logs: the oracle of tests that kill, cut off and race.

use std::{collections::HashSet, path::Path};

use vestibule::{
    config::Config,
    domain::{
        UserId,
        audit::{Activity, Event},
    },
    server,
    store::records,
};

/// The audit logs of all tenants, one after the other.
pub(crate) struct Ledger(Vec<Event>);

impl Ledger {
    /// Reads them from the store of a server with this configuration, which may be running if its store lets others in.
    /// Entries are counted without gaps (W-03).
    pub(crate) async fn read(config: &Path) -> Self {
        let config = Config::load(config).expect("a configuration");
        let (foundation, _store) = server::open(&config, None).await.expect("the store opens");
        let mut all = Vec::new();
        for tenant in foundation.store.list(&records::tenants_listed()).await.expect("tenants") {
            let events = foundation.store.list(&records::audit_events(tenant.value.id)).await.expect("the audit log");
            for (index, event) in events.into_iter().enumerate() {
                assert_eq!(event.value.sequence, index as u64 + 1, "W-03: a gap in the audit log");
                all.push(event.value);
            }
        }
        Self(all)
    }

    /// What happened, in order.
    pub(crate) fn activities(&self) -> impl Iterator<Item = &Activity> {
        self.0.iter().map(|event| &event.activity)
    }

    /// Who redeemed, once for each time.
    pub(crate) fn redeemed(&self) -> Vec<UserId> {
        let redeemed = |activity: &Activity| if let Activity::Redeemed { user, .. } = activity { Some(*user) } else { None };
        self.activities().filter_map(redeemed).collect()
    }

    /// I1: nobody answered the same document twice, and nobody redeemed twice.
    pub(crate) fn each_answered_once(&self) {
        let mut answered = HashSet::new();
        for activity in self.activities() {
            if let Activity::TermsAnswered { user, agreement, document, .. } = activity {
                assert!(answered.insert((*user, *agreement, document.clone())), "I1: answered twice: {activity:?}");
            }
        }
        let redeemed = self.redeemed();
        assert_eq!(redeemed.iter().collect::<HashSet<_>>().len(), redeemed.len(), "I1: redeemed twice");
    }
}
