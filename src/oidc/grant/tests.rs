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
