//! A data directory whose data was given up for a copy, because its disk can't hold both: what is known of it until the
//! copy is there.
//!
//! What must always hold: the note is written and synced before anything is removed, and the control file goes first,
//! so that what is left can't be started and is never taken for a cluster.

use crate::failure::{Attempt, Failure};
use crate::{durable_file, journal};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "pg-runbook.given-up.json";
const CONTROL_FILE: &str = "global/pg_control";

/// The note in such a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// When that was begun, in RFC 3339.
    pub at: String,
    /// The system whose data it held.
    pub system_identifier: Option<String>,
    /// The server that ran before, and so has to run on the copy.
    pub server: Option<journal::Server>,
}

impl GivenUp {
    /// Of a directory whose data is gone; `None` also where it was only about to be given up.
    pub fn of(folder: &Path) -> Result<Option<Self>, Failure> {
        Ok(Self::announced(folder)?.filter(|_| !folder.join(CONTROL_FILE).exists()))
    }

    /// The note, whether or not anything was removed.
    pub fn announced(folder: &Path) -> Result<Option<Self>, Failure> {
        let file = folder.join(FILE);
        let Some(bytes) = durable_file::read(&file)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).attempt(|| format!("understand {}", file.display()))
    }

    /// Announces it, durably.
    pub fn announce(&self, folder: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).attempt(|| "write down that data is given up")?;
        durable_file::remove_unfinished(&folder.join(FILE))?;
        durable_file::replace(&folder.join(FILE), &text, 0o600).map(drop)
    }

    /// The first step: from here on the directory can't be started.
    pub fn remove_control_file(folder: &Path) -> Result<(), Failure> {
        durable_file::remove(&folder.join(CONTROL_FILE))?;
        durable_file::sync(&folder.join("global"))
    }

    /// Nothing was given up, or the copy is there.
    pub fn forget(folder: &Path) -> Result<(), Failure> {
        durable_file::remove_unfinished(&folder.join(FILE))?;
        durable_file::remove(&folder.join(FILE))
    }

    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("its data was given up at {} for a copy that has not come yet (--space replace)", self.at)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // The tests set their own scenery.
mod tests {
    use super::*;

    #[test]
    fn what_is_only_announced_is_not_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        std::fs::create_dir(data.join("global")).unwrap();
        std::fs::write(data.join(CONTROL_FILE), "").unwrap();
        let note = GivenUp { at: "2026-11-25T12:00:00Z".into(), system_identifier: Some("7".into()), server: None };
        note.announce(data).unwrap();
        assert_eq!((GivenUp::of(data).unwrap(), GivenUp::announced(data).unwrap()), (None, Some(note.clone())));
        GivenUp::remove_control_file(data).unwrap();
        assert_eq!(GivenUp::of(data).unwrap(), Some(note));
        GivenUp::forget(data).unwrap();
        assert_eq!(GivenUp::announced(data).unwrap(), None);
    }
}
