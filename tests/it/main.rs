//! The program from outside: a browser, HTTP clients, an independent OpenID client, crashes.
//!
//! Every test starts the real binary or drives one that others share; see [`support`].

mod support;

mod harness;
