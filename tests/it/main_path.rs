//! The main job, in a real browser: a guest follows a direct link, agrees once, and is in.

use crate::support::{
    browser::Browser,
    mailbox::Mailbox,
    process::{Demo, Person, SignsInWith},
};

/// Opens the app's link and proves who they are; ends on the review of permissions, or in the app when all is agreed.
async fn prove(browser: &Browser, demo: &Demo, person: &Person, link: &str, picture: Option<&str>) {
    let mut mailbox = Mailbox::open(&demo.mail_dir);
    browser.open(link).await;
    browser.wait_for("email").await;
    snap(browser, picture, "1-identify").await;
    browser.type_into("email", &person.email).await;
    browser.press("next").await;
    match person.signs_in_with {
        SignsInWith::HomeOrganisation => {
            browser.wait_for("password").await;
            snap(browser, picture, "2-home-organisation").await;
            if browser.value("email").await.is_empty() {
                browser.type_into("email", &person.email).await;
            }
            browser.type_into("password", person.password.as_deref().expect("a password")).await;
        }
        SignsInWith::OneTimePasscode => {
            browser.wait_for("send-code").await;
            snap(browser, picture, "2-send-code").await;
            mailbox.stays_empty().await;
            browser.press("send-code").await;
            browser.wait_for("code").await;
            snap(browser, picture, "3-enter-code").await;
            let code = mailbox.next_to(&person.email).await.passcode();
            demo.secret(&code);
            browser.type_into("code", &code).await;
        }
    }
    browser.press("next").await;
}

async fn snap(browser: &Browser, picture: Option<&str>, page: &str) {
    if let Some(name) = picture {
        browser.screenshot(&format!("{name}-{page}")).await;
    }
}

/// Opens and accepts the terms that are shown.
async fn agree_to_terms(browser: &Browser, demo: &Demo, picture: Option<&str>) {
    browser.wait_for("open-terms").await;
    snap(browser, picture, "5-terms").await;
    browser.press("open-terms").await;
    let document = browser.look_at_new_tab().await;
    assert!(document.starts_with(&demo.origin()), "the document is ours: {document}");
    browser.press("accept").await;
}

/// Whether the sample app greets this person.
async fn is_in(browser: &Browser, demo: &Demo, picture: Option<&str>) {
    browser.wait_for("greeting").await;
    assert!(browser.url().await.starts_with(&demo.app.url), "{}", browser.url().await);
    snap(browser, picture, "6-app").await;
}

async fn walk(signs_in_with: SignsInWith, javascript: bool, picture: Option<&str>) {
    let demo = Demo::start();
    let person = demo.person(signs_in_with);
    let browser = Browser::start_with(javascript).await;
    prove(&browser, &demo, &person, &demo.links.app, picture).await;
    browser.wait_for("accept").await;
    let review = browser.text().await;
    assert!(review.contains("Contoso") && review.contains(&person.email), "who asks, and which account is in use: {review}");
    assert!(browser.has("switch-account").await && browser.has("cancel").await);
    snap(&browser, picture, "4-review-permissions").await;
    browser.press("accept").await;
    agree_to_terms(&browser, &demo, picture).await;
    is_in(&browser, &demo, picture).await;

    // The second visit goes straight in, by every link to the app.
    for link in [&demo.links.app, &demo.links.app_by_domain, &demo.app.url] {
        browser.open("about:blank").await;
        browser.open(link).await;
        is_in(&browser, &demo, None).await;
    }
    // A new browser asks for the proof and nothing more.
    let fresh = Browser::start_with(javascript).await;
    if signs_in_with == SignsInWith::HomeOrganisation {
        prove(&fresh, &demo, &person, &demo.links.app, None).await;
        is_in(&fresh, &demo, None).await;
    }
    fresh.close().await;
    browser.close().await;
}

#[tokio::test]
async fn a_guest_of_a_home_organisation_agrees_once_and_is_in() {
    walk(SignsInWith::HomeOrganisation, true, Some("home")).await;
}

#[tokio::test]
async fn a_guest_of_a_home_organisation_is_in_without_javascript() {
    walk(SignsInWith::HomeOrganisation, false, None).await;
}

#[tokio::test]
async fn a_guest_with_a_passcode_agrees_once_and_is_in() {
    walk(SignsInWith::OneTimePasscode, true, Some("passcode")).await;
}

#[tokio::test]
async fn a_guest_with_a_passcode_is_in_without_javascript() {
    walk(SignsInWith::OneTimePasscode, false, None).await;
}

/// Declining leaves the guest where they were; they can start again from the page that says so.
#[tokio::test]
async fn a_guest_who_declines_can_start_again() {
    let demo = Demo::start();
    let person = demo.person(SignsInWith::HomeOrganisation);
    let browser = Browser::start().await;
    prove(&browser, &demo, &person, &demo.links.app, None).await;
    browser.wait_for("cancel").await;
    browser.press("cancel").await;
    browser.wait_for("start-again").await;
    browser.screenshot("declined").await;
    browser.press("start-again").await;
    let again = if browser.has("email").await { "email" } else { "accept" };
    browser.wait_for(again).await;
    if again == "email" {
        prove(&browser, &demo, &person, &demo.links.app, None).await;
    }
    browser.wait_for("accept").await;
    browser.press("accept").await;
    browser.wait_for("decline").await;
    browser.press("decline").await;
    browser.wait_for("start-again").await;
    browser.screenshot("terms-declined").await;
    browser.close().await;
}

/// The account in use can be changed on the way, and the link is not lost by it.
#[tokio::test]
async fn switching_the_account_keeps_the_link() {
    let demo = Demo::start();
    let person = demo.person(SignsInWith::HomeOrganisation);
    let other = demo.person(SignsInWith::OneTimePasscode);
    let browser = Browser::start().await;
    prove(&browser, &demo, &person, &demo.links.app, None).await;
    browser.wait_for("switch-account").await;
    browser.press("switch-account").await;
    browser.wait_for("email").await;
    let mut mailbox = Mailbox::open(&demo.mail_dir);
    browser.type_into("email", &other.email).await;
    browser.press("next").await;
    browser.press("send-code").await;
    let code = mailbox.next_to(&other.email).await.passcode();
    browser.type_into("code", &code).await;
    browser.press("next").await;
    browser.wait_for("accept").await;
    assert!(browser.text().await.contains(&other.email));
    browser.press("accept").await;
    agree_to_terms(&browser, &demo, None).await;
    is_in(&browser, &demo, None).await;
    browser.close().await;
}

/// The panel lists what the guest can open and starts it.
#[tokio::test]
async fn the_panel_starts_the_app() {
    let demo = Demo::start();
    let person = demo.person(SignsInWith::HomeOrganisation);
    let browser = Browser::start().await;
    prove(&browser, &demo, &person, &demo.links.panel_by_domain, None).await;
    browser.wait_for("accept").await;
    browser.press("accept").await;
    agree_to_terms(&browser, &demo, None).await;
    browser.wait_for("apps").await;
    browser.screenshot("panel").await;
    browser.press("app-1").await;
    is_in(&browser, &demo, None).await;
    browser.close().await;
}

/// A common link says what is missing, and its field leads on.
#[tokio::test]
async fn a_common_link_is_refused_and_its_field_leads_on() {
    let demo = Demo::start();
    let browser = Browser::start().await;
    browser.open(&demo.links.common).await;
    browser.wait_for("organisation").await;
    browser.screenshot("common-link").await;
    assert!(browser.text().await.contains("VB1001"));
    browser.type_into("organisation", &demo.verified_domain).await;
    browser.press("next").await;
    browser.wait_for("email").await;
    assert!(browser.text().await.contains("Contoso"));
    browser.close().await;
}
