//! What was looked at before anything is touched, each with what was found and, where it is bad, the way out.
//!
//! What must always hold: everything is told at once; one thing alone fails as itself, several as one failure that
//! names them all, the gravest first.

use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::failure::Code;
use pg_runbook::{Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// What was looked at. The list may grow.
    #[schemars(extend("examples" = [
        "login", "replication", "system identifier", "version", "timeline", "bounds", "slot", "walsenders", "wal",
        "compression", "old data", "server", "start", "outage", "recovery", "data directory", "kept directories",
        "another run", "leftovers", "permissions", "mount points", "links", "tablespaces", "folders", "configuration",
        "space", "verification",
    ]))]
    pub what: &'static str,
    /// Whether it is as it must be: false stands in the way; null can't be told, or may be trouble later.
    pub ok: Option<bool>,
    /// What was found.
    pub detail: String,
    /// The way out; null where none is needed.
    pub hint: Option<String>,
    #[serde(skip)]
    failure: Option<Failure>,
}

impl Finding {
    /// As people read it: what was found, and the way out below.
    fn rows(&self) -> Vec<[Cell; 3]> {
        let ok = match self.ok {
            Some(true) => Cell::from("yes"),
            Some(false) => Cell::from("no").marked(Mark::Error),
            None => Cell::from("?").marked(Mark::Warning),
        };
        let hint = self.hint.iter().map(|hint| ["".into(), "".into(), format!("hint: {hint}").into()]);
        std::iter::once([ok, self.what.into(), self.detail.as_str().into()]).chain(hint).collect()
    }
}

/// All of them, in the order in which they were looked at.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// It is as it must be.
    pub fn good(&mut self, what: &'static str, detail: impl Into<String>) {
        self.add(what, Some(true), detail.into(), None);
    }

    /// It stands in the way.
    pub fn bad(&mut self, what: &'static str, failure: Failure) {
        self.add(what, Some(false), failure.to_string(), failure.hint.clone());
        if let Some(finding) = self.0.last_mut() {
            finding.failure = Some(failure);
        }
    }

    /// As the look at it ended; `Ok` says what was found.
    pub fn found(&mut self, what: &'static str, looked: Result<impl Into<String>, Failure>) {
        match looked {
            Ok(detail) => self.good(what, detail),
            Err(failure) => self.bad(what, failure),
        }
    }

    /// It may be as it must be (`Some(true)`), or that can't be told (`None`), or only later; the copy goes on.
    pub fn add(&mut self, what: &'static str, ok: Option<bool>, detail: String, hint: Option<String>) {
        self.0.push(Finding { what, ok, detail, hint, failure: None });
    }

    /// Puts them into the document, and with `--check` into the account that people read.
    pub fn tell(&self, run: &mut Run) {
        run.fact("preflight", &self.0);
        if run.check() {
            let columns = [Column::text("OK"), Column::text("WHAT"), Column::words("FOUND")];
            run.show_table(&Table::new(columns, self.0.iter().flat_map(Finding::rows)));
        }
    }

    /// The failure, where anything stands in the way.
    #[must_use]
    pub fn failure(&self, of: &str) -> Option<Failure> {
        let mut failures: Vec<&Failure> = self.0.iter().filter_map(|finding| finding.failure.as_ref()).collect();
        failures.sort_by_key(|failure| gravity(failure.code));
        let gravest = *failures.first()?;
        if failures.len() == 1 {
            return Some(gravest.clone());
        }
        let all = Failure::new(
            gravest.code,
            format!("{} things stand in the way of {of}; nothing was touched", failures.len()),
        );
        let all = failures.iter().enumerate().fold(all, |all, (place, failure)| {
            // The first one's stands below them all.
            let hint = failure.hint.iter().filter(|_| place > 0).map(|hint| format!("\nhint: {hint}"));
            all.because(format!("{failure}{}", hint.collect::<String>()))
        });
        Some(Failure { hint: gravest.hint.clone(), ..all })
    }
}

/// What would be unsafe however often it is tried comes before what failed, and that before what is worth a retry.
fn gravity(code: Code) -> u8 {
    match code {
        Code::Usage => 0,
        Code::Refused => 1,
        Code::Failed => 2,
        Code::Upstream => 3,
        Code::GaveUp => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_alone_fails_as_itself() {
        let mut findings = Findings::default();
        findings.good("version", "15");
        findings.add("space", None, "who knows".into(), None);
        assert!(findings.failure("a copy").is_none());
        findings.bad("login", Failure::gave_up("no answer").because("refused").hint("pg_isready"));
        let failure = findings.failure("a copy").unwrap();
        assert_eq!((failure.code, failure.message.as_str()), (Code::GaveUp, "no answer"));
    }

    #[test]
    fn several_are_told_at_once_the_gravest_first() {
        let mut findings = Findings::default();
        findings.bad("login", Failure::gave_up("no answer").hint("pg_isready"));
        findings.bad("space", Failure::failed("no room").because("1 MB").hint("df"));
        findings.bad("mount points", Failure::refused("a mount point").hint("umount"));
        let failure = findings.failure("a copy").unwrap();
        assert_eq!((failure.code, failure.hint.as_deref()), (Code::Refused, Some("umount")));
        assert_eq!(failure.message, "3 things stand in the way of a copy; nothing was touched");
        assert_eq!(failure.causes, ["a mount point", "no room: 1 MB\nhint: df", "no answer\nhint: pg_isready"]);
    }
}
