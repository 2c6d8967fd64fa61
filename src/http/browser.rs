//! What we keep in a browser: one sealed session a tenant, and the journeys that are open.
//!
//! At most four journeys and 8 KiB of them in all; the oldest goes first. A journey that does not fit one cookie is cut
//! into pieces, since an app may send a `state` of 4 KiB. Names carry the tenant or the journey: the cookies of a host are
//! shared by all its ports and tenants.

use std::time::Duration;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};

use crate::{
    cookies::{Found, HostCookie, with_prefix},
    domain::TenantId,
    error::Code,
    flows::{
        Vestibule,
        journey::{Journey, JourneyId},
        session::Session,
    },
};

/// The characters of a journey in one cookie: name and attributes have to fit into 4,096 bytes beside them.
const PIECE: usize = 3_800;
/// A journey has at most this many pieces.
const PIECES: usize = 3;
/// All journeys of a browser together, in bytes.
const ALL: usize = 8 << 10;
/// Open journeys of a browser.
const OPEN: usize = 4;
/// How long the browser keeps a journey's cookies.
const LIFE: Duration = Duration::from_secs(30 * 60);

const JOURNEY_PREFIX: &str = "__Host-vb-j-";

fn session_cookie(tenant: TenantId) -> HostCookie {
    cookie(format!("__Host-vb-s-{}", tenant.0.simple()))
}

fn journey_cookie(id: JourneyId, piece: usize) -> HostCookie {
    cookie(if piece == 0 { format!("{JOURNEY_PREFIX}{id}") } else { format!("{JOURNEY_PREFIX}{id}.{piece}") })
}

fn cookie(name: String) -> HostCookie {
    HostCookie::new(name).expect("ids are token characters")
}

/// The session with `tenant` that a request carries, if it is alive.
#[must_use]
pub fn session(headers: &HeaderMap, tenant: TenantId, vestibule: &Vestibule) -> Option<Session> {
    let value = session_cookie(tenant).find(headers).one()?;
    Session::open(value, tenant, &*vestibule.live, &vestibule.foundation)
}

/// The journey that a request's path names.
///
/// # Errors
/// [`Code::JourneyLost`] when this browser does not carry it, [`Code::JourneyExpired`] when it took too long.
pub fn journey(headers: &HeaderMap, tenant: TenantId, id: JourneyId, vestibule: &Vestibule) -> Result<Journey, Code> {
    let sealed = sealed(headers, id).ok_or(Code::JourneyLost)?;
    let journey = Journey::open(&sealed, &vestibule.foundation).ok_or(Code::JourneyLost)?;
    if journey.id != id || journey.tenant != tenant {
        return Err(Code::JourneyLost);
    }
    if journey.is_over(vestibule.foundation.now()) { Err(Code::JourneyExpired) } else { Ok(journey) }
}

/// Cookies to be set by a response.
#[derive(Debug, Default)]
pub struct Cookies(Vec<HeaderValue>);

impl Cookies {
    /// Puts them on a response.
    #[must_use]
    pub fn onto(self, mut response: Response) -> Response {
        for cookie in self.0 {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }

    /// Keeps a session.
    pub fn keep_session(&mut self, session: &Session, vestibule: &Vestibule) {
        let left = Duration::from_secs(session.seconds_left(vestibule.foundation.now()));
        let value = session.seal(&vestibule.foundation);
        self.0.extend(session_cookie(session.tenant).set(&value, Some(left)));
    }

    /// Drops the session with a tenant.
    pub fn drop_session(&mut self, tenant: TenantId) {
        self.0.push(session_cookie(tenant).clear());
    }

    /// Keeps a journey, and drops the oldest of the others that no longer fit beside it.
    ///
    /// # Errors
    /// [`Code::RequestTooLarge`] when it cannot be carried even alone.
    pub fn keep_journey(&mut self, journey: &Journey, headers: &HeaderMap, vestibule: &Vestibule) -> Result<(), Code> {
        let mut sealed = journey.seal(&vestibule.foundation);
        if sealed.len() > PIECE && journey.seen.is_some() {
            // What can be read again takes no room from what cannot, and from other journeys.
            sealed = journey.without_seen().seal(&vestibule.foundation);
        }
        if sealed.len() > ALL {
            return Err(Code::RequestTooLarge);
        }
        let pieces: Vec<_> = sealed.as_bytes().chunks(PIECE).collect();
        for (index, piece) in pieces.iter().enumerate() {
            // Sealed values are base64url, so every cut leaves text.
            let piece = std::str::from_utf8(piece).unwrap_or_default();
            let set = journey_cookie(journey.id, index).set(piece, Some(LIFE));
            self.0.push(set.map_err(|_| Code::RequestTooLarge)?);
        }
        for index in pieces.len()..PIECES {
            let cookie = journey_cookie(journey.id, index);
            if cookie.find(headers) != Found::None {
                self.0.push(cookie.clear());
            }
        }
        self.make_room(journey.id, sealed.len(), headers, vestibule);
        Ok(())
    }

    /// Drops a journey.
    pub fn drop_journey(&mut self, id: JourneyId, headers: &HeaderMap) {
        for index in 0..PIECES {
            let cookie = journey_cookie(id, index);
            if index == 0 || cookie.find(headers) != Found::None {
                self.0.push(cookie.clear());
            }
        }
    }

    fn make_room(&mut self, kept: JourneyId, size: usize, headers: &HeaderMap, vestibule: &Vestibule) {
        let mut others = others(kept, headers, vestibule);
        others.sort_by_key(|(started, ..)| std::cmp::Reverse(*started));
        let mut room = ALL - size;
        let mut open = 1;
        for (started, name, length) in others {
            if started.is_some() && open < OPEN && length <= room {
                room -= length;
                open += 1;
            } else if let Ok(id) = name.parse() {
                self.drop_journey(id, headers);
            } else if let Ok(cookie) = HostCookie::new(format!("{JOURNEY_PREFIX}{name}")) {
                self.0.push(cookie.clear());
            }
        }
    }
}

/// The journeys of a browser that are open with `tenant`.
#[must_use]
pub fn journeys(headers: &HeaderMap, tenant: TenantId, vestibule: &Vestibule) -> Vec<Journey> {
    let ids = names(headers).into_iter().filter_map(|name| name.parse().ok());
    ids.filter_map(|id| journey(headers, tenant, id, vestibule).ok()).collect()
}

/// The names of all journey cookies, without their pieces.
fn names(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = with_prefix(headers, JOURNEY_PREFIX.as_bytes())
        .filter_map(|(name, _)| std::str::from_utf8(&name[JOURNEY_PREFIX.len()..]).ok())
        .map(|name| name.split('.').next().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The other journeys of a browser: when they started (`None`: over, or not ours), their names and their lengths.
fn others(kept: JourneyId, headers: &HeaderMap, vestibule: &Vestibule) -> Vec<(Option<jiff::Timestamp>, String, usize)> {
    let (kept, now) = (kept.to_string(), vestibule.foundation.now());
    names(headers)
        .into_iter()
        .filter(|name| *name != kept)
        .map(|name| {
            let sealed = name.parse().ok().and_then(|id| sealed(headers, id)).unwrap_or_default();
            let journey = Journey::open(&sealed, &vestibule.foundation).filter(|journey| !journey.is_over(now));
            (journey.map(|journey| journey.started), name, sealed.len())
        })
        .collect()
}

/// The sealed text of a journey, put together from its pieces; `None` when a piece is missing or there twice.
fn sealed(headers: &HeaderMap, id: JourneyId) -> Option<String> {
    let mut sealed = String::new();
    for piece in 0..PIECES {
        match journey_cookie(id, piece).find(headers) {
            Found::One(value) => sealed.push_str(std::str::from_utf8(value).ok()?),
            Found::None if piece > 0 => break,
            Found::None | Found::Repeated => return None,
        }
    }
    Some(sealed)
}
