//! What a shell is told when somebody presses TAB: `COMPLETE=bash pg-conf -- …` answers how the line could go on.
//!
//! What must always hold: nothing is changed, asked for or said on stderr; no answer within a second ([`limit`]) is no answer; a
//! user without rights gets fewer candidates; an ordinary run costs a look at one variable.

mod bash;
mod candidates;
mod line;
mod shells;

pub use candidates::{ROLES, clusters, data_directories, databases, majors, of_cluster, of_rows, roles};
pub use clap_complete::engine::{ArgValueCompleter, CompletionCandidate as Candidate, PathCompleter, ValueCompleter};
pub use line::Line;

use crate::cli::arguments::seconds;
use crate::server;
use clap::Command;
use clap_complete::env::{CompleteEnv, Shells};
use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

/// The shells, and where their own and Debian's packages look for a command's completions.
pub const SHELLS: [Shell; 3] = [
    Shell { name: "bash", folder: "/usr/share/bash-completion/completions", prefix: "", suffix: "" },
    Shell { name: "zsh", folder: "/usr/share/zsh/vendor-completions", prefix: "_", suffix: "" },
    Shell { name: "fish", folder: "/usr/share/fish/vendor_completions.d", prefix: "", suffix: ".fish" },
];

/// The variable that names the shell which asks.
const VARIABLE: &str = "COMPLETE";

/// The variable that has slow machines wait longer than a second, in seconds.
const LIMIT_VARIABLE: &str = "PG_RUNBOOK_TAB_TIMEOUT";

/// One of [`SHELLS`].
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    /// Its name.
    pub name: &'static str,
    /// Where packages put completions.
    pub folder: &'static str,
    prefix: &'static str,
    suffix: &'static str,
}

impl Shell {
    /// The file that it reads for a tool.
    #[must_use]
    pub fn file(&self, tool: &str) -> String {
        format!("{}{tool}{}", self.prefix, self.suffix)
    }

    /// What makes it ask this tool.
    #[must_use]
    pub fn registration(&self, tool: &str) -> String {
        shells::registration(self.name, tool, tool)
    }
}

static LINE: OnceLock<Line> = OnceLock::new();

/// Answers a shell; `None` where no shell asks.
pub(crate) fn answer(tool: &'static str, command: fn() -> Command) -> Option<ExitCode> {
    let shell = std::env::var_os(VARIABLE)?;
    // Somebody else's variable of this name is none of our business.
    SHELLS.iter().find(|known| shell == known.name)?;
    // What goes wrong is no news to somebody who is typing.
    std::panic::set_hook(Box::new(|_| ()));
    let answer = move || {
        let folder = std::env::current_dir().ok();
        let factory = move || command().name(tool).ignore_errors(true);
        let shells = Shells(&[&shells::Asking("bash"), &shells::Asking("zsh"), &shells::Asking("fish")]);
        CompleteEnv::with_factory(factory).bin(tool).shells(shells).try_complete(std::env::args_os(), folder.as_deref())
    };
    Some(match within(limit(), answer) {
        Some(Ok(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// How long somebody who pressed TAB waits.
fn limit() -> Duration {
    let told = std::env::var(LIMIT_VARIABLE).ok().and_then(|text| seconds(&text).ok());
    told.unwrap_or(Duration::from_secs(1))
}

/// What `work` comes to, unless that takes longer; then it is left to end with the process.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(limit).ok()
}

/// Completes an argument by what `candidates` finds; only what begins with the word so far is offered.
pub fn of(candidates: fn(&Line, &str) -> Vec<Candidate>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let (Some(line), Some(current)) = (LINE.get(), current.to_str()) else { return Vec::new() };
        let mut found = candidates(line, current);
        found.retain(|candidate| fits(candidate, current));
        found
    })
}

/// The answer has one line for each candidate.
fn fits(candidate: &Candidate, current: &str) -> bool {
    candidate.get_value().to_str().is_some_and(|text| text.starts_with(current) && !text.contains(char::is_control))
}

/// A candidate, and what is said beside it.
#[must_use]
pub fn candidate(value: impl Into<String>, about: impl Into<String>) -> Candidate {
    let about: String = about.into();
    Candidate::new(value.into())
        .help(Some(about.into()).filter(|text: &clap::builder::StyledStr| !text.to_string().is_empty()))
}

/// The names of [`crate::server::SslMode`].
#[must_use]
pub fn ssl_modes(_: &Line, _: &str) -> Vec<Candidate> {
    server::SslMode::names().into_iter().map(Candidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_no_answer() {
        assert_eq!(within(Duration::from_secs(10), || 1), Some(1));
        let (_kept, never) = mpsc::channel::<()>();
        assert!(within(Duration::from_millis(10), move || never.recv()).is_none());
    }

    #[test]
    fn offers_what_goes_on_from_the_word_and_fits_on_a_line() {
        assert!(fits(&candidate("wal_level", ""), "wal_"));
        assert!(!fits(&candidate("wal_level", ""), "x"));
        assert!(!fits(&candidate("two\nlines", ""), ""));
    }
}
