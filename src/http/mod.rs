//! HTTP: parsing in, rendering out, no rules.

pub mod assets;
pub mod front;
pub mod pages;
