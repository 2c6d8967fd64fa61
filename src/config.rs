//! The configuration of a server: what the file says (raw), and what it means (resolved, once, all problems at a time).
//!
//! `vestibule.example.toml` is complete and commented; a test reads it.

pub mod files;
pub mod source;

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::Deserialize;
use toml::Spanned;

use crate::{
    domain::{EmailAddress, WebUrl},
    mail::{SmtpLimits, SmtpTransport},
    outbound::{HostPort, OutboundPolicy},
    secret::Secret,
    store::Location,
};
use source::Shown;

/// What the file says. Values are texts with their places, so that all that are wrong can be named at once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    public_url: Spanned<String>,
    data: PathBuf,
    #[serde(default)]
    key_ring: Option<PathBuf>,
    #[serde(default)]
    store: Option<Spanned<RawStore>>,
    listen: Spanned<Vec<RawListen>>,
    mail: Spanned<RawMail>,
    #[serde(default)]
    outbound: RawOutbound,
    #[serde(default)]
    dns: RawDns,
    #[serde(default)]
    log: Log,
    drain_seconds: Option<Spanned<u64>>,
    #[serde(default)]
    proxies: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    url: Spanned<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListen {
    address: Spanned<String>,
    #[serde(default)]
    tls: Option<Tls>,
}

/// The certificate of a listener. Both files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMail {
    from_name: Spanned<String>,
    from: Spanned<String>,
    #[serde(default)]
    folder: Option<PathBuf>,
    #[serde(default)]
    smtp: Option<Spanned<Secret>>,
    #[serde(default)]
    ca: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOutbound {
    allow: Vec<Spanned<String>>,
    ca: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDns {
    servers: Vec<Spanned<String>>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where it listens.
    pub address: SocketAddr,
    /// With which certificate, if it speaks TLS.
    pub tls: Option<Tls>,
}

/// How mail leaves.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// As files in a folder.
    Folder(PathBuf),
    /// By SMTP.
    Smtp {
        /// `smtp://` or `smtps://`, with credentials where the server wants them.
        url: Secret,
        /// A private certificate authority, PEM.
        ca: Option<PathBuf>,
    },
}

/// A server's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The origin under which browsers reach the server, without a path.
    pub public_url: WebUrl,
    /// The folder of the embedded store, the key ring and the administration socket.
    pub data: PathBuf,
    /// Where the key ring is; `key-ring` in the data folder when not said.
    pub key_ring: PathBuf,
    /// Where the store is; the file `vestibule.redb` in the data folder when not said.
    pub store: Location,
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// The name that mails come from.
    pub mail_from_name: String,
    /// The address that mails come from.
    pub mail_from: EmailAddress,
    /// How mail leaves.
    pub mail: MailTransport,
    /// Where requests may go besides public addresses.
    pub outbound: OutboundPolicy,
    /// Whom to ask for the records that verify domains; those of the system when there are none.
    pub name_servers: Vec<SocketAddr>,
    /// How the log is written.
    pub log: Log,
    /// How long requests in flight are given at the end.
    pub drain: Duration,
    /// The addresses of reverse proxies: what they say of a client's address is believed, and their connections are not
    /// counted as those of one client.
    pub proxies: Vec<IpAddr>,
}

/// What comes from the environment and takes the place of what the file says, so that secrets need not stand in a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment<'a> {
    /// How mail leaves: `mail.smtp`.
    pub smtp: Option<&'a Secret>,
    /// Where the store is: `store.url`.
    pub store: Option<&'a Secret>,
}

/// What is wrong with a configuration: all of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// How long requests in flight are given when the file does not say.
const DRAIN_SECONDS: u64 = 30;
/// The longest that may be said. Supervisors do not wait much longer before they kill.
const DRAIN_MAX: u64 = 600;
/// What stands where somebody has to put their own: nothing runs with the password of a sample (checklist A-10).
const SAMPLE_SECRET: &str = "replace-me";

impl Config {
    /// Reads and resolves a configuration file. Relative paths are relative to it.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn load_with(path: &Path, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let at = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError(vec![at(&error)]))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse_with(&text, folder, environment)
            .map_err(|ConfigError(problems)| ConfigError(problems.iter().map(|problem| at(problem)).collect()))
    }

    /// Reads and resolves a configuration file.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, Environment::default())
    }

    /// Resolves the text of a configuration file, with relative paths below `folder`.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        Self::parse_with(text, folder, Environment::default())
    }

    fn parse_with(text: &str, folder: &Path, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = source::read(text).map_err(|problem| ConfigError(vec![problem]))?;
        let mut found = Problems { text, found: Vec::new() };
        let public_url = found.parsed("public_url", &raw.public_url, public_url);
        let listen = found.listeners(&raw.listen, folder);
        let mail_from = found.parsed("mail.from", &raw.mail.get_ref().from, EmailAddress::from_str);
        found.name("mail.from_name", &raw.mail.get_ref().from_name);
        let mail_from_name = raw.mail.get_ref().from_name.get_ref().clone();
        let mail = found.mail(&raw.mail, folder, environment.smtp);
        let data = folder.join(raw.data);
        let store = found.store(raw.store.as_ref(), folder, environment.store);
        let outbound = found.outbound(&raw.outbound, folder);
        let name_servers = raw.dns.servers.iter().filter_map(|server| found.parsed("dns.servers", server, name_server)).collect();
        let drain = raw.drain_seconds.as_ref().map_or(DRAIN_SECONDS, |seconds| *seconds.get_ref());
        if let Some(seconds) = raw.drain_seconds.filter(|_| drain > DRAIN_MAX) {
            found.at(seconds.span(), "drain_seconds", &format!("requests in flight get at most {DRAIN_MAX} seconds"));
        }
        let proxies = raw.proxies.iter().filter_map(|address| found.parsed("proxies", address, proxy)).collect();
        match (public_url, mail_from, mail) {
            (Some(public_url), Some(mail_from), Some(mail)) if found.found.is_empty() => Ok(Self {
                public_url,
                key_ring: raw.key_ring.map_or_else(|| data.join("key-ring"), |ring| folder.join(ring)),
                store: store.unwrap_or_else(|| Location::Embedded(data.join("vestibule.redb"))),
                data,
                listen,
                mail_from_name,
                mail_from,
                mail,
                outbound,
                name_servers,
                log: raw.log,
                drain: Duration::from_secs(drain),
                proxies,
            }),
            _ => Err(ConfigError(found.found)),
        }
    }
}

/// Problems, as they are found.
struct Problems<'a> {
    text: &'a str,
    found: Vec<String>,
}

impl Problems<'_> {
    fn at(&mut self, span: Range<usize>, name: &str, problem: &str) {
        self.found.push(source::point(self.text, span, &format!("{name}: {problem}"), Shown::WithoutStrings));
    }

    fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        value: &Spanned<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let problem = match parse(value.get_ref()) {
            Ok(parsed) => return Some(parsed),
            Err(problem) => format!("{name}: {problem}"),
        };
        self.found.push(source::point(self.text, value.span(), &problem, Shown::Whole));
        None
    }

    fn name(&mut self, name: &str, value: &Spanned<String>) {
        let chars = value.get_ref().chars();
        if !(1..=256).contains(&chars.clone().count()) || chars.clone().any(char::is_control) {
            self.at(value.span(), name, "a name has 1 to 256 characters, on one line");
        }
    }

    fn listeners(&mut self, raw: &Spanned<Vec<RawListen>>, folder: &Path) -> Vec<Listen> {
        let mut listeners: Vec<Listen> = Vec::new();
        for listen in raw.get_ref() {
            let Some(address) = self.parsed("listen.address", &listen.address, SocketAddr::from_str) else { continue };
            if address.port() != 0 && listeners.iter().any(|other| other.address == address) {
                self.at(listen.address.span(), "listen.address", "two listeners cannot have the same address");
            }
            let tls = listen.tls.as_ref();
            let tls = tls.map(|tls| Tls { certificate: folder.join(&tls.certificate), key: folder.join(&tls.key) });
            listeners.push(Listen { address, tls });
        }
        if raw.get_ref().is_empty() {
            self.at(raw.span(), "listen", "there is no listener");
        }
        listeners
    }

    fn mail(&mut self, raw: &Spanned<RawMail>, folder: &Path, environment: Option<&Secret>) -> Option<MailTransport> {
        let RawMail { folder: mail_folder, smtp, ca, .. } = raw.get_ref();
        let smtp = match environment {
            Some(url) => Some((url, raw.span())),
            None => smtp.as_ref().map(|smtp| (smtp.get_ref(), smtp.span())),
        };
        match (mail_folder, smtp) {
            (Some(mail_folder), None) => Some(MailTransport::Folder(folder.join(mail_folder))),
            (Some(_), Some((_, span))) if environment.is_none() => {
                self.at(span, "mail", "say either folder or smtp");
                None
            }
            (_, Some((url, span))) => {
                if url.expose().contains(SAMPLE_SECRET) {
                    self.at(span, "mail.smtp", "this is the sample's password; put the real one there");
                } else if let Err(problem) = SmtpTransport::new(url, None, None, SmtpLimits::default()) {
                    self.at(span, "mail.smtp", &problem.to_string());
                }
                Some(MailTransport::Smtp { url: url.clone(), ca: ca.as_ref().map(|ca| folder.join(ca)) })
            }
            (None, None) => {
                self.at(raw.span(), "mail", "say either folder or smtp");
                None
            }
        }
    }

    /// Nothing when the file says nothing, or something wrong.
    fn store(&mut self, raw: Option<&Spanned<RawStore>>, folder: &Path, environment: Option<&Secret>) -> Option<Location> {
        let (url, span) = match (environment, raw) {
            (Some(url), _) => (url, None),
            (None, Some(raw)) => (raw.get_ref().url.get_ref(), Some(raw.get_ref().url.span())),
            (None, None) => return None,
        };
        let parsed = match url.expose().contains(SAMPLE_SECRET) {
            true => Err("this is the sample's password; put the real one there".to_owned()),
            false => url.expose().parse::<Location>(),
        };
        match (parsed, span) {
            (Ok(location), _) => return Some(location.below(folder)),
            (Err(problem), Some(span)) => self.at(span, "store.url", &problem),
            (Err(problem), None) => {
                self.found.push(format!("VESTIBULE_STORE_URL, which takes the place of store.url: {problem}"))
            }
        }
        None
    }

    fn outbound(&mut self, raw: &RawOutbound, folder: &Path) -> OutboundPolicy {
        let mut policy = OutboundPolicy::default();
        policy.allow.extend(raw.allow.iter().filter_map(|entry| self.parsed("outbound.allow", entry, HostPort::from_str)));
        match raw.ca.as_ref().map(|ca| (ca, std::fs::read(folder.join(ca)))) {
            None => policy,
            Some((_, Ok(pem))) => policy.with_root(pem),
            Some((ca, Err(error))) => {
                self.found.push(format!("outbound.ca: {}: {error}", ca.display()));
                policy
            }
        }
    }
}

/// One address. Whole networks cannot be trusted: anybody in them could say who they are.
fn proxy(text: &str) -> Result<IpAddr, &'static str> {
    let address: IpAddr = text.parse().map_err(|_| "the address of a proxy is one IP address")?;
    if address.is_unspecified() { Err("this is no address of a proxy") } else { Ok(address.to_canonical()) }
}

/// An IP address, with a port or with that of DNS.
fn name_server(text: &str) -> Result<SocketAddr, &'static str> {
    let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)));
    let address: SocketAddr = address.map_err(|_| "a name server is an IP address, with or without a port")?;
    if address.ip().is_unspecified() || address.port() == 0 { Err("this is no address of a name server") } else { Ok(address) }
}

/// An origin: scheme, host, port, nothing else.
fn public_url(text: &str) -> Result<WebUrl, &'static str> {
    let url: WebUrl = text.parse()?;
    let parsed = url.as_url();
    if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("an origin has no path, query or fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
