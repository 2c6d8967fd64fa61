//! Accounts that live here, in a real browser: passkeys with its virtual authenticator, passwords where there is no script.

use crate::support::{browser::Browser, mailbox::Mailbox, world::World};

const ACCOUNTS: &str = "policy = { redemption_order = [\"local_account\", \"one_time_passcode\"] }";
const PASSWORD: &str = "seven bicycles in the rain";

/// From the link until it is asked what shall open the account, having proven the mailbox.
async fn arrive_to_set_up(browser: &Browser, world: &World) {
    let email = &world.passcode_guest.email;
    let mut mailbox = Mailbox::open(&world.contoso.mail());
    browser.open(&world.link()).await;
    browser.type_into("email", email).await;
    browser.press("next").await;
    browser.press("set-up").await;
    browser.wait_for("prove-mailbox").await;
    browser.press("send-code").await;
    let code = mailbox.next_to(email).await.passcode();
    browser.type_into("code", &code).await;
    browser.press("next").await;
}

/// Agrees to all that is asked.
async fn agree(browser: &Browser, world: &World) {
    browser.press("accept").await;
    browser.press("open-terms").await;
    browser.look_at_new_tab().await;
    browser.press("accept").await;
    browser.wait_for("greeting").await;
    assert_eq!(browser.url().await, world.app);
}

/// From the link to the button that signs in with a passkey, in a browser that was never here.
async fn arrive(browser: &Browser, world: &World) {
    browser.open(&world.link()).await;
    browser.type_into("email", &world.passcode_guest.email).await;
    browser.press("next").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_set_up_in_redemption_and_opens_from_then_on() {
    let world = World::start_with(ACCOUNTS).await;
    let browser = Browser::start().await;
    let authenticator = browser.add_authenticator().await;
    arrive_to_set_up(&browser, &world).await;
    browser.wait_for("passkey").await;
    browser.screenshot("set-up-passkey").await;
    browser.press("passkey").await;
    agree(&browser, &world).await;
    let passkeys = authenticator.passkeys().await;
    let [passkey] = &passkeys[..] else { panic!("{passkeys:?}") };
    assert_eq!((&passkey["rpId"], &passkey["isResidentCredential"]), (&"vestibule.localhost".into(), &true.into()));
    browser.close().await;

    let second = Browser::start().await;
    second.add_authenticator().await.put(passkey).await;
    arrive(&second, &world).await;
    second.press("passkey").await;
    second.wait_for("greeting").await;
    second.close().await;

    // A copy of it, which counts from where it was copied.
    let copy = Browser::start().await;
    copy.add_authenticator().await.put(passkey).await;
    arrive(&copy, &world).await;
    copy.press("passkey").await;
    copy.wait_for_text("VB2035").await;
    copy.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_passkey_the_browser_says_so_and_there_is_the_password() {
    let world = World::start_with(ACCOUNTS).await;
    let browser = Browser::start().await;
    let _empty = browser.add_authenticator().await;
    arrive(&browser, &world).await;
    browser.press("passkey").await;
    browser.wait_for("passkey-failed").await;
    browser.script("document.querySelector('#use-password summary').click()").await;
    browser.wait_for("password").await;
    browser.close().await;
}

/// Without JavaScript: the password, a weak one refused, and again by the mailbox when it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_a_password_is_set_up_and_set_up_anew() {
    let world = World::start_with(ACCOUNTS).await;
    let browser = Browser::start_with(false).await;
    arrive_to_set_up(&browser, &world).await;
    browser.type_into("new-password", "password1234").await;
    browser.press("next").await;
    browser.wait_for_text("VB2032").await;
    browser.type_into("new-password", PASSWORD).await;
    browser.press("next").await;
    agree(&browser, &world).await;
    browser.close().await;

    let second = Browser::start_with(false).await;
    arrive(&second, &world).await;
    second.type_into("password", PASSWORD).await;
    second.press("next").await;
    second.wait_for("greeting").await;
    second.close().await;

    let third = Browser::start_with(false).await;
    arrive_to_set_up(&third, &world).await;
    third.type_into("new-password", "an orchard full of clocks").await;
    third.press("next").await;
    third.wait_for("greeting").await;
    third.close().await;
    let fourth = Browser::start_with(false).await;
    arrive(&fourth, &world).await;
    fourth.type_into("password", PASSWORD).await;
    fourth.press("next").await;
    fourth.wait_for_text("VB2012").await;
    fourth.close().await;
}
