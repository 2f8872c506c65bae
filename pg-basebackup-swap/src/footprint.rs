//! What a copy on its way has outside its own folder: the folders that it fills, and the replication slot that was made
//! for it. It is written down beside the data directory (`X.outside.json`), for the run after one that is killed.
//!
//! What must always hold: a folder is written down before it is filled, and a slot as soon as it is made and never one
//! that was there; where nothing is under way, nothing is written down.

use crate::places::{self, Places};
use pg_runbook::{Attempt, Failure, durable_file};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Footprint {
    /// The folders that are filled, or that are to be emptied.
    pub folders: Vec<PathBuf>,
    /// The slot that was made.
    pub slot: Option<MadeSlot>,
}

/// A slot, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeSlot {
    /// Its name.
    pub name: String,
    /// The address of the primary that it was made on.
    pub primary: String,
}

impl Footprint {
    /// What an earlier run wrote down.
    pub fn of(places: &Places) -> Result<Self, Failure> {
        let note = note(places);
        let Some(bytes) = durable_file::read(&note)? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).attempt(|| format!("understand {}", note.display()))
    }

    /// Writes it down.
    pub fn write(&self, places: &Places) -> Result<(), Failure> {
        let note = note(places);
        if self.folders.is_empty() && self.slot.is_none() {
            return if note.exists() { places::in_parent(places, || durable_file::remove(&note)) } else { Ok(()) };
        }
        let text = serde_json::to_vec_pretty(self).attempt(|| format!("write {}", note.display()))?;
        // In a folder of root's the owner reads it too.
        places::in_parent(places, || durable_file::replace(&note, &text, 0o644)).map(drop)
    }
}

/// Writes down which folders a copy fills, or which are to be emptied.
pub fn fills(places: &Places, folders: &[PathBuf]) -> Result<(), Failure> {
    Footprint { folders: folders.to_vec(), ..Footprint::of(places)? }.write(places)
}

/// Writes down which slot was made; `None` where it is gone, or somebody's own by now.
pub fn made(places: &Places, slot: Option<MadeSlot>) -> Result<(), Failure> {
    Footprint { slot, ..Footprint::of(places)? }.write(places)
}

fn note(places: &Places) -> PathBuf {
    places.incoming().with_extension("outside.json")
}
