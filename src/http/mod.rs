//! HTTP: parsing in, rendering out, no rules.

pub mod assets;
pub mod browser;
pub mod documents;
mod door;
pub mod errands;
pub mod federation;
mod form;
pub mod front;
pub mod graph;
pub mod invitations;
pub mod journey;
pub mod links;
pub mod live;
pub mod oidc;
pub mod pages;
mod router;
pub mod urls;
pub mod visit;

pub use door::Door;
pub use router::{refuse_at_the_front, router};

#[cfg(test)]
mod tests;
