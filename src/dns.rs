//! TXT records, asked of the system's name servers or of those that the configuration names.
//!
//! Their answers are believed: DNSSEC is not checked here, so they should be servers that check it, or that nobody stands
//! in front of. Everything is bounded: 5 s in all, a message has at most 64 KiB, at most 8 aliases are followed. What a
//! name server does not answer, or answers with a fault of its own (`SERVFAIL`, `REFUSED`, a referral), is a failure, never
//! the news that there is no record.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType},
    },
};

/// How long a look-up may take, with all its repetitions, aliases and the way over TCP.
pub const WITHIN: Duration = Duration::from_secs(5);
/// How long one name server is waited for before it is asked once more.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most aliases (CNAME) from the name that was asked for to its records.
const ALIASES: usize = 8;

/// Why a look-up has shown nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The name is too long, or not one that can be asked for.
    #[error("this name cannot be asked for")]
    Name,
    /// No answer within [`WITHIN`].
    #[error("no answer in time")]
    Timeout,
    /// No name server could be asked, or none gave an answer that says anything.
    #[error("{0}")]
    Failed(String),
}

/// Asks name servers. Nothing is remembered between two look-ups.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    /// None: those of the system.
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Asks these, or those of the system (`/etc/resolv.conf`, read each time) when there are none.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    /// The texts of the TXT records of `name`, a full name without a dot at its end. A record of several strings is not
    /// one text and is left out. Empty when the answer says that there are none.
    ///
    /// # Errors
    /// When there was no answer that shows what is there and what is not.
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        let name = Name::from_ascii(format!("{name}.")).map_err(|_| LookupError::Name)?;
        let looked_up = async { self.ready()?.lookup(name.clone(), RecordType::TXT).await };
        match tokio::time::timeout(WITHIN, looked_up).await {
            Err(_) | Ok(Err(NetError::Timeout)) => Err(LookupError::Timeout),
            Ok(Ok(lookup)) => Ok(texts(name, lookup.answers())),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) if says_none(&none) => Ok(Vec::new()),
            Ok(Err(error)) => Err(LookupError::Failed(failure(&error))),
        }
    }

    fn ready(&self) -> Result<TokioResolver, NetError> {
        let mut builder = if self.servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = self.servers.iter().map(server).collect();
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        *options = ResolverOpts::default();
        options.timeout = PATIENCE;
        options.attempts = 1;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // What an attacker who does not see the question would have to guess as well.
        options.case_randomization = true;
        builder.build()
    }
}

/// By UDP, and by TCP what does not fit.
fn server(address: &SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())])
}

/// Whether an empty answer says that there is nothing. One that leads to other name servers does not (RFC 2308, 2.2).
fn says_none(none: &NoRecords) -> bool {
    match none.response_code {
        ResponseCode::NXDomain => true,
        ResponseCode::NoError => none.soa.is_some() || none.ns.is_none(),
        _ => false,
    }
}

/// The texts among `answers` that belong to `name`, or to what it is an alias of.
fn texts(mut name: Name, answers: &[Record]) -> Vec<Vec<u8>> {
    for _ in 0..ALIASES {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some(target.0.clone()),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None => break,
        }
    }
    let strings = answers.iter().filter(|record| record.name == name).filter_map(|record| match &record.data {
        RData::TXT(text) => Some(&text.txt_data),
        _ => None,
    });
    strings.filter_map(|strings| if let [text] = &strings[..] { Some(text.to_vec()) } else { None }).collect()
}

/// What went wrong, in words without what the answer held.
fn failure(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the name server answers: {code}"),
        NetError::Dns(DnsError::NoRecordsFound(_)) => "the name server refers to others".into(),
        NetError::NoConnections | NetError::Io(_) => "no name server could be reached".into(),
        _ => "the name server's answer cannot be used".into(),
    }
}
