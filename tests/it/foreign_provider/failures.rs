//! A foreign provider that is held up, gone, or whose person thinks better of it.

use std::time::Duration;

use super::{
    AT_ONCE, adatum_is_unaffected,
    place::{GUESTS, Place},
    refused_at, timed,
};

/// What the server gives a home organisation to answer, and what a busy machine adds.
const GIVES_UP: std::ops::Range<Duration> = Duration::from_millis(4500)..Duration::from_secs(9);

/// F-12: while a home organisation is held up, its guests are told so after five seconds and offered a code; guests of
/// other tenants and of other home organisations notice nothing; and when it goes on, so does everybody.
#[tokio::test]
async fn f_12_a_home_organisation_that_hangs_costs_its_own_guests_five_seconds() {
    let (place, northwind) = Place::with_northwind().await;
    let _tailspin = place.tailspin.start().await;
    adatum_is_unaffected(&place, true).await;

    // Before anything is known of it.
    northwind.freeze();
    let mut mia = place.somebody();
    let link = place.contoso();
    let waiting = timed(mia.leave(&link, GUESTS[0]));
    let ((answer, took), ()) = tokio::join!(waiting, adatum_is_unaffected(&place, false));
    let refusal = refused_at(answer, 503, "VB3001", "Northwind");
    assert!(GIVES_UP.contains(&took), "{took:?}");
    // The next one does not wait: it was asked only just now.
    let (answer, took) = timed(place.somebody().leave(&place.contoso(), GUESTS[1])).await;
    refused_at(answer, 503, "VB3001", "Northwind");
    assert!(took < AT_ONCE, "{took:?}");
    let answer = mia.prove_by_code(&refusal, GUESTS[0]).await;
    let answer = mia.accept(answer).await;
    mia.is_in(&answer, GUESTS[0]);

    // Between the browser's return and the exchange of the code.
    northwind.thaw();
    place.server.process.later(Duration::from_secs(6));
    let mut noah = place.somebody();
    let back = noah.sign_in_at(&place.northwind, &place.contoso(), GUESTS[1], GUESTS[1]).await;
    northwind.freeze();
    let waiting = timed(noah.return_by(&back));
    let ((answer, took), ()) = tokio::join!(waiting, adatum_is_unaffected(&place, false));
    let refusal = refused_at(answer, 503, "VB3001", "Northwind");
    assert!(GIVES_UP.contains(&took), "{took:?}");
    northwind.thaw();
    let again = noah.browser.press(&refusal.page(), "start-again", &[]).await;
    let form = noah.browser.follow(again).await.page();
    let answer = noah.browser.press(&form, "next", &[("email", GUESTS[1])]).await;
    // Northwind knows him already.
    let back = noah.back(answer).await;
    let answer = noah.return_by(&back).await;
    let answer = noah.accept(answer).await;
    noah.is_in(&answer, GUESTS[1]);
}

/// F-12: one that is gone is told at once, before and after its documents were read; nobody else notices.
#[tokio::test]
async fn f_12_a_home_organisation_that_is_gone_is_told_at_once() {
    let place = Place::start().await;
    let _tailspin = place.tailspin.start().await;
    let mut mia = place.somebody();
    let (answer, took) = timed(mia.leave(&place.contoso(), GUESTS[0])).await;
    let refusal = refused_at(answer, 503, "VB3001", "Northwind");
    assert!(took < AT_ONCE, "{took:?}");
    adatum_is_unaffected(&place, true).await;
    let answer = mia.prove_by_code(&refusal, GUESTS[0]).await;
    let answer = mia.accept(answer).await;
    mia.is_in(&answer, GUESTS[0]);

    let northwind = place.northwind.start().await;
    place.server.process.later(Duration::from_secs(6));
    let mut noah = place.somebody();
    let back = noah.sign_in_at(&place.northwind, &place.contoso(), GUESTS[1], GUESTS[1]).await;
    northwind.kill().await;
    let (answer, took) = timed(noah.return_by(&back)).await;
    refused_at(answer, 503, "VB3001", "Northwind");
    assert!(took < AT_ONCE, "{took:?}");
    adatum_is_unaffected(&place, false).await;
}

/// A person who cancels there comes to a page of ours that says so, and the next try works. The answer is used up: what it
/// was is not believed again.
#[tokio::test]
async fn somebody_who_cancels_at_home_can_try_again() {
    let (place, northwind) = Place::with_northwind().await;
    let mut mia = place.somebody();
    let form = mia.leave(&place.contoso(), GUESTS[0]).await;
    let answer = mia.browser.press(&form.page(), "cancel", &[]).await;
    let back = mia.back(answer).await;
    assert!(back.query().is_some_and(|query| query.contains("error=access_denied")), "{back}");
    let answer = mia.return_by(&back).await;
    let refusal = refused_at(answer, 403, "VB3003", "Northwind");
    assert!(!refusal.body.contains("changed their mind"), "words of others: {}", refusal.body);
    mia.return_by(&back).await.refused(400, "VB4001");

    let again = mia.browser.press(&refusal.page(), "start-again", &[]).await;
    let page = mia.browser.follow(again).await.page();
    let answer = mia.browser.press(&page, "next", &[("email", GUESTS[0])]).await;
    let form = mia.browser.follow(answer).await;
    let back = mia.log_in(&place.northwind, &form, GUESTS[0]).await;
    let answer = mia.return_by(&back).await;
    let answer = mia.accept(answer).await;
    mia.is_in(&answer, GUESTS[0]);
    assert_eq!(northwind.count("POST /token"), 1);
}
