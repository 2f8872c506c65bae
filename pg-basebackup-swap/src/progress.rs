//! How far a copy is: a bar on a terminal, lines elsewhere, or events for programs.
//!
//! What must always hold: it goes to standard error; lines come seldom enough for a log, and every event is one line.

use crate::args::ProgressForm;
use indicatif::{ProgressBar, ProgressStyle};
use pg_runbook::Run;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line comes with every tenth of the copy, and with every minute; but not more often than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);
const BAR: &str = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left{msg}";

/// One line of `pg_basebackup --progress`: `  153600/230456 kB (66%), 0/1 tablespace (…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes copied.
    pub done: u64,
    /// Bytes in all, as the primary estimated them; none where it was told not to.
    pub total: Option<u64>,
    /// Tablespaces that are complete, the data directory among them.
    pub tablespaces: u64,
    /// Tablespaces in all.
    pub of_tablespaces: u64,
}

/// Reads such a line; anything else is not one.
#[must_use]
pub fn parse(line: &str) -> Option<Progress> {
    let (numbers, rest) = line.trim().split_once(" kB")?;
    let kilobytes = |text: &str| text.trim().parse::<u64>().ok()?.checked_mul(1024);
    let (done, total) = match numbers.split_once('/') {
        Some((done, total)) => (kilobytes(done)?, Some(kilobytes(total)?)),
        None => (kilobytes(numbers)?, None),
    };
    let (tablespaces, of_tablespaces) = rest.split_once(", ")?.1.split(' ').next()?.split_once('/')?;
    Some(Progress { done, total, tablespaces: tablespaces.parse().ok()?, of_tablespaces: of_tablespaces.parse().ok()? })
}

/// Tells it in the form that is wanted.
pub struct Teller<'a> {
    run: &'a Run,
    form: Form,
    begun: Instant,
    /// When the first of the copy had come: what the primary needed before is not the copy's pace.
    copying_since: Option<Instant>,
    /// When the last line came, and at which tenth of the copy.
    last: (Instant, u64),
}

enum Form {
    Bar(ProgressBar),
    Lines,
    Events,
    Nothing,
}

impl<'a> Teller<'a> {
    /// A bar where standard error is a terminal. With `--quiet` only events that were asked for come.
    #[must_use]
    pub fn new(run: &'a Run, wanted: ProgressForm) -> Self {
        let form = match wanted {
            ProgressForm::Json => Form::Events,
            ProgressForm::Text if run.common.quiet => Form::Nothing,
            ProgressForm::Text if std::io::stderr().is_terminal() => Form::Bar(ProgressBar::new(0)),
            ProgressForm::Text => Form::Lines,
            ProgressForm::None => Form::Nothing,
        };
        Self { run, form, begun: Instant::now(), copying_since: None, last: (Instant::now(), 0) }
    }

    /// The primary makes the checkpoint that a base backup begins with, which can take minutes.
    pub fn waits_for_checkpoint(&self) {
        match &self.form {
            Form::Bar(bar) => {
                style(bar, "{spinner} waiting for the primary's checkpoint ({elapsed})");
                bar.enable_steady_tick(Duration::from_millis(100));
            }
            Form::Events => event(&json!({ "event": "checkpoint", "seconds": self.seconds() })),
            Form::Lines | Form::Nothing => {}
        }
    }

    /// So much is here.
    pub fn copied(&mut self, progress: Progress) {
        let since = *self.copying_since.get_or_insert_with(Instant::now);
        match &self.form {
            Form::Bar(bar) => move_bar(bar, progress),
            Form::Lines => self.line(progress, since.elapsed()),
            Form::Events => event(&json!({
                "event": "progress",
                "bytes": progress.done,
                "total": progress.total,
                "tablespaces": progress.tablespaces,
                "of_tablespaces": progress.of_tablespaces,
                "seconds": self.seconds(),
            })),
            Form::Nothing => {}
        }
    }

    fn line(&mut self, progress: Progress, copying: Duration) {
        let tenth = progress.total.map_or(0, |total| progress.done * 10 / total.max(1));
        let since = self.last.0.elapsed();
        if since < AT_MOST_EVERY || tenth == self.last.1 && since < AT_LEAST_EVERY {
            return;
        }
        self.last = (Instant::now(), tenth);
        self.run.say(&sentence(progress, copying));
    }

    fn seconds(&self) -> f64 {
        (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn style(bar: &ProgressBar, template: &str) {
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
}

fn move_bar(bar: &ProgressBar, progress: Progress) {
    let is_first = bar.length() == Some(0);
    bar.set_position(progress.done);
    bar.set_length(progress.total.unwrap_or_default().max(progress.done).max(1));
    if is_first {
        bar.disable_steady_tick();
        // What is there by now is no pace.
        bar.reset_elapsed();
        style(bar, BAR);
    }
    if progress.of_tablespaces > 1 {
        bar.set_message(format!(", {} of {} tablespaces", progress.tablespaces, progress.of_tablespaces));
    }
}

/// `120 of 300 MB copied (40 %), 12 MB/s, 15s left, 0 of 2 tablespaces`.
fn sentence(progress: Progress, elapsed: Duration) -> String {
    let rate = progress.done / elapsed.as_secs().max(1);
    let mut words = vec![match progress.total {
        Some(total) => {
            let percent = progress.done.min(total) * 100 / total.max(1);
            format!("{} of {} MB copied ({percent} %)", progress.done / 1_000_000, total / 1_000_000)
        }
        None => format!("{} MB copied", progress.done / 1_000_000),
    }];
    words.push(format!("{} MB/s", rate / 1_000_000));
    if let Some(left) = progress.total.map(|total| total.saturating_sub(progress.done)).filter(|_| rate > 0) {
        words.push(format!("{} left", humantime::format_duration(Duration::from_secs(left / rate))));
    }
    if progress.of_tablespaces > 1 {
        words.push(format!("{} of {} tablespaces", progress.tablespaces, progress.of_tablespaces));
    }
    words.join(", ")
}

fn event(event: &Value) {
    let _ = writeln!(std::io::stderr(), "{event}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pg_basebackup_prints() {
        let line = " 153600/230456 kB (66%), 0/1 tablespace (/srv/main.partial/base/5/1)";
        let told = Progress { done: 153_600 * 1024, total: Some(230_456 * 1024), tablespaces: 0, of_tablespaces: 1 };
        assert_eq!(parse(line), Some(told));
        let complete = Progress { done: 230_456 * 1024, tablespaces: 2, of_tablespaces: 3, ..told };
        assert_eq!(parse("230456/230456 kB (100%), 2/3 tablespaces          "), Some(complete));
        assert_eq!(parse("  153600 kB, 0/1 tablespace"), Some(Progress { total: None, ..told }));
        assert_eq!(parse("waiting for checkpoint"), None);
        assert_eq!(parse("pg_basebackup: error: could not connect"), None);
    }

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long_still() {
        let progress = Progress { done: 40_000_000, total: Some(100_000_000), tablespaces: 0, of_tablespaces: 2 };
        let words = sentence(progress, Duration::from_secs(4));
        assert_eq!(words, "40 of 100 MB copied (40 %), 10 MB/s, 6s left, 0 of 2 tablespaces");
        let untold = Progress { total: None, of_tablespaces: 1, ..progress };
        assert_eq!(sentence(untold, Duration::ZERO), "40 MB copied, 40 MB/s");
    }
}
