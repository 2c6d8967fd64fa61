use super::*;
use crate::oidc::fixture::*;

const HOUR: i64 = 3600;

fn key(alg: SigningAlg, active_from: i64, published_until: Option<i64>) -> TenantKey {
    let made = TenantKey::generate(contoso(), alg, &ring(), &entropy(), now(), after(active_from)).unwrap();
    TenantKey { published_until: published_until.map(after), ..made }
}

fn open(records: &[TenantKey]) -> Result<KeySet, KeyError> {
    KeySet::open(issuer(contoso()), records.to_vec(), &ring())
}

#[test]
fn t_12_a_key_opens_for_its_tenant_and_ring_only() {
    let record = key(SigningAlg::ES256, 0, None);
    let sealed = KeyError::Sealed(record.kid().to_owned());
    assert!(open(std::slice::from_ref(&record)).is_ok());
    let elsewhere = KeySet::open(issuer(fabrikam()), vec![record.clone()], &ring());
    assert_eq!(elsewhere.err(), Some(sealed.clone()));
    let other_ring = KeyRing::derived(b"another", "oidc");
    assert_eq!(KeySet::open(issuer(contoso()), vec![record.clone()], &other_ring).err(), Some(sealed));
    let renamed = Jwk { kid: "x".into(), ..record.public.clone() };
    assert!(open(&[TenantKey { public: renamed, ..record.clone() }]).is_err());
    let other_half = Jwk { material: key(SigningAlg::ES256, 0, None).public.material, ..record.public.clone() };
    assert_eq!(
        open(&[TenantKey { public: other_half, ..record.clone() }]).err(),
        Some(KeyError::Mismatch(record.kid().to_owned()))
    );
    assert!(open(&[record.clone(), record]).is_err(), "a kid names one key");
}

#[test]
fn a_record_survives_its_stored_form_and_shows_no_private_key() {
    let record = key(SigningAlg::RS256, 0, None);
    let text = serde_json::to_string(&record).unwrap();
    let read: TenantKey = serde_json::from_str(&text).unwrap();
    assert_eq!(read, record);
    assert_eq!(record.kid(), record.public.material.thumbprint());
    let set = open(&[read]).unwrap();
    assert_eq!(
        format!("{:?}", set.signer(SigningAlg::RS256, now()).unwrap()),
        format!("SigningKey {{ alg: RS256, kid: {:?}, .. }}", record.kid())
    );
}

#[test]
fn the_jwks_has_distinct_keys_and_no_private_member() {
    let document = serde_json::to_value(keys().jwks(now())).unwrap();
    let published = document["keys"].as_array().unwrap();
    assert_eq!(published.len(), 2);
    assert_ne!(published[0]["kid"], published[1]["kid"]);
    for key in published {
        let mut members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        let expected: &[_] = if key["kty"] == "RSA" {
            &["alg", "e", "kid", "kty", "n", "use"]
        } else {
            &["alg", "crv", "kid", "kty", "use", "x", "y"]
        };
        assert_eq!(members, expected);
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.clone()).unwrap();
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), key["kid"].as_str().unwrap());
    }
}

/// S-20, pure: published before use, the newest active key signs, old ones verify until they are withdrawn.
#[test]
fn s_20_a_key_is_published_before_it_signs_and_kept_after() {
    let old = key(SigningAlg::ES256, 0, None);
    let plan = rotate(std::slice::from_ref(&old), SigningAlg::ES256, now(), PUBLISH_AHEAD, SignedDuration::from_mins(10));
    assert_eq!(plan.active_from, after(24 * HOUR));
    assert_eq!(plan.retired, [(old.kid().to_owned(), after(48 * HOUR + 600))]);
    let new = key(SigningAlg::ES256, 24 * HOUR, None);
    let set = open(&[TenantKey { published_until: Some(plan.retired[0].1), ..old.clone() }, new.clone()]).unwrap();
    let state = |at: i64| {
        let published: Vec<_> = set.jwks(after(at)).keys.iter().map(|key| key.jwk.kid.clone()).collect();
        let signer = set.signer(SigningAlg::ES256, after(at)).map(|key| key.kid().to_owned());
        (signer, published.contains(&old.kid().to_owned()), published.contains(&new.kid().to_owned()))
    };
    assert_eq!(state(0), (Some(old.kid().into()), true, true));
    assert_eq!(state(24 * HOUR - 1), (Some(old.kid().into()), true, true));
    assert_eq!(state(24 * HOUR), (Some(new.kid().into()), true, true));
    assert_eq!(state(48 * HOUR + 600), (Some(new.kid().into()), false, true));
    assert!(set.verifying_key(old.kid(), after(48 * HOUR)).is_some() && set.verifying_key(old.kid(), after(49 * HOUR)).is_none());
    assert!(JWKS_MAX_AGE < PUBLISH_AHEAD);
    assert!(set.signer(SigningAlg::RS256, now()).is_none());
}

#[test]
fn the_first_key_signs_at_once_and_an_earlier_retirement_stays() {
    let first = rotate(&[], SigningAlg::RS256, now(), PUBLISH_AHEAD, SignedDuration::ZERO);
    assert_eq!(first, Rotation { active_from: now(), retired: vec![] });
    let retiring = key(SigningAlg::ES256, 0, Some(HOUR));
    let gone = key(SigningAlg::ES256, 0, Some(-HOUR));
    let plan = rotate(&[retiring.clone(), gone], SigningAlg::ES256, now(), SignedDuration::ZERO, SignedDuration::ZERO);
    assert_eq!(plan, Rotation { active_from: now(), retired: vec![(retiring.kid().to_owned(), after(HOUR))] });
}
