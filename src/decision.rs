//! May this request pass? One pure function, asked by every door.
//!
//! A door finds out who asks ([`RequestFacts`]) and what they hold ([`Credential`]); [`decide`] weighs that against what is
//! known at this moment ([`Live`]) and answers with a [`Decision`]; the door dresses it up. The order of the checks is the
//! order in which they can be explained: no credential, wrong place, too old, no news, ended, blocked, terms.

use http::{HeaderMap, Method, header::ACCEPT};
use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{AppId, SessionId, TenantId, UserId},
    error::Code,
    live::{Live, SessionStanding},
};

/// What a credential says once it was opened or verified: whose it is, for what, and how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant that shares.
    pub tenant: TenantId,
    /// The app that the credential is for.
    pub app: AppId,
    /// The directory object of the guest (`oid`).
    pub user: UserId,
    /// The sign-in at the provider (`sid`).
    pub session: SessionId,
    /// When that sign-in began. Sessions that began before a user's cut-off are void.
    pub began: Timestamp,
    /// When the person proved who they are (`auth_time`).
    pub auth_time: Timestamp,
    /// From when on the credential is worth nothing. Never later than the end of the provider's session, since a session
    /// that ended early is only remembered until then.
    pub expires: Timestamp,
    /// The count of changes of terms up to which everything was settled (`vb_epoch`).
    pub terms_epoch: u64,
}

/// What a request brought along.
#[derive(Clone, Copy, Debug)]
pub enum Credential<G> {
    /// Nothing, or a cookie that is not ours or can no longer be opened.
    Absent,
    /// A token that does not verify. Told apart from none, as RFC 6750 section 3.1 wants.
    Invalid,
    /// One that opened or verified.
    Held(G),
}

/// What a door is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The tenant whose guests may pass.
    pub tenant: TenantId,
    /// The app behind the door.
    pub app: AppId,
    /// How long ago a person may have proven who they are; `None` leaves that to the session's own end.
    pub max_age: Option<SignedDuration>,
}

/// The answer to "may this request pass?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<G> {
    /// Yes, as this guest.
    Pass(G),
    /// Not before somebody signs in.
    SignIn(Code, Way),
    /// Not before something else is settled; the session itself is good.
    StepUp(Code, Way),
    /// No.
    Refuse(Code),
}

/// How one who has to sign in can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A person's navigation: lead them there and back to this very URL.
    Lead,
    /// A person who sent a form: nothing was carried out, and it cannot be sent again for them. Say so, with a link.
    Ask,
    /// A program: a status, a challenge and a problem document.
    Tell,
}

/// Who sends a request, as far as its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A browser's window or tab, with somebody in front of it.
    Person,
    /// A script, a command line, another service. Also a frame or an image inside a page: sign-in is never framed.
    Program,
}

/// What the decision knows of a request. Read off its head only when it is asked for: who passes is not asked.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
}

impl<'a> RequestFacts<'a> {
    /// The facts of a request with this head.
    #[must_use]
    pub fn of(method: &'a Method, headers: &'a HeaderMap) -> Self {
        Self { method, headers }
    }

    /// Who sends it.
    ///
    /// A browser says what it is doing in `Sec-Fetch-Mode` and `Sec-Fetch-Dest` (Fetch Metadata), which scripts cannot set;
    /// where it says nothing, somebody who `Accept`s HTML before anything else, asks with GET or HEAD and does not call
    /// itself an XMLHttpRequest is taken for a person. Nothing here lets anybody in; it only chooses the form of a refusal.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let text = |name: &str| self.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        match (text("sec-fetch-mode"), text("sec-fetch-dest")) {
            (None, None) => {
                let safe = matches!(*self.method, Method::GET | Method::HEAD);
                let scripted = self.headers.contains_key("x-requested-with") || self.headers.contains_key("upgrade");
                if safe && !scripted && prefers_html(self.headers) { Caller::Person } else { Caller::Program }
            }
            (None | Some("navigate"), None | Some("document")) => Caller::Person,
            _ => Caller::Program,
        }
    }

    /// How its sender can be told to sign in.
    #[must_use]
    pub fn way(&self) -> Way {
        match (self.caller(), self.method) {
            (Caller::Program, _) => Way::Tell,
            (Caller::Person, &Method::GET | &Method::HEAD) => Way::Lead,
            (Caller::Person, _) => Way::Ask,
        }
    }
}

/// Whether `Accept` names HTML and likes it better than everything that programs ask for (RFC 9110 section 12.5.1).
fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut other) = (0, 0);
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))).map_or(1000, thousandths);
        if kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml") {
            html = html.max(weight);
        } else if !kind.contains('*') && !kind.starts_with("image/") {
            other = other.max(weight);
        }
    }
    html > other
}

/// A `q` value in thousandths; what is no number counts as nothing.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0').min(9)));
    match whole {
        "1" => 1000,
        "0" => fraction,
        _ => 0,
    }
}

/// Decides whether a request may pass.
///
/// Only what is held for exactly this tenant and app, has not expired, and is neither ended nor blocked nor behind on terms,
/// as known from news that are fresh, passes.
pub fn decide<G: AsRef<Grant>>(
    request: &RequestFacts<'_>,
    credential: Credential<G>,
    live: &(impl Live + ?Sized),
    policy: &Policy,
    now: Timestamp,
) -> Decision<G> {
    let held = match credential {
        Credential::Held(held) => held,
        Credential::Absent => return Decision::SignIn(Code::LoginRequired, request.way()),
        Credential::Invalid => return Decision::SignIn(Code::TokenInvalid, request.way()),
    };
    let grant = held.as_ref();
    if grant.tenant != policy.tenant || grant.app != policy.app {
        return Decision::SignIn(Code::TokenInvalid, request.way());
    }
    let too_old = policy.max_age.is_some_and(|max_age| now.duration_since(grant.auth_time) > max_age);
    if grant.expires <= now || too_old {
        return Decision::SignIn(Code::LoginRequired, request.way());
    }
    if !live.fresh(now) {
        return Decision::Refuse(Code::LiveStale);
    }
    match live.session(grant.tenant, grant.user, grant.session, grant.began) {
        SessionStanding::Valid => {}
        SessionStanding::Ended => return Decision::SignIn(Code::LoginRequired, request.way()),
        SessionStanding::Blocked => return Decision::Refuse(Code::AccountBlocked),
    }
    if live.terms_epoch(grant.tenant, grant.app) > grant.terms_epoch {
        return Decision::StepUp(Code::TermsOwed, request.way());
    }
    Decision::Pass(held)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::live::{LiveEvent, LiveState};

    impl AsRef<Self> for Grant {
        fn as_ref(&self) -> &Self {
            self
        }
    }

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));
    const APP: AppId = AppId(Uuid::from_u128(2));
    const POLICY: Policy = Policy { tenant: TENANT, app: APP, max_age: None };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn grant() -> Grant {
        Grant {
            tenant: TENANT,
            app: APP,
            user: UserId(Uuid::from_u128(3)),
            session: SessionId(Uuid::from_u128(4)),
            began: at(100),
            auth_time: at(100),
            expires: at(1_000),
            terms_epoch: 5,
        }
    }

    fn fresh(now: Timestamp) -> LiveState {
        let live = LiveState::new(LiveState::MAX_SILENCE);
        live.heard(now);
        live
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_request_tells_whether_a_person_or_a_program_sends_it() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        type Case<'a> = (&'a Method, &'a [(&'static str, &'static str)], Way);
        let cases: &[Case<'_>] = &[
            (&Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], Way::Lead),
            (&Method::POST, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], Way::Ask),
            (&Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("accept", BROWSER)], Way::Tell),
            (&Method::GET, &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("accept", BROWSER)], Way::Tell),
            (&Method::GET, &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), ("accept", BROWSER)], Way::Tell),
            (&Method::GET, &[("sec-fetch-mode", "websocket")], Way::Tell),
            (&Method::GET, &[("accept", BROWSER)], Way::Lead),
            (&Method::HEAD, &[("accept", BROWSER)], Way::Lead),
            (&Method::POST, &[("accept", BROWSER)], Way::Tell),
            (&Method::GET, &[("accept", BROWSER), ("x-requested-with", "XMLHttpRequest")], Way::Tell),
            (&Method::GET, &[("accept", BROWSER), ("upgrade", "websocket")], Way::Tell),
            (&Method::GET, &[("accept", "*/*")], Way::Tell),
            (&Method::GET, &[], Way::Tell),
            (&Method::GET, &[("accept", "text/event-stream")], Way::Tell),
            (&Method::GET, &[("accept", "application/json, text/html;q=0.9")], Way::Tell),
            (&Method::GET, &[("accept", "application/json, text/html")], Way::Tell),
            (&Method::GET, &[("accept", "application/json;q=0.5, text/html;q=0.51")], Way::Lead),
            (&Method::GET, &[("accept", "text/html;q=0")], Way::Tell),
            (&Method::GET, &[("accept", "text/html;q=x")], Way::Tell),
        ];
        for (method, pairs, way) in cases {
            assert_eq!(RequestFacts::of(method, &headers(pairs)).way(), *way, "{method} {pairs:?}");
        }
    }

    #[test]
    fn each_reason_has_its_answer() {
        let now = at(500);
        let live = fresh(now);
        let user = grant().user;
        let person = headers(&[("sec-fetch-mode", "navigate")]);
        let facts = RequestFacts::of(&Method::GET, &person);
        let ask = |credential, live: &LiveState, policy: &Policy| decide(&facts, credential, live, policy, now);
        assert_eq!(ask(Credential::Held(grant()), &live, &POLICY), Decision::Pass(grant()));
        assert_eq!(ask(Credential::Absent, &live, &POLICY), Decision::SignIn(Code::LoginRequired, Way::Lead));
        assert_eq!(ask(Credential::Invalid, &live, &POLICY), Decision::SignIn(Code::TokenInvalid, Way::Lead));
        let expired = Credential::Held(Grant { expires: now, ..grant() });
        assert_eq!(ask(expired, &live, &POLICY), Decision::SignIn(Code::LoginRequired, Way::Lead));
        let strict = Policy { max_age: Some(SignedDuration::from_secs(399)), ..POLICY };
        assert_eq!(ask(Credential::Held(grant()), &live, &strict), Decision::SignIn(Code::LoginRequired, Way::Lead));
        let elsewhere = Policy { app: AppId(Uuid::from_u128(9)), ..POLICY };
        assert_eq!(ask(Credential::Held(grant()), &live, &elsewhere), Decision::SignIn(Code::TokenInvalid, Way::Lead));

        let stale = LiveState::new(LiveState::MAX_SILENCE);
        assert_eq!(ask(Credential::Held(grant()), &stale, &POLICY), Decision::Refuse(Code::LiveStale));

        let event = LiveEvent::TermsEpoch { everywhere: 6, apps: Default::default() };
        live.apply(TENANT, &event);
        assert_eq!(ask(Credential::Held(grant()), &live, &POLICY), Decision::StepUp(Code::TermsOwed, Way::Lead));
        let cutoff = |blocked| LiveEvent::UserCutoff { user, sessions_valid_from: at(101), blocked, forget: None };
        live.apply(TENANT, &cutoff(true));
        assert_eq!(ask(Credential::Held(grant()), &live, &POLICY), Decision::Refuse(Code::AccountBlocked));
        live.apply(TENANT, &cutoff(false));
        assert_eq!(ask(Credential::Held(grant()), &live, &POLICY), Decision::SignIn(Code::LoginRequired, Way::Lead));
    }

    /// Answers as told.
    #[derive(Clone, Copy, Debug)]
    struct Told {
        standing: SessionStanding,
        epoch: u64,
        fresh: bool,
    }

    impl Live for Told {
        fn session(&self, _: TenantId, _: UserId, _: SessionId, _: Timestamp) -> SessionStanding {
            self.standing
        }

        fn terms_epoch(&self, _: TenantId, _: AppId) -> u64 {
            self.epoch
        }

        fn fresh(&self, _: Timestamp) -> bool {
            self.fresh
        }
    }

    proptest! {
        /// G-14, F-27, L-18: nothing reaches `Pass` when anything is known against it.
        #[test]
        fn g_14_only_what_nothing_speaks_against_passes(
            tenant in 0u128..3, app in 1u128..4, expires in -2i64..3, held_epoch in 0u64..4, age in 0i64..6,
            max_age in proptest::option::of(0i64..6), epoch in 0u64..4, fresh: bool, held in 0u8..3, person: bool,
            standing in prop::sample::select(&[SessionStanding::Valid, SessionStanding::Ended, SessionStanding::Blocked][..]),
        ) {
            let now = at(1_000);
            let grant = Grant {
                tenant: TenantId(Uuid::from_u128(tenant)),
                app: AppId(Uuid::from_u128(app)),
                auth_time: at(1_000 - age),
                expires: at(1_000 + expires),
                terms_epoch: held_epoch,
                ..grant()
            };
            let credential = [Credential::Absent, Credential::Invalid, Credential::Held(grant)][usize::from(held)];
            let policy = Policy { max_age: max_age.map(SignedDuration::from_secs), ..POLICY };
            let headers = headers(&[("sec-fetch-mode", if person { "navigate" } else { "cors" })]);
            let facts = RequestFacts::of(&Method::GET, &headers);
            let passes = matches!(decide(&facts, credential, &Told { standing, epoch, fresh }, &policy, now), Decision::Pass(_));
            let good = held == 2 && grant.tenant == TENANT && grant.app == APP && expires > 0
                && max_age.is_none_or(|max| age <= max) && fresh && standing == SessionStanding::Valid && epoch <= held_epoch;
            prop_assert_eq!(passes, good);
        }
    }
}
