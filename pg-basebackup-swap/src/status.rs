//! What lies where: the data directory, copies, kept directories, leftovers, and what was begun and not ended. Changes
//! nothing.

use crate::marker::Marker;
use crate::notes::{Installed, Kept, Note};
use crate::outside;
use crate::places::Places;
use crate::size::size;
use pg_runbook::cluster::{major_of, programs, system_identifier};
use pg_runbook::invocation::Invocation;
use pg_runbook::{Failure, GivenUp, Journal, Run};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const KEPT: &str = "kept old directory";

/// One folder beside the data directory, or itself.
#[derive(Debug, Serialize)]
struct Folder {
    what: &'static str,
    directory: PathBuf,
    bytes: u64,
    age_seconds: u64,
    system_identifier: Option<String>,
    timeline: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<Marker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<Installed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Kept>,
}

/// `pg-basebackup-swap status`
pub fn status(run: &mut Run) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let places = Places::of(&cluster)?;
    let mut folders = vec![look("data directory", &places.data)?];
    for (what, found) in [
        ("copy being fetched, or cut off", places.partial()),
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
    for folder in &folders {
        run.account(folder.line());
    }
    let kept = folders.iter().filter(|folder| folder.what == KEPT).count();
    run.message(match kept {
        0 => format!("{} has no old directory beside it", cluster.title()),
        1 => format!("{} has 1 old directory beside it", cluster.title()),
        _ => format!("{} has {kept} old directories beside it", cluster.title()),
    });
    if let Some(journal) = Journal::of(&places.data)? {
        run.warn(format!("{}; the next run ends it, a commit too", journal.describe()));
        run.fact("journal", &journal);
    }
    if let Some(given_up) = GivenUp::of(&places.data)? {
        run.warn(format!("{} can't be started: {}", cluster.title(), given_up.describe()));
        run.fact("given_up", &given_up);
    }
    run.fact("directories", &folders);
    Ok(())
}

impl Folder {
    /// As people read it.
    fn line(&self) -> String {
        let timeline = self.timeline.map_or_else(String::new, |number| format!("timeline {number}"));
        format!(
            "{:>8} MB  {:>7}  {:<11}  {:<31} {}",
            self.bytes / 1_000_000,
            age(self.age_seconds),
            timeline,
            self.what,
            self.directory.display()
        )
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
