//! Lines for people on standard error.
//!
//! What must always hold: a line is written at once, so that those of a pipeline's tools don't run into each other; a
//! reader that is gone changes nothing about the work. Each line says who speaks, and on which host, where people read it
//! on another one.

use crate::cli::colour::{Mark, Palette};
use crate::cli::is_over_ssh;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

/// Writes one line, or several that belong together, in a tool's name.
pub fn line(tool: &str, text: &str) {
    let palette = palette();
    let speaker = match host() {
        Some(host) => format!("{host}: {tool}:"),
        None => format!("{tool}:"),
    };
    let speaker = palette.paint(Mark::Locus, &speaker);
    let lines: Vec<String> = text.split('\n').map(|line| format!("{speaker} {}", palette.message(line))).collect();
    plain(&lines.join("\n"));
}

/// Writes it as it is.
pub fn plain(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Its colours.
#[must_use]
pub fn palette() -> Palette {
    Palette::of(&std::io::stderr())
}

/// This host's name, for whoever is on another: a pipeline can go over several hosts, and its lines come together there.
fn host() -> Option<&'static str> {
    static HOST: OnceLock<Option<String>> = OnceLock::new();
    let is_told = || !std::io::stderr().is_terminal() && !std::io::stdin().is_terminal() && is_over_ssh();
    let name = || nix::unistd::gethostname().ok()?.into_string().ok();
    HOST.get_or_init(|| is_told().then(name).flatten()).as_deref()
}
