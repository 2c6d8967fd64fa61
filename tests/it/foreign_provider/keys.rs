//! A foreign provider that changes its signing keys.

use super::{
    place::{GUESTS, Place},
    refused_at,
};

/// F-12, J-03: keys that were rotated between discovery and callback are fetched once, and known from then on.
#[tokio::test]
async fn f_12_keys_rotated_during_a_sign_in_are_fetched_once() {
    let (place, mut northwind) = Place::with_northwind().await;
    let mut mia = place.somebody();
    let form = mia.leave(&place.contoso(), GUESTS[0]).await;
    northwind.rotate().await;
    let back = mia.log_in(&place.northwind, &form, GUESTS[0]).await;
    let answer = mia.return_by(&back).await;
    let answer = mia.accept(answer).await;
    mia.is_in(&answer, GUESTS[0]);
    assert_eq!(northwind.count("GET /jwks"), 2);
    place.somebody().whole_way(&place.northwind, &place.contoso(), GUESTS[1], true).await;
    assert_eq!(northwind.count("GET /jwks"), 2);
}

/// F-12: the same between two sign-ins; a second rotation within half a minute waits its turn (J-03) and costs no more
/// than that.
#[tokio::test]
async fn f_12_keys_rotated_between_sign_ins_are_fetched_once() {
    let (place, mut northwind) = Place::with_northwind().await;
    place.somebody().whole_way(&place.northwind, &place.contoso(), GUESTS[0], true).await;
    northwind.rotate().await;
    place.somebody().whole_way(&place.northwind, &place.contoso(), GUESTS[1], true).await;
    assert_eq!(northwind.count("GET /jwks"), 2);
    northwind.rotate().await;
    for _ in 0..3 {
        let mut omar = place.somebody();
        let back = omar.sign_in_at(&place.northwind, &place.contoso(), GUESTS[2], GUESTS[2]).await;
        let answer = omar.return_by(&back).await;
        refused_at(answer, 502, "VB3002", "Northwind");
    }
    assert_eq!(northwind.count("GET /jwks"), 2);
    place.server.process.later(std::time::Duration::from_secs(31));
    place.somebody().whole_way(&place.northwind, &place.contoso(), GUESTS[2], true).await;
    assert_eq!(northwind.count("GET /jwks"), 3);
}

/// J-01: a signature by another key under a name that is known is no rotation; it is refused, and nothing is fetched.
#[tokio::test]
async fn j_01_other_keys_under_a_known_name_are_refused() {
    let (place, northwind) = Place::with_northwind().await;
    place.somebody().whole_way(&place.northwind, &place.contoso(), GUESTS[0], true).await;
    northwind.kill().await;
    let northwind = place.northwind.start().await;
    let mut noah = place.somebody();
    let back = noah.sign_in_at(&place.northwind, &place.contoso(), GUESTS[1], GUESTS[1]).await;
    let answer = noah.return_by(&back).await;
    let refusal = refused_at(answer, 502, "VB3002", "Northwind");
    assert_eq!((northwind.count("POST /token"), northwind.count("GET /jwks")), (1, 0));
    let answer = noah.prove_by_code(&refusal, GUESTS[1]).await;
    let answer = noah.accept(answer).await;
    noah.is_in(&answer, GUESTS[1]);
}
