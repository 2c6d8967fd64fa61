//! A guest who goes through with it: does on each page what the page asks for.

use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use url::Url;

use super::{
    mailbox::Mailbox,
    process::{Demo, Person, SignsInWith},
    visitor::{Answer, Visitor},
};

/// More pages than any sign-in has.
const PAGES: usize = 15;

/// A demo that tests running at the same moment share. Its first guest of the home organisation has redeemed; a test that
/// uses up anybody else, or a limit, starts its own.
pub(crate) async fn shared_demo() -> Arc<Demo> {
    static SHARED: Mutex<Weak<Demo>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(demo) = shared.upgrade() {
        return demo;
    }
    let demo = Arc::new(Demo::start());
    Guest::signed_in(&demo).await;
    *shared = Arc::downgrade(&demo);
    demo
}

/// A person in front of a browser.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    pub(crate) demo: &'a Demo,
    pub(crate) person: Person,
    pub(crate) browser: Visitor,
    pub(crate) mailbox: Mailbox,
    /// The ids that were pressed, in order.
    pub(crate) pressed: Vec<&'static str>,
}

impl<'a> Guest<'a> {
    /// Somebody with a fresh browser.
    pub(crate) fn new(demo: &'a Demo, person: Person) -> Self {
        let mailbox = Mailbox::open(&demo.mail_dir);
        Self { demo, person, browser: Visitor::new(demo), mailbox, pressed: Vec::new() }
    }

    /// The first guest of the home organisation, through with everything, on the apps panel.
    pub(crate) async fn signed_in(demo: &'a Demo) -> Self {
        let mut guest = Self::new(demo, demo.person(SignsInWith::HomeOrganisation));
        let panel = guest.arrive(&demo.links.panel_by_id).await.expect(200);
        assert!(panel.page().has("sign-out"), "signed in after {:?}\n{}", guest.pressed, panel.body);
        guest
    }

    /// Opens `link` and does what is asked until nothing more is asked; gives the page at the end.
    pub(crate) async fn arrive(&mut self, link: &str) -> Answer {
        match self.arrive_at(link, "nowhere:").await {
            Ok(url) => unreachable!("{url}"),
            Err(answer) => answer,
        }
    }

    /// The same; stops with the URL as soon as the browser is sent to one that begins with `prefix`.
    pub(crate) async fn arrive_at(&mut self, link: &str, prefix: &str) -> Result<Url, Answer> {
        let answer = self.browser.open(link).await;
        self.go_on(answer, prefix, None).await
    }

    /// Goes on from `answer`; stops with the page before pressing `before` on it.
    pub(crate) async fn go_on(&mut self, mut answer: Answer, prefix: &str, before: Option<&str>) -> Result<Url, Answer> {
        for _ in 0..PAGES {
            answer = match self.browser.follow_until(answer, prefix).await {
                Ok(url) => return Ok(url),
                Err(answer) => answer,
            };
            match self.next_button(&answer) {
                Some(button) if Some(button) != before => answer = self.do_step(&answer, button).await,
                _ => return Err(answer),
            }
        }
        panic!("no end after {PAGES} pages: {:?}, now at {}\n{}", self.pressed, answer.url, answer.body);
    }

    /// Opens `link` and stops on the page that has the button `before`.
    pub(crate) async fn stop_before(&mut self, link: &str, before: &str) -> Answer {
        let answer = self.browser.open(link).await;
        match self.go_on(answer, "nowhere:", Some(before)).await {
            Ok(url) => unreachable!("{url}"),
            Err(answer) => {
                assert!(answer.page().has(before), "no {before} after {:?}\n{}", self.pressed, answer.body);
                answer
            }
        }
    }

    /// Does the one thing that this page asks for, and goes to where that leads.
    pub(crate) async fn step(&mut self, answer: Answer) -> Answer {
        let button = self.next_button(&answer).unwrap_or_else(|| panic!("nothing to press at {}\n{}", answer.url, answer.body));
        let answer = self.do_step(&answer, button).await;
        self.browser.follow(answer).await
    }

    /// The button that goes on from this page, by what the page asks for.
    fn next_button(&self, answer: &Answer) -> Option<&'static str> {
        let page = answer.page();
        let asks = |id: &str| page.has(id);
        if asks("error-code") || asks("error") {
            return None;
        }
        if asks("password") || asks("code") {
            return Some("next");
        }
        ["send-code", "accept", "next", "continue"].into_iter().find(|id| asks(id))
    }

    /// Fills in what the page asks for and presses `button`.
    async fn do_step(&mut self, answer: &Answer, button: &'static str) -> Answer {
        let page = answer.page();
        let mut typed = Vec::new();
        let passcode;
        if page.has("email") {
            typed.push(("email", self.person.email.as_str()));
        }
        if page.has("password") {
            typed.push(("password", self.person.password.as_deref().expect("a password")));
        }
        if page.has("code") {
            passcode = self.mailbox.next_to(&self.person.email).await.passcode();
            self.demo.secret(&passcode);
            typed.push(("code", &passcode));
        }
        if button == "accept" && page.has("open-terms") {
            self.pressed.push("open-terms");
            let opened = self.browser.press(&page, "open-terms", &[]).await;
            self.browser.follow(opened).await.expect(200);
        }
        self.pressed.push(button);
        self.browser.press(&page, button, &typed).await
    }
}
