//! Server, home organisation and app on three host names, in a real browser; and what a sibling host can do there: nothing.

use crate::support::{
    browser::Browser,
    mailbox::Mailbox,
    process::{Person, SignsInWith},
    site::Site,
    world::World,
};

/// From the link to the page behind it, doing everything that is asked.
async fn sign_in(browser: &Browser, world: &World, person: &Person, link: &str) {
    let mut mailbox = Mailbox::open(&world.contoso.mail());
    browser.open(link).await;
    browser.type_into("email", &person.email).await;
    browser.press("next").await;
    if person.signs_in_with == SignsInWith::OneTimePasscode {
        browser.press("send-code").await;
        let code = mailbox.next_to(&person.email).await.passcode();
        browser.type_into("code", &code).await;
    } else {
        browser.wait_for("password").await;
        assert!(browser.url().await.starts_with(&world.fabrikam.url), "at home: {}", browser.url().await);
        if browser.value("email").await.is_empty() {
            browser.type_into("email", &person.email).await;
        }
        browser.type_into("password", person.password.as_deref().expect("a password")).await;
    }
    browser.press("next").await;
    browser.wait_for("accept").await;
    assert!(browser.url().await.starts_with(&world.contoso.url), "{}", browser.url().await);
    browser.press("accept").await;
    browser.press("open-terms").await;
    browser.look_at_new_tab().await;
    browser.press("accept").await;
}

async fn three_hosts(javascript: bool) {
    let world = World::start().await;
    for person in [&world.guest, &world.passcode_guest] {
        let browser = Browser::start_with(javascript).await;
        sign_in(&browser, &world, person, &world.link()).await;
        browser.wait_for("greeting").await;
        assert_eq!(browser.url().await, world.app);
        // A page deep in the app, opened straight, is where one ends.
        browser.open(&format!("{}reports/7?year=2026", world.app)).await;
        browser.wait_for("greeting").await;
        assert_eq!(browser.url().await, format!("{}reports/7?year=2026", world.app));
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_path_works_on_three_host_names() {
    three_hosts(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_path_works_on_three_host_names_without_javascript() {
    three_hosts(false).await;
}

/// B-02, B-03: a page on a host below ours plants cookies for our host; the guest's session does not change, and nothing
/// planted before a sign-in survives it.
#[tokio::test(flavor = "multi_thread")]
async fn b_02_b_03_cookies_planted_by_a_sibling_host_change_nothing() {
    let world = World::start().await;
    let name = world.session_cookie();
    let names = [
        name.clone(),
        name.to_ascii_lowercase(),
        name.replace("__", "%5F%5F"),
        name.replace("__Host", "%5f%5fHost"),
        format!("\u{2000}{name}"),
        format!("\u{a0}{name}"),
        format!("\u{85}{name}"),
        name[2..].to_owned(),
        format!(" {name}"),
        format!("{name}\t"),
    ];
    let planted: String = names
        .iter()
        .flat_map(|name| ["", "Path=/; ", "Path=/contoso.example; "].map(|path| (name, path)))
        .map(|(name, path)| format!("set-cookie: {name}=planted; {path}Domain=vestibule.localhost; Secure; Max-Age=3600\r\n"))
        .collect();
    let sibling = Site::serve(format!("content-type: text/html\r\n{planted}"), "<p id=planted>planted</p>").await;

    // planted before
    let browser = Browser::start().await;
    browser.open(&sibling.url("evil.vestibule.localhost")).await;
    browser.wait_for("planted").await;
    sign_in(&browser, &world, &world.guest, &world.panel()).await;
    browser.wait_for("sign-out").await;
    let session = async || {
        let cookies = browser.cookies().await;
        let exact: Vec<_> = cookies.into_iter().filter(|(found, _)| *found == name).map(|(_, value)| value).collect();
        assert_eq!(exact.len(), 1, "{exact:?}");
        exact.into_iter().next()
    };
    let before = session().await;
    assert_ne!(before.as_deref(), Some("planted"));
    // planted after
    browser.open(&sibling.url("evil.vestibule.localhost")).await;
    browser.wait_for("planted").await;
    browser.open(&world.panel()).await;
    browser.wait_for("sign-out").await;
    assert_eq!(session().await, before);
    browser.close().await;
}

/// B-05: nobody can put our pages into a frame of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn b_05_a_framed_page_stays_blank() {
    let world = World::start().await;
    for framed in [world.panel(), world.link()] {
        let site = Site::page(format!("<p id=around>around</p><iframe src=\"{framed}\" width=900 height=700></iframe>")).await;
        for host in ["evil.localhost", "evil.vestibule.localhost"] {
            let browser = Browser::start().await;
            browser.open(&site.url(host)).await;
            browser.wait_for("around").await;
            browser.enter_frame().await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let text = browser.text().await;
            assert!(!text.contains("Contoso") && !browser.has("email").await, "{text}");
            browser.close().await;
        }
    }
}

/// B-09: going back after signing out shows nothing of the page that was there.
#[tokio::test(flavor = "multi_thread")]
async fn b_09_going_back_after_signing_out_shows_nothing() {
    let world = World::start().await;
    let browser = Browser::start().await;
    sign_in(&browser, &world, &world.guest, &world.panel()).await;
    browser.press("sign-out").await;
    browser.wait_for("signed-out").await;
    browser.script("history.back()").await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert!(!browser.has("sign-out").await, "{}", browser.text().await);
    browser.close().await;
}
