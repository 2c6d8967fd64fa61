//! A server whose tenants trust foreign home organisations, and people in front of it.

use serde_json::{Value, json};
use url::Url;

use super::home::{Home, Plan};
use crate::support::{
    declared::{guest, tenant},
    mailbox::Mailbox,
    process::spare_address,
    random,
    visitor::{Answer, Visitor},
    world::Server,
};

const CONTOSO: &str = "c0c0c0c0-0000-4000-8000-000000000011";
const ADATUM: &str = "ada0ada0-0000-4000-8000-000000000012";
const EXPENSES: &str = "a99a99a9-0000-4000-8000-000000000013";
/// The federations: Contoso with Northwind, Contoso with Tailspin, Adatum with Tailspin.
const TRUSTS: [&str; 3] =
    ["fed0fed0-0000-4000-8000-000000000021", "fed0fed0-0000-4000-8000-000000000022", "fed0fed0-0000-4000-8000-000000000023"];

/// Guests of Contoso, invited and nothing more.
pub(super) const GUESTS: [&str; 4] =
    ["mia@northwind.example", "noah@northwind.example", "omar@northwind.example", "tess@tailspin.example"];
/// A guest of Adatum.
pub(super) const ADATUM_GUEST: &str = "uma@tailspin.example";

/// Northwind takes its clients' secrets in a header, signs with RSA and says at its userinfo endpoint alone who people
/// are; Tailspin takes them in the body, signs with an elliptic curve and says it in the ID token.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) server: Server,
    pub(super) northwind: Plan,
    pub(super) tailspin: Plan,
    app_redirect: String,
}

impl Place {
    /// Starts the server; the home organisations do not run yet.
    pub(super) async fn start() -> Self {
        let url = format!("http://guests.localhost:{}", spare_address().port());
        let mut northwind = Plan::new("Northwind", "RS256", "client_secret_basic", "userinfo");
        let mut tailspin = Plan::new("Tailspin", "ES256", "client_secret_post", "id_token");
        let callback = |tenant: &str, trust: &str| format!("{url}/{tenant}/federation/{trust}/callback");
        northwind.redirect_to(&callback(CONTOSO, TRUSTS[0]));
        tailspin.redirect_to(&callback(CONTOSO, TRUSTS[1]));
        tailspin.redirect_to(&callback(ADATUM, TRUSTS[2]));
        for guest in GUESTS.iter().chain([&ADATUM_GUEST]) {
            let home = if guest.ends_with("@northwind.example") { &mut northwind } else { &mut tailspin };
            home.person(guest, guest, true);
        }
        northwind.person("unverified", GUESTS[0], false);
        northwind.person("impostor", GUESTS[3], true);
        let trust = |id: &str, plan: &Plan| {
            format!(
                "[[tenant.federation]]\nid = \"{id}\"\ndisplay_name = \"{}\"\nissuer = \"{}\"\nclient_id = \"contoso\"\n\
                 client_secret = \"{}\"\ndomains = [\"{}.example\"]\n",
                plan.name,
                plan.issuer(),
                plan.secret,
                plan.name.to_ascii_lowercase()
            )
        };
        let app_redirect = "https://expenses.contoso.example/callback".to_owned();
        let declared = [
            tenant(CONTOSO, "Contoso", &[("contoso.example", true)]),
            format!("[[tenant.app]]\nid = \"{EXPENSES}\"\ndisplay_name = \"Expenses\"\nredirect_uris = [\"{app_redirect}\"]\n"),
            trust(TRUSTS[0], &northwind),
            trust(TRUSTS[1], &tailspin),
            GUESTS.iter().map(|mail| guest(mail)).collect(),
            tenant(ADATUM, "Adatum", &[("adatum.example", true)]),
            trust(TRUSTS[2], &tailspin),
            guest(ADATUM_GUEST),
        ];
        let server = Server::start(&url, &format!("\"{}\", \"{}\"", northwind.host, tailspin.host), &declared.concat());
        server.ready().await;
        Self { server, northwind, tailspin, app_redirect }
    }

    /// The same with Northwind running.
    pub(super) async fn with_northwind() -> (Self, Home) {
        let place = Self::start().await;
        let northwind = place.northwind.start().await;
        (place, northwind)
    }

    /// The panel of Contoso.
    pub(super) fn contoso(&self) -> String {
        format!("{}/contoso.example", self.server.url)
    }

    /// The panel of Adatum.
    pub(super) fn adatum(&self) -> String {
        format!("{}/adatum.example", self.server.url)
    }

    /// What an app of Contoso sends people to that wants them to prove anew who they are.
    pub(super) fn anew(&self) -> String {
        let mut url = Url::parse(&format!("{}/{CONTOSO}/oauth2/v2.0/authorize", self.server.url)).expect("a URL");
        let fresh = random();
        url.query_pairs_mut().extend_pairs([
            ("client_id", EXPENSES),
            ("redirect_uri", &self.app_redirect),
            ("response_type", "code"),
            ("scope", "openid"),
            ("state", &fresh),
            ("nonce", &fresh),
            // Of the right form, which will do: nobody exchanges the code.
            ("code_challenge", &fresh),
            ("code_challenge_method", "S256"),
            ("prompt", "login"),
        ]);
        url.into()
    }

    /// Somebody with a fresh browser.
    pub(super) fn somebody(&self) -> Somebody<'_> {
        let mut browser = Visitor::of(vec![self.server.url.clone()]);
        browser.foreign = vec![self.northwind.issuer(), self.tailspin.issuer()];
        Somebody { place: self, browser }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.server.process.log());
            return;
        }
        let log = self.server.process.log();
        assert!(!log.contains("panicked at"), "a panic in the log:\n{log}");
        for secret in [&self.northwind, &self.tailspin].into_iter().flat_map(|plan| [&plan.secret, &plan.password]) {
            assert!(!log.contains(secret.as_str()), "O-14: a secret in the log:\n{log}");
        }
        for guest in GUESTS.iter().chain([&ADATUM_GUEST]) {
            assert!(!log.contains(guest), "W-04: an address in the log:\n{log}");
        }
    }
}

/// A person in front of a browser.
#[derive(Clone, Debug)]
pub(super) struct Somebody<'a> {
    place: &'a Place,
    pub(super) browser: Visitor,
}

impl Somebody<'_> {
    /// Opens `link`, types `email`, and goes where that leads: to the login form of the home organisation, if all is well.
    pub(super) async fn leave(&mut self, link: &str, email: &str) -> Answer {
        let page = self.browser.visit(link).await.expect(200).page();
        let answer = self.browser.press(&page, "next", &[("email", email)]).await;
        self.browser.follow(answer).await
    }

    /// The same, and there types `login` and the password; gives the URL that the browser is sent back to, not opened yet.
    pub(super) async fn sign_in_at(&mut self, home: &Plan, link: &str, login: &str, email: &str) -> Url {
        let form = self.leave(link, email).await;
        self.log_in(home, &form, login).await
    }

    /// Fills in the form of the home organisation.
    pub(super) async fn log_in(&mut self, home: &Plan, form: &Answer, login: &str) -> Url {
        assert!(form.url.as_str().starts_with(&home.issuer()), "{} is not at {}\n{}", form.url, home.name, form.body);
        let answer = self.browser.press(&form.page(), "next", &[("email", login), ("password", home.password.as_str())]).await;
        self.back(answer).await
    }

    /// Follows the home organisation's redirects to the URL that leads back, not opened yet.
    pub(super) async fn back(&mut self, answer: Answer) -> Url {
        let prefix = format!("{}/", self.place.server.url);
        let back = self.browser.follow_until(answer, &prefix).await;
        back.unwrap_or_else(|answer| panic!("no way back: {} {}\n{}", answer.status, answer.url, answer.body))
    }

    /// Opens what leads back, and whatever follows.
    pub(super) async fn return_by(&mut self, url: &Url) -> Answer {
        self.browser.visit(url.as_str()).await
    }

    /// Accepts the review of permissions.
    pub(super) async fn accept(&mut self, answer: Answer) -> Answer {
        let answer = self.browser.press(&answer.expect(200).page(), "accept", &[]).await;
        self.browser.follow(answer).await
    }

    /// All of it, from the link to the panel; `first` when they have not redeemed yet.
    pub(super) async fn whole_way(&mut self, home: &Plan, link: &str, email: &str, first: bool) {
        let back = self.sign_in_at(home, link, email, email).await;
        let mut answer = self.return_by(&back).await;
        if first {
            answer = self.accept(answer).await;
        }
        self.is_in(&answer, email);
    }

    /// Whether this is the panel of somebody with this address.
    pub(super) fn is_in(&self, answer: &Answer, email: &str) {
        let page = answer.page();
        assert!(page.has("sign-out") && page.text.contains(email), "{email} is not in: {}\n{}", answer.url, answer.body);
    }

    /// Takes the other way that a refusal offers: a mailed code. Ends on the page after the proof.
    pub(super) async fn prove_by_code(&mut self, refusal: &Answer, email: &str) -> Answer {
        let mut mailbox = Mailbox::open(&self.place.server.mail());
        let answer = self.browser.press(&refusal.page(), "with-code", &[]).await;
        let answer = self.browser.follow(answer).await.expect(200);
        let answer = self.browser.press(&answer.page(), "send-code", &[]).await;
        let answer = self.browser.follow(answer).await.expect(200);
        let code = mailbox.next_to(email).await.passcode();
        let answer = self.browser.press(&answer.page(), "next", &[("code", &code)]).await;
        self.browser.follow(answer).await
    }
}

/// `url` with a query parameter set to `value`, or taken away.
pub(super) fn with(url: &Url, name: &str, value: Option<&str>) -> Url {
    let mut pairs: Vec<_> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url
}

/// The query parameter `name` of `url`.
pub(super) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A clock that is so many seconds ahead.
pub(super) fn skew(seconds: i64) -> Value {
    json!({ "skew": seconds })
}
