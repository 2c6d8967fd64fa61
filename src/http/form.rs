//! A form of our own pages: each field once.

use crate::error::Code;

/// No form of ours has more fields.
const MOST: usize = 16;

/// The fields of a posted form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads an `application/x-www-form-urlencoded` body.
    ///
    /// # Errors
    /// [`Code::RequestInvalid`] when it is not UTF-8 or has more than 16 fields, [`Code::ParameterRepeated`] when a field
    /// appears twice.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Code> {
        let text = std::str::from_utf8(body).map_err(|_| Code::RequestInvalid)?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if fields.len() == MOST {
                return Err(Code::RequestInvalid);
            }
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Code::ParameterRepeated);
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// A field's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
