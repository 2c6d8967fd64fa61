use base64::{Engine, prelude::*};
use proptest::prelude::*;

use super::*;
use crate::{domain::app::App, oidc::fixture::*};

fn body(extra: &[(&str, &str)]) -> String {
    let mut form =
        vec![("grant_type", "authorization_code"), ("code", "c"), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    form.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    form.extend(extra);
    query(&form)
}

/// Basic credentials, form-encoded as RFC 6749 section 2.3.1 wants them.
fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

fn signs_in(body: &str, authorization: Option<&str>, app: &App) -> Result<(), Code> {
    let request = TokenRequest::parse(body.as_bytes(), authorization)?;
    authenticate(Some(app), &request.credentials).map(|_| ())
}

#[test]
fn s_32_only_the_offered_grants() {
    let parse = |extra: &[(&str, &str)]| {
        TokenRequest::parse(body(&[&[("client_id", APP)], extra].concat()).as_bytes(), None).map(|request| request.grant)
    };
    assert!(matches!(parse(&[]), Ok(Grant::Code(_))));
    assert!(matches!(parse(&[("grant_type", "refresh_token"), ("refresh_token", "r")]), Ok(Grant::Refresh { scopes: None, .. })));
    assert!(matches!(parse(&[("grant_type", "client_credentials"), ("scope", "x")]), Ok(Grant::ClientCredentials { .. })));
    for other in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "Authorization_Code"] {
        assert_eq!(parse(&[("grant_type", other)]).err(), Some(Code::GrantTypeUnsupported), "{other}");
    }
    for incomplete in [("grant_type", ""), ("code", ""), ("grant_type", "refresh_token")] {
        assert_eq!(parse(&[incomplete]).err(), Some(Code::RequestInvalid), "{incomplete:?}");
    }
    assert_eq!(parse(&[("grant_type", "client_credentials")]).err(), Some(Code::ScopeInvalid));
    assert_eq!(
        parse(&[("grant_type", "refresh_token"), ("refresh_token", "r"), ("scope", "\"")]).err(),
        Some(Code::ScopeInvalid)
    );
    let twice = format!("{}&code=c", body(&[("client_id", APP)]));
    assert_eq!(TokenRequest::parse(twice.as_bytes(), None).err(), Some(Code::ParameterRepeated));
    assert_eq!(check_directory_scope("https://vestibule.example/.default", &issuer(contoso())), Ok(()));
    for other in ["", ".default", "https://vestibule.example/.default openid", "https://other.example/.default"] {
        assert_eq!(check_directory_scope(other, &issuer(contoso())), Err(Code::ScopeInvalid), "{other}");
    }
}

#[test]
fn s_33_one_way_to_authenticate_a_request() {
    let (confidential, public) = (app(), public_app());
    let in_form = body(&[("client_id", APP), ("client_secret", APP_SECRET)]);
    let in_header = basic(APP, APP_SECRET);
    assert_eq!(signs_in(&in_form, None, &confidential), Ok(()));
    assert_eq!(signs_in(&body(&[]), Some(&in_header), &confidential), Ok(()));
    assert_eq!(signs_in(&body(&[("client_id", APP)]), Some(&in_header), &confidential), Ok(()), "client_id as well is common");
    assert_eq!(signs_in(&body(&[("client_id", APP)]), None, &public), Ok(()));
    assert_eq!(signs_in(&in_form, Some(&in_header), &confidential), Err(Code::RequestInvalid), "both");
    let assertion = [
        ("client_id", APP),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", "x.y.z"),
    ];
    assert_eq!(signs_in(&body(&assertion), Some(&in_header), &confidential), Err(Code::RequestInvalid), "both");
    assert_eq!(signs_in(&body(&assertion), None, &confidential), Err(Code::ClientAuthentication), "not offered");
    let other = body(&[("client_id", "00000000-0000-4000-8000-0000000000a2")]);
    assert_eq!(signs_in(&other, Some(&in_header), &confidential), Err(Code::RequestInvalid), "two clients");
    for wrong in [
        basic(APP, "wrong"),
        basic(APP, ""),
        basic(APP, &format!("{APP_SECRET} ")),
        basic("00000000-0000-4000-8000-0000000000a2", APP_SECRET),
    ] {
        assert_eq!(signs_in(&body(&[]), Some(&wrong), &confidential), Err(Code::ClientAuthentication), "{wrong}");
    }
    assert_eq!(signs_in(&body(&[("client_id", APP)]), None, &confidential), Err(Code::ClientAuthentication), "no secret");
    assert_eq!(signs_in(&body(&[]), None, &confidential), Err(Code::ClientAuthentication), "no client");
    assert_eq!(signs_in(&in_form, None, &public), Err(Code::ClientAuthentication), "a public client has no secret");
    let older = body(&[("client_id", APP), ("client_secret", "an older one")]);
    assert_eq!(signs_in(&older, None, &confidential), Ok(()), "several secrets while one is replaced");
    let secretless = app_with(serde_json::json!({ "client": { "type": "confidential", "secrets": [] } }));
    assert_eq!(signs_in(&in_form, None, &secretless), Err(Code::ClientAuthentication));
    let off = app_with(serde_json::json!({ "enabled": false }));
    assert_eq!(signs_in(&in_form, None, &off), Err(Code::ClientNotAllowed));
    let request = TokenRequest::parse(in_form.as_bytes(), None).unwrap();
    assert_eq!(authenticate(None, &request.credentials).err(), Some(Code::ClientAuthentication));
    assert!(!format!("{request:?}").contains("s3cret"), "secrets are redacted");
}

#[test]
fn s_34_basic_credentials_are_read_strictly() {
    let confidential = app();
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let good = basic(APP, APP_SECRET);
    assert_eq!(signs_in(&body(&[]), Some(&good.replacen("Basic", "bASIC", 1)), &confidential), Ok(()), "schemes have no case");
    for bad in [
        String::new(),
        "Basic".into(),
        "Basic ".into(),
        format!("Basic  {}", &good[6..]),
        format!("{good}="),
        format!("{good}\n"),
        good.trim_end_matches('=').replace("Basic ", "Bearer "),
        "Basic ****".into(),
        format!("Basic {}", encoded(APP)),
        format!("Basic {}", encoded("nocolon")),
        format!("Basic {}", encoded(":secret")),
        format!("Basic {}", encoded(&format!("{APP}:%zz"))),
        format!("Basic {}", encoded(&format!("{APP}:{APP_SECRET}"))),
        format!("Basic {}", BASE64_STANDARD.encode([0xff, b':', 0xff])),
        format!("Basic {}", BASE64_URL_SAFE.encode([0xfb, 0xff, 0xfe])),
        format!("Digest {}", &good[6..]),
        APP.to_owned(),
    ] {
        assert_eq!(signs_in(&body(&[]), Some(&bad), &confidential), Err(Code::ClientAuthentication), "{bad:?}");
        assert_eq!(Code::ClientAuthentication.status(), 401);
    }
}

proptest! {
    #[test]
    fn no_token_request_panics(bytes: Vec<u8>, header in "\\PC*", credentials: Vec<u8>, value in "\\PC*", name in 0usize..10) {
        let _ = TokenRequest::parse(&bytes, Some(&header));
        let _ = TokenRequest::parse(body(&[]).as_bytes(), Some(&format!("Basic {}", BASE64_STANDARD.encode(credentials))));
        let _ = TokenRequest::parse(body(&[("client_id", APP), (KNOWN[name].0, &value)]).as_bytes(), None);
    }
}

mod codes {
    use super::*;
    use crate::{
        domain::{AppId, SessionId},
        oidc::fixture::with,
        secret::Secret,
    };

    fn grant(challenge: bool) -> CodeGrant {
        let query = if challenge { query(GOOD) } else { query(&GOOD[..6]) };
        CodeGrant::issue(&authorize(&query, &exempt_app()).unwrap(), contoso(), sign_in(), now(), &entropy())
    }

    fn exchange(redirect_uri: Option<&str>, verifier: Option<&str>) -> CodeExchange {
        CodeExchange {
            code: Secret::new("c"),
            redirect_uri: redirect_uri.map(str::to_owned),
            verifier: verifier.map(Secret::new),
        }
    }

    /// S-11, G-09: policy × challenge × verifier.
    #[test]
    fn s_11_g_09_pkce_matrix() {
        let refused = Err(GrantRefusal::Verifier);
        let wrong = "x".repeat(43);
        for (policy, app) in [("public", public_app()), ("required", app()), ("exempt", exempt_app())] {
            for (challenge, verifier, expected) in [
                (true, Some(VERIFIER), Ok(())),
                (true, Some(wrong.as_str()), refused),
                (true, None, refused),
                (true, Some(""), refused),
                (true, Some(CHALLENGE), refused),
                (true, Some(&VERIFIER[1..]), refused),
                (false, Some(VERIFIER), refused),
                (false, None, if policy == "exempt" { Ok(()) } else { refused }),
            ] {
                let verdict = check_code(&grant(challenge), &exchange(Some(CALLBACK), verifier), &client(&app), contoso(), now());
                assert_eq!(verdict, expected, "{policy} {challenge} {verifier:?}");
            }
        }
    }

    /// S-29: each binding, changed alone.
    #[test]
    fn s_29_a_code_is_bound_to_all_that_it_was_issued_for() {
        let app = app();
        let good = exchange(Some(CALLBACK), Some(VERIFIER));
        let check = |grant: &CodeGrant, exchange: &CodeExchange, tenant, at| {
            check_code(grant, exchange, &client(&app), tenant, after(at))
        };
        assert_eq!(check(&grant(true), &good, contoso(), 59), Ok(()));
        assert_eq!(check(&grant(true), &good, contoso(), 60), Err(GrantRefusal::Expired));
        assert_eq!(check(&grant(true), &good, contoso(), 61), Err(GrantRefusal::Expired));
        assert_eq!(check(&grant(true), &good, fabrikam(), 0), Err(GrantRefusal::Tenant));
        for uri in [None, Some(""), Some("https://app.example/cb/"), Some("https://evil.example/cb")] {
            assert_eq!(
                check(&grant(true), &exchange(uri, Some(VERIFIER)), contoso(), 0),
                Err(GrantRefusal::RedirectUri),
                "{uri:?}"
            );
        }
        let others = CodeGrant { app: AppId::random(&entropy()), ..grant(true) };
        assert_eq!(check(&others, &good, contoso(), 0), Err(GrantRefusal::Client), "G-03");
        let session = SessionId::random(&entropy());
        let moved = CodeGrant { sign_in: code::SignIn { session, ..sign_in() }, ..grant(true) };
        assert_ne!(
            moved.seal(&ring(), &entropy()).expose(),
            grant(true).seal(&ring(), &entropy()).expose(),
            "the session is inside the seal"
        );
        for refusal in [
            GrantRefusal::Unknown,
            GrantRefusal::Expired,
            GrantRefusal::Tenant,
            GrantRefusal::Client,
            GrantRefusal::RedirectUri,
            GrantRefusal::Verifier,
        ] {
            assert_eq!(refusal.code(), Code::GrantInvalid, "the client learns no more");
        }
    }

    /// G-10: every truncation, extension, change of case or of one character is no code.
    #[test]
    fn g_10_only_the_whole_code_opens() {
        let code = grant(true).seal(&ring(), &entropy());
        let text = code.expose();
        let open = |text: &str| CodeGrant::open(&ring(), contoso(), &Secret::new(text));
        assert_eq!(open(text), Ok(grant(true)));
        assert_eq!(CodeGrant::open(&ring(), fabrikam(), &code), Err(GrantRefusal::Unknown), "another tenant's");
        for cut in 0..text.len() {
            assert!(open(&text[..cut]).is_err() && (cut == 0 || open(&text[cut..]).is_err()), "{cut}");
        }
        for changed in [
            format!("{text}A"),
            format!("{text}="),
            format!("{text} "),
            text.to_ascii_uppercase(),
            text.to_ascii_lowercase(),
            text.replace('-', "+"),
        ] {
            assert!(changed == text || open(&changed).is_err());
        }
    }

    #[test]
    fn a_code_is_short_and_the_longest_still_fits() {
        assert!(grant(true).seal(&ring(), &entropy()).expose().len() < 400);
        let app = app_with(serde_json::json!({ "redirect_uris": [format!("https://app.example/{}", "a".repeat(2000))] }));
        let query = with("nonce", &"\u{1F600}".repeat(128))
            .replace(&query(&[("redirect_uri", CALLBACK)]), &query(&[("redirect_uri", app.redirect_uris[0].as_str())]));
        let idp = "i".repeat(2048);
        let request = authorize(&query, &app).unwrap();
        let code =
            CodeGrant::issue(&request, contoso(), code::SignIn { idp, ..sign_in() }, now(), &entropy()).seal(&ring(), &entropy());
        let form = super::query(&[("grant_type", "authorization_code"), ("code", code.expose()), ("client_id", APP)]);
        assert!(TokenRequest::parse(form.as_bytes(), None).is_ok(), "{}", code.expose().len());
    }
}

mod families {
    use super::*;
    use crate::{domain::tenant::IdentitySource, oidc::fixture::with, secret::Secret};

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
        assert_eq!(
            rotate_for(&family, &first, &other_app, None, 0).unwrap_err(),
            RefreshError::Unknown,
            "to the same client only"
        );
    }

    /// G-10: nothing but the whole token, and a guess changes nothing.
    #[test]
    fn g_10_only_the_whole_refresh_token_is_known() {
        let (family, token) = begin();
        let text = token.expose();
        assert_eq!(text.len(), 75);
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
        let hours = SignedDurationHours::of;
        assert_eq!(hours(Limits::of(IdentitySource::OneTimePasscode)), (24, 720));
        assert_eq!(hours(Limits::of(IdentitySource::HomeOrganisation)), (336, 720));
        assert_eq!(hours(Limits::of(IdentitySource::LocalAccount).at_most(jiff::SignedDuration::from_hours(24))), (24, 24));
    }

    struct SignedDurationHours;

    impl SignedDurationHours {
        fn of(limits: Limits) -> (i64, i64) {
            (limits.idle.as_hours(), limits.absolute.as_hours())
        }
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
}
