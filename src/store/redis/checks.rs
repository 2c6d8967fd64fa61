//! What is looked at before a server is trusted with records: whether it is a primary, and whether it keeps what it
//! acknowledges. Looked at again with every connection, so that one that takes over is held to the same.

use std::{collections::BTreeMap, fmt, time::Duration};

use redis::{ErrorKind, RedisError, Value, aio::MultiplexedConnection};

use super::{
    layout::{FORMAT, GLOBAL},
    link::Shared,
    settings::{RedisSettings, Risk, Shape},
};

/// The oldest version that has what the scripts use.
const OLDEST: (u32, u32) = (7, 0);

/// How often a server in use is looked at again.
const AGAIN: Duration = Duration::from_secs(30);

/// Why a server cannot be used.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It cannot be reached, is loading, or is no primary: perhaps later.
    Away(String),
    /// It would lose what it acknowledges, or somebody has to change something. What to change is part of the reason.
    Refused(String),
}

impl Verdict {
    pub(super) fn away(reason: &str) -> Self {
        Self::Away(reason.to_owned())
    }

    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Refused("it does not accept this user and password".into()),
            ErrorKind::InvalidClientConfig => Self::Refused(error.to_string()),
            _ => match error.code() {
                Some("NOAUTH") => Self::Refused("it wants a password, and the URL has none".into()),
                Some("NOPERM") => Self::Refused("this user may not run what is needed; docs/redis.md has the rights".into()),
                Some("NOREPLICAS") => Self::away("too few replicas follow it (min-replicas-to-write)"),
                Some("LOADING") => Self::away("it is loading its data"),
                Some("OOM") => Self::away("its memory is full"),
                Some("MISCONF") => Self::away("it cannot write to its disk"),
                Some(code) => Self::Away(format!("it says {code} ({})", error.detail().unwrap_or_default())),
                None => Self::Away(error.to_string()),
            },
        }
    }
}

impl From<RedisError> for Verdict {
    fn from(error: RedisError) -> Self {
        Self::of(&error)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(reason) | Self::Refused(reason)) = self;
        f.write_str(reason)
    }
}

/// Looks at a server.
pub(super) async fn verify(connection: &mut MultiplexedConnection, shared: &Shared) -> Result<(), Verdict> {
    let info: String = redis::cmd("INFO").query_async(connection).await?;
    let info = Info::read(&info);
    info.usable()?;
    let mut ask = redis::cmd("CONFIG");
    ask.arg("GET").arg(["appendfsync", "no-appendfsync-on-rewrite", "min-replicas-to-write", "min-replicas-max-lag"].as_slice());
    let config: Option<BTreeMap<String, String>> = match ask.query_async(connection).await {
        Ok(config) => Some(config),
        // It may not be asked. Anything else says nothing about it.
        Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => None,
        Err(error) => return Err(error.into()),
    };
    let risks = risks(&info, config.as_ref(), &shared.settings);
    let problems: Vec<_> = risks.into_iter().filter(|(risk, _)| !shared.settings.accept.contains(risk)).collect();
    if !problems.is_empty() {
        let problems: Vec<_> =
            problems.iter().map(|(risk, what)| format!("{what} (or say accept={} in the URL)", risk.name())).collect();
        return Err(Verdict::Refused(problems.join("; ")));
    }
    let owns_global = match shared.settings.shape {
        Shape::Cluster(_) => info.owns(connection, &shared.layout.format()).await?,
        _ => true,
    };
    if owns_global {
        same_format(connection, shared).await?;
    }
    Ok(())
}

/// Looks at a server again now and then; why it is not to be used any more.
pub(super) async fn watch(connection: &mut MultiplexedConnection, shared: &Shared) -> Verdict {
    loop {
        tokio::time::sleep(AGAIN).await;
        if let Err(verdict) = verify(connection, shared).await {
            return verdict;
        }
    }
}

/// Refuses a store that lies differently, and says how this one does where there is none.
async fn same_format(connection: &mut MultiplexedConnection, shared: &Shared) -> Result<(), Verdict> {
    let name = shared.layout.format();
    let get = async |connection: &mut MultiplexedConnection| {
        redis::cmd("GET").arg(&name).query_async::<Option<String>>(connection).await
    };
    let mut found = get(connection).await?;
    if found.is_none() {
        // Only where there is none: a server whose memory is full can still be read.
        redis::cmd("SET").arg(&name).arg(FORMAT).arg("NX").query_async::<Value>(connection).await?;
        found = get(connection).await?;
    }
    let found = found.unwrap_or_default();
    if found != FORMAT {
        let tag = shared.layout.tag(GLOBAL);
        return Err(Verdict::Refused(format!(
            "what is stored under {tag} has the format {found:?}, this version reads {FORMAT:?}"
        )));
    }
    Ok(())
}

/// What a server says of itself.
struct Info(BTreeMap<String, String>);

impl Info {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
        Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn usable(&self) -> Result<(), Verdict> {
        let version = self.get("redis_version");
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        let found = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if found < OLDEST {
            return Err(Verdict::Refused(format!("it is version {version}; 7.0 is the oldest that can be used")));
        }
        match (self.get("loading"), self.get("role")) {
            ("1", _) => Err(Verdict::away("it is loading its data")),
            (_, "master") => Ok(()),
            _ => Err(Verdict::away("it is a replica")),
        }
    }

    /// Whether a node of a Cluster holds the slot of `key`.
    async fn owns(&self, connection: &mut MultiplexedConnection, key: &[u8]) -> redis::RedisResult<bool> {
        let asked = redis::cmd("EXISTS").arg(key).query_async::<Value>(connection).await;
        match asked {
            Ok(_) => Ok(true),
            Err(error) if error.is_cluster_error() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The ways to lose something, each with the setting to change.
fn risks(info: &Info, config: Option<&BTreeMap<String, String>>, settings: &RedisSettings) -> Vec<(Risk, String)> {
    let mut risks = Vec::new();
    let mut risk = |risk, what: String| risks.push((risk, what));
    let policy = info.get("maxmemory_policy");
    if policy != "noeviction" {
        risk(Risk::Eviction, format!("maxmemory-policy is {policy}, which throws records away: set it to noeviction"));
    }
    let on_disk = info.get("aof_enabled") == "1";
    if !on_disk {
        risk(Risk::Restart, "appendonly is no, so that a restart loses records: set it to yes in redis.conf".into());
    }
    let setting = |name: &str| config.and_then(|config| config.get(name)).map(String::as_str);
    match setting("appendfsync") {
        Some("always") if setting("no-appendfsync-on-rewrite") == Some("yes") => {
            let what = "no-appendfsync-on-rewrite is yes, so that nothing is synced while the file is rewritten: set it to no";
            risk(Risk::PowerCut, what.into());
        }
        Some("always") => {}
        Some(when) => {
            risk(
                Risk::PowerCut,
                format!("appendfsync is {when}, so that a power cut loses what was acknowledged: set it to always"),
            );
        }
        None => risk(Risk::Unknown, "its settings cannot be read: let this user run CONFIG GET".into()),
    }
    let wanted = settings.acknowledgements;
    let followed = !matches!(settings.shape, Shape::Single(_)) || info.get("connected_slaves") != "0";
    // A lag of 0 switches both off.
    let guarded = setting("min-replicas-max-lag") != Some("0");
    let required = setting("min-replicas-to-write").map(|count| if guarded { count.parse().unwrap_or(0u32) } else { 0 });
    if wanted == 0 && followed {
        risk(Risk::Failover, "a replica may take over without what was acknowledged: ask for acknowledgements=1 or more".into());
    } else if let Some(required) = required.filter(|required| *required < wanted) {
        let what = "min-replicas-to-write and min-replicas-max-lag let a primary that was cut off go on writing";
        risk(Risk::Failover, format!("{what} (it asks for {required} replicas): set them to {wanted} and 2"));
    }
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str, info: &str, config: Option<&[(&str, &str)]>) -> Vec<Risk> {
        let config = config.map(|pairs| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        let found = risks(&Info::read(info), config.as_ref(), &url.parse().unwrap());
        found.into_iter().map(|(risk, _)| risk).collect()
    }

    const GOOD: &str = "maxmemory_policy:noeviction\r\naof_enabled:1\r\nconnected_slaves:0\r\n";
    const ALWAYS: (&str, &str) = ("appendfsync", "always");

    #[test]
    fn f_11_what_would_lose_records_is_a_risk() {
        let kept = Some(&[ALWAYS, ("min-replicas-to-write", "0")][..]);
        let single = "redis://h";
        assert_eq!(found(single, GOOD, kept), []);
        assert_eq!(found(single, &GOOD.replace("noeviction", "allkeys-lru"), kept), [Risk::Eviction]);
        assert_eq!(found(single, &GOOD.replace("aof_enabled:1", "aof_enabled:0"), kept), [Risk::Restart]);
        // All at once, so that they can be mended at once.
        let fresh = GOOD.replace("aof_enabled:1", "aof_enabled:0");
        assert_eq!(found(single, &fresh, Some(&[("appendfsync", "everysec")])), [Risk::Restart, Risk::PowerCut]);
        assert_eq!(found(single, GOOD, Some(&[("appendfsync", "everysec")])), [Risk::PowerCut]);
        assert_eq!(found(single, GOOD, Some(&[ALWAYS, ("no-appendfsync-on-rewrite", "yes")])), [Risk::PowerCut]);
        assert_eq!(found(single, GOOD, None), [Risk::Unknown]);
        assert_eq!(found(single, &GOOD.replace("slaves:0", "slaves:1"), kept), [Risk::Failover]);
        assert_eq!(found("redis://h?acknowledgements=1", GOOD, kept), [Risk::Failover]);
        let guarded = Some(&[ALWAYS, ("min-replicas-to-write", "1")][..]);
        assert_eq!(found("redis+sentinel://h/main", GOOD, guarded), []);
        assert_eq!(found("redis+sentinel://h/main", GOOD, kept), [Risk::Failover]);
        let off = Some(&[ALWAYS, ("min-replicas-to-write", "1"), ("min-replicas-max-lag", "0")][..]);
        assert_eq!(found("redis+sentinel://h/main", GOOD, off), [Risk::Failover]);
        assert_eq!(found("redis+cluster://h?acknowledgements=0", GOOD, guarded), [Risk::Failover]);
    }

    #[test]
    fn a_replica_a_loading_and_an_old_server_are_not_used() {
        let usable = |info: &str| Info::read(info).usable();
        assert!(usable("redis_version:7.0.15\r\nloading:0\r\nrole:master\r\n").is_ok());
        assert!(matches!(usable("redis_version:7.0.15\r\nloading:1\r\nrole:master\r\n"), Err(Verdict::Away(_))));
        assert!(matches!(usable("redis_version:7.0.15\r\nloading:0\r\nrole:slave\r\n"), Err(Verdict::Away(_))));
        assert!(matches!(usable("redis_version:6.2.1\r\nloading:0\r\nrole:master\r\n"), Err(Verdict::Refused(_))));
    }
}
