//! What an operator says about a Redis, as one URL.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates,
    io::tcp::TcpSettings,
};

use crate::secret::Secret;

/// Where a Redis is and what it must promise.
///
/// | form | what |
/// |---|---|
/// | `redis://[user:password@]host[:port][/db]` | one server |
/// | `redis+sentinel://[user:password@]host:port,…/name[/db]` | the primary that Sentinels name |
/// | `redis+cluster://[user:password@]host:port,…` | a Cluster, by some of its nodes |
///
/// With `rediss` instead of `redis` everything is spoken through TLS. Parameters follow a `?`:
///
/// * `ca=PATH`: the certificate authority to trust instead of those of the machine, PEM
/// * `namespace=NAME`: what all keys begin with; `vb` when not said
/// * `acknowledgements=N`: how many replicas must have a commit before it counts; 1 with Sentinel and Cluster, else 0
/// * `sentinel_user=`, `sentinel_password=`: where Sentinels want others than the servers do; empty where they want none
/// * `accept=RISK,…`: see [`Risk`]
///
/// `Display` leaves the credentials out.
#[derive(Clone)]
pub struct RedisSettings {
    pub(super) shape: Shape,
    tls: bool,
    ca: Option<PathBuf>,
    login: Login,
    sentinel_login: Login,
    db: i64,
    pub(super) namespace: String,
    pub(super) acknowledgements: u32,
    pub(super) accept: BTreeSet<Risk>,
}

#[derive(Clone, Default)]
struct Login {
    user: Option<String>,
    password: Option<Secret>,
    /// Whether the URL speaks of it; it may speak of none.
    said: bool,
}

/// How servers hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single(Address),
    Sentinel { sentinels: Vec<Address>, name: String },
    Cluster(Vec<Address>),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A way to lose what was acknowledged. A server that has one is refused, unless the URL says that it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// `lost-on-restart`: nothing, or only a snapshot now and then, is kept on disk.
    Restart,
    /// `lost-on-power-cut`: the disk is written once a second, or when the system likes.
    PowerCut,
    /// `lost-on-eviction`: records are thrown away when memory is short.
    Eviction,
    /// `lost-on-failover`: a replica may take over that does not have what was acknowledged.
    Failover,
    /// `unknown-settings`: the server does not let its settings be read.
    Unknown,
}

impl Risk {
    const ALL: [Self; 5] = [Self::Restart, Self::PowerCut, Self::Eviction, Self::Failover, Self::Unknown];

    /// Its name in the URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Restart => "lost-on-restart",
            Self::PowerCut => "lost-on-power-cut",
            Self::Eviction => "lost-on-eviction",
            Self::Failover => "lost-on-failover",
            Self::Unknown => "unknown-settings",
        }
    }
}

impl RedisSettings {
    /// Whether `text` begins like a URL of a Redis.
    pub(in crate::store) fn recognises(text: &str) -> bool {
        text.split_once("://").is_some_and(|(scheme, _)| scheme.starts_with("redis"))
    }

    /// The same with the path of the authority below `folder` where it is relative.
    pub(in crate::store) fn below(mut self, folder: &Path) -> Self {
        self.ca = self.ca.map(|ca| folder.join(ca));
        self
    }

    /// A client for the server at `address`.
    pub(super) fn client(&self, address: &Address) -> RedisResult<Client> {
        let mut info = self.login.apply(RedisConnectionInfo::default());
        if !matches!(self.shape, Shape::Cluster(_)) {
            info = info.set_db(self.db);
        }
        self.build(address, info)
    }

    /// A client for a Sentinel.
    pub(super) fn sentinel(&self, address: &Address) -> RedisResult<Client> {
        let login = if self.sentinel_login.said { &self.sentinel_login } else { &self.login };
        self.build(address, login.apply(RedisConnectionInfo::default()))
    }

    fn build(&self, Address { host, port }: &Address, info: RedisConnectionInfo) -> RedisResult<Client> {
        let (host, port) = (host.clone(), *port);
        let address = match self.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        // Small requests that wait for an answer gain nothing from being held back.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info: ConnectionInfo = address.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(info);
        match &self.ca {
            Some(ca) if self.tls => {
                let unreadable = |error: std::io::Error| {
                    let what = format!("{}: {error}", ca.display());
                    redis::RedisError::from((ErrorKind::InvalidClientConfig, "the certificate authority", what))
                };
                let root_cert = Some(std::fs::read(ca).map_err(unreadable)?);
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
            _ => Client::open(info),
        }
    }
}

impl Login {
    fn apply(&self, mut info: RedisConnectionInfo) -> RedisConnectionInfo {
        if let Some(user) = &self.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password.expose());
        }
        info
    }
}

impl fmt::Display for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls { "s" } else { "" };
        let list = |addresses: &[Address]| addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",");
        match &self.shape {
            Shape::Single(address) => write!(f, "redis{s}://{address}/{}", self.db)?,
            Shape::Sentinel { sentinels, name } => write!(f, "redis{s}+sentinel://{}/{name}", list(sentinels))?,
            Shape::Cluster(nodes) => write!(f, "redis{s}+cluster://{}", list(nodes))?,
        }
        if self.namespace != NAMESPACE { write!(f, "?namespace={}", self.namespace) } else { Ok(()) }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisSettings({self})")
    }
}

const NAMESPACE: &str = "vb";

impl FromStr for RedisSettings {
    type Err = String;

    /// The problem never repeats what may be a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("a URL begins with redis:// or the like")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Login::parse(login)?, hosts),
            None => (Login::default(), authority),
        };
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err("the scheme is redis or rediss, alone or with +sentinel or +cluster".into()),
        };
        let (shape, db) = match kind {
            "" => match &addresses(hosts, 6379)?[..] {
                [address] => (Shape::Single(address.clone()), path),
                _ => return Err("one server has one address; several belong to redis+sentinel:// or redis+cluster://".into()),
            },
            "sentinel" => {
                let (name, db) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err("after the Sentinels comes the name of the primary: redis+sentinel://host:26379/name".into());
                }
                (Shape::Sentinel { sentinels: addresses(hosts, 26379)?, name: decoded(name)? }, db)
            }
            "cluster" if path.is_empty() => (Shape::Cluster(addresses(hosts, 6379)?), ""),
            "cluster" => return Err("a Cluster has no numbered databases".into()),
            _ => return Err("the scheme is redis or rediss, alone or with +sentinel or +cluster".into()),
        };
        let db = if db.is_empty() { 0 } else { db.parse().map_err(|_| "the database is a number")? };
        let acknowledgements = u32::from(!matches!(shape, Shape::Single(_)));
        let sentinel_login = Login::default();
        let (namespace, accept) = (NAMESPACE.to_owned(), BTreeSet::new());
        let mut settings = Self { shape, tls, ca: None, login, sentinel_login, db, namespace, acknowledgements, accept };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            settings.parameter(&name, &value)?;
        }
        if settings.ca.is_some() && !settings.tls {
            return Err("ca says whom to trust with TLS, which is rediss://".into());
        }
        Ok(settings)
    }
}

impl RedisSettings {
    fn parameter(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "ca" => self.ca = Some(value.into()),
            "namespace" => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                if !(1..=64).contains(&value.len()) || !value.chars().all(fits) {
                    return Err("a namespace has 1 to 64 letters, digits, -, _ and .".into());
                }
                self.namespace = value.to_owned();
            }
            "acknowledgements" => self.acknowledgements = value.parse().map_err(|_| "acknowledgements is a number")?,
            "sentinel_user" => {
                self.sentinel_login.said = true;
                self.sentinel_login.user = Some(value.to_owned());
            }
            "sentinel_password" => {
                self.sentinel_login.said = true;
                self.sentinel_login.password = Some(value).filter(|value| !value.is_empty()).map(Secret::new);
            }
            "accept" => {
                for risk in value.split(',') {
                    let known = Risk::ALL.into_iter().find(|known| known.name() == risk);
                    let names = Risk::ALL.map(Risk::name).join(", ");
                    self.accept.insert(known.ok_or_else(|| format!("what can be accepted is {names}"))?);
                }
            }
            _ => {
                return Err("the parameters are ca, namespace, acknowledgements, sentinel_user, sentinel_password, accept".into());
            }
        }
        Ok(())
    }
}

impl Login {
    fn parse(text: &str) -> Result<Self, String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let user = Some(decoded(user)?).filter(|user| !user.is_empty());
        let password = Some(decoded(password)?).filter(|password| !password.is_empty()).map(Secret::new);
        Ok(Self { user, password, said: true })
    }
}

fn decoded(text: &str) -> Result<String, String> {
    // Only percent signs mean something here, so `+` must survive the form decoding.
    let plus = text.replace('+', "%2B");
    let value = url::form_urlencoded::parse(plus.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default();
    let complete = text.is_empty() || (!value.contains(char::REPLACEMENT_CHARACTER) && !text.contains(['&', '=']));
    if complete { Ok(value) } else { Err("user, password and name are written with % for what is no letter or digit".into()) }
}

fn addresses(text: &str, port: u16) -> Result<Vec<Address>, String> {
    text.split(',').map(|address| Address::parse(address, port)).collect()
}

impl Address {
    fn parse(text: &str, port: u16) -> Result<Self, String> {
        let problem = || "a server is written as host:port".to_owned();
        let (host, rest) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(problem)?,
            None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| problem())?,
            None if rest.is_empty() => port,
            None => return Err(problem()),
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            Err(problem())
        } else {
            Ok(Self { host: host.to_owned(), port })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RedisSettings {
        text.parse().unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    #[test]
    fn every_form_is_understood_and_shown_without_secrets() {
        for (text, shown, acknowledgements) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0", 0),
            ("redis://[::1]:7000/3", "redis://[::1]:7000/3", 0),
            ("rediss://u:p%40ss@cache.example:6380?ca=ca.pem&acknowledgements=2", "rediss://cache.example:6380/0", 2),
            ("redis+sentinel://:hunter2@a:1,b:2/main?namespace=x.y", "redis+sentinel://a:1,b:2/main?namespace=x.y", 1),
            ("rediss+cluster://user:hunter2@a:1,b", "rediss+cluster://a:1,b:6379", 1),
        ] {
            let settings = parse(text);
            assert_eq!((settings.to_string(), settings.acknowledgements), (shown.to_owned(), acknowledgements), "{text}");
            assert!(!format!("{settings:?}").contains("hunter2"));
        }
        let settings = parse("redis://us%2Fer:p%3A+%40ss@h?accept=lost-on-restart,lost-on-failover");
        assert_eq!(settings.login.user.as_deref(), Some("us/er"));
        assert_eq!(settings.login.password.as_ref().unwrap().expose(), "p:+@ss");
        assert_eq!(settings.accept, [Risk::Restart, Risk::Failover].into());
    }

    #[test]
    fn what_is_wrong_is_named_without_repeating_it() {
        for text in [
            "http://u:hunter2@h",
            "redis://u:hunter2@a,b",
            "redis://u:hunter2@",
            "redis://u:hunter2@h:port",
            "redis://u:hunter2@h/first",
            "redis+sentinel://u:hunter2@h",
            "redis+cluster://u:hunter2@h/1",
            "redis+other://u:hunter2@h",
            "redis://u:hunter2@h?acknowledgements=hunter2",
            "redis://u:hunter2@h?accept=hunter2",
            "redis://u:hunter2@h?hunter2=1",
            "redis://u:hunter2@h?namespace=hunter2%20",
            "redis://u:hunter2@h?ca=hunter2.pem",
        ] {
            let problem = text.parse::<RedisSettings>().expect_err(text);
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
