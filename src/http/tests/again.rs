//! Pages that are loaded again: whatever a browser does with them, no form is sent a second time.

use http::StatusCode;

use super::{
    invitations::{SAM, invited},
    seen::refuses,
};
use crate::error::Code;

/// O-01: a wrong code is one guess, however often the page that says so is loaded.
#[tokio::test]
async fn o_01_a_wrong_code_is_told_by_a_page_that_sends_nothing_again() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    let page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    let code = walk.site.code_to(SAM).await.unwrap();
    let wrong = if code.starts_with('7') { "30000000" } else { "70000000" };
    let answer = walk.send("code", &page, "code", &[("code", wrong)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let told = walk.get("code page", &answer.onward()).await;
    assert!(refuses(&told, Code::CodeWrong) && told.body.contains("id=\"code\""), "{}", told.body);
    for _ in 0..6 {
        let again = walk.get("again", &answer.onward()).await;
        assert!(!refuses(&again, Code::CodeWrong) && again.body.contains("id=\"code\""), "said once: {}", again.body);
    }
    let review = walk.press("code", "review page", &told, "code", &[("code", &code)]).await;
    assert!(review.body.contains("id=\"accept\""), "the guesses were not spent: {}", review.body);
}

/// Where the code is dead the page says so, and says of none that it is on its way; the next one is sent at once.
#[tokio::test]
async fn a_dead_code_is_replaced_as_soon_as_it_is_asked_for() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    let mut page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    assert!(page.body.contains("is on its way to") && !page.body.contains("was invited"), "no if: {}", page.body);
    let code = walk.site.code_to(SAM).await.unwrap();
    let wrong = if code.starts_with('7') { "30000000" } else { "70000000" };
    for _ in 0..5 {
        page = walk.press("code", "code page", &page, "code", &[("code", wrong)]).await;
        assert!(refuses(&page, Code::CodeWrong), "{}", page.body);
    }
    page = walk.press("code", "dead", &page, "code", &[("code", &code)]).await;
    assert!(refuses(&page, Code::CodeExpired), "{}", page.body);
    assert!(!page.body.contains("on its way") && !page.body.contains("id=\"code\""), "{}", page.body);
    let page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    let next = walk.site.code_to(SAM).await.unwrap();
    assert_ne!(next, code);
    let review = walk.press("code", "review page", &page, "code", &[("code", &next)]).await;
    assert!(review.body.contains("id=\"accept\""), "{}", review.body);
}
