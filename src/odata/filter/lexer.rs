//! The words of a filter.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::error::{Error, shown};

/// A word, and where in the text it begins, in bytes.
pub(super) type Placed<'t> = (Token<'t>, usize);

/// One word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A name or a keyword; with `$`, `@` or dots in it where OData has something that is not offered here.
    Word(&'t str),
    /// `'text'`, without its quotes.
    Text(String),
    Integer(i64),
    DateTime(Timestamp),
    Guid(Uuid),
    Open,
    Close,
    Comma,
    Colon,
    Slash,
}

/// Cuts a text into words.
///
/// # Errors
/// 400 `BadRequest`, with the place.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, Error> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        let rest = &text[at..];
        let (token, length) = match byte {
            b' ' | b'\t' => {
                at += 1;
                continue;
            }
            b'(' => (Token::Open, 1),
            b')' => (Token::Close, 1),
            b',' => (Token::Comma, 1),
            b':' => (Token::Colon, 1),
            b'/' => (Token::Slash, 1),
            b'\'' => quoted(rest).ok_or_else(|| fault(at, "the string that begins here has no closing quote"))?,
            _ => match guid(rest) {
                Some(guid) => (Token::Guid(guid), GUID_LENGTH),
                None if byte.is_ascii_digit() || byte == b'-' => {
                    let number = &rest[..run(rest, is_number)];
                    let token = number_or_date(number).ok_or_else(|| {
                        fault(at, &format!("'{}' is no integer, date and time, or GUID that can be read here", shown(number)))
                    })?;
                    (token, number.len())
                }
                None if byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$' | b'@') => {
                    let word = &rest[..1 + run(&rest[1..], |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))];
                    (Token::Word(word), word.len())
                }
                None => {
                    let strange: String = rest.chars().take(1).collect();
                    return Err(fault(at, &format!("'{}' has no meaning outside of a string", shown(&strange))));
                }
            },
        };
        found.push((token, at));
        at += length;
    }
    Ok(found)
}

/// What is wrong at a place of the filter, for the caller.
pub(super) fn fault(at: usize, what: &str) -> Error {
    Error::bad_request(format!("Invalid filter clause: {what} (byte {at} of $filter)."))
}

/// How many bytes at the beginning are of a kind (ASCII only, so the count is a boundary of characters).
fn run(text: &str, of_kind: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !of_kind(byte)).unwrap_or(text.len())
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b':' | b'.' | b'_')
}

/// A string literal at the beginning of `rest`, and its length with the quotes.
fn quoted(rest: &str) -> Option<(Token<'_>, usize)> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        let piece = rest[at..].find('\'')?;
        text.push_str(&rest[at..at + piece]);
        at += piece + 1;
        if !rest[at..].starts_with('\'') {
            return Some((Token::Text(text), at));
        }
        text.push('\'');
        at += 1;
    }
}

const GUID_LENGTH: usize = 36;

/// A GUID with hyphens that stands alone at the beginning of `rest`.
fn guid(rest: &str) -> Option<Uuid> {
    let (digits, after) = rest.split_at_checked(GUID_LENGTH)?;
    // Other forms of 36 bytes, with braces or of a URN, do not exist.
    (!after.bytes().next().is_some_and(is_number)).then(|| digits.parse().ok()).flatten()
}

fn number_or_date(number: &str) -> Option<Token<'_>> {
    // `i64` would also take a leading `+`, but no token begins with one.
    number.parse().map(Token::Integer).ok().or_else(|| date_time(number).map(Token::DateTime))
}

/// RFC 3339, section 5.6, in capital letters. What `jiff` takes beyond that (blanks, weeks, annotations, signed years) is
/// refused.
fn date_time(text: &str) -> Option<Timestamp> {
    // 0001-01-01T00:00:00Z: an offset may lead into a year that cannot be written.
    const FIRST: i64 = -62_135_596_800;
    let bytes = text.as_bytes();
    let like = |bytes: &[u8], pattern: &[u8]| {
        bytes.len() == pattern.len()
            && bytes.iter().zip(pattern).all(|(byte, sign)| if *sign == b'0' { byte.is_ascii_digit() } else { byte == sign })
    };
    let (moment, rest) = bytes.split_at_checked(19)?;
    let (fraction, offset) = rest.split_at(rest.iter().position(|byte| matches!(byte, b'Z' | b'+' | b'-'))?);
    let fraction_fits = match fraction {
        [] => true,
        [b'.', digits @ ..] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let fits = fraction_fits
        && like(moment, b"0000-00-00T00:00:00")
        && (offset == b"Z" || like(offset, b"+00:00") || like(offset, b"-00:00"));
    fits.then(|| text.parse::<Timestamp>().ok()).flatten().filter(|moment| moment.as_second() >= FIRST)
}
