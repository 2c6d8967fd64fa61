//! Redemption by the link of an invitation, in a real browser.

use crate::support::{browser::Browser, mailbox::Mailbox, process::Demo};

/// Asks for a code on this page and types it in.
async fn prove(browser: &Browser, demo: &Demo, email: &str) {
    let mut mailbox = Mailbox::open(&demo.mail_dir);
    browser.wait_for("send-code").await;
    browser.press("send-code").await;
    browser.wait_for("code").await;
    let code = mailbox.next_to(email).await.passcode();
    demo.secret(&code);
    browser.type_into("code", &code).await;
    browser.press("next").await;
}

/// Agrees to everything and arrives in the app.
async fn agree(browser: &Browser, demo: &Demo) {
    browser.wait_for("accept").await;
    browser.press("accept").await;
    browser.wait_for("open-terms").await;
    browser.press("open-terms").await;
    browser.look_at_new_tab().await;
    browser.press("accept").await;
    is_in(browser, demo).await;
}

async fn is_in(browser: &Browser, demo: &Demo) {
    // The app has its own door, which finds the session.
    browser.wait_for("greeting").await;
    assert!(browser.url().await.starts_with(&demo.app.url), "{}", browser.url().await);
}

async fn redeem(javascript: bool) {
    let demo = Demo::start();
    let (person, link) = demo.invited();
    let browser = Browser::start_with(javascript).await;
    browser.open(&link).await;
    browser.wait_for("send-code").await;
    let shown = browser.url().await;
    assert!(!shown.contains("ticket"), "the ticket is not in the address bar: {shown}");
    browser.screenshot("invited-1-first-page").await;
    prove(&browser, &demo, &person.email).await;
    browser.wait_for("accept").await;
    browser.screenshot("invited-2-review").await;
    agree(&browser, &demo).await;

    // Afterwards the link leads in, here at once, and elsewhere after a proof.
    browser.open(&link).await;
    is_in(&browser, &demo).await;
    let elsewhere = Browser::start_with(javascript).await;
    elsewhere.open(&link).await;
    elsewhere.wait_for("email").await;
    assert_eq!(elsewhere.value("email").await, person.email);
    elsewhere.screenshot("invited-3-again").await;
    elsewhere.close().await;
    browser.close().await;
}

#[tokio::test]
async fn an_invited_guest_redeems_by_the_link() {
    redeem(true).await;
}

#[tokio::test]
async fn an_invited_guest_redeems_by_the_link_without_javascript() {
    redeem(false).await;
}

/// Opened on one device, finished on another; and on the first one it goes on, too.
#[tokio::test]
async fn a_link_opened_on_one_device_is_finished_on_another() {
    let demo = Demo::start();
    let (person, link) = demo.invited();
    let (first, second) = (Browser::start().await, Browser::start().await);
    first.open(&link).await;
    first.wait_for("send-code").await;
    second.open(&link).await;
    prove(&second, &demo, &person.email).await;
    agree(&second, &demo).await;
    first.open(&link).await;
    first.wait_for("email").await;
    first.close().await;
    second.close().await;
}

/// L-07, L-08: somebody else who was sent the link needs the invited mailbox, and is told whom it is for.
#[tokio::test]
async fn l_07_l_08_a_forwarded_link_asks_for_the_invited_mailbox() {
    let demo = Demo::start();
    let (person, link) = demo.invited();
    let browser = Browser::start().await;
    browser.open(&link).await;
    browser.wait_for("switch-account").await;
    browser.press("switch-account").await;
    browser.wait_for("email").await;
    let other = "friend@elsewhere.example";
    browser.type_into("email", other).await;
    browser.press("next").await;
    prove(&browser, &demo, other).await;
    browser.wait_for("prove-mailbox").await;
    browser.screenshot("invited-as-another").await;
    let text = browser.text().await;
    assert!(text.contains(other) && text.contains("a***@northwind.example") && !text.contains(&person.email), "{text}");
    // With the mailbox it is theirs.
    prove(&browser, &demo, &person.email).await;
    agree(&browser, &demo).await;
    browser.close().await;
}

/// What reaches out of the screen, and the title, of the page that is shown.
async fn seen_on_a_phone(browser: &Browser, name: &str) -> String {
    let outside = "return [...document.querySelectorAll('body *')]
        .filter((shown) => shown.getClientRects().length && shown.getBoundingClientRect().right > innerWidth + 1)
        .map((shown) => shown.outerHTML.slice(0, 100))";
    assert_eq!(browser.script(outside).await, serde_json::json!([]), "{name}");
    browser.screenshot(&format!("phone-{name}")).await;
    browser.script("return document.title").await.as_str().expect("a title").to_owned()
}

/// Each page fits a phone and is told from the others by its title.
#[tokio::test]
async fn every_page_of_a_redemption_fits_a_phone() {
    let demo = Demo::start();
    let (person, link) = demo.invited();
    let browser = Browser::start().await;
    browser.become_a_phone().await;
    browser.open(&link).await;
    browser.wait_for("send-code").await;
    let mut titles = vec![seen_on_a_phone(&browser, "1-invited").await];
    let text = browser.text().await;
    assert!(text.contains("You are invited to Contoso") && text.contains("contoso.example"), "{text}");
    let mut mailbox = Mailbox::open(&demo.mail_dir);
    browser.press("send-code").await;
    browser.wait_for("code").await;
    titles.push(seen_on_a_phone(&browser, "2-code").await);
    browser.type_into("code", "00000000").await;
    browser.press("next").await;
    browser.wait_for("error").await;
    titles.push(seen_on_a_phone(&browser, "3-wrong-code").await);
    // Loaded again, it has nothing to say and nothing to send.
    let here = browser.url().await;
    assert!(!here.ends_with("/code"), "the page answers no form: {here}");
    let code = mailbox.next_to(&person.email).await.passcode();
    demo.secret(&code);
    browser.type_into("code", &code).await;
    browser.press("next").await;
    browser.wait_for("accept").await;
    titles.push(seen_on_a_phone(&browser, "4-review").await);
    browser.press("accept").await;
    browser.wait_for("open-terms").await;
    titles.push(seen_on_a_phone(&browser, "5-terms").await);
    let several = titles.len();
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), several, "{titles:?}");
    browser.close().await;
}

/// A guest leaves, from the panel, and is out.
#[tokio::test]
async fn a_guest_leaves_from_the_panel() {
    let demo = Demo::start();
    let (person, link) = demo.invited();
    let browser = Browser::start().await;
    browser.open(&link).await;
    prove(&browser, &demo, &person.email).await;
    agree(&browser, &demo).await;
    browser.open(&demo.links.panel_by_id).await;
    browser.wait_for("leave").await;
    browser.press("leave").await;
    browser.wait_for("confirm-leave").await;
    browser.screenshot("leave").await;
    browser.press("leave").await;
    browser.wait_for("left").await;
    browser.screenshot("left").await;
    // The session with the app has ended, too, and the link leads nowhere.
    browser.open(&demo.app.url).await;
    browser.wait_for_text("has been blocked").await;
    browser.open(&link).await;
    browser.wait_for("refusal").await;
    let told = browser.text().await;
    assert!(["VB2016", "VB2019"].iter().any(|code| told.contains(code)), "{told}");
    browser.screenshot("invitation-ended").await;
    browser.close().await;
}

/// Whoever reads the mailbox stops invitations to it, and allows them again.
#[tokio::test]
async fn invitations_by_mail_are_stopped_and_allowed_again() {
    let demo = Demo::start();
    let (person, _) = demo.invited();
    let browser = Browser::start().await;
    browser.open(&format!("{}/{}/block-invitations", demo.origin(), demo.tenant_id)).await;
    browser.wait_for("email").await;
    browser.type_into("email", &person.email).await;
    browser.press("next").await;
    prove(&browser, &demo, &person.email).await;
    browser.wait_for("block").await;
    browser.screenshot("invitations-allowed").await;
    browser.press("block").await;
    browser.wait_for("allow").await;
    browser.screenshot("invitations-blocked").await;
    browser.press("allow").await;
    browser.wait_for("block").await;
    browser.close().await;
}
