//! A sign-in that has begun: what the `state` parameter carries, and how it is bound to the browser.
//!
//! Many tabs may begin at once. Each attempt is whole in its own `state`, sealed; all share one cookie with a random value
//! that is part of what the state is sealed *for*. So a state opens only in the browser it was made for (checklist B-03), and
//! no tab overwrites another's. The nonce and the PKCE verifier follow from the cookie and the attempt and travel nowhere.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::return_to::ReturnTo;
use crate::{
    clock::Entropy,
    cookies::{HostCookie, Unwritable},
    domain::AppId,
    error::Code,
    seal::KeyRing,
    secret::Secret,
};

/// How long a sign-in may take: as long as somebody may need to read terms and wait for a mail.
const LIFE: SignedDuration = SignedDuration::from_hours(1);
/// How far instances of an app may differ in time.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Begins and finishes the sign-ins of one app.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    cookie: HostCookie,
    ring: Arc<KeyRing>,
    app: AppId,
}

/// A sign-in that begins.
pub(super) struct Begun {
    /// The `state`.
    pub(super) state: String,
    /// The `nonce`.
    pub(super) nonce: String,
    /// The `code_challenge`, S256.
    pub(super) challenge: String,
    /// The cookie that binds it to the browser.
    pub(super) set_cookie: HeaderValue,
}

/// A sign-in that comes back.
#[derive(Debug)]
pub(super) struct Returned {
    /// Where the person wanted to go.
    pub(super) return_to: ReturnTo,
    /// What the ID token has to say.
    pub(super) nonce: String,
    /// The `code_verifier`.
    pub(super) verifier: Secret,
}

#[derive(Serialize, Deserialize)]
struct State {
    id: [u8; 16],
    /// Seconds since the epoch.
    started: i64,
    return_to: ReturnTo,
}

/// The random value that all sign-ins of one browser share.
struct Binder([u8; 32]);

impl Attempts {
    pub(super) fn new(app: AppId, ring: Arc<KeyRing>) -> Result<Self, Unwritable> {
        Ok(Self { cookie: HostCookie::new(format!("__Host-vb-login-{app}"))?, ring, app })
    }

    /// Begins a sign-in that leads back to `return_to`, in the browser that sent `headers`.
    pub(super) fn begin(
        &self,
        headers: &HeaderMap,
        return_to: ReturnTo,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Begun, Unwritable> {
        let binder = self.binder(headers).unwrap_or_else(|| {
            let mut fresh = Binder([0; 32]);
            entropy.fill(&mut fresh.0);
            fresh
        });
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let state = State { id, started: now.as_second(), return_to };
        let set_cookie =
            self.cookie.set(&BASE64_URL_SAFE_NO_PAD.encode(binder.0), Some(Duration::try_from(LIFE).unwrap_or_default()))?;
        let verifier = self.verifier(&binder, &id);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.expose().as_bytes());
        Ok(Begun {
            state: self.ring.seal(&self.purpose(&binder), &state, entropy),
            nonce: self.nonce(&binder, &id),
            challenge: BASE64_URL_SAFE_NO_PAD.encode(digest),
            set_cookie,
        })
    }

    /// Finds the sign-in that a `state` belongs to.
    ///
    /// # Errors
    /// [`Code::JourneyLost`] when it was not begun in this browser, [`Code::JourneyExpired`] when that is too long ago.
    pub(super) fn resume(&self, headers: &HeaderMap, state: &str, now: Timestamp) -> Result<Returned, Code> {
        let binder = self.binder(headers).ok_or(Code::JourneyLost)?;
        let state: State = self.ring.open(&self.purpose(&binder), state).ok_or(Code::JourneyLost)?;
        let age = now.as_second().saturating_sub(state.started);
        if !(-SKEW.as_secs()..=LIFE.as_secs()).contains(&age) {
            return Err(Code::JourneyExpired);
        }
        let (nonce, verifier) = (self.nonce(&binder, &state.id), self.verifier(&binder, &state.id));
        Ok(Returned { return_to: state.return_to, nonce, verifier })
    }

    fn binder(&self, headers: &HeaderMap) -> Option<Binder> {
        let text = self.cookie.find(headers).one()?;
        BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Binder)
    }

    fn purpose(&self, binder: &Binder) -> Vec<u8> {
        [b"app-sign-in", &self.app.as_bytes()[..], &binder.0[..]].concat()
    }

    fn nonce(&self, binder: &Binder, id: &[u8; 16]) -> String {
        self.derived("app-sign-in nonce", binder, id)
    }

    fn verifier(&self, binder: &Binder, id: &[u8; 16]) -> Secret {
        Secret::new(self.derived("app-sign-in verifier", binder, id))
    }

    /// 256 bits that nobody without the key and the cookie can name, base64url, 43 characters.
    fn derived(&self, purpose: &str, binder: &Binder, id: &[u8; 16]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.ring.keyed_hash(purpose, &[&binder.0[..], id].concat()))
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use uuid::Uuid;

    use super::*;
    use crate::clock::SeededEntropy;

    fn attempts() -> Attempts {
        Attempts::new(AppId(Uuid::from_u128(2)), Arc::new(KeyRing::derived(b"secret", "app-session"))).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn browser(begun: &Begun) -> HeaderMap {
        let pair = begun.set_cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(pair).unwrap())])
    }

    fn place(text: &str) -> ReturnTo {
        ReturnTo::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn many_tabs_share_a_cookie_and_come_back_each_to_its_own_page() {
        let (attempts, entropy) = (attempts(), SeededEntropy::new(1));
        let first = attempts.begin(&HeaderMap::new(), place("/0"), at(1_000), &entropy).unwrap();
        let browser = browser(&first);
        let tabs: Vec<_> =
            (1..50).map(|tab| attempts.begin(&browser, place(&format!("/{tab}")), at(1_000), &entropy).unwrap()).collect();
        for (tab, begun) in std::iter::once(&first).chain(&tabs).enumerate().collect::<Vec<_>>().into_iter().rev() {
            assert_eq!(begun.set_cookie, first.set_cookie);
            let returned = attempts.resume(&browser, &begun.state, at(1_600)).unwrap();
            assert_eq!(returned.return_to, place(&format!("/{tab}")));
            assert_eq!(returned.nonce, begun.nonce);
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, returned.verifier.expose().as_bytes());
            assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(digest), begun.challenge);
        }
        assert_ne!(tabs[0].nonce, tabs[1].nonce);
    }

    /// B-03: a sign-in that somebody else began does not finish here.
    #[test]
    fn b_03_a_state_opens_in_its_own_browser_and_time_only() {
        let (attempts, entropy) = (attempts(), SeededEntropy::new(1));
        let mine = attempts.begin(&HeaderMap::new(), place("/"), at(1_000), &entropy).unwrap();
        let theirs = attempts.begin(&HeaderMap::new(), place("/"), at(1_000), &entropy).unwrap();
        let lost = |headers: &HeaderMap, state: &str, now| attempts.resume(headers, state, at(now)).unwrap_err();
        assert_eq!(lost(&browser(&mine), &theirs.state, 1_000), Code::JourneyLost);
        assert_eq!(lost(&HeaderMap::new(), &mine.state, 1_000), Code::JourneyLost);
        assert_eq!(lost(&browser(&mine), "", 1_000), Code::JourneyLost);
        assert_eq!(lost(&browser(&mine), &mine.state, 1_000 + 3_601), Code::JourneyExpired);
        assert_eq!(lost(&browser(&mine), &mine.state, 1_000 - 61), Code::JourneyExpired);
    }

    /// Decision 8: a `state` may be long, but servers take 4 KiB.
    #[test]
    fn the_longest_return_address_fits_into_a_state() {
        let longest = place(&format!("/{}", "a".repeat(super::super::return_to::MAX - 1)));
        let begun = attempts().begin(&HeaderMap::new(), longest, at(1_000), &SeededEntropy::new(1)).unwrap();
        assert!(begun.state.len() <= 4_000, "{}", begun.state.len());
    }
}
