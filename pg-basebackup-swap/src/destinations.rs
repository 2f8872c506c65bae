//! The folders that the copy is written to besides the data directory: its write-ahead log's and its tablespaces'.
//!
//! What must always hold: a folder that holds anything is refused before anything is copied, unless it is what an
//! earlier copy left, which is removed first; a folder that another data directory uses is never emptied.

use crate::args::{FetchArguments, Space};
use crate::footprint::{self, Footprint};
use crate::notes::{Installed, Mapped, Note};
use crate::outside::{self, Link};
use crate::places::{self, Places};
use crate::room::{Part, What, nearest};
use crate::size::{Size, Teller};
use pg_runbook::cluster;
use pg_runbook::invocation::shell_word;
use pg_runbook::{Cluster, Failure, durable_file, owner};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where the parts of the copy go, the data directory's first. What the old directory has elsewhere keeps its location,
/// and the copy's comes beside it, unless the command line names another place.
pub fn parts(
    places: &Places,
    arguments: &FetchArguments,
    size: Option<&Size>,
    same_system: bool,
    space: Space,
) -> Result<Vec<Part>, Failure> {
    let links = outside::links(&places.data);
    let stamp = free_stamp(places, &links);
    let staged = |link: &Link| match space {
        // An emptied one is filled where it is; a tablespace may have to leave room for another version's.
        Space::Replace if link.is_wal() => link.location.clone(),
        Space::Keep | Space::Replace => outside::staged(places, link, &stamp),
    };
    let real = |folder: &Path| std::fs::canonicalize(folder).unwrap_or_else(|_| absolute(folder));
    let told = size.filter(|size| size.teller == Teller::Primary).map_or(&[][..], |size| &size.tablespaces);
    // Whose the old standby's files are, its links say.
    let guessed = size.filter(|size| size.teller == Teller::Standby).map_or(&[][..], |size| &size.tablespaces);
    let sized = |primary: &Path, link: Option<&Link>| {
        let by_primary = told.iter().find(|tablespace| tablespace.location == primary).and_then(|found| found.bytes);
        let by_standby =
            || guessed.iter().find(|tablespace| link.is_some_and(|link| link.location == tablespace.location))?.bytes;
        (by_primary.or_else(by_standby), by_primary.is_some())
    };
    let data = size.and_then(Size::data);
    let mut parts =
        vec![Part { what: What::DataDirectory, folder: places.parent().to_owned(), bytes: data, is_told: false }];
    let wal = links.iter().find(|link| link.is_wal());
    let named = arguments.waldir.as_deref().map(absolute);
    let stays = wal.filter(|link| named.as_ref().is_none_or(|named| real(named) == link.location));
    let folder = stays.map(staged).or(named);
    parts.extend(folder.map(|folder| Part { what: What::Wal, folder, bytes: None, is_told: false }));

    let mut tablespace = |primary: &Path, folder: PathBuf, link: Option<&Link>| {
        if !parts.iter().any(|part| part.what == What::Tablespace(primary.to_owned())) {
            let (bytes, is_told) = sized(primary, link);
            parts.push(Part { what: What::Tablespace(primary.to_owned()), folder, bytes, is_told });
        }
    };
    for mapping in &arguments.tablespace_mapping {
        let stays = links.iter().find(|link| !link.is_wal() && link.location == real(&mapping.new));
        tablespace(&mapping.old, stays.map_or_else(|| mapping.new.clone(), staged), stays);
    }
    let remembered = Installed::of(&places.data)?.map(|installed| installed.tablespaces).unwrap_or_default();
    for link in links.iter().filter(|link| !link.is_wal()) {
        let by_number = told.iter().find(|told| same_system && link.name.ends_with(&format!("/{}", told.oid)));
        let by_note = || remembered.iter().find(|known| known.here == link.location).map(|known| &known.primary);
        let primary = by_number.map(|told| &told.location).or_else(by_note).unwrap_or(&link.written);
        tablespace(primary, staged(link), Some(link));
    }
    for told in told {
        tablespace(&told.location, told.location.clone(), None);
    }
    Ok(parts)
}

/// A time that no other copy's parts have in their names.
fn free_stamp(places: &Places, links: &[Link]) -> String {
    let now = places::stamp(SystemTime::now());
    let mut stamps = (1..).map(|number| if number < 2 { now.clone() } else { format!("{now}-{number}") });
    let is_free = |stamp: &String| links.iter().all(|link| !outside::staged(places, link, stamp).exists());
    stamps.find(is_free).unwrap_or_default()
}

/// Which of the primary's tablespaces a copy has where, once it is in place.
#[must_use]
pub fn mapped(parts: &[Part], copy: &Path) -> Vec<Mapped> {
    let links = outside::links(copy);
    let of = |part: &Part| {
        let What::Tablespace(primary) = &part.what else { return None };
        let link = links.iter().find(|link| link.location == part.folder)?;
        let here = outside::location_of(link).unwrap_or_else(|| link.location.clone());
        Some(Mapped { primary: primary.clone(), here })
    };
    parts.iter().filter_map(of).collect()
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Whether the write-ahead log's and each tablespace's folder can be written; `Ok` names them.
#[must_use]
pub fn check(cluster: &Cluster, places: &Places, parts: &[Part], space: Space) -> Vec<Result<String, Failure>> {
    let leftovers = match leftovers(places) {
        Ok(leftovers) => leftovers,
        Err(failure) => return vec![Err(failure)],
    };
    let wal = outside::links(&places.data).into_iter().find(|link| space == Space::Replace && link.is_wal());
    let is_emptied = |part: &Part| wal.as_ref().is_some_and(|wal| wal.location == part.folder);
    let look = |part: &Part| match is_emptied(part) {
        false => look(cluster, places, part, &leftovers),
        true if holds_only_wal(&part.folder) => Ok(format!("{} stays where it is", part.what)),
        true => Err(Failure::refused(format!(
            "the folder for {} holds more than that: {}",
            part.what,
            part.folder.display()
        ))
        .hint("look what it is, and move it away; or name another: --waldir DIRECTORY")),
    };
    parts.iter().skip(1).map(look).collect()
}

fn look(cluster: &Cluster, places: &Places, part: &Part, leftovers: &[PathBuf]) -> Result<String, Failure> {
    let folder = &part.folder;
    let way_out = match &part.what {
        What::Tablespace(primary) => format!("name a new one: --tablespace-mapping {}=NEWDIR", primary.display()),
        What::DataDirectory | What::Wal => "name a new one: --waldir DIRECTORY".into(),
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
    // Beside a write-ahead log that keeps its place root makes a folder for it.
    if !owner::may_write(there) && !outside::is_staged(folder) {
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
    let known: Vec<String> =
        size.tablespaces.iter().map(|tablespace| tablespace.location.display().to_string()).collect();
    for mapping in &arguments.tablespace_mapping {
        if !size.tablespaces.iter().any(|tablespace| tablespace.location == mapping.old) {
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(Failure::refused(format!("the primary has no tablespace at {}", mapping.old.display()))
                .because(format!("it has {known}"))
                .hint("on the primary: psql -c '\\db'"));
        }
    }
    Ok(())
}

/// The folders outside that a copy's links lead to, as they end.
#[must_use]
pub fn outside(copy: &Path) -> Vec<PathBuf> {
    outside::links(copy).into_iter().filter_map(|link| std::fs::canonicalize(copy.join(link.name)).ok()).collect()
}

/// The folders that earlier copies filled, complete or not, and that are emptied before the next.
pub fn leftovers(places: &Places) -> Result<Vec<PathBuf>, Failure> {
    let of_complete = removable(places, outside(&places.incoming()));
    Ok([left_by_incomplete(places)?, of_complete].concat())
}

/// The folders that copies which did not come whole have filled.
pub fn left_by_incomplete(places: &Places) -> Result<Vec<PathBuf>, Failure> {
    let linked = places.partial().into_iter().flat_map(|copy| outside(&copy));
    let noted = Footprint::of(places)?.folders.into_iter().filter_map(|folder| std::fs::canonicalize(folder).ok());
    let mut folders = removable(places, linked.chain(noted).collect());
    let of_complete = outside(&places.incoming());
    folders.retain(|folder| !of_complete.contains(folder));
    Ok(folders)
}

/// Of those, the ones that neither the data directory, nor one that was kept or rolled back, nor another cluster of this
/// host uses: they were new or empty for a copy, and somebody may have emptied them for something else since. Where nobody
/// knows what another cluster uses, none.
fn removable(places: &Places, mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    if folders.is_empty() {
        return folders;
    }
    let clusters = cluster::list();
    if !clusters.unreadable.is_empty() {
        return Vec::new();
    }
    let others = clusters.known.into_iter().map(|known| known.data_directory).collect();
    let used: Vec<PathBuf> = [vec![places.data.clone()], places.kept(), places.rolled_back(), others]
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
        let _ = outside::in_folder_above(folder, &[folder], || durable_file::remove_empty_folder(folder));
    }
    footprint::fills(places, &[])
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
