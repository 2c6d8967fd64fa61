//! Leaving, and invitations by mail.

use http::StatusCode;

use super::{
    browser::Site,
    invitations::{Guest, SAM, invite, invited},
    seen::refuses,
    walk::{MARIA, Walk},
};
use crate::{
    domain::{audit::Activity, invitation::InvitationState},
    error::Code,
    flows::{
        apply::tests::tenant,
        blocked_invitations,
        guests::{Change, Invite, Message},
    },
    store::{
        Batch, Partition,
        records::{self, InvitationsBlocked},
    },
};

impl Walk {
    async fn errand(&mut self, errand: &str) -> super::browser::Answer {
        let path = format!("/{}/{errand}", tenant());
        self.open(&path).await
    }
}

/// A guest with a session is asked, and is out everywhere once they say so.
#[tokio::test]
async fn a_guest_leaves_and_every_session_ends() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    let review = walk.prove(&page, SAM).await;
    walk.land(&review).await;
    let panel = format!("/{}", tenant());
    let panel = walk.get("panel", &panel).await;
    assert!(panel.body.contains(&format!("id=\"leave\" href=\"/{}/leave\"", tenant())), "{}", panel.body);
    let page = walk.errand("leave").await;
    assert!(page.body.contains("id=\"confirm-leave\"") && page.body.contains(SAM), "{}", page.body);
    assert!(walk.site.user(guest.user).await.is_some(), "asking is not leaving");
    let left = walk.send("confirm", &page, "confirm", &[]).await;
    assert!(left.status == StatusCode::OK && left.body.contains("id=\"left\""), "{}", left.body);
    assert!(refuses(&walk.site.get(&guest.link).await, Code::InvitationUnknown), "the link leads nowhere any more");
    assert!(walk.site.user(guest.user).await.is_none());
    let store = &walk.site.house.foundation.store;
    let deleted = store.get(&records::deleted_user(tenant(), guest.user)).await.unwrap().expect("30 days");
    assert_eq!(deleted.value.user.mail.unwrap().as_str(), SAM);
    let cutoff = store.get(&records::user_cutoff(tenant(), guest.user)).await.unwrap().unwrap();
    assert!(cutoff.value.blocked, "every door hears of it");
    assert_eq!(walk.site.activities().await.last(), Some(&Activity::UserLeft { user: guest.user }));
    // Nothing leads in any more, neither the browser's session, which is gone, nor the link.
    let page = walk.get("panel", &format!("/{}", tenant())).await;
    assert!(!page.body.contains("id=\"sign-out\""), "{}", page.body);
}

/// Leaving needs proof of who they are and nothing that access needs: also somebody who is blocked can.
#[tokio::test]
async fn a_blocked_guest_can_leave() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.site.administer(async |act| act.block(guest.user, None).await).await;
    let page = walk.open(&guest.link).await;
    let refused = walk.prove(&page, SAM).await;
    assert!(refuses(&refused, Code::AccountBlocked), "{}", refused.body);
    assert!(refused.body.contains(&format!("id=\"leave\" href=\"/{}/leave\"", tenant())), "it says where: {}", refused.body);
    walk.site.change_browser(&mut std::collections::BTreeMap::new());
    let page = walk.errand("leave").await;
    assert!(page.body.contains("id=\"email\""), "{}", page.body);
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    let early = walk.send("confirm", &page, "confirm", &[]).await;
    assert!(early.status == StatusCode::SEE_OTHER && walk.site.user(guest.user).await.is_some(), "not before it is asked");
    let page = walk.prove(&page, SAM).await;
    assert!(page.body.contains("id=\"confirm-leave\""), "{}", page.body);
    let left = walk.send("confirm", &page, "confirm", &[]).await;
    assert!(left.body.contains("id=\"left\""), "{}", left.body);
    assert!(walk.site.user(guest.user).await.is_none());
}

#[tokio::test]
async fn a_member_does_not_leave() {
    let mut walk = Walk::new(Site::warm().await);
    let page = walk.errand("leave").await;
    let page = walk.press("address", "next page", &page, "address", &[("email", "adele@contoso.example")]).await;
    let page = walk.press("password", "next", &page, "password", &[("password", "correct horse battery staple")]).await;
    assert!(refuses(&page, Code::MembersStay), "{}", page.body);
    let answer = walk.send("confirm", &page, "confirm", &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

/// A journey for an errand lets nobody in.
#[tokio::test]
async fn an_errand_never_lands() {
    let (mut walk, _) = invited(Some(SAM)).await;
    let page = walk.errand("leave").await;
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    let page = walk.prove(&page, SAM).await;
    for action in ["permissions", "continue", "terms"] {
        let _ = walk.send("another form", &page, action, &[("answer", "accept")]).await;
    }
    let panel = walk.get("panel", &format!("/{}", tenant())).await;
    assert!(!panel.body.contains("id=\"sign-out\""), "{}", panel.body);
}

#[tokio::test]
async fn invitations_are_blocked_and_allowed_again_by_who_reads_the_mailbox() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let blocked = async |walk: &Walk| {
        blocked_invitations::are_blocked(&walk.site.house.foundation, tenant(), &SAM.parse().unwrap()).await.unwrap()
    };
    let page = walk.errand("block-invitations").await;
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    assert!(page.body.contains("id=\"prove-mailbox\"") && page.body.contains(SAM), "{}", page.body);
    let _ = walk.send("confirm", &page, "confirm", &[("answer", "block")]).await;
    assert!(!blocked(&walk).await, "not without the code");
    let page = walk.press("send", "code page", &page, "send-mailbox-code", &[]).await;
    let code = walk.site.code_to(SAM).await.unwrap();
    let page = walk.press("mailbox", "choice", &page, "mailbox", &[("code", &code)]).await;
    assert!(page.body.contains("id=\"invitations-allowed\"") && !blocked(&walk).await, "{}", page.body);
    let page = walk.press("confirm", "choice", &page, "confirm", &[("answer", "block")]).await;
    assert!(page.body.contains("id=\"invitations-blocked\"") && blocked(&walk).await, "{}", page.body);
    let page = walk.press("confirm", "choice", &page, "confirm", &[("answer", "allow")]).await;
    assert!(page.body.contains("id=\"invitations-allowed\"") && !blocked(&walk).await, "{}", page.body);
    let user = guest.user;
    let said = walk.site.activities().await;
    assert_eq!(said[said.len() - 2..], [Activity::InvitationsBlocked { user }, Activity::InvitationsUnblocked { user }]);
}

/// Decision 3: whether an address is known is told to nobody; a member's is not different either.
#[tokio::test]
async fn t_10_an_unknown_address_gets_the_same_pages() {
    let mut seen = Vec::new();
    for email in [MARIA, "nobod@fabrikam.example"] {
        let mut walk = Walk::new(Site::warm().await);
        let page = walk.errand("block-invitations").await;
        let page = walk.press("address", "next page", &page, "address", &[("email", email)]).await;
        let page = walk.press("send", "code page", &page, "send-mailbox-code", &[]).await;
        let calls: Vec<_> = walk.steps.iter().map(|(_, calls)| calls.clone()).collect();
        assert_eq!(walk.site.code_to(email).await.is_some(), email == MARIA);
        let body = page.body.replace(email, "address").replace(&page.hidden("csrf"), "token");
        let body = body.replace(&walk.site.journey().id.to_string(), "journey");
        seen.push((walk.site.journey_cookie().1.len() + MARIA.len() - email.len(), body, calls));
    }
    assert_eq!(seen[0], seen[1]);
}

impl Walk {
    async fn ask_again(&mut self, address: &str) -> super::browser::Answer {
        let page = self.errand("invitation").await;
        let page = self.press("address", "next page", &page, "address", &[("email", address)]).await;
        assert!(page.body.contains("id=\"send\""), "{}", page.body);
        let page = self.press("confirm", "asked", &page, "confirm", &[]).await;
        assert!(page.body.contains("id=\"asked\""), "{}", page.body);
        // It is sent after the answer.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        page
    }
}

/// Somebody whose invitation was mailed.
async fn mailed() -> (Walk, Guest) {
    let site = Site::warm().await;
    let guest = site.invite(Invite { send: Some(Message::default()), ..invite(Some(SAM)) }).await;
    (Walk::new(site), guest)
}

/// Who asks for another link proves nothing: a link that nobody would be sent another one for goes on working.
#[tokio::test]
async fn asking_for_another_link_ends_none_that_is_not_mailed_anew() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.ask_again(SAM).await;
    assert!(!refuses(&walk.site.get(&guest.link).await, Code::InvitationReplaced), "the organisation brings its links itself");
    let (mut walk, guest) = mailed().await;
    let blocked = InvitationsBlocked { since: walk.site.house.foundation.now() };
    let key = records::invitations_blocked(tenant(), &SAM.parse().unwrap());
    let batch = Batch::new(Partition::Tenant(tenant())).put(&key, &blocked);
    walk.site.house.foundation.store.commit(batch).await.unwrap();
    walk.ask_again(SAM).await;
    assert!(!refuses(&walk.site.get(&guest.link).await, Code::InvitationReplaced), "nothing could be mailed");
}

/// Whoever has lost the link asks for another one, which is mailed to whom was invited, and to nobody else.
#[tokio::test]
async fn an_invitation_is_sent_once_more_to_who_was_invited() {
    let (mut walk, guest) = mailed().await;
    walk.site.wait(31 * 86_400);
    let ended = walk.site.get(&guest.link).await;
    assert!(
        refuses(&ended, Code::InvitationExpired) && ended.body.contains(&format!("/{}/invitation", tenant())),
        "{}",
        ended.body
    );
    let known = walk.ask_again(SAM).await;
    assert_eq!(walk.site.mails().await, (1, 0));
    assert!(refuses(&walk.site.get(&guest.link).await, Code::InvitationReplaced), "a new one took its place");
    assert_eq!(walk.site.invitation(guest.user).await.state, InvitationState::Open);
    // Asked again at once, and for others: the same page, and no mail.
    walk.site.change_browser(&mut Default::default());
    walk.ask_again(SAM).await;
    walk.site.change_browser(&mut Default::default());
    let unknown = walk.ask_again("who@northwind.example").await;
    assert_eq!(walk.site.mails().await, (1, 1), "and one to nobody, so that the time tells nothing either");
    let plain = |body: &str, address: &str| body.replace(address, "address");
    let id = |body: &str| body.matches("id=").count();
    assert_eq!(id(&known.body), id(&unknown.body));
    assert_eq!(plain(&known.body, SAM).len(), plain(&unknown.body, "who@northwind.example").len());
    // One that was taken back stays so.
    walk.site.administer(async |act| act.revoke(guest.user, None).await).await;
    walk.site.wait(7200);
    walk.site.change_browser(&mut Default::default());
    walk.ask_again(SAM).await;
    assert!(matches!(walk.site.invitation(guest.user).await.state, InvitationState::Revoked { .. }));
}

/// Who asks on a German page reads German, unless it is known that they like to read something else.
#[tokio::test]
async fn mails_are_in_the_language_of_the_page_that_they_are_asked_on() {
    let (mut walk, guest) = mailed().await;
    walk.site.accept_language = "de-AT, en;q=0.5";
    walk.site.wait(31 * 86_400);
    walk.ask_again(SAM).await;
    assert_eq!(walk.site.mailed_in(SAM).await, ["de"], "the invitation of before is taken back with its mail");
    walk.site.change_browser(&mut Default::default());
    let page = walk.errand("block-invitations").await;
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    walk.press("send", "code page", &page, "send-mailbox-code", &[]).await;
    assert_eq!(walk.site.mailed_in(SAM).await, ["de", "de"]);
    let speaks = Change { preferred_language: Some("en".parse().ok()), ..Change::default() };
    walk.site.administer(async |act| act.change(guest.user, None, &speaks).await).await;
    walk.site.change_browser(&mut Default::default());
    walk.site.wait(3_600);
    let page = walk.arrive(SAM).await;
    walk.press("send code", "code page", &page, "send-code", &[]).await;
    assert_eq!(walk.site.mailed_in(SAM).await, ["de", "de", "de"], "a code is asked for on the page");
    walk.site.change_browser(&mut Default::default());
    walk.site.wait(3_600);
    walk.ask_again(SAM).await;
    assert_eq!(walk.site.mailed_in(SAM).await.last().unwrap(), "en", "what they like to read comes first");
}

/// The mail says of where it leads what the page says.
#[tokio::test]
async fn an_invitation_to_the_apps_panel_says_so_in_the_mail() {
    for (redirect, said, other) in
        [(None, "you see the apps", "you are taken"), (invite(None).redirect, "you are taken", "the apps")]
    {
        let mut site = Site::warm().await;
        let guest = site.invite(Invite { redirect, send: Some(Message::default()), ..invite(Some(SAM)) }).await;
        let page = site.get(&guest.link).await;
        let page = site.get(&page.onward()).await;
        let mail = site.mails_to(SAM).await.remove(0);
        for text in [mail.text.as_str(), &page.body] {
            assert!(text.contains(said) && !text.contains(other), "{text}");
        }
    }
}
