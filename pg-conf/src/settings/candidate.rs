//! The files as they would be, for the server to judge before anything is written.
//!
//! What must always hold: the judge reads what the server would read afterwards, also where ALTER SYSTEM's entries are
//! to be taken back; nothing that the server reads now is touched.

use super::{Wanted, World};
use crate::settings::edits::Edited;
use pg_runbook::configuration::ALTER_SYSTEM_FILE;
use pg_runbook::configuration::judge::{self, Judge};
use pg_runbook::{Failure, durable_file};
use tempfile::{NamedTempFile, TempDir};

/// Gone when dropped.
pub struct Candidate {
    /// The server's parser over these files.
    pub judge: Judge,
    _file: NamedTempFile,
    _folder: Option<TempDir>,
}

impl Candidate {
    /// The cluster's configuration with what is wanted in it.
    pub fn of(world: &World, wanted: &[&Wanted]) -> Result<Self, Failure> {
        let mut edited = Edited::default();
        for one in wanted {
            match &one.value {
                Some(value) => edited.assign(&world.configuration, [(one.name.as_str(), value.as_str())])?,
                None => edited.remove(&world.configuration, &one.name)?,
            }
            if world.overriding {
                edited.take_back(&world.configuration, &one.name)?;
            }
        }
        let file = judge::candidate(&world.configuration, &edited.files)?;
        let judge = world.judge.over(file.path());
        let Some((_, rest)) = edited.alter_system else { return Ok(Self { judge, _file: file, _folder: None }) };
        let folder = judge::empty_folder()?;
        durable_file::replace(&folder.path().join(ALTER_SYSTEM_FILE), &rest.to_bytes(), 0o600)?;
        let judge = judge.with_alter_system_of(folder.path());
        Ok(Self { judge, _file: file, _folder: Some(folder) })
    }
}
