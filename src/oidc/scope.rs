//! Scopes: what an app asks to be told, and what it asks to do in somebody's name in the directory.

use serde::{Deserialize, Serialize};

use crate::domain::permission::{Permission, Permissions};

/// A set of the scopes that mean something here: those of OpenID Connect in the lowest eight bits, directory permissions
/// above them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(u32);

/// Every scope of OpenID Connect, with its name.
const NAMES: [(Scopes, &str); 4] = [
    (Scopes::OPENID, "openid"),
    (Scopes::PROFILE, "profile"),
    (Scopes::EMAIL, "email"),
    (Scopes::OFFLINE_ACCESS, "offline_access"),
];

/// How many bits are for the scopes of OpenID Connect.
const OF_OPENID: u32 = 8;

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
    /// Directory permissions are known by their bare names. `None` when it is not a list of scope tokens (RFC 6749 section
    /// 3.3) with single spaces between them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::read(text, |_| None)
    }

    /// The same, where directory permissions may also be written `<directory>/<name>`. `directory` is the audience of the
    /// directory API.
    #[must_use]
    pub fn parse_for(text: &str, directory: &str) -> Option<Self> {
        Self::read(text, |name| name.strip_prefix(directory)?.strip_prefix('/'))
    }

    fn read<'a>(text: &'a str, in_directory: impl Fn(&'a str) -> Option<&'a str>) -> Option<Self> {
        let token = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        let scope = |name| match in_directory(name) {
            Some(permission) => Self::of_directory(Permissions::named([permission])),
            None => Self::named(name),
        };
        text.split(' ').try_fold(Self::default(), |scopes, name| token(name).then(|| scopes.union(scope(name))))
    }

    fn named(name: &str) -> Self {
        let of_openid = NAMES.iter().find(|(_, known)| *known == name).map(|(scope, _)| *scope);
        of_openid.unwrap_or_else(|| Self::of_directory(Permissions::named([name])))
    }

    /// The scopes that ask for these permissions.
    #[must_use]
    pub fn of_directory(permissions: Permissions) -> Self {
        Self(permissions.bits() << OF_OPENID)
    }

    /// The directory permissions in it.
    #[must_use]
    pub fn directory(self) -> Permissions {
        Permissions::from_bits(self.0 >> OF_OPENID)
    }

    /// Without those directory permissions that are not in `permitted`.
    #[must_use]
    pub fn within(self, permitted: Permissions) -> Self {
        let of_openid = Self(self.0 & ((1 << OF_OPENID) - 1));
        of_openid.union(Self::of_directory(self.directory().both(permitted)))
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

    /// The names of the scopes of OpenID Connect, for the discovery document.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }
}

/// The form of the `scope` parameter and the `scp` claim.
impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut space = "";
        let of_openid = NAMES.into_iter().filter(|(scope, _)| self.contains(*scope)).map(|(_, name)| name);
        for name in of_openid.chain(self.directory().iter().map(Permission::name)) {
            write!(f, "{space}{name}")?;
            space = " ";
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
        let directory = "https://guests.example";
        for asked in ["https://guests.example/User.Read openid", "User.Read openid"] {
            assert_eq!(Scopes::parse_for(asked, directory).unwrap().to_string(), "openid User.Read");
        }
        for elsewhere in ["https://graph.example/User.Read", "https://guests.exampleUser.Read", "https://guests.example/openid"] {
            assert_eq!(Scopes::parse_for(elsewhere, directory), Some(Scopes::default()), "{elsewhere}");
        }
        let both = Scopes::parse("openid User.Read User.Invite.All").unwrap();
        assert_eq!(both.within(Permissions::named(["User.Read"])).to_string(), "openid User.Read");
        assert_eq!(both.within(Permissions::default()), Scopes::OPENID);
        for bad in ["", " openid", "openid  email", "open\"id", "a\\b", "openid\temail", "ö"] {
            assert_eq!(Scopes::parse(bad), None, "{bad:?}");
        }
    }
}
