//! What lies where: the data directory, copies, kept directories, leftovers, and what was begun and not ended. Changes
//! nothing.

use crate::marker::Marker;
use crate::notes::{Installed, Kept, Note};
use crate::outside;
use crate::places::Places;
use crate::size::size;
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::cluster::{major_of, programs, system_identifier};
use pg_runbook::document::SYSTEM_IDENTIFIER;
use pg_runbook::invocation::Invocation;
use pg_runbook::{Failure, GivenUp, Journal, Run};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const COLUMNS: [Column; 5] = [
    Column::words("WHAT"),
    Column::number("SIZE"),
    Column::number("AGE"),
    Column::number("TIMELINE").least(),
    Column::path("DIRECTORY"),
];
const KEPT: &str = "kept old directory";

/// The data directory, or a folder beside it, as the document has it under `directories`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Directory")]
pub struct Folder {
    /// What it is. The list may grow.
    #[schemars(extend("examples" = [
        "data directory", "copy being fetched, or cut off: commit removes it", "copy to be installed", "copy not installed",
        "kept old directory", "taken out by a rollback", "half removed: commit goes on",
    ]))]
    what: &'static str,
    /// Where it is.
    directory: PathBuf,
    /// Its size in bytes, with that of its tablespaces and its write-ahead log elsewhere.
    bytes: u64,
    /// For how many seconds it has been what it is.
    age_seconds: u64,
    /// Which system's data it holds, in decimal digits; null where its control file can't be read.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    system_identifier: Option<String>,
    /// The timeline of its last checkpoint; null where that can't be told.
    timeline: Option<u32>,
    /// Of a copy: what it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<Marker>,
    /// Of a data directory that a swap or a rollback put in place: how it got there.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<Installed>,
    /// Of a directory that went out: why it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
}

/// A change of directories that was begun and not ended, as the document has it under `journal`.
#[derive(Serialize, JsonSchema)]
pub struct UnfinishedChange {
    /// The verb that began it, such as `swap`.
    verb: String,
    /// When, in RFC 3339.
    begun_at: String,
    /// Whether it was being taken back.
    back: bool,
    /// The name, beside the data directory, of the directory that goes out.
    old_goes_to: String,
    /// The name that the directory that comes in had there.
    new_comes_from: String,
    /// The system that the new directory is to stream from, in decimal digits.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    system_identifier: String,
    /// The timeline that it is to stream, at least.
    timeline: u32,
}

impl From<Journal> for UnfinishedChange {
    fn from(journal: Journal) -> Self {
        let Journal { verb, begun_at, back, old_goes_to, new_comes_from, system_identifier, timeline, .. } = journal;
        Self { verb, begun_at, back, old_goes_to, new_comes_from, system_identifier, timeline }
    }
}

/// Data that was given up for a copy that has not come yet, as the document has it under `given_up`.
#[derive(Serialize, JsonSchema)]
pub struct GivenUpData {
    /// When that was begun, in RFC 3339.
    at: String,
    /// Which system's data it was, in decimal digits; null where that wasn't known.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    system_identifier: Option<String>,
    /// Whether a server ran before, so that one will run on the copy.
    server_ran: bool,
}

impl From<GivenUp> for GivenUpData {
    fn from(note: GivenUp) -> Self {
        Self { at: note.at, system_identifier: note.system_identifier, server_ran: note.server.is_some() }
    }
}

/// `pg-basebackup-swap status`
pub fn status(run: &mut Run) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let places = Places::of(&cluster)?;
    let mut folders = vec![look("data directory", &places.data)?];
    for (what, found) in [
        ("copy being fetched, or cut off: commit removes it", places.partial()),
        ("copy to be installed", Some(places.incoming()).filter(|folder| folder.exists()).into_iter().collect()),
        (KEPT, places.kept()),
        ("taken out by a rollback", places.rolled_back()),
        ("half removed: commit goes on", places.going()),
    ] {
        for folder in found {
            let what = if what == KEPT && Marker::of(&folder)?.is_some() { "copy not installed" } else { what };
            folders.push(look(what, &folder)?);
        }
    }
    run.show_table(&Table::new(COLUMNS, folders.iter().map(Folder::row)));
    let kept = folders.iter().filter(|folder| folder.what == KEPT).count();
    run.message(match kept {
        0 => format!("{} has no old directory beside it", cluster.title()),
        1 => format!("{} has 1 old directory beside it", cluster.title()),
        _ => format!("{} has {kept} old directories beside it", cluster.title()),
    });
    if let Some(journal) = Journal::of(&places.data)? {
        run.warn(format!("{}; the next run ends it, a commit too", journal.describe()));
        run.fact("journal", &UnfinishedChange::from(journal));
    }
    if let Some(given_up) = GivenUp::of(&places.data)? {
        run.warn(format!("{} can't be started: {}", cluster.title(), given_up.describe()));
        run.fact("given_up", &GivenUpData::from(given_up));
    }
    run.fact("directories", &folders);
    Ok(())
}

impl Folder {
    /// As people read it.
    fn row(&self) -> [Cell; 5] {
        [
            self.what.into(),
            format!("{} MB", self.bytes / 1_000_000).into(),
            age(self.age_seconds).into(),
            self.timeline.map(|number| number.to_string()).unwrap_or_default().into(),
            self.directory.display().to_string().into(),
        ]
    }
}

/// The two largest units are enough.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

fn look(what: &'static str, directory: &Path) -> Result<Folder, Failure> {
    let (copy, installed, kept) = (Marker::of(directory)?, Installed::of(directory)?, Kept::of(directory)?);
    let told = [
        kept.as_ref().map(|note| &note.at),
        copy.as_ref().map(|note| &note.fetched_at),
        installed.as_ref().map(|note| &note.at),
    ];
    let since = told.into_iter().flatten().find_map(|at| humantime::parse_rfc3339(at).ok());
    let since = since.or_else(|| std::fs::metadata(directory).and_then(|found| found.modified()).ok());
    let age = since.and_then(|since| SystemTime::now().duration_since(since).ok()).unwrap_or_default();
    Ok(Folder {
        what,
        bytes: size(directory) + outside::links(directory).iter().map(outside::size_of).sum::<u64>(),
        age_seconds: age.as_secs(),
        system_identifier: system_identifier(directory),
        timeline: timeline(directory),
        copy,
        installed,
        kept,
        directory: directory.to_owned(),
    })
}

/// The timeline of the last checkpoint, where the server's own `pg_controldata` is there to tell.
fn timeline(directory: &Path) -> Option<u32> {
    let program = programs::server(major_of(directory)?, "pg_controldata").ok()?;
    let said = Invocation::new(program).arg(directory).run().ok()?.stdout;
    let line = said.lines().find_map(|line| line.strip_prefix("Latest checkpoint's TimeLineID:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_units_that_people_use() {
        let told = [59, 60, 3_599, 3_660, 90_000].map(age);
        assert_eq!(told, ["59s", "1m", "59m", "1h 1m", "1d 1h"]);
    }
}
