//! The note in a complete copy that says what it is; taken out once the copy is installed.
//!
//! What must always hold: only a folder with this note counts as a copy. An old data directory that stands under a
//! copy's name, because a run was killed in between, is told from it by the lack of one.

use crate::notes::{Installed, Kept, Mapped, Note};
use pg_runbook::cluster::plain;
use pg_runbook::document::SYSTEM_IDENTIFIER;
use pg_runbook::{Attempt, Failure, durable_file};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a copy is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Copy")]
pub struct Marker {
    /// The primary's system identifier, in decimal digits.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    pub system_identifier: String,
    /// The timeline it wrote when the copy began.
    pub timeline: u32,
    /// Where it was fetched from.
    pub source: String,
    /// When it was complete, in RFC 3339.
    pub fetched_at: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where its tablespaces will be, and where the primary has them.
    #[serde(default)]
    pub tablespaces: Vec<Mapped>,
    /// Which tablespaces the cluster itself had when the copy began, such as `pg_tblspc/16384`.
    #[serde(default)]
    pub tablespaces_then: Vec<String>,
    /// Whether its configuration is the primary's, and not the standby's own.
    #[serde(default)]
    pub has_primarys_configuration: bool,
    /// Whether a server ran on it once: then it is past its `backup_label`.
    #[serde(default)]
    pub started: bool,
}

fn file(folder: &Path) -> PathBuf {
    folder.join(plain::STAGED_NOTE)
}

impl Marker {
    /// Puts the note into a copy.
    pub fn put(&self, folder: &Path) -> Result<(), Failure> {
        // A primary that once was a standby may have notes of its own, which came along.
        Installed::take_out(folder)?;
        Kept::take_out(folder)?;
        let text = serde_json::to_vec_pretty(self).attempt(|| "write a copy's note")?;
        durable_file::remove_unfinished(&file(folder))?;
        durable_file::replace(&file(folder), &text, 0o600).map(drop)
    }

    /// Says that a server ran on a copy: it is past its `backup_label`, which a copy otherwise has to have.
    pub fn remember_that_a_server_ran(copy: &Path) -> Result<(), Failure> {
        match Self::of(copy)?.filter(|marker| !marker.started) {
            Some(marker) => Self { started: true, ..marker }.put(copy),
            None => Ok(()),
        }
    }

    /// Reads the note, where there is one.
    pub fn of(folder: &Path) -> Result<Option<Self>, Failure> {
        let Some(bytes) = durable_file::read(&file(folder))? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).attempt(|| format!("understand {}", file(folder).display()))
    }

    /// Takes the note out.
    pub fn take_out(folder: &Path) -> Result<(), Failure> {
        durable_file::remove_unfinished(&file(folder))?;
        durable_file::remove(&file(folder))
    }
}
