//! Directory permissions: what an app may do in the directory API, by itself or for somebody who is signed in to it.
//!
//! The names are Microsoft Graph's, and so is what they allow. A permission comes with those it implies.

use std::{fmt, str::FromStr};

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident $name:literal [$($implied:ident),*];)*) => {
        /// A directory permission.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Permission {
            $($(#[$doc])* $variant,)*
        }

        impl Permission {
            /// All of them. A place in this list never changes: refresh families and codes keep permissions by it.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in configuration, scopes and tokens.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Those that it includes.
            fn implied(self) -> &'static [Self] {
                match self { $(Self::$variant => &[$(Self::$implied),*],)* }
            }
        }
    };
}

permissions! {
    /// Read the profile of who is signed in. Means nothing without such a person.
    UserRead "User.Read" [];
    /// Read all users.
    UserReadAll "User.Read.All" [];
    /// Invite guests, send invitations again, take them back.
    UserInviteAll "User.Invite.All" [];
    /// Block and unblock users.
    UserEnableDisableAccountAll "User.EnableDisableAccount.All" [];
    /// Change, delete and restore users.
    UserReadWriteAll "User.ReadWrite.All" [UserReadAll, UserInviteAll, UserEnableDisableAccountAll];
    /// Read the organisation.
    OrganizationReadAll "Organization.Read.All" [];
    /// Change the organisation's privacy profile.
    OrganizationReadWriteAll "Organization.ReadWrite.All" [OrganizationReadAll];
    /// Read the public face of other organisations.
    CrossTenantInformationReadBasicAll "CrossTenantInformation.ReadBasic.All" [];
    /// Read the apps.
    ApplicationReadAll "Application.Read.All" [];
    /// Read assignments to apps, make them and take them back.
    AppRoleAssignmentReadWriteAll "AppRoleAssignment.ReadWrite.All" [];
    /// Read the audit log.
    AuditLogReadAll "AuditLog.Read.All" [];
    /// Read the directory.
    DirectoryReadAll "Directory.Read.All" [UserReadAll, OrganizationReadAll, ApplicationReadAll];
    /// Read and change the directory, but for assignments to apps.
    DirectoryReadWriteAll "Directory.ReadWrite.All" [DirectoryReadAll, UserReadWriteAll, OrganizationReadWriteAll];
    /// Read agreements.
    AgreementReadAll "Agreement.Read.All" [];
    /// Change agreements.
    AgreementReadWriteAll "Agreement.ReadWrite.All" [AgreementReadAll];
    /// Read all acceptances of agreements.
    AgreementAcceptanceReadAll "AgreementAcceptance.Read.All" [];
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|permission| permission.name() == name).ok_or(UnknownPermission)
    }
}

/// There is no permission of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such permission")]
pub struct UnknownPermission;

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// The permissions with these names; names that are not known are left out.
    #[must_use]
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// The permissions at these places of [`Permission::ALL`], the first one in the lowest bit.
    #[must_use]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The contrary of [`Permissions::from_bits`].
    #[must_use]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// These, and all that they imply.
    #[must_use]
    pub fn with_implied(self) -> Self {
        let mut all = self;
        loop {
            let more = all.iter().flat_map(Permission::implied).fold(all, |set, permission| set.with(*permission));
            if more == all {
                return all;
            }
            all = more;
        }
    }

    /// Those that are in both.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether a permission is in it, by itself.
    #[must_use]
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Its permissions, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }

    fn with(self, permission: Permission) -> Self {
        Self(self.0 | bit(permission))
    }
}

fn bit(permission: Permission) -> u32 {
    1 << permission as u8
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_are_unique_and_fit_where_they_are_kept() {
        for (place, permission) in Permission::ALL.iter().enumerate() {
            assert_eq!(permission.name().parse(), Ok(*permission));
            assert_eq!(*permission as usize, place);
        }
        assert!(Permission::ALL.len() <= 24, "beside the eight of OpenID Connect");
        for unknown in ["", "user.read.all", "User.Read.All ", "Directory.AccessAsUser.All"] {
            assert_eq!(unknown.parse::<Permission>(), Err(UnknownPermission), "{unknown:?}");
        }
    }

    #[test]
    fn a_permission_comes_with_all_that_it_implies_and_nothing_else() {
        let all = |name: &str| Permissions::named([name]).with_implied();
        assert!(all("Directory.ReadWrite.All").contains(Permission::UserInviteAll));
        assert!(all("Directory.ReadWrite.All").contains(Permission::ApplicationReadAll));
        assert!(!all("Directory.ReadWrite.All").contains(Permission::AppRoleAssignmentReadWriteAll));
        assert!(!all("Directory.ReadWrite.All").contains(Permission::AuditLogReadAll));
        assert!(!all("Directory.Read.All").contains(Permission::UserInviteAll));
        assert_eq!(all("User.Invite.All").iter().collect::<Vec<_>>(), [Permission::UserInviteAll]);
        assert!(all("Nothing.Of.The.Sort").is_empty());
    }
}
