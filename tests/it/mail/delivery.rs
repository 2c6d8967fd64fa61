//! What arrives.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use mail_parser::MimeHeaders;
use vestibule::mail::FileTransport;

use super::*;

/// What every delivered passcode mail must look like, however it came.
fn assert_is_the_mail(message: &[u8]) {
    let mail = parse(message);
    assert_eq!(mail.subject(), Some("Your code for Contoso"));
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Contoso via Guest sign-in"), Some("guests@gate.example")));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("alice@fabrikam.example"));
    assert_eq!(mail.date().unwrap().to_rfc3339(), "2026-11-22T20:00:00Z");
    assert!(mail.message_id().unwrap().ends_with("@gate.example"));
    assert_eq!(mail.header("Auto-Submitted").unwrap().as_text(), Some("auto-generated"));
    assert_eq!(mail.content_type().unwrap().subtype(), Some("alternative"));
    for body in [mail.body_text(0).unwrap(), mail.body_html(0).unwrap()] {
        for part in [SHOWN, "Contoso (contoso.example)", "within 10 minutes", "Never tell the code", "https://gate.example"] {
            assert!(body.contains(part), "{part:?} is missing: {body}");
        }
    }
}

#[tokio::test]
async fn a_mail_to_a_file_appears_whole_and_for_its_owner_only() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("mail");
    let worker = world.start(Arc::new(FileTransport::new(&folder).unwrap()));
    world.queue(&to_alice()).await;
    world.until_empty().await;
    worker.stop().await;
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("20261122T200000Z-") && name.ends_with(".eml"), "{name}");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&files[0])), (0o700, 0o600));
    assert_is_the_mail(&std::fs::read(&files[0]).unwrap());
}

#[tokio::test]
async fn a_mail_by_smtp_arrives_by_every_kind_of_connection() {
    for (scheme, rest, wrapped, encrypted) in
        [("smtp", "", false, false), ("smtp", "?tls=required", false, true), ("smtps", "", true, true)]
    {
        let (world, sink) = (World::new().await, Sink::start(wrapped).await);
        let worker = world.start(smtp(&sink, scheme, rest));
        world.queue(&to_alice()).await;
        world.until_empty().await;
        worker.stop().await;
        let received = sink.received();
        assert_eq!(received.len(), 1, "{scheme}{rest}");
        assert_eq!(received[0].encrypted, encrypted);
        assert_eq!(received[0].from, "MAIL FROM:<guests@gate.example>");
        assert_eq!(received[0].to, "RCPT TO:<alice@fabrikam.example>");
        assert_is_the_mail(&received[0].message);
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let worker = world.start(smtp(&sink, "smtp", "?tls=required"));
    for _ in 0..3 {
        world.queue(&to_alice()).await;
        world.until_empty().await;
    }
    worker.stop().await;
    assert_eq!((sink.received().len(), sink.count("STARTTLS")), (3, 1));
}

#[tokio::test]
async fn mails_speak_the_language_of_the_guest_then_of_the_tenant() {
    let mut tenant = tenant("Contoso");
    assert_eq!(passcode(&tenant, "a@b.example", Some("de-AT")).subject, "Ihr Code für Contoso");
    assert_eq!(passcode(&tenant, "a@b.example", Some("fr")).subject, "Your code for Contoso");
    tenant.policy.language = Some("de".parse().unwrap());
    let mail = passcode(&tenant, "a@b.example", Some("fr"));
    assert_eq!((mail.subject.as_str(), mail.language.as_str()), ("Ihr Code für Contoso", "de"));
    assert!(mail.html.contains("<html lang=\"de\">") && mail.text.contains("10 Minuten"), "{}", &*mail.text);
    tenant.domains[0].verified = false;
    assert!(!passcode(&tenant, "a@b.example", None).text.contains("contoso.example"), "only a verified domain is named");
}

/// Two nodes share the queue: each mail is sent by one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_send_each_mail_once() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    for _ in 0..60 {
        world.queue(&to_alice()).await;
    }
    let workers = [world.start(smtp(&sink, "smtp", "")), world.start(smtp(&sink, "smtp", ""))];
    for _ in 0..40 {
        world.queue(&to_alice()).await;
    }
    world.until_empty().await;
    for worker in workers {
        worker.stop().await;
    }
    let received = sink.received();
    let ids: std::collections::HashSet<_> =
        received.iter().map(|received| parse(&received.message).message_id().unwrap().to_owned()).collect();
    assert_eq!((received.len(), ids.len()), (100, 100));
}
