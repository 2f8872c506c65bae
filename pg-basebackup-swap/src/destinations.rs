//! The folders that the copy is written to besides the data directory: its write-ahead log's and its tablespaces'.
//!
//! What must always hold: a folder that holds anything is refused before anything is copied, unless it is what an
//! earlier copy left, which is removed first; a folder that another data directory uses is never emptied.

use crate::args::FetchArguments;
use crate::places::{self, Places};
use crate::room::{Part, Size, Teller, nearest};
use pg_runbook::invocation::shell_word;
use pg_runbook::{Attempt, Cluster, Failure, durable_file, owner};
use std::path::{Path, PathBuf};

/// Where the parts of the copy go, the data directory's first.
#[must_use]
pub fn parts(places: &Places, arguments: &FetchArguments, size: Option<&Size>) -> Vec<Part> {
    let part = |what: String, folder: &Path, bytes| Part { what, folder: folder.to_owned(), bytes };
    let mut parts = vec![part("the data directory".into(), places.parent(), size.and_then(Size::data))];
    if let Some(folder) = &arguments.waldir {
        parts.push(part("the write-ahead log".into(), &absolute(folder), None));
    }
    let told = size.filter(|size| size.teller == Teller::Primary).map_or(&[][..], |size| &size.tablespaces);
    for mapping in &arguments.tablespace_mapping {
        let bytes = told.iter().find(|(location, _)| *location == mapping.old).and_then(|(_, bytes)| *bytes);
        parts.push(part(format!("the tablespace {}", mapping.old.display()), &mapping.new, bytes));
    }
    let stays = |old: &Path| !arguments.tablespace_mapping.iter().any(|mapping| mapping.old == old);
    for (location, bytes) in told.iter().filter(|(location, _)| stays(location)) {
        parts.push(part(format!("the tablespace {}", location.display()), location, *bytes));
    }
    parts
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Whether the write-ahead log's and each tablespace's folder can be written; `Ok` names them.
#[must_use]
pub fn check(cluster: &Cluster, places: &Places, parts: &[Part]) -> Vec<Result<String, Failure>> {
    let leftovers = match leftovers(places) {
        Ok(leftovers) => leftovers,
        Err(failure) => return vec![Err(failure)],
    };
    parts.iter().skip(1).map(|part| look(cluster, places, part, &leftovers)).collect()
}

fn look(cluster: &Cluster, places: &Places, part: &Part, leftovers: &[PathBuf]) -> Result<String, Failure> {
    let folder = &part.folder;
    let way_out = if part.what.starts_with("the tablespace") {
        format!("name a new one: --tablespace-mapping {}=NEWDIR", part.what.trim_start_matches("the tablespace "))
    } else {
        "name a new one: --waldir DIRECTORY".into()
    };
    let refused = |message: String| Err(Failure::refused(message).hint(way_out.clone()));
    let there = nearest(folder);
    let real = std::fs::canonicalize(there).unwrap_or_else(|_| there.to_owned());
    if real.starts_with(&places.data) {
        return refused(format!(
            "the folder for {} lies inside the old data directory: {}",
            part.what,
            folder.display()
        ));
    }
    let holds_something = there == folder
        && !leftovers.contains(&real)
        && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something {
        return refused(format!("the folder for {} is not empty: {}", part.what, folder.display()));
    }
    if !there.is_dir() {
        return refused(format!("the folder for {} can't be made: {} is no folder", part.what, there.display()));
    }
    if !owner::may_write(there) {
        let (mine, path) = (shell_word(cluster.owner.as_ref()), shell_word(folder.as_os_str()));
        return Err(Failure::refused(format!("{} may not write into {}", cluster.owner, there.display()))
            .because(format!("{} is to go to {}", part.what, folder.display()))
            .hint(format!("sudo install -d -m 700 -o {mine} {path}; or {way_out}")));
    }
    Ok(format!("{} goes to {}", part.what, folder.display()))
}

/// What mappings name, and the primary has not: `pg_basebackup` would pass it by without a word.
pub fn unknown_mapping(arguments: &FetchArguments, size: Option<&Size>) -> Result<(), Failure> {
    let Some(size) = size.filter(|size| size.teller == Teller::Primary) else { return Ok(()) };
    let known: Vec<String> = size.tablespaces.iter().map(|(location, _)| location.display().to_string()).collect();
    for mapping in &arguments.tablespace_mapping {
        if !size.tablespaces.iter().any(|(location, _)| *location == mapping.old) {
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(Failure::refused(format!("the primary has no tablespace at {}", mapping.old.display()))
                .because(format!("it has {known}"))
                .hint("on the primary: psql -c '\\db'"));
        }
    }
    Ok(())
}

/// The folders outside that a copy's links lead to: its write-ahead log and its tablespaces.
#[must_use]
pub fn outside(copy: &Path) -> Vec<PathBuf> {
    let tablespaces = std::fs::read_dir(copy.join("pg_tblspc")).into_iter().flatten().flatten();
    let links = std::iter::once(copy.join("pg_wal")).chain(tablespaces.map(|entry| entry.path()));
    links.filter(|link| link.is_symlink()).filter_map(|link| std::fs::canonicalize(link).ok()).collect()
}

/// What is filled for the copy on its way, written down before: until its last file has come, its links don't tell.
fn note(places: &Places) -> PathBuf {
    places.incoming().with_extension("outside.json")
}

/// Writes down which folders outside a copy fills, or which are to be emptied.
pub fn write_down(places: &Places, folders: &[PathBuf]) -> Result<(), Failure> {
    if folders.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_vec_pretty(folders).attempt(|| "write down where a copy goes")?;
    // In a folder of root's the owner reads it too.
    places::in_parent(places, || durable_file::replace(&note(places), &text, 0o644)).map(drop)
}

fn written_down(places: &Places) -> Result<Vec<PathBuf>, Failure> {
    let Some(bytes) = durable_file::read(&note(places))? else { return Ok(Vec::new()) };
    serde_json::from_slice(&bytes).attempt(|| format!("understand {}", note(places).display()))
}

/// The copy is complete: from here on its links tell.
pub fn forget(places: &Places) -> Result<(), Failure> {
    let note = note(places);
    if note.exists() { places::in_parent(places, || durable_file::remove(&note)) } else { Ok(()) }
}

/// The folders that an earlier copy filled, and that are emptied before the next.
pub fn leftovers(places: &Places) -> Result<Vec<PathBuf>, Failure> {
    let copies = places.partial().into_iter().chain([places.incoming()]);
    let linked = copies.flat_map(|copy| outside(&copy));
    let noted = written_down(places)?.into_iter().filter_map(|folder| std::fs::canonicalize(folder).ok());
    Ok(removable(places, linked.chain(noted).collect()))
}

/// Of those, the ones that neither the data directory nor one that was kept or rolled back uses: they were new or empty
/// for a copy.
fn removable(places: &Places, mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let used: Vec<PathBuf> = [vec![places.data.clone()], places.kept(), places.rolled_back()]
        .concat()
        .iter()
        .flat_map(|folder| outside(folder))
        .collect();
    folders.retain(|folder| !used.contains(folder) && holds_only_a_copys(folder));
    folders.sort();
    folders.dedup();
    folders
}

/// Empties folders outside whose copies are gone, and forgets them.
pub fn empty(places: &Places, folders: &[PathBuf]) -> Result<(), Failure> {
    for folder in folders {
        durable_file::empty_folder(folder)?;
        // The folder above may be root's; an empty one is as good as none.
        let _ = durable_file::remove_empty_folder(folder);
    }
    forget(places)
}

/// A write-ahead log, or of a tablespace the folder of one version.
fn holds_only_a_copys(folder: &Path) -> bool {
    holds_only_wal(folder) || names(folder).is_some_and(|names| matches!(&names[..], [one] if one.starts_with("PG_")))
}

fn names(folder: &Path) -> Option<Vec<String>> {
    let entries = std::fs::read_dir(folder).ok()?;
    Some(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Segments (24 hexadecimal digits, `.partial`, `.backup`), timeline histories and folders of the server's own.
#[must_use]
pub fn holds_only_wal(folder: &Path) -> bool {
    let of_wal = |name: &String| {
        let number = name.split('.').next().unwrap_or_default();
        matches!(name.as_str(), "archive_status" | "summaries")
            || matches!(number.len(), 8 | 24) && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    names(folder).is_some_and(|names| names.iter().all(of_wal))
}
