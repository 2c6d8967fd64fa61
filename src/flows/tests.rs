//! Flows driven through the provider's own router, over a store that counts what is asked of it.

mod browser;
mod counted;
mod round_trips;
mod seen;
mod walk;
