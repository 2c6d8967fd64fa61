//! What names may be made of.

/// Whether a name shows as what it is, on one line: all of it [`is_plain_char`], so that it cannot pass for another.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    name.chars().all(is_plain_char)
}

/// Whether a character may be in a name: it is no control character, breaks no line, turns no reading direction, and is seen.
#[must_use]
pub fn is_plain_char(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}') && !is_unseen(c)
}

/// Whether a character leaves nothing to see: one that [`turns_direction`], a space without width, a soft hyphen, a note to
/// programs, a tag. The joiners U+200C and U+200D are none of these: scripts and emoji need them.
#[must_use]
pub const fn is_unseen(c: char) -> bool {
    turns_direction(c)
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
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
        let unseen = ['\u{ad}', '\u{180e}', '\u{200b}', '\u{feff}', '\u{fff9}', '\u{e0001}', '\u{e007f}'].into_iter();
        for c in turning.chain(control).chain(unseen).chain('\u{2060}'..='\u{206f}') {
            assert!(!is_plain(&format!("Sam{c}Smith")) && !is_plain(&c.to_string()), "{c:?}");
        }
    }
}
