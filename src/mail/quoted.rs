//! What people wrote, as mails show it: their words and nothing else.

use super::message::one_line;

/// How many lines of a message are shown.
const LINES: usize = 100;

/// The lines of what somebody wrote, at most `limit` characters in all: each one harmless, at most one empty line between
/// two others, none before the first or after the last.
pub(super) fn lines(text: &str, limit: usize) -> Vec<String> {
    let breaks = ['\n', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
    let mut left = limit;
    let mut lines: Vec<String> = Vec::new();
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split(breaks).map(|line| one_line(line, limit)) {
        if line.is_empty() && lines.last().is_none_or(String::is_empty) {
            continue;
        }
        if left == 0 || lines.len() == LINES {
            break;
        }
        let line = one_line(&line, left);
        left -= line.chars().count();
        lines.push(unlinked(&line));
    }
    while lines.pop_if(|line| line.is_empty()).is_some() {}
    lines
}

/// `text` with zero width spaces where mail programs would see an address in it and make a link of it: before the dots and
/// the `@` inside of words, and before slashes. People see no difference.
pub(super) fn unlinked(text: &str) -> String {
    const BREAK: char = '\u{200b}';
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let inside = !before.is_whitespace() && rest.peek().is_some_and(|after| !after.is_whitespace());
        match c {
            '.' | '@' | '\u{3002}' | '\u{ff0e}' if inside => shown.push(BREAK),
            '/' => shown.push(BREAK),
            _ => {}
        }
        shown.push(c);
        before = c;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines_and_hold_nothing_else() {
        assert_eq!(
            lines("\r\n\n Hello,\r\n\r\n\r\nsee you\tsoon \u{202e}x\rA\u{2028}B\0C\n\n", 100),
            ["Hello,", "", "see you soon x", "A", "B C"]
        );
        assert!(lines(" \r\n \u{200b}\n", 100).is_empty());
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(lines("abc\ndefg\nh", 6), ["abc", "de…"]);
        assert_eq!(lines("abc\nd", 3), ["abc"]);
        assert_eq!(lines(&"a\n".repeat(500), 2_000).len(), LINES);
    }

    #[test]
    fn addresses_are_no_links() {
        let plain = |text: &str| unlinked(text).replace('\u{200b}', "|");
        assert_eq!(plain("https://evil.example/a"), "https:|/|/evil|.example|/a");
        assert_eq!(plain("eve@evil.example"), "eve|@evil|.example");
        assert_eq!(plain("Hello. See you... 10.30"), "Hello. See you|.|.. 10|.30");
    }
}
