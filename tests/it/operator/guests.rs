//! `guest`: the same commands without a server, through the running one, and over HTTPS as an app.

mod import;

use super::*;
use crate::support::{mailbox::Mailbox, soon};

/// Where a command finds the directory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    /// In its own process: no server runs.
    Here,
    /// The socket of the running server.
    Socket,
    /// As an app with permissions.
    Https,
}

/// An organisation to which guests are invited.
struct Guests {
    site: Site,
    secure: SocketAddr,
    door: Door,
    /// None where no server runs.
    process: Option<Process>,
}

impl Guests {
    async fn at(door: Door) -> Self {
        let (site, secure) = (Site::new(), spare_address());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        site.write("cert.pem", &made.cert.pem());
        site.write("key.pem", &made.signing_key.serialize_pem());
        let tls = format!("[[listen]]\naddress = \"{secure}\"\ntls = {{ certificate = \"cert.pem\", key = \"key.pem\" }}\n");
        let public_url = format!("https://localhost:{}", secure.port());
        let configuration = site.configuration(&tls).replace(&site.url(""), &public_url);
        site.write("vestibule.toml", &configuration);
        let tenant = declared::tenant(TENANT, "Contoso", &[("contoso.example", true)]);
        let app = declared::app(APP, "Directory tools", &site.secrets.app);
        site.write(
            "tenants.toml",
            &format!(
                r#"
                {tenant}
                {app}
                permissions = ["User.ReadWrite.All", "Application.Read.All", "AppRoleAssignment.ReadWrite.All"]
                [[tenant.app]]
                display_name = "Expenses"
                homepage = "https://expenses.contoso.example/"
                public = true
                [[tenant.user]]
                user_type = "Member"
                display_name = "Adele Vance"
                mail = "adele@contoso.example"
                "#
            ),
        );
        site.apply();
        let process = if door == Door::Here { None } else { Some(site.serve().await) };
        Self { site, secure, door, process }
    }

    /// The arguments of a command, with where it finds the directory.
    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> =
            [&["guest"], arguments, &["--tenant", "contoso.example"]].concat().into_iter().map(str::to_owned).collect();
        match self.door {
            Door::Here | Door::Socket => all.extend(["--config".to_owned(), text(&self.site.path("vestibule.toml")).to_owned()]),
            Door::Https => {
                let server = format!("https://localhost:{}", self.secure.port());
                let ca = text(&self.site.path("cert.pem")).to_owned();
                all.extend(["--server".to_owned(), server, "--ca".to_owned(), ca]);
            }
        }
        all
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = vestibule();
        command.args(self.arguments(arguments)).stdin(std::process::Stdio::null());
        command.env("VESTIBULE_CLIENT_ID", APP).env("VESTIBULE_CLIENT_SECRET", &self.site.secrets.app);
        command
    }

    fn guest(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&done(&self.guest(&[arguments, &["--json"]].concat()))).expect("JSON")
    }

    fn mailbox(&self) -> Mailbox {
        Mailbox::open(&self.site.path("mail"))
    }
}

/// A text in which ids, moments, tickets and ports are not told apart.
fn alike(text: &str) -> String {
    let mut alike = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let head = |length: usize| rest.get(..length);
        if head(36).is_some_and(|head| head.parse::<uuid::Uuid>().is_ok()) {
            (alike, rest) = (alike + "<id>", &rest[36..]);
        } else if head(17)
            .is_some_and(|head| head.ends_with('Z') && head[..4].bytes().all(|b| b.is_ascii_digit()) && &head[13..14] == ":")
        {
            (alike, rest) = (alike + "<moment>", &rest[17..]);
        } else if let Some(after) = rest.strip_prefix("ticket=") {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(after.len());
            (alike, rest) = (alike + "ticket=<ticket>", &after[end..]);
        } else if let Some(after) = rest.strip_prefix("https://localhost:") {
            (alike, rest) = (alike + "<server>", after.trim_start_matches(|c: char| c.is_ascii_digit()));
        } else if let Some(after) = rest.strip_prefix("trace ") {
            (alike, rest) = (alike + "trace <trace>", after.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
        } else {
            alike.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    alike
}

/// What a series of commands says, with their statuses.
async fn told(door: Door) -> String {
    let guests = Guests::at(door).await;
    let mut told = String::new();
    for command in [
        &["list"][..],
        &["invite", "ana@fabrikam.example", "--name", "Ana Silva", "--sponsor", "adele@contoso.example", "--no-mail"],
        &["invite", "bo@fabrikam.example", "--redirect", "https://expenses.contoso.example/", "--no-mail", "--member"],
        &["assign", "ana@fabrikam.example", "Expenses", "--role", "Reader"],
        &["show", "ana@fabrikam.example"],
        &["list", "--state", "accepted"],
        &["list", "--search", "Ana", "--filter", "accountEnabled eq true"],
        &["resend", "ana@fabrikam.example", "--no-mail"],
        &["revoke", "ana@fabrikam.example"],
        &["block", "ana@fabrikam.example"],
        &["list", "--filter", "accountEnabled eq false"],
        &["resend", "ana@fabrikam.example", "--no-mail"],
        &["unblock", "ana@fabrikam.example"],
        &["reset", "ana_fabrikam.example#EXT#@contoso.example", "--no-mail"],
        &["unassign", "ana@fabrikam.example", "Expenses"],
        &["unassign", "ana@fabrikam.example", "Expenses"],
        &["delete", "ana@fabrikam.example"],
        &["list"],
        &["show", "ana@fabrikam.example"],
        &["list", "--deleted"],
        &["restore", "ana@fabrikam.example"],
        &["convert", "ana@fabrikam.example", "--to", "member"],
        &["delete", "ana@fabrikam.example", "--permanently"],
        &["delete", "bo@fabrikam.example"],
        &["delete", "bo@fabrikam.example", "--permanently"],
        &["list", "--deleted"],
        &["invite", "carl@contoso.example"],
        &["invite", "dora@fabrikam.example", "--redirect", "https://elsewhere.example/"],
        &["list", "--filter", "mail lk 'a'"],
        &["show", "7e1f0000-0000-4000-8000-000000000001"],
    ] {
        let output = guests.guest(command);
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        told += &format!(
            "$ {} = {}\n{}",
            command.join(" "),
            output.status.code().unwrap_or(-1),
            String::from_utf8(said).expect("UTF-8")
        );
    }
    alike(&told)
}

#[tokio::test]
async fn every_door_leads_to_the_same() {
    let here = told(Door::Here).await;
    let expected = include_str!("guests/told.txt");
    assert!(here == expected, "{here}");
    assert_eq!(told(Door::Socket).await, here);
    assert_eq!(told(Door::Https).await, here);
}

#[tokio::test]
async fn json_has_the_fields_of_the_api_and_an_object_a_line() {
    let guests = Guests::at(Door::Here).await;
    for address in ["ana@fabrikam.example", "bo@fabrikam.example"] {
        let answer = guests.json(&["invite", address, "--cc", "boss@fabrikam.example", "--message", "Come in"]);
        assert_eq!((&answer["status"], &answer["inviteRedeemUrl"]), (&"PendingAcceptance".into(), &Value::Null), "{answer}");
    }
    let listed = done(&guests.guest(&["list", "--json"]));
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(listed.len(), 2);
    let one = guests.guest(&["list", "--limit", "1"]);
    assert_eq!(done(&one).lines().count(), 2, "headings and one guest");
    assert!(String::from_utf8_lossy(&one.stderr).contains("--all lists all of them"), "{one:?}");
    for guest in &listed {
        assert_eq!((&guest["source"], &guest["invitationAccepted"]), (&"Invited user".into(), &"No".into()), "{guest}");
        assert!(guest.as_object().is_some_and(|members| members.keys().all(|name| !name.contains('@'))), "{guest}");
    }
    let shown = guests.json(&["show", "ana@fabrikam.example"]);
    assert_eq!(
        (&shown["vestibuleInvitation"]["delivery"]["state"], &shown["sponsors"]),
        (&"Queued".into(), &Value::Array(vec![]))
    );
    let blocked = guests.json(&["block", "bo@fabrikam.example"]);
    assert_eq!((&blocked["done"], blocked["id"].is_string()), (&"blocked".into(), true));
}

#[tokio::test]
async fn t_04_the_link_goes_to_the_guest_and_is_printed_only_on_demand() {
    let guests = Guests::at(Door::Socket).await;
    let mut mailbox = guests.mailbox();
    let message = guests.site.path("message.txt");
    std::fs::write(&message, "Welcome, \"Ana\".\nYours, Adele\n").expect("a file");
    let said = done(&guests.guest(&["invite", "ana@fabrikam.example", "--message-file", text(&message), "--language", "de"]));
    assert!(!said.contains("ticket="), "{said}");
    let mail = mailbox.next_to("ana@fabrikam.example").await;
    assert!(mail.text.contains("ticket=") && mail.text.contains("Yours, Adele"), "{mail:?}");
    assert!(
        soon(async || guests.json(&["show", "ana@fabrikam.example"])["vestibuleInvitation"]["delivery"]["state"] == "Sent").await
    );
    let said = done(&guests.guest(&["resend", "ana@fabrikam.example", "--show-link"]));
    assert!(said.contains("ticket="), "{said}");
    mailbox.next_to("ana@fabrikam.example").await;
    guests.process.as_ref().expect("a server").signal("TERM");
    assert!(guests.process.as_ref().expect("a server").wait(SOON).is_some());
    let log = guests.process.as_ref().expect("a server").log();
    assert!(!log.contains("ticket=") && !log.contains("ana@fabrikam"), "{log}");
}

#[tokio::test]
async fn a_client_that_is_not_let_in_is_told_so_and_its_secret_is_no_argument() {
    let guests = Guests::at(Door::Https).await;
    let with_secret = |secret: &str| guests.command(&["list"]).env("VESTIBULE_CLIENT_SECRET", secret).output().expect("output");
    assert!(failed(&with_secret("wrong")).contains("invalid_client: VB5008"));
    let mut from_file = guests.command(&["list", "--client-secret-file", text(&guests.site.path("secret"))]);
    guests.site.write("secret", &format!("{}\n", guests.site.secrets.app));
    done(&from_file.env_remove("VESTIBULE_CLIENT_SECRET").output().expect("output"));
    assert!(
        failed(&guests.command(&["list"]).env_remove("VESTIBULE_CLIENT_SECRET").output().expect("output"))
            .contains("VESTIBULE_CLIENT_SECRET")
    );
    assert_eq!(guests.guest(&["list", "--client-secret", "x"]).status.code(), Some(2));
    let at = |server: &str| run(&["guest", "list", "--tenant", "contoso.example", "--server", server, "--client-id", APP]);
    assert!(failed(&at("http://guests.example")).contains("https only"));
    assert!(failed(&at("https://localhost/path")).contains("nothing else"));
    // The authority is not trusted without being named.
    let untrusted = format!("https://localhost:{}", guests.secure.port());
    let mut untrusting = vestibule();
    untrusting
        .args(["guest", "list", "--tenant", TENANT, "--server", &untrusted, "--client-id", APP])
        .env("VESTIBULE_CLIENT_SECRET", "x");
    assert!(failed(&untrusting.output().expect("output")).contains("no answer"));
    assert_eq!(run(&["guest", "list"]).status.code(), Some(2), "which organisation?");
}
