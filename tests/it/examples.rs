//! The programs in `examples/`, run as their comments say, with a guest who signs in.

use std::{path::Path, process::Command, time::Duration};

use tokio::time::sleep;
use vestibule::clock::{SystemEntropy, random_uuid};

use crate::support::{
    apply::{apply, put_guest},
    journey::Guest,
    process::{Demo, Process, SignsInWith, spare_address},
    random,
    visitor::{Answer, Visitor},
};

/// An example, registered with the demo's sharing tenant and started.
struct Example {
    url: String,
    _process: Process,
}

impl Example {
    async fn start(name: &str, demo: &Demo) -> Self {
        let url = format!("http://localhost:{}", spare_address().port());
        let (id, secret) = (random_uuid(&SystemEntropy), random());
        apply(
            demo,
            &format!(
                "[[tenant.app]]\nid = \"{id}\"\ndisplay_name = \"{name}\"\nclient_secret = \"{secret}\"\nhomepage = \"{url}/\"\n\
                 redirect_uris = [\"{url}/.vestibule/callback\"]\npost_logout_redirect_uris = [\"{url}/.vestibule/signed-out\"]\n"
            ),
            &[],
        );
        let program = Path::new(env!("CARGO_BIN_EXE_vestibule")).with_file_name("examples").join(name);
        let mut command = Command::new(program);
        command.args([&demo.issuer, &id.to_string(), &url]).env("CLIENT_SECRET", secret);
        let (process, _) = Process::spawn(command);
        let example = Self { url, _process: process };
        // It listens at once, and knows the provider a moment later.
        eventually(async || example.answers().await.filter(|answer| answer.status == 303)).await;
        example
    }

    /// What a stranger in front of a browser gets, once it listens.
    async fn answers(&self) -> Option<Answer> {
        let port = self.url.rsplit(':').next().expect("a port");
        tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.ok()?;
        Some(Visitor::of(Vec::new()).open(&self.url).await)
    }
}

async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(answer) = ask().await {
            return answer;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("not within fifteen seconds");
}

/// Somebody opens a page of the example, signs in, is greeted there; and is refused as soon as they are blocked.
async fn walk(name: &str, greeting: &str) {
    let demo = Demo::start();
    let example = Example::start(name, &demo).await;
    let page = format!("{}/?from=a%20mail", example.url);
    let mut guest = Guest::new(&demo, demo.person(SignsInWith::HomeOrganisation));
    let answer = guest.arrive(&page).await.expect(200);
    assert_eq!(answer.url.as_str(), page, "back at the very URL");
    assert!(answer.body.contains(greeting), "{}", answer.body);
    assert!(guest.pressed.contains(&"accept"), "{:?}", guest.pressed);

    // A program without credentials is told, not led.
    Visitor::of(Vec::new()).get_json(&page).await.refused(401, "VB5012");

    // G-14, F-27: a block reaches the door of another process.
    put_guest(&demo, &guest.person.email.clone(), false);
    eventually(async || Some(guest.browser.open(&page).await).filter(|answer| answer.status == 403)).await.refused(403, "VB2003");
}

#[tokio::test]
async fn g_14_the_axum_app_greets_its_guest_until_they_are_blocked() {
    walk("axum_app", "Hello, Maria Rossi").await;
}

#[tokio::test]
async fn g_14_the_hyper_service_greets_its_guest_until_they_are_blocked() {
    walk("hyper_service", "Hello, Maria Rossi").await;
}

/// The limit: an example is read in one go.
#[test]
fn examples_have_less_than_sixty_lines() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).expect("examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = std::fs::read_to_string(&path).expect("text").lines().count();
            assert!(lines < 60, "{}: {lines}", path.display());
        }
    }
}
