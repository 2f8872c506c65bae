//! What a data directory has outside: tablespaces, and a write-ahead log elsewhere. They keep their locations: a copy's
//! come beside them, on the same file system, and change places while neither server runs.
//!
//! What must always hold: a directory whose links don't lead to its own folders can't be started, for its control file
//! has another name meanwhile; each step can be taken again, whichever it was cut off at. Root renames in the owner's
//! stead only what is the owner's.

use crate::exchange;
use crate::fetch::size;
use crate::places::Places;
use pg_runbook::cluster::plain;
use pg_runbook::invocation::shell_word;
use pg_runbook::journal::{self, Journal, Outside};
use pg_runbook::{Attempt, Failure, durable_file, owner};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// A link that leads out of a data directory: its name there, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Such as `pg_tblspc/16384`, or `pg_wal`.
    pub name: String,
    /// The folder.
    pub location: PathBuf,
}

impl Link {
    /// Whether it is the write-ahead log's.
    #[must_use]
    pub fn is_wal(&self) -> bool {
        self.name == WAL
    }
}

const WAL: &str = "pg_wal";
/// Where a data directory's links to its tablespaces are.
pub const TABLESPACES: &str = "pg_tblspc";
const CONTROL_FILE: &str = "global/pg_control";
const CONTROL_FILE_AWAY: &str = "global/pg_control.pg-runbook";

/// The links of a directory, in order; as they are written, not as they end.
#[must_use]
pub fn links(folder: &Path) -> Vec<Link> {
    let tablespaces = std::fs::read_dir(folder.join(TABLESPACES)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        tablespaces.map(|entry| format!("{TABLESPACES}/{}", entry.file_name().to_string_lossy())).collect();
    names.sort();
    names.push(WAL.into());
    let link = |name: String| std::fs::read_link(folder.join(&name)).ok().map(|location| Link { name, location });
    names.into_iter().filter_map(link).collect()
}

/// Where a copy's tablespace comes before it is in place: inside the location, which is the owner's on any layout, also
/// where it is a mount point. Of a write-ahead log: beside it.
#[must_use]
pub fn staged(places: &Places, link: &Link, stamp: &str) -> PathBuf {
    if link.is_wal() {
        let mut name = link.location.file_name().unwrap_or_default().to_owned();
        name.push(format!("{MARK}{stamp}"));
        return link.location.with_file_name(name);
    }
    let name = places.data.file_name().unwrap_or_default().to_string_lossy();
    link.location.join(format!("{name}{MARK}{stamp}"))
}

const MARK: &str = ".pg-runbook-";

/// Whether a folder is one that waits beside a location.
#[must_use]
pub fn is_staged(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().contains(MARK))
}

/// The location that something staged is for; `None` where it is in a place of its own.
pub fn location_of(link: &Link) -> Option<PathBuf> {
    let name = link.location.file_name()?.to_str()?;
    let (before, _) = name.split_once(MARK)?;
    let parent = link.location.parent()?;
    Some(if link.is_wal() { parent.join(before) } else { parent.to_owned() })
}

/// What changes places when `new` comes in for `old`.
pub fn between(old: &Path, new: &Path) -> Result<Vec<Outside>, Failure> {
    let of_old = links(old);
    let mut found = Vec::new();
    for link in links(new) {
        let Some(location) = location_of(&link) else { continue };
        let inside = if link.is_wal() { None } else { Some(version_folder(&link.location)?) };
        let at = |folder: &Path| inside.as_ref().map_or_else(|| folder.to_owned(), |name| folder.join(name));
        let ids = (journal::inode(&at(&location)), journal::inode(&at(&link.location)));
        let (Some(old), Some(new)) = ids else {
            return Err(Failure::refused(format!("{} can't be put in place", link.location.display()))
                .because(format!("there is nothing at {} that it could change places with", at(&location).display()))
                .hint("a new copy: pg-basebackup-swap run"));
        };
        let old_link = of_old.iter().find(|old| old.location == location).map(|old| old.name.clone());
        found.push(Outside { location, beside: link.location, inside, old, new, old_link, new_link: link.name });
    }
    Ok(found)
}

/// Such as `PG_15_202209061`: the one folder of a staged tablespace.
fn version_folder(staged: &Path) -> Result<String, Failure> {
    let doing = || format!("look into the tablespace {}", staged.display());
    let names = std::fs::read_dir(staged).attempt(doing)?.flatten().map(|entry| entry.file_name());
    let mut names = names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("PG_"));
    names.next().ok_or_else(|| Failure::failed(doing()).because("it has no folder of a version"))
}

/// What lies there of this directory's own; beside a tablespace's folder there may be somebody else's.
#[must_use]
pub fn size_of(link: &Link) -> u64 {
    if link.is_wal() {
        return size(&link.location);
    }
    version_folder(&link.location).map_or(0, |name| size(&link.location.join(name)))
}

/// Removes what a link leads to, and leaves the folder itself.
pub fn empty(link: &Link) -> Result<(), Failure> {
    if !link.location.exists() {
        return Ok(());
    }
    if link.is_wal() {
        return durable_file::empty_folder(&link.location);
    }
    match version_folder(&link.location) {
        Ok(name) => durable_file::remove_tree(&link.location.join(name)),
        // It is empty already.
        Err(_) => Ok(()),
    }
}

/// Which of the two directories is to have the locations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that was in place before.
    Old,
    /// The one that comes in.
    New,
}

/// Gives one of the two directories the locations; the old one can't be started until [`make_startable`]. Does nothing
/// where nothing is outside.
pub fn give(places: &Places, journal: &Journal, side: Side) -> Result<(), Failure> {
    if journal.outside.is_empty() {
        return Ok(());
    }
    let find = |wanted: u64| {
        journal.find(&places.data, wanted).ok_or_else(|| Failure::failed("find the directories of the exchange"))
    };
    let (old, new) = (find(journal.old)?, find(journal.new)?);
    if old.join(CONTROL_FILE).exists() {
        durable_file::rename(&old.join(CONTROL_FILE), &old.join(CONTROL_FILE_AWAY))?;
    }
    for part in &journal.outside {
        part_to(part, &old, &new, side)?;
    }
    Ok(())
}

fn part_to(part: &Outside, old: &Path, new: &Path, side: Side) -> Result<(), Failure> {
    let at = |folder: &PathBuf| part.inside.as_ref().map_or_else(|| folder.clone(), |name| folder.join(name));
    let (location, beside) = (at(&part.location), at(&part.beside));
    let (wanted, other) = match side {
        Side::Old => (part.old, part.new),
        Side::New => (part.new, part.old),
    };
    in_folder_above(&location, || exchange::arrange(&location, &beside, wanted, other))?;
    let (of_old, of_new) = match side {
        Side::Old => (&part.location, &part.beside),
        Side::New => (&part.beside, &part.location),
    };
    if let Some(link) = &part.old_link {
        lead(&old.join(link), of_old)?;
    }
    lead(&new.join(&part.new_link), of_new)
}

/// The old directory has its control file back: its links lead to what is its own.
pub fn make_startable(folder: &Path) -> Result<(), Failure> {
    let away = folder.join(CONTROL_FILE_AWAY);
    if away.exists() { durable_file::rename(&away, &folder.join(CONTROL_FILE)) } else { Ok(()) }
}

/// Has a link lead elsewhere, in one step.
fn lead(link: &Path, to: &Path) -> Result<(), Failure> {
    let beside = link.with_extension("pg-runbook");
    // What a run that was cut off here left.
    durable_file::remove(&beside)?;
    if std::fs::read_link(link).is_ok_and(|leads| leads == to) {
        return Ok(());
    }
    symlink(to, &beside).attempt(|| format!("make the link {}", beside.display()))?;
    durable_file::rename(&beside, link)
}

/// Work in the folder above, as the owner where the owner may, else as root on what is the owner's.
pub fn in_folder_above<T>(folder: &Path, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let above = folder.parent().unwrap_or(Path::new("/"));
    if owner::may_write(above) {
        return work();
    }
    let denied = Failure::failed(format!("work in {}: permission denied", above.display()));
    let owners = owner::acting().is_some_and(|owner| {
        std::fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() == owner.uid.as_raw())
    });
    if owners { durable_file::in_the_owners_stead(folder, denied, work) } else { Err(denied) }
}

/// Whether a write-ahead log elsewhere can change places with another one beside it.
pub fn refuse_an_immovable_wal(link: &Link) -> Result<(), Failure> {
    let location = &link.location;
    let refused = |why: String| {
        Err(Failure::refused(format!("the write-ahead log can't keep its place: {}", location.display()))
            .because(why)
            .hint("say where the copy's goes: --waldir DIRECTORY (a new one: the old one's is kept with the old data)"))
    };
    if plain::is_mount_point(location) {
        return refused("it is a mount point, which can't change places with another folder".into());
    }
    let above = location.parent().unwrap_or(Path::new("/"));
    let reachable = owner::may_write(above)
        || owner::started_by_root() && owner::as_started(|| Ok(durable_file::only_root_leads_to(location)))?;
    if reachable {
        return Ok(());
    }
    refused(format!("nothing can be put beside it: its owner may not write into {}", shell_word(above.as_os_str())))
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
