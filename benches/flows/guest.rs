//! What a guest's browser and an app do together, request by request.

use std::{collections::HashMap, fs, path::Path, thread, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use mail_parser::MessageParser;
use url::form_urlencoded::byte_serialize;

use super::{
    client::{Answer, Browser, Connection},
    setting::{CALLBACK, SECRET},
};

const VERIFIER: &str = "a-verifier-of-the-benchmark-with-more-than-43-characters";

/// An app of a tenant, as its client knows it.
#[derive(Clone)]
pub(crate) struct App {
    id: &'static str,
    domain: String,
    authorization: String,
}

impl App {
    pub(crate) fn new(id: &'static str, domain: String) -> Self {
        let authorization = format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{id}:{}", encoded(SECRET))));
        Self { id, domain, authorization }
    }

    /// The authorization request. `more` are further parameters, with a leading `&`.
    pub(crate) fn authorize(&self, scope: &str, more: &str) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        format!(
            "/{}/oauth2/v2.0/authorize?response_type=code&client_id={}&redirect_uri={}&scope={}&state=xyz&nonce=n-0S6_WzA2Mj&\
             code_challenge={challenge}&code_challenge_method=S256{more}",
            self.domain,
            self.id,
            encoded(CALLBACK),
            encoded(scope)
        )
    }

    /// A token request, which succeeds.
    pub(crate) fn token(&self, connection: &mut Connection, grant: &str) -> Answer {
        let target = format!("/{}/oauth2/v2.0/token", self.domain);
        connection.send("POST", &target, &self.authorization, Some(grant)).expect(200)
    }

    /// Trades a code.
    pub(crate) fn trade(&self, connection: &mut Connection, code: &str) -> Answer {
        let redirect_uri = encoded(CALLBACK);
        let grant = format!("grant_type=authorization_code&code={code}&redirect_uri={redirect_uri}&code_verifier={VERIFIER}");
        self.token(connection, &grant)
    }

    /// What somebody with a session does: authorize, and the app trades the code.
    pub(crate) fn code_flow(&self, connection: &mut Connection, authorize: &str, headers: &str) {
        let answer = connection.send("GET", authorize, headers, None).expect(303);
        let code = answer.location().and_then(|location| code_in(location)).expect("a code").to_owned();
        self.trade(connection, &code);
    }

    /// The direct link.
    pub(crate) fn link(&self) -> String {
        format!("/{}/signin/App/{}", self.domain, self.id)
    }

    /// A path of the tenant's provider.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", self.domain)
    }
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn code_in(location: &str) -> Option<&str> {
    location.split_once("code=")?.1.split('&').next()
}

/// A member of a token response.
pub(crate) fn member(answer: &Answer, name: &str) -> String {
    answer.between(&format!("\"{name}\":\""), '"').unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// Somebody's first visit, up to the page that asks for the code: authorize, identify, send.
pub(crate) fn ask_for_a_code(browser: &mut Browser, app: &App, mail: &str) -> Answer {
    let page = browser.open(&app.authorize("openid profile email offline_access", "&prompt=consent")).expect(200);
    let form = format!("csrf={}&email={}", page.field("csrf"), encoded(mail));
    let page = browser.submit(page.action("/address"), &form).expect(200);
    browser.submit(page.action("/send-code"), &format!("csrf={}", page.field("csrf"))).expect(200)
}

/// The rest of it: code, permissions, terms, back to the app; gives the code for the app.
pub(crate) fn redeem(browser: &mut Browser, page: &Answer, passcode: &str) -> String {
    let page = browser.submit(page.action("/code"), &format!("csrf={}&code={passcode}", page.field("csrf"))).expect(200);
    let page = browser.submit(page.action("/permissions"), &format!("csrf={}&answer=accept", page.field("csrf"))).expect(200);
    let csrf = page.field("csrf");
    browser.submit(page.action("/open-terms"), &format!("csrf={csrf}")).expect(200);
    let form = format!("csrf={csrf}&document={}&answer=accept", page.field("document"));
    let page = browser.submit(page.action("/terms"), &form).expect(200);
    let location = page.between("content=\"0; url=", '"').unwrap_or_else(|| panic!("not at the end: {}", page.body));
    code_in(location).expect("a code").to_owned()
}

/// The passcodes in a mail folder, by address; waits until there are `count`, and empties it.
pub(crate) fn passcodes(folder: &Path, count: usize) -> HashMap<String, String> {
    let mut codes = HashMap::new();
    for _ in 0..2_000 {
        for file in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|ending| ending == "eml") {
                let (to, code) = passcode(&fs::read(&file).expect("a mail"));
                codes.insert(to, code);
                fs::remove_file(&file).expect("the mail was there");
            }
        }
        if codes.len() >= count {
            return codes;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} mails of {count}", codes.len());
}

fn passcode(mail: &[u8]) -> (String, String) {
    let mail = MessageParser::default().parse(mail).expect("a mail");
    let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).expect("an addressee");
    let text = mail.body_text(0).expect("a text");
    let line =
        text.lines().map(|line| line.replace(' ', "")).find(|line| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit()));
    (to.to_owned(), line.expect("a code"))
}
