//! How many codes a client, a tenant and the whole server may ask for: in memory, for each node by itself.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, keyed::DashMapStateStore},
};

use crate::{clock::Clock, domain::TenantId, identity::attempts::LimiterClock};

/// A client's network may ask for 30 codes at once, and one more every 20 s: an office behind one address gets by.
const NETWORK: (u32, Duration) = (30, Duration::from_secs(20));
/// A tenant's guests together: 300 at once, and one a second.
const TENANT: (u32, Duration) = (300, Duration::from_secs(1));
/// All together: 1,000 at once, and ten a second.
const SERVER: (u32, Duration) = (1000, Duration::from_millis(100));
/// After so many questions, what is at rest is forgotten.
const CLEAN_UP: u32 = 4096;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, LimiterClock, NoOpMiddleware<Nanos>>;

/// The limits.
pub(super) struct SendLimits {
    networks: Keyed<IpAddr>,
    tenants: Keyed<TenantId>,
    server: RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Nanos>>,
    asked: AtomicU32,
}

impl SendLimits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = LimiterClock(clock);
        Self {
            networks: RateLimiter::dashmap_with_clock(quota(NETWORK), clock.clone()),
            tenants: RateLimiter::dashmap_with_clock(quota(TENANT), clock.clone()),
            server: RateLimiter::direct_with_clock(quota(SERVER), clock),
            asked: AtomicU32::new(0),
        }
    }

    /// Whether one more code may be asked for. The narrowest limit is tried first, so that one network cannot use up what
    /// belongs to all.
    pub(super) fn admit(&self, tenant: TenantId, client: IpAddr) -> bool {
        if self.asked.fetch_add(1, Ordering::Relaxed) % CLEAN_UP == CLEAN_UP - 1 {
            self.networks.retain_recent();
            self.networks.shrink_to_fit();
            self.tenants.retain_recent();
        }
        self.networks.check_key(&network(client)).is_ok()
            && self.tenants.check_key(&tenant).is_ok()
            && self.server.check().is_ok()
    }
}

fn quota((burst, every): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    // Only a period of zero is refused.
    Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
}

/// The network that a client is in, as far as it is given to one customer: /24 or /56.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & !0xff).into()),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 72 << 72)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SeededEntropy};

    #[test]
    fn clients_count_by_network() {
        for (client, expected) in [
            ("192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2ff:3::4", "2001:db8:1:200::"),
            ("2001:db8:1:300::", "2001:db8:1:300::"),
        ] {
            assert_eq!(network(client.parse().unwrap()), expected.parse::<IpAddr>().unwrap(), "{client}");
        }
    }

    /// O-04: by network, by tenant and in all; and it is given back with time.
    #[test]
    fn o_04_sends_are_limited_by_network_tenant_and_server() {
        let clock = ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap());
        let tenant = |seed| TenantId::random(&SeededEntropy::new(seed));
        let client = |number: u32| IpAddr::V4((number << 8).into());

        let limits = SendLimits::new(Arc::new(clock.clone()));
        let admitted = |limits: &SendLimits, times, who: &dyn Fn(u32) -> (TenantId, IpAddr)| {
            (0..times)
                .filter(|n| {
                    let (tenant, client) = who(*n);
                    limits.admit(tenant, client)
                })
                .count()
        };
        assert_eq!(admitted(&limits, 100, &|_| (tenant(1), client(1))), 30);
        assert_eq!(admitted(&limits, 1, &|_| (tenant(1), client(2))), 1, "other networks are not concerned");
        clock.advance(20);
        assert_eq!(admitted(&limits, 100, &|_| (tenant(1), client(1))), 1);

        let limits = SendLimits::new(Arc::new(clock.clone()));
        assert_eq!(admitted(&limits, 1000, &|n| (tenant(1), client(n))), 300);
        assert_eq!(admitted(&limits, 1, &|_| (tenant(2), client(5000))), 1, "other tenants are not concerned");

        let limits = SendLimits::new(Arc::new(clock.clone()));
        assert_eq!(admitted(&limits, 5000, &|n| (tenant(n.into()), client(n))), 1000);
        clock.advance(3600);
        admitted(&limits, CLEAN_UP, &|_| (tenant(1), client(1)));
        assert!(limits.networks.len() < 10, "what is at rest is forgotten: {}", limits.networks.len());
    }
}
