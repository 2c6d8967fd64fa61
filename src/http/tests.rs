//! Sign-ins through the router itself, over a store that counts what is asked of it.

mod browser;
mod counted;
mod round_trips;
mod seen;
mod walk;
