//! Identifiers. Each is a UUID and none can be mistaken for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{Entropy, random_uuid};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random identifier. Identifiers are never used again, not even after deletion.
            #[must_use]
            pub fn random(entropy: &dyn Entropy) -> Self {
                Self(random_uuid(entropy))
            }

            /// The 16 bytes, as part of a store key.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Hyphenated or plain (32 hexadecimal digits), case ignored; no braces, no `urn:`.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // `Uuid` also reads braced and URN forms, which no link of ours has.
                let uuid: Uuid = if matches!(text.len(), 32 | 36) { text.parse()? } else { Uuid::try_parse("")? };
                Ok(Self(uuid))
            }
        }
    };
}

id!(
    /// An organisation on this server.
    TenantId
);
id!(
    /// A directory object, guest or member, in one tenant. The `oid` of tokens.
    UserId
);
id!(
    /// An app of a tenant; also its OAuth `client_id`.
    AppId
);
id!(
    /// An agreement (terms of use) of a tenant.
    AgreementId
);
id!(
    /// The trust of a tenant in a home organisation's OpenID provider.
    FederationId
);
id!(
    /// An invitation of a guest.
    InvitationId
);
id!(
    /// A mail, from the moment it is queued to its `Message-ID`.
    MailId
);
id!(
    /// One sign-in of one person in one browser. The `sid` of tokens.
    SessionId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_hyphenated_in_any_case_and_nothing_else() {
        let id: TenantId = "0000000A-0000-4000-8000-00000000000B".parse().unwrap();
        assert_eq!("0000000a00004000800000000000000b".parse::<TenantId>().unwrap(), id);
        assert_eq!(id.to_string(), "0000000a-0000-4000-8000-00000000000b");
        for bad in ["", "{0000000a-0000-4000-8000-00000000000b}", "urn:uuid:0000000a-0000-4000-8000-00000000000b", "x"] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }
}
