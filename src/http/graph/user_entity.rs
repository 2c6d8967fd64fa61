//! A user as the directory API shows them, and what can be asked of them (b2b-facts section 5.3).

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::call::etag;
use crate::{
    domain::{
        Domain,
        tenant::IdentitySource,
        user::{ExternalUserState, Identity, User},
    },
    odata::{Entity, Ops, Property, Schema, Select, Shape, Type, Value},
    store::{
        Version,
        records::{DeletedUser, Stored},
    },
};

const NAME: Shape = Shape::Single(Type::String, Ops::EQUALITY.and(Ops::ORDER).and(Ops::STARTS_WITH));
const ADDRESS: Shape = Shape::Single(Type::String, Ops::EQUALITY.and(Ops::STARTS_WITH).and(Ops::ENDS_WITH));
const ADDRESSES: Shape = Shape::Many(Type::String, Ops::EQ.and(Ops::STARTS_WITH).and(Ops::ENDS_WITH));
const ENUMERATION: Shape = Shape::Single(Type::String, Ops::EQUALITY);
const FLAG: Shape = Shape::Single(Type::Boolean, Ops::EQUALITY);
const MOMENT: Shape = Shape::Single(Type::DateTime, Ops::EQUALITY.and(Ops::ORDER));
const IDENTITIES: Shape = Shape::Objects(&[
    Property::new("signInType", ENUMERATION),
    Property::new("issuer", ENUMERATION),
    Property::new("issuerAssignedId", ENUMERATION),
]);

macro_rules! properties {
    ($($more:expr),* $(,)?) => {
        &[
            Property::new("businessPhones", Shape::Opaque).by_default(),
            Property::new("displayName", NAME).by_default().sortable(),
            Property::new("givenName", NAME).by_default(),
            Property::new("id", Shape::Single(Type::Guid, Ops::EQUALITY)).by_default(),
            Property::new("jobTitle", NAME).by_default(),
            Property::new("mail", ADDRESS).by_default(),
            Property::new("mobilePhone", Shape::Opaque).by_default(),
            Property::new("officeLocation", NAME).by_default(),
            Property::new("preferredLanguage", ENUMERATION).by_default(),
            Property::new("surname", NAME).by_default(),
            Property::new("userPrincipalName", ADDRESS).by_default().sortable(),
            Property::new("accountEnabled", FLAG),
            Property::new("companyName", NAME),
            Property::new("createdDateTime", MOMENT).sortable(),
            Property::new("creationType", ENUMERATION),
            Property::new("deletedDateTime", MOMENT),
            Property::new("department", NAME),
            Property::new("externalUserState", ENUMERATION),
            Property::new("externalUserStateChangeDateTime", MOMENT),
            Property::new("identities", IDENTITIES),
            Property::new("invitationAccepted", ENUMERATION),
            Property::new("mailNickname", ENUMERATION),
            Property::new("otherMails", ADDRESSES),
            Property::new("proxyAddresses", ADDRESSES),
            Property::new("showInAddressList", Shape::Opaque),
            Property::new("signInSessionsValidFromDateTime", Shape::Opaque),
            Property::new("source", ENUMERATION),
            Property::new("userType", ENUMERATION),
            $($more),*
        ]
    };
}

/// What people see of themselves and of each other.
pub(super) const FOR_PEOPLE: Schema = Schema { entity: "user", properties: properties![], default_top: 100 };

/// What programs with the permission see.
pub(super) const FOR_APPS: Schema = Schema {
    entity: "user",
    properties: properties![Property::new("vestibuleGuestInviter", FLAG), Property::new(INVITATION, Shape::Opaque),],
    default_top: 100,
};

/// The property that says what became of a guest's invitation; dear, since it is in other records.
pub(super) const INVITATION: &str = "vestibuleInvitation";

/// A user, deleted or not.
pub(super) struct UserEntity {
    pub(super) user: User,
    pub(super) version: Version,
    deleted: Option<Timestamp>,
    identities: Vec<SignsInAs>,
}

/// One way to sign in.
struct SignsInAs {
    sign_in_type: &'static str,
    issuer: String,
    id: Option<String>,
}

impl UserEntity {
    /// A user of a tenant with this initial domain.
    pub(super) fn of(stored: Stored<User>, initial: Option<&Domain>) -> Self {
        Self::new(stored.value, stored.version, None, initial)
    }

    /// A deleted one.
    pub(super) fn of_deleted(stored: Stored<DeletedUser>, initial: Option<&Domain>) -> Self {
        Self::new(stored.value.user, stored.version, Some(stored.value.deleted), initial)
    }

    fn new(user: User, version: Version, deleted: Option<Timestamp>, initial: Option<&Domain>) -> Self {
        let own = initial.map(|domain| SignsInAs {
            sign_in_type: "userPrincipalName",
            issuer: domain.to_string(),
            id: Some(user.principal_name.clone()),
        });
        let bound = match &user.external {
            Some(ExternalUserState::Accepted { identity, source, .. }) => Some(SignsInAs::bound(identity, *source)),
            _ => None,
        };
        let identities = own.into_iter().chain(bound).collect();
        Self { user, version, deleted, identities }
    }

    /// What is selected of the user, and the version.
    pub(super) fn json(&self, select: &Select) -> Map<String, Json> {
        let version = ("@odata.etag".to_owned(), etag(self.version).to_string().into());
        std::iter::once(version).chain(select.answered().map(|name| (name.to_owned(), self.member(name)))).collect()
    }

    /// A property by its name.
    fn member(&self, name: &str) -> Json {
        let (user, profile) = (&self.user, &self.user.profile);
        match name {
            "businessPhones" => json!(profile.business_phones),
            "displayName" => json!(user.display_name),
            "givenName" => json!(profile.given_name),
            "id" => json!(user.id),
            "jobTitle" => json!(profile.job_title),
            "mail" => json!(user.mail),
            "mobilePhone" => json!(profile.mobile_phone),
            "officeLocation" => json!(profile.office_location),
            "preferredLanguage" => json!(user.preferred_language),
            "surname" => json!(profile.surname),
            "userPrincipalName" => json!(user.principal_name),
            "accountEnabled" => json!(user.account_enabled),
            "companyName" => json!(profile.company_name),
            "createdDateTime" => json!(user.created),
            "creationType" => json!(self.creation_type()),
            "deletedDateTime" => json!(self.deleted),
            "department" => json!(profile.department),
            "externalUserState" => json!(user.external_user_state()),
            "externalUserStateChangeDateTime" => json!(user.external_user_state_since()),
            "identities" => self.identities.iter().map(SignsInAs::json).collect(),
            "invitationAccepted" => json!(self.accepted()),
            "mailNickname" => json!(self.nickname()),
            "otherMails" => json!(user.other_mails),
            "proxyAddresses" => self.proxy_address().into_iter().map(Json::from).collect(),
            "showInAddressList" => json!(self.shown_in_address_list()),
            "signInSessionsValidFromDateTime" => json!(user.sessions_valid_from),
            "source" => json!(user.source()),
            "userType" => json!(user.user_type.label()),
            "vestibuleGuestInviter" => json!(user.guest_inviter),
            _ => Json::Null,
        }
    }

    fn creation_type(&self) -> Option<&'static str> {
        self.user.external.as_ref().map(|_| "Invitation")
    }

    /// The column of the same name: whether a guest has accepted the invitation.
    fn accepted(&self) -> Option<&'static str> {
        self.user.external.as_ref().map(|state| match state {
            ExternalUserState::Accepted { .. } => "Yes",
            ExternalUserState::PendingAcceptance { .. } => "No",
        })
    }

    /// The name in the directory, up to the domain.
    fn nickname(&self) -> &str {
        self.user.principal_name.rsplit_once('@').map_or("", |(nickname, _)| nickname)
    }

    /// Guests are matched by it; there is none where another object has the address.
    fn proxy_address(&self) -> Option<String> {
        self.user.mail.as_ref().map(|mail| format!("SMTP:{mail}"))
    }

    fn shown_in_address_list(&self) -> Option<bool> {
        self.user.external.as_ref().map(|_| false)
    }
}

impl Entity for UserEntity {
    fn property(&self, name: &str) -> Value<'_> {
        let (user, profile) = (&self.user, &self.user.profile);
        match name {
            "id" => user.id.0.into(),
            "displayName" => user.display_name.as_str().into(),
            "givenName" => profile.given_name.as_deref().into(),
            "surname" => profile.surname.as_deref().into(),
            "jobTitle" => profile.job_title.as_deref().into(),
            "officeLocation" => profile.office_location.as_deref().into(),
            "companyName" => profile.company_name.as_deref().into(),
            "department" => profile.department.as_deref().into(),
            "mail" => user.mail.as_ref().map(|mail| mail.as_str()).into(),
            "preferredLanguage" => user.preferred_language.as_ref().map(|language| language.as_str()).into(),
            "userPrincipalName" => user.principal_name.as_str().into(),
            "mailNickname" => self.nickname().into(),
            "accountEnabled" => user.account_enabled.into(),
            "vestibuleGuestInviter" => user.guest_inviter.into(),
            "createdDateTime" => user.created.into(),
            "deletedDateTime" => self.deleted.into(),
            "creationType" => self.creation_type().into(),
            "externalUserState" => user.external_user_state().into(),
            "externalUserStateChangeDateTime" => user.external_user_state_since().into(),
            "invitationAccepted" => self.accepted().into(),
            "source" => user.source().into(),
            "userType" => user.user_type.label().into(),
            "otherMails" => user.other_mails.iter().map(|mail| mail.as_str()).collect(),
            "proxyAddresses" => self.proxy_address().into_iter().collect(),
            "identities" => Value::Many(self.identities.iter().map(|identity| Value::Object(identity)).collect()),
            _ => Value::Null,
        }
    }
}

impl SignsInAs {
    fn bound(identity: &Identity, source: IdentitySource) -> Self {
        match source {
            IdentitySource::HomeOrganisation => {
                Self { sign_in_type: "federated", issuer: identity.issuer.clone(), id: Some(identity.subject.clone()) }
            }
            // The address that codes are mailed to; `mail` is what Graph calls the issuer of these.
            IdentitySource::OneTimePasscode => {
                Self { sign_in_type: "emailAddress", issuer: "mail".into(), id: Some(identity.subject.clone()) }
            }
            IdentitySource::LocalAccount => Self { sign_in_type: "userName", issuer: identity.issuer.clone(), id: None },
        }
    }

    fn json(&self) -> Json {
        json!({ "signInType": self.sign_in_type, "issuer": self.issuer, "issuerAssignedId": self.id })
    }
}

impl Entity for SignsInAs {
    fn property(&self, name: &str) -> Value<'_> {
        match name {
            "signInType" => self.sign_in_type.into(),
            "issuer" => self.issuer.as_str().into(),
            "issuerAssignedId" => self.id.as_deref().into(),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{
            UserId,
            user::{Profile, UserType},
        },
        odata::Query,
        store::{Key, Partition},
    };

    /// Somebody of whom everything is known.
    fn somebody() -> UserEntity {
        let (since, some) = (Timestamp::UNIX_EPOCH, || Some("x".to_owned()));
        let identity = Identity { issuer: "https://login.fabrikam.example".into(), subject: "sam".into() };
        let source = IdentitySource::HomeOrganisation;
        let user = User {
            id: UserId(Uuid::from_u128(1)),
            user_type: UserType::Guest,
            display_name: "Sam".into(),
            mail: "sam@fabrikam.example".parse().ok(),
            other_mails: "sam@home.example".parse().into_iter().collect(),
            preferred_language: "en".parse().ok(),
            account_enabled: true,
            external: Some(ExternalUserState::Accepted { since, identity, source, permissions_accepted: since, mailbox: None }),
            sessions_valid_from: since,
            created: since,
            principal_name: "sam_fabrikam.example#EXT#@contoso.example".into(),
            profile: Profile {
                given_name: some(),
                surname: some(),
                company_name: some(),
                job_title: some(),
                department: some(),
                office_location: some(),
                mobile_phone: some(),
                business_phones: vec!["x".into()],
            },
            sponsors: Vec::new(),
            invitation: None,
            guest_inviter: true,
        };
        let deleted = DeletedUser { user, deleted: since };
        let stored = Stored { value: deleted, version: Version(7), key: Key::whole(Partition::Global) };
        UserEntity::of_deleted(stored, "contoso.example".parse().ok().as_ref())
    }

    #[test]
    fn every_property_of_the_schema_is_answered_and_nothing_that_was_not_asked_for() {
        let user = somebody();
        for name in FOR_APPS.properties.iter().map(Property::name).filter(|name| *name != INVITATION) {
            let query = Query::parse(&format!("$select={name}"), &FOR_APPS).unwrap();
            let mut members = user.json(&query.select);
            let value = members.remove(name).unwrap();
            assert!(!value.is_null() && value != json!([]), "{name}: {value}");
            assert!(members.keys().eq(["@odata.etag"]), "{name}: {members:?}");
        }
    }
}
