//! Edited files put into their places.
//!
//! What must always hold: a file is only replaced while it is what the plan was made from; of several files all are
//! replaced or none.

use pg_runbook::{Code, Failure, Run, durable_file};
use std::path::PathBuf;

/// One file, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its absolute path.
    pub path: PathBuf,
    /// What the plan was made from.
    pub before: Vec<u8>,
    /// What it is to be.
    pub after: Vec<u8>,
}

impl Edit {
    fn put(&self, from: &[u8], to: &[u8]) -> Result<(), Failure> {
        if durable_file::read(&self.path)?.as_deref() != Some(from) {
            return Err(Failure::new(Code::GaveUp, format!("{} was changed by somebody else", self.path.display()))
                .because("it is not what the plan was made from")
                .hint("run this again"));
        }
        durable_file::replace(&self.path, to, 0o600).map(|_| ())
    }

    /// Puts back what was there before.
    pub fn take_back(&self) -> Result<(), Failure> {
        self.put(&self.after, &self.before)
    }
}

/// Shows the differences where they were asked for, and replaces the files unless nothing is to be changed.
pub fn install(run: &mut Run, edits: &[Edit]) -> Result<(), Failure> {
    for edit in edits {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        run.show_difference(&edit.path.display().to_string(), &text(&edit.before), &text(&edit.after));
    }
    if run.check() {
        return Ok(());
    }
    for (index, edit) in edits.iter().enumerate() {
        if let Err(failure) = edit.put(&edit.before, &edit.after) {
            let put_back: Result<Vec<()>, Failure> = edits[..index].iter().map(Edit::take_back).collect();
            return Err(match put_back {
                Ok(_) => failure,
                Err(second) => failure.because(format!("and what was already done could not be undone: {second}")),
            });
        }
    }
    Ok(())
}
