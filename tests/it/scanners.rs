//! Mail scanners open links, run their scripts and press their buttons before the person comes. An invitation survives it all
//! (checklist L-09): the corpus is `fixtures/mail-scanners.txt`.

use std::time::Duration;

use reqwest::{
    Method,
    header::{ACCEPT, USER_AGENT},
};
use url::Url;

use crate::support::{
    browser::Browser,
    journey::Guest,
    ledger::Ledger,
    page::Action,
    process::{Demo, Person},
    visitor::{Answer, Visitor},
};

const CORPUS: &str = include_str!("../../fixtures/mail-scanners.txt");

/// A scanner at work on a link.
struct Scanner<'a> {
    demo: &'a Demo,
    link: String,
    agent: Option<String>,
    visitor: Visitor,
    /// The page that it came to last.
    last: Option<Answer>,
}

impl Scanner<'_> {
    async fn ask(&self, method: Method, url: &Url) -> Answer {
        let request = self.visitor.request(method, url).header(ACCEPT, "text/html");
        let request = match &self.agent {
            Some(agent) => request.header(USER_AGENT, agent),
            None => request,
        };
        self.visitor.receive(request).await
    }

    fn url(&self) -> Url {
        Url::parse(&self.link).expect("a link")
    }

    async fn step(&mut self, step: &str) {
        match step {
            "head" | "get" | "options" => {
                let method = Method::from_bytes(step.to_ascii_uppercase().as_bytes()).expect("a method");
                self.ask(method, &self.url()).await;
            }
            "bare" => {
                let answer = self.ask(Method::GET, &self.url()).await;
                let onward = answer.location().expect("it leads on");
                self.ask(Method::GET, &onward).await;
            }
            "follow" => self.last = Some(self.visitor.visit(&self.link.clone()).await),
            "press" => self.press_everything().await,
            "post" => self.post_without_cookies().await,
            "browser" => {
                let browser = Browser::start().await;
                browser.open(&self.link).await;
                browser.wait_for("send-code").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                browser.close().await;
            }
            "later" => self.visitor = Visitor::new(self.demo),
            _ => match step.split_once('=') {
                Some(("agent", agent)) => self.agent = Some(agent.replace('_', " ")),
                Some(("add", more)) => self.link.push_str(more),
                _ => panic!("{step} is no step"),
            },
        }
    }

    /// Presses every button and link of our own on the pages that it comes to, without the mailbox.
    async fn press_everything(&mut self) {
        let first = self.last.clone().expect("a page");
        let mut pages = vec![first.clone()];
        for _ in 0..40 {
            let Some(answer) = pages.pop() else { break };
            let page = answer.page();
            let ids = page.elements.iter().filter(|element| ["a", "button"].contains(&element.name.as_str()));
            let ids: Vec<_> = ids.filter_map(|element| element.attribute("id").map(str::to_owned)).collect();
            for id in ids {
                let typed = [("email", "scanner@gateway.example"), ("code", "12345678"), ("password", "x")];
                let typed: Vec<_> = typed.into_iter().filter(|(field, _)| page.has(field)).collect();
                let action = page.press(&id, &typed);
                let (Action::Get(url) | Action::Post(url, _)) = &action;
                if url.origin().ascii_serialization() != self.demo.origin() {
                    continue;
                }
                let pressed = self.visitor.act(action).await;
                let shown = self.visitor.follow(pressed).await;
                assert!(!shown.page().has("sign-out"), "a scanner is signed in at {}", shown.url);
                if shown.url != answer.url || shown.body.len() != answer.body.len() {
                    pages.insert(0, shown);
                }
            }
            pages.truncate(6);
        }
    }

    /// Sends the forms of the page behind the link in the name of somebody without its cookies.
    async fn post_without_cookies(&mut self) {
        let shown = Visitor::new(self.demo).visit(&self.link).await;
        let page = shown.page();
        for button in ["send-code", "switch-account", "next"] {
            if page.has(button) {
                let refused = Visitor::new(self.demo).act(page.press(button, &[])).await;
                assert!(refused.status.is_client_error(), "{button}: {}", refused.status);
            }
        }
    }
}

/// Does what a case says.
async fn scan(demo: &Demo, link: &str, steps: &str) {
    let mut scanner = Scanner { demo, link: link.to_owned(), agent: None, visitor: Visitor::new(demo), last: None };
    let mut before = "";
    for step in steps.split(' ') {
        match step.strip_prefix('x').and_then(|times| times.parse::<usize>().ok()) {
            Some(times) => {
                for _ in 1..times {
                    scanner.step(before).await;
                }
            }
            None => scanner.step(step).await,
        }
        before = step;
    }
}

/// The person comes, and it all works.
async fn redeems(demo: &Demo, person: &Person, link: &str) {
    let mut guest = Guest::new(demo, person.clone());
    match guest.arrive_at(link, &demo.app.url).await {
        Ok(_) => {}
        Err(answer) => panic!("{:?} {}\n{}", guest.pressed, answer.url, answer.body),
    }
    assert!(guest.pressed.contains(&"accept"), "{:?}", guest.pressed);
}

/// The names, steps and sources of all cases.
fn cases() -> Vec<(&'static str, &'static str)> {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let cases: Vec<_> = lines
        .map(|line| {
            let parts: Vec<_> = line.split(" | ").collect();
            let [name, steps, source] = parts[..] else { panic!("{line}") };
            assert!(source.contains(".com/") || source.starts_with("our own: "), "{name}: no source");
            (name, steps)
        })
        .collect();
    assert!(cases.len() >= 12, "{cases:?}");
    cases
}

/// All of them one after the other, and in the end one person with one redemption.
#[tokio::test]
async fn l_09_no_scanner_uses_an_invitation_up() {
    let demo = Demo::start();
    let (person, link) = demo.invited();
    let writing = |steps: &str| steps.contains("press");
    for (name, steps) in cases() {
        println!("{name}");
        let before = store_bytes(&demo);
        scan(&demo, &link, steps).await;
        // Pressing asks for codes, which are counted; nothing else of it writes anything.
        assert!(writing(steps) || store_bytes(&demo) == before, "{name}: something was written");
    }
    // The codes that it asked for are not for it: the person waits until the next one may be sent.
    demo.later(Duration::from_secs(31));
    redeems(&demo, &person, &link).await;
    let config = demo.data().join("vestibule.toml");
    let process = demo.process();
    process.signal("TERM");
    assert!(process.wait(Duration::from_secs(30)).is_some_and(|status| status.success()), "{}", process.log());
    assert_eq!(Ledger::read(&config).await.redeemed().len(), 1, "by the person alone");
}

/// The bytes of every file in the data folder.
fn store_bytes(demo: &Demo) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(demo.data()).expect("the data folder").flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    let mut files: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).expect("a readable file"))).collect();
    files.sort();
    files
}
