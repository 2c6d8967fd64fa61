//! The app's own session: a sealed cookie that says who somebody is, opened without asking anybody.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    guest::{Guest, Profile},
    remembered::Remembered,
};
use crate::{
    clock::Entropy,
    cookies::{Found, HostCookie, Unwritable},
    decision::Grant,
    domain::{AppId, SessionId, TenantId, UserId, user::UserType},
    seal::KeyRing,
};

/// The form of the sealed value. A value of another form does not open.
const VERSION: u8 = 1;

/// Seals and opens the session cookie of one app, `__Host-vb-app-<client id>`.
#[derive(Clone, Debug)]
pub(super) struct SessionCookie {
    cookie: HostCookie,
    ring: Arc<KeyRing>,
    purpose: Vec<u8>,
    app: AppId,
    remembered: Arc<Remembered<()>>,
}

/// What is sealed. Times in milliseconds since the epoch; the app is part of the purpose.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    version: u8,
    tenant: TenantId,
    user: UserId,
    session: SessionId,
    began: i64,
    auth_time: i64,
    expires: i64,
    terms_epoch: u64,
    email_verified: bool,
    member: bool,
    subject_end: u16,
    name_end: u16,
    text: &'a str,
}

impl SessionCookie {
    pub(super) fn new(app: AppId, ring: Arc<KeyRing>) -> Result<Self, Unwritable> {
        let cookie = HostCookie::new(format!("__Host-vb-app-{app}"))?;
        Ok(Self { cookie, ring, purpose: [b"app-session", &app.as_bytes()[..]].concat(), app, remembered: Arc::default() })
    }

    /// The guest whose session the request carries. A cookie is opened once, and then remembered.
    pub(super) fn open(&self, headers: &HeaderMap, now: Timestamp) -> Option<Guest> {
        let text = self.cookie.find(headers).one()?;
        self.remembered.find(text, |()| true).or_else(|| {
            let guest = self.unseal(text)?;
            self.remembered.insert(text, guest.clone(), (), now);
            Some(guest)
        })
    }

    fn unseal(&self, text: &[u8]) -> Option<Guest> {
        let mut sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = self.ring.open_in_place(&self.purpose, &mut sealed)?;
        let (sealed, rest): (Sealed<'_>, _) = postcard::take_from_bytes(plain).ok()?;
        if sealed.version == VERSION && rest.is_empty() { self.guest(&sealed) } else { None }
    }

    fn guest(&self, sealed: &Sealed<'_>) -> Option<Guest> {
        let time = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
        let grant = Grant {
            tenant: sealed.tenant,
            app: self.app,
            user: sealed.user,
            session: sealed.session,
            began: time(sealed.began)?,
            auth_time: time(sealed.auth_time)?,
            expires: time(sealed.expires)?,
            terms_epoch: sealed.terms_epoch,
        };
        let profile = Profile {
            text: sealed.text.into(),
            subject_end: sealed.subject_end,
            name_end: sealed.name_end,
            email_verified: sealed.email_verified,
            user_type: if sealed.member { UserType::Member } else { UserType::Guest },
        };
        profile.is_sound().then(|| Guest::new(grant, profile))
    }

    /// The `Set-Cookie` that begins the session of a guest.
    pub(super) fn begin(&self, guest: &Guest, now: Timestamp, entropy: &dyn Entropy) -> Result<HeaderValue, Unwritable> {
        let (grant, profile): (&Grant, _) = (guest.as_ref(), guest.profile());
        let sealed = Sealed {
            version: VERSION,
            tenant: grant.tenant,
            user: grant.user,
            session: grant.session,
            began: grant.began.as_millisecond(),
            auth_time: grant.auth_time.as_millisecond(),
            expires: grant.expires.as_millisecond(),
            terms_epoch: grant.terms_epoch,
            email_verified: profile.email_verified,
            member: profile.user_type == UserType::Member,
            subject_end: profile.subject_end,
            name_end: profile.name_end,
            text: &profile.text,
        };
        let life = Duration::try_from(grant.expires.duration_since(now)).unwrap_or_default();
        self.cookie.set(&self.ring.seal(&self.purpose, &sealed, entropy), Some(life))
    }

    /// The `Set-Cookie` that ends it in this browser.
    pub(super) fn end(&self) -> HeaderValue {
        self.cookie.clear()
    }

    /// Whether somebody planted a second cookie of this name, which is worth clearing.
    pub(super) fn is_repeated(&self, headers: &HeaderMap) -> bool {
        self.cookie.find(headers) == Found::Repeated
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use uuid::Uuid;

    use super::*;
    use crate::clock::SeededEntropy;

    const APP: AppId = AppId(Uuid::from_u128(2));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn guest(name: &str) -> Guest {
        let grant = Grant {
            tenant: TenantId(Uuid::from_u128(1)),
            app: APP,
            user: UserId(Uuid::from_u128(3)),
            session: SessionId(Uuid::from_u128(4)),
            began: at(100),
            auth_time: at(90),
            expires: at(1_000),
            terms_epoch: 7,
        };
        Guest::new(grant, Profile::new("sub", name, "ann@fabrikam.example", true, UserType::Guest).unwrap())
    }

    fn cookie(app: AppId, secret: &[u8]) -> SessionCookie {
        SessionCookie::new(app, Arc::new(KeyRing::derived(secret, "app-session"))).unwrap()
    }

    fn headers(pair: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(pair).unwrap())])
    }

    #[test]
    fn what_was_sealed_comes_back() {
        for name in ["Ann", "", &"Ö".repeat(256)] {
            let set = cookie(APP, b"k").begin(&guest(name), at(200), &SeededEntropy::new(1)).unwrap();
            let set = set.to_str().unwrap();
            assert!(set.contains("; Max-Age=800; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
            let opened = cookie(APP, b"k").open(&headers(set.split(';').next().unwrap()), at(200)).unwrap();
            assert_eq!(opened, guest(name));
            assert_eq!((opened.subject(), opened.email()), ("sub", Some("ann@fabrikam.example")));
            assert_eq!(opened.name(), Some(name).filter(|name| !name.is_empty()));
            assert!(!format!("{opened:?}").contains("ann"));
        }
    }

    /// H-10, S-54: nothing but the very cookie, under the very key, for the very app, opens.
    #[test]
    fn h_10_a_changed_cookie_is_no_cookie() {
        let set = cookie(APP, b"k").begin(&guest("Ann"), at(200), &SeededEntropy::new(1)).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let ours = cookie(APP, b"k");
        assert!(ours.open(&headers(pair), at(200)).is_some(), "and remembered");
        let opens = |cookie: &SessionCookie, pair: &str| cookie.open(&headers(pair), at(200)).is_some();
        assert!(!opens(&cookie(APP, b"other"), pair));
        let other = AppId(Uuid::from_u128(9));
        assert!(!opens(&cookie(other, b"k"), &format!("__Host-vb-app-{other}={value}")));
        assert!(!opens(&ours, &format!("{pair}; {pair}")));
        assert!(ours.is_repeated(&headers(&format!("{pair}; {name}="))));
        for index in 0..value.len() {
            let mut forged = value.to_owned().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let forged = format!("{name}={}", String::from_utf8(forged).unwrap());
            assert!(!opens(&ours, &forged) && !opens(&cookie(APP, b"k"), &forged), "{index}");
        }
        for value in ["", "A", "%", &"A".repeat(3_000), &value[1..], &format!("{value}="), &format!("\"{value}\"")] {
            assert!(!opens(&ours, &format!("{name}={value}")), "{value}");
        }
    }
}
