//! What there is of passkeys without the feature `passkeys`: nothing.

use jiff::Timestamp;
use url::Url;

use super::{Owner, PasskeyRecord};
use crate::error::Code;

/// There is none.
#[derive(Clone)]
pub(super) enum RelyingParty {}

/// There is none.
pub(super) enum Assertion {}

/// There is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {}

impl Refused {
    pub(super) fn code(&self) -> Code {
        match *self {}
    }
}

impl Assertion {
    pub(super) fn handle(&self) -> &[u8] {
        match *self {}
    }

    pub(super) fn id(&self) -> &[u8] {
        match *self {}
    }
}

impl RelyingParty {
    pub(super) fn new(_: &Url) -> Option<Self> {
        None
    }

    pub(super) fn creation_options(&self, _: &Owner<'_>, _: &[u8; 16], _: &[&PasskeyRecord], _: &[u8; 32]) -> Option<String> {
        match *self {}
    }

    pub(super) fn created(&self, _: &[u8; 32], _: &str, _: Timestamp) -> Result<PasskeyRecord, Refused> {
        match *self {}
    }

    pub(super) fn assertion_options(&self, _: &[u8; 32]) -> Option<String> {
        match *self {}
    }

    pub(super) fn assertion(&self, _: &str) -> Option<Assertion> {
        match *self {}
    }

    pub(super) fn verified(
        &self,
        _: &[u8; 32],
        _: &Assertion,
        _: &PasskeyRecord,
        _: Timestamp,
    ) -> Result<PasskeyRecord, Refused> {
        match *self {}
    }
}
