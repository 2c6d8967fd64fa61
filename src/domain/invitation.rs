//! An invitation: that a guest was invited, by whom, and the link that redeems it.
//!
//! The link holds a ticket of 256 bits, of which only the hash is kept. It is no proof of anybody's identity: it says which
//! guest is meant, and leads them to prove one (decision: the ticket alone never opens a session). Nothing else in the link is
//! believed. A guest has one invitation at a time; a new one ends the one before.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    EmailAddress, InvitationId, TenantId, UserId, WebUrl,
    app::App,
    audit::Actor,
    tenant::TenantPolicy,
    user::{Identity, User},
};
use crate::{
    error::Code,
    secret::{Secret, SecretHash},
};

/// An invitation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Its id: `user` in the link.
    pub id: InvitationId,
    /// The guest.
    pub user: UserId,
    /// The address that was invited; none for a guest without any, whom the link reaches in another way.
    pub address: Option<EmailAddress>,
    /// Where it leads after redemption (`inviteRedirectUrl`).
    pub redirect: WebUrl,
    /// The hash of the ticket.
    pub ticket: SecretHash,
    /// Who invited.
    pub invited_by: Actor,
    /// When.
    pub created: Timestamp,
    /// When the link ends; `None`: never.
    pub expires: Option<Timestamp>,
    /// What has become of it.
    pub state: InvitationState,
}

/// What has become of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state")]
pub enum InvitationState {
    /// Nobody has redeemed it.
    Open,
    /// It was redeemed. From then on the link leads its guest to sign in.
    Redeemed {
        /// When.
        at: Timestamp,
        /// By whom.
        identity: Identity,
    },
    /// A newer one took its place.
    Replaced {
        /// When.
        at: Timestamp,
    },
    /// It was taken back.
    Revoked {
        /// When.
        at: Timestamp,
    },
}

impl Invitation {
    /// When a link that is made at `now` ends.
    #[must_use]
    pub fn end(policy: &TenantPolicy, now: Timestamp) -> Option<Timestamp> {
        let days = i64::from(policy.invitation_days);
        (days > 0).then(|| now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX))
    }

    /// The link that redeems it (b2b-facts section 1.4). Whoever has it is led to prove an identity, so it is a secret that is
    /// shown once and mailed.
    #[must_use]
    pub fn link(public_url: &WebUrl, tenant: TenantId, id: InvitationId, ticket: &Secret) -> Secret {
        let base = public_url.as_str().trim_end_matches('/');
        Secret::new(format!("{base}/redeem?tenant={tenant}&user={id}&ticket={}", ticket.expose()))
    }

    /// Whether `ticket` is the one of this invitation, compared in constant time.
    #[must_use]
    pub fn is_ticket(&self, ticket: &Secret) -> bool {
        self.ticket.matches(ticket.expose())
    }

    /// Whether it speaks for `user`: it is their newest, and nobody has redeemed it. When its link ends is another matter
    /// ([`admit`](Self::admit)).
    #[must_use]
    pub fn speaks_for(&self, user: &User) -> bool {
        self.user == user.id && user.invitation == Some(self.id) && self.state == InvitationState::Open
    }

    /// Whether somebody can redeem it at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == InvitationState::Open && self.admit(now).is_ok()
    }

    /// Where it leads at the end, if it still may ([`may_lead_to`]). Our own pages are among those places, but for links of
    /// invitations, which would lead here again.
    #[must_use]
    pub fn landing<'a>(
        &self,
        public_url: &WebUrl,
        apps: impl IntoIterator<Item = &'a App>,
        policy: &TenantPolicy,
    ) -> Option<&WebUrl> {
        let ours = self.redirect.origin() == public_url.origin() && !self.redirect.as_url().path().starts_with("/redeem");
        (ours || may_lead_to(&self.redirect, apps, policy)).then_some(&self.redirect)
    }

    /// Whether its link leads anywhere at `now`: to redeem it while it is open, to sign in once it was redeemed.
    ///
    /// # Errors
    /// [`Code::InvitationExpired`], [`Code::InvitationReplaced`], [`Code::InvitationRevoked`].
    pub fn admit(&self, now: Timestamp) -> Result<(), Code> {
        match &self.state {
            InvitationState::Open if self.expires.is_some_and(|end| end <= now) => Err(Code::InvitationExpired),
            InvitationState::Open | InvitationState::Redeemed { .. } => Ok(()),
            InvitationState::Replaced { .. } => Err(Code::InvitationReplaced),
            InvitationState::Revoked { .. } => Err(Code::InvitationRevoked),
        }
    }
}

/// What the link of an invitation says. None of it is believed.
#[derive(Clone, Debug)]
pub struct RedeemLink {
    /// Which tenant: an id or a domain, as in other links.
    pub tenant: String,
    /// Which invitation; `None` when this cannot be one's id.
    pub invitation: Option<InvitationId>,
    /// The ticket.
    pub ticket: Secret,
}

impl RedeemLink {
    /// Reads the query of a link: `tenant`, `user` and `ticket`, their names in any case. Other parameters (`lc` and `ver` of
    /// 2019, what a mail gateway adds) are passed over.
    ///
    /// # Errors
    /// [`Code::LinkMalformed`] when one of the three is missing, [`Code::ParameterRepeated`] when one is there twice.
    pub fn parse(query: &str) -> Result<Self, Code> {
        let one = |wanted: &str| {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            let mut values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                (Some(_), Some(_)) => Err(Code::ParameterRepeated),
                (None, _) => Err(Code::LinkMalformed),
            }
        };
        let (tenant, user, ticket) = (one("tenant")?, one("user")?, one("ticket")?);
        Ok(Self { tenant: tenant.into_owned(), invitation: user.parse().ok(), ticket: Secret::new(ticket) })
    }
}

/// Whether an invitation may lead to `url`: its origin is that of the homepage or of a redirect URI of one of the tenant's
/// `apps` that is in use, or the tenant allows it by name. Asked when inviting, and again when landing: what was allowed then
/// need not be allowed now.
#[must_use]
pub fn may_lead_to<'a>(url: &WebUrl, apps: impl IntoIterator<Item = &'a App>, policy: &TenantPolicy) -> bool {
    let wanted = url.origin();
    let of_app = |app: &App| {
        let homepage = app.homepage.iter().map(WebUrl::origin);
        let redirects = app.redirect_uris.iter().filter_map(|uri| uri.as_str().parse().ok());
        homepage.chain(redirects.map(|uri: WebUrl| uri.origin())).any(|origin| origin == wanted)
    };
    policy.redirect_origins.iter().any(|allowed| allowed.origin() == wanted)
        || apps.into_iter().any(|app| app.enabled && of_app(app))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        AppId,
        app::{ClientType, SigningAlg},
    };

    #[test]
    fn a_link_has_each_of_its_parameters_once() {
        let id = "0c0c0c0c-0000-4000-8000-000000000009";
        let link = RedeemLink::parse(&format!("lc=1033&TENANT=contoso.example&User={id}&ticket=a%2Bb&ver=2.0&utm=x")).unwrap();
        assert_eq!(link.tenant, "contoso.example");
        assert_eq!((link.invitation.unwrap().to_string(), link.ticket.expose()), (id.to_owned(), "a+b"));
        for missing in ["", "tenant=a&user=b", "tenant=a&ticket=b", "user=a&ticket=b", "tenant=a&users=b&ticket=c"] {
            assert_eq!(RedeemLink::parse(missing).err(), Some(Code::LinkMalformed), "{missing}");
        }
        for repeated in
            ["tenant=a&user=b&ticket=c&Ticket=c", "tenant=a&user=b&USER=b&ticket=c", "tenant=a&tenant=b&user=b&ticket=c"]
        {
            assert_eq!(RedeemLink::parse(repeated).err(), Some(Code::ParameterRepeated), "{repeated}");
        }
        assert!(RedeemLink::parse("tenant=a&user=b&ticket=c").unwrap().invitation.is_none());
        assert!(!format!("{:?}", RedeemLink::parse("tenant=a&user=b&ticket=hidden")).contains("hidden"));
    }

    fn app(homepage: &str, redirect: &str) -> App {
        App {
            id: AppId(uuid::Uuid::from_u128(3)),
            display_name: String::new(),
            description: None,
            homepage: homepage.parse().ok(),
            redirect_uris: redirect.parse().into_iter().collect(),
            post_logout_redirect_uris: Vec::new(),
            client: ClientType::Public,
            pkce: Default::default(),
            visible: true,
            assignment_required: false,
            enabled: true,
            permissions: Vec::new(),
            delegated_permissions: Vec::new(),
            id_token_alg: SigningAlg::RS256,
            access_token_alg: SigningAlg::ES256,
        }
    }

    #[test]
    fn an_invitation_leads_to_apps_in_use_and_to_allowed_origins() {
        let mut apps = [app("https://expenses.contoso.example/start", "https://sso.contoso.example:8443/cb")];
        let mut policy = TenantPolicy::default();
        let may = |url: &str, apps: &[App], policy: &TenantPolicy| may_lead_to(&url.parse().unwrap(), apps, policy);
        for good in
            ["https://expenses.contoso.example/any?x#y", "https://sso.contoso.example:8443/", "https://EXPENSES.contoso.example"]
        {
            assert!(may(good, &apps, &policy), "{good}");
        }
        for bad in [
            "https://contoso.example/",
            "https://expenses.contoso.example:8443/",
            "https://expenses.contoso.example.evil.example/",
            "https://sso.contoso.example/",
            "http://localhost/",
        ] {
            assert!(!may(bad, &apps, &policy), "{bad}");
        }
        policy.redirect_origins.push("https://www.contoso.example/welcome".parse().unwrap());
        assert!(may("https://www.contoso.example/elsewhere", &apps, &policy), "an origin, whatever its path");
        apps[0].enabled = false;
        assert!(!may("https://expenses.contoso.example/start", &apps, &policy));
    }
}
