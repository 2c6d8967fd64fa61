//! A request to the directory API, wherever it will be sent.

use anyhow::Context;
use http::Method;
use serde_json::{Value, json};

/// The root of the directory API.
pub(super) const ROOT: &str = "/v1.0";

/// A request to the directory API.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli::guest) struct Request {
    pub(super) method: Method,
    /// Below the root: an encoded path, and the query.
    pub(super) target: String,
    pub(super) body: Option<Value>,
}

impl Request {
    fn new(method: Method, path: &[&str]) -> Self {
        let mut target = String::new();
        for segment in path {
            target.push('/');
            encode(segment, &mut target);
        }
        Self { method, target, body: None }
    }

    /// `GET`, on the resource with these path segments.
    pub(in crate::cli::guest) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`.
    pub(in crate::cli::guest) fn post(path: &[&str]) -> Self {
        Self::new(Method::POST, path)
    }

    /// `PATCH`.
    pub(in crate::cli::guest) fn patch(path: &[&str]) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// `DELETE`.
    pub(in crate::cli::guest) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// With a query option.
    pub(in crate::cli::guest) fn query(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        encode(value, &mut self.target);
        self
    }

    /// With a body.
    pub(in crate::cli::guest) fn json(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The next page: what is below the root in a link of the server's. Host and scheme are those we talk to already.
    pub(super) fn next(link: &str) -> anyhow::Result<Self> {
        let below = link.split_once("://").and_then(|(_, rest)| rest.split_once(ROOT)).map(|(_, below)| below);
        let target =
            below.filter(|below| below.starts_with('/')).context("the server's link to the next page cannot be followed")?;
        Ok(Self { method: Method::GET, target: target.to_owned(), body: None })
    }

    /// The same as an item of a batch.
    pub(super) fn as_item(&self, id: usize) -> Value {
        let mut item = json!({ "id": id.to_string(), "method": self.method.as_str(), "url": self.target });
        if let Some(body) = &self.body {
            item["headers"] = json!({ "Content-Type": "application/json" });
            item["body"] = body.clone();
        }
        item
    }
}

/// A text as a literal of a filter: a quote in it is written twice (OData 4.01 part 2, section 5.1.1.14.1).
pub(in crate::cli::guest) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3), and `$` and `(),=':` that are plainer to read in
/// logs as they are and mean nothing in a segment or value.
fn encode(text: &str, to: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => to.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b'$' | b'(' | b')' | b',' | b'\'' | b':' | b'@' => to.push(byte.into()),
            // Writing to a string does not fail.
            _ => drop(write!(to, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_path_or_a_value_stays_there() {
        let request = Request::get(&["users", "a_b.example#EXT#@c.example/../x"]).query("$filter", "mail eq 'a+b&c=d@e.example'");
        let expected = "/users/a_b.example%23EXT%23@c.example%2F..%2Fx?$filter=mail%20eq%20'a%2Bb%26c%3Dd@e.example'";
        assert_eq!(request.target, expected);
        assert_eq!(literal("o'neill@a.example"), "'o''neill@a.example'");
    }

    #[test]
    fn a_next_link_leads_to_the_server_that_is_asked() {
        let next = Request::next("https://elsewhere.example/v1.0/users?$top=5&$skiptoken=x").unwrap();
        assert_eq!((next.method, next.target.as_str()), (Method::GET, "/users?$top=5&$skiptoken=x"));
        for wrong in ["/users?$skiptoken=x", "https://a.example/users", "https://a.example/v1.0", "https://a.example/v1.0x"] {
            assert!(Request::next(wrong).is_err(), "{wrong}");
        }
    }
}
