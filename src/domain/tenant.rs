//! An organisation on this server.

mod invitation_mail;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use invitation_mail::InvitationMail;

use super::{Domain, EmailAddress, LanguageTag, TenantId, VerifiedEmail, WebUrl, verification::DnsProof};

/// An organisation: who it is, what proves it, and how it treats its guests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its id, which never changes.
    pub id: TenantId,
    /// Its name, as people see it. At most 256 characters.
    pub display_name: String,
    /// Its domains; the first is the initial one. A domain belongs to one tenant.
    pub domains: Vec<TenantDomain>,
    /// Host names under which this tenant is meant without being named in the link.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// What guests are told about their data.
    #[serde(default)]
    pub privacy: PrivacyProfile,
    /// How its pages look.
    #[serde(default)]
    pub branding: Branding,
    /// How it treats its guests.
    #[serde(default)]
    pub policy: TenantPolicy,
    /// When it was made.
    pub created: Timestamp,
    /// False: suspended. Nobody signs in, no token is given, and the sessions there were have ended (checklist T-07).
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// A domain that a tenant has claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantDomain {
    /// Its name.
    pub name: Domain,
    /// Whether the claim has been proven or declared by the operator.
    pub verified: bool,
    /// What the domain name system has shown, where the claim is proven by it; nothing when the operator has declared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsProof>,
}

/// What guests are told about their data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyProfile {
    /// The organisation's privacy statement. Linked, never fetched.
    pub statement_url: Option<WebUrl>,
    /// Whom to write to about it.
    pub contact_email: Option<EmailAddress>,
}

/// How a tenant's pages look: colours and a picture, never markup (checklist B-08).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Branding {
    /// The accent colour of buttons and links.
    pub accent: Option<Color>,
    /// A PNG logo, by the SHA-256 of its bytes.
    pub logo: Option<super::terms::DocumentId>,
}

/// A colour, `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color([u8; 3]);

impl TryFrom<String> for Color {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or("a colour is written #rrggbb")?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl From<Color> for String {
    fn from(Color([red, green, blue]): Color) -> Self {
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Color {
    /// Black or white, whichever can be read on this colour (WCAG 2.2 relative luminance).
    #[must_use]
    pub fn readable_text(self) -> &'static str {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let Self([red, green, blue]) = self;
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        if luminance > 0.179 { "#000000" } else { "#ffffff" }
    }
}

/// How a guest proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentitySource {
    /// The guest's own organisation, through its OpenID provider.
    HomeOrganisation,
    /// A code mailed to the guest's address.
    OneTimePasscode,
    /// An account that lives in the tenant itself.
    LocalAccount,
}

impl IdentitySource {
    /// The value of a guest's `source` property after redemption.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::HomeOrganisation => "External organisation",
            Self::OneTimePasscode => "One-time passcode",
            Self::LocalAccount => "Local account",
        }
    }
}

/// How a tenant treats its guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantPolicy {
    /// Which ways to prove an identity are offered to guests, first to last. See [`check_ways`](Self::check_ways).
    pub redemption_order: Vec<IdentitySource>,
    /// Whether guests come through their home organisations and in no other way (checklist O-15): a mailed code proves less.
    pub upstream_only: bool,
    /// Which e-mail domains guests may come from.
    pub guest_domains: DomainRule,
    /// How long a mailed code lives, in minutes: 1 to 30.
    pub passcode_minutes: u8,
    /// How long a session lasts at most, in hours: 1 to 24 (NIST-style absolute limit).
    pub session_hours: u8,
    /// The language of pages and mails where neither the browser nor the guest says which.
    pub language: Option<LanguageTag>,
    /// Whom a guest should ask; shown on refusals and on an empty apps panel.
    pub contact: Option<String>,
    /// Guests who accepted the review of permissions before this time are asked again.
    pub permissions_reviewed_since: Option<Timestamp>,
    /// How long the link in an invitation works, in days; 0: for ever.
    pub invitation_days: u16,
    /// What somebody has to show who opens an invitation and signs in with another address than the invited one.
    pub alias_redemption: AliasRedemption,
    /// Who may invite guests.
    pub allow_invites_from: AllowInvitesFrom,
    /// Origins that an invitation may lead to beside those of the tenant's own apps.
    pub redirect_origins: Vec<WebUrl>,
    /// How invitations by mail present the organisation.
    pub invitation_mail: InvitationMail,
}

/// What somebody has to show who opens an invitation and signs in with another verified address than the invited one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AliasRedemption {
    /// That the invited mailbox is theirs, too: a code that was mailed there.
    #[default]
    Passcode,
    /// The link in the invitation is enough.
    Link,
    /// Nothing helps.
    Deny,
}

/// Who may invite guests (the values of `authorizationPolicy.allowInvitesFrom`, b2b-facts section 11). Administrators here
/// are programs with the permission, and users who are given it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllowInvitesFrom {
    /// Nobody but the operator.
    None,
    /// Administrators and guest inviters.
    #[default]
    AdminsAndGuestInviters,
    /// All members, too.
    AdminsGuestInvitersAndAllMembers,
    /// Guests, too.
    Everyone,
}

impl Default for TenantPolicy {
    fn default() -> Self {
        Self {
            redemption_order: vec![IdentitySource::HomeOrganisation, IdentitySource::OneTimePasscode],
            upstream_only: false,
            guest_domains: DomainRule::default(),
            passcode_minutes: 10,
            session_hours: 24,
            language: None,
            contact: None,
            permissions_reviewed_since: None,
            invitation_days: 30,
            alias_redemption: AliasRedemption::default(),
            allow_invites_from: AllowInvitesFrom::default(),
            redirect_origins: Vec::new(),
            invitation_mail: InvitationMail::default(),
        }
    }
}

impl TenantPolicy {
    /// Whether guests may prove who they are in this way.
    #[must_use]
    pub fn offers(&self, source: IdentitySource) -> bool {
        self.redemption_order.contains(&source)
    }

    /// Whether the ways to prove an identity leave a fallback on: a guest without a home organisation, or whose home
    /// organisation is down, has no other. A tenant that wants it so says so, and then offers nothing else.
    ///
    /// # Errors
    /// What is wrong, in the words of the policy.
    pub fn check_ways(&self) -> Result<(), &'static str> {
        let order = &self.redemption_order;
        let fallback = |source: &IdentitySource| *source != IdentitySource::HomeOrganisation;
        match (order.iter().any(fallback), self.upstream_only) {
            _ if order.is_empty() => Err("redemption_order: guests need at least one way to prove who they are"),
            (false, false) => Err("redemption_order: one_time_passcode or local_account stays on, unless upstream_only is true"),
            (true, true) => Err("upstream_only: the redemption order is home_organisation alone, then"),
            _ => Ok(()),
        }
    }
}

/// Which e-mail domains guests may come from: one list, never both. Exact names; sub-domains are not included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainRule {
    /// Any domain.
    #[default]
    Any,
    /// Only these.
    Allow(Vec<Domain>),
    /// Any but these.
    Deny(Vec<Domain>),
}

impl DomainRule {
    /// Whether a guest from `domain` may come in.
    #[must_use]
    pub fn permits(&self, domain: &Domain) -> bool {
        match self {
            Self::Any => true,
            Self::Allow(list) => list.contains(domain),
            Self::Deny(list) => !list.contains(domain),
        }
    }
}

impl Tenant {
    /// The claim on `domain`, verified or not.
    #[must_use]
    pub fn domain(&self, domain: &Domain) -> Option<&TenantDomain> {
        self.domains.iter().find(|claimed| claimed.name == *domain)
    }

    /// Whom guests may ask: whom the policy names, else who answers for privacy.
    #[must_use]
    pub fn contact(&self) -> Option<String> {
        let privacy = || self.privacy.contact_email.as_ref().map(ToString::to_string);
        self.policy.contact.clone().or_else(privacy)
    }

    /// The domain to show people: the first verified one, else the initial one.
    #[must_use]
    pub fn shown_domain(&self) -> Option<&Domain> {
        self.domains.iter().find(|d| d.verified).or(self.domains.first()).map(|d| &d.name)
    }

    /// The domain that the tenant was made with.
    #[must_use]
    pub fn initial_domain(&self) -> Option<&Domain> {
        self.domains.first().map(|domain| &domain.name)
    }

    /// Whether this tenant can vouch for `address`: its domain is a verified domain of the tenant.
    #[must_use]
    pub fn vouches_for(&self, address: &EmailAddress) -> bool {
        self.domain(&address.domain()).is_some_and(|domain| domain.verified)
    }

    /// The address of one of this tenant's own members as verified, when the tenant can vouch for it.
    #[must_use]
    pub fn verified_member_address(&self, address: &EmailAddress) -> Option<VerifiedEmail> {
        let trusted: Vec<_> = self.domains.iter().filter(|d| d.verified).map(|d| d.name.clone()).collect();
        VerifiedEmail::vouched_for(address.clone(), true, &trusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_rules_name_exact_domains() {
        let contoso: Domain = "contoso.example".parse().unwrap();
        let sub: Domain = "mail.contoso.example".parse().unwrap();
        assert!(DomainRule::Any.permits(&sub));
        assert!(DomainRule::Allow(vec![contoso.clone()]).permits(&contoso));
        assert!(!DomainRule::Allow(vec![contoso.clone()]).permits(&sub));
        assert!(!DomainRule::Deny(vec![contoso.clone()]).permits(&contoso));
        assert!(DomainRule::Deny(vec![contoso]).permits(&sub));
    }

    /// O-15: all primaries may be switched off; a fallback stays on, unless the tenant says that it wants none.
    #[test]
    fn o_15_a_fallback_stays_on_unless_upstream_only_is_said() {
        use IdentitySource::{HomeOrganisation as Home, LocalAccount as Account, OneTimePasscode as Code};
        for (order, upstream_only, good) in [
            (vec![Home, Code], false, true),
            (vec![Code, Home], false, true),
            (vec![Code], false, true),
            (vec![Home, Account], false, true),
            (vec![], false, false),
            (vec![Home], false, false),
            (vec![Home], true, true),
            (vec![], true, false),
            (vec![Home, Code], true, false),
            (vec![Code], true, false),
            (vec![Account], true, false),
        ] {
            let policy = TenantPolicy { redemption_order: order, upstream_only, ..TenantPolicy::default() };
            assert_eq!(policy.check_ways().is_ok(), good, "{policy:?}");
        }
        assert_eq!(TenantPolicy::default().check_ways(), Ok(()));
    }

    #[test]
    fn text_on_an_accent_colour_can_be_read() {
        let color = |text: &str| Color::try_from(text.to_owned()).unwrap();
        assert_eq!(color("#ffffff").readable_text(), "#000000");
        assert_eq!(color("#0b5cad").readable_text(), "#ffffff");
        for bad in ["", "#fff", "red", "#gggggg", "#ffffff;}", "#+12345"] {
            assert!(Color::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
