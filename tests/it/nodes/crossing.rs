//! One sign-in over two nodes.

use super::{namespace, two};
use crate::support::{
    client::Client,
    journey::Guest,
    nodes::Nodes,
    process::{Person, SignsInWith},
    redis::shared,
    visitor::Direct,
};

/// Somebody whose every next request is answered by the other node.
fn wanderer(nodes: &Nodes, person: Person) -> Guest<'_> {
    Guest { browser: nodes.visitor(&[0, 1]), ..Guest::new(nodes, person) }
}

#[tokio::test]
async fn a_sign_in_begun_on_one_node_ends_on_the_other() {
    let nodes = two().await;
    for person in [nodes.guest(0), nodes.person(SignsInWith::HomeOrganisation)] {
        let mut guest = wanderer(&nodes, person);
        let panel = guest.arrive(&nodes.links.panel_by_id).await.expect(200);
        assert!(panel.page().has("sign-out"), "{:?}\n{}", guest.pressed, panel.body);
        assert_eq!(guest.pressed.iter().filter(|id| **id == "accept").count(), 2, "asked once each: {:?}", guest.pressed);
        // Either node knows the session.
        for node in [0, 1] {
            nodes.steer(&mut guest.browser, &[node]);
            assert!(guest.browser.visit(&nodes.links.panel_by_id).await.expect(200).page().has("sign-out"));
        }
        // An app's own door, which asks whichever node the proxy picks.
        nodes.steer(&mut guest.browser, &[0, 1]);
        let app = guest.arrive(&nodes.app.url).await.expect(200);
        assert!(app.body.contains("Hello"), "{}", app.body);
    }
}

/// A code from one node gives tokens at the other, once; what they open and renew, they do on both.
#[tokio::test]
async fn codes_and_tokens_of_one_node_are_good_at_the_other_and_count_once() {
    let nodes = two().await;
    let [here, there] = [0, 1].map(|node| Direct::to(vec![nodes.address(node)]));
    let (at_one, at_other) = (Client::of(&nodes).await.directly(&here), Client::of(&nodes).await.directly(&there));
    let mut guest = wanderer(&nodes, nodes.guest(0));
    nodes.steer(&mut guest.browser, &[0]);
    let request = at_one.request().with("scope", "openid email offline_access").with("prompt", "consent");
    let code = at_one.code(&mut guest, &request).await;
    let tokens = at_other.exchange(&nodes, &code, &request).await;
    at_one.userinfo(&tokens.access_token).await.expect(200);

    let refresh = |token: &str| vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())];
    let first = tokens.refresh_token.expect("a refresh token");
    let renewed = at_one.token(&refresh(&first)).await.expect(200).json();
    let second = renewed["refresh_token"].as_str().expect("a successor").to_owned();
    at_other.token(&refresh(&second)).await.expect(200);

    // The code again, where it was not exchanged: refused, and everything that it gave is worth nothing (S-30).
    let again = at_one.token(&at_one.code_grant(&code, &request.verifier)).await.expect(400);
    assert_eq!(again.json()["error"], "invalid_grant");
    for client in [&at_one, &at_other] {
        assert_eq!(client.token(&refresh(&second)).await.expect(400).json()["error"], "invalid_grant");
    }
}

/// F-14: nodes that begin together on a store that nobody has used agree on the ring that seals it, and none gives up.
#[tokio::test]
async fn f_14_nodes_that_begin_together_on_an_empty_store_all_come_up() {
    for _ in 0..2 {
        let store = shared("VESTIBULE_TEST_REDIS", &namespace());
        let nodes = Nodes::start(&[store.as_str(); 4]).await;
        let mut guest = Guest { browser: nodes.visitor(&[3, 2, 1, 0]), ..Guest::new(&nodes, nodes.guest(0)) };
        assert!(guest.arrive(&nodes.links.panel_by_id).await.expect(200).page().has("sign-out"), "{:?}", guest.pressed);
    }
}
