//! How often each operation asks the store: the numbers that a store across a network lives by.
//!
//! The server knows the tenant and its terms already, as it does but for the first request after a change.

use super::{
    browser::Site,
    walk::{Walk, redeemed},
};
use crate::{
    domain::link::Sources,
    flows::apply::tests::{contoso, tenant},
    oidc::token::directory_scope,
};

/// Six until the guest has landed, and two for the tokens. Four commits, none of which can wait for another: the code that is
/// mailed, the guess that is counted, what was agreed, and that the client's code was traded. Each checks what was read just
/// before it.
#[tokio::test]
async fn a_first_redemption_by_passcode() {
    let (walk, _) = redeemed().await;
    walk.assert(&[("send code", 2), ("code", 2), ("terms", 2), ("token", 2)]);
}

/// Six: from the identity to its guest, to what belongs to them, and twice what is read and committed.
#[tokio::test]
async fn a_first_redemption_by_a_home_organisation() {
    let mut walk = Walk::new(Site::warm().await);
    let review = walk.review_from_home().await;
    walk.agree(&review).await;
    walk.assert(&[("review page", 2), ("terms", 2), ("token", 2)]);
}

#[tokio::test]
async fn a_guest_who_has_a_session() {
    let (mut walk, tokens) = redeemed().await;
    walk.steps.clear();
    walk.site.wait(60);
    let authorize = walk.site.authorize("openid");
    let code = walk.get("authorize", &authorize).await.parameter("code");
    walk.site.trade(&code).await.json();
    walk.note("token");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    walk.site.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.json();
    walk.note("refresh");
    walk.site.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await.json();
    walk.note("refresh again, within the grace period");
    walk.site.userinfo(tokens["access_token"].as_str().unwrap()).await.json();
    walk.note("userinfo");
    let within_grace = ("refresh again, within the grace period", 2);
    walk.assert(&[("authorize", 1), ("token", 2), ("refresh", 2), within_grace, ("userinfo", 1)]);
}

#[tokio::test]
async fn a_program() {
    let mut walk = Walk::new(Site::warm().await);
    let scope = directory_scope(&walk.site.house.foundation.issuer(tenant()));
    let answer = walk.site.token(&[("grant_type", "client_credentials"), ("scope", &scope)]).await;
    walk.note("client credentials");
    answer.json();
    walk.assert(&[]);
}

/// The first look at a tenant's terms reads them, in one round trip; all others find them in memory.
#[tokio::test]
async fn terms_that_were_shown_are_remembered() {
    let mut walk = Walk::new(Site::cold().await);
    walk.site.know_the_tenant().await;
    let review = walk.review_from_home().await;
    walk.steps.clear();
    walk.accept_all(&review).await;
    walk.assert(&[("terms page", 1), ("terms", 2)]);
}

/// One read of what has a known key, and one for each list of apps, federations, agreements and keys.
#[tokio::test]
async fn a_tenant_that_is_not_known_yet_is_read_once_however_many_ask() {
    let site = Site::cold().await;
    let ask = async || {
        let asked = (0..50).map(|_| site.vestibule.directory.tenant(tenant()));
        let views = futures_util::future::join_all(asked).await;
        (views.into_iter().all(|view| view.unwrap().is_some()), site.store.take().len())
    };
    assert_eq!(ask().await, (true, 5));
    assert_eq!(ask().await, (true, 0), "and then remembered");
}

/// A server whose feed is cut does not decide on what it remembers: the store is asked each time, by all who ask at once
/// together.
#[tokio::test]
async fn nothing_is_remembered_while_the_feed_is_silent() {
    let site = Site::warm().await;
    let directory = &site.vestibule.directory;
    let name = async || directory.tenant(tenant()).await.unwrap().unwrap().tenant.display_name.clone();
    site.house.clock.advance(6);
    assert_eq!((name().await, site.store.take().len()), ("Contoso".to_owned(), 5));
    // Nobody tells this server; it knows all the same.
    let renamed = contoso("").replace("display_name = \"Contoso\"", "display_name = \"Contoso Ltd\"");
    site.house.apply(&renamed).await;
    let link = Sources { path: Some("contoso.example"), ..Sources::default() };
    site.store.take();
    let view = directory.context(link).await.unwrap();
    assert_eq!((view.tenant.display_name.as_str(), site.store.take().len()), ("Contoso Ltd", 1 + 5), "the claim, the tenant");
    let many = futures_util::future::join_all((0..50).map(|_| directory.tenant(tenant()))).await;
    assert!(many.into_iter().all(|view| view.unwrap().is_some()));
    assert_eq!(site.store.take().len(), 2 * 5, "who came while it was read shares the next read");
    site.vestibule.live.heard(site.house.foundation.now());
    assert_eq!((name().await, site.store.take().len()), ("Contoso Ltd".to_owned(), 0));
}
