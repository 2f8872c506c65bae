//! What a data directory has outside: tablespaces, and a write-ahead log elsewhere. They keep their locations: a copy's
//! come beside them, on the same file system, and change places while neither server runs.
//!
//! What must always hold: a directory whose links don't lead to its own folders can't be started, for its control file
//! has another name meanwhile; each step can be taken again, whichever it was cut off at. Root renames in the owner's
//! stead only what is the owner's.

use crate::exchange;
use crate::places::Places;
use crate::size::size;
use pg_runbook::cluster::{major_of, plain};
use pg_runbook::invocation::shell_word;
use pg_runbook::journal::{self, BESIDE_MARK as MARK, Journal, Outside};
use pg_runbook::{Attempt, Failure, durable_file, owner};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// A link that leads out of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Such as `pg_tblspc/16384`, or `pg_wal`.
    pub name: String,
    /// What stands in it, which may be relative, or lead over other links.
    pub written: PathBuf,
    /// Where it ends.
    pub location: PathBuf,
    /// The major version of its data directory, whose own folder in a tablespace it is about.
    major: u32,
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

/// The links of a directory, in order.
#[must_use]
pub fn links(folder: &Path) -> Vec<Link> {
    let major = major_of(folder).unwrap_or_default();
    let mut names = tablespaces(folder);
    names.push(WAL.into());
    let link = |name: String| {
        let path = folder.join(&name);
        let written = std::fs::read_link(&path).ok()?;
        let beside = path.parent().unwrap_or(folder);
        let location = std::fs::canonicalize(&path).unwrap_or_else(|_| beside.join(&written));
        Some(Link { name, written, location, major })
    };
    names.into_iter().filter_map(link).collect()
}

/// The names of a directory's tablespaces, such as `pg_tblspc/16384`, in order.
#[must_use]
pub fn tablespaces(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(TABLESPACES)).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = numbers.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let mut names: Vec<String> = numbers.map(|number| format!("{TABLESPACES}/{number}")).collect();
    names.sort();
    names
}

/// Two directories must not lead to one folder: what one of them replays there, the other one has lost.
pub fn refuse_what_is_shared(one: &Path, other: &Path) -> Result<(), Failure> {
    let theirs = links(other);
    let shared = links(one).into_iter().find(|link| theirs.iter().any(|their| their.location == link.location));
    let Some(link) = shared else { return Ok(()) };
    Err(Failure::refused(format!(
        "{} and {} lead to one folder: {}",
        one.display(),
        other.display(),
        link.location.display()
    ))
    .because("what a server on one of them does there, the other one would have lost")
    .hint("a new copy: pg-basebackup-swap run"))
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
        let inside = if link.is_wal() { None } else { Some(version_folder(&link)?) };
        let at = |folder: &Path| inside.as_ref().map_or_else(|| folder.to_owned(), |name| folder.join(name));
        let its = journal::inode(&at(&link.location)).ok_or_else(|| {
            Failure::failed(format!("look at {}", at(&link.location).display())).because("it is not there")
        })?;
        let taken = of_old.iter().find(|old| old.location == location);
        found.push(Outside {
            // Where a tablespace was dropped, or its data given up, nothing has to go out.
            old: journal::inode(&at(&location)),
            new: its,
            written: taken.map_or_else(|| location.clone(), |taken| taken.written.clone()),
            old_link: taken.map(|taken| taken.name.clone()),
            new_link: link.name,
            beside: link.location,
            location,
            inside,
        });
    }
    Ok(found)
}

/// Such as `PG_15_202209061`: this version's own folder in a tablespace.
fn version_folder(link: &Link) -> Result<String, Failure> {
    let doing = || format!("look into the tablespace {}", link.location.display());
    let names = std::fs::read_dir(&link.location).attempt(doing)?.flatten().map(|entry| entry.file_name());
    let start = format!("PG_{}_", link.major);
    let mut names = names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with(&start));
    names.next().ok_or_else(|| Failure::failed(doing()).because(format!("it has no folder {start}…")))
}

/// What lies there of this directory's own; beside a tablespace's folder there may be somebody else's.
#[must_use]
pub fn size_of(link: &Link) -> u64 {
    if link.is_wal() {
        return size(&link.location);
    }
    version_folder(link).map_or(0, |name| size(&link.location.join(name)))
}

/// Removes what a link leads to, and leaves the folder itself.
pub fn empty(link: &Link) -> Result<(), Failure> {
    if !link.location.exists() {
        return Ok(());
    }
    if link.is_wal() {
        return durable_file::empty_folder(&link.location);
    }
    match version_folder(link) {
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
    in_folder_above(&location, &[&location, &beside], || match (part.old, side) {
        (Some(old), Side::Old) => exchange::arrange(&location, &beside, old, part.new),
        (Some(old), Side::New) => exchange::arrange(&location, &beside, part.new, old),
        (None, Side::Old) => exchange::move_if_it_is(&location, &beside, part.new),
        (None, Side::New) => exchange::move_if_it_is(&beside, &location, part.new),
    })?;
    let (of_old, of_new) = match side {
        Side::Old => (&part.written, &part.beside),
        Side::New => (&part.beside, &part.written),
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

/// Work in the folder above, as the owner where the owner may, else as root where all that it is done to is the owner's.
pub fn in_folder_above<T>(
    folder: &Path,
    done_to: &[&Path],
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let above = folder.parent().unwrap_or(Path::new("/"));
    if owner::may_write(above) {
        return work();
    }
    let denied = Failure::failed(format!("work in {}: permission denied", above.display()));
    let is_there = |path: &&&Path| std::fs::symlink_metadata(path).is_ok();
    if done_to.iter().filter(is_there).all(|path| is_the_owners(path)) {
        return durable_file::in_the_owners_stead(folder, denied, work);
    }
    Err(denied)
}

/// Whether it is a folder, no link, of the user that the tool acts as.
fn is_the_owners(folder: &Path) -> bool {
    let uid = owner::acting().map(|owner| owner.uid.as_raw());
    std::fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && uid.is_none_or(|uid| found.uid() == uid))
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
    if !is_the_owners(location) {
        return refused("it is not a folder of the server's owner".into());
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
