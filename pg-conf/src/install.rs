//! Edited files put into their places, after what they were is kept for `undo`.
//!
//! What must always hold: with `--check` nothing is written; what the running server turns out not to load does not
//! stay.

use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::history::{History, What};
use pg_runbook::configuration::{Edit, edit};
use pg_runbook::document::Change;
use pg_runbook::{Failure, Run};

/// Files that are in place, and can be taken back while nobody else knows of them.
#[derive(Debug)]
pub struct Installed {
    history: History,
    step: u32,
    edits: Vec<Edit>,
}

impl Installed {
    /// Puts back what was there before; of the step nothing stays.
    pub fn take_back(&self) -> Result<(), Failure> {
        let back: Vec<Edit> = self.edits.iter().rev().map(Edit::reversed).collect();
        edit::put(&back)?;
        self.history.forget(self.step)
    }

    /// The same where the server could not be asked how it reads what was written: nothing stays that nobody has judged.
    pub fn take_back_unjudged(&self, failure: Failure) -> Failure {
        match self.take_back() {
            Ok(()) => failure.while_doing("the server was asked how it reads what was written; the old files are back"),
            Err(second) => failure.because(format!("and what was written could not be undone: {second}")),
        }
    }

    /// Takes up into the step what the server itself wrote for it.
    pub fn note(&self, edit: &Edit) -> Result<(), Failure> {
        self.history.amend(self.step, edit)
    }
}

/// Shows the differences where they were asked for, and replaces the files unless nothing is to be changed.
pub fn install(run: &mut Run, cluster: &Cluster, edits: &[Edit], what: What) -> Result<Option<Installed>, Failure> {
    for edit in edits {
        show(run, edit);
    }
    if run.check() {
        return Ok(None);
    }
    let history = History::of(cluster);
    let step = history.change(what, edits)?;
    Ok(step.map(|step| Installed { history, step, edits: edits.to_vec() }))
}

/// Shows a difference, where it was asked for.
pub fn show(run: &mut Run, edit: &Edit) {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    run.show_difference(&edit.path.display().to_string(), &text(&edit.before), &text(&edit.after));
}

/// What a run is about to do, as the history tells it.
pub fn what<'a>(run: &Run, changes: impl IntoIterator<Item = &'a Change>) -> What {
    let changes: Vec<&Change> = changes.into_iter().collect();
    What {
        tool: run.tool.to_owned(),
        action: run.document.action.clone(),
        changes: changes.iter().map(|change| (*change).clone().without_passwords().line(false)).collect(),
        restart: changes.iter().any(|change| change.context.as_deref() == Some("postmaster")),
        undoes: None,
    }
}
