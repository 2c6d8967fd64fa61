//! Load facts, decide purely, commit once: what pages, programs and the command line share.

pub mod apply;
mod foundation;

pub use foundation::{Foundation, audited};
