use super::*;

const GOOD: &str = r#"
public_url = "https://guests.contoso.example"
data = "data"
[[listen]]
address = "127.0.0.1:8080"
[mail]
from_name = "Contoso"
from = "guests@contoso.example"
folder = "mail"
"#;

fn problems(text: &str) -> Vec<String> {
    let ConfigError(problems) = Config::parse(text, Path::new("/")).unwrap_err();
    problems
}

#[test]
fn the_sample_configuration_is_valid() {
    let config = Config::parse(include_str!("../../vestibule.example.toml"), Path::new("/etc/vestibule")).unwrap();
    assert_eq!(config.key_ring, Path::new("/var/lib/vestibule/key-ring"));
    assert_eq!(config.listen.len(), 2);
}

/// The sample is complete: every name that a configuration may have is in it, if only behind a `#`.
#[test]
fn the_sample_configuration_mentions_every_setting() {
    let sample = include_str!("../../vestibule.example.toml");
    let known = ["public_url", "data", "key_ring", "log", "drain_seconds", "proxies", "address", "tls", "certificate", "key"];
    let more = ["from_name", "from", "smtp", "ca", "folder", "allow", "servers"];
    for name in known.iter().chain(&more) {
        assert!(sample.contains(&format!("{name} = ")), "{name}");
    }
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let config = Config::parse(GOOD, Path::new("/etc/vestibule")).unwrap();
    assert_eq!(config.data, Path::new("/etc/vestibule/data"));
    assert_eq!(config.key_ring, Path::new("/etc/vestibule/data/key-ring"));
    assert!(matches!(config.mail, MailTransport::Folder(folder) if folder == Path::new("/etc/vestibule/mail")));
    assert_eq!((config.log, config.drain), (Log::Text, Duration::from_secs(30)));
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let found = problems(
        r#"
public_url = "http://contoso.example/path"
data = "data"
drain_seconds = 100000
[[listen]]
address = "nowhere"
[[listen]]
address = "127.0.0.1:80"
[[listen]]
address = "127.0.0.1:80"
[mail]
from_name = ""
from = "nobody"
smtp = "imap://user:hunter2@mail.contoso.example"
[outbound]
allow = ["0.0.0.0/0", "*:443"]
ca = "not-there.pem"
"#,
    );
    let places = [
        "line 2: public_url",
        "line 6: listen.address",
        "line 10: listen.address: two",
        "line 12: mail.from_name",
        "line 13: mail.from",
        "line 14: mail.smtp",
        "line 16: outbound.allow",
        "outbound.ca",
        "line 4: drain_seconds",
    ];
    for place in places {
        let problem = found.iter().find(|problem| problem.starts_with(place));
        let problem = problem.unwrap_or_else(|| panic!("{place}: {found:#?}"));
        assert!(place == "outbound.ca" || problem.contains('^'), "{problem}");
    }
    assert_eq!(found.iter().filter(|problem| problem.contains("outbound.allow")).count(), 2);
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn name_servers_are_addresses_with_or_without_a_port() {
    let with = |servers: &str| format!("{GOOD}[dns]\nservers = [{servers}]\n");
    let config = Config::parse(&with(r#""127.0.0.1:5353", "9.9.9.9", "[::1]:54", "::1""#), Path::new("/")).unwrap();
    let servers: Vec<_> = config.name_servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.1:5353", "9.9.9.9:53", "[::1]:54", "[::1]:53"]);
    assert!(Config::parse(GOOD, Path::new("/")).unwrap().name_servers.is_empty(), "those of the system");
    let found = problems(&with(r#""ns.contoso.example", "0.0.0.0", "127.0.0.1:0""#));
    assert!(found.len() == 3 && found.iter().all(|problem| problem.starts_with("line 11: dns.servers")), "{found:?}");
}

#[test]
fn mail_leaves_in_one_way_and_the_environment_has_the_last_word() {
    let both = GOOD.replace("folder = ", "smtp = \"smtp://mail.contoso.example\"\nfolder = ");
    let none = GOOD.replace("folder = \"mail\"", "");
    let ca = GOOD.replace("folder = \"mail\"", "ca = \"ca.pem\"");
    for text in [&both, &none] {
        assert!(problems(text)[0].contains("say either folder or smtp"), "{text}");
    }
    let url = Secret::new("smtps://user:hunter2@mail.contoso.example");
    for text in [GOOD, &both, &none] {
        let config =
            Config::parse_with(text, Path::new("/"), Environment { smtp: Some(&url), ..Environment::default() }).unwrap();
        assert!(matches!(&config.mail, MailTransport::Smtp { url, ca: None } if url.expose().contains("hunter2")));
    }
    let config = Config::parse_with(&ca, Path::new("/"), Environment { smtp: Some(&url), ..Environment::default() }).unwrap();
    assert!(matches!(config.mail, MailTransport::Smtp { ca: Some(_), .. }), "a private authority stays");
    let ConfigError(found) =
        Config::parse_with(GOOD, Path::new("/"), Environment { smtp: Some(&Secret::new("hunter2")), ..Environment::default() })
            .unwrap_err();
    assert!(found[0].contains("mail.smtp") && !found[0].contains("hunter2"), "{found:?}");
}

/// A-10: nothing starts with the secrets of a sample.
#[test]
fn a_10_the_password_of_a_sample_is_refused() {
    let text = GOOD.replace("folder = \"mail\"", "smtp = \"smtp://user:replace-me@mail.contoso.example\"");
    assert!(problems(&text)[0].contains("sample"));
}

#[test]
fn an_unknown_name_is_refused_with_its_place() {
    let found = problems(&format!("publik_url = \"x\"\n{GOOD}"));
    assert!(found[0].starts_with("line 1: unknown field `publik_url`") && found[0].contains('^'), "{found:?}");
}
