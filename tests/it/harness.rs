//! The harness itself: what it relies on is so on this machine.

mod servers;

use crate::support::{browser::Browser, site::Site};

#[tokio::test]
async fn the_browser_runs_scripts_only_when_asked_to() {
    let page = r#"<p id="answer">still</p><script>document.getElementById('answer').textContent = 'moved'</script>"#;
    let site = Site::page(page).await;
    for (javascript, expected) in [(true, "moved"), (false, "still")] {
        let browser = Browser::start_with(javascript).await;
        browser.open(&site.url("somewhere.localhost")).await;
        assert_eq!(browser.wait_for("answer").await.text().await.ok().as_deref(), Some(expected));
        browser.close().await;
    }
}

#[tokio::test]
#[should_panic(expected = "requests to other machines")]
async fn a_request_to_another_machine_is_noticed() {
    let site = Site::page(r#"<p id="answer">x</p><img src="http://elsewhere.example/pixel.png">"#).await;
    let browser = Browser::start().await;
    browser.open(&site.url("somewhere.localhost")).await;
    browser.wait_for("answer").await;
    browser.close().await;
}
