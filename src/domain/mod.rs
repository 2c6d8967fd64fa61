//! What the business means: tenants, guests, apps, terms, journeys. Pure: no HTTP, no tokens, no storage, no clock.

pub mod app;
pub mod audit;
pub mod federation;
mod ids;
pub mod invitation;
pub mod journey;
pub mod link;
mod names;
pub mod permission;
mod plain;
pub mod redemption;
pub mod tenant;
pub mod terms;
pub mod user;
pub mod verification;

pub use ids::{AgreementId, AppId, FederationId, InvitationId, MailId, SessionId, TenantId, UserId};
pub use names::{Domain, DomainError, EmailAddress, EmailError, LanguageTag, VerifiedEmail, WebUrl};
pub use plain::{is_plain, is_plain_char, is_unseen, turns_direction};
