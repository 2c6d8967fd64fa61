//! What is done on one node is known to the other within a second. Each time is from the moment when it was acknowledged.

use serde_json::Value;

use super::{seen, two};
use crate::support::{
    client::{Client, peek},
    journey::Guest,
    nodes::Nodes,
    visitor::{Direct, Visitor},
};

/// Whether this browser is signed in, as one node sees it.
async fn signed_in(nodes: &Nodes, browser: &mut Visitor) -> bool {
    browser.visit(&nodes.links.panel_by_id).await.expect(200).page().has("sign-out")
}

fn user(mail: &str, enabled: bool) -> String {
    format!("[[tenant.user]]\ndisplay_name = \"A guest\"\nmail = \"{mail}\"\naccount_enabled = {enabled}\n")
}

#[track_caller]
fn applied(output: &std::process::Output) {
    assert!(output.status.success(), "{output:?}");
}

/// F-27, G-14: through either node's socket.
#[tokio::test]
async fn f_27_g_14_a_block_made_on_one_node_holds_on_the_other() {
    let nodes = two().await;
    for (number, (made_on, seen_by)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let mut guest = Guest::new(&nodes, nodes.guest(number));
        guest.arrive(&nodes.links.panel_by_id).await.expect(200);
        nodes.steer(&mut guest.browser, &[seen_by]);
        assert!(signed_in(&nodes, &mut guest.browser).await);
        applied(&nodes.apply_on(made_on, &user(&guest.person.email, false)));
        seen("a block", async || {
            let panel = guest.browser.visit(&nodes.links.panel_by_id).await;
            !panel.page().has("sign-out")
        })
        .await;
    }
}

/// A door that hears from either node.
#[tokio::test]
async fn g_14_a_block_reaches_the_door_of_an_app() {
    let nodes = two().await;
    let mut guest = Guest::new(&nodes, nodes.guest(0));
    guest.arrive(&nodes.app.url).await.expect(200);
    for (node, enabled) in [(0, false), (1, true), (1, false)] {
        applied(&nodes.apply_on(node, &user(&guest.person.email, enabled)));
        if enabled {
            // A session that was ended stays so: they sign in again, and nothing else is asked.
            seen("the end of a block, at a door", async || guest.browser.get_json(&nodes.app.url).await.status == 401).await;
            nodes.steer(&mut guest.browser, &[node]);
            assert!(guest.arrive(&nodes.app.url).await.expect(200).body.contains("Hello"));
            continue;
        }
        seen("a block, at a door", async || guest.browser.get_json(&nodes.app.url).await.status != 200).await;
    }
}

#[tokio::test]
async fn g_13_a_sign_out_on_one_node_holds_on_the_other() {
    let nodes = two().await;
    let mut guest = Guest::new(&nodes, nodes.guest(0));
    guest.arrive(&nodes.links.panel_by_id).await.expect(200);
    let mut thief = guest.browser.clone();
    nodes.steer(&mut thief, &[1]);
    assert!(signed_in(&nodes, &mut thief).await);
    nodes.steer(&mut guest.browser, &[0]);
    let panel = guest.browser.visit(&nodes.links.panel_by_id).await.page();
    let answer = guest.browser.press(&panel, "sign-out", &[]).await;
    seen("a sign-out", async || !signed_in(&nodes, &mut thief).await).await;
    guest.browser.follow(answer).await.expect(200);
}

#[tokio::test]
async fn l_18_new_terms_published_on_one_node_are_asked_on_the_other() {
    let nodes = two().await;
    let mut guest = Guest::new(&nodes, nodes.guest(0));
    guest.arrive(&nodes.links.panel_by_id).await.expect(200);
    for (version, (made_on, seen_by)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        std::fs::write(nodes.data().join("addendum.md"), format!("# Addendum\n\nVersion {version}.\n")).expect("a file");
        let terms = "[[tenant.agreement]]\nname = \"Addendum\"\n[[tenant.agreement.file]]\nlanguage = \"en\"\n\
                     display_name = \"Addendum\"\npath = \"addendum.md\"\n";
        nodes.steer(&mut guest.browser, &[seen_by]);
        assert!(signed_in(&nodes, &mut guest.browser).await);
        applied(&nodes.apply_on(made_on, terms));
        let mut page = None;
        seen("new terms", async || {
            let answer = guest.browser.visit(&nodes.links.panel_by_id).await;
            page = answer.body.contains(&format!("Version {version}.")).then_some(answer);
            page.is_some()
        })
        .await;
        let panel = guest.step(page.expect("the terms")).await;
        assert!(panel.page().has("sign-out"), "{}", panel.body);
    }
}

/// F-13, S-20: a new key is published by the other node, and verifies what the first one signs with it.
#[tokio::test]
async fn f_13_s_20_a_key_rotated_on_one_node_is_published_by_the_other() {
    let nodes = two().await;
    let [here, there] = [0, 1].map(|node| Direct::to(vec![nodes.address(node)]));
    let (at_one, at_other) = (Client::of(&nodes).await.directly(&here), Client::of(&nodes).await.directly(&there));
    let mut guest = Guest::new(&nodes, nodes.guest(0));
    let kids = async |client: &Client| {
        let keys: Value = client.http().get_json(client.endpoint("jwks_uri").as_str()).await.expect(200).json();
        keys["keys"].as_array().expect("keys").iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    let old = kids(&at_other).await;
    let rotated = nodes.command(0, &["keys", "rotate", "contoso.example", "--publish-ahead", "0"]);
    applied(&rotated);
    seen("a rotated key", async || kids(&at_other).await.len() == old.len() + 2).await;

    let request = at_one.request();
    let code = at_one.code(&mut guest, &request).await;
    let tokens = at_one.token(&at_one.code_grant(&code, &request.verifier)).await.expect(200).json();
    let token = tokens["access_token"].as_str().expect("an access token");
    assert_eq!(peek(token)["tid"], *nodes.tenant_id);
    let kid = jsonwebtoken::decode_header(token).expect("a JWT").kid.expect("a kid");
    assert!(!old.contains(&kid.into()), "signed with the new key");
    at_other.userinfo(token).await.expect(200);
}
