//! Where this machine may connect to.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// One exception from the rule that requests go to public addresses only: an exact host and port.
///
/// Written `host:port`; an IPv6 address in brackets. Compared as it is written, after lower-casing ASCII: an entry for a
/// name does not cover the addresses behind it, nor the other way round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: Host,
    port: u16,
}

/// A text that is no [`HostPort`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one exact host:port; wildcards, ranges and addresses that stand for many are not accepted")]
pub struct HostPortError(String);

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || HostPortError(text.to_owned());
        let (written, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port_is_plain = port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
        let port = port.parse().ok().filter(|_| port_is_plain).ok_or_else(refused)?;
        let host = Host::parse(written).map_err(|_| refused())?;
        // `0`, `127.1` and full-width letters are read as something other than they look: only the plain form is taken.
        let plain = host.to_string() == written.to_ascii_lowercase();
        let exact = match &host {
            Host::Domain(name) => name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
            Host::Ipv4(address) => !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast(),
            Host::Ipv6(address) => !address.is_unspecified() && !address.is_multicast(),
        };
        if plain && exact { Ok(Self { host, port }) } else { Err(refused()) }
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(entry: HostPort) -> Self {
        entry.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Which targets are reached besides public addresses, and who is trusted besides the system's roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundPolicy {
    /// Exact exceptions, whatever address they have. Each deserves a line in the log at start.
    pub allow: Vec<HostPort>,
    /// Further root certificates, PEM: the certificate authority of a company.
    pub(super) roots: Vec<Vec<u8>>,
}

/// How a target may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// If its name leads to a public address.
    PublicOnly,
    /// Whatever its address is: it is an exception of the policy.
    Anywhere,
}

impl OutboundPolicy {
    /// A policy with these exceptions, each `host:port`.
    ///
    /// # Errors
    /// [`HostPortError`], with the entry, for the first that is not one exact host and port.
    pub fn parse<S: AsRef<str>>(allow: &[S]) -> Result<Self, HostPortError> {
        let allow = allow.iter().map(|entry| entry.as_ref().parse()).collect::<Result<_, _>>()?;
        Ok(Self { allow, roots: Vec::new() })
    }

    /// The same policy, trusting further root certificates (PEM, one or more). They are read when a client is made.
    #[must_use]
    pub fn with_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Whether, and how, a URL may be requested; `None` when it may not. Names are judged once more when they are resolved.
    pub(super) fn reach(&self, url: &Url) -> Option<Reach> {
        let host = url.host()?.to_owned();
        let port = url.port_or_known_default()?;
        let listed = self.allow.iter().any(|entry| entry.port == port && entry.host == host);
        let scheme_fits = match url.scheme() {
            "https" => true,
            "http" => listed && stays_on_this_machine(&host),
            _ => false,
        };
        let public = match host {
            Host::Domain(_) => true,
            Host::Ipv4(address) => is_public(address.into()),
            Host::Ipv6(address) => is_public(address.into()),
        };
        match (scheme_fits, listed, public) {
            (false, ..) | (true, false, false) => None,
            (true, true, _) => Some(Reach::Anywhere),
            (true, false, true) => Some(Reach::PublicOnly),
        }
    }
}

/// `localhost` and everything below it (RFC 6761 section 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let tail = name.len().checked_sub("localhost".len()).and_then(|at| name.split_at_checked(at));
    tail.is_some_and(|(front, tail)| tail.eq_ignore_ascii_case("localhost") && (front.is_empty() || front.ends_with('.')))
}

fn stays_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Domain(name) => is_localhost(name),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether an address is reached over the public internet and means the same everywhere.
///
/// After the IANA special-purpose registries (RFC 6890 and its updates), with everything that embeds or relays to an IPv4
/// address (mapped, 6to4, Teredo, NAT64) counted as not public: what it leads to cannot be told from here.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(network, bits)| within_v4(address, *network, *bits)),
        // 2000::/3 is all that is handed out as global unicast (RFC 4291).
        IpAddr::V6(address) => {
            within_v6(address, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                && !SPECIAL_V6.iter().any(|(network, bits)| within_v6(address, *network, *bits))
        }
    }
}

const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private (RFC 1918)
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier-grade NAT (RFC 6598)
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relay anycast
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the platform address of one large cloud, public only in form
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, broadcast
];

const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo, ORCHID, benchmarking
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

fn within_v4(address: Ipv4Addr, network: Ipv4Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0
}

fn within_v6(address: Ipv6Addr, network: Ipv6Addr, bits: u32) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0
}

/// The only addresses of a name are ones that must not be connected to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name leads to an address that is not public")]
pub(super) struct NotPublic;

/// Asks for the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's resolver.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) }))
}

/// Resolves names for one HTTP client and hands on only what that client may connect to. What it returns is what is
/// connected to, so a name that changes its mind between check and connection gains nothing.
pub(super) struct Resolver {
    pub(super) lookup: Lookup,
    pub(super) reach: Reach,
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let name = name.as_str().to_owned();
        // RFC 6761: these names are answered without asking anybody.
        let found: BoxFuture<'static, io::Result<Vec<IpAddr>>> = if is_localhost(&name) {
            Box::pin(std::future::ready(Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])))
        } else {
            (self.lookup)(name)
        };
        let reach = self.reach;
        Box::pin(async move {
            let mut found = found.await?;
            if reach == Reach::PublicOnly {
                found.retain(|address| is_public(*address));
                if found.is_empty() {
                    return Err(NotPublic.into());
                }
            }
            let addresses: reqwest::dns::Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N-01, N-02: the table of targets is a fixture, one URL a line, marked with the answer.
    #[test]
    fn n_01_only_public_addresses_are_reached() {
        let table = include_str!("../../fixtures/outbound-targets.txt");
        let mut count = 0;
        for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (answer, url) = line.split_once('\t').expect("answer, tab, URL");
            let reach = Url::parse(url).ok().and_then(|url| OutboundPolicy::default().reach(&url));
            assert_eq!(reach.is_some(), answer == "reach", "{line}");
            count += 1;
        }
        assert!(count >= 60, "{count}");
    }

    /// N-06: an exception is one host and one port, as written.
    #[test]
    fn n_06_exceptions_are_exact() {
        for good in ["127.0.0.1:9443", "localhost:1", "[::1]:8080", "IdP.corp.example:443", "10.0.0.7:65535"] {
            let entry: HostPort = good.parse().unwrap();
            assert_eq!(entry.to_string(), good.to_ascii_lowercase());
        }
        for bad in [
            "",
            "*",
            "*:443",
            "*.example:443",
            "0.0.0.0/0",
            "0.0.0.0:443",
            "10.0.0.0/8:443",
            "[::]:443",
            "::1:443",
            "255.255.255.255:1",
            "224.0.0.1:1",
            "[ff02::1]:1",
            "127.1:80",
            "0x7f.1:80",
            "2130706433:80",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:080",
            "localhost:+80",
            "localhost:65536",
            "user@localhost:80",
            "localhost:80/",
            " localhost:80",
            "ｌocalhost:80",
        ] {
            assert!(OutboundPolicy::parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn n_06_an_exception_covers_its_host_and_port_only() {
        let policy = OutboundPolicy::parse(&["localhost:9443", "10.0.0.7:443"]).unwrap();
        let reach = |url: &str| policy.reach(&Url::parse(url).unwrap());
        assert_eq!(reach("https://localhost:9443/"), Some(Reach::Anywhere));
        assert_eq!(reach("http://LOCALHOST:9443/"), Some(Reach::Anywhere));
        assert_eq!(reach("https://10.0.0.7/"), Some(Reach::Anywhere));
        assert_eq!(reach("http://10.0.0.7:443/"), None, "http stays on this machine");
        assert_eq!(reach("http://localhost/"), None);
        assert_eq!(reach("https://127.0.0.1:9443/"), None, "the name is listed, not the address");
        assert_eq!(reach("https://10.0.0.7:8443/"), None);
        for named in ["https://localhost:9444/", "https://a.localhost:9443/", "https://localhost.:9443/"] {
            assert_eq!(reach(named), Some(Reach::PublicOnly), "{named}: left to the resolver, which refuses it");
        }
        assert_eq!(reach("ftp://contoso.example/"), None);
        assert_eq!(reach("http://contoso.example/"), None);
    }

    #[test]
    fn localhost_names_are_known_without_a_look_up() {
        for here in ["localhost", "LocalHost", "localhost.", "idp.localhost", "a.b.localhost."] {
            assert!(is_localhost(here), "{here}");
        }
        for elsewhere in ["", "localhos", "notlocalhost", "localhost.example", "localhost..", "éocalhost"] {
            assert!(!is_localhost(elsewhere), "{elsewhere}");
        }
    }
}
