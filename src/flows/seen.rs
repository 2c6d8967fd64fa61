//! What was seen of a person, as it travels with their journey.
//!
//! A journey asks for one thing after the other, and each page and form would otherwise read the same records again. So
//! what was read is sealed into the journey, and good for *asking*: which question comes next. It is not good for deciding:
//! what is written was read by who writes it and is checked by the commit; a refusal is read anew before it is shown; and
//! who is let in was looked at no longer ago than doors believe what they heard ([`LiveState::MAX_SILENCE`]), which is the
//! redirect after their own commit. Trading the code reads everything again in any case.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Vestibule, journey::Journey, loaded::Loaded, session::Session};
use crate::{
    domain::{TenantId, invitation::Invitation, journey::Step, terms::Acceptance, user::User},
    live::{Live, LiveState, SessionStanding},
    store::records::Assignment,
};

/// What was seen of a person, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    at: Timestamp,
    #[serde(with = "as_stored")]
    user: User,
    acceptances: Vec<Acceptance>,
    assignment: Option<Assignment>,
    #[serde(with = "as_stored")]
    invitation: Option<Invitation>,
}

impl Seen {
    /// What was read at `at` or later, if it was somebody's who is not kept out.
    #[must_use]
    pub fn of(loaded: &Loaded, at: Timestamp) -> Option<Self> {
        let Loaded { acceptances, assignment, invitation, .. } = loaded.clone();
        loaded.user.clone().filter(|_| !loaded.barred).map(|user| Self { at, user, acceptances, assignment, invitation })
    }

    /// Who it was.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The same as facts, if it is about the person of `journey`: what they proved, or the `session` that vouches for them.
    /// Nothing while the live feed is silent, or when it has told that they are blocked or signed out.
    pub(super) fn recall(
        &self,
        vestibule: &Vestibule,
        tenant: TenantId,
        journey: &Journey,
        session: Option<&Session>,
    ) -> Option<Loaded> {
        let (id, began, session) = match (&journey.proof, session) {
            (Some(proof), _) => (proof.session, proof.at, None),
            (None, Some(session)) if session.user == self.user.id => (session.id, session.began, Some(session)),
            _ => return None,
        };
        let (live, now) = (&vestibule.live, vestibule.foundation.now());
        let heard = live.fresh(now) && live.session(tenant, self.user.id, id, began) == SessionStanding::Valid;
        let Self { user, acceptances, assignment, invitation, .. } = self.clone();
        heard.then(|| Loaded::of_user(user, acceptances, assignment, session.cloned()).by(invitation))
    }

    /// Whether it is good enough to take this step at `now`.
    pub(super) fn is_enough_for(&self, step: &Step<'_>, now: Timestamp) -> bool {
        match step {
            Step::ProveMailbox(_) | Step::ReviewPermissions | Step::Terms(_) | Step::Redeem => true,
            Step::Land => (SignedDuration::ZERO..=LiveState::MAX_SILENCE).contains(&now.duration_since(self.at)),
            Step::Identify | Step::Authenticate(_) | Step::SetUpAccount | Step::Refuse(_) | Step::Confirm(_) => false,
        }
    }
}

/// What is sealed is in a form that does not say what follows, which the stored form of a record needs.
mod as_stored {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned, ser};

    pub(super) fn serialize<T: Serialize, S: Serializer>(record: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(record).map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
