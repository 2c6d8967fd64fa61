//! One-time passcodes: mailed to those who may sign in, good once, for one browser, for few guesses.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{
    crowd,
    journey::Guest,
    page::Action,
    process::{Demo, Person, SignsInWith},
    visitor::{Answer, Visitor},
};

/// A guest in front of the field for the code, and the code.
async fn with_code<'a>(demo: &'a Demo) -> (Guest<'a>, Answer, String) {
    let mut guest = Guest::new(demo, demo.person(SignsInWith::OneTimePasscode));
    let page = guest.stop_before(&demo.links.panel_by_id, "send-code").await.page();
    let answer = guest.browser.press(&page, "send-code", &[]).await;
    let answer = guest.browser.follow(answer).await.expect(200);
    let code = guest.mailbox.next_to(&guest.person.email).await.passcode();
    demo.secret(&code);
    (guest, answer, code)
}

/// Any other code.
fn wrong(code: &str) -> String {
    let first = if code.starts_with('7') { '3' } else { '7' };
    format!("{first}{}", &code[1..])
}

async fn enter(guest: &mut Guest<'_>, page: &Answer, code: &str) -> Answer {
    let answer = guest.browser.press(&page.page(), "next", &[("code", code)]).await;
    guest.browser.follow(answer).await
}

/// The same from `times` copies of the browser at the same moment.
async fn enter_at_once(guest: &Guest<'_>, page: &Answer, code: &str, times: usize) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(times));
    let mut tries = JoinSet::new();
    for _ in 0..times {
        let (mut browser, page, barrier, code) = (guest.browser.clone(), page.page(), Arc::clone(&barrier), code.to_owned());
        tries.spawn(async move {
            barrier.wait().await;
            let answer = browser.press(&page, "next", &[("code", &code)]).await;
            browser.follow(answer).await
        });
    }
    tries.join_all().await
}

#[tokio::test]
async fn o_01_after_five_wrong_guesses_the_right_code_is_dead() {
    let demo = Demo::start();
    let (mut guest, mut page, code) = with_code(&demo).await;
    for guess in 1..=5 {
        let answer = enter(&mut guest, &page, &wrong(&code)).await;
        assert!(answer.page().has("error") || answer.page().has("error-code"), "guess {guess}: {}", answer.body);
        assert!(
            answer.code() == Some(if guess < 5 { "VB2009" } else { "VB2010" }) || guess == 5,
            "guess {guess}: {:?}",
            answer.code()
        );
        if answer.page().has("code") {
            page = answer;
        }
    }
    let answer = enter(&mut guest, &page, &code).await;
    assert!(!answer.page().has("accept") && answer.code().is_some(), "{}", answer.body);
}

/// O-02: neither a new browser nor a new code gives the guesser more tries within the hour.
#[tokio::test]
async fn o_02_a_new_browser_or_a_new_code_does_not_reset_the_guesses() {
    let demo = Demo::start();
    let mut compared = 0;
    for _ in 0..4 {
        let mut guest = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
        let page = guest.stop_before(&demo.links.panel_by_id, "send-code").await.page();
        let sent = guest.browser.press(&page, "send-code", &[]).await;
        let mut answer = guest.browser.follow(sent).await;
        for _ in 0..8 {
            if !answer.page().has("code") {
                break;
            }
            answer = enter(&mut guest, &answer, "00000000").await;
            compared += usize::from(answer.code() == Some("VB2009"));
        }
    }
    assert!(compared <= 15, "{compared} guesses were compared");
}

/// O-03: guesses are counted before they are compared, also when they come together.
#[tokio::test(flavor = "multi_thread")]
async fn o_03_guesses_side_by_side_are_not_more_guesses() {
    let _crowd = crowd().await;
    let demo = Demo::start();
    let (guest, page, code) = with_code(&demo).await;
    let guesses = 200;
    let answers = enter_at_once(&guest, &page, &wrong(&code), guesses).await;
    let compared = answers.iter().filter(|answer| answer.code() == Some("VB2009")).count();
    assert!(compared <= 5, "{compared} of {guesses} guesses were compared");
    let mut guest = guest;
    let answer = enter(&mut guest, &page, &code).await;
    assert!(!answer.page().has("accept"), "the code outlived {guesses} guesses");
}

fn form(browser: &Visitor, url: &url::Url, fields: &[(String, String)]) -> reqwest::RequestBuilder {
    let request = browser.request(Method::POST, url).header("origin", url.origin().ascii_serialization());
    request
        .header("accept", "text/html")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate")
        .form(fields)
}

/// O-04: asking again and again sends one message within the pause, and the page is the same.
#[tokio::test]
async fn o_04_asking_again_at_once_sends_nothing_more() {
    let demo = Demo::start();
    let (mut guest, page, _) = with_code(&demo).await;
    let mut texts = Vec::new();
    for _ in 0..11 {
        let answer = guest.browser.press(&page.page(), "send-code", &[]).await;
        let answer = guest.browser.follow(answer).await;
        texts.push((answer.status, answer.page().has("code")));
    }
    // another browser asks for the same address
    let mut other = Guest::new(&demo, guest.person.clone());
    let page = other.stop_before(&demo.links.panel_by_id, "send-code").await.page();
    let answer = other.browser.press(&page, "send-code", &[]).await;
    other.browser.follow(answer).await;
    guest.mailbox.stays_empty().await;
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

/// L-13, L-10: however an address is typed, it is one address. Its codes go to the mailbox that was invited, and all
/// spellings together have the sends and the guesses of one.
#[tokio::test]
async fn l_13_l_10_spellings_of_an_address_share_its_mailbox_and_its_counters() {
    let demo = Demo::start();
    let person = demo.person(SignsInWith::OneTimePasscode);
    let (name, domain) = person.email.split_once('@').expect("an address");
    let upper = (name.to_ascii_uppercase(), domain.to_ascii_uppercase());
    let spellings = [
        person.email.clone(),
        format!("{}@{}", upper.0, upper.1),
        format!("{name}@{}", upper.1),
        format!("{}@{domain}", upper.0),
    ];
    let mut guesses = 0;
    for (number, email) in spellings.into_iter().enumerate() {
        let mut guest = Guest::new(&demo, Person { email, ..person.clone() });
        let page = guest.stop_before(&demo.links.panel_by_id, "send-code").await.page();
        if number > 0 {
            let answer = guest.browser.press(&page, "send-code", &[]).await;
            guest.browser.follow(answer).await;
            guest.mailbox.stays_empty().await;
            demo.later(Duration::from_secs(31));
        }
        let answer = guest.browser.press(&page, "send-code", &[]).await;
        let mut answer = guest.browser.follow(answer).await;
        if number < 3 {
            assert_eq!(guest.mailbox.next_to(&person.email).await.to, person.email, "the mailbox that was invited");
        }
        for _ in 0..5 {
            if answer.page().has("code") {
                answer = enter(&mut guest, &answer, "00000000").await;
                guesses += usize::from(answer.code() == Some("VB2009"));
            }
        }
    }
    assert_eq!(guesses, 15, "what three codes allow; the fourth is not compared with anything");
}

/// O-05: guessing at one person's code keeps nobody else out, and the home organisation is not affected at all.
#[tokio::test]
async fn o_05_a_guesser_locks_nobody_else_out() {
    let demo = Demo::start();
    let (mut guest, mut page, code) = with_code(&demo).await;
    for _ in 0..8 {
        let answer = enter(&mut guest, &page, &wrong(&code)).await;
        if answer.page().has("code") {
            page = answer;
        }
    }
    Guest::signed_in(&demo).await;
}

/// O-06: a code is good in the browser that asked for it and in no other.
#[tokio::test]
async fn o_06_l_03_a_code_is_bound_to_the_browser_that_asked() {
    let demo = Demo::start();
    let mut attacker = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    let page = attacker.stop_before(&demo.links.panel_by_id, "send-code").await.page();
    // The victim asks; the attacker has a journey of their own for the same address.
    let (mut victim, victims_page, code) = with_code(&demo).await;
    let sent = attacker.browser.press(&page, "send-code", &[]).await;
    let attackers_page = attacker.browser.follow(sent).await;
    if attackers_page.page().has("code") {
        let answer = enter(&mut attacker, &attackers_page, &code).await;
        assert!(!answer.page().has("accept"), "L-03: {}", answer.body);
    }
    // The attacker posts the victim's very form without the victim's cookies.
    let Action::Post(url, fields) = victims_page.page().press("next", &[("code", &code)]) else { panic!("not a POST") };
    let answer = attacker.browser.act(Action::Post(url, fields)).await;
    assert!(answer.status.is_client_error(), "{}", answer.body);
    // And the victim is not kept from going on.
    let answer = enter(&mut victim, &victims_page, &code).await.expect(200);
    assert!(answer.page().has("accept"), "{}", answer.body);
}

/// O-07: what is on disk does not hold the code.
#[tokio::test]
async fn o_07_o_14_the_store_holds_no_code_in_the_clear() {
    let demo = Demo::start();
    let (_, _, code) = with_code(&demo).await;
    for entry in std::fs::read_dir(demo.data()).expect("the data folder").flatten().filter(|entry| entry.path().is_file()) {
        let bytes = std::fs::read(entry.path()).expect("a readable file");
        assert!(!bytes.windows(code.len()).any(|window| window == code.as_bytes()), "{}", entry.path().display());
    }
}

/// O-09: the right code works once, also when two requests bring it at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn o_09_the_right_code_works_once() {
    let demo = Demo::start();
    let (mut guest, page, code) = with_code(&demo).await;
    let answers = enter_at_once(&guest, &page, &code, 20).await;
    let through = answers.iter().filter(|answer| answer.page().has("accept") && answer.code().is_none()).count();
    assert_eq!(through, 1, "{:?}", answers.iter().map(|answer| (answer.status, answer.code())).collect::<Vec<_>>());
    let answer = enter(&mut guest, &page, &code).await;
    assert!(!answer.page().has("accept") || answer.code().is_some(), "used again: {}", answer.body);
}

/// O-12: nothing that a request says finds its way into the mail.
#[tokio::test]
async fn o_12_the_mail_is_the_same_whatever_the_request_claims() {
    let demo = Demo::start();
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::OneTimePasscode));
    let page = guest.stop_before(&demo.links.panel_by_id, "send-code").await.page();
    let Action::Post(url, fields) = page.press("send-code", &[]) else { panic!("not a POST") };
    let mut request = form(&guest.browser, &url, &fields);
    for header in
        ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-server", "x-host", "x-original-host", "referer", "forwarded"]
    {
        request = request.header(header, "host=evil.example");
    }
    let answer = guest.browser.send(request).await;
    guest.browser.follow(answer).await.expect(200);
    let mail = guest.mailbox.next_to(&guest.person.email).await;
    for part in [&mail.subject, &mail.text, &mail.html] {
        assert!(!part.contains("evil.example"), "{part}");
    }
    // Whatever address the mail names is the configured one.
    for word in mail.text.split_whitespace().chain(mail.html.split(['"', ' '])).filter(|word| word.starts_with("http")) {
        assert!(word.starts_with(&demo.origin()) || !word.contains("127.0.0.1"), "{word}");
    }
    // And a request under another name is not answered at all.
    let renamed = guest.browser.request(Method::GET, &url).header("host", "evil.example");
    let answer = guest.browser.receive(renamed).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert!(!answer.body.contains("evil.example"), "{}", answer.body);
}
