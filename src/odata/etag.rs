//! Entity tags (RFC 9110, sections 8.8.3 and 13.1.1) and `If-Match` (checklist A-07).

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header::IF_MATCH};

use super::error::{Error, ErrorCode};

/// How many tags one request may name.
const MOST: usize = 16;

/// The tag of an entity as it is now: weak, since an answer depends on `$select`, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// The tag of a version, whose bytes change with every write.
    #[must_use]
    pub fn of_version(version: &[u8]) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(version))
    }
}

impl fmt::Display for ETag {
    /// As in the header `ETag` and the annotation `@odata.etag`: `W/"…"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{}\"", self.0)
    }
}

/// What `If-Match` demands of the entity that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: that there is one.
    Any,
    /// That it has one of these tags; without quotes and `W/`.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Reads the header; `None` when the request has none.
    ///
    /// # Errors
    /// 400 when it is malformed or names more than 16 tags.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let malformed = || Error::bad_request("The header If-Match is '*' or a list of at most 16 entity tags in double quotes.");
        let mut tags: Vec<String> = Vec::new();
        let mut any = false;
        for field in headers.get_all(IF_MATCH) {
            let mut rest = field.to_str().map_err(|_| malformed())?.trim_matches([' ', '\t']);
            if rest == "*" {
                any = true;
                continue;
            }
            // One tag after another: a tag may have commas.
            loop {
                let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"').ok_or_else(malformed)?;
                let (tag, after) = quoted.split_once('"').ok_or_else(malformed)?;
                if !tag.bytes().all(|byte| byte.is_ascii_graphic()) || tags.len() == MOST {
                    return Err(malformed());
                }
                tags.push(tag.to_owned());
                rest = after.trim_start_matches([' ', '\t']);
                if rest.is_empty() {
                    break;
                }
                rest = rest.strip_prefix(',').ok_or_else(malformed)?.trim_start_matches([' ', '\t']);
            }
        }
        match (any, tags.is_empty()) {
            (true, true) => Ok(Some(Self::Any)),
            (true, false) => Err(malformed()),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(Self::Tags(tags))),
        }
    }

    /// Compares with the entity as it is, `None` when there is none. Tags are compared weakly: RFC 9110 wants strong ones, OData
    /// services have none for what is made from a record on each request, and ours change with every write.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`.
    pub fn check(&self, current: Option<&ETag>) -> Result<(), Error> {
        let holds = match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Tags(tags), Some(ETag(current))) => tags.contains(current),
        };
        if holds {
            Ok(())
        } else {
            Err(Error::new(
                ErrorCode::PreconditionFailed,
                "The resource has been changed since it was read. Read it again, then repeat the change.",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Result<Option<IfMatch>, Error> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(IF_MATCH, http::HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        IfMatch::from_headers(&headers)
    }

    #[test]
    fn a_07_a_stale_tag_is_412() {
        let (now, before) = (ETag::of_version(&8u64.to_be_bytes()), ETag::of_version(&7u64.to_be_bytes()));
        assert_eq!(now.to_string(), "W/\"AAAAAAAAAAg\"");
        let demand = |text: &str| read(&[text]).unwrap().unwrap();
        assert_eq!(demand(&now.to_string()).check(Some(&now)), Ok(()));
        assert_eq!(demand("\"AAAAAAAAAAg\"").check(Some(&now)), Ok(()), "weak comparison");
        assert_eq!(demand(&format!("{before},\t{now}")).check(Some(&now)), Ok(()));
        assert_eq!(demand("*").check(Some(&now)), Ok(()));
        for stale in [demand(&before.to_string()), demand("\"\""), demand("W/\"aaaaaaaaaag\"")] {
            assert_eq!(stale.check(Some(&now)).unwrap_err().status().as_u16(), 412);
        }
        assert_eq!(demand("*").check(None).unwrap_err().status().as_u16(), 412);
        assert_eq!(demand(&now.to_string()).check(None).unwrap_err().status().as_u16(), 412);
    }

    #[test]
    fn a_07_if_match_is_read_strictly() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[" * "]), Ok(Some(IfMatch::Any)));
        assert_eq!(read(&["\"a,b\" , W/\"c\"", "\"\""]), Ok(Some(IfMatch::Tags(vec!["a,b".into(), "c".into(), String::new()]))));
        let many = vec!["\"a\""; 17].join(",");
        for bad in [
            "",
            "a",
            "\"a",
            "\"a\" \"b\"",
            "\"a\",",
            ",\"a\"",
            "w/\"a\"",
            "W/ \"a\"",
            "W/a",
            "*,\"a\"",
            "\"a b\"",
            "\"ä\"",
            &many,
        ] {
            assert_eq!(read(&[bad]).unwrap_err().status().as_u16(), 400, "{bad}");
        }
        assert_eq!(read(&["*", "\"a\""]).unwrap_err().status().as_u16(), 400);
    }
}
