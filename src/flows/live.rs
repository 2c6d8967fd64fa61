//! Feeds what the store's changes say into the directory's memory and to all doors.
//!
//! When this stops, nothing is heard any more, and every door closes: [`LiveState`](crate::live::LiveState) fails closed.

use std::time::Duration;

use super::Vestibule;
use crate::{
    domain::TenantId,
    live::LiveEvent,
    store::{
        Batch, Change, Key, Partition, StoreError, Watch, measured,
        records::{self, SessionEnd, TenantCutoff, TermsEpoch, UserCutoff, decode, kind},
    },
};

/// How long to wait before a store that cannot be read is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often what has expired is forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Reads everything that doors must know. Subscribe to the feed first, so that nothing falls between.
///
/// # Errors
/// When the store is unavailable.
pub async fn load_all(vestibule: &Vestibule) -> Result<(), StoreError> {
    // What was remembered before anybody followed the feed may be old.
    vestibule.directory.forget(&Change::Lost);
    for tenant in vestibule.foundation.store.list(&records::tenants_listed()).await? {
        let id = tenant.value.id;
        let events = events_of(vestibule, id).await?;
        vestibule.live.replace(id, &events);
    }
    vestibule.live.heard(vestibule.foundation.now());
    Ok(())
}

async fn events_of(vestibule: &Vestibule, tenant: TenantId) -> Result<Vec<LiveEvent>, StoreError> {
    let store = &vestibule.foundation.store;
    let cutoffs = store.list(&records::user_cutoffs(tenant)).await?.into_iter().map(|stored| cutoff(stored.value));
    let ends = store.list(&records::session_ends(tenant)).await?.into_iter().map(|stored| ended(stored.value));
    let epoch = store.get(&records::terms_epoch(tenant)).await?.map(|stored| raised(stored.value));
    let all = store.get(&records::tenant_cutoff(tenant)).await?.map(|stored| all_cut_off(&stored.value));
    Ok(cutoffs.chain(ends).chain(epoch).chain(all).collect())
}

/// Follows the store's changes until it is gone. To be dropped when the last request has ended.
pub async fn follow(vestibule: &Vestibule, mut watch: Watch) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            change = watch.next() => match change {
                Some(Change::Current(at)) => {
                    vestibule.live.heard(at);
                    measured::current(at, vestibule.foundation.now());
                }
                Some(change) => {
                    vestibule.directory.forget(&change);
                    if let Err(error) = tell(vestibule, &change).await {
                        // Not knowing is worse than saying no: without news the doors close, until this goes well again.
                        tracing::error!(%error, "a change could not be read; doors close until it can");
                        recover(vestibule, &mut watch).await;
                    }
                }
                None => {
                    tracing::error!("the store's feed has ended; doors close");
                    return;
                }
            },
            _ = sweep.tick() => vestibule.live.forget_expired(vestibule.foundation.now()),
        }
    }
}

/// Starts over: a new subscription, then everything is read again, until that goes well.
async fn recover(vestibule: &Vestibule, watch: &mut Watch) {
    loop {
        *watch = vestibule.foundation.store.watch();
        vestibule.directory.forget(&Change::Lost);
        match reload(vestibule).await {
            Ok(()) => return,
            Err(error) => tracing::error!(%error, "the store still cannot be read"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn tell(vestibule: &Vestibule, change: &Change) -> Result<(), StoreError> {
    let keys = match change {
        Change::Keys(keys) => keys,
        Change::Lost => return reload(vestibule).await,
        Change::Current(_) => return Ok(()),
    };
    for key in keys.iter() {
        if let Partition::Tenant(tenant) = key.partition()
            && let Some(event) = event(vestibule, key).await?
        {
            vestibule.feed.publish(tenant, event);
        }
    }
    Ok(())
}

/// After a gap everything is told again: each event says how things are, so that hearing it twice changes nothing.
async fn reload(vestibule: &Vestibule) -> Result<(), StoreError> {
    keep_ring(vestibule).await?;
    for tenant in vestibule.foundation.store.list(&records::tenants_listed()).await? {
        for event in events_of(vestibule, tenant.value.id).await? {
            vestibule.feed.publish(tenant.value.id, event);
        }
        vestibule.feed.publish(tenant.value.id, LiveEvent::KeysChanged);
    }
    Ok(())
}

/// What was lost may be the record that says which ring seals the store. It is put back, before somebody with another ring
/// finds a store that seems to be nobody's; and a store that another ring seals is none to serve from.
async fn keep_ring(vestibule: &Vestibule) -> Result<(), StoreError> {
    let (store, ring) = (&vestibule.foundation.store, vestibule.foundation.ring.fingerprint());
    let key = records::key_ring();
    match store.get(&key).await? {
        Some(known) if known.value == ring => Ok(()),
        Some(_) => Err(StoreError::Corrupt("it is sealed by another key ring".into())),
        None => store.commit(Batch::new(Partition::Global).absent(&key).put(&key, &ring)).await,
    }
}

/// What doors must know of a changed record, if anything.
async fn event(vestibule: &Vestibule, key: &Key) -> Result<Option<LiveEvent>, StoreError> {
    if key.kind() == kind::SIGNING_KEY {
        return Ok(Some(LiveEvent::KeysChanged));
    }
    if !(kind::USER_CUTOFF..=kind::TENANT_CUTOFF).contains(&key.kind()) {
        return Ok(None);
    }
    let Some(entry) = vestibule.foundation.store.entries(std::slice::from_ref(key)).await?.pop().flatten() else {
        return Ok(None);
    };
    Ok(Some(match key.kind() {
        kind::USER_CUTOFF => cutoff(decode::<UserCutoff>(entry)?.value),
        kind::SESSION_END => ended(decode::<SessionEnd>(entry)?.value),
        kind::TENANT_CUTOFF => all_cut_off(&decode::<TenantCutoff>(entry)?.value),
        _ => raised(decode::<TermsEpoch>(entry)?.value),
    }))
}

fn cutoff(cutoff: UserCutoff) -> LiveEvent {
    let forget = (!cutoff.blocked).then(|| cutoff.forget_at(cutoff.sessions_valid_from));
    LiveEvent::UserCutoff { user: cutoff.user, sessions_valid_from: cutoff.sessions_valid_from, blocked: cutoff.blocked, forget }
}

fn all_cut_off(cutoff: &TenantCutoff) -> LiveEvent {
    LiveEvent::TenantCutoff { sessions_valid_from: cutoff.sessions_valid_from }
}

fn ended(end: SessionEnd) -> LiveEvent {
    LiveEvent::SessionEnded { session: end.session, forget: end.forget }
}

fn raised(epoch: TermsEpoch) -> LiveEvent {
    LiveEvent::TermsEpoch { everywhere: epoch.everywhere, apps: epoch.apps }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        config::Config,
        domain::{AppId, SessionId, UserId, link::Sources},
        flows::apply::tests::{House, contoso, tenant},
        live::{Live, SessionStanding},
        server,
        store::Batch,
    };

    const CONFIG: &str = "public_url = \"https://vestibule.example\"\ndata = \".\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
        [mail]\nfrom_name = \"x\"\nfrom = \"x@contoso.example\"\nfolder = \"mail\"\n";

    fn build(house: &House) -> Arc<Vestibule> {
        let config = Config::parse(CONFIG, Path::new("/nowhere")).unwrap();
        server::build(&config, house.foundation.clone()).unwrap()
    }

    async fn maria(house: &House) -> UserId {
        let users = house.foundation.store.list(&records::users(tenant())).await.unwrap();
        users.into_iter().map(|user| user.value).find(|user| user.display_name == "Maria Rossi").unwrap().id
    }

    fn standing(vestibule: &Vestibule, user: UserId) -> SessionStanding {
        let session = SessionId(uuid::Uuid::from_u128(1));
        vestibule.live.session(tenant(), user, session, vestibule.foundation.now())
    }

    /// Waits for what the follower makes of a change; it has nothing else to do.
    async fn until(told: impl Fn() -> bool) {
        let wait = async {
            while !told() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("doors are told");
    }

    fn blocked() -> String {
        contoso("").replace("apps = [\"Expenses\"]", "apps = [\"Expenses\"]\naccount_enabled = false")
    }

    #[tokio::test]
    async fn what_was_stored_before_the_start_is_known_at_the_start() {
        let house = House::new();
        house.apply(&contoso("")).await;
        house.apply(&blocked()).await;
        let vestibule = build(&house);
        assert!(!vestibule.live.fresh(house.foundation.now()), "closed until everything is read");
        load_all(&vestibule).await.unwrap();
        assert!(vestibule.live.fresh(house.foundation.now()));
        assert_eq!(standing(&vestibule, maria(&house).await), SessionStanding::Blocked);
        assert!(vestibule.live.terms_epoch(tenant(), AppId(uuid::Uuid::nil())) > 0);
    }

    #[tokio::test]
    async fn g_14_blocks_terms_and_keys_reach_doors_and_directory() {
        let house = House::new();
        house.apply(&contoso("")).await;
        let vestibule = build(&house);
        let watch = house.foundation.store.watch();
        load_all(&vestibule).await.unwrap();
        let follower = tokio::spawn({
            let vestibule = Arc::clone(&vestibule);
            async move { follow(&vestibule, watch).await }
        });
        let maria = maria(&house).await;
        assert_eq!(standing(&vestibule, maria), SessionStanding::Valid);
        let by_domain = Sources { path: Some("contoso.example"), ..Sources::default() };
        let before = vestibule.directory.context(by_domain).await.unwrap();

        house.apply(&blocked()).await;
        until(|| standing(&vestibule, maria) == SessionStanding::Blocked).await;
        let more = "[[tenant.agreement]]\nname = \"More\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\n\
            display_name = \"More\"\npath = \"terms.md\"\n";
        let everywhere = AppId(uuid::Uuid::nil());
        let old = vestibule.live.terms_epoch(tenant(), everywhere);
        house.apply(&contoso(more)).await;
        until(|| vestibule.live.terms_epoch(tenant(), everywhere) > old).await;
        crate::flows::keys::rotate_keys(&house.foundation, tenant(), jiff::SignedDuration::ZERO).await.unwrap();
        let user = UserCutoff { user: UserId(uuid::Uuid::nil()), sessions_valid_from: house.foundation.now(), blocked: true };
        let last = Batch::new(Partition::Tenant(tenant())).put(&records::user_cutoff(tenant(), user.user), &user);
        house.foundation.store.commit(last).await.unwrap();
        until(|| standing(&vestibule, user.user) == SessionStanding::Blocked).await;
        let after = vestibule.directory.context(by_domain).await.unwrap();
        assert_eq!((before.agreements.len(), after.agreements.len()), (1, 2));
        let (now, count) = (house.foundation.now(), |view: &crate::flows::directory::TenantView, now| {
            serde_json::to_value(view.keys.jwks(now)).unwrap()["keys"].as_array().map(Vec::len)
        });
        assert_eq!((count(&before, now), count(&after, now)), (Some(2), Some(4)));

        // Without news the doors close.
        follower.abort();
        house.clock.advance(6);
        assert!(!vestibule.live.fresh(house.foundation.now()));
    }

    #[tokio::test]
    async fn after_a_gap_in_the_feed_everything_is_told_again() {
        let house = House::new();
        house.apply(&contoso("")).await;
        let vestibule = build(&house);
        load_all(&vestibule).await.unwrap();
        house.apply(&blocked()).await;
        let maria = maria(&house).await;
        assert_eq!(standing(&vestibule, maria), SessionStanding::Valid);
        tell(&vestibule, &Change::Lost).await.unwrap();
        assert_eq!(standing(&vestibule, maria), SessionStanding::Blocked);
    }
}
