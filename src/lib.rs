//! Vestibule lets an organisation share its apps with people from other organisations.
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
pub mod flows;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod i18n;
#[cfg(feature = "server")]
pub mod identity;
#[cfg(feature = "server")]
pub mod mail;
#[cfg(feature = "remote")]
pub mod outbound;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
