//! The trust of a tenant in a home organisation.

use serde::{Deserialize, Serialize};

use super::{Domain, FederationId, TenantId, WebUrl};
use crate::{clock::Entropy, seal::KeyRing, secret::Secret};

/// An upstream OpenID provider that a tenant sends guests to, and the e-mail domains it is trusted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// Its id, part of its own callback path (mix-up defence, checklist J-06).
    pub id: FederationId,
    /// The home organisation's name, as the guest sees it.
    pub display_name: String,
    /// The issuer, exactly as its discovery document says it.
    pub issuer: WebUrl,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there, sealed with the server's key ring.
    pub client_secret: String,
    /// Guests with these domains are sent there, and it is believed about addresses in them, and no others.
    pub domains: Vec<Domain>,
    /// Whether it is in use; looked at when a sign-in starts *and* when it comes back (checklist T-05).
    pub enabled: bool,
}

impl Federation {
    /// Seals a client secret for a federation's record. It opens for this federation of this tenant only.
    #[must_use]
    pub fn seal_secret(id: FederationId, tenant: TenantId, secret: &str, ring: &KeyRing, entropy: &dyn Entropy) -> String {
        ring.seal(&purpose(id, tenant), &secret, entropy)
    }

    /// Our client secret at the home organisation; `None` when it was sealed by a key that the ring does not have.
    #[must_use]
    pub fn open_secret(&self, tenant: TenantId, ring: &KeyRing) -> Option<Secret> {
        ring.open::<String>(&purpose(self.id, tenant), &self.client_secret).map(Secret::new)
    }
}

fn purpose(id: FederationId, tenant: TenantId) -> Vec<u8> {
    [b"federation".as_slice(), tenant.as_bytes(), id.as_bytes()].concat()
}
