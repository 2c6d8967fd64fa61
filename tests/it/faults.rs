//! The store is away, slow, full, cut off, replaced: what people and doors then see, and what is still so afterwards.
//!
//! Five things hold in every one of these (the names are those of the checklist):
//! (I1) nothing has two effects; (I2) what was acknowledged is there afterwards; (I3) people see what happened, a reference,
//! and a retry that works; (I4) no panic, and no door that opens because of an error; (I5) no secret in a log. I5 and the
//! panics are looked for in every node's log when it ends, see [`Demo`](crate::support::process::Demo).

mod away;
mod failover;
mod partitions;
mod restarts;
mod slow;
mod unwilling;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use crate::support::{
    client::Client,
    journey::Guest,
    ledger::Ledger,
    nodes::Nodes,
    page::Action,
    process::{Person, spare_address},
    redis::{Sentinels, url_at},
    visitor::{Answer, Visitor},
    wire::Wire,
};

/// How long a door may go on letting people in who were in, when nobody can say whether they may be (product: 5 s), and a
/// moment for the test itself.
const SHUT_WITHIN: Duration = Duration::from_secs(7);
/// How long things may take to be well again once their cause is gone.
const WELL_WITHIN: Duration = Duration::from_secs(20);

/// Waits until `so`, at most `within`; gives how long it took.
async fn until(what: &str, within: Duration, mut so: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("{what}: after {} ms", begun.elapsed().as_millis());
    begun.elapsed()
}

/// I3, I4: a page that says what happened, with a reference and a time to try again.
#[track_caller]
fn says_it_is_away(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}: {:?}\n{}", answer.url, answer.headers, answer.body);
    assert!(["VB9002", "VB9003"].contains(&answer.code().unwrap_or_default()), "{}", answer.body);
    let seconds: u64 = answer.header("retry-after").parse().expect("I3: when to try again");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(answer.page().has("trace-id") && answer.page().has("next-step"), "I3: a reference and a next step: {}", answer.body);
}

/// Somebody who is signed in everywhere: at the provider, and in the app.
async fn inside<'a>(nodes: &'a Nodes, person: &Person) -> Guest<'a> {
    let mut guest = Guest::new(nodes, person.clone());
    assert!(guest.arrive(&nodes.links.panel_by_id).await.expect(200).page().has("sign-out"), "{:?}", guest.pressed);
    // An app's door that has just been put up, or could not reach anybody, takes a moment to hear that it may open.
    until("the app's door", WELL_WITHIN, async || guest.browser.visit(&nodes.app.url).await.status == 200).await;
    assert!(guest.arrive(&nodes.app.url).await.expect(200).body.contains("Hello"), "{:?}", guest.pressed);
    guest.pressed.clear();
    guest
}

/// I2: they still are, without doing anything.
async fn still_inside(nodes: &Nodes, guest: &mut Guest<'_>) {
    guest.pressed.clear();
    assert!(guest.arrive(&nodes.links.panel_by_id).await.expect(200).page().has("sign-out"), "I2: {:?}", guest.pressed);
    assert!(guest.arrive(&nodes.app.url).await.expect(200).body.contains("Hello"), "I2: {:?}", guest.pressed);
    assert!(guest.pressed.is_empty(), "I2: asked again for {:?}", guest.pressed);
}

/// The apps panel, as a browser opens it.
async fn panel(nodes: &Nodes, browser: &mut Visitor) -> Answer {
    browser.visit(&nodes.links.panel_by_id).await
}

/// A program's request to the app, which is behind a door of its own. Anything but 200 means that it is shut.
async fn door(nodes: &Nodes, browser: &mut Visitor) -> u16 {
    browser.get_json(&nodes.app.url).await.status.as_u16()
}

/// A guest on the page before the last, with the answer that redeems in their hand.
async fn about_to_redeem<'a>(nodes: &'a Nodes, person: &Person) -> (Guest<'a>, Action) {
    let mut guest = Guest::new(nodes, person.clone());
    let review = guest.stop_before(&nodes.links.panel_by_id, "accept").await;
    let terms = guest.step(review).await.page();
    let opened = guest.browser.press(&terms, "open-terms", &[]).await;
    guest.browser.follow(opened).await.expect(200);
    let accept = terms.press("accept", &[]);
    (guest, accept)
}

/// Presses again until it goes well, as the page says; gives the page at the end.
async fn press_until_done(guest: &mut Guest<'_>, action: &Action) -> Answer {
    let deadline = Instant::now() + WELL_WITHIN;
    loop {
        let answer = guest.browser.act(action.clone()).await;
        let answer = guest.browser.follow(answer).await;
        if answer.status != 503 {
            return answer;
        }
        assert!(Instant::now() < deadline, "I3: the retry does not work: {}", answer.body);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What the store says in the end: nobody redeemed twice, and so many did.
async fn redeemed(nodes: &Nodes, expected: usize) {
    redeemed_at(nodes, 0, expected).await;
}

/// The same, where only some nodes know the store that counts.
async fn redeemed_at(nodes: &Nodes, node: usize, expected: usize) {
    let ledger = Ledger::read(nodes.config(node)).await;
    ledger.each_answered_once();
    assert_eq!(ledger.redeemed().len(), expected, "I1, I2");
}

/// Two nodes over a Sentinel set that can be split: the first one knows the old primary only, and goes on reaching it; the
/// second one asks the Sentinels, and reaches the old primary as they do, over the wire.
struct Split {
    wire: Wire,
    set: Sentinels,
    nodes: Nodes,
}

impl Split {
    async fn start() -> Self {
        let (primary, told) = (spare_address(), spare_address());
        let wire = Wire::at(told, primary);
        let set = Sentinels::start_behind(primary, told);
        let old = format!("{}&acknowledgements=1", url_at(primary));
        let nodes = Nodes::start(&[&old, &set.url()]).await;
        Self { wire, set, nodes }
    }
}

/// Tokens that were given, to be found again.
struct Given {
    client: Client,
    refresh: Vec<String>,
}

impl Given {
    async fn new(nodes: &Nodes) -> Self {
        Self { client: Client::of(nodes).await, refresh: Vec::new() }
    }

    /// Asks for tokens; whether they were given. What was not acknowledged counts for nothing.
    async fn ask(&mut self, guest: &mut Guest<'_>) -> bool {
        let request = self.client.request().with("scope", "openid offline_access").with("prompt", "consent");
        let Ok(back) = guest.arrive_at(&request.url(), &self.client.redirect_uri).await else { return false };
        let code = self.client.code_in(&back, &request);
        let answer = self.client.token(&self.client.code_grant(&code, &request.verifier)).await;
        assert!(matches!(answer.status.as_u16(), 200 | 400 | 503), "I4: {}", answer.body);
        if answer.status != 200 {
            return false;
        }
        self.refresh.push(answer.json()["refresh_token"].as_str().expect("a refresh token").to_owned());
        true
    }

    /// The request that renews one of them.
    fn renewal(&self, number: usize) -> Vec<(&'static str, String)> {
        vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", self.refresh[number].clone())]
    }

    /// I1, I2: every one that was given is known, and they are all different.
    async fn all_are_known(&self) {
        assert_eq!(self.refresh.iter().collect::<HashSet<_>>().len(), self.refresh.len());
        for number in 0..self.refresh.len() {
            let answer = self.client.token(&self.renewal(number)).await;
            assert_eq!(answer.status, 200, "I2: token {number} of {} was acknowledged: {}", self.refresh.len(), answer.body);
        }
    }
}
