//! How somebody proves who they are. Each module turns one kind of proof into a type that cannot be had without it:
//!
//! * [`upstream`]: the guest's home organisation, an OpenID provider, vouches for a
//!   [`VerifiedIdentity`](crate::domain::user::VerifiedIdentity);
//! * [`passcode`]: a code that was mailed to an address comes back and makes it a
//!   [`VerifiedEmail`](crate::domain::VerifiedEmail);
//! * [`account`]: the password of an account that lives here;
//! * [`passkey`]: its passkey.
//!
//! What a proven identity opens is not decided here but in [`domain::redemption`](crate::domain::redemption).

pub mod account;
mod attempts;
pub mod passcode;
pub mod passkey;
pub mod upstream;

pub(crate) use attempts::{Allowance, Attempts, Counter, LimiterClock, Purpose};
