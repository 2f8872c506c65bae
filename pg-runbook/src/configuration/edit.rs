//! Configuration files put into their places, each as it was and as it is to be.
//!
//! What must always hold: a file is only replaced while it is what the plan was made from; of several files all are
//! replaced or none.

use crate::durable_file;
use crate::failure::{Code, Failure};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One file, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its absolute path.
    pub path: PathBuf,
    /// What the plan was made from; nothing where there was no such file.
    pub before: Option<Vec<u8>>,
    /// What it is to be; nothing where it is to go.
    pub after: Option<Vec<u8>>,
}

impl Edit {
    /// The edit that takes this one back.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { path: self.path.clone(), before: self.after.clone(), after: self.before.clone() }
    }

    fn put(&self) -> Result<(), Failure> {
        if durable_file::read(&self.path)? != self.before {
            return Err(Failure::new(Code::GaveUp, format!("{} was changed by somebody else", self.path.display()))
                .because("it is not what the plan was made from")
                .hint("run this again"));
        }
        match &self.after {
            Some(bytes) => durable_file::replace(&self.path, bytes, mode_of_new(&self.path)).map(drop),
            None => durable_file::remove(&self.path),
        }
    }
}

/// A new file is as private as its folder: others may read it where they may list it.
fn mode_of_new(path: &Path) -> u32 {
    let folder = path.parent().and_then(|folder| folder.metadata().ok());
    folder.map_or(0o600, |folder| folder.mode() & 0o644)
}

/// Puts every edit in place, or none.
pub fn put(edits: &[Edit]) -> Result<(), Failure> {
    for (index, edit) in edits.iter().enumerate() {
        if let Err(failure) = edit.put() {
            let put_back: Result<Vec<()>, Failure> =
                edits[..index].iter().rev().map(|edit| edit.reversed().put()).collect();
            return Err(match put_back {
                Ok(_) => failure,
                Err(second) => failure.because(format!("and what was already done could not be undone: {second}")),
            });
        }
    }
    Ok(())
}
