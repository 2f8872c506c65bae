//! Lines for people on standard error.
//!
//! What must always hold: a line is written at once, so that those of a pipeline's tools don't run into each other; a
//! reader that is gone changes nothing about the work.

use std::io::Write;

/// Writes one line.
pub fn line(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
