//! The program from outside: sockets, a browser, HTTP clients, an independent OpenID client, crashes.
//!
//! One target, one module a subject. Most tests start the real binary or drive one that others share; see [`support`].

#![expect(clippy::print_stdout, reason = "some tests say how long things took")]

mod support;

mod accounts;
mod agreement;
mod authorize;
mod checklist;
mod crash;
mod discovery;
mod documents;
mod domains;
mod embedded;
mod examples;
mod faults;
mod foreign_provider;
mod forms;
mod front;
mod grants;
mod graph;
mod harness;
mod hosts;
mod house;
mod mail;
mod main_path;
mod nodes;
mod oidc_client;
mod operator;
mod passcode;
mod redemption;
mod redirects;
mod refusals;
mod scanners;
mod tenancy;
mod token;
mod upstream;
