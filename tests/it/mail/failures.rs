//! What happens when mail does not go.

use std::sync::Arc;

use async_trait::async_trait;
use vestibule::{
    mail::{FileTransport, RenderedMail, SendError},
    store::embedded::EmbeddedStore,
};

use super::{sink::Manner, *};

/// O-11: a server with a certificate for another name gets nothing; the mail waits until that is mended.
#[tokio::test]
async fn o_11_a_wrong_certificate_name_keeps_the_mail_in_the_queue() {
    for (scheme, rest, wrapped) in [("smtp", "?tls=required", false), ("smtps", "", true)] {
        let (world, sink) = (World::new().await, Sink::start(wrapped).await);
        sink.certificate_for("mail.evil.example");
        let worker = world.start(smtp(&sink, scheme, rest));
        world.queue(&to_alice()).await;
        let item = world.until_put_back(1).await;
        assert!(item.last_error.as_deref().unwrap_or_default().contains("certificate"), "{item:?}");
        assert_eq!(sink.count("MAIL"), 0);
        sink.certificate_for("127.0.0.1");
        world.clock.advance(10);
        world.until_empty().await;
        worker.stop().await;
        assert!(sink.received().iter().all(|received| received.encrypted));
        assert_eq!(sink.received().len(), 1);
    }
}

/// O-11: a server of unknown authority gets nothing either.
#[tokio::test]
async fn o_11_an_unknown_authority_keeps_the_mail_in_the_queue() {
    let (world, sink, other) = (World::new().await, Sink::start(false).await, Sink::start(false).await);
    let url = Secret::new(format!("smtp://{}?tls=required", sink.address));
    let transport = SmtpTransport::new(&url, None, Some(other.root_pem().as_bytes()), SmtpLimits::default()).unwrap();
    let worker = world.start(Arc::new(transport));
    world.queue(&to_alice()).await;
    world.until_put_back(1).await;
    worker.stop().await;
    assert_eq!(sink.count("MAIL"), 0);
}

/// O-11: no STARTTLS, no mail and no password.
#[tokio::test]
async fn o_11_without_starttls_nothing_is_said() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    sink.behave(Manner::NoStartTls);
    let url = Secret::new(format!("smtp://gate:secret@{}?tls=required", sink.address));
    let transport = SmtpTransport::new(&url, None, Some(sink.root_pem().as_bytes()), SmtpLimits::default()).unwrap();
    let worker = world.start(Arc::new(transport));
    world.queue(&to_alice()).await;
    let item = world.until_put_back(1).await;
    assert!(item.last_error.unwrap().contains("STARTTLS"));
    assert!(sink.commands().iter().all(|(_, command)| command.starts_with("EHLO")), "{:?}", sink.commands());
    sink.behave(Manner::Accept);
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
    let auth: Vec<_> = sink.commands().into_iter().filter(|(_, command)| command.starts_with("AUTH")).collect();
    assert!(!auth.is_empty() && auth.iter().all(|(encrypted, _)| *encrypted), "{auth:?}");
}

/// O-11: replies slipped in before the TLS handshake do not pass for the server's.
#[tokio::test]
async fn o_11_injected_replies_do_not_lose_a_mail() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    sink.behave(Manner::InjectReply);
    let worker = world.start(smtp(&sink, "smtp", "?tls=required"));
    world.queue(&to_alice()).await;
    world.until_put_back(1).await;
    assert!(sink.received().is_empty());
    sink.behave(Manner::Accept);
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
    assert_eq!(sink.received().len(), 1);
}

/// A password that is refused is the operator's to mend: the mail waits.
#[tokio::test]
async fn a_refused_password_keeps_the_mail_in_the_queue() {
    let (world, sink) = (World::new().await, Sink::start(true).await);
    sink.behave(Manner::RefusePassword);
    let url = Secret::new(format!("smtps://gate@{}", sink.address));
    let password = Secret::new("correct horse");
    let roots = sink.root_pem();
    let transport = SmtpTransport::new(&url, Some(&password), Some(roots.as_bytes()), SmtpLimits::default()).unwrap();
    let worker = world.start(Arc::new(transport));
    world.queue(&to_alice()).await;
    assert_eq!(world.until_put_back(1).await.last_error.as_deref(), Some("AUTH: 535 5.7.8"));
    sink.behave(Manner::Accept);
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
}

/// F-15: greylisting: tried again, later and later, and not before its time.
#[tokio::test]
async fn f_15_a_4xx_is_tried_again_with_growing_delays() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    sink.behave(Manner::AtRecipient("451 4.7.1 come back later"));
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.queue(&to_alice()).await;
    let mut longest = 0;
    for attempt in 1..=4 {
        let item = world.until_put_back(attempt).await;
        assert_eq!(item.attempts, attempt);
        assert_eq!(item.last_error.as_deref(), Some("RCPT TO: 451 4.7.1"));
        let delay = item.next_attempt.duration_since(world.clock.now()).as_millis();
        let whole = 1_000 << (attempt - 1);
        assert!((whole / 2..=whole).contains(&delay), "attempt {attempt}: {delay} ms");
        longest = delay.max(longest);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(sink.count("RCPT"), attempt as usize, "not before its time");
        world.clock.advance(1 << (attempt - 1));
    }
    sink.behave(Manner::Accept);
    world.clock.advance(20);
    world.until_empty().await;
    worker.stop().await;
    assert!(longest >= 4_000 && sink.received().len() == 1);
}

/// F-15: a mail that is refused for good is not tried again; an administrator can see why, and nothing of its content stays.
#[tokio::test]
async fn f_15_a_5xx_ends_it_and_leaves_the_reason() {
    for (manner, reason) in [
        (Manner::AtRecipient("550 5.1.1 no such user"), "RCPT TO: 550 5.1.1"),
        (Manner::AfterData("554 5.7.1 spam:"), "end of data: 554 5.7.1"),
        (Manner::AfterData("554"), "end of data: 554"),
    ] {
        let (world, sink) = (World::new().await, Sink::start(false).await);
        sink.behave(manner);
        let worker = world.start(smtp(&sink, "smtp", ""));
        world.queue(&to_alice()).await;
        eventually("given up", async || matches!(world.item().await.state, OutboxState::Failed { .. })).await;
        let item = world.item().await;
        assert_eq!(item.last_error.as_deref(), Some(reason));
        let OutboxState::Failed { to, .. } = &item.state else { panic!("{item:?}") };
        assert_eq!(to, "a***@fabrikam.example");
        world.clock.advance(3_600);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(sink.count("MAIL"), 1, "not tried again");
        world.clock.advance(7 * 24 * 3_600);
        assert!(world.items().await.is_empty(), "forgotten after a week");
        worker.stop().await;
    }
}

/// F-15: a server that hangs is left; and other tenants' mails go meanwhile.
#[tokio::test]
async fn f_15_a_hanging_server_holds_nobody_else_up() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let other = TenantId(Uuid::from_u128(0xfab));
    world.list(other).await;
    sink.behave(Manner::Hang("slow.example"));
    for _ in 0..20 {
        world.queue(&passcode(&tenant("Contoso"), "bob@slow.example", None)).await;
    }
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.queue_for(other, &to_alice(), false).await;
    eventually("the other tenant's mail arrives", async || sink.received().len() == 1).await;
    assert!(sink.received()[0].to.contains("alice"));
    assert_eq!(world.items().await.len(), 20);
    let hung = |item: &Stored<OutboxItem>| item.value.last_error.as_deref() == Some("end of data: no reply in time");
    eventually("the hanging is noticed", async || world.items().await.iter().any(hung)).await;
    sink.behave(Manner::Accept);
    eventually("all are sent", async || {
        world.clock.advance(5);
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.items().await.is_empty()
    })
    .await;
    worker.stop().await;
    assert_eq!(sink.received().len(), 21);
}

/// F-16: the confirmation is lost, so the mail is sent again: the same bytes, under the same Message-ID.
#[tokio::test]
async fn f_16_after_a_lost_reply_the_same_mail_is_sent() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    sink.behave(Manner::LoseReply);
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.queue(&to_alice()).await;
    world.until_put_back(1).await;
    sink.behave(Manner::Accept);
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
    let received = sink.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].message, received[1].message);
    assert!(parse(&received[1].message).body_text(0).unwrap().contains(SHOWN));
}

/// Sends, and dies before it can say so.
struct DiesAfterSending(Arc<SmtpTransport>);

#[async_trait]
impl Transport for DiesAfterSending {
    async fn send(&self, mail: &RenderedMail) -> Result<(), SendError> {
        self.0.send(mail).await?;
        std::future::pending().await
    }
}

/// F-16: killed between sending and erasing: another worker sends the same mail, once the claim has ended and not before.
#[tokio::test]
async fn f_16_a_killed_worker_s_mail_is_sent_again_unchanged() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    world.queue(&to_alice()).await;
    let worker = world.start(Arc::new(DiesAfterSending(smtp(&sink, "smtp", ""))));
    eventually("sent", async || sink.received().len() == 1).await;
    worker.kill().await;
    let worker = world.start(smtp(&sink, "smtp", ""));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sink.received().len(), 1, "claimed by the dead");
    world.clock.advance(21);
    world.until_empty().await;
    worker.stop().await;
    let received = sink.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].message, received[1].message);
}

/// F-15: a code is not mailed once its life is over, however long the server was away.
#[tokio::test]
async fn f_15_an_expired_code_is_never_sent() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    world.queue(&to_alice()).await;
    sink.behave(Manner::AtRecipient("451 4.3.0 later"));
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.until_put_back(1).await;
    sink.behave(Manner::Accept);
    world.clock.advance(10 * 60);
    eventually("given up", async || matches!(world.item().await.state, OutboxState::Failed { .. })).await;
    assert!(world.item().await.last_error.unwrap().contains("time ended"));
    // Nor is one that was never taken up.
    worker.stop().await;
    let late = World::new().await;
    late.queue(&to_alice()).await;
    late.clock.advance(10 * 60);
    let worker = late.start(smtp(&sink, "smtp", ""));
    eventually("given up", async || matches!(late.item().await.state, OutboxState::Failed { .. })).await;
    worker.stop().await;
    assert!(sink.received().is_empty());
}

/// F-15: a mail whose next attempt would come too late is given up at once rather than kept, with the server's reason.
#[tokio::test]
async fn f_15_no_code_is_kept_for_an_attempt_after_its_end() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    sink.behave(Manner::AtRecipient("451 4.7.1 later"));
    let batch = Batch::new(Partition::Tenant(TENANT));
    let end = world.clock.now() + SignedDuration::from_secs(2);
    world.store.commit(world.outbox.enqueue(batch, TENANT, &to_alice(), end, false)).await.unwrap();
    let worker = world.start(smtp(&sink, "smtp", ""));
    let put_back = world.until_put_back(1).await;
    assert!(matches!(put_back.state, OutboxState::Queued { .. }) && put_back.next_attempt < end);
    world.clock.advance(1);
    // The third attempt would be a second or two from now.
    let given_up = world.until_put_back(2).await;
    worker.stop().await;
    assert!(matches!(given_up.state, OutboxState::Failed { .. }), "{given_up:?}");
    assert_eq!(given_up.last_error.as_deref(), Some("RCPT TO: 451 4.7.1"));
}

#[tokio::test]
async fn a_queue_in_a_file_outlives_the_process_that_filled_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new("2026-11-22T20:00:00Z".parse().unwrap());
    let open = || Arc::new(EmbeddedStore::open(&folder.path().join("store.redb"), Arc::new(clock.clone())).unwrap());
    let world = World::over(open(), clock.clone()).await;
    world.queue(&to_alice()).await;
    drop(world);
    let world = World::over(open(), clock.clone()).await;
    assert_eq!(world.items().await.len(), 1);
    let mails = folder.path().join("mail");
    let worker = world.start(Arc::new(FileTransport::new(&mails).unwrap()));
    world.until_empty().await;
    worker.stop().await;
    assert_eq!(std::fs::read_dir(mails).unwrap().count(), 1);
}

/// A worker that could not keep up with the store's changes looks for what it missed.
#[tokio::test]
async fn a_mail_whose_change_was_lost_is_found() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.queue(&to_alice()).await;
    world.until_empty().await;
    world.queue(&to_alice()).await;
    // Nothing here waits, so the worker sees nothing of it before the feed has overflowed.
    for _ in 0..20_000 {
        world.list(TENANT).await;
    }
    world.until_empty().await;
    worker.stop().await;
    assert_eq!(sink.received().len(), 2);
}

/// A folder that is gone is an operator's to mend; the mail waits.
#[tokio::test]
async fn a_missing_folder_keeps_the_mail_in_the_queue() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    let mails = folder.path().join("mail");
    let worker = world.start(Arc::new(FileTransport::new(&mails).unwrap()));
    std::fs::remove_dir(&mails).unwrap();
    world.queue(&to_alice()).await;
    world.until_put_back(1).await;
    std::fs::create_dir(&mails).unwrap();
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
}
