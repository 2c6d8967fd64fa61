//! Sign-ins through the router itself, over a store that counts what is asked of it.

mod accounts;
mod again;
mod allowance;
mod browser;
mod counted;
mod directory_pages;
mod errands;
mod invitations;
mod links;
#[cfg(feature = "passkeys")]
mod local_accounts;
mod round_trips;
mod seen;
mod told;
mod walk;
