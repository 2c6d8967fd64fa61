//! Vestibule lets an organisation share its apps with people from other organisations.
//!
//! It is the room a guest passes through before entering. It works out *which organisation* is sharing (from `tenantid` or
//! a verified domain in the link; a link that names none is refused), *who* the guest is (by their home organisation, a
//! one-time passcode, or an account that lives here), *what they still have to agree to* (the review of permissions, terms
//! of use), and only then lets a request, a session or a token through. The model is invitation redemption in Azure AD B2B,
//! for anyone's apps.
//!
//! # Two doors, one decision
//!
//! | door | for whom | where |
//! |---|---|---|
//! | the tower layer | Rust app developers | [`layer::GuestLayer`] around any `tower::Service`, embedded or remote |
//! | the OpenID provider | any OpenID Connect client | [`http`], per tenant: `https://HOST/<tenant id>/v2.0` |
//!
//! Whether a request may pass is decided by one pure function, [`decision::decide`]; what a sign-in still owes by another,
//! [`domain::journey::next`]. Doors only feed them and dress up their answers.
//!
//! Beside the doors there is the directory: guests are invited, looked after and let go through a REST API in the shape of
//! Microsoft Graph ([`http::graph`], `https://HOST/v1.0`), and through the command line, which is a client of the same API.
//!
//! ```no_run
//! # #[cfg(all(feature = "remote", feature = "axum"))]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, routing::get};
//! use vestibule::{layer::{Guest, GuestLayer, RemoteConfig}, secret::Secret};
//!
//! let guests = GuestLayer::remote(RemoteConfig::new(
//!     "https://guests.contoso.example/9f0c41d8-3f1e-4c5e-9d0b-1f3d7a6f2b10/v2.0".parse()?,
//!     "b28adc58-bcdf-4457-b821-cfa1d29e11e3".parse()?,
//!     Secret::new("the client secret"),
//!     "https://expenses.contoso.example".parse()?,
//! ))?;
//! let app: Router = Router::new()
//!     .route("/", get(|guest: Guest| async move { format!("Hello, {}", guest.name().unwrap_or("guest")) }))
//!     .layer(guests);
//! # Ok(())
//! # }
//! ```
//!
//! # A map of the house
//!
//! Dependencies point one way, from the bottom of this list to its top. *Pure* modules know nothing of HTTP servers and
//! clients, storage, or the time of day; a test reads their imports.
//!
//! | module | what it owns |
//! |---|---|
//! | [`clock`], [`secret`], [`seal`], [`cookies`], [`error`] | pure: time and randomness as arguments, secrets that do not show, sealing, our own cookie parser, every refusal with its code |
//! | [`domain`] | pure: tenants, users, apps, terms; which tenant a link names; redemption; the journey |
//! | [`oidc`] | pure: the protocol, keys, tokens, grants |
//! | [`odata`] | pure: the protocol of the directory API: filters, queries, page tokens, envelopes, batches |
//! | [`live`], [`decision`] | what doors must know at once; and, pure, whether a request may pass |
//! | [`layer`] | the tower layer, in both forms |
//! | [`outbound`] | the one way out: an HTTP client that cannot be turned against its own network |
//! | [`dns`] | TXT records, asked of name servers |
//! | [`store`] | records over a key-value backend of four methods; the embedded file, Redis; the contract they all keep; copies, backups |
//! | [`identity`] | how somebody proves who they are: home organisation, passcode, passkey, password |
//! | [`mail`] | what is mailed, how it waits in the store, how it leaves |
//! | [`flows`] | load facts, decide purely, commit once; shared by pages, programs and the command line |
//! | [`http`], [`i18n`] | parsing in, rendering out; the front with its strict gate; pages in several languages; the directory API |
//! | [`config`], [`server`], [`cli`] | the configuration, the composition root, the command line |
//!
//! # How a sign-in goes
//!
//! 1. A link or an authorization request names a tenant ([`domain::link`]) and begins a [`flows::journey::Journey`], which
//!    travels sealed in the browser. The store knows nothing of it: an anonymous visitor writes nothing.
//! 2. Each page takes down one fact and comes back to one dispatcher (`http::journey`), which loads the facts and asks
//!    [`domain::journey::next`] for the step that is owed. What was read for one page travels on with the journey, good for
//!    asking the next question ([`flows::Seen`]).
//! 3. When everything is agreed, [`flows::redeem`] makes it true in one commit: the identity bound, the answers recorded,
//!    the audit entries written.
//! 4. [`domain::journey::settle`] gives the proof, [`domain::journey::Settled`], without which no code and no token is made
//!    ([`flows::tokens`]). The session is sealed in the browser; a code is sealed, too, and only trading it writes.
//! 5. A block, a sign-out or new terms are a commit like any other. The store's feed tells [`live::LiveState`], which every
//!    door asks on every request; doors elsewhere follow the same feed over HTTP, and shut when they hear nothing.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `server` (default) | the provider, its pages, the command line; brings `remote`, `axum`, `embedded` and `smtp` |
//! | `embedded` (default) | the store in one file |
//! | `redis` (default) | the store in Redis, for several nodes; brings `server` |
//! | `smtp` (default) | mail by SMTP beside mail to files |
//! | `passkeys` (default) | passkeys of accounts that live here, beside passwords; brings `server` |
//! | `remote` | the layer as relying party of a server elsewhere |
//! | `axum` | [`layer::Guest`] as an extractor |
//!
//! Without default features there remain the layer, its decision, and the verification of tokens, with few dependencies.
#![cfg_attr(docsrs, feature(doc_auto_cfg))]

pub mod clock;
pub mod cookies;
#[doc(hidden)]
pub mod crash;
pub mod decision;
pub mod domain;
pub mod error;
pub mod layer;
pub mod live;
pub mod oidc;
pub mod seal;
pub mod secret;

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod dns;
#[cfg(feature = "server")]
pub mod flows;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod i18n;
#[cfg(feature = "server")]
pub mod identity;
#[cfg(feature = "server")]
pub mod mail;
#[cfg(feature = "server")]
pub mod odata;
#[cfg(feature = "remote")]
pub mod outbound;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
