//! The exchange for a data directory that is a mount point, which can't be renamed: what is in it changes places, one
//! entry after the other, with a directory inside the same mount.
//!
//! What must always hold: the folder with the control file goes out first and comes in last, so that a mixture can't be
//! started; wherever it is cut off, [`settle`] finds the old state or the new one. What is ours, or the file system's
//! own, stays where it is.

use pg_runbook::cluster::plain::{IN_MOUNT, aside_in_mount, out_in_mount};
use pg_runbook::{Attempt, Failure, durable_file};
use std::ffi::OsString;
use std::path::Path;

/// The folder with the control file.
const GLOBAL: &str = "global";

/// What is in `data` goes into `other`, and the other way round.
pub fn exchange(data: &Path, other: &Path) -> Result<(), Failure> {
    let (aside, out) = (aside_in_mount(data), out_in_mount(data));
    durable_file::make_folder(&aside)?;
    step(data, &aside, GLOBAL.as_ref())?;
    all_but_global(data, &aside)?;
    // From here on, what is in the mount besides is the new one's.
    durable_file::rename(&aside, &out)?;
    all_but_global(other, data)?;
    step(other, data, GLOBAL.as_ref())?;
    finish(&out, other)
}

/// Ends an exchange that was cut off: one that was complete but for its names is finished, any other is taken back.
pub fn settle(data: &Path, other: &Path) -> Result<(), Failure> {
    let (aside, out) = (aside_in_mount(data), out_in_mount(data));
    if aside.exists() {
        return bring_back(&aside, data);
    }
    if !out.exists() {
        return Ok(());
    }
    if data.join(GLOBAL).exists() {
        return finish(&out, other);
    }
    all_but_global(data, other)?;
    bring_back(&out, data)
}

fn bring_back(from: &Path, data: &Path) -> Result<(), Failure> {
    all_but_global(from, data)?;
    if from.join(GLOBAL).exists() {
        step(from, data, GLOBAL.as_ref())?;
    }
    durable_file::remove_empty_folder(from)?;
    durable_file::sync(data)
}

fn finish(out: &Path, other: &Path) -> Result<(), Failure> {
    if other.exists() {
        durable_file::remove_empty_folder(other)?;
    }
    durable_file::rename(out, other)
}

/// Moves one entry, durably.
fn step(from: &Path, to: &Path, name: &std::ffi::OsStr) -> Result<(), Failure> {
    durable_file::rename(&from.join(name), &to.join(name))
}

/// Moves the others; they count only once the folder with the control file has moved, so one sync is enough.
fn all_but_global(from: &Path, to: &Path) -> Result<(), Failure> {
    for name in names(from)? {
        durable_file::rename_unsynced(&from.join(&name), &to.join(&name))?;
    }
    durable_file::sync(from)?;
    durable_file::sync(to)
}

fn names(folder: &Path) -> Result<Vec<OsString>, Failure> {
    let entries = std::fs::read_dir(folder).attempt(|| format!("look into {}", folder.display()))?;
    let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| {
        let name = name.to_string_lossy();
        !is_ours(&name) && name != GLOBAL && name != "lost+found"
    });
    names.sort();
    Ok(names)
}

/// Removes what a copy brought of this kind from a primary that is a mount point itself: it would be taken for our own.
pub fn remove_ours(copy: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(copy).attempt(|| format!("look into {}", copy.display()))?.flatten() {
        if !is_ours(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder { durable_file::remove_tree(&entry.path())? } else { durable_file::remove(&entry.path())? }
    }
    Ok(())
}

/// Directories beside the data, not the notes in it.
fn is_ours(name: &str) -> bool {
    name.strip_prefix(IN_MOUNT).is_some_and(|rest| {
        ["partial-", "incoming", "previous-", "rolled-back-", "going-", "outside", "aside", "out", "pg-runbook-journal"]
            .iter()
            .any(|kind| rest.starts_with(&format!(".{kind}")))
    }) || name.starts_with(&format!(".{IN_MOUNT}."))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // The tests set their own scenery.
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn scene() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("mount");
        let other = data.join("pg-runbook.previous-1");
        for (place, word) in [(&data, "old"), (&other, "new")] {
            for name in ["global", "base"] {
                fs::create_dir_all(place.join(name)).unwrap();
                fs::write(place.join(name).join("which"), word).unwrap();
            }
            fs::write(place.join("PG_VERSION"), word).unwrap();
            fs::write(place.join("pg-runbook.installed.json"), word).unwrap();
        }
        fs::write(other.join("standby.signal"), "new").unwrap();
        fs::create_dir(data.join("lost+found")).unwrap();
        fs::write(data.join("pg-runbook.pg-runbook-journal.json"), "").unwrap();
        (folder, data, other)
    }

    /// What lies in a place, each entry by its word.
    fn words(place: &Path) -> Vec<String> {
        let read = |name: &str| fs::read_to_string(place.join(name)).ok();
        ["global/which", "base/which", "PG_VERSION", "pg-runbook.installed.json", "standby.signal"]
            .iter()
            .filter_map(|name| read(name))
            .collect()
    }

    #[test]
    fn everything_changes_places_but_what_is_ours_and_the_file_systems() {
        let (_folder, data, other) = scene();
        exchange(&data, &other).unwrap();
        assert_eq!((words(&data), words(&other)), (vec!["new".to_owned(); 5], vec!["old".to_owned(); 4]));
        exchange(&data, &other).unwrap();
        assert_eq!((words(&data), words(&other)), (vec!["old".to_owned(); 4], vec!["new".to_owned(); 5]));
        assert_eq!(fs::read_dir(&data).unwrap().count(), 7);
    }

    /// The renames of an exchange, in order.
    fn steps(data: &Path, other: &Path) -> Vec<(PathBuf, PathBuf)> {
        let (aside, out) = (aside_in_mount(data), out_in_mount(data));
        let old = ["global", "PG_VERSION", "base", "pg-runbook.installed.json"];
        let new = ["PG_VERSION", "base", "pg-runbook.installed.json", "standby.signal", "global"];
        let mut steps: Vec<_> = old.iter().map(|name| (data.join(name), aside.join(name))).collect();
        steps.push((aside, out));
        steps.extend(new.iter().map(|name| (other.join(name), data.join(name))));
        steps
    }

    #[test]
    fn cut_off_anywhere_it_is_the_old_state_or_the_new_one() {
        for cut_off in 0..=10 {
            let (_folder, data, other) = scene();
            fs::create_dir(aside_in_mount(&data)).unwrap();
            let all = steps(&data, &other);
            assert_eq!(all.len(), 10);
            for (from, to) in all.iter().take(cut_off) {
                fs::rename(from, to).unwrap();
            }
            settle(&data, &other).unwrap();
            let [old, new] = [("old", 4), ("new", 5)].map(|(word, count)| vec![word.to_owned(); count]);
            let wanted = if cut_off == 10 { (new, old) } else { (old, new) };
            assert_eq!((words(&data), words(&other)), wanted, "cut off after {cut_off}");
            settle(&data, &other).unwrap();
            assert_eq!(fs::read_dir(&data).unwrap().count(), if cut_off == 10 { 8 } else { 7 });
        }
    }
}
