//! What the mail of an invitation says, from whom, and what nobody can make it say.

use vestibule::domain::tenant::InvitationMail;

use super::*;
use crate::support::{browser::Browser, site::Site};

/// Both forms of a mail, without the marks that keep names from becoming links.
fn forms(mail: &Mail) -> [String; 2] {
    [mail.text.replace('\u{200b}', ""), mail.html.replace('\u{200b}', "").replace("&#38;", "&")]
}

/// An invitation by somebody of this name, who also writes it.
fn by(name: &str) -> Said {
    let mail = Some("adele@contoso.example".parse().unwrap());
    Said { inviter: Some((name.to_owned(), mail)), ..Said::message(name) }
}

#[test]
fn an_invitation_says_who_invites_to_what_and_where_the_link_leads() {
    let mail = Said::message("Hello Alice,\nwelcome!").mail(&tenant("Contoso"));
    assert_eq!(mail.subject, "Adele Vance invited you to collaborate with Contoso");
    assert_eq!(
        (mail.from.name.as_deref(), mail.from.address.as_str()),
        (Some("Contoso via Guest sign-in"), "guests@gate.example")
    );
    assert_eq!(mail.reply_to.as_ref().map(|address| address.as_str()), Some("adele@contoso.example"));
    let warning = "Accept this invitation only if you know who sent it and expected it.";
    assert!(mail.text.starts_with(warning), "{}", &*mail.text);
    for form in forms(&mail) {
        for part in [
            warning,
            "Hello Alice King,",
            "Adele Vance (adele@contoso.example) invites you to work with Contoso (contoso.example) as a guest.",
            "alice@fabrikam.example",
            "Adele Vance writes:",
            "Hello Alice,",
            "Accept invitation",
            LINK,
            "The link opens https://gate.example.",
            "you are taken to expenses.contoso.example:8443.",
            "until 22 December 2026, 20:00 UTC",
            "Contoso has published no privacy statement.",
            "https://gate.example/00000000-0000-0000-0000-0000000000c0/block-invitations",
            "answers go to Adele Vance (adele@contoso.example)",
        ] {
            assert!(form.contains(part), "{part:?} is missing: {form}");
        }
    }
    assert!(mail.text.contains("\n> Hello Alice,\n> welcome!\n"), "{}", &*mail.text);
    assert!(mail.html.contains("Hello Alice,<br>\nwelcome!</blockquote>") && mail.html.contains("#7a1fa2"), "{}", &*mail.html);
}

#[test]
fn what_is_not_known_is_not_said() {
    let mut tenant = tenant("Contoso");
    tenant.domains[0].verified = false;
    let mail = Said { inviter: None, expires: None, ..Said::default() }.mail(&tenant);
    assert_eq!((mail.subject.as_str(), &mail.reply_to), ("You are invited to collaborate with Contoso", &None));
    for form in forms(&mail) {
        assert!(form.contains("Contoso invites you to work with them") && form.contains("The link does not expire."), "{form}");
        assert!(
            form.contains("answers are not read") && !form.contains("writes:") && !form.contains("(contoso.example)"),
            "{form}"
        );
    }
    // Nobody reads the answers: then it says whom to ask.
    tenant.privacy.contact_email = Some("privacy@contoso.example".parse().unwrap());
    for form in forms(&Said { inviter: None, ..Said::default() }.mail(&tenant)) {
        assert!(form.contains("answers are not read. Questions? Ask: privacy@contoso.example"), "{form}");
    }
    tenant.policy.contact = Some("the service desk, desk.example".to_owned());
    let mail = Said { inviter: None, ..Said::default() }.mail(&tenant);
    assert!(!mail.text.contains("desk.example") && forms(&mail)[0].contains("the service desk, desk.example"), "{}", &*mail.text);
    assert!(!Said::default().mail(&tenant).text.contains("Questions?"), "who invites reads them");
    tenant.privacy.statement_url = Some("https://contoso.example/privacy?a=1&b=2".parse().unwrap());
    for form in forms(&Said::default().mail(&tenant)) {
        assert!(form.contains("https://contoso.example/privacy?a=1&b=2") && !form.contains("no privacy statement"), "{form}");
    }
}

/// The language that the inviter asked for, then the guest's, then the tenant's, then English (b2b-facts section 4), also when
/// the inviter wrote something.
#[test]
fn languages_are_chosen_in_their_order() {
    let mut tenant = tenant("Contoso");
    let language = |tenant: &Tenant, message: Option<&str>, guest: Option<&str>| {
        let tag = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let said = Said { message_language: tag(message), guest_language: tag(guest), ..Said::message("Salut!") };
        said.mail(tenant).language
    };
    assert_eq!(language(&tenant, Some("de-AT"), Some("en")), "de");
    assert_eq!(language(&tenant, Some("fr"), Some("de-AT")), "de");
    assert_eq!(language(&tenant, Some("fr"), Some("fr")), "en");
    tenant.policy.language = Some("de".parse().unwrap());
    assert_eq!(language(&tenant, None, None), "de");
    assert_eq!(language(&tenant, None, Some("en")), "en");
    let mail = Said::default().mail(&tenant);
    assert_eq!(mail.subject, "Adele Vance lädt Sie zur Zusammenarbeit mit Contoso ein");
    assert!(
        mail.text.contains("bis 22. Dezember 2026, 20:00 UTC") && mail.html.contains("Einladung annehmen"),
        "{}",
        &*mail.text
    );
}

#[test]
fn a_tenant_chooses_the_sender_s_name_and_the_subject() {
    let mut contoso = tenant("Contoso");
    let text = |text: &str| Some(text.to_owned());
    contoso.policy.invitation_mail =
        InvitationMail { from_name: text("{organisation} guests"), subject: text("{inviter}, {organisation}, {domain}") };
    let mail = Said::default().mail(&contoso);
    assert_eq!(mail.from.name.as_deref(), Some("Contoso guests"));
    assert_eq!(mail.from.address.as_str(), "guests@gate.example", "the address stays the operator's");
    assert_eq!(mail.subject, "Adele Vance, Contoso, contoso.example");
    let mail = Said { inviter: None, ..Said::default() }.mail(&contoso);
    assert_eq!(mail.subject, "Contoso, Contoso, contoso.example");
    let from = |tenant: &Tenant| {
        [Said::default().mail(tenant), passcode(tenant, "alice@fabrikam.example", None)].map(|mail| mail.from.name)
    };
    assert_eq!(from(&contoso), [text("Contoso guests"), text("Contoso guests")], "every mail is from the same");
    assert_eq!(from(&tenant("ceo@bank.example"))[0], text("ceo(at)bank.example via Guest sign-in"));
    assert_eq!(from(&tenant("Guest")), [text("Guest sign-in"), text("Guest sign-in")], "nobody is named twice");
}

/// A name that was made of the address is none.
#[test]
fn guests_are_greeted_by_the_name_that_is_known() {
    let greeted = |guest_name| Said { guest_name, ..Said::default() }.mail(&tenant("Contoso"));
    for form in forms(&greeted("alice")).into_iter().chain(forms(&greeted(" \u{200b}"))) {
        assert!(form.contains("Hello,"), "{form}");
    }
    let mail = Said { guest_language: Some("de".parse().unwrap()), ..Said::default() }.mail(&tenant("Contoso"));
    assert!(mail.text.contains("\nGuten Tag Alice King,\n"), "{}", &*mail.text);
    assert!(!greeted("Win at evil.example").text.contains("evil.example"), "no link");
}

/// What one form of a mail says, the other says, too.
#[test]
fn both_forms_of_a_mail_say_the_same() {
    for language in ["en", "de"] {
        let said = Said { guest_language: Some(language.parse().unwrap()), ..Said::message("Hello!\nCome in.") };
        let notice = said.notice(&tenant("Contoso"), "bob@contoso.example", "Alice");
        for mail in
            [said.mail(&tenant("Contoso")), notice, passcode(&tenant("Contoso"), "alice@fabrikam.example", Some(language))]
        {
            let shown = mail.html.split("<main").nth(1).unwrap().replace("<br>", "");
            for line in mail.text.lines().map(|line| line.trim_start_matches("> ").trim().trim_end_matches(':')) {
                let line = line.replace('&', "&#38;").replace('\'', "&#39;");
                assert!(line == "---" || shown.contains(&line), "{line:?} is missing: {shown}");
            }
        }
    }
}

/// Who is told of an invitation cannot use it: not even where the alias policy asks for no more than the link.
#[test]
fn the_copy_for_somebody_else_has_no_link() {
    let mail = Said::message("Welcome!").notice(&tenant("Contoso"), "bob@contoso.example", "Alice");
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        ("bob@contoso.example", "Somebody was invited to collaborate with Contoso")
    );
    for form in forms(&mail) {
        assert!(form.contains("Adele Vance (adele@contoso.example) has invited Alice (alice@fabrikam.example)"), "{form}");
        assert!(form.contains("Welcome!") && form.contains("nothing for you to do"), "{form}");
        for secret in [TICKET, "ticket", "redeem", "gate.example", "href"] {
            assert!(!form.contains(secret), "{secret}: {form}");
        }
    }
}

/// O-12: the links are those that were given and those on the configured origin; nothing is loaded when the mail is opened.
#[test]
fn o_12_an_invitation_has_its_own_links_and_no_others() {
    let said = Said::message("See https://evil.example/x?ticket=1, evil.example or eve@evil.example.");
    let mail = Said { inviter: Some(("https://evil.example".to_owned(), None)), ..said }.mail(&tenant("Contoso"));
    let links: Vec<_> = mail.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let block = "https://gate.example/00000000-0000-0000-0000-0000000000c0/block-invitations";
    assert_eq!(links, [LINK.replace('&', "&#38;").as_str(), block]);
    for loaded in ["src=", "<img", "<script", "url(", "@import", "<link", "<form", "http:"] {
        assert!(!mail.html.contains(loaded), "{loaded}: {}", &*mail.html);
    }
    // Nor do mail programs make links of what people wrote.
    for form in [&*mail.text, &*mail.html] {
        assert!(!form.contains("evil.example") && !form.contains("//evil"), "{form}");
    }
}

/// O-10: whoever writes what into names and message, it is one mail to one person, and everything stays where it belongs.
#[tokio::test]
async fn o_10_hostile_names_and_messages_stay_in_their_place() {
    let (world, sink) = (World::new().await, Sink::start(false).await);
    let worker = world.start(smtp(&sink, "smtp", ""));
    let hostile = [
        "Contoso\r\nBcc: eve@evil.example\r\n\r\nbody",
        "Contoso\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\n",
        "\0\u{1}\u{7f}\u{85}\u{2028}\u{2029}",
        ".\r\n..\r\n",
        "a\" <eve@evil.example>, \"b",
        "=?utf-8?b?QmNjOiBldmVAZXZpbC5leGFtcGxl?=",
        "\u{202e}osotnoC\u{200b}",
        "{inviter}{organisation}{domain}",
        "--vestibule-boundary--",
        &"long ".repeat(1_000),
        &"é\r\n".repeat(1_000),
    ];
    let plain = Said::default().mail(&tenant("Contoso"));
    for (index, text) in hostile.iter().enumerate() {
        let mut tenant = tenant(text);
        tenant.policy.invitation_mail =
            InvitationMail { from_name: Some("{organisation}".into()), subject: Some("{inviter}".into()) };
        let mails = [by(text).mail(&tenant), by(text).notice(&tenant, "alice@fabrikam.example", text)];
        for mail in mails {
            world.queue(&mail).await;
            world.until_empty().await;
        }
        assert_eq!(sink.received().len(), 2 * (index + 1), "{text:?}");
    }
    worker.stop().await;
    let expected = {
        let rendered = plain.compose(mail::MailId(Uuid::from_u128(1)), Timestamp::UNIX_EPOCH).unwrap();
        parse(rendered.message()).headers().iter().map(|header| header.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    for (index, received) in sink.received().iter().enumerate() {
        let mail = parse(&received.message);
        let names: Vec<_> = mail.headers().iter().map(|header| header.name.as_str().to_owned()).collect();
        assert_eq!((&received.to, &names), (&"RCPT TO:<alice@fabrikam.example>".to_owned(), &expected));
        assert_eq!(mail.from().unwrap().first().unwrap().address(), Some("guests@gate.example"));
        assert!(mail.subject().unwrap_or_default().chars().count() <= 200);
        let text = mail.body_text(0).unwrap();
        let harmless = |c: char| {
            !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') || matches!(c, '\r' | '\n')
        };
        assert!(text.chars().all(harmless), "{text:?}");
        assert_eq!(text.contains(LINK), index % 2 == 0, "only the guest gets the link: {text}");
        let ours = text.lines().filter(|line| !line.starts_with("> ")).count();
        assert!(ours < 45, "names and messages add no lines but quoted ones: {text}");
    }
}

/// O-13: markup in names and messages is text in a real browser: the document has the elements that the template has and no
/// others, no script runs and nothing is asked for.
#[tokio::test]
async fn o_13_markup_in_an_invitation_is_inert_in_a_browser() {
    let browser = Browser::start().await;
    let shape =
        "return [...document.querySelectorAll('*')].map(e => e.localName + ' ' + e.getAttributeNames().join(' ')).join('\\n')";
    let invitation = |hostile: &str| {
        let name = format!("x {hostile}");
        let said = Said { message: Some(hostile.to_owned()), ..by(&name) };
        said.mail(&tenant(&name))
    };
    browser.open(&Site::page(String::clone(&invitation("x").html)).await.url("127.0.0.1")).await;
    let harmless = browser.script(shape).await;
    let corpus = include_str!("../../../fixtures/hostile-markup.txt");
    let corpus: Vec<_> = corpus.lines().filter(|line| !line.starts_with("# ")).collect();
    assert!(corpus.len() > 50);
    browser.requests().await;
    for hostile in corpus {
        let mail = invitation(hostile);
        let page = Site::page(String::clone(&mail.html)).await;
        // An open dialog would fail every command from here on.
        browser.open(&page.url("127.0.0.1")).await;
        assert_eq!(browser.script(shape).await, harmless, "{hostile}");
        let asked: Vec<_> = browser.requests().await.into_iter().filter(|url| url.path() != "/favicon.ico").collect();
        assert!(asked.iter().all(|url| url.as_str() == page.url("127.0.0.1")), "{hostile}: {asked:?}");
    }
    browser.close().await;
}

/// Writes mails as files to the folder that `VESTIBULE_SAMPLES` names, to be looked at in a browser.
#[test]
#[expect(clippy::disallowed_methods, reason = "a developer asks for the files by the environment")]
fn samples_to_files() {
    let Ok(folder) = std::env::var("VESTIBULE_SAMPLES") else { return };
    let folder = std::path::Path::new(&folder);
    let long = "The Incorporated Society of Guests, Visitors and Otherwise Temporary Persons of Northern Contoso";
    let message =
        "Hello Alice,\n\nwe are glad that you join us. Read https://contoso.example/start first.\nSee you on Monday!\n\nAdele";
    let mut branded = tenant("Contoso");
    branded.privacy.statement_url = Some("https://contoso.example/privacy".parse().unwrap());
    let mut plain = tenant("Contoso");
    plain.branding.accent = None;
    for (name, mail) in [
        ("plain", Said::default().mail(&plain)),
        ("branded", Said::message(message).mail(&branded)),
        ("german", Said { message_language: Some("de".parse().unwrap()), ..Said::message(message) }.mail(&branded)),
        ("nobody", Said { inviter: None, expires: None, ..Said::default() }.mail(&plain)),
        ("long", Said::message(LINK).mail(&tenant(long))),
        ("notice", Said::message(message).notice(&branded, "bob@contoso.example", "Alice")),
    ] {
        std::fs::write(folder.join(format!("mail-{name}.html")), &*mail.html).unwrap();
        std::fs::write(folder.join(format!("mail-{name}.txt")), format!("{}\n\n{}", mail.subject, &*mail.text)).unwrap();
    }
}
