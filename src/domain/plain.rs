//! What names may be made of.

/// Whether a name shows as what it is, on one line: it has no control characters, breaks no line, and nothing in it turns the
/// reading direction, by which one name could pass for another.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    !name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns_direction(c))
}

/// Marks, embeddings, overrides and isolates of the Unicode Bidirectional Algorithm (UAX 9).
#[must_use]
pub const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o_13_a_name_is_what_it_looks_like() {
        for plain in ["", "Zoë O'Hara-Łęcka", "山田 太郎", "דוד", "علی\u{200c}رضا", "👩\u{200d}💻"] {
            assert!(is_plain(plain), "{plain:?}");
        }
        let turning = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\u{200e}', '\u{200f}', '\u{61c}']);
        let control = ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}').chain(['\u{2028}', '\u{2029}']);
        for c in turning.chain(control) {
            assert!(!is_plain(&format!("Sam{c}Smith")), "{c:?}");
        }
    }
}
