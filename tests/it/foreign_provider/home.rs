//! A home organisation that runs `oidc-provider` (tests/node/provider.mjs).

use std::{
    process::{Command as Plain, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use crate::support::{process::spare_address, random};

/// How long node may take to start or to make keys on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a home organisation is, whether it runs or not.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    /// `host:port`.
    pub(super) host: String,
    pub(super) secret: String,
    /// The password of everybody there.
    pub(super) password: String,
    settings: Map<String, Value>,
}

impl Plan {
    /// One on a spare port, with an algorithm, the only way in which clients authenticate, and where the claims are.
    pub(super) fn new(name: &'static str, alg: &str, authentication: &str, claims: &str) -> Self {
        let (secret, password) = (random(), random());
        let host = format!("{}.localhost:{}", name.to_ascii_lowercase(), spare_address().port());
        let settings = json!({
            "issuer": format!("http://{host}"),
            "name": name,
            "client": { "id": "contoso", "secret": secret, "redirect_uris": [], "alg": alg },
            "authentication": authentication,
            "claims": claims,
            "people": {},
        });
        let Value::Object(settings) = settings else { unreachable!("it is one") };
        Self { name, host, secret, password, settings }
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Where it may send people back to.
    pub(super) fn redirect_to(&mut self, redirect_uri: &str) {
        let uris = self.settings["client"]["redirect_uris"].as_array_mut().expect("a list");
        uris.push(redirect_uri.into());
    }

    /// Somebody who signs in there as `login`, and of whom it says that they have the address `email`.
    pub(super) fn person(&mut self, login: &str, email: &str, verified: bool) {
        let password = self.password.as_str();
        let person = json!({ "password": password, "email": email, "email_verified": verified, "name": "Somebody" });
        self.settings["people"][login] = person;
    }

    /// Starts it.
    pub(super) async fn start(&self) -> Home {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node");
        let installed = std::path::Path::new(folder).join("node_modules/oidc-provider").exists();
        assert!(installed, "run tests/run once: it installs the Node packages");
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let input = child.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (sender, ready) = mpsc::unbounded_channel();
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                match line["request"].as_str() {
                    Some(request) => seen.lock().expect("not poisoned").push(request.to_owned()),
                    None => drop(sender.send(())),
                }
            }
        });
        let mut home = Home { child, input, ready, requests };
        home.set(&Value::Object(self.settings.clone())).await;
        home
    }
}

/// One that runs; it ends with this.
#[derive(Debug)]
pub(super) struct Home {
    child: Child,
    input: ChildStdin,
    ready: mpsc::UnboundedReceiver<()>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Home {
    /// Changes settings; they are in force when this returns.
    pub(super) async fn set(&mut self, settings: &Value) {
        self.input.write_all(format!("{settings}\n").as_bytes()).await.expect("node reads");
        let ready = timeout(READY_WITHIN, self.ready.recv()).await.expect("node answers");
        ready.expect("node has not given up: see its errors above");
    }

    /// Makes new signing keys under new names; the old ones are neither used nor published any more.
    pub(super) async fn rotate(&mut self) {
        static NEXT: AtomicU32 = AtomicU32::new(2);
        self.set(&json!({ "key": format!("key {}", NEXT.fetch_add(1, Ordering::Relaxed)) })).await;
    }

    /// How often it was asked for this, as in `POST /token`.
    pub(super) fn count(&self, request: &str) -> usize {
        self.requests.lock().expect("not poisoned").iter().filter(|seen| *seen == request).count()
    }

    /// Holds it up where it is: it takes connections and says nothing.
    pub(super) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) {
        self.signal("CONT");
    }

    /// Ends it at once.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.expect("it ends");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Plain::new("kill").args(["-s", name, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -s {name}");
    }
}
