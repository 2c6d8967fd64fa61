//! How many connections may be open, in all and from one place.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Open connections by where they come from.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashMap<IpAddr, usize>>);

/// One open connection of its origin.
#[derive(Debug)]
pub(super) struct Slot {
    origins: Arc<Origins>,
    origin: IpAddr,
}

impl Origins {
    /// A slot, unless this origin has `limit` of them.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<Slot> {
        let origin = origin(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(origin).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Slot { origins: Arc::clone(self), origin })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.origins.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.origin);
            }
        }
    }
}

/// An IPv4 address, also in IPv6 dress; of other IPv6 addresses the /64 network, which one host can have to itself.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_01_an_origin_has_its_slots_and_no_more() {
        let origins = Arc::new(Origins::default());
        let take = |text: &str| origins.take(text.parse().expect("an address"), 2);
        let (first, _second) = (take("192.0.2.1").expect("free"), take("::ffff:192.0.2.1").expect("free"));
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some());
        drop(first);
        assert!(take("192.0.2.1").is_some());
        let _network = (take("2001:db8::1").expect("free"), take("2001:db8::ffff:1").expect("free"));
        assert!(take("2001:db8::2").is_none());
        assert!(take("2001:db8:0:1::2").is_some());
        drop((_second, _network));
        assert!(origins.0.lock().expect("a lock").is_empty());
    }
}
