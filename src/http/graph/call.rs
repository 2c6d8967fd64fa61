//! A request to a route, as its handler sees it.

use std::sync::Arc;

use axum::body::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    super::{urls::routes::DIRECTORY_API_ROOT, visit::Visit},
    Api, Caller, Route,
    limits::Reading,
};
use crate::{
    domain::audit::Actor,
    error::Code,
    flows::{Foundation, Vestibule, guests::Administration, reading::Reader},
    odata::{ETag, Envelope, Error, ErrorCode, IfMatch, Pages, Query, json::parse_bounded},
    store::Version,
};

/// A request, before anybody looked at what it wants.
pub(super) struct Asked {
    pub(super) method: Method,
    /// Below the root of the API, still percent-encoded.
    pub(super) path: String,
    /// Raw, without `?`.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Sent,
}

/// What a request sends.
pub(super) enum Sent {
    /// Bytes over the wire; none are no body.
    Bytes(Bytes),
    /// JSON that was read with the batch that it came in.
    Json(Value),
}

impl Asked {
    /// A request as it came over the wire, with its whole body.
    pub(super) fn of(visit: &Visit, body: Bytes) -> Self {
        let path = visit.path().strip_prefix(DIRECTORY_API_ROOT).unwrap_or_default().to_owned();
        let query = visit.query().unwrap_or_default().to_owned();
        Self { method: visit.method.clone(), path, query, headers: visit.headers.clone(), body: Sent::Bytes(body) }
    }

    /// The body that a route takes: a JSON object. Its type has to say so, which no form of another site can (checklist A-05).
    pub(super) fn json(&self, route: &Route) -> Result<Option<Map<String, Value>>, Error> {
        let value = match &self.body {
            Sent::Bytes(bytes) if bytes.is_empty() => None,
            _ if route.takes.is_none() && route.method != Method::POST => return Err(no_body()),
            Sent::Json(value) => Some(value.clone()),
            Sent::Bytes(bytes) => {
                self.is_json()?;
                Some(parse_bounded(bytes)?)
            }
        };
        match (value, route.takes) {
            (None, _) => Ok(None),
            (Some(Value::Object(members)), None) if members.is_empty() => Ok(None),
            (Some(_), None) => Err(no_body()),
            (Some(Value::Object(members)), Some(_)) => Ok(Some(members)),
            (Some(_), Some(_)) => Err(Error::bad_request("The body is a JSON object.")),
        }
    }

    /// Whether the body says that it is JSON.
    ///
    /// # Errors
    /// 415.
    pub(super) fn is_json(&self) -> Result<(), Error> {
        let media = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") {
            Ok(())
        } else {
            Err(Error::new(ErrorCode::UnsupportedMediaType, "The body has to be application/json."))
        }
    }
}

fn no_body() -> Error {
    Error::bad_request("This request takes no body.")
}

/// A request of a caller who may make it.
pub(super) struct Call {
    pub(super) api: Arc<Api>,
    pub(super) caller: Arc<Caller>,
    pub(super) parameters: Vec<String>,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Map<String, Value>>,
}

impl Call {
    pub(super) fn vestibule(&self) -> &Vestibule {
        &self.api.vestibule
    }

    pub(super) fn foundation(&self) -> &Foundation {
        &self.vestibule().foundation
    }

    /// The directory of the caller's tenant, to be read.
    pub(super) fn directory(&self) -> Reader<'_> {
        Reader::new(&self.foundation().store, self.caller.tenant())
    }

    /// What answers about `collection` are wrapped in.
    pub(super) fn envelope<'a>(&'a self, collection: &'a str) -> Envelope<'a> {
        Envelope { service: &self.api.service, collection }
    }

    /// The pages of what is asked for; links lead to the collection of `envelope`.
    pub(super) fn pages<'a>(&'a self, envelope: Envelope<'a>, query: &'a Query) -> Pages<'a> {
        Pages { ring: &self.foundation().ring, tenant: self.caller.tenant(), envelope, query }
    }

    /// Leave for a long reading.
    ///
    /// # Errors
    /// 429.
    pub(super) fn reading(&self) -> Result<Reading, Error> {
        self.api.limits.reading(&self.caller)
    }

    /// A parameter of the path, by its place.
    pub(super) fn parameter(&self, at: usize) -> &str {
        self.parameters.get(at).map_or("", String::as_str)
    }

    /// The same as an id; what is none is as unknown as one that was never given (checklist T-02).
    pub(super) fn id(&self, at: usize) -> Result<Uuid, Error> {
        Some(self.parameter(at)).filter(|text| text.len() == 36).and_then(|text| text.parse().ok()).ok_or_else(Error::not_found)
    }

    /// The members of the body, and an empty object where there is none.
    pub(super) fn members(&self) -> Map<String, Value> {
        self.body.clone().unwrap_or_default()
    }

    /// Whether `If-Match` allows to change what has this version now, which is then the one to change.
    ///
    /// # Errors
    /// 412.
    pub(super) fn unchanged(&self, version: Version) -> Result<Option<Version>, Error> {
        let Some(demand) = IfMatch::from_headers(&self.headers)? else { return Ok(None) };
        demand.check(Some(&etag(version)))?;
        Ok(Some(version))
    }

    /// Does something in the directory as the caller.
    pub(super) async fn administer<T>(&self, act: impl AsyncFnOnce(Administration<'_>) -> Result<T, Code>) -> Result<T, Error> {
        let (vestibule, actor): (&Vestibule, Actor) = (self.vestibule(), self.caller.actor());
        let Vestibule { foundation, sender, .. } = vestibule;
        let administration = Administration { foundation, sender, view: &self.caller.view, actor: &actor };
        act(administration).await.map_err(Error::from).map_err(not_found_alike)
    }
}

/// What is not there is told in the same words, whoever found out.
fn not_found_alike(error: Error) -> Error {
    if error.ours() == Some(Code::ObjectUnknown) { Error::not_found() } else { error }
}

/// The tag of a version.
pub(super) fn etag(version: Version) -> ETag {
    ETag::of_version(&version.0.to_be_bytes())
}
