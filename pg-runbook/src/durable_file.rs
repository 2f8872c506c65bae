//! Files that are either as they were or as they should be, whatever happens in between; the only writer of files.
//!
//! What must always hold: a file is replaced by a complete and synced one under the same name, with the same owner and
//! mode; a symbolic link stays one and what it points at is replaced; unchanged contents are not written. Root acts in
//! an owner's stead only where nobody but root decides what the path means: an owner's link never leads it elsewhere.

#![allow(clippy::disallowed_methods)] // The door itself.

mod file_systems;

pub use file_systems::FileSystems;

use crate::failure::{Attempt, Failure};
use crate::invocation::shell_word;
use crate::owner::{self, Owner};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// A file's contents; `None` where there is no such file.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).attempt(|| format!("read {path:?}")),
    }
}

/// Replaces `path` by `bytes`, or makes it with `mode` where it isn't there. Returns whether anything was written.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, Failure> {
    if read(path)?.as_deref() == Some(bytes) {
        return Ok(false);
    }
    let target = resolve(path)?;
    let old = match fs::metadata(&target) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).attempt(|| format!("look at {target:?}")),
    };
    match write_beside(&target, bytes, mode, old.as_ref(), None) {
        // /etc/postgresql may belong to root while the server's owner only reads it: root may, the owner can't.
        Err(Trouble::Denied(failure)) if owner::started_by_root() => {
            let heir = owner::acting();
            in_the_owners_stead(path, failure, || {
                write_beside(&target, bytes, mode, old.as_ref(), heir.as_ref()).map_err(Trouble::into_failure)
            })
        }
        result => result.map_err(Trouble::into_failure),
    }
    .map_err(|failure| failure.while_doing(format!("replace {path:?}")))?;
    Ok(true)
}

/// Does with root's rights what the owner was denied, where it is safe.
pub fn in_the_owners_stead<T>(
    path: &Path,
    denied: Failure,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if !owner::started_by_root() || owner::acting().is_none() {
        return Err(denied);
    }
    owner::as_started(|| {
        if only_root_leads_to(path) {
            return work();
        }
        Err(denied.because(format!(
            "root does not do it in the owner's stead: somebody else can change where {} leads",
            path.display()
        )))
    })
}

/// Whether nobody but root decides what a path means: each folder on the way and each link is root's, and nobody else
/// may write there (or, as in /tmp, not rename what is root's).
#[must_use]
pub fn only_root_leads_to(path: &Path) -> bool {
    let mut ahead = names(path);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let Ok(found) = fs::symlink_metadata(&next) else { return ahead.is_empty() };
        if found.is_symlink() {
            links += 1;
            let Ok(target) = fs::read_link(&next) else { return false };
            if found.uid() != 0 || links > 40 {
                return false;
            }
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            ahead.extend(names(&target));
            continue;
        }
        if ahead.is_empty() {
            return true;
        }
        let others_write = found.mode() & 0o002 != 0 || found.mode() & 0o020 != 0 && found.gid() != 0;
        if found.uid() != 0 || others_write && found.mode() & 0o1000 == 0 {
            return false;
        }
        here = next;
    }
    true
}

/// A path's names, the last one first.
fn names(path: &Path) -> Vec<std::ffi::OsString> {
    use std::path::Component;
    let wanted = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(wanted).map(|part| part.as_os_str().to_owned()).rev().collect()
}

/// Sets a file's mode, its contents untouched; of a symbolic link, that of what it points at.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, Permissions::from_mode(mode)).attempt(|| format!("give {path:?} the mode {mode:04o}"))?;
    sync(path)
}

/// Where a chain of symbolic links ends, also if nothing is there yet.
fn resolve(path: &Path) -> Result<PathBuf, Failure> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    Err(Failure::failed(format!("follow the symbolic link {path:?}")).because("too many levels of symbolic links"))
}

enum Trouble {
    Denied(Failure),
    Other(Failure),
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::Denied(failure) | Self::Other(failure) => failure,
        }
    }

    fn of(error: std::io::Error, doing: &str) -> Self {
        let denied = error.kind() == ErrorKind::PermissionDenied;
        let failure = Err::<(), _>(error).attempt(|| doing).unwrap_err();
        if denied { Self::Denied(failure) } else { Self::Other(failure) }
    }
}

/// A new file goes to `heir`: what root makes in the owner's stead is the owner's.
fn write_beside(
    target: &Path,
    bytes: &[u8],
    mode: u32,
    old: Option<&Metadata>,
    heir: Option<&Owner>,
) -> Result<(), Trouble> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut beside = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".pg-runbook")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(|error| Trouble::of(error, "write a new file beside it"))?;
    let mut write = || -> std::io::Result<()> {
        beside.write_all(bytes)?;
        let heir = heir.map(|heir| (heir.uid.as_raw(), heir.gid.as_raw()));
        if let Some(ids) = old.map(|old| (old.uid(), old.gid())).or(heir) {
            let new = beside.as_file().metadata()?;
            if (new.uid(), new.gid()) != ids {
                fchown(beside.as_file(), Some(ids.0), Some(ids.1))?;
            }
        }
        let mode = old.map_or(mode, Metadata::mode) & 0o7777;
        beside.as_file().set_permissions(Permissions::from_mode(mode))?;
        beside.as_file().sync_all()
    };
    write().map_err(|error| Trouble::of(error, "write a new file beside it"))?;
    beside.persist(target).map_err(|error| Trouble::of(error.error, "put the new file in its place"))?;
    sync(folder).map_err(Trouble::Other)
}

/// Removes what a tool that was killed while it replaced this file left beside it. Only for whoever excludes others.
pub fn remove_unfinished(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let start = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    for entry in fs::read_dir(folder).attempt(|| format!("look into {folder:?}"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&start) && name.ends_with(".pg-runbook") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The same for every file of a folder.
pub fn remove_all_unfinished(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).attempt(|| format!("look into {folder:?}"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(".pg-runbook") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether two folders hold the same files; both may be missing.
#[must_use]
pub fn same_tree(one: &Path, other: &Path) -> bool {
    let names = |folder: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    one.is_dir() == other.is_dir()
        && names(one) == names(other)
        && names(one).iter().all(|name| match (one.join(name), other.join(name)) {
            (one, other) if one.is_dir() => same_tree(&one, &other),
            (one, other) => fs::read(one).ok() == fs::read(other).ok(),
        })
}

/// A candidate for `target`, written beside it under another name, gone when dropped.
pub fn candidate(target: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, Failure> {
    let target = resolve(target)?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let doing = || format!("write a candidate beside {target:?}");
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(".candidate")
        .tempfile_in(folder)
        .attempt(doing)?;
    file.write_all(bytes).attempt(doing)?;
    Ok(file)
}

/// Renames, and syncs the folder, so that the new name outlives a power loss.
pub fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    rename_unsynced(from, to)?;
    sync_folders_of(to, from)
}

/// Syncs the folders that two paths lie in, each once.
pub fn sync_folders_of(one: &Path, other: &Path) -> Result<(), Failure> {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
    sync(&folder(one))?;
    if folder(one) == folder(other) { Ok(()) } else { sync(&folder(other)) }
}

/// Renames only: whoever calls it syncs both folders before anything counts on it.
pub fn rename_unsynced(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).attempt(|| format!("rename {from:?} to {to:?}"))
}

/// Removes a file; one that isn't there is no failure.
pub fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).attempt(|| format!("remove {path:?}")),
        _ => Ok(()),
    }
}

/// Removes a folder that this project made, and all that is in it.
pub fn remove_tree(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).attempt(|| format!("remove {path:?}")),
        _ => Ok(()),
    }
}

/// Copies a folder and all that is in it, for the owner alone; one that isn't there is no failure.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.attempt(|| format!("look into {from:?}"))?,
    };
    make_folder(to)?;
    for entry in entries {
        let name = entry.attempt(|| format!("look into {from:?}"))?.file_name();
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else if let Some(bytes) = read(&source)? {
            replace(&target, &bytes, 0o600)?;
        }
    }
    sync(to)
}

/// Removes all that is in a folder.
pub fn empty_folder(path: &Path) -> Result<(), Failure> {
    let doing = || format!("empty {path:?}");
    for entry in fs::read_dir(path).attempt(doing)? {
        let entry = entry.attempt(doing)?;
        // The entry's own type: a link is removed, not what it points at.
        if entry.file_type().attempt(doing)?.is_dir() { remove_tree(&entry.path())? } else { remove(&entry.path())? }
    }
    Ok(())
}

/// Removes a folder that nothing is in.
pub fn remove_empty_folder(path: &Path) -> Result<(), Failure> {
    fs::remove_dir(path).attempt(|| format!("remove {path:?}"))
}

/// Syncs a file or a folder.
pub fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path).and_then(|file| file.sync_all()).attempt(|| format!("sync {path:?}"))
}

/// Makes a folder, and those above it that are missing, for the owner alone.
pub fn make_folder(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).attempt(|| format!("make the folder {path:?}"))
}

/// Makes one folder for the owner that the tool acts as, and for nobody else.
pub fn make_owners_folder(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let create = || fs::DirBuilder::new().mode(0o700).create(path);
    let doing = || format!("make the folder {path:?}");
    match create() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let denied = Err::<(), _>(error).attempt(doing).unwrap_err();
            let word = shell_word(path.as_os_str());
            let name = owner::acting().map(|owner| owner.name).unwrap_or_default();
            let denied = match name.as_str() {
                "" => denied,
                name => denied.hint(format!("make it yourself: mkdir -m 700 {word} && chown {name}: {word}")),
            };
            in_the_owners_stead(path, denied, || {
                create().attempt(doing)?;
                give_to_owner(path)
            })
        }
        made => made.attempt(doing),
    }
}

/// Gives a folder to the owner that the tool acts as; root's to call, inside [`owner::as_started`].
pub fn give_to_owner(folder: &Path) -> Result<(), Failure> {
    let Some(owner) = owner::acting() else { return Ok(()) };
    let doing = || format!("give {folder:?} to {}", owner.name);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_DIRECTORY);
    let opened = options.open(folder).attempt(doing)?;
    fchown(&opened, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).attempt(doing)
}

/// Opens a file to append to it, made with `mode` where it isn't there, for the owner that the tool acts as.
pub fn append_to(path: &Path, mode: u32) -> Result<File, Failure> {
    let doing = || format!("append to {path:?}");
    let mut options = OpenOptions::new();
    options.append(true).mode(mode);
    match options.clone().create(true).open(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let denied = Err::<File, _>(error).attempt(doing).unwrap_err();
            in_the_owners_stead(path, denied, || {
                let file = options.create_new(true).open(path).attempt(doing)?;
                if let Some(owner) = owner::acting() {
                    fchown(&file, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).attempt(doing)?;
                }
                Ok(file)
            })
        }
        opened => opened.attempt(doing),
    }
}

#[cfg(test)]
#[path = "durable_file_tests.rs"]
mod tests;
