//! Tables for people: columns in the width of what comes first, and nothing in them that a terminal would obey.

use std::{borrow::Cow, io::Write};

/// The widest column, in characters; what is longer pushes the others aside rather than being cut.
const WIDTH_MAX: usize = 40;
/// Between columns.
const GAP: &str = "  ";

/// A table that is written as its rows arrive.
pub(super) struct Table<W> {
    out: W,
    headings: &'static [&'static str],
    /// From the first rows.
    widths: Option<Vec<usize>>,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, headings: &'static [&'static str]) -> Self {
        Self { out, headings, widths: None }
    }

    /// Writes some rows; the first ones that there are tell how wide the columns are.
    pub(super) fn rows(&mut self, rows: &[Vec<String>]) -> std::io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if self.widths.is_none() {
            let width = |column: usize| {
                let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
                cells.chain([self.headings[column].chars().count()]).max().unwrap_or_default().min(WIDTH_MAX)
            };
            self.widths = Some((0..self.headings.len()).map(width).collect());
            self.line(self.headings)?;
        }
        for row in rows {
            self.line(row)?;
        }
        self.out.flush()
    }

    fn line(&mut self, cells: &[impl AsRef<str>]) -> std::io::Result<()> {
        let widths = self.widths.as_deref().unwrap_or_default();
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let cell = visible(cell.as_ref());
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            line.push_str(GAP);
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// A text with nothing in it that moves the cursor, hides what is there or turns its direction: names come from strangers.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if text.contains(acts) { text.replace(acts, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_comes_first() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, &["Name", "State"]);
        let row = |name: &str, state: &str| vec![name.to_owned(), state.to_owned()];
        table.rows(&[]).unwrap();
        table.rows(&[row("Zoë Müller", "Accepted"), row("Bo", "-")]).unwrap();
        table.rows(&[row("Somebody with a longer name", "-")]).unwrap();
        let expected = "Name        State\nZoë Müller  Accepted\nBo          -\nSomebody with a longer name  -\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_name_cannot_act_on_the_terminal() {
        assert_eq!(visible("a\u{1b}[2J\u{202e}b\r\nc"), "a\u{fffd}[2J\u{fffd}b\u{fffd}\u{fffd}c");
        assert!(matches!(visible("Zoë ☂"), Cow::Borrowed(_)));
    }
}
