//! `commit`: the directories that swaps and rollbacks kept are let go, and copies that did not come whole.
//!
//! What must always hold: of the old only a directory with the note that it is kept is removed, and nothing that another directory
//! beside it uses too. It loses its name first and its note last, so that a half is never taken for a whole, and a run
//! that was cut off goes on. While the present directory serves nobody, the old ones stay.

use crate::args::CommitArguments;
use crate::destinations::holds_only_wal;
use crate::notes::{Kept, Note};
use crate::places::{Places, in_parent};
use crate::size::size;
use crate::{fetch, outside, prepare};
use pg_runbook::cluster::{State, postmaster};
use pg_runbook::document::{Act, Change};
use pg_runbook::invocation::shell_word;
use pg_runbook::{Attempt, Cluster, Failure, Run, durable_file};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LET_GO: Act = Act { plain: "let go of", past: "let go of" };
const REMOVE: Act = Act { plain: "remove", past: "removed" };

/// `pg-basebackup-swap commit`
pub fn commit(run: &mut Run, arguments: &CommitArguments) -> Result<(), Failure> {
    let (cluster, places) = prepare::take(run)?;
    let now = SystemTime::now();
    let least = arguments.keep_for.unwrap_or(Duration::ZERO);
    let (mut young, mut old) = (0, Vec::new());
    for folder in places.kept().into_iter().chain(places.rolled_back()) {
        match Kept::of(&folder)? {
            None => unknown(run, &folder),
            Some(kept) if kept.age(now) < least => young += 1,
            Some(_) => old.push(folder),
        }
    }
    let going = begun(run, &places)?;
    let incomplete = places.partial();
    if old.is_empty() && going.is_empty() && incomplete.is_empty() {
        run.message(match young {
            0 => format!("{} has no old directory to let go", cluster.title()),
            _ => format!("{} has {young} old directories, none of them old enough to let go", cluster.title()),
        });
        return Ok(());
    }
    refuse_while_nobody_is_served(&cluster)?;
    let (count, kept) = let_all_go(run, &places, old, going)?;
    let freed = kept + remove_incomplete(run, &places, &incomplete)?;
    let would = if run.check() { "would let go" } else { "let go" };
    let directories = if count == 1 { "directory" } else { "directories" };
    let copies = match incomplete.len() {
        0 => String::new(),
        1 => " and an incomplete copy".into(),
        copies => format!(" and {copies} incomplete copies"),
    };
    let freed_mb = freed / 1_000_000;
    run.message(format!("{would} of {count} old {directories}{copies} of {}: {freed_mb} MB", cluster.title()));
    run.fact("freed_bytes", &freed);
    Ok(())
}

/// Returns how many bytes are free again (or, with `--check`, would be).
fn remove_incomplete(run: &mut Run, places: &Places, folders: &[PathBuf]) -> Result<u64, Failure> {
    let sizes: Vec<u64> = folders.iter().map(|folder| size(folder)).collect();
    if !run.check() && !folders.is_empty() {
        fetch::clear_incomplete(run, places)?;
    }
    for (folder, bytes) in folders.iter().zip(&sizes) {
        let change = Change::act("incomplete_copy", folder.display().to_string(), REMOVE).at(folder, None);
        run.change(change.remark(format!("{} MB", bytes / 1_000_000)));
    }
    Ok(sizes.iter().sum())
}

/// Removals that were cut off. The note goes last, so one that holds anything has it still.
fn begun(run: &mut Run, places: &Places) -> Result<Vec<PathBuf>, Failure> {
    let mut begun = Vec::new();
    for folder in places.going() {
        let is_empty = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none());
        if is_empty || Kept::of(&folder)?.is_some() { begun.push(folder) } else { unknown(run, &folder) }
    }
    Ok(begun)
}

/// What was to be kept for a time that is over goes with the next run, where the present directory serves.
pub fn let_go_what_is_over(run: &mut Run, cluster: &Cluster, places: &Places) -> Result<(), Failure> {
    let now = SystemTime::now();
    let mut over = Vec::new();
    for folder in places.kept() {
        if Kept::of(&folder)?.is_some_and(|kept| kept.is_over(now)) {
            over.push(folder);
        }
    }
    if over.is_empty() || refuse_while_nobody_is_served(cluster).is_err() {
        return Ok(());
    }
    let_all_go(run, places, over, Vec::new()).map(drop)
}

/// What is left of a directory whose data was given up holds nothing that anybody could go back to.
pub fn remove_what_was_given_up(run: &Run, places: &Places, folder: &Path) -> Result<(), Failure> {
    remove(places, folder, &[])
        .map(|()| run.say(&format!("removed what was left of the old directory, {}", folder.display())))
}

fn unknown(run: &mut Run, folder: &Path) {
    let word = shell_word(folder.as_os_str());
    run.warn(format!(
        "{} stays: no note in it says that it is kept; if nobody needs it: rm -r {word}",
        folder.display()
    ));
}

fn refuse_while_nobody_is_served(cluster: &Cluster) -> Result<(), Failure> {
    if cluster.state == State::Running {
        return Ok(());
    }
    let option = cluster.option();
    Err(Failure::refused(format!("{} does not run, so its old directories stay", cluster.title()))
        .because("whether the present one is good shows only when it serves")
        .hint(format!("pg-cluster start {option} && pg-basebackup-swap commit {option}")))
}

/// Returns how many went and how many bytes are free again (or, with `--check`, would).
fn let_all_go(
    run: &mut Run,
    places: &Places,
    kept: Vec<PathBuf>,
    going: Vec<PathBuf>,
) -> Result<(usize, u64), Failure> {
    let (mut count, mut freed) = (0, 0);
    for folder in going.into_iter().chain(kept) {
        if postmaster::look(&folder).process().is_some() {
            run.warn(format!("{} stays: a server runs in it", folder.display()));
            continue;
        }
        let outside = outside(places, &folder)?;
        let bytes = size(&folder) + outside.iter().map(|folder| size(folder)).sum::<u64>();
        if !run.check() {
            remove(places, &folder, &outside)?;
        }
        count += 1;
        freed += bytes;
        let change = Change::act("kept_directory", folder.display().to_string(), LET_GO).at(&folder, None);
        run.change(change.remark(format!("{} MB", bytes / 1_000_000)));
    }
    Ok((count, freed))
}

fn remove(places: &Places, folder: &Path, outside: &[PathBuf]) -> Result<(), Failure> {
    let mut going = folder.to_owned();
    if !places.going().contains(&going) {
        going = places.next_going(SystemTime::now());
        in_parent(places, || durable_file::rename(folder, &going))?;
    }
    for folder in outside {
        durable_file::empty_folder(folder)?;
        // The folder above may be root's, or a tablespace's may be a mount point; an empty one is as good as none.
        let _ = outside::in_folder_above(folder, &[folder], || durable_file::remove_empty_folder(folder));
        if let Some(location) = folder.parent().filter(|_| is_of_a_version(folder)) {
            let _ = durable_file::remove_empty_folder(location);
        }
    }
    // Of a tablespace that was dropped since, only the place where it waited is left.
    for link in outside::links(&going).iter().filter(|link| outside::is_staged(&link.location)) {
        let _ = outside::in_folder_above(&link.location, &[&link.location], || {
            durable_file::remove_empty_folder(&link.location)
        });
    }
    let doing = || format!("look into {}", going.display());
    for entry in std::fs::read_dir(&going).attempt(doing)? {
        let entry = entry.attempt(doing)?;
        if entry.file_name() == Kept::FILE {
            continue;
        }
        // The entry's own type: a link is removed, not what it points at.
        let is_folder = entry.file_type().attempt(doing)?.is_dir();
        if is_folder { durable_file::remove_tree(&entry.path())? } else { durable_file::remove(&entry.path())? }
    }
    durable_file::remove(&going.join(Kept::FILE))?;
    in_parent(places, || durable_file::remove_empty_folder(&going))
}

/// Inside a tablespace's location, such as `PG_15_202209061`.
fn is_of_a_version(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("PG_"))
}

/// What a directory has elsewhere: its write-ahead log, and in each tablespace the folder of its version. What another
/// directory leads to as well is not its own.
fn outside(places: &Places, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut others = BTreeSet::new();
    for other in beside(places).iter().filter(|other| other.as_path() != folder) {
        others.extend(leads_to(other)?);
    }
    let own = leads_to(folder)?;
    Ok(own.difference(&others).cloned().collect())
}

fn beside(places: &Places) -> Vec<PathBuf> {
    let mut all = vec![places.data.clone(), places.incoming()];
    all.extend([places.kept(), places.rolled_back(), places.partial()].concat());
    all
}

fn leads_to(folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut found = BTreeSet::new();
    for name in ["pg_wal", "pg_xlog"].map(|name| folder.join(name)) {
        if name.is_symlink() {
            found.extend(std::fs::canonicalize(&name).ok().filter(|elsewhere| holds_only_wal(elsewhere)));
        }
    }
    let Some(major) = pg_runbook::cluster::major_of(folder) else { return Ok(found) };
    let Ok(links) = std::fs::read_dir(folder.join("pg_tblspc")) else { return Ok(found) };
    for link in links.flatten().filter(|link| link.path().is_symlink()) {
        let Ok(inside) = std::fs::read_dir(link.path()) else { continue };
        for entry in inside {
            let entry = entry.attempt(|| format!("look into {}", link.path().display()))?;
            if entry.file_name().to_string_lossy().starts_with(&format!("PG_{major}_")) {
                found.extend(std::fs::canonicalize(entry.path()).ok());
            }
        }
    }
    Ok(found)
}
