//! The same moment on two nodes: whatever is asked two hundred times, it happens once.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, header::ACCEPT};
use tokio::{sync::Barrier, task::JoinSet};

use super::two;
use crate::support::{
    count, crowd,
    journey::Guest,
    ledger::Ledger,
    nodes::{Nodes, home_member},
    page::Action,
    process::Person,
    visitor::{Answer, Visitor},
};

/// How many requests there are at one moment.
const REQUESTS: usize = 200;
/// How many people are invited at once.
const BATCH: usize = 25;

/// What is pressed last, and the browser to press it in.
struct Last {
    browser: Visitor,
    action: Action,
}

/// Signs somebody in up to the terms, with the answer that redeems in their hand.
async fn about_to_redeem(nodes: &Nodes, person: &Person) -> Last {
    let mut guest = Guest::new(nodes, person.clone());
    let review = guest.stop_before(&nodes.links.panel_by_id, "accept").await;
    let terms = guest.step(review).await.page();
    let opened = guest.browser.press(&terms, "open-terms", &[]).await;
    guest.browser.follow(opened).await.expect(200);
    Last { browser: guest.browser, action: terms.press("accept", &[]) }
}

/// Sends all of these together, each as often as it takes to make two hundred; gives each answer with its place in `lasts`.
///
/// A Redis that does not answer in time has whoever asked told so, and that nothing was changed: on a machine that has other
/// things to do, two hundred writes to one record can come to that. Those are pressed again, and it works (I3). A file has no
/// such excuse. (That any other answer is a page of ours is checked as it is received.)
async fn at_once(lasts: &[Last], nodes: usize) -> Vec<(usize, Answer)> {
    let mut waiting: Vec<_> = (0..REQUESTS).map(|number| number % lasts.len()).collect();
    let mut answered = Vec::new();
    for _ in 0..10 {
        let (put_off, done): (Vec<_>, Vec<_>) =
            press(lasts, &waiting).await.into_iter().partition(|(_, answer)| answer.status == 503);
        answered.extend(done);
        if put_off.is_empty() {
            return answered;
        }
        assert!(nodes > 1, "{} are to try again: {}", put_off.len(), put_off[0].1.body);
        eprintln!("{} of {} are to try again", put_off.len(), waiting.len());
        for (_, answer) in &put_off {
            assert_eq!((answer.code(), answer.header("retry-after")), (Some("VB9002"), "5"), "{}", answer.body);
        }
        waiting = put_off.into_iter().map(|(place, _)| place).collect();
    }
    panic!("I3: {} are still to try again", waiting.len());
}

/// Presses the buttons at these places at one moment.
async fn press(lasts: &[Last], places: &[usize]) -> Vec<(usize, Answer)> {
    let barrier = Arc::new(Barrier::new(places.len()));
    let mut requests = JoinSet::new();
    for &place in places {
        let (browser, barrier) = (lasts[place].browser.clone(), Arc::clone(&barrier));
        let Action::Post(url, fields) = lasts[place].action.clone() else { panic!("not a form") };
        requests.spawn(async move {
            let request = browser.request(Method::POST, &url).header(ACCEPT, "text/html").header("sec-fetch-site", "same-origin");
            barrier.wait().await;
            (place, browser.receive(request.form(&fields)).await)
        });
    }
    requests.join_all().await
}

/// Goes on from one of the answers, with what it set.
async fn end_of(last: &Last, answer: Answer) -> Answer {
    let mut browser = last.browser.clone();
    browser.jar.store(&answer.url, &answer.headers);
    browser.follow(answer).await
}

/// What the store knows in the end. One that is a file is opened when its server has ended.
async fn ledger(nodes: &Nodes) -> Ledger {
    let node = nodes.process();
    node.signal("TERM");
    assert!(node.wait(Duration::from_secs(30)).is_some_and(|status| status.success()), "{}", node.log());
    let ledger = Ledger::read(nodes.config(0)).await;
    ledger.each_answered_once();
    ledger
}

/// F-05: one guest, who clicks two hundred times at one moment, on all nodes.
async fn one_identity(nodes: &Nodes, all: &[usize]) {
    let rounds = count(3, 1000);
    let names: Vec<_> = (0..rounds).map(|round| format!("guest-{round}@fabrikam.example")).collect();
    for people in names.chunks(BATCH) {
        for person in nodes.invite(people) {
            let mut last = about_to_redeem(nodes, &person).await;
            nodes.steer(&mut last.browser, all);
            let lasts = [last];
            let answers = at_once(&lasts, all.len()).await;
            // Both tabs end signed in, or one says how to go on.
            let (first, other) = (answers[0].1.clone(), answers[answers.len() - 1].1.clone());
            for answer in [first, other] {
                let page = end_of(&lasts[0], answer).await.expect(200);
                assert!(page.page().has("sign-out") || page.page().has("continue"), "{}\n{}", page.url, page.body);
            }
        }
    }
    let ledger = ledger(nodes).await;
    assert_eq!(ledger.redeemed().len(), rounds, "I1, I2: one redemption for each, and one entry");
}

/// F-06: one invitation, two people who both hold its address in their hands, at one moment: one is bound, the other is told.
async fn two_identities(nodes: &Nodes, all: &[usize]) {
    let rounds = count(2, 100);
    for round in 0..rounds {
        let address = format!("desk-{round}@fabrikam.example");
        let invited = format!("[[tenant.user]]\ndisplay_name = \"A guest\"\nmail = \"{address}\"\n");
        let [one, other] = [1, 2].map(|which| format!("00000000-0000-4000-8000-{:012}", round * 10 + which));
        let (person, moved) = (nodes.member(&address), nodes.member(&format!("former-desk-{round}@fabrikam.example")));
        nodes.apply_at_home(&invited, &home_member(&person, Some(&one)));
        let first = about_to_redeem(nodes, &person).await;
        // The address changes hands at home while the first one reads the terms.
        nodes.apply_at_home("", &home_member(&moved, Some(&one)));
        nodes.apply_at_home("", &home_member(&person, Some(&other)));
        let second = about_to_redeem(nodes, &person).await;
        let mut lasts = [first, second];
        for last in &mut lasts {
            nodes.steer(&mut last.browser, all);
        }
        let answers = at_once(&lasts, all.len()).await;
        let mut ends = Vec::new();
        for (place, last) in lasts.iter().enumerate() {
            let (_, answer) = answers.iter().find(|(of, _)| *of == place).expect("an answer").clone();
            ends.push(end_of(last, answer).await);
        }
        // Inside, or told that all is set by one of the other clicks.
        let is_inside = |end: &&Answer| ["sign-out", "continue"].iter().any(|id| end.page().has(id)) && end.code().is_none();
        let (inside, refused): (Vec<_>, Vec<_>) = ends.iter().partition(is_inside);
        assert_eq!((inside.len(), refused.len()), (1, 1), "I1: {:?}", ends.iter().map(|end| &end.body).collect::<Vec<_>>());
        assert_eq!(refused[0].code(), Some("VB2005"), "a clear page: {}", refused[0].body);
    }
    let ledger = ledger(nodes).await;
    assert_eq!(ledger.redeemed().len(), rounds, "I1, I2: one redemption for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_05_two_hundred_clicks_on_one_node_redeem_once() {
    let _crowd = crowd().await;
    one_identity(&Nodes::start(&["store.redb"]).await, &[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_05_two_hundred_clicks_on_two_nodes_redeem_once() {
    let _crowd = crowd().await;
    one_identity(&two().await, &[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_06_two_identities_for_one_invitation_on_one_node() {
    let _crowd = crowd().await;
    two_identities(&Nodes::start(&["store.redb"]).await, &[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_06_two_identities_for_one_invitation_on_two_nodes() {
    let _crowd = crowd().await;
    two_identities(&two().await, &[0, 1]).await;
}
