//! Accounts that live here: set up in redemption, opened later, lost and set up anew.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    browser::{Answer, Site, declared},
    invitations::{SAM, WELCOME, invited},
    seen::refuses,
    walk::{MARIA, Walk},
};
use crate::{
    domain::{UserId, audit::Activity, tenant::IdentitySource, user::ExternalUserState},
    error::Code,
    flows::{accounts::Credentials, apply::tests::tenant, guests::Change},
    identity::passkey::authenticator::Authenticator,
    store::{self, records},
};

const ORIGIN: &str = "https://vestibule.example";
const GOOD: &str = "seven bicycles in the rain";
const BETTER: &str = "an orchard full of clocks";

/// The tenant lets guests have accounts here, first of all.
async fn let_accounts(site: &Site, more: &str) {
    let order = "redemption_order = [\"local_account\", \"one_time_passcode\"]";
    let declared =
        declared("").replace("redemption_order = [\"one_time_passcode\", \"home_organisation\"]", &format!("{order}{more}"));
    assert!(declared.contains(order));
    site.house.apply(&declared).await;
    site.vestibule.directory.forget(&store::Change::Lost);
    site.know_the_tenant().await;
}

async fn walk() -> Walk {
    let site = Site::warm().await;
    let_accounts(&site, "").await;
    Walk::new(site)
}

/// What the page asks of a browser's passkeys.
#[track_caller]
fn options(page: &Answer) -> String {
    let options = page.body.split("data-options=\"").nth(1).unwrap_or_else(|| panic!("{}", page.body));
    options.split('"').next().unwrap().replace("&#34;", "\"").replace("&quot;", "\"").replace("&#38;", "&").replace("&amp;", "&")
}

fn has(page: &Answer, id: &str) -> bool {
    page.body.contains(&format!("id=\"{id}\""))
}

fn authenticator() -> Authenticator {
    Authenticator::new(ORIGIN, b"a passkey's id..")
}

impl Walk {
    /// From the sign-in page until it is asked what shall open the account.
    async fn set_up(&mut self, page: &Answer, mailbox: &str) -> Answer {
        let page = self.press("set up", "mailbox page", page, "set-up", &[]).await;
        assert!(has(&page, "prove-mailbox") && !has(&page, "new-password"), "{}", page.body);
        let page = self.press("send", "code page", &page, "send-mailbox-code", &[]).await;
        let code = self.site.code_to(mailbox).await.expect("a code");
        self.press("mailbox", "set-up page", &page, "mailbox", &[("code", &code)]).await
    }

    /// The same, from the start, by the direct link.
    async fn arrive_to_set_up(&mut self) -> Answer {
        let page = self.arrive(MARIA).await;
        self.set_up(&page, MARIA).await
    }

    async fn with_passkey(&mut self, page: &Answer, authenticator: &mut Authenticator) -> Answer {
        let answer = authenticator.create(&options(page));
        self.press("new passkey", "next page", page, "new-passkey", &[("credential", &answer)]).await
    }

    async fn with_password(&mut self, page: &Answer, password: &str) -> Answer {
        let sent = self.send("new password", page, "new-password", &[("password", password)]).await;
        if sent.status.is_redirection() { self.get("next page", &sent.onward()).await } else { sent }
    }

    /// Signs in by the direct link, in a browser that knows nothing.
    async fn sign_in_with(&mut self, action: &str, answer: impl FnOnce(&Answer) -> Vec<(&'static str, String)>) -> Answer {
        self.site.change_browser(&mut BTreeMap::new());
        let page = self.arrive(MARIA).await;
        let fields = answer(&page);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let sent = self.send("sign in", &page, action, &fields).await;
        if sent.status.is_redirection() { self.get("landing", &sent.onward()).await } else { sent }
    }

    async fn sign_in_with_password(&mut self, password: &str) -> Answer {
        self.sign_in_with("password", |_| vec![("email", MARIA.into()), ("password", password.into())]).await
    }

    async fn sign_in_with_passkey(&mut self, authenticator: &mut Authenticator) -> Answer {
        self.sign_in_with("passkey", |page| vec![("credential", authenticator.get(&options(page)))]).await
    }

    async fn marias_id(&self) -> UserId {
        let index = records::address(tenant(), &MARIA.parse().unwrap());
        let found = self.site.house.foundation.store.get(&index).await.unwrap().unwrap().value.user;
        self.site.store.take();
        found
    }

    async fn has_account(&self, user: UserId) -> bool {
        let found = Credentials::read(&self.site.house.foundation, tenant(), user).await.unwrap();
        self.site.store.take();
        !found.is_empty()
    }

    async fn set_ups(&self) -> Vec<(String, bool)> {
        let set_up = |activity| match activity {
            Activity::AccountSetUp { with, recovered, .. } => Some((with, recovered)),
            _ => None,
        };
        self.site.activities().await.into_iter().filter_map(set_up).collect()
    }
}

fn claims(tokens: &serde_json::Value) -> serde_json::Value {
    let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn landed(answer: &Answer) -> bool {
    answer.body.contains("content=\"0; url=") && answer.onward().contains("code=")
}

#[tokio::test]
async fn a_passkey_is_set_up_by_a_direct_link_and_opens_from_then_on() {
    let (mut walk, mut authenticator) = (walk().await, authenticator());
    let page = walk.arrive_to_set_up().await;
    let review = walk.with_passkey(&page, &mut authenticator).await;
    let maria = walk.marias_id().await;
    assert!(!walk.has_account(maria).await, "nothing is written before everything is agreed");
    assert!(walk.site.user(maria).await.unwrap().is_pending());
    let said = claims(&walk.agree(&review).await);
    assert_eq!(said["amr"], serde_json::json!(["pop", "user"]));
    assert_eq!((&said["email"], &said["email_verified"]), (&MARIA.into(), &true.into()), "the mailbox was proven, too");
    assert!(walk.has_account(maria).await);
    assert_eq!(walk.set_ups().await, [("passkey".to_owned(), false)]);
    let bound = walk.site.user(maria).await.unwrap().external;
    assert!(matches!(bound, Some(ExternalUserState::Accepted { source: IdentitySource::LocalAccount, .. })));
    for counter in [1, 2] {
        authenticator.counter = counter;
        assert!(landed(&walk.sign_in_with_passkey(&mut authenticator).await), "nothing is asked twice");
    }
    let copied = walk.sign_in_with_passkey(&mut authenticator).await;
    assert!(refuses(&copied, Code::PasskeyCopied) && has(&copied, "passkey"), "{}", copied.body);
}

/// L-08: the ticket alone opens nothing; with proof of the invited mailbox its guest has an account.
#[tokio::test]
async fn l_08_an_account_is_set_up_by_the_link_of_an_invitation() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let_accounts(&walk.site, "").await;
    let mut authenticator = authenticator();
    let page = walk.open(&guest.link).await;
    let first =
        page.body.contains("class=\"primary wide\" id=\"set-up\"") && !page.body.contains("primary wide\" id=\"passkey\"");
    assert!(first && page.body.contains(&format!("<bdi>{SAM}</bdi>")), "who was just invited has no account: {}", page.body);
    let early = walk.send("new password", &page, "new-password", &[("password", GOOD)]).await;
    assert!(early.status.is_redirection() && walk.site.journey().credential.is_none(), "the ticket alone");
    let page = walk.set_up(&page, SAM).await;
    let review = walk.with_passkey(&page, &mut authenticator).await;
    assert!(!walk.has_account(guest.user).await);
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
    assert!(walk.has_account(guest.user).await);
}

/// Decision 2: a guest without any address, or where the tenant says that the link is enough, needs no mailbox.
#[tokio::test]
async fn where_the_ticket_is_enough_no_mailbox_is_asked_for() {
    for (address, more) in [(None, ""), (Some(SAM), ", alias_redemption = \"link\"")] {
        let (mut walk, guest) = invited(address).await;
        let_accounts(&walk.site, more).await;
        let mut page = walk.open(&guest.link).await;
        if address.is_none() {
            page = walk.press("address", "next page", &page, "address", &[("email", "samuel@elsewhere.example")]).await;
        }
        let page = walk.press("set up", "set-up page", &page, "set-up", &[]).await;
        assert!(has(&page, "new-password"), "{}", page.body);
        let review = walk.with_password(&page, GOOD).await;
        assert_eq!(walk.land(&review).await.onward(), WELCOME);
        assert!(walk.has_account(guest.user).await);
    }
}

#[tokio::test]
async fn a_weak_password_is_refused_and_a_good_one_opens_from_then_on() {
    let mut walk = walk().await;
    let mut page = walk.arrive_to_set_up().await;
    for (weak, code) in [
        ("short", Code::PasswordLength),
        ("password1234", Code::PasswordGuessable),
        ("maria and her bicycles", Code::PasswordPersonal),
    ] {
        page = walk.with_password(&page, weak).await;
        assert!(refuses(&page, code) && has(&page, "new-password"), "{weak}: {}", page.body);
        assert!(!page.body.contains(&format!("\"{weak}\"")), "what was typed is not shown again");
    }
    let review = walk.with_password(&page, GOOD).await;
    let said = claims(&walk.agree(&review).await);
    assert_eq!(said["amr"], serde_json::json!(["pwd"]));
    let landing = walk.sign_in_with_password(GOOD).await;
    let said = claims(&walk.site.trade(&landing.parameter("code")).await.json());
    assert_eq!((&said["email"], &said["email_verified"]), (&MARIA.into(), &true.into()), "as when it was set up");
    assert!(refuses(&walk.sign_in_with_password(BETTER).await, Code::PasswordWrong));
}

/// L-02: an address that is no longer the invited one may be somebody else's, too: what was proven of it says nothing any more.
#[tokio::test]
async fn l_02_a_proven_mailbox_counts_as_long_as_it_is_the_invited_address() {
    let mut walk = walk().await;
    let page = walk.arrive_to_set_up().await;
    let review = walk.with_password(&page, GOOD).await;
    let tokens = walk.agree(&review).await;
    assert_eq!(claims(&tokens)["email_verified"], true);
    let maria = walk.marias_id().await;
    let moved = Change {
        mail: Some("maria.b@northwind.example".parse().ok()),
        other_mails: Some(vec![MARIA.parse().unwrap()]),
        ..Change::default()
    };
    walk.site.administer(async |administration| administration.change(maria, None, &moved).await).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let refreshed = walk.site.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.json();
    let landing = walk.sign_in_with_password(GOOD).await;
    let signed_in = walk.site.trade(&landing.parameter("code")).await.json();
    for tokens in [refreshed, signed_in] {
        let said = claims(&tokens);
        assert_eq!((&said["email"], &said["email_verified"]), (&"maria.b@northwind.example".into(), &false.into()), "{said}");
    }
}

#[tokio::test]
async fn who_lost_it_proves_the_mailbox_and_sets_it_up_anew() {
    let (mut walk, mut authenticator) = (walk().await, authenticator());
    let page = walk.arrive_to_set_up().await;
    let review = walk.with_password(&page, GOOD).await;
    let tokens = walk.agree(&review).await;
    let old = tokens["access_token"].as_str().unwrap().to_owned();
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(walk.site.userinfo(&old).await.status, 200);

    walk.site.wait(60);
    walk.site.change_browser(&mut BTreeMap::new());
    let page = walk.arrive_to_set_up().await;
    assert!(page.body.contains("no longer work"), "it says what will happen: {}", page.body);
    let landing = walk.with_passkey(&page, &mut authenticator).await;
    assert!(landed(&landing), "{}", landing.body);
    assert_eq!(walk.set_ups().await, [("password".to_owned(), false), ("passkey".to_owned(), true)]);
    let refreshed = walk.site.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    assert_eq!(refreshed.status, 400, "every session of before has ended");
    assert!(refuses(&walk.sign_in_with_password(GOOD).await, Code::PasswordWrong));
    authenticator.counter = 1;
    assert!(landed(&walk.sign_in_with_passkey(&mut authenticator).await));
}

/// Who has an account here and proves the mailbox instead is led to the account, where it can be set up anew.
#[tokio::test]
async fn a_code_for_somebody_with_an_account_leads_on_to_the_account() {
    let mut walk = walk().await;
    let page = walk.arrive_to_set_up().await;
    let review = walk.with_password(&page, GOOD).await;
    walk.agree(&review).await;
    walk.site.wait(60);
    walk.site.change_browser(&mut BTreeMap::new());
    let page = walk.arrive(MARIA).await;
    let page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    let code = walk.site.code_to(MARIA).await.unwrap();
    let refused = walk.press("code", "refusal", &page, "code", &[("code", &code)]).await;
    assert!(refuses(&refused, Code::BoundToAnotherIdentity), "{}", refused.body);
    assert!(has(&refused, "with-account") && !has(&refused, "with-code"), "{}", refused.body);
    let path = format!("/{}/journey/{}?with=account", tenant(), walk.site.journey().id);
    assert!(refused.body.contains(&path), "{}", refused.body);
    let page = walk.get("account page", &path).await;
    assert!(has(&page, "password") && has(&page, "set-up"), "{}", page.body);
}

/// A guest keeps the source they redeemed with until an administrator resets redemption.
#[tokio::test]
async fn who_redeemed_in_another_way_sets_up_no_account() {
    let mut walk = walk().await;
    let page = walk.arrive(MARIA).await;
    let page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    let code = walk.site.code_to(MARIA).await.unwrap();
    let review = walk.press("code", "review page", &page, "code", &[("code", &code)]).await;
    walk.agree(&review).await;
    walk.site.wait(60);
    walk.site.change_browser(&mut BTreeMap::new());
    let refused = walk.arrive_to_set_up().await;
    assert!(refuses(&refused, Code::BoundToAnotherIdentity), "{}", refused.body);
    let forced = walk.send("new password", &refused, "new-password", &[("password", GOOD)]).await;
    assert!(forced.status.is_redirection());
    assert!(!walk.has_account(walk.marias_id().await).await && walk.set_ups().await.is_empty());
}

/// L-06: what sets up an account counts only where it is asked for, and proof of a mailbox only for that mailbox.
#[tokio::test]
async fn l_06_no_form_sets_up_an_account_without_the_mailbox() {
    let mut walk = walk().await;
    let page = walk.arrive(MARIA).await;
    let passkey = authenticator().create(r#"{"publicKey":{"user":{"id":"AAAAAAAAAAAAAAAAAAAAAA"},"challenge":"AAAA"}}"#);
    for prepare in [None, Some("set-up")] {
        if let Some(action) = prepare {
            let _ = walk.send("prepare", &page, action, &[]).await;
        }
        for (action, fields) in [
            ("new-password", [("password", GOOD)]),
            ("new-passkey", [("credential", passkey.as_str())]),
            ("mailbox", [("code", "12345678")]),
            ("passkey", [("credential", passkey.as_str())]),
        ] {
            let _ = walk.send("forced", &page, action, &fields).await;
            let journey = walk.site.journey();
            assert!(journey.proof.is_none() && journey.credential.is_none() && journey.mailbox.is_none(), "{action}");
        }
    }
    // Somebody proves their own mailbox, and then says that they are Maria.
    let (mine, hers) = (walk.site.invite(super::invitations::invite(Some(SAM))).await, walk.marias_id().await);
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    let page = walk.set_up(&page, SAM).await;
    let _ = walk.send("address", &page, "address", &[("email", MARIA)]).await;
    let _ = walk.send("set up", &page, "set-up", &[]).await;
    let _ = walk.send("new password", &page, "new-password", &[("password", GOOD)]).await;
    let journey = walk.site.journey();
    assert!(journey.proof.is_none() && journey.credential.is_none() && journey.mailbox.is_none());
    assert!(!walk.has_account(hers).await && !walk.has_account(mine.user).await);
}

/// L-03: who begins with somebody else's address has nothing when its owner sets up an account elsewhere.
#[tokio::test]
async fn l_03_an_account_belongs_to_the_browser_that_proved_the_mailbox() {
    let mut walk = walk().await;
    let page = walk.arrive(MARIA).await;
    let waiting = walk.press("set up", "mailbox page", &page, "set-up", &[]).await;
    let mut attacker = BTreeMap::new();
    walk.site.change_browser(&mut attacker);
    let page = walk.arrive_to_set_up().await;
    let review = walk.with_password(&page, GOOD).await;
    walk.agree(&review).await;
    walk.site.change_browser(&mut attacker);
    let page = walk.look().await;
    assert!(has(&page, "prove-mailbox"), "{}", page.body);
    let _ = walk.send("new password", &waiting, "new-password", &[("password", BETTER)]).await;
    assert!(landed(&walk.sign_in_with_password(GOOD).await));
    assert!(refuses(&walk.sign_in_with_password(BETTER).await, Code::PasswordWrong));
}

/// T-10: the page of who has an account and that of a stranger are as long as each other, and ask for the same.
#[tokio::test]
async fn t_10_the_page_does_not_tell_who_has_an_account() {
    const STRANGER: &str = "mario@fabrikam.example";
    let mut walk = walk().await;
    let page = walk.arrive_to_set_up().await;
    let review = walk.with_password(&page, GOOD).await;
    walk.agree(&review).await;
    let mut pages = Vec::new();
    for address in [MARIA, STRANGER] {
        walk.site.change_browser(&mut BTreeMap::new());
        let page = walk.arrive(address).await;
        let wrong = walk.press("password", "page again", &page, "password", &[("email", address), ("password", "wrong")]).await;
        let mailbox = walk.press("set up", "mailbox page", &wrong, "set-up", &[]).await;
        let sent = walk.press("send", "code page", &mailbox, "send-mailbox-code", &[]).await;
        pages.push([page, wrong, mailbox, sent].map(|page| (page.status, page.body.len())));
    }
    assert_eq!(pages[0], pages[1]);
}
