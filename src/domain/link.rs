//! Which tenant a URL names: at most one, and all places in the URL that name one must agree.
//!
//! There is one resolver and no default tenant. A link that names nobody is a *common link* and is refused, as are the
//! authorities `common`, `organizations` and `consumers` (checklist T-08).

use serde::{Deserialize, Serialize};

use super::{AppId, Domain, TenantId};
use crate::error::Code;

/// A tenant as a link names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantName {
    /// By its id.
    Id(TenantId),
    /// By one of its domains.
    Domain(Domain),
}

impl TenantName {
    /// Reads an id or a domain.
    ///
    /// # Errors
    /// [`Code::TenantMissing`] for the common authorities, [`Code::LinkMalformed`] for anything that is neither.
    pub fn parse(text: &str) -> Result<Self, Code> {
        if ["common", "organizations", "consumers"].iter().any(|common| text.eq_ignore_ascii_case(common)) {
            return Err(Code::TenantMissing);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::Domain).map_err(|_| Code::LinkMalformed)
    }
}

/// The places of a URL that can name a tenant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// The authority in the path.
    pub path: Option<&'a str>,
    /// The raw query, in which `tenantid` is looked for without regard to case.
    pub query: Option<&'a str>,
    /// The tenant that has claimed the request's host.
    pub host: Option<TenantId>,
    /// The tenant that the app or layer is pinned to.
    pub pinned: Option<TenantId>,
}

/// The tenant context of a link: what it names, in all places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLink {
    names: Vec<TenantName>,
}

/// What is known about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It names this tenant.
    Tenant(TenantId),
    /// It is a domain that a tenant has claimed, and not verified.
    Unverified,
    /// It names nobody.
    Unknown,
}

impl SignInLink {
    /// Collects what a URL names.
    ///
    /// # Errors
    /// [`Code::ParameterRepeated`] when `tenantid` appears with different values, [`Code::LinkMalformed`] when a name is no
    /// id and no domain, [`Code::TenantMissing`] when there is none, or one is a common authority.
    pub fn parse(sources: Sources<'_>) -> Result<Self, Code> {
        let mut names = Vec::new();
        if let Some(authority) = sources.path {
            names.push(TenantName::parse(authority)?);
        }
        if let Some(value) = sources.query.map(tenant_parameter).transpose()?.flatten() {
            names.push(TenantName::parse(&value)?);
        }
        names.extend([sources.host, sources.pinned].into_iter().flatten().map(TenantName::Id));
        if names.is_empty() { Err(Code::TenantMissing) } else { Ok(Self { names }) }
    }

    /// The names, to be looked up.
    #[must_use]
    pub fn names(&self) -> &[TenantName] {
        &self.names
    }

    /// The one tenant that all names agree on.
    ///
    /// # Errors
    /// [`Code::TenantConflict`], [`Code::DomainNotVerified`] or [`Code::TenantUnknown`].
    pub fn resolve(&self, lookup: impl Fn(&TenantName) -> Lookup) -> Result<TenantId, Code> {
        let answers: Vec<_> = self.names.iter().map(lookup).collect();
        if answers.iter().any(|answer| *answer != answers[0]) {
            return Err(Code::TenantConflict);
        }
        match answers[0] {
            // Two different names that nobody knows may well be two organisations.
            _ if answers[0] == Lookup::Unknown && self.names.iter().any(|name| *name != self.names[0]) => {
                Err(Code::TenantConflict)
            }
            Lookup::Tenant(id) => Ok(id),
            Lookup::Unverified => Err(Code::DomainNotVerified),
            Lookup::Unknown => Err(Code::TenantUnknown),
        }
    }
}

/// The value of `tenantid` in a query, its name in any case; equal repetitions count as one.
fn tenant_parameter(query: &str) -> Result<Option<String>, Code> {
    let mut found: Option<String> = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if !name.eq_ignore_ascii_case("tenantid") {
            continue;
        }
        match &found {
            Some(earlier) if *earlier != value => return Err(Code::ParameterRepeated),
            _ => found = Some(value.into_owned()),
        }
    }
    Ok(found)
}

/// Where a direct sign-on link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// The apps panel.
    Panel,
    /// One app.
    App(AppId),
}

impl Destination {
    /// The app, if it is one.
    #[must_use]
    pub fn app(self) -> Option<AppId> {
        match self {
            Self::Panel => None,
            Self::App(app) => Some(app),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTOSO: &str = "11111111-1111-4111-8111-111111111111";
    const FABRIKAM: &str = "22222222-2222-4222-8222-222222222222";

    fn lookup(name: &TenantName) -> Lookup {
        let (contoso, fabrikam) = (CONTOSO.parse().unwrap(), FABRIKAM.parse().unwrap());
        match name {
            TenantName::Id(id) if *id == contoso || *id == fabrikam => Lookup::Tenant(*id),
            TenantName::Domain(domain) => match domain.as_str() {
                "contoso.example" => Lookup::Tenant(contoso),
                "fabrikam.example" => Lookup::Tenant(fabrikam),
                "claimed.example" => Lookup::Unverified,
                _ => Lookup::Unknown,
            },
            TenantName::Id(_) => Lookup::Unknown,
        }
    }

    fn resolve(path: Option<&str>, query: Option<&str>, host: Option<&str>) -> Result<TenantId, Code> {
        let sources = Sources { path, query, host: host.map(|id| id.parse().unwrap()), pinned: None };
        SignInLink::parse(sources)?.resolve(lookup)
    }

    #[test]
    fn every_shape_names_its_tenant() {
        let contoso = Ok(CONTOSO.parse().unwrap());
        assert_eq!(resolve(Some(CONTOSO), None, None), contoso);
        assert_eq!(resolve(Some("Contoso.Example."), None, None), contoso);
        assert_eq!(resolve(None, Some(&format!("tenantid={CONTOSO}")), None), contoso);
        assert_eq!(resolve(None, Some("x=1&TenantId=contoso.example"), None), contoso);
        assert_eq!(resolve(None, None, Some(CONTOSO)), contoso);
        assert_eq!(
            resolve(Some("contoso.example"), Some(&format!("tenantid={CONTOSO}&TENANTID={CONTOSO}")), Some(CONTOSO)),
            contoso
        );
    }

    /// T-08: all pairs of sources that disagree are refused, and nothing falls back to a default.
    #[test]
    fn t_08_conflicts_and_common_links_are_refused() {
        let all =
            [CONTOSO, FABRIKAM, "contoso.example", "fabrikam.example", "claimed.example", "unknown.example", "else.example"];
        for one in all {
            for other in all {
                let same = lookup(&TenantName::parse(one).unwrap()) == lookup(&TenantName::parse(other).unwrap());
                let answer = resolve(Some(one), Some(&format!("tenantid={other}")), None);
                match (same, one == other) {
                    (false, _) => assert_eq!(answer, Err(Code::TenantConflict), "{one} {other}"),
                    (true, false) if one.contains("else") || other.contains("else") => {
                        assert_eq!(answer, Err(Code::TenantConflict))
                    }
                    _ => assert_ne!(answer, Err(Code::TenantConflict), "{one} {other}"),
                }
            }
        }
        assert_eq!(resolve(Some(CONTOSO), None, Some(FABRIKAM)), Err(Code::TenantConflict));
        assert_eq!(resolve(None, Some(&format!("tenantid={CONTOSO}&tenantId={FABRIKAM}")), None), Err(Code::ParameterRepeated));
        for common in [None, Some("common"), Some("organizations"), Some("Consumers")] {
            assert_eq!(resolve(common, None, None), Err(Code::TenantMissing), "{common:?}");
        }
        assert_eq!(resolve(Some("common"), Some(&format!("tenantid={CONTOSO}")), None), Err(Code::TenantMissing));
        assert_eq!(resolve(Some("claimed.example"), None, None), Err(Code::DomainNotVerified));
        assert_eq!(resolve(Some("unknown.example"), None, None), Err(Code::TenantUnknown));
        for malformed in ["", "me", "a b", "..", "contoso.example/x", "{11111111-1111-4111-8111-111111111111}"] {
            assert_eq!(resolve(Some(malformed), None, None), Err(Code::LinkMalformed), "{malformed}");
        }
    }
}
