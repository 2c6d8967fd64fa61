//! What a home organisation says of a person beyond the ID token.

use openidconnect::AccessToken;
use serde::Deserialize;

use super::{
    UpstreamError,
    provider::Provider,
    token::{Profile, shown},
};
use crate::{
    outbound::{Authorization, Client},
    secret::Secret,
};

/// Asks the userinfo endpoint for what the ID token left out: by default, providers put the claims of `profile` and
/// `email` there (OpenID Connect Core 5.4).
pub(super) async fn complete(
    stated: Profile,
    http: &Client,
    provider: &Provider,
    access_token: &AccessToken,
    subject: &str,
) -> Result<Profile, UpstreamError> {
    let Some(endpoint) = &provider.userinfo_endpoint else { return Ok(stated) };
    let token = Secret::new(access_token.secret().as_str());
    let found: UserInfo = http.get_json(endpoint, Authorization::Bearer(&token)).await?;
    if found.sub != subject {
        return Err(UpstreamError::invalid("its userinfo is about somebody else"));
    }
    let name = stated.name.or(found.name.and_then(|name| shown(&name, 256)));
    Ok(Profile { email: found.email, email_verified: found.email_verified.is_true(), name })
}

/// The members of a userinfo response that matter here.
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<String>,
    #[serde(default)]
    email_verified: Flag,
    name: Option<String>,
}

/// A truth value. Some providers write it as a text.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Flag {
    #[default]
    Absent,
    Truth(bool),
    Text(String),
}

impl Flag {
    fn is_true(&self) -> bool {
        matches!(self, Self::Truth(true)) || matches!(self, Self::Text(text) if text == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_may_be_written_as_text_but_only_truth_is_true() {
        for (text, expected) in
            [("true", true), ("false", false), ("\"true\"", true), ("\"false\"", false), ("\"TRUE\"", false), ("\"1\"", false)]
        {
            assert_eq!(serde_json::from_str::<Flag>(text).unwrap().is_true(), expected, "{text}");
        }
        assert!(serde_json::from_str::<Flag>("1").is_err());
        assert!(!Flag::default().is_true());
    }
}
