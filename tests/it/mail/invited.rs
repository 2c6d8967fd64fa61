//! What becomes of the mail of an invitation, and who can see it.

use vestibule::{domain::user::Identity, store::records::DeliveryState};

use super::{sink::Manner, *};

/// Whether the mail of `invitation` was sent or given up.
async fn ended(world: &World, invitation: &Invitation) -> bool {
    matches!(world.delivery(invitation).await.value.state, DeliveryState::Sent { .. } | DeliveryState::Failed { .. })
}

#[tokio::test]
async fn a_sent_invitation_says_so() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let invitation = world.invitation();
    world.invite(&invitation).await;
    let queued = world.delivery(&invitation).await.value;
    assert!(matches!(queued.state, DeliveryState::Queued { .. }) && queued.attempts == 0 && queued.last_error.is_none());
    let worker = world.start(smtp(&sink, "smtp", "?tls=required"));
    world.until_empty().await;
    worker.stop().await;
    let sent = world.delivery(&invitation).await.value;
    assert_eq!((sent.state, sent.attempts, sent.last_error), (DeliveryState::Sent { at: world.clock.now() }, 1, None));
    let received = sink.received();
    assert!(received.len() == 1 && received[0].encrypted);
    let mail = parse(&received[0].message);
    assert!(mail.body_text(0).unwrap().contains(LINK) && mail.body_html(0).unwrap().contains(TICKET));
    assert_eq!(mail.reply_to().unwrap().first().unwrap().address(), Some("adele@contoso.example"));
    assert_eq!(mail.from().unwrap().first().unwrap().name(), Some("Contoso via Guest sign-in"));
}

/// F-15: greylisting and servers that are down: the administrator sees how often it was tried and why it did not go, and the
/// mail that goes in the end is the one that was queued.
#[tokio::test]
async fn f_15_an_invitation_waits_for_the_mail_server() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let invitation = world.invitation();
    sink.behave(Manner::AtRecipient("451 4.7.1 come back later"));
    world.invite(&invitation).await;
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.until_put_back(1).await;
    let delivery = world.delivery(&invitation).await.value;
    assert!(matches!(delivery.state, DeliveryState::Queued { .. }), "{delivery:?}");
    assert_eq!((delivery.attempts, delivery.last_error.as_deref()), (1, Some("RCPT TO: 451 4.7.1")));
    worker.stop().await;
    // Nobody listens there for a while.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Secret::new(format!("smtp://{port}"));
    let down = SmtpTransport::new(&url, None, None, SmtpLimits::default()).unwrap();
    let worker = world.start(Arc::new(down));
    world.clock.advance(10);
    world.until_put_back(2).await;
    let delivery = world.delivery(&invitation).await.value;
    assert!(delivery.attempts == 2 && delivery.last_error.unwrap().starts_with("connecting: "));
    worker.stop().await;
    sink.behave(Manner::Accept);
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.clock.advance(24 * 3_600);
    world.until_empty().await;
    worker.stop().await;
    let delivery = world.delivery(&invitation).await.value;
    assert_eq!((delivery.attempts, delivery.last_error), (3, None));
    assert!(sink.received().len() == 1 && parse(&sink.received()[0].message).body_text(0).unwrap().contains(LINK));
}

/// F-15: a refusal for good, before or after the text, can be seen: the codes, and nothing of what the server quotes.
#[tokio::test]
async fn f_15_a_refused_invitation_says_why() {
    for (manner, reason) in [
        (Manner::AtRecipient("550 5.1.1 no such user"), "RCPT TO: 550 5.1.1"),
        (Manner::AfterData("554 5.7.1 spam:"), "end of data: 554 5.7.1"),
    ] {
        let (world, sink) = (World::new().await, Sink::start(false).await);
        let invitation = world.invitation();
        sink.behave(manner);
        world.invite(&invitation).await;
        let worker = world.start(smtp(&sink, "smtp", ""));
        eventually("given up", async || ended(&world, &invitation).await).await;
        worker.stop().await;
        let delivery = world.delivery(&invitation).await.value;
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Failed { at: world.clock.now() }, 1));
        assert_eq!(delivery.last_error.as_deref(), Some(reason));
        // The trace in the queue goes after a week; what the administrator sees stays with the invitation.
        world.clock.advance(10 * 24 * 3_600);
        assert!(world.items().await.is_empty() && ended(&world, &invitation).await);
    }
}

/// F-15: a server that takes the text and says nothing is tried again.
#[tokio::test]
async fn f_15_a_hanging_server_is_left_and_tried_again() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let invitation = world.invitation();
    sink.behave(Manner::Hang("fabrikam.example"));
    world.invite(&invitation).await;
    let worker = world.start(smtp(&sink, "smtp", "?tls=required"));
    world.until_put_back(1).await;
    assert_eq!(world.delivery(&invitation).await.value.last_error.as_deref(), Some("end of data: no reply in time"));
    sink.behave(Manner::Accept);
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
    assert!(ended(&world, &invitation).await && sink.received().len() == 1);
}

/// F-16: the server takes the mail and the confirmation is lost: it comes twice, with the same link, under the same Message-ID.
#[tokio::test]
async fn f_16_an_invitation_that_comes_twice_is_the_same_twice() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let invitation = world.invitation();
    sink.behave(Manner::LoseReply);
    world.invite(&invitation).await;
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.until_put_back(1).await;
    sink.behave(Manner::Accept);
    world.clock.advance(10);
    world.until_empty().await;
    worker.stop().await;
    let received = sink.received();
    assert!(received.len() == 2 && received[0].message == received[1].message);
    assert!(parse(&received[1].message).body_text(0).unwrap().contains(LINK));
    assert_eq!(world.delivery(&invitation).await.value.attempts, 2);
}

/// F-15: after three days it is given up; at the invitation's end, if that is earlier, it falls.
#[tokio::test]
async fn f_15_no_invitation_is_sent_after_its_end() {
    for (days, hours, given_up) in [(30, 3 * 24, true), (1, 24, false)] {
        let (world, sink) = (World::new().await, Sink::start(false).await);
        let mut invitation = world.invitation();
        invitation.expires = Some(world.in_minutes(days * 24 * 60));
        world.invite(&invitation).await;
        assert_eq!(world.item().await.not_after, world.in_minutes(hours * 60));
        world.clock.advance(hours * 3_600);
        let worker = world.start(smtp(&sink, "smtp", ""));
        let waits = async || matches!(world.delivery(&invitation).await.value.state, DeliveryState::Queued { .. });
        eventually("it has ended", async || !waits().await).await;
        worker.stop().await;
        let (delivery, at) = (world.delivery(&invitation).await.value, world.clock.now());
        if given_up {
            assert_eq!(delivery.state, DeliveryState::Failed { at });
            assert!(delivery.last_error.unwrap().contains("time ended"));
        } else {
            assert_eq!((delivery.state, world.items().await.len()), (DeliveryState::Withdrawn { at }, 0));
        }
        assert!(sink.received().is_empty());
    }
}

/// An invitation that was taken back, replaced or redeemed, or is gone with its guest, is not mailed even when nobody withdrew
/// its mail.
#[tokio::test]
async fn the_mail_of_an_ended_invitation_falls() {
    let world = World::new().await;
    let at = world.clock.now();
    let redeemed =
        InvitationState::Redeemed { at, identity: Identity { issuer: "https://home.example".into(), subject: "sam".into() } };
    for state in [Some(InvitationState::Revoked { at }), Some(InvitationState::Replaced { at }), Some(redeemed), None] {
        let (world, sink) = (World::new().await, Sink::start(false).await);
        let mut invitation = world.invitation();
        world.invite(&invitation).await;
        let key = records::invitation(TENANT, invitation.id);
        let batch = Batch::new(Partition::Tenant(TENANT));
        let batch = if let Some(state) = &state {
            invitation.state = state.clone();
            batch.put(&key, &invitation)
        } else {
            batch.delete(&key)
        };
        world.store.commit(batch).await.unwrap();
        let worker = world.start(smtp(&sink, "smtp", ""));
        world.until_empty().await;
        worker.stop().await;
        assert!(sink.commands().is_empty());
        let delivery = world.store.get(&records::delivery(TENANT, invitation.id)).await.unwrap();
        let withdrawn = state.map(|_| DeliveryState::Withdrawn { at });
        assert_eq!(delivery.map(|delivery| delivery.value.state), withdrawn);
    }
}

/// Takes back what waits, as the end of an invitation does.
async fn withdraw(world: &World, read: &Stored<Delivery>) -> Result<(), vestibule::store::StoreError> {
    world.store.commit(world.outbox.withdraw(Batch::new(Partition::Tenant(TENANT)), TENANT, read, None)).await
}

#[tokio::test]
async fn a_withdrawn_invitation_does_not_leave() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let invitation = world.invitation();
    sink.behave(Manner::AtRecipient("451 4.7.1 come back later"));
    world.invite(&invitation).await;
    let worker = world.start(smtp(&sink, "smtp", ""));
    let outdated = world.delivery(&invitation).await;
    world.until_put_back(1).await;
    let conflict = withdraw(&world, &outdated).await;
    assert!(matches!(conflict, Err(vestibule::store::StoreError::Conflict)), "it was tried since: {conflict:?}");
    withdraw(&world, &world.delivery(&invitation).await).await.unwrap();
    let withdrawn = world.delivery(&invitation).await;
    assert_eq!(withdrawn.value.state, DeliveryState::Withdrawn { at: world.clock.now() });
    assert!(world.items().await.is_empty());
    sink.behave(Manner::Accept);
    world.clock.advance(3_600);
    // Another mail shows that the worker has come by.
    world.queue(&to_alice()).await;
    world.until_empty().await;
    worker.stop().await;
    assert_eq!((sink.received().len(), sink.count("RCPT")), (1, 2));
    assert_eq!(world.delivery(&invitation).await.value, withdrawn.value, "nobody writes over it");
    // What has ended is not taken back.
    withdraw(&world, &withdrawn).await.unwrap();
    assert_eq!(world.delivery(&invitation).await.value, withdrawn.value);
}

/// A mail that is under way when it is withdrawn may arrive, but it is not sent again and its end overwrites nothing.
#[tokio::test]
async fn a_mail_under_way_is_not_sent_again_after_it_was_withdrawn() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let invitation = world.invitation();
    sink.behave(Manner::Hang("fabrikam.example"));
    world.invite(&invitation).await;
    let worker = world.start(smtp(&sink, "smtp", ""));
    eventually("it is under way", async || sink.count("DATA") == 1).await;
    withdraw(&world, &world.delivery(&invitation).await).await.unwrap();
    sink.behave(Manner::Accept);
    eventually("the attempt has been given up", async || sink.left() == 1).await;
    world.clock.advance(3_600);
    world.queue(&to_alice()).await;
    world.until_empty().await;
    // It waits for what is under way: then nothing of the attempt is yet to be written.
    worker.stop().await;
    assert!(world.items().await.is_empty(), "it waits once more");
    assert!(matches!(world.delivery(&invitation).await.value.state, DeliveryState::Withdrawn { .. }));
    assert_eq!((sink.received().len(), sink.count("DATA")), (1, 2));
}
