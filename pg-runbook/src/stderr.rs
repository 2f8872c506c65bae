//! Lines for people on standard error.
//!
//! What must always hold: a line is written at once, so that those of a pipeline's tools don't run into each other; a
//! reader that is gone changes nothing about the work.

use crate::cli::colour::Palette;
use std::io::Write;

/// Writes one line, or several that belong together.
pub fn line(text: &str) {
    let _ = std::io::stderr().write_all(format!("{}\n", palette().message(text)).as_bytes());
}

/// Its colours.
#[must_use]
pub fn palette() -> Palette {
    Palette::of(&std::io::stderr())
}
