//! Named points at which a debug build can be made to die, so that tests can show what survives (checklist F-01 to F-04).
//!
//! `VESTIBULE_CRASH_AT=<point>` aborts the process when it gets there. Release builds have none of this.

/// All points, in the order in which a first sign-in comes by.
pub const POINTS: &[&str] = &[
    "passcode-received",
    "passcode-verified",
    "permissions-received",
    "terms-received",
    "redeem-read",
    "redeem-decided",
    "redeem-committed",
    "redeem-answered",
    "land-begun",
    "session-made",
    "code-made",
    "code-received",
    "code-checked",
    "tokens-made",
    "tokens-committed",
];

/// Dies here if it was asked to.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    debug_assert!(POINTS.contains(&name), "{name} is not in the list");
    #[expect(clippy::disallowed_methods, reason = "a switch for tests, absent from release builds")]
    let chosen = CHOSEN.get_or_init(|| std::env::var("VESTIBULE_CRASH_AT").ok());
    if chosen.as_deref() == Some(name) {
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &'static str) {}
