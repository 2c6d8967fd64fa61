//! The configuration of a server: what the file says (raw), and what it means (resolved, once, all problems at a time).
//!
//! `vestibule.example.toml` is complete and commented; a test reads it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use url::Url;

use crate::{domain::EmailAddress, domain::WebUrl, outbound::OutboundPolicy, secret::Secret};

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    public_url: String,
    data: PathBuf,
    #[serde(default)]
    key_ring: Option<PathBuf>,
    listen: Vec<RawListen>,
    mail: RawMail,
    #[serde(default)]
    outbound: RawOutbound,
    #[serde(default)]
    log: Log,
    #[serde(default = "thirty")]
    drain_seconds: u64,
}

fn thirty() -> u64 {
    30
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListen {
    address: SocketAddr,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMail {
    from_name: String,
    from: EmailAddress,
    #[serde(default)]
    folder: Option<PathBuf>,
    #[serde(default)]
    smtp: Option<Secret>,
    #[serde(default)]
    ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOutbound {
    allow: Vec<String>,
    ca: Option<PathBuf>,
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
    /// The folder of the store, the key ring and the administration socket.
    pub data: PathBuf,
    /// Where the key ring is; `key-ring` in the data folder when not said.
    pub key_ring: PathBuf,
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
    /// How the log is written.
    pub log: Log,
    /// How long requests in flight are given at the end.
    pub drain: std::time::Duration,
}

/// What is wrong with a configuration: all of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads and resolves a configuration file. Relative paths are relative to it.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError(vec![format!("{}: {error}", path.display())]))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("."))).map_err(|ConfigError(problems)| {
            ConfigError(problems.into_iter().map(|p| format!("{}: {p}", path.display())).collect())
        })
    }

    /// Resolves the text of a configuration file, with relative paths below `folder`.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|error| ConfigError(vec![error.to_string()]))?;
        let mut problems = Vec::new();
        let public_url = public_url(&raw.public_url).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if raw.listen.is_empty() {
            problems.push("listen: there is no listener".into());
        }
        let mail = match (raw.mail.folder, raw.mail.smtp) {
            (Some(mail_folder), None) => Some(MailTransport::Folder(folder.join(mail_folder))),
            (None, Some(url)) => {
                if !["smtp://", "smtps://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
                    problems.push("mail.smtp: the URL starts with smtp:// or smtps://".into());
                }
                Some(MailTransport::Smtp { url, ca: raw.mail.ca.map(|ca| folder.join(ca)) })
            }
            _ => {
                problems.push("mail: say either folder or smtp".into());
                None
            }
        };
        let outbound = match OutboundPolicy::parse(&raw.outbound.allow) {
            Ok(policy) => Some(policy),
            Err(problem) => {
                problems.push(format!("outbound.allow: {problem}"));
                None
            }
        };
        let outbound = match (outbound, raw.outbound.ca) {
            (Some(policy), Some(ca)) => match std::fs::read(folder.join(&ca)) {
                Ok(pem) => Some(policy.with_root(pem)),
                Err(error) => {
                    problems.push(format!("outbound.ca: {}: {error}", ca.display()));
                    None
                }
            },
            (policy, _) => policy,
        };
        let data = folder.join(raw.data);
        match (public_url, mail, outbound) {
            (Some(public_url), Some(mail), Some(outbound)) if problems.is_empty() => Ok(Self {
                public_url,
                key_ring: raw.key_ring.map_or_else(|| data.join("key-ring"), |ring| folder.join(ring)),
                data,
                listen: raw
                    .listen
                    .into_iter()
                    .map(|listen| Listen { address: listen.address, tls: listen.tls.map(|tls| tls.below(folder)) })
                    .collect(),
                mail_from_name: raw.mail.from_name,
                mail_from: raw.mail.from,
                mail,
                outbound,
                log: raw.log,
                drain: std::time::Duration::from_secs(raw.drain_seconds),
            }),
            _ => Err(ConfigError(problems)),
        }
    }
}

impl Tls {
    fn below(self, folder: &Path) -> Self {
        Self { certificate: folder.join(self.certificate), key: folder.join(self.key) }
    }
}

/// An origin: scheme, host, port, nothing else.
fn public_url(text: &str) -> Result<Option<WebUrl>, String> {
    let url: WebUrl = text.parse().map_err(|reason: &str| format!("public_url: {reason}"))?;
    let parsed: &Url = url.as_url();
    if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("public_url: an origin has no path, query or fragment".into());
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_configuration_is_valid() {
        let sample = include_str!("../vestibule.example.toml");
        let config = Config::parse(sample, Path::new("/etc/vestibule")).unwrap();
        assert_eq!(config.key_ring, Path::new("/var/lib/vestibule/key-ring"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = r#"
            public_url = "http://contoso.example/path"
            data = "data"
            listen = []
            [mail]
            from_name = "Contoso"
            from = "a@contoso.example"
            [outbound]
            allow = ["0.0.0.0/0"]
        "#;
        let ConfigError(problems) = Config::parse(text, Path::new("/")).unwrap_err();
        for place in ["public_url", "listen", "mail", "outbound.allow"] {
            assert!(problems.iter().any(|problem| problem.starts_with(place)), "{place}: {problems:?}");
        }
        let ConfigError(problems) = Config::parse("public_url = 5", Path::new("/")).unwrap_err();
        assert!(problems[0].contains('^'), "the place is shown: {problems:?}");
    }
}
