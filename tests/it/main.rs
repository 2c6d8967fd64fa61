//! The program from outside: a browser, HTTP clients, an independent OpenID client, crashes.
//!
//! Every test starts the real binary or drives one that others share; see [`support`].

mod support;

mod authorize;
mod discovery;
mod forms;
mod harness;
mod main_path;
mod oidc_client;
mod passcode;
mod redirects;
mod tenancy;
mod token;
