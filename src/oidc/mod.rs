//! The OpenID Connect protocol, pure: bytes in, decisions and bytes out. No HTTP, no store, no clock of its own.
//!
//! | module | what it knows |
//! |---|---|
//! | [`discovery`] | the issuer of a tenant, its endpoints, its metadata document |
//! | [`params`] | reading a query or a form, strictly |
//! | [`authorize`] | the authorization request, from bytes to [`authorize::AuthorizeRequest`], and its answers |
//! | [`grant`] | the token request: client authentication, codes, refresh families |
//! | [`token`] | the claims of ID and access tokens, and where they are minted |
//! | [`keys`] | a tenant's signing keys: made, opened, published, rotated |
//! | [`jose`] | signing with a cached key, and verification that cannot be skipped |
//! | [`logout`] | sign-out asked for by an app |

pub mod authorize;
pub mod discovery;
#[cfg(test)]
mod fixture;
pub mod grant;
pub mod jose;
pub(crate) mod json;
pub mod keys;
pub mod logout;
pub mod params;
pub mod scope;
pub mod token;

pub use authorize::{AuthorizeRequest, BoundAuthorize, PageError, RawAuthorize, RedirectError, ResponseTarget};
pub use discovery::{Endpoints, Issuer};
pub use jose::{PublicKeys, TokenError, Verified};
pub use keys::{KeySet, TenantKey};
pub use scope::Scopes;
pub use token::{AccessClaims, Grantee, IdClaims};
