//! Request bodies: JSON of bounded depth, every member once.

use serde_json::{Map, Value};

use super::error::Error;
use crate::oidc::json::unambiguous;

/// Reads a body. At most 32 deep, no member twice in an object, nothing after the value; its length is the caller's to bound.
///
/// # Errors
/// 400 `BadRequest`, with the line and column of what is wrong and nothing of the body's text.
pub fn parse_bounded(bytes: &[u8]) -> Result<Value, Error> {
    let refused = |why: serde_json::Error| Error::bad_request(format!("The body is not JSON that can be read here: {why}."));
    unambiguous(bytes).map_err(refused)?;
    serde_json::from_slice(bytes).map_err(refused)
}

/// The members of an object that is written with `json!({…})`; none of anything else.
#[must_use]
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_04_bodies_are_bounded_and_unambiguous() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(parse_bounded(br#"{"a":[1,{"b":null}]}"#).unwrap()["a"][1]["b"], Value::Null);
        assert!(parse_bounded(nested(32).as_bytes()).is_ok());
        for (bad, why) in [
            (nested(33), "nested too deeply"),
            ("{\"a\":".repeat(100_000), "nested too deeply"),
            (r#"{"password":1,"p\u0061ssword":2}"#.into(), "twice"),
            ("{} {}".into(), "trailing"),
            (String::new(), "EOF"),
            ("secret".into(), "column"),
        ] {
            let refusal = parse_bounded(bad.as_bytes()).unwrap_err();
            assert_eq!(refusal.status().as_u16(), 400);
            assert!(refusal.message().contains(why), "{refusal}");
            assert!(!refusal.message().contains("secret") && !refusal.message().contains("password"), "{refusal}");
        }
        assert!(parse_bounded(b"\"\xff\"").is_err(), "not UTF-8");
    }
}
