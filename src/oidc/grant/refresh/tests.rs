use super::*;
use crate::{
    domain::{app::App, tenant::IdentitySource},
    oidc::fixture::*,
    secret::Secret,
};

fn begin() -> (RefreshFamily, Secret) {
    let request = authorize(&with("scope", "openid email offline_access"), &app()).unwrap();
    let grant = CodeGrant::issue(&request, contoso(), sign_in(), now(), &entropy());
    RefreshFamily::begin(&grant, Limits::of(IdentitySource::OneTimePasscode), &ring(), now(), &entropy())
}

fn rotate(family: &RefreshFamily, token: &Secret, at: i64) -> Result<Rotated, RefreshError> {
    rotate_for(family, token, &app(), None, at)
}

fn rotate_for(
    family: &RefreshFamily,
    token: &Secret,
    app: &App,
    scopes: Option<Scopes>,
    at: i64,
) -> Result<Rotated, RefreshError> {
    let presented = PresentedToken::parse(token).ok_or(RefreshError::Unknown)?;
    assert_eq!(presented.family(), family.id);
    family.rotate(&presented, &client(app), scopes, contoso(), &ring(), after(at))
}

fn is_reuse(result: &Result<Rotated, RefreshError>) -> bool {
    matches!(result, Err(RefreshError::Reused(family)) if family.revoked.is_some())
}

#[test]
fn g_06_generations_are_counted_not_timed() {
    let (mut family, first) = begin();
    let mut tokens = vec![first];
    for _ in 0..100 {
        let rotated = rotate(&family, tokens.last().unwrap(), 0).unwrap();
        family = rotated.family.expect("a new generation");
        tokens.push(rotated.token);
    }
    assert_eq!(family.generation, 101);
    let distinct: std::collections::HashSet<_> = tokens.iter().map(|token| token.expose().to_owned()).collect();
    assert_eq!(distinct.len(), 101);
    for (age, old) in tokens.iter().rev().enumerate().skip(2) {
        assert!(is_reuse(&rotate(&family, old, 0)), "{age} generations old");
    }
}

/// G-07: what is needed to tell a reuse is in the record, and survives being stored.
#[test]
fn g_07_reuse_is_seen_after_a_restart() {
    let (family, first) = begin();
    let second = rotate(&family, &first, 0).unwrap();
    let third = rotate(second.family.as_ref().unwrap(), &second.token, 0).unwrap();
    let stored = serde_json::to_string(&third.family.unwrap()).unwrap();
    let family: RefreshFamily = serde_json::from_str(&stored).unwrap();
    let RefreshError::Reused(revoked) = rotate(&family, &first, 0).unwrap_err() else { panic!("reuse") };
    assert_eq!(rotate(&revoked, &third.token, 0).unwrap_err(), RefreshError::Expired, "revoke wins over the newest token");
    assert_eq!(rotate(&revoked, &second.token, 0).unwrap_err(), RefreshError::Expired, "and over the grace period");
    assert_eq!(revoked.clone().revoke(after(9)), *revoked, "once");
}

#[test]
fn g_08_two_tabs_get_the_same_successor_within_the_grace_period() {
    let (family, first) = begin();
    let one = rotate(&family, &first, 0).unwrap();
    let family = one.family.unwrap();
    for at in [0, 1, 10] {
        let other = rotate(&family, &first, at).unwrap();
        assert!(other.family.is_none(), "nothing changes");
        assert_eq!(other.token.expose(), one.token.expose());
    }
    assert!(is_reuse(&rotate(&family, &first, 11)));
    let next = rotate(&family, &one.token, 1).unwrap().family.unwrap();
    assert!(is_reuse(&rotate(&next, &first, 1)), "the successor was used: the one before it is old");
    let other_app = app_with(serde_json::json!({ "id": "00000000-0000-4000-8000-0000000000a2" }));
    assert_eq!(rotate_for(&family, &first, &other_app, None, 0).unwrap_err(), RefreshError::Unknown, "to the same client only");
}

/// G-10: nothing but the whole token, and a guess changes nothing.
#[test]
fn g_10_only_the_whole_refresh_token_is_known() {
    let (family, token) = begin();
    let text = token.expose();
    assert_eq!(text.len(), 96);
    for cut in 0..text.len() {
        assert!(PresentedToken::parse(&Secret::new(&text[..cut])).is_none());
        assert!(cut == 0 || PresentedToken::parse(&Secret::new(&text[cut..])).is_none());
    }
    for longer in [format!("{text}A"), format!("{text}="), format!(" {text}")] {
        assert!(PresentedToken::parse(&Secret::new(longer)).is_none());
    }
    let raw = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    for at in 16..raw.len() {
        let mut forged = raw.clone();
        forged[at] ^= 1;
        let forged = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(forged));
        assert_eq!(rotate(&family, &forged, 0).unwrap_err(), RefreshError::Unknown, "byte {at}");
    }
    let ahead = rotate(&rotate(&family, &token, 0).unwrap().family.unwrap(), &token, 0).unwrap().token;
    assert_eq!(rotate(&family, &ahead, 0).unwrap_err(), RefreshError::Unknown, "a generation that was not given out");
    let presented = PresentedToken::parse(&token).unwrap();
    let elsewhere = family.rotate(&presented, &client(&app()), None, fabrikam(), &ring(), now());
    assert_eq!(elsewhere.unwrap_err(), RefreshError::Unknown, "another tenant");
}

#[test]
fn s_31_families_end_idle_and_in_any_case() {
    let (family, token) = begin();
    let day = 86_400;
    assert!(rotate(&family, &token, day - 1).is_ok());
    assert_eq!(rotate(&family, &token, day).unwrap_err(), RefreshError::Expired);
    let (mut family, mut token) = (family, token);
    for hours in 1..=40 {
        match rotate(&family, &token, hours * 20 * 3600) {
            Ok(rotated) => (family, token) = (rotated.family.unwrap(), rotated.token),
            Err(error) => {
                assert_eq!((error, hours * 20 > 30 * 24 - 20), (RefreshError::Expired, true));
                assert!(family.idle_until <= family.expires);
                assert_eq!(family.expires, after(30 * day));
                return;
            }
        }
    }
    panic!("30 days are the end");
}

#[test]
fn limits_follow_from_how_somebody_signs_in() {
    let hours = |limits: Limits| (limits.idle.as_hours(), limits.absolute.as_hours());
    assert_eq!(hours(Limits::of(IdentitySource::OneTimePasscode)), (24, 720));
    assert_eq!(hours(Limits::of(IdentitySource::HomeOrganisation)), (336, 720));
    assert_eq!(hours(Limits::of(IdentitySource::LocalAccount).at_most(jiff::SignedDuration::from_hours(24))), (24, 24));
}

#[test]
fn s_19_a_refresh_keeps_the_sign_in_and_never_widens_the_scope() {
    let (family, token) = begin();
    let ask = |scopes: &str| rotate_for(&family, &token, &app(), Scopes::parse(scopes), 5);
    let narrowed = ask("openid").unwrap();
    assert_eq!(narrowed.scopes.to_string(), "openid");
    let family_after = narrowed.family.unwrap();
    assert_eq!(family_after.scopes, family.scopes, "narrowing is for one access token");
    assert_eq!(family_after.sign_in, sign_in(), "auth_time and all");
    assert_eq!(ask("openid profile").unwrap_err(), RefreshError::Scope);
    assert_eq!(RefreshError::Scope.code(), Code::ScopeInvalid);
    assert_eq!(RefreshError::Unknown.code(), Code::GrantInvalid);
}
