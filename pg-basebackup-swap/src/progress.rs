//! How far a copy is: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// One line of `pg_basebackup --progress`: `  153600/230456 kB (66%), 0/1 tablespace (…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes copied.
    pub done: u64,
    /// Bytes in all, as the primary estimated them.
    pub total: u64,
}

/// Reads such a line; anything else is not one.
#[must_use]
pub fn parse(line: &str) -> Option<Progress> {
    let (numbers, _) = line.trim().split_once(" kB")?;
    let (done, total) = numbers.split_once('/')?;
    Some(Progress { done: done.trim().parse::<u64>().ok()? * 1024, total: total.trim().parse::<u64>().ok()? * 1024 })
}

/// A bar on stderr, where that is a terminal.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Shows nothing when `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
        let bar = ProgressBar::new(0);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Some(bar))
    }

    /// Moves it.
    pub fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.total.max(progress.done));
            bar.set_position(progress.done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pg_basebackup_prints() {
        let line = " 153600/230456 kB (66%), 0/1 tablespace (/srv/main.partial/base/5/1)";
        assert_eq!(parse(line), Some(Progress { done: 153_600 * 1024, total: 230_456 * 1024 }));
        assert_eq!(parse("waiting for checkpoint"), None);
        assert_eq!(parse("pg_basebackup: error: could not connect"), None);
    }
}
