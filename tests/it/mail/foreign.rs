//! A mail server that others wrote: Python's aiosmtpd, with STARTTLS, a password and greylisting.

use std::{path::Path, process::Stdio};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use vestibule::store::records::DeliveryState;

use super::{sink::Authority, *};

/// The server. Ends when it is dropped.
struct Foreign {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u64,
    root_pem: String,
}

impl Foreign {
    async fn start(user: &str, password: &str) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"));
        let python = folder.join("venv/bin/python");
        assert!(python.exists(), "run tests/run once: it installs the Python packages");
        let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = authority.issue("127.0.0.1");
        let paths = [("certificate.pem", certificate), ("key.pem", key)].map(|(name, pem)| {
            let path = files.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path
        });
        let mut child = Command::new(python)
            .arg(folder.join("smtp_server.py"))
            .args(paths)
            .args([user, password])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut foreign = Self { _child: child, lines, port: 0, root_pem: authority.root_pem() };
        foreign.port = foreign.hear().await["port"].as_u64().expect("a port");
        foreign
    }

    async fn hear(&mut self) -> Value {
        let line = timeout(Duration::from_secs(60), self.lines.next_line()).await.expect("it answers").expect("a line");
        serde_json::from_str(&line.expect("it has not given up: see its errors above")).expect("JSON")
    }

    fn transport(&self, credentials: &str) -> Arc<SmtpTransport> {
        let url = Secret::new(format!("smtp://{credentials}127.0.0.1:{}?tls=required", self.port));
        Arc::new(SmtpTransport::new(&url, None, Some(self.root_pem.as_bytes()), SmtpLimits::default()).unwrap())
    }
}

/// F-15: an invitation reaches its guest through a server that wants STARTTLS and a password and greylists; the refusals on
/// the way are told as they were.
#[tokio::test]
async fn f_15_an_invitation_passes_a_server_of_others() {
    let mut foreign = Foreign::start("gate", "correct horse").await;
    let (world, invitation) = (World::new().await, World::new().await.invitation());
    world.invite(&invitation).await;
    for (attempt, credentials, reason) in [
        (1, "", "MAIL FROM: 530 5.7.0"),
        (2, "gate:wrong@", "AUTH: 535 5.7.8"),
        (3, "gate:correct%20horse@", "RCPT TO: 451 4.7.1"),
    ] {
        let worker = world.start(foreign.transport(credentials));
        world.until_put_back(attempt).await;
        worker.stop().await;
        let delivery = world.delivery(&invitation).await.value;
        assert_eq!((delivery.attempts, delivery.last_error.as_deref()), (attempt, Some(reason)));
        world.clock.advance(10);
    }
    let worker = world.start(foreign.transport("gate:correct%20horse@"));
    world.until_empty().await;
    let taken = foreign.hear().await;
    assert_eq!((&taken["tls"], &taken["authenticated"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!((taken["from"].as_str(), taken["to"][0].as_str()), (Some("guests@gate.example"), Some("alice@fabrikam.example")));
    let message = BASE64_STANDARD.decode(taken["message"].as_str().unwrap()).unwrap();
    let mail = parse(&message);
    assert_eq!(mail.subject(), Some("Adele Vance invited you to collaborate with Contoso"));
    assert!(mail.body_text(0).unwrap().contains(LINK) && mail.body_html(0).unwrap().contains(TICKET));
    let sent = world.delivery(&invitation).await.value;
    assert_eq!((sent.state, sent.attempts, sent.last_error), (DeliveryState::Sent { at: world.clock.now() }, 4, None));
    // Nobody is refused for good.
    let mut nobody = Said::default().mail(&tenant("Contoso"));
    nobody.to = "nobody@fabrikam.example".parse().unwrap();
    let batch = world.outbox.enqueue_invitation(Batch::new(Partition::Tenant(TENANT)), TENANT, &nobody, &invitation);
    world.store.commit(batch).await.unwrap();
    eventually("given up", async || matches!(world.delivery(&invitation).await.value.state, DeliveryState::Failed { .. })).await;
    worker.stop().await;
    assert_eq!(world.delivery(&invitation).await.value.last_error.as_deref(), Some("RCPT TO: 550 5.1.1"));
}
