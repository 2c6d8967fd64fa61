//! What an app behind us must not read: cookies that some parser takes for ours.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::{cut, pieces, trim};

/// Removes every cookie whose name starts with `prefix`, or that a lenient parser could read as such: other case,
/// percent-encoding (repeated too), white space or non-ASCII octets before or inside the name, `.`, `[`, `+` or space for
/// `_` (as PHP does), quotes, an empty name.
///
/// All other cookies keep their octets. A field that holds none of ours is not touched, one that holds nothing else is
/// removed; only a mixed one is copied.
pub fn strip_prefix(headers: &mut HeaderMap, prefix: &[u8]) {
    let ours = |field: &HeaderValue| pieces(field).any(|piece| folds_into(piece, prefix));
    let mut fields = headers.get_all(COOKIE).iter();
    // Browsers send one field; it is dealt with in place.
    let stripped = match (fields.next(), fields.next()) {
        (None, _) => return,
        (Some(only), None) => {
            if !ours(only) {
                return;
            }
            without(only, prefix)
        }
        (Some(_), Some(_)) => {
            let strip = |field: &HeaderValue| if ours(field) { without(field, prefix) } else { Some(field.clone()) };
            let kept: Vec<_> = headers.get_all(COOKIE).iter().filter_map(strip).collect();
            headers.remove(COOKIE);
            for field in kept {
                headers.append(COOKIE, field);
            }
            return;
        }
    };
    match stripped {
        Some(field) => headers.insert(COOKIE, field),
        None => headers.remove(COOKIE),
    };
}

/// A `Cookie` field without the pieces that fold into `prefix`; `None` when nothing is left.
fn without(field: &HeaderValue, prefix: &[u8]) -> Option<HeaderValue> {
    let mut rest: Vec<u8> = Vec::new();
    for piece in cut(field.as_bytes()).filter(|piece| !folds_into(piece, prefix)) {
        if rest.is_empty() {
            rest.reserve(field.len());
            rest.extend_from_slice(trim(piece));
        } else {
            rest.push(b';');
            rest.extend_from_slice(piece);
        }
    }
    let mut kept = HeaderValue::from_bytes(trim(&rest)).ok().filter(|kept| !kept.is_empty())?;
    kept.set_sensitive(field.is_sensitive());
    Some(kept)
}

/// Whether some parser could take this piece of a `Cookie` field for a cookie whose name starts with `prefix`.
pub(super) fn folds_into(piece: &[u8], prefix: &[u8]) -> bool {
    if piece.starts_with(prefix) {
        return true;
    }
    let decoded;
    let name = if memchr::memchr(b'%', piece).is_some() {
        decoded = decode_to_the_end(piece);
        &decoded
    } else {
        piece
    };
    let start =
        name.iter().position(|byte| byte.is_ascii_graphic() && !matches!(byte, b'=' | b'"' | b'\'' | b'+')).unwrap_or(name.len());
    let mut folded = name[start..].iter().filter_map(|byte| match byte {
        b' ' | b'.' | b'[' | b'+' => Some(b'_'),
        byte if byte.is_ascii_graphic() => Some(byte.to_ascii_lowercase()),
        _ => None,
    });
    prefix.iter().all(|expected| folded.next() == Some(expected.to_ascii_lowercase()))
}

/// Percent-decoded until nothing is left to decode, in one pass: an escape is complete when its last digit arrives.
pub(super) fn decode_to_the_end(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        out.push(byte);
        while let [.., b'%', high, low] = out[..]
            && let (Some(high), Some(low)) = (char::from(high).to_digit(16), char::from(low).to_digit(16))
        {
            out.truncate(out.len() - 3);
            out.push(u8::try_from(high * 16 + low).unwrap_or_default());
        }
    }
    out
}
