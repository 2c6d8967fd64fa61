//! Guests of a home organisation that runs somebody else's software: npm `oidc-provider`, federated with the real program.

use std::time::{Duration, Instant};

use serde_json::json;

use self::{
    home::Home,
    place::{ADATUM_GUEST, GUESTS, Place, parameter, skew, with},
};
use crate::support::{browser::Browser, visitor::Answer};

mod failures;
mod home;
mod keys;
mod place;

/// Less than the five seconds that a home organisation is given, and more than a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A refusal that came from a home organisation: it names that, leads on, and offers the mailed code.
#[track_caller]
fn refused_at(answer: Answer, status: u16, code: &str, home: &str) -> Answer {
    let answer = answer.refused(status, code);
    let page = answer.page();
    for id in ["refusal", "next-step", "home-organisation", "with-code", "start-again", "trace-id"] {
        assert!(page.has(id), "no {id}: {}", answer.body);
    }
    assert!(page.text.contains(home), "{home} is not named: {}", page.text);
    answer
}

/// J-05: a guest comes in through either home organisation, whichever algorithm it signs with, wherever it says who they
/// are, and however it has its clients authenticate; and comes back as who they were.
#[tokio::test]
async fn j_05_a_guest_signs_in_through_a_foreign_provider() {
    let (place, northwind) = Place::with_northwind().await;
    let tailspin = place.tailspin.start().await;
    for (plan, home, email) in [(&place.northwind, &northwind, GUESTS[0]), (&place.tailspin, &tailspin, GUESTS[3])] {
        place.somebody().whole_way(plan, &place.contoso(), email, true).await;
        place.somebody().whole_way(plan, &place.contoso(), email, false).await;
        let asked = ["GET /.well-known/openid-configuration", "GET /jwks", "POST /token"].map(|request| home.count(request));
        assert_eq!(asked, [1, 1, 2], "{}", plan.name);
    }
    assert_eq!([&northwind, &tailspin].map(|home| home.count("GET /me")), [2, 0], "userinfo is asked where it is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_signs_in_through_a_foreign_provider() {
    let (place, _northwind) = Place::with_northwind().await;
    let browser = Browser::start().await;
    browser.open(&place.contoso()).await;
    browser.type_into("email", GUESTS[0]).await;
    browser.press("next").await;
    browser.wait_for("password").await;
    assert!(browser.url().await.starts_with(&place.northwind.issuer()), "{}", browser.url().await);
    assert_eq!(browser.value("email").await, GUESTS[0], "the address came along (login_hint)");
    browser.press("cancel").await;
    browser.wait_for("error-code").await;
    assert!(browser.text().await.contains("VB3003"), "{}", browser.text().await);
    browser.press("start-again").await;
    browser.type_into("email", GUESTS[0]).await;
    browser.press("next").await;
    browser.type_into("password", &place.northwind.password).await;
    browser.press("next").await;
    browser.press("accept").await;
    browser.wait_for("sign-out").await;
    assert!(browser.url().await.starts_with(&place.server.url), "{}", browser.url().await);
    browser.close().await;
}

/// L-01, L-02: an address that the home organisation has not verified, or for whose domain the tenant does not trust it,
/// is nobody's: nothing is redeemed, and the guest who was meant comes in afterwards.
#[tokio::test]
async fn l_02_what_the_home_organisation_may_not_vouch_for_redeems_nothing() {
    let (place, northwind) = Place::with_northwind().await;
    let mut mia = place.somebody();
    let back = mia.sign_in_at(&place.northwind, &place.contoso(), "unverified", GUESTS[0]).await;
    let answer = mia.return_by(&back).await;
    let refusal = refused_at(answer, 403, "VB2002", "Northwind");
    // Had anything been redeemed, she would be bound to her home organisation now, and a code would not do.
    let answer = mia.prove_by_code(&refusal, GUESTS[0]).await;
    let answer = mia.accept(answer).await;
    mia.is_in(&answer, GUESTS[0]);

    let mut impostor = place.somebody();
    let back = impostor.sign_in_at(&place.northwind, &place.contoso(), "impostor", GUESTS[1]).await;
    let answer = impostor.return_by(&back).await;
    let refusal = refused_at(answer, 403, "VB2002", "Northwind");
    assert!(!refusal.page().has("accept"), "{}", refusal.body);
    assert_eq!(northwind.count("POST /token"), 2);
    let tailspin = place.tailspin.start().await;
    place.somebody().whole_way(&place.tailspin, &place.contoso(), GUESTS[3], true).await;
    assert_eq!(tailspin.count("POST /token"), 1);
}

/// J-06: two sign-ins through two home organisations in one browser, side by side, are not mixed up: an answer that comes
/// to the other's address, or names the other or nobody, is refused before anybody is asked for a token.
#[tokio::test]
async fn j_06_two_home_organisations_in_one_browser_are_not_mixed_up() {
    let (place, northwind) = Place::with_northwind().await;
    let tailspin = place.tailspin.start().await;
    let tokens = |homes: [&Home; 2]| homes.map(|home| home.count("POST /token"));
    let (mia, tess) = (GUESTS[0], GUESTS[3]);
    let mut person = place.somebody();
    let first = person.leave(&place.contoso(), mia).await;
    let second = person.leave(&place.contoso(), tess).await;
    let from_tailspin = person.log_in(&place.tailspin, &second, tess).await;
    let from_northwind = person.log_in(&place.northwind, &first, mia).await;
    assert_eq!(parameter(&from_northwind, "iss"), Some(place.northwind.issuer()), "RFC 9207");

    for (to, answer) in [(&from_tailspin, &from_northwind), (&from_northwind, &from_tailspin)] {
        let mut mixed = to.clone();
        mixed.set_query(answer.query());
        person.return_by(&mixed).await.refused(400, "VB4001");
        // The state belongs to this address, code and name to the other one.
        let state = parameter(to, "state");
        person.clone().return_by(&with(&mixed, "state", state.as_deref())).await.refused(502, "VB3002");
    }
    let other = place.tailspin.issuer();
    let slash = format!("{}/", place.northwind.issuer());
    for issuer in [Some(other.as_str()), Some(slash.as_str()), Some(""), None] {
        let forged = with(&from_northwind, "iss", issuer);
        let answer = person.clone().return_by(&forged).await;
        refused_at(answer, 502, "VB3002", "Northwind");
    }
    assert_eq!(tokens([&northwind, &tailspin]), [0, 0]);

    let answer = person.return_by(&from_tailspin).await;
    let answer = person.accept(answer).await;
    person.is_in(&answer, tess);
    let answer = person.return_by(&from_northwind).await;
    let answer = person.accept(answer).await;
    person.is_in(&answer, mia);
    assert_eq!(tokens([&northwind, &tailspin]), [1, 1]);
}

/// C-10, C-12: a demand to sign in anew travels there; a home organisation that heeds it is believed, and one that lets an
/// older sign-in do is not.
#[tokio::test]
async fn c_10_a_foreign_provider_that_does_not_ask_anew_is_not_believed() {
    let (place, mut northwind) = Place::with_northwind().await;
    let mia = GUESTS[0];
    let mut person = place.somebody();
    person.whole_way(&place.northwind, &place.contoso(), mia, true).await;
    // She has a session there now: without a demand nobody asks for her password.
    let mut again = person.clone();
    again.browser.jar.forget("guests.localhost");
    let form = again.browser.visit(&place.contoso()).await.page();
    let answer = again.browser.press(&form, "next", &[("email", mia)]).await;
    let back = again.back(answer).await;
    let answer = again.return_by(&back).await;
    again.is_in(&answer, mia);

    let anew = place.anew();
    let form = person.leave(&anew, mia).await;
    assert!(form.page().has("password"), "she is asked anew: {}", form.body);
    let back = person.log_in(&place.northwind, &form, mia).await;
    let answer = person.return_by(&back).await;
    // A new session takes the place of the one that she has.
    let answer = person.browser.press(&answer.page(), "continue", &[]).await;
    let app = "https://expenses.contoso.example/callback";
    let code = person.browser.follow_until(answer, app).await.unwrap_or_else(|page| panic!("{}\n{}", page.url, page.body));
    assert!(parameter(&code, "code").is_some(), "{code}");

    northwind.set(&json!({ "login_age": 600 })).await;
    let back = person.sign_in_at(&place.northwind, &anew, mia, mia).await;
    let answer = person.return_by(&back).await;
    refused_at(answer, 502, "VB3002", "Northwind");
    let mut other = place.somebody();
    let back = other.sign_in_at(&place.northwind, &place.contoso(), mia, mia).await;
    let answer = other.return_by(&back).await;
    other.is_in(&answer, mia);
}

/// S-06: clocks may differ by a minute; an ID token from further ahead, or one that has expired, is refused.
#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let (place, mut northwind) = Place::with_northwind().await;
    for (guest, seconds) in [(GUESTS[0], 45), (GUESTS[1], -45)] {
        northwind.set(&skew(seconds)).await;
        place.somebody().whole_way(&place.northwind, &place.contoso(), guest, true).await;
    }
    for seconds in [90, -400] {
        northwind.set(&skew(seconds)).await;
        let mut person = place.somebody();
        let back = person.sign_in_at(&place.northwind, &place.contoso(), GUESTS[2], GUESTS[2]).await;
        let answer = person.return_by(&back).await;
        refused_at(answer, 502, "VB3002", "Northwind");
    }
    northwind.set(&skew(0)).await;
    place.somebody().whole_way(&place.northwind, &place.contoso(), GUESTS[2], true).await;
}

/// Gives how long something took.
async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (what.await, begun.elapsed())
}

/// Somebody signs in at Adatum, as if nothing were wrong elsewhere: neither half takes as long as a home organisation that
/// does not answer.
async fn adatum_is_unaffected(place: &Place, first: bool) {
    let mut uma = place.somebody();
    let (back, there) = timed(uma.sign_in_at(&place.tailspin, &place.adatum(), ADATUM_GUEST, ADATUM_GUEST)).await;
    let (mut answer, here) = timed(uma.return_by(&back)).await;
    assert!(there < AT_ONCE && here < AT_ONCE, "it took {there:?} and {here:?}");
    if first {
        answer = uma.accept(answer).await;
    }
    uma.is_in(&answer, ADATUM_GUEST);
}
