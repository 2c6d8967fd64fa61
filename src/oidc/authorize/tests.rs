use proptest::prelude::*;

use super::*;
use crate::{
    domain::{app::RedirectUri, tenant::IdentitySource},
    oidc::{
        fixture::*,
        token::{ACR_VALUES, acr, mint},
    },
    secret::Secret,
};

fn page(query: &str, app: Option<&App>) -> Option<Code> {
    RawAuthorize::parse(query.as_bytes()).bind(app).err().map(|error| error.code)
}

fn refused(query: &str) -> Option<Code> {
    authorize(query, &app()).err().map(|error| error.code())
}

/// The fields of an answer, as a client reads them.
fn received(answer: AuthorizationResponse) -> Vec<(String, String)> {
    match answer {
        AuthorizationResponse::Redirect { location } => {
            let (_, query) = location.split_once('?').expect("a query");
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
        }
        AuthorizationResponse::FormPost { fields, .. } => {
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        }
    }
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_good_request_is_read_whole() {
    let request = authorize(&query(GOOD), &app()).unwrap();
    assert_eq!(request.scopes, Scopes::parse("openid profile email").unwrap());
    assert_eq!(request.nonce.as_deref(), Some("n-0S6_WzA2Mj"));
    assert_eq!((request.prompts, request.max_age, request.hinted_user), (Prompts::default(), None, None));
    assert_eq!((request.target.redirect_uri(), request.target.response_mode()), (CALLBACK, ResponseMode::Query));
    let sealed = postcard::to_stdvec(&request).unwrap();
    assert_eq!(postcard::from_bytes::<AuthorizeRequest>(&sealed).unwrap(), request);
    assert!(sealed.len() < 150, "it travels in a cookie: {} bytes", sealed.len());
    let mut reversed = GOOD.to_vec();
    reversed.reverse();
    assert_eq!(authorize(&query(&reversed), &app()).unwrap(), request, "C-08: order does not matter");
}

#[test]
fn s_01_no_openid_no_request() {
    for scope in ["", "profile email", "Openid", "openid\u{e9}", "openid  email"] {
        assert_eq!(refused(&with("scope", scope)), Some(Code::ScopeInvalid), "{scope:?}");
    }
    assert_eq!(refused(&with("scope", "phone openid")), None);
}

#[test]
fn s_02_s_03_prompt_values_that_cannot_be_met_are_refused() {
    for good in ["none", "login", "consent", "select_account", "login consent", "consent login select_account"] {
        assert_eq!(refused(&with("prompt", good)), None, "{good}");
    }
    for bad in ["none login", "consent none", "none consent login", "None", "create", "login,consent", "none\tlogin"] {
        assert_eq!(refused(&with("prompt", bad)), Some(Code::RequestInvalid), "{bad}");
    }
    assert!(authorize(&with("prompt", "none"), &app()).unwrap().is_silent());
    assert!(authorize(&with("prompt", "none none"), &app()).unwrap().is_silent());
}

#[test]
fn s_04_max_age_is_a_number_of_seconds() {
    for bad in ["-1", "+1", "1.0", "1e3", "0x10", " 1", "1 ", "one", "4294967296", "99999999999999999999", "١"] {
        assert_eq!(refused(&with("max_age", bad)), Some(Code::RequestInvalid), "{bad:?}");
    }
    let request = authorize(&with("max_age", "10"), &app()).unwrap();
    assert!(!request.needs_fresh_login(after(-10), now()) && request.needs_fresh_login(after(-11), now()));
    assert!(authorize(&with("max_age", "0"), &app()).unwrap().needs_fresh_login(now(), now()), "0 means login");
    assert!(authorize(&with("prompt", "login"), &app()).unwrap().needs_fresh_login(now(), now()));
    assert!(!authorize(&query(GOOD), &app()).unwrap().needs_fresh_login(after(-1_000_000), now()));
}

#[test]
fn s_06_only_our_own_hint_names_a_person() {
    let id_token = |keys, issued| {
        let tokens = mint(grantee("openid"), &app(), keys, &ring(), issued, &entropy()).unwrap();
        (tokens.id_token.unwrap(), tokens.access_token)
    };
    let (hint, access_token) = id_token(keys(), now());
    let hinted = |hint: &str| authorize(&with("id_token_hint", hint), &app()).map(|request| request.hinted_user);
    assert_eq!(hinted(&hint).unwrap(), Some(sign_in().user));
    let expired = RawAuthorize::parse(with("id_token_hint", &hint).as_bytes());
    let expired = expired.bind(Some(&app())).unwrap().validate(keys().public(), after(86_400)).unwrap();
    assert_eq!(expired.hinted_user, Some(sign_in().user), "it may have expired");
    let (foreign, _) = id_token(other_keys(), now());
    let (_, forged) = hint.rsplit_once('.').unwrap();
    for bad in [foreign, access_token, format!("{hint}A"), "x".into(), format!("eyJhbGciOiJub25lIn0.e30.{forged}")] {
        assert_eq!(hinted(&bad).unwrap_err().code(), Code::RequestInvalid, "{bad}");
    }
    let other_app = app_with(serde_json::json!({ "id": "00000000-0000-4000-8000-0000000000a2" }));
    let for_other = with("id_token_hint", &hint).replace(APP, &other_app.id.to_string());
    assert_eq!(authorize(&for_other, &other_app).unwrap_err().code(), Code::RequestInvalid, "another app's hint");
}

#[test]
fn s_08_the_acr_is_what_happened() {
    let request = authorize(&with("acr_values", "urn:x:mfa"), &app()).unwrap();
    assert_eq!(request.acr_values.as_deref(), Some("urn:x:mfa"), "kept for the home organisation");
    assert_eq!(acr(IdentitySource::OneTimePasscode), ACR_VALUES[1]);
}

proptest! {
    #[test]
    fn s_09_hints_never_make_a_request_fail(value in "\\PC{0,2000}", name in 0usize..7) {
        let names = ["ui_locales", "claims_locales", "display", "acr_values", "login_hint", "domain_hint", "extra"];
        prop_assert_eq!(refused(&with(names[name], &value)), None);
    }

    #[test]
    fn no_query_panics(bytes: Vec<u8>, value in "\\PC*", name in 0usize..21) {
        let _ = RawAuthorize::parse(&bytes).bind(Some(&app())).map(|bound| bound.validate(keys().public(), now()).is_ok());
        let known = with(KNOWN[name].0, &value);
        let _ = RawAuthorize::parse(known.as_bytes()).bind(Some(&app())).map(|bound| bound.validate(keys().public(), now()).is_ok());
    }
}

#[test]
fn s_09_long_hints_are_dropped_and_languages_are_bounded() {
    let long = "x".repeat(8 * 1024);
    assert_eq!(authorize(&with("login_hint", &long), &app()).unwrap().login_hint, None);
    let request = authorize(&with("ui_locales", &format!("xx_ pt-br {}", "en ".repeat(2000))), &app()).unwrap();
    assert_eq!((request.ui_locales.len(), request.ui_locales[0].as_str()), (8, "pt-BR"));
}

#[test]
fn s_10_every_known_parameter_appears_once() {
    for (name, _) in KNOWN {
        for second in ["a", "b", ""] {
            let twice = format!("{}&{name}=a&{name}={second}", with(name, ""));
            let on_page = matches!(*name, "client_id" | "redirect_uri");
            let answer = if on_page { page(&twice, Some(&app())) } else { refused(&twice) };
            assert_eq!(answer, Some(Code::ParameterRepeated), "{name} {second}");
        }
    }
}

/// S-11, S-28, G-09: the half of the matrix that authorization requests see.
#[test]
fn s_28_pkce_with_s256_unless_a_confidential_client_is_exempt() {
    let exempt_but_public = app_with(serde_json::json!({ "client": { "type": "public" }, "pkce": "exempt" }));
    for (app, needed) in [(app(), true), (public_app(), true), (exempt_but_public, true), (exempt_app(), false)] {
        let code = |query: &str| authorize(query, &app).err().map(|error| error.code());
        assert_eq!(code(&query(GOOD)), None);
        let without = query(&GOOD[..6]);
        assert_eq!(code(&without), needed.then_some(Code::PkceRequired));
        assert_eq!(code(&with("code_challenge_method", "plain")), Some(Code::PkceRequired));
        assert_eq!(code(&with("code_challenge_method", "s256")), Some(Code::PkceRequired));
        assert_eq!(code(&with("code_challenge_method", "")), Some(Code::PkceRequired), "absent means plain");
        assert!(code(&with("code_challenge", "")).is_some(), "a method without a challenge");
        for bad in ["a", &CHALLENGE[1..], &format!("{CHALLENGE}A"), &format!("{CHALLENGE}="), &"A".repeat(128), &"+".repeat(43)] {
            assert_eq!(code(&with("code_challenge", bad)), Some(Code::RequestInvalid), "{bad}");
        }
        assert_eq!(code(&with("code_challenge", &"A".repeat(129))), Some(Code::RequestInvalid));
    }
    assert!(authorize(&query(GOOD), &app()).unwrap().code_challenge.unwrap().matches(VERIFIER));
}

#[test]
fn s_12_a_nonce_is_kept_up_to_its_limit() {
    for nonce in
        ["n".to_owned(), "n".repeat(43), "n".repeat(64), "n".repeat(384), "n".repeat(MAX_NONCE), "ñ\u{1F600}\"&=+%".into()]
    {
        let request = authorize(&with("nonce", &nonce), &app()).unwrap();
        assert_eq!(request.nonce.as_deref(), Some(nonce.as_str()));
    }
    assert_eq!(refused(&with("nonce", &"n".repeat(MAX_NONCE + 1))), Some(Code::RequestInvalid));
    assert_eq!(authorize(&with("nonce", ""), &app()).unwrap().nonce, None);
}

#[test]
fn s_13_state_comes_back_byte_for_byte() {
    for mode in ["query", "form_post"] {
        for state in ["a b+c%20%2B", "\"'<>&=#?/\\", "\u{1F600} é", "\r\n\t\u{0}", &"s".repeat(MAX_STATE), &"%+ ".repeat(1000)] {
            let raw = format!("{}&response_mode={mode}", with("state", state));
            let request = authorize(&raw, &app()).unwrap();
            for answer in [
                request.success(&Secret::new("c"), &issuer(contoso())),
                request.refuse(Code::Cancelled).response(&issuer(contoso())),
            ] {
                assert_eq!(field(&received(answer), "state"), Some(state), "{state:?}");
            }
        }
    }
    let too_long = authorize(&with("state", &"s".repeat(MAX_STATE + 1)), &app()).unwrap_err();
    assert_eq!(too_long.code(), Code::RequestInvalid);
    assert_eq!(field(&received(too_long.response(&issuer(contoso()))), "state"), None);
    assert_eq!(
        field(
            &received(authorize(&with("state", ""), &app()).unwrap().refuse(Code::Cancelled).response(&issuer(contoso()))),
            "state"
        ),
        None
    );
}

#[test]
fn s_22_the_claims_parameter_is_bounded_json() {
    for good in ["{}", r#"{"id_token":{"auth_time":{"essential":true}},"userinfo":{"name":null}}"#, r#"{"userinfo":null,"x":1}"#]
    {
        assert_eq!(refused(&with("claims", good)), None, "{good}");
    }
    let deep = "[".repeat(10_000);
    for bad in [
        "{",
        "[]",
        "1",
        "null",
        r#"{"id_token":1}"#,
        r#"{"id_token":{},"id_token":{}}"#,
        deep.as_str(),
        &format!("{{\"userinfo\":{deep}"),
    ] {
        assert_eq!(refused(&with("claims", bad)), Some(Code::RequestInvalid), "{:.40}", bad);
    }
}

/// S-23, S-24, R-01: the corpus. Every variant but the registered text itself is a page, for a confidential and for a public
/// client.
#[test]
fn r_01_no_variant_of_a_redirect_uri_is_redirected_to() {
    let corpus = include_str!("../../../fixtures/redirect-uris.txt");
    let variants = corpus.lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    let mut count = 0;
    for line in variants {
        let (answer, uri) = line.split_once(' ').expect("answer, space, URI");
        let uri = uri
            .replace("\\t", "\t")
            .replace("\\r", "\r")
            .replace("\\n", "\n")
            .replace("\\0", "\0")
            .replace("{2000}", &"a".repeat(2000));
        let request = with("redirect_uri", &uri);
        let (confidential, public) = (page(&request, Some(&app())), page(&request, Some(&public_app())));
        let expected = match answer {
            "accept" => (None, None),
            "public" => (Some(Code::RedirectUriUnknown), None),
            _ => (Some(Code::RedirectUriUnknown), Some(Code::RedirectUriUnknown)),
        };
        assert_eq!((confidential, public), expected, "{line}");
        count += 1;
    }
    assert!(count > 60, "{count}");
    let oversized = with("redirect_uri", &format!("{CALLBACK}?{}", "a".repeat(2048)));
    assert_eq!(page(&oversized, Some(&app())), Some(Code::RequestInvalid));
    assert_eq!(page(&with("redirect_uri", ""), Some(&app())), Some(Code::RedirectUriUnknown), "absent");
    let empty = app_with(serde_json::json!({ "redirect_uris": [] }));
    assert_eq!(page(&with("redirect_uri", ""), Some(&empty)), Some(Code::RedirectUriUnknown), "absent, and none registered");
}

/// R-03, S-24: whatever else is wrong with a request, an unregistered redirect URI or an unknown client is told on a page.
#[test]
fn r_03_the_redirect_uri_is_judged_before_every_other_fault() {
    let faults = [
        "prompt=none",
        "prompt=none+login",
        "scope=x",
        "response_type=token",
        "response_mode=fragment",
        "request=x",
        "request_uri=x",
        "max_age=-1",
        "claims={",
        "state=%ff",
        "state=a&state=b",
        "id_token_hint=x",
        "code_challenge=x",
        "nonce=%zz",
        "%zz=1",
        "registration=x",
    ];
    for fault in faults {
        let evil = query(&[("client_id", APP), ("redirect_uri", "https://evil.example/cb")]);
        assert_eq!(page(&format!("{evil}&{fault}"), Some(&app())), Some(Code::RedirectUriUnknown), "{fault}");
        assert_eq!(page(&format!("{}&{fault}", query(&GOOD[..2])), None), Some(Code::AppUnknown), "{fault}");
    }
    let other = app_with(serde_json::json!({ "id": "00000000-0000-4000-8000-0000000000a2" }));
    assert_eq!(page(&query(GOOD), Some(&other)), Some(Code::AppUnknown), "looked up under another name");
    for bad in ["", "x", "{00000000-0000-4000-8000-0000000000a1}"] {
        assert_eq!(page(&with("client_id", bad), Some(&app())), Some(Code::AppUnknown), "{bad}");
    }
    assert_eq!(page(&query(GOOD), Some(&app_with(serde_json::json!({ "enabled": false })))), Some(Code::ClientNotAllowed));
}

#[test]
fn c_02_c_20_only_the_code_flow_with_plain_parameters() {
    for other in ["token", "id_token", "code id_token", "code token", "none", "CODE", "code "] {
        assert_eq!(refused(&with("response_type", other)), Some(Code::ResponseTypeUnsupported), "{other}");
    }
    assert_eq!(refused(&with("response_type", "")), Some(Code::RequestInvalid));
    assert_eq!(refused(&with("request", "eyJhbGciOiJub25lIn0.e30.")), Some(Code::RequestObject));
    assert_eq!(refused(&with("request_uri", "https://evil.example/r")), Some(Code::RequestUri));
    for mode in ["fragment", "web_message", "QUERY", "query.jwt"] {
        let error = authorize(&with("response_mode", mode), &app()).unwrap_err();
        assert_eq!((error.code(), error.target().response_mode()), (Code::RequestInvalid, ResponseMode::Query), "{mode}");
    }
}

#[test]
fn s_26_every_answer_names_its_issuer() {
    let issuer = issuer(contoso());
    for mode in ["query", "form_post"] {
        let request = authorize(&with("response_mode", mode), &app()).unwrap();
        let success = received(request.success(&Secret::new("the code"), &issuer));
        assert_eq!(field(&success, "code"), Some("the code"));
        let refusal = received(request.refuse(Code::TermsDeclined).response(&issuer));
        assert_eq!((field(&refusal, "error"), field(&refusal, "code")), (Some("access_denied"), None));
        for answer in [success, refusal] {
            assert_eq!(field(&answer, "iss"), Some(issuer.as_str()));
        }
    }
    let mut failed = authorize(&with("response_mode", "form_post").replace("openid", "x"), &app()).unwrap_err();
    failed = postcard::from_bytes(&postcard::to_stdvec(&failed).unwrap()).unwrap();
    let AuthorizationResponse::FormPost { action, fields } = failed.response(&issuer) else { panic!("form_post") };
    assert_eq!(action, CALLBACK);
    assert!(fields.contains(&("error", "invalid_scope".into())) && fields.contains(&("iss", issuer.to_string())));
}

#[test]
fn answers_are_added_to_the_query_that_a_redirect_uri_has() {
    for (registered, expected) in [
        ("https://app.example/cb", "https://app.example/cb?code=c"),
        ("https://app.example/cb?x=1", "https://app.example/cb?x=1&code=c"),
        ("https://app.example/cb?", "https://app.example/cb?code=c"),
        ("https://app.example", "https://app.example?code=c"),
    ] {
        let app = app_with(serde_json::json!({ "redirect_uris": [registered] }));
        let request = authorize(&with("redirect_uri", registered), &app).unwrap();
        let AuthorizationResponse::Redirect { location } = request.success(&Secret::new("c"), &issuer(contoso())) else {
            panic!("query")
        };
        assert!(location.starts_with(&format!("{expected}&state=")), "{location}");
        assert!(registered.parse::<RedirectUri>().is_ok());
    }
}

/// S-44: nothing of the request is reflected in an error but `state`, and every character is one that RFC 6749 allows.
#[test]
fn s_44_error_texts_have_only_allowed_characters() {
    let allowed = |text: &str| text.chars().all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
    for (name, _) in KNOWN.iter().filter(|(name, _)| !matches!(*name, "client_id" | "redirect_uri")) {
        let nasty = "\r\nX-Evil: \t\"\\\u{0}é";
        if let Err(error) = authorize(&with(name, nasty), &app()) {
            let fields = received(error.response(&issuer(contoso())));
            let description = field(&fields, "error_description").unwrap();
            assert!(allowed(description) && !description.contains("Evil"), "{name}: {description}");
        }
    }
    for code in Code::ALL {
        let error = authorize(&query(GOOD), &app()).unwrap().refuse(*code);
        assert!(allowed(&error.description()) && allowed(error.error().as_str()), "{code}");
    }
}
