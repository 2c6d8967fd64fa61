//! The first opening of a store that comes from a backup.
//!
//! A backup does not know what ended after it was taken: which sessions were signed out or cut off, which refresh tokens
//! were traded, which codes were used, which mails were sent. None of it may come back to life (checklist F-31). So before
//! anybody is served, everything of that sort ends: all sessions of every tenant are cut off as of now, at every door; refresh
//! families, one-time codes and mails that waited are deleted. People sign in again; nothing else is lost.
//!
//! So do the links of invitations that were open: one that was taken back since, or replaced by a newer one, would lead in
//! again. They expire; their guests can be sent new ones, also by asking themselves, and direct links work as ever.
//!
//! What an administrator changed since (blocks, removals, rotated keys) is gone with the newer store and has to be done again.

use jiff::Timestamp;

use super::audited;
use crate::{
    clock::Clock,
    domain::{
        TenantId,
        audit::{Activity, Actor},
        invitation::{Invitation, InvitationState},
    },
    mail::{OutboxItem, OutboxState},
    store::{
        Batch, Entry, Key, Partition, Races, StoreError,
        records::{self, Backup, Delivery, DeliveryState, Store, Stored, TenantCutoff, decode, kind, sessions_over},
        walk::{self, Walk},
    },
};

/// Ends what may have ended since, if the store is a backup. Gives the mark of the backup that it was.
///
/// Done again after it was cut off in the middle, it is done whole: the store stops being a backup at the very end.
///
/// # Errors
/// When the store is unavailable.
pub async fn end_all_if_restored(store: &Store, clock: &dyn Clock) -> Result<Option<Backup>, StoreError> {
    let key = records::backup();
    let Some(mark) = store.get(&key).await? else { return Ok(None) };
    for listed in store.list(&records::tenants_listed()).await? {
        let tenant = listed.value.id;
        for kind in [kind::REFRESH_FAMILY, kind::SESSION_FAMILY, kind::PASSCODE, kind::OUTBOX] {
            walk::delete(&**store.backend(), Key::new(Partition::Tenant(tenant), kind, &[]), is_trace).await?;
        }
        end_deliveries(store, tenant, clock.now()).await?;
        end_links(store, tenant, clock.now()).await?;
        cut_off(store, tenant, clock.now(), mark.value.taken).await?;
    }
    match store.commit(Batch::new(Partition::Global).unchanged(&key, Some(&mark)).delete(&key)).await {
        // Another node did the same at the same time.
        Ok(()) | Err(StoreError::Conflict) => Ok(Some(mark.value)),
        Err(error) => Err(error),
    }
}

/// Has the link of every invitation expire that was open when the backup was taken.
async fn end_links(store: &Store, tenant: TenantId, now: Timestamp) -> Result<(), StoreError> {
    let mut walk = Walk::under(&**store.backend(), Key::new(Partition::Tenant(tenant), kind::INVITATION, &[]));
    while let Some(entry) = walk.next().await? {
        let stored: Stored<Invitation> = decode(entry)?;
        let Invitation { id, created, expires, .. } = stored.value;
        let ends = stored.value.state == InvitationState::Open && expires.is_none_or(|end| end > now);
        if !ends || created > now {
            continue;
        }
        let key = records::invitation(tenant, id);
        let ended = Invitation { expires: Some(now), ..stored.value.clone() };
        let batch = Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(&stored)).put(&key, &ended);
        match store.commit(batch).await {
            // Whoever was faster has ended it, too, or it was redeemed on a node that had come to the end of this.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The trace of a mail that was given up is for people to read, and is not sent.
fn is_trace(entry: &Entry) -> bool {
    let item = || decode::<OutboxItem>(entry.clone()).ok();
    entry.key.kind() == kind::OUTBOX && item().is_some_and(|item| matches!(item.value.state, OutboxState::Failed { .. }))
}

/// Says of the mails of invitations that waited that they are not sent.
async fn end_deliveries(store: &Store, tenant: TenantId, now: Timestamp) -> Result<(), StoreError> {
    let mut walk = Walk::under(&**store.backend(), records::deliveries(tenant).key().clone());
    while let Some(entry) = walk.next().await? {
        let Ok(read) = decode::<Delivery>(entry) else { continue };
        if !matches!(read.value.state, DeliveryState::Queued { .. }) {
            continue;
        }
        let key = records::delivery(tenant, read.value.invitation);
        let last_error = Some("it waited when the backup was taken that was restored since; it may have been sent".to_owned());
        let ended = Delivery { last_error, state: DeliveryState::Failed { at: now }, ..read.value.clone() };
        match store.commit(Batch::new(Partition::Tenant(tenant)).unchanged(&key, Some(&read)).put(&key, &ended)).await {
            // Another node did the same at the same time.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn cut_off(store: &Store, tenant: TenantId, now: Timestamp, taken: Option<Timestamp>) -> Result<(), StoreError> {
    let of = taken.map(|taken| format!(" of {taken}")).unwrap_or_default();
    let activity = Activity::Configured { what: format!("the store, restored from a backup{of}; all sessions ended") };
    let cutoff = TenantCutoff { sessions_valid_from: now };
    let mut races = Races::default();
    loop {
        let head = store.get(&records::audit_head(tenant)).await?;
        let batch = Batch::new(Partition::Tenant(tenant));
        let batch = batch.put_until(&records::tenant_cutoff(tenant), &cutoff, Some(sessions_over(now)));
        let batch = audited(batch, tenant, head.as_ref(), now, &Actor::Operator, [activity.clone()]);
        if races.won(store.commit(batch).await)? {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;
    use crate::{
        config::Config,
        domain::{InvitationId, SessionId, UserId, audit::Event},
        flows::{
            apply::tests::{House, contoso, tenant},
            live::load_all,
        },
        live::{Live, SessionStanding},
        mail::{MailId, outbox_item},
        secret::SecretHash,
        server,
        store::Write,
    };

    const CONFIG: &str = "public_url = \"https://vestibule.example\"\ndata = \".\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
        [mail]\nfrom_name = \"x\"\nfrom = \"x@contoso.example\"\nfolder = \"mail\"\n";

    async fn count(store: &Store, kind: u8) -> usize {
        let mut walk = Walk::under(&**store.backend(), Key::new(Partition::Tenant(tenant()), kind, &[]));
        let mut count = 0;
        while walk.next().await.unwrap().is_some() {
            count += 1;
        }
        count
    }

    /// A link that was replaced or taken back after the backup was taken does not lead in again.
    #[tokio::test]
    async fn f_31_links_of_invitations_that_were_open_expire() {
        let house = House::new();
        house.apply(&contoso("")).await;
        let (store, now) = (&house.foundation.store, house.foundation.now());
        let invitation = |number: u128, state, expires| Invitation {
            id: InvitationId(Uuid::from_u128(number)),
            user: UserId(Uuid::from_u128(number)),
            address: None,
            redirect: "https://expenses.contoso.example/".parse().unwrap(),
            ticket: SecretHash::of(b"x"),
            invited_by: Actor::Operator,
            created: now,
            expires,
            state,
        };
        let replaced = InvitationState::Replaced { at: now };
        let before = [
            invitation(1, InvitationState::Open, None),
            invitation(2, InvitationState::Open, Some(now + SignedDuration::from_hours(9))),
            invitation(3, InvitationState::Open, Some(now)),
            invitation(4, replaced.clone(), None),
        ];
        let mut batch = Batch::new(Partition::Tenant(tenant()));
        for invitation in &before {
            batch = batch.put(&records::invitation(tenant(), invitation.id), invitation);
        }
        store.commit(batch).await.unwrap();
        store.commit(Batch::new(Partition::Global).put(&records::backup(), &Backup { taken: None })).await.unwrap();
        house.clock.advance(3600);
        let restored = house.foundation.now();
        end_all_if_restored(store, &*house.foundation.clock).await.unwrap();
        let mut after = Vec::new();
        for invitation in &before {
            let found = store.get(&records::invitation(tenant(), invitation.id)).await.unwrap().unwrap().value;
            after.push((found.state, found.expires));
        }
        let open = |expires| (InvitationState::Open, Some(expires));
        assert_eq!(after, [open(restored), open(restored), open(now), (replaced, None)]);
    }

    #[tokio::test]
    async fn f_31_what_was_before_ends_once_and_what_comes_after_lasts() {
        let house = House::new();
        house.apply(&contoso("")).await;
        let (store, before) = (&house.foundation.store, house.foundation.now());
        let ending = [kind::REFRESH_FAMILY, kind::SESSION_FAMILY, kind::PASSCODE];
        let mut batch = Batch::new(Partition::Tenant(tenant()));
        for number in 0..300u128 {
            for kind in ending {
                let key = Key::new(Partition::Tenant(tenant()), kind, &[&number.to_be_bytes()]);
                batch = batch.write(Write::Put { key, value: "{}".into(), expires: None });
            }
        }
        let mails = [OutboxState::Queued { sealed: String::new() }, OutboxState::Failed { at: before, to: "m***".into() }];
        for (number, state) in (1..).zip(mails) {
            let id = MailId(Uuid::from_u128(number));
            let (created, attempts, last_error) = (before, 0, None);
            let item = OutboxItem {
                id,
                invitation: None,
                created,
                not_after: before,
                attempts,
                next_attempt: before,
                last_error,
                state,
            };
            batch = batch.put(&outbox_item(tenant(), id), &item);
        }
        let invitation = InvitationId(Uuid::from_u128(1));
        let waits = DeliveryState::Queued { since: before, mail: MailId(Uuid::from_u128(1)) };
        let delivery = Delivery { invitation, attempts: 1, last_error: None, state: waits };
        batch = batch.put(&records::delivery(tenant(), invitation), &delivery);
        store.commit(batch).await.unwrap();
        assert_eq!(end_all_if_restored(store, &*house.foundation.clock).await.unwrap(), None, "it is no backup");
        assert_eq!(count(store, kind::REFRESH_FAMILY).await, 300);

        let mark = Batch::new(Partition::Global).put(&records::backup(), &Backup { taken: Some(before) });
        store.commit(mark).await.unwrap();
        house.clock.advance(3600);
        let restored = house.foundation.now();
        assert_eq!(end_all_if_restored(store, &*house.foundation.clock).await.unwrap(), Some(Backup { taken: Some(before) }));
        for kind in ending {
            assert_eq!(count(store, kind).await, 0);
        }
        assert_eq!(count(store, kind::OUTBOX).await, 1, "the trace of a mail that was given up stays");
        let delivery = store.get(&records::delivery(tenant(), invitation)).await.unwrap().unwrap().value;
        assert_eq!(delivery.state, DeliveryState::Failed { at: restored });
        let audit = store.list(&records::audit_events(tenant())).await.unwrap();
        let audit: Vec<Event> = audit.into_iter().map(|stored| stored.value).collect();
        assert_eq!(Event::first_break(tenant(), &audit), None);
        assert!(format!("{:?}", audit.last()).contains("restored from a backup of 2026-11-22T09:00:00Z"), "{audit:?}");

        let config = Config::parse(CONFIG, Path::new("/nowhere")).unwrap();
        let vestibule = server::build(&config, house.foundation.clone()).unwrap();
        load_all(&vestibule).await.unwrap();
        // Somebody who joined after the backup was taken is not in it at all.
        let standing = |began| {
            let (user, session) = (UserId(Uuid::from_u128(9)), SessionId(Uuid::from_u128(9)));
            vestibule.live.session(tenant(), user, session, began)
        };
        let a_second = SignedDuration::from_secs(1);
        assert_eq!(standing(restored - a_second), SessionStanding::Ended);
        assert_eq!(standing(restored + a_second), SessionStanding::Valid);

        assert_eq!(end_all_if_restored(store, &*house.foundation.clock).await.unwrap(), None, "once is enough");
        house.clock.advance(24 * 3600);
        assert_eq!(count(store, kind::TENANT_CUTOFF).await, 1, "as long as a session may last");
        house.clock.advance(3600);
        assert_eq!(count(store, kind::TENANT_CUTOFF).await, 0);
    }
}
