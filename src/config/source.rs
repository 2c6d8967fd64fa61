//! Text that an operator wrote, and the places in it that problems point to.
//!
//! The line with the problem is shown with a caret, as compilers do it. What may be a secret is not: problems end up in
//! logs, and a misspelt `client_secret` is an unknown field like any other.

use std::ops::Range;

use serde::de::DeserializeOwned;

/// Reads a TOML file, strictly.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // Only in a file whose syntax is right, and where every name is known, can be told which values are no secrets.
    let show = text.parse::<toml::Table>().is_ok();
    toml::from_str(text).map_err(|error| {
        let shown = if show && !error.message().contains("unknown field") { Shown::Whole } else { Shown::WithoutStrings };
        point(text, error.span().unwrap_or_default(), error.message(), shown)
    })
}

/// How much of a line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// Everything but the contents of strings.
    WithoutStrings,
}

/// `message` with its place in `text`: the line's number, the line, and a caret below.
#[must_use]
pub fn point(text: &str, span: Range<usize>, message: &str, shown: Shown) -> String {
    let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let before = text.get(..start).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let line = match shown {
        Shown::Whole => line.replace('\t', " "),
        Shown::WithoutStrings => without_strings(line),
    };
    let (edge, margin) = (number.to_string(), " ".repeat(column));
    let indent = " ".repeat(edge.len());
    format!("line {number}: {}\n{indent} |\n{edge} | {line}\n{indent} | {margin}^", message.trim_end())
}

/// The line with a dot for every character that stands between quotes, closed or not.
fn without_strings(line: &str) -> String {
    let mut open = None;
    let shown = line.chars().map(|c| match (open, c) {
        (None, '"' | '\'') => {
            open = Some(c);
            c
        }
        (Some(quote), c) if c == quote => {
            open = None;
            c
        }
        (Some(_), _) => '·',
        (None, '\t') => ' ',
        (None, c) => c,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        _port: u16,
    }

    fn problem(text: &str) -> String {
        read::<File>(text).unwrap_err()
    }

    #[test]
    fn the_place_is_shown_with_a_caret() {
        let problem = problem("# a comment\n_port = \"80\"\n");
        assert!(problem.starts_with("line 2: invalid type"), "{problem}");
        assert!(problem.ends_with("2 | _port = \"80\"\n  |         ^"), "{problem}");
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for text in ["pasword = \"hunter2\"", "password = \"hunter2", "a = 'b'\nsecret = 'hunter2' 'x'", "x = [\"hunter2\", ]\n="]
        {
            let problem = problem(text);
            assert!(problem.contains('^') && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn any_place_of_any_text_can_be_pointed_to() {
        for text in ["", "\n", "ü = 1", "a\r\nü\n"] {
            for start in 0..=text.len() + 2 {
                assert!(point(text, start..start, "x", Shown::Whole).contains('^'));
            }
        }
    }
}
