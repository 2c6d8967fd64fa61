//! Scopes: what an app asks to be told.

use serde::{Deserialize, Serialize};

/// A set of the scopes that mean something here.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(u8);

/// Every scope, with its name.
const NAMES: [(Scopes, &str); 4] = [
    (Scopes::OPENID, "openid"),
    (Scopes::PROFILE, "profile"),
    (Scopes::EMAIL, "email"),
    (Scopes::OFFLINE_ACCESS, "offline_access"),
];

impl Scopes {
    /// `openid`: who signed in. Without it there is no ID token.
    pub const OPENID: Self = Self(1);
    /// `profile`: the name.
    pub const PROFILE: Self = Self(2);
    /// `email`: the address, and whether it is verified.
    pub const EMAIL: Self = Self(4);
    /// `offline_access`: a refresh token (OpenID Connect Core section 11).
    pub const OFFLINE_ACCESS: Self = Self(8);

    /// Reads a `scope` parameter. Scopes that are not known are left out, as OpenID Connect Core section 3.1.2.1 wants it.
    /// `None` when it is not a list of scope tokens (RFC 6749 section 3.3) with single spaces between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        text.split(' ').try_fold(Self::default(), |scopes, name| token(name).then(|| scopes.union(Self::named(name))))
    }

    fn named(name: &str) -> Self {
        NAMES.iter().find(|(_, known)| *known == name).map(|(scope, _)| *scope).unwrap_or_default()
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names of all scopes there are, for the discovery document.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }
}

/// The form of the `scope` parameter and the `scp` claim.
impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut space = "";
        for (scope, name) in NAMES {
            if self.contains(scope) {
                write!(f, "{space}{name}")?;
                space = " ";
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_unknown_scopes_are_left_out() {
        let scopes = Scopes::parse("email phone openid email").unwrap();
        assert_eq!(scopes.to_string(), "openid email");
        assert!(scopes.contains(Scopes::OPENID) && !scopes.contains(Scopes::PROFILE));
        for bad in ["", " openid", "openid  email", "open\"id", "a\\b", "openid\temail", "ö"] {
            assert_eq!(Scopes::parse(bad), None, "{bad:?}");
        }
    }
}
