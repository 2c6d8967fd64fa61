//! JSON from outside: every member once, bounded depth, nothing after the value.

use std::{collections::HashSet, fmt};

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep values from outside may be nested.
const MAX_DEPTH: u8 = 32;

/// Reads a value after checking that no object in it has a member twice (RFC 8725 section 3.12 leaves what a duplicate means to
/// the reader, so two readers may differ) and that it is at most 32 deep. `None` when it is not so, or not a `T`.
pub(super) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    unambiguous(bytes).ok()?;
    serde_json::from_slice(bytes).ok()
}

/// Whether bytes are one JSON value in which no object has a member twice, and which is at most 32 deep.
///
/// # Errors
/// Why not, with line and column; nothing of the text.
pub(crate) fn unambiguous(bytes: &[u8]) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Unambiguous { depth_left: MAX_DEPTH }.deserialize(&mut reader)?;
    reader.end()
}

/// Walks through any value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Unambiguous {
    depth_left: u8,
}

impl Unambiguous {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(de::Error::custom("a member appears twice"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn s_57_a_member_may_appear_once() {
        assert!(from_slice::<Value>(br#"{"a":1,"b":{"a":[1,null,true,"x",1.5,-1]}}"#).is_some());
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"[{"a":1,"\u0061":2}]"#, "{} {}", "", "{", "{\"a\":1}x"] {
            assert!(from_slice::<Value>(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn s_22_depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_slice::<Value>(nested(32).as_bytes()).is_some());
        assert!(from_slice::<Value>(nested(33).as_bytes()).is_none());
        assert!(from_slice::<Value>(nested(10_000).as_bytes()).is_none());
        assert!(from_slice::<Value>("{\"a\":".repeat(10_000).as_bytes()).is_none());
    }
}
