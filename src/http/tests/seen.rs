//! What was seen of a person is good for asking the next question, and for nothing else.

use super::{
    browser::{Answer, Site, declared},
    walk::{MARIA, Walk},
};
use crate::{
    domain::{UserId, user::User},
    error::Code,
    flows::apply::tests::tenant,
    live::LiveEvent,
    store::records,
};

impl Walk {
    /// The page that the journey owes.
    pub(super) async fn look(&mut self) -> Answer {
        let path = format!("/{}/journey/{}", tenant(), self.site.journey().id);
        self.get("page", &path).await
    }

    async fn maria(&self) -> User {
        let users = self.site.house.foundation.store.list(&records::users(tenant())).await.unwrap();
        self.site.store.take();
        users.into_iter().map(|user| user.value).find(|user| user.display_name == "Maria Rossi").unwrap()
    }

    /// An administrator blocks her, or not any more. Nobody tells the server.
    async fn block(&mut self, blocked: bool) -> UserId {
        let enabled = format!("mail = \"{MARIA}\"\naccount_enabled = {}", !blocked);
        let changed = declared("").replace(&format!("mail = \"{MARIA}\""), &enabled);
        self.site.house.apply(&changed).await;
        self.maria().await.id
    }

    /// How the guest stands in the store, and how many entries the audit log has.
    async fn stored(&self) -> (bool, usize) {
        let audit = self.site.house.foundation.store.list(&records::audit_events(tenant())).await.unwrap();
        (self.maria().await.is_pending(), audit.len())
    }
}

pub(super) fn refuses(answer: &Answer, code: Code) -> bool {
    answer.body.contains(&code.to_string())
}

#[tokio::test]
async fn a_block_that_was_told_is_seen_by_the_next_page() {
    let mut walk = Walk::new(Site::warm().await);
    let _ = walk.review().await;
    let user = walk.block(true).await;
    assert!(!refuses(&walk.look().await, Code::AccountBlocked), "nobody has told yet");
    let blocked =
        LiveEvent::UserCutoff { user, sessions_valid_from: walk.site.house.foundation.now(), blocked: true, forget: None };
    walk.site.vestibule.live.apply(tenant(), &blocked);
    assert!(refuses(&walk.look().await, Code::AccountBlocked));
}

#[tokio::test]
async fn while_the_feed_is_silent_every_page_asks_the_store() {
    let mut walk = Walk::new(Site::warm().await);
    let _ = walk.review().await;
    walk.block(true).await;
    walk.site.house.clock.advance(6);
    assert!(refuses(&walk.look().await, Code::AccountBlocked));
}

/// The commit decides on what is true, whatever the pages believed; and a refusal is not believed either.
#[tokio::test]
async fn what_is_committed_was_read_and_a_refusal_is_read_again() {
    let mut walk = Walk::new(Site::warm().await);
    let review = walk.review().await;
    walk.block(true).await;
    let before = walk.stored().await;
    let answer = walk.accept_all(&review).await;
    assert_eq!(walk.stored().await, before, "nothing was written");
    assert!(refuses(&walk.get("page", &answer.onward()).await, Code::AccountBlocked));
    walk.block(false).await;
    let page = walk.look().await;
    assert!(!refuses(&page, Code::AccountBlocked), "{}", page.body);
}

/// The landing stands on the commit before it for as long as the redirect takes.
#[tokio::test]
async fn who_lands_later_is_looked_at_again() {
    for (seconds, calls) in [(0, 0), (5, 0), (6, 1)] {
        let mut walk = Walk::new(Site::warm().await);
        let review = walk.review().await;
        let accepted = walk.accept_all(&review).await;
        walk.site.wait(seconds);
        walk.steps.clear();
        walk.get("landing", &accepted.onward()).await.parameter("code");
        assert_eq!(walk.steps[0].1.len(), calls, "after {seconds} s: {:?}", walk.steps);
    }
    let mut walk = Walk::new(Site::warm().await);
    let review = walk.review().await;
    let accepted = walk.accept_all(&review).await;
    walk.block(true).await;
    walk.site.wait(6);
    assert!(refuses(&walk.get("landing", &accepted.onward()).await, Code::AccountBlocked));
}

/// T-10: a journey says nothing about the address in it, not by its length either.
#[tokio::test]
async fn t_10_the_journey_of_a_stranger_is_as_long() {
    let mut lengths = Vec::new();
    for email in [MARIA, "nobod@fabrikam.example"] {
        let mut walk = Walk::new(Site::warm().await);
        let page = walk.arrive(email).await;
        let _ = walk.press("send code", "code page", &page, "send-code", &[]).await;
        let calls: Vec<_> = walk.steps.iter().map(|(_, calls)| calls.clone()).collect();
        lengths.push((walk.site.journey_cookie().1.len(), calls));
    }
    assert_eq!(lengths[0], lengths[1]);
}

/// A request with a long `state` leaves no room: the pages work all the same, and ask the store.
#[tokio::test]
async fn what_was_seen_stays_behind_where_there_is_no_room() {
    let mut walk = Walk::new(Site::warm().await);
    let _ = walk.review_from_home().await;
    assert!(walk.site.journey().seen.is_some());
    walk.site.change_journey(|journey| journey.code_sent = None);
    let length = walk.site.journey_cookie().1.len();
    let name = "n".repeat(3_800 * 3 / 4 - length * 3 / 4 + 8);
    walk.site.change_journey(|journey| journey.proof.as_mut().unwrap().identity.name = Some(name));
    walk.steps.clear();
    walk.look().await;
    assert!(walk.site.journey().seen.is_none());
    walk.look().await;
    assert_eq!(walk.steps.iter().map(|(_, calls)| calls.len()).collect::<Vec<_>>(), [0, 2]);
}
