//! How far a copy has come.

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::copy::Step;

/// The progress, on standard error where that is a terminal.
pub(super) struct Bar {
    bar: ProgressBar,
    total: u64,
    compares: bool,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::new_spinner().with_message("counting"), total: 0, compares: false }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Counted(total) => {
                self.total = total;
                self.begin("copying");
            }
            Step::Compared if !self.compares => {
                self.compares = true;
                self.begin("verifying");
                self.bar.inc(1);
            }
            Step::Copied | Step::Compared => self.bar.inc(1),
        }
    }

    fn begin(&self, what: &'static str) {
        // Ours, and tried by every copy.
        let style = ProgressStyle::with_template("{msg:9} [{bar:40}] {pos}/{len} records, {eta} left").expect("a template");
        self.bar.set_style(style.progress_chars("=> "));
        self.bar.reset();
        self.bar.set_length(self.total);
        self.bar.set_message(what);
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
