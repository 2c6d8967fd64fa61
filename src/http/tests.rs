//! Sign-ins through the router itself, over a store that counts what is asked of it.

mod browser;
mod counted;
mod errands;
mod invitations;
mod links;
mod round_trips;
mod seen;
mod walk;
