use serde_json::Value;

use super::*;
use crate::oidc::fixture::*;

fn minted(scopes: &str) -> (Value, Value) {
    let tokens = mint(grantee(scopes), &app(), keys(), &ring(), now(), &entropy()).unwrap();
    (read(&tokens.access_token), tokens.id_token.map(|token| read(&token)).unwrap_or_default())
}

fn read(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn s_01_without_openid_there_is_no_id_token() {
    assert_eq!(minted("profile email").1, Value::Null);
}

#[test]
fn s_15_subjects_are_pairwise_and_short() {
    let ids = |n: u8| format!("00000000-0000-4000-8000-0000000000{n:02x}");
    let subject =
        |tenant, app, user| subject(&ring(), ids(tenant).parse().unwrap(), ids(app).parse().unwrap(), ids(user).parse().unwrap());
    let mut all: Vec<_> =
        [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (2, 1, 3), (3, 2, 1)].map(|(t, a, u)| subject(t, a, u)).into();
    assert_eq!(all[0], subject(1, 2, 3), "the same for ever");
    assert!(all.iter().all(|sub| sub.is_ascii() && sub.len() == 43));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6);
    assert_ne!(
        super::subject(&crate::seal::KeyRing::derived(b"x", "y"), contoso(), APP.parse().unwrap(), sign_in().user),
        minted("openid").1["sub"]
    );
}

/// S-16: the schema of every ID token.
#[test]
fn s_16_an_id_token_has_what_the_standard_demands() {
    let tokens = mint(grantee("openid profile email"), &app(), keys(), &ring(), now(), &entropy()).unwrap();
    let id = read(tokens.id_token.as_deref().unwrap());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, tokens.access_token.as_bytes());
    assert_eq!(id["at_hash"], BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
    assert_eq!(id["iss"], issuer(contoso()).as_str());
    assert_eq!((&id["aud"], id.get("azp")), (&Value::from(APP), None));
    assert_eq!((id["iat"].as_i64(), id["exp"].as_i64()), (Some(now().as_second()), Some(now().as_second() + 300)));
    assert_eq!(id["auth_time"].as_i64(), Some(now().as_second() - 60), "when the person authenticated, not now");
    assert_eq!(id["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(
        (&id["tid"], &id["acct"], &id["ver"], &id["vb_epoch"]),
        (&contoso().to_string().into(), &1.into(), &"2.0".into(), &7.into())
    );
    assert_eq!((&id["email"], &id["email_verified"]), (&"mara@fabrikam.example".into(), &true.into()));
    assert_eq!((&id["name"], &id["roles"][0], &id["acr"]), (&"Mara Example".into(), &"Approver".into(), &ACR_VALUES[1].into()));
    let response = serde_json::to_value(&tokens).unwrap();
    assert_eq!(
        (&response["token_type"], &response["expires_in"], &response["scope"]),
        (&"Bearer".into(), &600.into(), &"openid profile email".into())
    );
    assert_eq!(format!("{tokens:?}"), "TokenResponse { scope: \"openid profile email\", .. }");
}

#[test]
fn s_17_only_a_proven_address_is_verified() {
    let claimed = Grantee { email: Some(KnownEmail::Claimed("mara@fabrikam.example".into())), ..grantee("openid email") };
    let tokens = mint(claimed, &app(), keys(), &ring(), now(), &entropy()).unwrap();
    let id = read(&tokens.id_token.unwrap());
    assert_eq!((&id["email"], &id["email_verified"]), (&"mara@fabrikam.example".into(), &false.into()));
    let without = Grantee { email: None, ..grantee("openid email") };
    let id = read(&mint(without, &app(), keys(), &ring(), now(), &entropy()).unwrap().id_token.unwrap());
    assert_eq!((id.get("email"), id.get("email_verified")), (None, None));
}

#[test]
fn s_18_userinfo_says_what_the_scopes_allow() {
    let zero = SignedDuration::ZERO;
    for (scopes, expected) in [
        ("openid", serde_json::json!({})),
        ("openid profile", serde_json::json!({ "name": "Mara Example", "preferred_username": "mara@fabrikam.example" })),
        ("openid email", serde_json::json!({ "email": "mara@fabrikam.example", "email_verified": true })),
    ] {
        let tokens = mint(grantee(scopes), &app(), keys(), &ring(), now(), &entropy()).unwrap();
        let verified = verify_access(keys().public(), &tokens.access_token, Resource::UserInfo, now(), zero).unwrap();
        let mut info = serde_json::to_value(UserInfo::of(&verified)).unwrap();
        assert_eq!(info["sub"], read(&tokens.id_token.unwrap())["sub"]);
        info.as_object_mut().unwrap().remove("sub");
        assert_eq!(info, expected, "{scopes}");
    }
    let plain = mint(grantee("profile"), &app(), keys(), &ring(), now(), &entropy()).unwrap().access_token;
    assert_eq!(verify_access(keys().public(), &plain, Resource::UserInfo, now(), zero).err(), Some(TokenError::Audience));
    let for_itself = mint_app(&client(&app()), keys(), now(), &entropy()).unwrap().access_token;
    assert!(verify_access(keys().public(), &for_itself, Resource::UserInfo, now(), zero).is_err());
}

/// S-38: RFC 9068 section 2.2.
#[test]
fn s_38_an_access_token_has_what_the_standard_demands() {
    let (access, id) = minted("openid offline_access");
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(access.get(claim).is_some(), "{claim}");
    }
    assert_eq!(access["aud"], format!("api://{APP}"));
    assert_eq!(
        (&access["sub"], &access["scp"], &access["client_id"]),
        (&id["sub"], &"openid offline_access".into(), &APP.into())
    );
    assert_eq!(access["exp"].as_i64(), Some(now().as_second() + 600));
    assert_eq!((access.get("name"), access.get("email"), access.get("nonce")), (None, None, None));
    let header = BASE64_URL_SAFE_NO_PAD.decode(
        mint(grantee("openid"), &app(), keys(), &ring(), now(), &entropy()).unwrap().access_token.split('.').next().unwrap(),
    );
    assert_eq!(serde_json::from_slice::<Value>(&header.unwrap()).unwrap()["typ"], "at+jwt");
    let ids: Vec<_> = {
        let entropy = entropy();
        (0..2).map(|_| token_id(&entropy)).collect()
    };
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn tokens_are_for_the_grantees_app_and_for_algorithms_that_have_keys() {
    let other = app_with(serde_json::json!({ "id": "00000000-0000-4000-8000-0000000000a2" }));
    assert_eq!(mint(grantee("openid"), &other, keys(), &ring(), now(), &entropy()).err(), Some(Code::Internal));
    assert_eq!(
        mint(grantee("openid"), &app(), keys(), &ring(), after(-1), &entropy()).err(),
        Some(Code::Internal),
        "no key is active yet"
    );
}

#[test]
fn only_an_app_that_proved_itself_gets_a_token_of_its_own() {
    let tokens = mint_app(&client(&app()), keys(), now(), &entropy()).unwrap();
    let claims = read(&tokens.access_token);
    assert_eq!(tokens.scope, "https://vestibule.example/.default");
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["idtyp"]),
        (&APP.into(), &"https://vestibule.example".into(), &"app".into())
    );
    assert_eq!((claims.get("oid"), &claims["roles"][0]), (None, &"User.Invite.All".into()));
    assert_eq!(mint_app(&client(&public_app()), keys(), now(), &entropy()).err(), Some(Code::ClientNotAllowed));
}
