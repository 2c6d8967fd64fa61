//! Reading `application/x-www-form-urlencoded`, the form of every OAuth request, strictly.
//!
//! A parser that guesses is a parser that another one disagrees with. So: a parameter that is known may appear once
//! (RFC 6749 section 3.1), percent-encoding is exact, text is UTF-8, and every value has a limit. Unknown parameters are
//! ignored, as they must be, and not even decoded.

use crate::error::Code;

/// A parameter that is read: its name, and the most bytes that its value may have when decoded.
pub type Known = (&'static str, usize);

/// The known parameters of one request. Faults are kept with the parameter they belong to, since for an authorization request
/// only some may be told to the client.
#[derive(Debug)]
pub struct Params {
    found: Vec<(&'static str, Result<String, Code>)>,
    /// A parameter whose *name* cannot be read might be any of them.
    unreadable_name: bool,
}

impl Params {
    /// Reads a query string (without `?`) or a form body. Never fails: what is wrong is told by [`Params::take`] and
    /// [`Params::fault`].
    #[must_use]
    pub fn parse(input: &[u8], known: &[Known]) -> Self {
        let mut params = Self { found: Vec::with_capacity(known.len()), unreadable_name: false };
        for pair in input.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let cut = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..cut], pair.get(cut + 1..).unwrap_or_default());
            match decode(name) {
                None => params.unreadable_name = true,
                Some(name) => {
                    if let Some((name, limit)) = known.iter().find(|(known, _)| *known == name) {
                        params.add(name, *limit, value);
                    }
                }
            }
        }
        params
    }

    fn add(&mut self, name: &'static str, limit: usize, value: &[u8]) {
        match self.found.iter_mut().find(|(found, _)| *found == name) {
            Some((_, first)) => *first = Err(Code::ParameterRepeated),
            None => {
                // Three bytes encode one at most: what is longer needs no decoding to be too long.
                let decoded = (value.len() <= limit.saturating_mul(3)).then(|| decode(value)).flatten();
                self.found.push((name, decoded.filter(|text| text.len() <= limit).ok_or(Code::RequestInvalid)));
            }
        }
    }

    /// Takes the value of a parameter. A parameter without a value counts as absent (RFC 6749 section 3.1).
    ///
    /// # Errors
    /// [`Code::ParameterRepeated`] when it appears twice, [`Code::RequestInvalid`] when it is malformed or too long.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, Code> {
        match self.found.iter_mut().find(|(found, _)| *found == name) {
            Some((_, Ok(value))) => Ok(Some(std::mem::take(value)).filter(|value| !value.is_empty())),
            Some((_, Err(code))) => Err(*code),
            None => Ok(None),
        }
    }

    /// The value of a parameter, left where it is.
    ///
    /// # Errors
    /// As [`Params::take`].
    pub fn peek(&self, name: &str) -> Result<Option<&str>, Code> {
        match self.found.iter().find(|(found, _)| *found == name) {
            Some((_, Ok(value))) => Ok(Some(value.as_str()).filter(|value| !value.is_empty())),
            Some((_, Err(code))) => Err(*code),
            None => Ok(None),
        }
    }

    /// What is wrong with any of the parameters, with the name of the first that is to blame.
    #[must_use]
    pub fn fault(&self) -> Option<(Code, &'static str)> {
        let unreadable = self.unreadable_name.then_some((Code::RequestInvalid, "a parameter name"));
        self.found.iter().find_map(|(name, value)| value.as_ref().err().map(|code| (*code, *name))).or(unreadable)
    }
}

/// Decodes one name or value: `+` is a space, `%` is followed by two hexadecimal digits, the result is UTF-8.
#[must_use]
pub fn decode(encoded: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?,
            other => *other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Appends `name=value` to a query, encoded so that both form decoding and plain percent-decoding give back the same bytes.
pub fn append(query: &mut String, name: &str, value: &str) {
    for (text, end) in [(name, "="), (value, "")] {
        for piece in url::form_urlencoded::byte_serialize(text.as_bytes()) {
            query.push_str(if piece == "+" { "%20" } else { piece });
        }
        query.push_str(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[Known] = &[("state", 4096), ("scope", 10)];

    #[test]
    fn s_10_a_known_parameter_appears_once() {
        for twice in
            ["scope=a&scope=b", "scope=a&scope=a", "scope=&scope=a", "scope&scope", "scope=a&sc%6fpe=b", "scope=a&x=1&scope=a"]
        {
            let mut params = Params::parse(twice.as_bytes(), KNOWN);
            assert_eq!(params.take("scope"), Err(Code::ParameterRepeated), "{twice}");
            assert_eq!(params.fault(), Some((Code::ParameterRepeated, "scope")), "{twice}");
            assert_eq!(params.take("state"), Ok(None), "{twice}");
        }
        assert_eq!(Params::parse(b"x=1&x=2&scope=a", KNOWN).fault(), None, "unknown parameters are ignored");
    }

    #[test]
    fn values_are_exact_bounded_and_utf_8() {
        let take = |query: &str| Params::parse(query.as_bytes(), KNOWN).take("scope");
        assert_eq!(take("scope=a+b%20c"), Ok(Some("a b c".into())));
        assert_eq!(take("scope="), Ok(None));
        assert_eq!(take("scope"), Ok(None));
        assert_eq!(take("scope=a=b"), Ok(Some("a=b".into())));
        assert_eq!(take("scope=a;b"), Ok(Some("a;b".into())));
        assert_eq!(take("scope=1234567890"), Ok(Some("1234567890".into())));
        for bad in ["scope=12345678901", "scope=%", "scope=%4", "scope=%zz", "scope=%ff", "scope=%+1", "scope=%C3"] {
            assert_eq!(take(bad), Err(Code::RequestInvalid), "{bad}");
        }
        assert_eq!(take("unknown=%zz&scope=a"), Ok(Some("a".into())));
        assert_eq!(Params::parse(b"sc%6pe=a", KNOWN).fault(), Some((Code::RequestInvalid, "a parameter name")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut params = Params::parse(&bytes, KNOWN);
            let _ = (params.take("state"), params.take("scope"), params.fault());
        }

        #[test]
        fn what_is_appended_is_read_back(value in ".{1,200}") {
            let mut query = String::new();
            append(&mut query, "state", &value);
            prop_assert_eq!(Params::parse(query.as_bytes(), KNOWN).take("state"), Ok(Some(value.clone())));
            prop_assert!(!query.contains('+'));
        }
    }
}
