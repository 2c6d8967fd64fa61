//! With which account an invitation is redeemed: the invited one, an alias, somebody else's, two at once.

use std::collections::BTreeMap;

use http::StatusCode;

use super::{
    browser::Site,
    invitations::{SAM, WELCOME, invite, invited, standing},
    seen::refuses,
    walk::{MARIA, Walk},
};
use crate::{
    domain::{audit::Activity, invitation::InvitationState},
    error::Code,
    flows::{apply::tests::tenant, check::check},
    store::records::{self, UserRef},
};

/// L-07: another address than the one that was invited: the invited mailbox has to be proven, too.
#[tokio::test]
async fn l_07_an_alias_proves_the_invited_mailbox_too() {
    for address in [Some("samuel@fabrikam.example"), Some("sam+x@northwind.example"), None] {
        let (mut walk, guest) = invited(Some(SAM)).await;
        let _ = walk.open(&guest.link).await;
        let page = walk.prove_at_home("samuel", address).await;
        assert!(page.body.contains("id=\"prove-mailbox\"") && page.body.contains("s***@northwind.example"), "{}", page.body);
        assert!(!page.body.contains(SAM), "the invited address is not given away");
        // No other form gets round it.
        for (action, fields) in
            [("permissions", [("answer", "accept")]), ("continue", [("x", "y")]), ("mailbox", [("code", "12345678")])]
        {
            let _ = walk.send("another form", &page, action, &fields).await;
        }
        assert_eq!(standing(&walk, &guest).await, (true, true));
        let page = walk.press("send", "code page", &page, "send-mailbox-code", &[]).await;
        let code = walk.site.code_to(SAM).await.expect("a code");
        let review = walk.press("mailbox", "review", &page, "mailbox", &[("code", &code)]).await;
        assert_eq!(walk.land(&review).await.onward(), WELCOME);
        let bound = walk.site.user(guest.user).await.unwrap();
        assert_eq!(bound.identity().unwrap().subject, "samuel", "bound to the account in use");
    }
}

/// L-04, L-06: what one account has shown is nothing for the next.
#[tokio::test]
async fn l_04_the_mailbox_is_forgotten_with_the_account() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let _ = walk.open(&guest.link).await;
    let page = walk.prove_at_home("samuel", Some("samuel@fabrikam.example")).await;
    let page = walk.press("send", "code page", &page, "send-mailbox-code", &[]).await;
    let code = walk.site.code_to(SAM).await.unwrap();
    let review = walk.press("mailbox", "review", &page, "mailbox", &[("code", &code)]).await;
    assert!(review.body.contains("id=\"accept\""));
    let page = walk.prove_at_home("mallory", Some("mallory@fabrikam.example")).await;
    assert!(page.body.contains("id=\"prove-mailbox\""), "{}", page.body);
}

#[tokio::test]
async fn l_07_the_policy_can_trust_the_link_or_refuse_every_other_address() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.site.policy("alias_redemption = \"deny\"").await;
    let _ = walk.open(&guest.link).await;
    let page = walk.prove_at_home("samuel", Some("samuel@fabrikam.example")).await;
    assert!(refuses(&page, Code::InvitedAsAnother) && page.body.contains("s***@northwind.example"), "{}", page.body);
    assert!(page.body.contains("samuel@fabrikam.example") && page.body.contains("id=\"switch-account\""), "{}", page.body);
    assert_eq!(standing(&walk, &guest).await, (true, true));
    walk.site.policy("alias_redemption = \"link\"").await;
    let review = walk.look().await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
    assert_eq!(standing(&walk, &guest).await, (false, false));
}

/// An alias is an address of its own: a code is mailed to it for who has the ticket, and works again the next time.
#[tokio::test]
async fn an_alias_can_be_proven_by_a_code_and_signs_in_again() {
    let alias = "samuel@elsewhere.example";
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    let page = walk.press("switch", "address page", &page, "switch-account", &[]).await;
    let page = walk.press("address", "next page", &page, "address", &[("email", alias)]).await;
    let page = walk.prove(&page, alias).await;
    let page = walk.press("send", "code page", &page, "send-mailbox-code", &[]).await;
    let code = walk.site.code_to(SAM).await.unwrap();
    let review = walk.press("mailbox", "review", &page, "mailbox", &[("code", &code)]).await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
    // They are found by it from then on, and see with which address they are here.
    let user = walk.site.user(guest.user).await.unwrap();
    let (mail, others): (_, Vec<_>) = (user.mail.unwrap(), user.other_mails.iter().map(|mail| mail.as_str()).collect());
    assert_eq!((mail.as_str(), others.as_slice()), (SAM, [alias].as_slice()));
    let index = records::address(tenant(), &alias.parse().unwrap());
    assert_eq!(walk.site.house.get(&index).await.map(|index: UserRef| index.user), Some(guest.user));
    walk.site.store.take();
    let activities = walk.site.activities().await;
    let told = |activity: &Activity| matches!(activity, Activity::Redeemed { alias: Some(told), .. } if told.as_str() == alias);
    assert!(activities.iter().any(told), "{activities:?}");
    let panel = walk.get("panel", &format!("/{}", tenant())).await;
    assert!(panel.body.contains(&format!("<bdi>{alias}</bdi>")), "{}", panel.body);
    let problems = check(&**walk.site.house.foundation.store.backend(), None, true).await.unwrap().problems;
    assert!(problems.is_empty(), "{problems:#?}");

    walk.site.change_browser(&mut BTreeMap::new());
    walk.site.wait(3600);
    let page = walk.open(&format!("/{}/signin/x/{}", tenant(), walk.site.app)).await;
    let page = walk.press("address", "next page", &page, "address", &[("email", alias)]).await;
    let page = walk.prove(&page, alias).await;
    assert!(!page.body.contains("id=\"accept\"") && !refuses(&page, Code::NotInvited), "{}", page.body);
}

/// Decision 2: where there is no mailbox that could be proven, the ticket is enough; an identity is proven all the same.
#[tokio::test]
async fn a_guest_without_any_address_needs_the_link_only() {
    let (mut walk, guest) = invited(None).await;
    let page = walk.open(&guest.link).await;
    assert!(page.body.contains("id=\"email\""), "{}", page.body);
    let page = walk.press("address", "next page", &page, "address", &[("email", "any@where.example")]).await;
    let review = walk.prove(&page, "any@where.example").await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
    assert_eq!(standing(&walk, &guest).await, (false, false));
}

/// Somebody else's session does not speak for the guest: it is told, and can be left without losing the link.
#[tokio::test]
async fn somebody_elses_session_is_told_and_switched_in_place() {
    let mut walk = Walk::new(Site::warm().await);
    let review = walk.review().await;
    walk.agree(&review).await;
    let guest = walk.site.invite(invite(Some(SAM))).await;
    walk.site.wait(60);
    let opened = walk.get("link", &guest.link).await;
    let page = walk.get("page", &opened.onward()).await;
    assert!(refuses(&page, Code::AlreadyGuest) && page.body.contains(MARIA), "{}", page.body);
    assert!(page.body.contains("s***@northwind.example") && page.body.contains("id=\"apps\""), "{}", page.body);
    assert!(!page.body.contains("id=\"start-again\""), "it would lead here again: {}", page.body);
    let page = walk.press("switch", "next page", &page, "switch-account", &[]).await;
    assert!(page.body.contains(SAM) && page.body.contains("id=\"send-code\""), "{}", page.body);
    let review = walk.prove(&page, SAM).await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
}

/// An account that is another guest's cannot redeem, and one that comes too late is told so.
#[tokio::test]
async fn f_06_of_two_accounts_one_redeems_and_the_other_is_told() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.site.policy("alias_redemption = \"link\"").await;
    // Both are in front of the last button.
    let _ = walk.open(&guest.link).await;
    let late = walk.prove_at_home("late", Some("late@fabrikam.example")).await;
    let late_terms = walk.press("permissions", "terms page", &late, "permissions", &[("answer", "accept")]).await;
    let _ = walk.press("open terms", "document", &late_terms, "open-terms", &[]).await;
    let mut first = BTreeMap::new();
    walk.site.change_browser(&mut first);
    let _ = walk.open(&guest.link).await;
    let review = walk.prove_at_home("first", Some("first@fabrikam.example")).await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);

    walk.site.change_browser(&mut first);
    let document = late_terms.hidden("document");
    let pressed = walk.send("terms", &late_terms, "terms", &[("answer", "accept"), ("document", &document)]).await;
    let told = walk.get("page", &pressed.onward()).await;
    assert!(refuses(&told, Code::InvitationUsed), "{}", told.body);
    assert_eq!(walk.site.user(guest.user).await.unwrap().identity().unwrap().subject, "first");
    // The first one's account is a guest's now, and no other's.
    let other = walk.site.invite(invite(Some("other@northwind.example"))).await;
    walk.site.change_browser(&mut BTreeMap::new());
    let _ = walk.open(&other.link).await;
    let told = walk.prove_at_home("first", Some("first@fabrikam.example")).await;
    assert!(refuses(&told, Code::AlreadyGuest), "{}", told.body);
    assert_eq!(standing(&walk, &other).await, (true, true));
}

/// F-05, F-06: two accounts, each with fifty clicks on the last button, all at one moment: one redemption.
#[tokio::test]
async fn f_05_f_06_a_hundred_clicks_of_two_accounts_redeem_once() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.site.policy("alias_redemption = \"link\"").await;
    let mut lasts = Vec::new();
    for subject in ["one", "other"] {
        walk.site.change_browser(&mut BTreeMap::new());
        let _ = walk.open(&guest.link).await;
        let review = walk.prove_at_home(subject, Some(&format!("{subject}@fabrikam.example"))).await;
        let terms = walk.press("permissions", "terms page", &review, "permissions", &[("answer", "accept")]).await;
        let _ = walk.press("open terms", "document", &terms, "open-terms", &[]).await;
        let path = format!("/{}/journey/{}/terms", tenant(), walk.site.journey().id);
        lasts.push((walk.site.cookies(), path, terms.hidden("document"), terms.hidden("csrf")));
    }
    let form = |number: usize| {
        let (cookies, path, document, csrf) = &lasts[number % 2];
        let fields = vec![("answer", "accept"), ("document", document.as_str()), ("csrf", csrf.as_str())];
        (cookies.clone(), path.clone(), fields)
    };
    let forms: Vec<_> = (0..100).map(form).collect();
    let answers = walk.site.post_at_once(&forms).await;
    assert!(answers.iter().all(|answer| answer.status.is_redirection() || answer.status == StatusCode::CONFLICT));
    let activities = walk.site.activities().await;
    let redeemed = activities.iter().filter(|activity| matches!(activity, Activity::Redeemed { .. })).count();
    let answered = activities.iter().filter(|activity| matches!(activity, Activity::TermsAnswered { .. })).count();
    assert_eq!((redeemed, answered), (1, 1));
    let bound = walk.site.user(guest.user).await.unwrap().identity().unwrap().clone();
    let InvitationState::Redeemed { identity, .. } = walk.site.invitation(guest.user).await.state else { panic!("not redeemed") };
    assert_eq!(identity, bound);
    // Each presses once more, and goes where that leads.
    let mut told = Vec::new();
    for (mut cookies, path, document, csrf) in lasts {
        walk.site.change_browser(&mut cookies);
        let fields = [("answer", "accept"), ("document", document.as_str()), ("csrf", csrf.as_str())];
        let pressed = walk.site.post(&path, &fields).await;
        let page = walk.get("page", &pressed.onward()).await;
        told.push(refuses(&page, Code::InvitationUsed));
    }
    told.sort_unstable();
    assert_eq!(told, [false, true], "one of the two is told");
}
