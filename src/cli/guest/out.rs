//! What commands write. Standard output may be closed by whoever reads it, which is no panic.

use std::io::{self, Write};

/// A line on standard output.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// A line on standard error, for the person at the terminal.
pub(super) fn note(text: &str) {
    // Where it cannot be written, nobody would read it.
    let _ = writeln!(io::stderr(), "vestibule: {text}");
}
