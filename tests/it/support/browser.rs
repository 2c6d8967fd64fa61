//! A real browser: headless Chromium through its driver.

use std::{
    mem::ManuallyDrop,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{LoggingPrefsLogLevel, prelude::*};
use url::Url;

use super::{process::Process, site::Site};

/// How long a page may take.
const WITHIN: Duration = Duration::from_secs(20);

/// What is switched off so that every request on the wire is a page's: updates, sync, safe browsing, first-run pages.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-features=OptimizationHints,MediaRouter,Translate,CertificateTransparencyComponentUpdater",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--password-store=basic",
    "--lang=en-US",
    "--window-size=1180,900",
];

/// One browser with a fresh profile. Whatever it asks of a host outside this machine, for itself or for a page, ends in a
/// [`Site`] of ours.
pub(crate) struct Browser {
    /// Never told to quit: its process is killed, which also works after a failed assertion.
    driver: ManuallyDrop<WebDriver>,
    _outside: Site,
    _chromedriver: Process,
    _profile: TempDir,
}

/// A driver on a port of its own, and the line that says which. The port that it chooses may be taken before it binds it.
fn chromedriver() -> (Process, String) {
    let mut log = String::new();
    for _ in 0..5 {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        match Process::attempt(command, |line| line.contains("started successfully on port")) {
            Ok(started) => return started,
            Err(said) => log = said,
        }
    }
    panic!("chromedriver does not start; its log:\n{log}")
}

impl Browser {
    /// With JavaScript.
    pub(crate) async fn start() -> Self {
        Self::start_with(true).await
    }

    /// With or without JavaScript.
    pub(crate) async fn start_with(javascript: bool) -> Self {
        let outside = Site::page("outside").await;
        let profile = tempfile::tempdir().expect("a temporary folder");
        let (chromedriver, line) = chromedriver();
        let port = line.trim_end_matches('.').rsplit(' ').next().expect("a port").to_owned();
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            capabilities.add_arg(argument).expect("an argument");
        }
        for argument in [
            format!("--user-data-dir={}", profile.path().display()),
            format!("--proxy-server={}", outside.address()),
            "--proxy-bypass-list=127.0.0.1;localhost;*.localhost".to_owned(),
        ] {
            capabilities.add_arg(&argument).expect("an argument");
        }
        let setting = if javascript { 1 } else { 2 };
        let preferences = json!({ "profile.managed_default_content_settings.javascript": setting });
        capabilities.add_experimental_option("prefs", preferences).expect("preferences");
        capabilities.set_logging_prefs("performance", LoggingPrefsLogLevel::All).expect("logging");
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.expect("Chromium starts");
        Self { driver: ManuallyDrop::new(driver), _outside: outside, _chromedriver: chromedriver, _profile: profile }
    }

    /// Types an address into the address bar.
    pub(crate) async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Waits for the element `id`, which can be seen.
    pub(crate) async fn wait_for(&self, id: &str) -> WebElement {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Ok(element) = self.driver.find(By::Id(id)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            if Instant::now() > deadline {
                self.screenshot("failed").await;
                panic!("no {id} at {}:\n{}", self.url().await, self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether the element `id` is on the page now.
    pub(crate) async fn has(&self, id: &str) -> bool {
        self.driver.find(By::Id(id)).await.is_ok()
    }

    /// Types into the field `id`.
    pub(crate) async fn type_into(&self, id: &str, text: &str) {
        let field = self.wait_for(id).await;
        field.clear().await.and(field.send_keys(text).await).unwrap_or_else(|error| panic!("{id}: {error}"));
    }

    /// What the field `id` holds.
    pub(crate) async fn value(&self, id: &str) -> String {
        self.wait_for(id).await.prop("value").await.expect("a property").unwrap_or_default()
    }

    /// Presses the button or link `id`.
    pub(crate) async fn press(&self, id: &str) {
        self.wait_for(id).await.click().await.unwrap_or_else(|error| panic!("{id}: {error}"));
    }

    /// Waits until the page says `text`.
    pub(crate) async fn wait_for_text(&self, text: &str) {
        let deadline = Instant::now() + WITHIN;
        loop {
            let page = self.text().await;
            if page.contains(text) {
                return;
            }
            if Instant::now() > deadline {
                self.screenshot("failed").await;
                panic!("{text:?} is not said at {}:\n{page}", self.url().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What can be read.
    pub(crate) async fn text(&self) -> String {
        match self.driver.find(By::Tag("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Where it is.
    pub(crate) async fn url(&self) -> String {
        self.driver.current_url().await.expect("a URL").into()
    }

    /// Runs a script on the page.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// The names of the cookies that the page's host has, `HttpOnly` ones too.
    pub(crate) async fn cookies(&self) -> Vec<(String, String)> {
        let cookies = self.driver.get_all_cookies().await.expect("cookies");
        cookies.into_iter().map(|cookie| (cookie.name, cookie.value)).collect()
    }

    /// Looks at the newest tab, then closes it and returns to the one before; gives its address.
    pub(crate) async fn look_at_new_tab(&self) -> String {
        let here = self.driver.window().await.expect("a window");
        let deadline = Instant::now() + WITHIN;
        let opened = loop {
            let windows = self.driver.windows().await.expect("windows");
            if let Some(window) = windows.into_iter().find(|window| *window != here) {
                break window;
            }
            assert!(Instant::now() < deadline, "no new tab");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        self.driver.switch_to_window(opened).await.expect("the new tab");
        let mut url = self.url().await;
        while url == "about:blank" && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
            url = self.url().await;
        }
        self.driver.close_window().await.expect("the tab closes");
        self.driver.switch_to_window(here).await.expect("the first tab");
        url
    }

    /// Goes into the first frame of the page.
    pub(crate) async fn enter_frame(&self) {
        self.driver.enter_frame(0).await.expect("a frame");
    }

    /// Makes it as small as a phone, 360 by 740 pixels.
    pub(crate) async fn become_a_phone(&self) {
        let handle = self.driver.handle();
        let url = handle.server_url().join(&format!("session/{}/goog/cdp/execute", handle.session_id())).expect("a URL");
        let screen = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        command(reqwest::Client::new().post(url).json(&json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen })))
            .await;
    }

    /// Gives the browser an authenticator of its own, built into the device, that knows its user.
    pub(crate) async fn add_authenticator(&self) -> Authenticator<'_> {
        let options = json!({
            "protocol": "ctap2_1", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true,
        });
        let handle = self.driver.handle();
        let base = handle.server_url().join(&format!("session/{}/webauthn/authenticator", handle.session_id())).expect("a URL");
        let added = command(reqwest::Client::new().post(base.clone()).json(&options)).await;
        Authenticator { url: format!("{base}/{}", added.as_str().expect("an id")), _browser: self }
    }

    /// Keeps a picture of the page in `target/screenshots`.
    pub(crate) async fn screenshot(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        self.driver.screenshot(&folder.join(format!("{name}.png"))).await.expect("a picture");
    }

    /// What the pages asked for so far (since this was last called), every request with its full URL.
    pub(crate) async fn requests(&self) -> Vec<Url> {
        let log = self.driver.get_log("performance").await.expect("the performance log");
        let events = log.iter().filter_map(|entry| serde_json::from_str::<Value>(&entry.message).ok());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| Url::parse(event["message"]["params"]["request"]["url"].as_str()?).ok()).collect()
    }

    /// S-61: asserts that no page asked for anything outside this machine, and closes the browser.
    pub(crate) async fn close(self) {
        let leaves = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            let here = host.starts_with("127.") || host == "localhost" || host.ends_with(".localhost");
            !here && matches!(url.scheme(), "http" | "https" | "ws" | "wss")
        };
        let outside: Vec<_> = self.requests().await.into_iter().filter(leaves).map(String::from).collect();
        assert_eq!(outside, Vec::<String>::new(), "S-61: requests to other machines");
    }
}

/// A virtual authenticator (Web Authentication section 11).
pub(crate) struct Authenticator<'a> {
    url: String,
    _browser: &'a Browser,
}

impl Authenticator<'_> {
    /// All its passkeys, with their private keys.
    pub(crate) async fn passkeys(&self) -> Vec<Value> {
        let found = command(reqwest::Client::new().get(format!("{}/credentials", self.url))).await;
        found.as_array().expect("a list").clone()
    }

    /// Puts a passkey into it that comes from another one.
    pub(crate) async fn put(&self, passkey: &Value) {
        command(reqwest::Client::new().post(format!("{}/credential", self.url)).json(passkey)).await;
    }
}

/// What the driver answers.
async fn command(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.expect("chromedriver");
    let status = answer.status();
    let mut answer: Value = answer.json().await.expect("JSON");
    assert!(status.is_success(), "{answer}");
    answer["value"].take()
}
