//! What nobody but the recipient gets to see, and what no name can smuggle in.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use vestibule::store::{Key, Page};

use super::{log::Log, sink::Manner, *};

/// Everything in the store, as one text.
async fn dump(world: &World) -> String {
    let mut text = String::new();
    for partition in [Partition::Global, Partition::Tenant(TENANT)] {
        let everything = Key::from_parts(partition, Bytes::new());
        for entry in world.store.backend().scan(&everything, Page { after: None, limit: 10_000 }).await.unwrap() {
            text.push_str(&String::from_utf8_lossy(entry.key.bytes()));
            text.push_str(&String::from_utf8_lossy(&entry.value));
            text.push('\n');
        }
    }
    text
}

/// The code and the ticket in every dress, who they are for, and who invited them.
fn secrets() -> Vec<String> {
    let names = [CODE, SHOWN, TICKET, "alice", "adele", "Adele", "Contoso"];
    let mut secrets: Vec<_> = names.map(str::to_owned).into();
    for padded in [format!("   {TICKET}"), format!("  {TICKET}"), format!(" {TICKET}")] {
        secrets.push(BASE64_STANDARD.encode(padded)[8..48].to_owned());
    }
    for padded in [format!("    {SHOWN}"), format!("   {SHOWN}"), format!("  {SHOWN}")] {
        secrets.push(BASE64_STANDARD.encode(padded)[8..16].to_owned());
    }
    secrets
}

/// O-07, O-14: at no time does the store or the log hold a code, a ticket or an address, whatever becomes of the mail.
#[tokio::test]
async fn o_14_no_code_and_no_ticket_is_in_the_store_or_the_log() {
    let log = Log::default();
    let guard = log.collect();
    for manner in [
        Manner::Accept,
        Manner::AtRecipient("451 4.7.1 not now"),
        Manner::AtRecipient("550 5.1.1 no such user"),
        Manner::AfterData("451 4.7.1 looks like spam:"),
        Manner::AfterData("554 5.7.1 spam:"),
        Manner::Hang("fabrikam.example"),
        Manner::LoseReply,
        Manner::NoStartTls,
    ] {
        let (world, sink) = (World::new().await, Sink::start(false).await);
        world.queue(&to_alice()).await;
        // The directory knows addresses; the queue does not.
        world.invite(&Invitation { address: None, ..world.invitation() }).await;
        let queued = dump(&world).await;
        sink.behave(manner.clone());
        let worker = world.start(smtp(&sink, "smtp", "?tls=required"));
        eventually("the attempts ended", async || world.items().await.iter().all(|item| item.value.last_error.is_some())).await;
        worker.stop().await;
        let after = dump(&world).await;
        for secret in secrets() {
            assert!(!queued.contains(&secret) && !after.contains(&secret), "{manner:?}: {secret} in the store: {after}");
        }
    }
    drop(guard);
    let log = log.text();
    assert!(log.contains("mail sent") && log.contains("a***@fabrikam.example") && log.contains("given up"), "{log}");
    for secret in secrets() {
        assert!(!log.contains(&secret), "{secret} in the log: {log}");
    }
}

/// W-01: what a mail server writes beside its codes is neither logged nor kept, so it cannot make up an event.
#[tokio::test]
async fn w_01_what_a_mail_server_writes_is_not_logged() {
    let log = Log::default();
    let guard = log.collect();
    let reason = {
        let (world, sink) = (World::new().await, Sink::start(false).await);
        sink.behave(Manner::AtRecipient("550-5.1.1 \u{1b}[31mevil\r\n550 2026-11-22T20:00:00Z  INFO evil\u{2028}evil"));
        let invitation = world.invitation();
        world.invite(&invitation).await;
        let worker = world.start(smtp(&sink, "smtp", ""));
        eventually("given up", async || world.item().await.last_error.is_some()).await;
        worker.stop().await;
        world.delivery(&invitation).await.value.last_error
    };
    drop(guard);
    assert_eq!(reason.as_deref(), Some("RCPT TO: 550 5.1.1"));
    let log = log.text();
    assert!(log.contains("550 5.1.1") && !log.contains("evil") && !log.contains('\u{1b}'), "{log}");
}

/// Decision 16: what is sealed for one mail is of no use as another's.
#[tokio::test]
async fn sealed_mail_is_bound_to_its_place() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    world.queue(&to_alice()).await;
    let mut item = world.item().await;
    let key = vestibule::mail::outbox_item(TENANT, item.id);
    item.id = vestibule::mail::MailId(Uuid::from_u128(1));
    let moved = vestibule::mail::outbox_item(TENANT, item.id);
    let batch = Batch::new(Partition::Tenant(TENANT)).put(&moved, &item).delete(&key);
    world.store.commit(batch).await.unwrap();
    let worker = world.start(smtp(&sink, "smtp", ""));
    eventually("given up", async || world.item().await.last_error.is_some()).await;
    worker.stop().await;
    assert!(sink.received().is_empty());
}

/// Decision 3: a decoy looks like any mail in the store, is worked off like any, and reaches nobody.
#[tokio::test]
async fn a_decoy_is_like_any_mail_but_is_never_sent() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    world.queue_for(TENANT, &to_alice(), true).await;
    world.queue_for(TENANT, &to_alice(), false).await;
    let sizes: Vec<_> = world.items().await.iter().map(|item| serde_json::to_vec(&item.value).unwrap().len()).collect();
    assert_eq!(sizes[0], sizes[1]);
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.until_empty().await;
    assert_eq!(sink.received().len(), 1);
    // Nor does it leave a trace when its time ends before anybody looks at it.
    worker.stop().await;
    world.queue_for(TENANT, &to_alice(), true).await;
    world.clock.advance(10 * 60);
    let worker = world.start(smtp(&sink, "smtp", ""));
    world.until_empty().await;
    worker.stop().await;
    assert_eq!(sink.received().len(), 1);
}

/// O-10: whatever the tenant is called, it is one mail to one person, and the name stays in its line.
#[tokio::test]
async fn o_10_a_hostile_tenant_name_changes_nothing_but_itself() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let worker = world.start(smtp(&sink, "smtp", ""));
    let names = [
        "Contoso\r\nBcc: eve@evil.example\r\n\r\nbody",
        "Contoso\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\n",
        "\0\u{1}\u{7f}\u{85}\u{2028}\u{2029}",
        ".\r\n..\r\n",
        "=?utf-8?b?QmNjOiBldmVAZXZpbC5leGFtcGxl?=",
        "\u{202e}osotnoC",
        &"long ".repeat(500),
    ];
    for (index, name) in names.iter().enumerate() {
        world.queue(&passcode(&tenant(name), "alice@fabrikam.example", None)).await;
        world.until_empty().await;
        assert_eq!(sink.received().len(), index + 1, "{name:?}");
    }
    worker.stop().await;
    let plain = parse(&sink.received()[0].message).headers().len();
    for received in sink.received() {
        let mail = parse(&received.message);
        assert_eq!(received.to, "RCPT TO:<alice@fabrikam.example>");
        assert!(mail.bcc().is_none() && mail.headers().len() == plain);
        assert!(mail.subject().unwrap().starts_with("Your code for ") && mail.subject().unwrap().chars().count() <= 100);
        let text = mail.body_text(0).unwrap();
        assert!(text.contains(SHOWN) && text.chars().all(|c| !c.is_control() || c == '\r' || c == '\n'), "{text}");
        assert!(text.lines().count() < 20, "a name adds no lines: {text}");
    }
}

/// O-13: markup in a stored name is text in the mail: the document has the tags that the template has, and no others.
#[test]
fn o_13_markup_in_names_is_inert() {
    let tags = |html: &str| html.matches('<').count();
    let harmless = tags(&passcode(&tenant("Contoso"), "alice@fabrikam.example", None).html);
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg/onload=alert(1)>",
        "</title><script>alert(1)</script>",
        "</style><script>alert(1)</script>",
        "<!--",
        "--><iframe src=https://evil.example>",
        "<a href=https://evil.example>click</a>",
        "{{ code }}{% raw %}",
        "{ $organisation } { mail-passcode-ignore }",
        "<style>body{display:none}</style>",
        "&lt;script&gt;",
        "javascript:alert(1)",
        "<base href=//evil.example>",
        "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    ] {
        let mail = passcode(&tenant(hostile), "alice@fabrikam.example", None);
        assert_eq!(tags(&mail.html), harmless, "{hostile}: {}", &*mail.html);
        assert!(!mail.html.contains(hostile) || !hostile.contains(['<', '>', '&', '"', '\'']), "{hostile}");
        assert!(mail.text.contains(hostile), "plain text shows it as it is: {}", &*mail.text);
    }
}

/// O-12: the mail is made from stored values and the configured origin alone, and it has no links, pictures or scripts.
#[test]
fn o_12_a_passcode_mail_has_no_links() {
    let mail = to_alice();
    assert_eq!(mail.html.matches("https://gate.example").count(), 1, "as text");
    for link in ["href", "src=", "<a ", "<img", "<script", "url(", "@import", "<link", "<form", "http:", CODE] {
        assert!(!mail.html.contains(link), "{link}: {}", &*mail.html);
    }
    assert_eq!(to_alice().html, mail.html, "the same values give the same mail");
}
