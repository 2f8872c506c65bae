//! Two directories change places.
//!
//! What must always hold: both names exist before and after. Where the file system can exchange, there is no moment in
//! between; where it can't, two renames do it, and a failure of the second takes the first back.

use crate::entries;
use crate::places::Places;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use pg_runbook::cluster::plain;
use pg_runbook::journal::inode;
use pg_runbook::{Attempt, Failure, durable_file};
use std::path::Path;

/// Exchanges the data directory and one that lies beside it, whatever it takes.
pub fn directories(places: &Places, other: &Path) -> Result<(), Failure> {
    if places.is_mount_point() { entries::exchange(&places.data, other) } else { exchange(&places.data, other) }
}

/// Exchanges two directories of one folder, durably.
pub fn exchange(one: &Path, other: &Path) -> Result<(), Failure> {
    let doing = || format!("exchange {} and {}", one.display(), other.display());
    match renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => durable_file::sync_folders_of(one, other),
        // The file system or the kernel has no exchange.
        Err(Errno::EINVAL | Errno::ENOSYS) => by_renames(one, other),
        Err(Errno::EBUSY) => {
            Err(Failure::failed(doing()).because("one of them is a mount point, which can't be renamed"))
        }
        Err(error) => Err(error).attempt(doing),
    }
}

fn by_renames(one: &Path, other: &Path) -> Result<(), Failure> {
    let aside = plain::aside(one);
    durable_file::rename(one, &aside)?;
    if let Err(failure) = durable_file::rename(other, one) {
        durable_file::rename(&aside, one)?;
        return Err(failure);
    }
    durable_file::rename(&aside, other)
}

/// Has the directory with one inode number at one place and the other one at the other, wherever an exchange that was
/// cut off left them.
pub fn arrange(one: &Path, other: &Path, at_one: u64, at_other: u64) -> Result<(), Failure> {
    let aside = plain::aside(one);
    if inode(&aside).is_some_and(|found| [at_one, at_other].contains(&found)) {
        let back = if inode(one).is_none() { one } else { other };
        durable_file::rename(&aside, back)?;
    }
    match (inode(one), inode(other)) {
        (Some(first), Some(second)) if (first, second) == (at_one, at_other) => Ok(()),
        (Some(first), Some(second)) if (first, second) == (at_other, at_one) => exchange(one, other),
        _ => Err(Failure::failed(format!("exchange {} and {}", one.display(), other.display()))
            .because("one of them is not what it was when this began: somebody moved or replaced it")),
    }
}

/// Moves the directory with this inode number, unless it is there already.
pub fn move_if_it_is(from: &Path, to: &Path, wanted: u64) -> Result<(), Failure> {
    match (inode(from), inode(to)) {
        (_, Some(found)) if found == wanted => Ok(()),
        (Some(found), None) if found == wanted => durable_file::rename(from, to),
        _ => Err(Failure::failed(format!("move {} to {}", from.display(), to.display()))
            .because("one of them is not what it was when this began: somebody moved or replaced it")),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // The tests set their own scenery.
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn exchanges_in_one_step_and_by_renames() {
        for way in [exchange, by_renames] {
            let folder = tempfile::tempdir().unwrap();
            let (one, other) = (folder.path().join("main"), folder.path().join("main.previous"));
            for (path, word) in [(&one, "old"), (&other, "new")] {
                fs::create_dir(path).unwrap();
                fs::write(path.join("which"), word).unwrap();
            }
            way(&one, &other).unwrap();
            assert_eq!(fs::read_to_string(one.join("which")).unwrap(), "new");
            assert_eq!(fs::read_to_string(other.join("which")).unwrap(), "old");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn an_exchange_cut_off_anywhere_ends_as_it_is_wanted() {
        // Before, after the first rename, after the second, after the third.
        for cut_off in 0..4 {
            for wanted in [["old", "new"], ["new", "old"]] {
                let folder = tempfile::tempdir().unwrap();
                let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
                for (path, word) in [(&one, "old"), (&other, "new")] {
                    fs::create_dir(path).unwrap();
                    fs::write(path.join("which"), word).unwrap();
                }
                let [old, new] = [&one, &other].map(|path| inode(path).unwrap());
                let steps = [(&one, plain::aside(&one)), (&other, one.clone()), (&plain::aside(&one), other.clone())];
                for (from, to) in steps.iter().take(cut_off) {
                    fs::rename(from, to).unwrap();
                }
                let ids = if wanted[0] == "old" { (old, new) } else { (new, old) };
                arrange(&one, &other, ids.0, ids.1).unwrap();
                let found = [&one, &other].map(|path| fs::read_to_string(path.join("which")).unwrap());
                assert_eq!(found, wanted, "cut off after {cut_off}");
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
            }
        }
    }

    #[test]
    fn takes_the_first_rename_back_when_the_second_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (one, missing) = (folder.path().join("main"), folder.path().join("missing"));
        fs::create_dir(&one).unwrap();
        by_renames(&one, &missing).unwrap_err();
        assert!(one.exists());
    }
}
