//! One request of a batch.

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value};

use super::{
    super::{
        error::{Error, shown},
        json::parse_bounded,
    },
    refused,
};

/// The longest id.
const MAX_ID: usize = 128;
/// The longest URL, in bytes, as at the front.
const MAX_URL: usize = 8192;
/// The most headers of an item, as at the front.
const MAX_HEADERS: usize = 64;

/// Headers that an item may have of its own. Others say something of a connection, or nothing here, and are not carried on.
const CARRIED: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH];
/// The same, of OData and Graph.
const CARRIED_TOO: [&str; 4] = ["client-request-id", "consistencylevel", "prefer", "return-client-request-id"];

/// What an item sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON, of the same bounds as any body.
    Json(Value),
    /// Anything else, with its type in the headers.
    Bytes(Vec<u8>),
}

/// A request of a batch, checked for its form. Whether it may be made is another question, and asked for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// A path below the root of the API, still percent-encoded: it begins with `/`, has no empty, `.` or `..` segment and no
    /// encoded slash, and is not `/$batch`.
    pub path: String,
    /// The raw query, without `?`; empty when there is none.
    pub query: String,
    /// Of the item's headers those that mean something here. Who asks is said by the batch's own headers alone.
    pub headers: HeaderMap,
    /// What it sends.
    pub body: Body,
}

impl Item {
    /// Reads an item: its id, the ids of what it depends on, and the request.
    pub(super) fn read(request: Value) -> Result<(String, Vec<String>, Self), Error> {
        let Value::Object(mut members) = request else { return Err(refused("every request is an object")) };
        let id = match members.remove("id") {
            Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID && !id.chars().any(char::is_control) => id,
            _ => return Err(refused(&format!("every request has an 'id', a string of 1 to {MAX_ID} bytes"))),
        };
        let wrong = |what: &str| refused(&format!("request '{}': {what}", shown(&id)));
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let method = match text(members.remove("method")).map(|method| method.to_ascii_uppercase()).as_deref() {
            Some("GET") => Method::GET,
            Some("POST") => Method::POST,
            Some("PUT") => Method::PUT,
            Some("PATCH") => Method::PATCH,
            Some("DELETE") => Method::DELETE,
            _ => return Err(wrong("'method' is GET, POST, PUT, PATCH or DELETE")),
        };
        let url = text(members.remove("url")).ok_or_else(|| wrong("'url' is a string"))?;
        let (path, query) = target(&url).map_err(wrong)?;
        let headers = match members.remove("headers") {
            None | Some(Value::Null) => HeaderMap::new(),
            Some(Value::Object(fields)) => headers(fields).map_err(wrong)?,
            Some(_) => return Err(wrong("'headers' is an object")),
        };
        let body = body(members.remove("body"), &headers, &method).map_err(wrong)?;
        let depends_on = match members.remove("dependsOn") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(ids)) => {
                let ids: Option<Vec<String>> = ids.into_iter().map(|id| text(Some(id))).collect();
                ids.ok_or_else(|| wrong("'dependsOn' is an array of ids"))?
            }
            Some(_) => return Err(wrong("'dependsOn' is an array of ids")),
        };
        // `if` and `atomicityGroup` of OData would change what happens, so they are not passed over.
        if let Some(other) = members.keys().next() {
            return Err(wrong(&format!("'{}' is not known here", shown(other))));
        }
        Ok((id, depends_on, Self { method, path, query, headers, body }))
    }
}

/// Cuts a URL into path and query.
fn target(url: &str) -> Result<(String, String), &'static str> {
    if url.len() > MAX_URL {
        return Err("'url' is too long");
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte)) {
        return Err("'url' has characters that have to be percent-encoded, or a fragment");
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let segments = path.strip_prefix('/').ok_or("'url' is a path below the root of the API and begins with '/'")?;
    for segment in segments.split('/') {
        let decoded = percent_decoded(segment).ok_or("'url' has a '%' that is not followed by two hexadecimal digits")?;
        let misleading = decoded.iter().any(|byte| matches!(byte, b'/' | b'\\') || byte.is_ascii_control());
        if decoded.is_empty() || decoded == b"." || decoded == b".." || misleading {
            return Err("'url' has an empty segment, '.', '..', or an encoded separator");
        }
        if decoded.eq_ignore_ascii_case(b"$batch") {
            return Err("a batch has no batch in it");
        }
    }
    Ok((path.to_owned(), query.to_owned()))
}

/// Decodes a path's segment once. A `+` stays what it is.
fn percent_decoded(segment: &str) -> Option<Vec<u8>> {
    let hex = |digit: Option<u8>| char::from(digit?).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { (hex(bytes.next())? << 4) | hex(bytes.next())? } else { byte });
    }
    Some(decoded)
}

fn headers(fields: Map<String, Value>) -> Result<HeaderMap, &'static str> {
    if fields.len() > MAX_HEADERS {
        return Err("it has too many headers");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is malformed")?;
        // Who asks, and of whom, is settled for the whole batch; silence would let somebody believe otherwise.
        if matches!(name, header::AUTHORIZATION | header::COOKIE | header::HOST | header::PROXY_AUTHORIZATION) {
            return Err("a request in a batch has no authorization, cookie or host of its own");
        }
        let Value::String(value) = value else { return Err("the value of a header is a string") };
        let value = HeaderValue::from_str(&value).map_err(|_| "the value of a header is malformed")?;
        let carried = CARRIED.contains(&name) || CARRIED_TOO.contains(&name.as_str());
        if carried && headers.insert(name, value).is_some() {
            return Err("a header appears twice");
        }
    }
    Ok(headers)
}

fn body(body: Option<Value>, headers: &HeaderMap, method: &Method) -> Result<Body, &'static str> {
    let Some(body) = body.filter(|body| !body.is_null()) else { return Ok(Body::None) };
    if matches!(*method, Method::GET | Method::DELETE) {
        return Err("GET and DELETE have no body");
    }
    let essence =
        headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default());
    let is_json = essence.is_none_or(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"application/json"));
    match body {
        Value::String(text) => {
            const NOT_BASE64: &str = "a 'body' that is a string is base64 or base64url";
            let bytes = BASE64_STANDARD.decode(&text).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')));
            let bytes = bytes.map_err(|_| NOT_BASE64)?;
            match is_json {
                true => parse_bounded(&bytes).map(Body::Json).map_err(|_| "'body' is not JSON that can be read here"),
                false => Ok(Body::Bytes(bytes)),
            }
        }
        json if is_json => Ok(Body::Json(json)),
        _ => Err("a 'body' of another type than JSON is a string in base64"),
    }
}
