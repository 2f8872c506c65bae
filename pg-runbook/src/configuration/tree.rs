//! Following includes: which files belong to a configuration, and in which order they speak.
//!
//! What must always hold: paths are resolved, folders listed and loops noticed as the server does it
//! (src/backend/utils/misc/conffiles.c), so a tree that loads here is one that the server can open.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{ConfFile, Entry, EntryKind, Located};
use crate::{Attempt, Failure};

/// The server's `CONF_FILE_MAX_DEPTH`.
const MAXIMUM_DEPTH: usize = 10;

/// The files of a configuration, and what its included folders held.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    files: Vec<(PathBuf, ConfFile)>,
    directories: BTreeMap<PathBuf, Vec<PathBuf>>,
}

/// Where an include stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    line: usize,
}

impl Tree {
    pub(super) fn load_main(&mut self, path: &Path) -> Result<Vec<Located>, Failure> {
        let file = read(path).attempt(|| format!("read configuration file {}", quoted(path)))?;
        let mut found = Vec::new();
        self.walk(path, &file, 0, &mut found)?;
        Ok(found)
    }

    pub(super) fn load_alter_system(&mut self, path: &Path) -> Result<Vec<Located>, Failure> {
        let mut found = Vec::new();
        if let Some(file) = read_if_there(path).attempt(|| format!("read configuration file {}", quoted(path)))? {
            self.walk(path, &file, 0, &mut found)?;
        }
        for located in &mut found {
            located.from_alter_system = true;
        }
        Ok(found)
    }

    pub(super) fn file(&self, path: &Path) -> Option<&ConfFile> {
        self.files().find(|(known, _)| *known == path).map(|(_, file)| file)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &ConfFile)> {
        self.files.iter().map(|(path, file)| (path.as_path(), file))
    }

    pub(super) fn included_folder(&self, path: &Path) -> Option<PathBuf> {
        let folder = |entry: &Entry| match &entry.kind {
            EntryKind::IncludeDir { path: location } => Place { file: path, line: entry.line }.resolve(location).ok(),
            _ => None,
        };
        self.file(path)?.entries().iter().rev().find_map(folder)
    }

    fn walk(&mut self, path: &Path, file: &ConfFile, depth: usize, found: &mut Vec<Located>) -> Result<(), Failure> {
        if self.file(path).is_none() {
            self.files.push((path.to_owned(), file.clone()));
        }
        for entry in file.entries() {
            let place = Place { file: path, line: entry.line };
            match &entry.kind {
                EntryKind::Invalid => {}
                EntryKind::Assignment { name, value } => found.push(Located {
                    name: name.clone(),
                    value: value.clone(),
                    file: path.to_owned(),
                    line: entry.line,
                    from_alter_system: false,
                }),
                EntryKind::Include { path } => self.include(place, path, true, depth + 1, found)?,
                EntryKind::IncludeIfExists { path } => self.include(place, path, false, depth + 1, found)?,
                EntryKind::IncludeDir { path } => self.include_directory(place, path, depth + 1, found)?,
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        place: Place,
        location: &Path,
        required: bool,
        depth: usize,
        found: &mut Vec<Located>,
    ) -> Result<(), Failure> {
        let path = place.resolve(location)?;
        let doing = || format!("read {}, included by {place}", quoted(&path));
        if depth > MAXIMUM_DEPTH {
            return Err(place.failure(format!("{}: maximum nesting depth exceeded", doing())));
        }
        if path == place.file {
            return Err(place.failure(format!("configuration file recursion: {place} includes the file itself")));
        }
        let file = if required { read(&path).map(Some) } else { read_if_there(&path) };
        match file.attempt(doing).map_err(|failure| failure.hint(place.hint()))? {
            Some(file) => self.walk(&path, &file, depth, found),
            None => Ok(()),
        }
    }

    fn include_directory(
        &mut self,
        place: Place,
        location: &Path,
        depth: usize,
        found: &mut Vec<Located>,
    ) -> Result<(), Failure> {
        let directory = place.resolve(location)?;
        let paths = list(&directory)
            .attempt(|| format!("read folder {}, included by {place}", quoted(&directory)))
            .map_err(|failure| failure.hint(place.hint()))?;
        self.directories.insert(directory, paths.clone());
        paths.iter().try_for_each(|path| self.include(place, path, true, depth, found))
    }

    pub(super) fn flattened(&self, main_file: &Path, edited: &[(PathBuf, ConfFile)]) -> Vec<u8> {
        let mut output = Vec::new();
        self.flatten(main_file, edited, 0, &mut output);
        output
    }

    fn flatten(&self, path: &Path, edited: &[(PathBuf, ConfFile)], depth: usize, output: &mut Vec<u8>) -> bool {
        let stand_in = edited.iter().rfind(|(other, _)| other == path).map(|(_, file)| file);
        let Some(file) = stand_in.or_else(|| self.file(path)).filter(|_| depth <= MAXIMUM_DEPTH) else { return false };
        file.write_with(output, |entry, output| self.inline(path, entry, edited, depth + 1, output));
        true
    }

    /// What stands in the place of an include line. One that can't be followed stays, with its path made absolute, so
    /// that the server says what is wrong with it.
    fn inline(&self, path: &Path, entry: &Entry, edited: &[(PathBuf, ConfFile)], depth: usize, output: &mut Vec<u8>) {
        let place = Place { file: path, line: entry.line };
        let (keyword, location) = match &entry.kind {
            EntryKind::Include { path } => ("include", path),
            EntryKind::IncludeIfExists { path } => ("include_if_exists", path),
            EntryKind::IncludeDir { path } => ("include_dir", path),
            EntryKind::Assignment { .. } | EntryKind::Invalid => return,
        };
        let followed = place.resolve(location).is_ok_and(|target| match (keyword, self.directories.get(&target)) {
            ("include_dir", Some(listed)) => {
                let files = with_new_files(&target, listed, edited);
                files.iter().all(|file| self.flatten(file, edited, depth, output))
            }
            ("include_dir", None) => false,
            _ => self.flatten(&target, edited, depth, output),
        });
        if !followed {
            let target = place.resolve(location).unwrap_or_default();
            let quoted = escape(target.as_os_str().as_bytes());
            output.extend_from_slice(&[keyword.as_bytes(), b" '", &quoted, b"'\n"].concat());
        }
    }
}

impl Place<'_> {
    /// Relative paths begin at the including file's folder; `..` is taken away without asking the file system.
    fn resolve(&self, location: &Path) -> Result<PathBuf, Failure> {
        if location.as_os_str().as_bytes().iter().all(|byte| b" \t\r\n".contains(byte)) {
            return Err(self.failure(format!("empty configuration file name in {self}")));
        }
        Ok(normalized(&self.file.parent().unwrap_or(Path::new("/")).join(location)))
    }

    fn failure(&self, message: String) -> Failure {
        Failure::failed(message).hint(self.hint())
    }

    fn hint(&self) -> String {
        format!("sed -n {}p '{}'", self.line, self.file.display())
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} line {}", quoted(self.file), self.line)
    }
}

/// An absolute path without `.` and `..`, symlinks left as they are.
pub(super) fn absolute(path: &Path) -> PathBuf {
    normalized(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => _ = normalized.pop(),
            other => normalized.push(other),
        }
    }
    normalized
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn read(path: &Path) -> io::Result<ConfFile> {
    parse_all(File::open(path)?)
}

/// Nothing where the file can't be opened: to the server, that is what "exists" means, whatever the reason.
fn read_if_there(path: &Path) -> io::Result<Option<ConfFile>> {
    File::open(path).ok().map(parse_all).transpose()
}

fn parse_all(mut file: File) -> io::Result<ConfFile> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(ConfFile::parse(&bytes))
}

/// The files of an included folder, in the order of their bytes.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let path = directory.join(&name);
        if is_read_from_directory(&name) && !fs::metadata(&path)?.is_dir() {
            paths.push(path);
        }
    }
    paths.sort_by(|left, right| by_bytes(left, right));
    Ok(paths)
}

fn is_read_from_directory(name: &OsStr) -> bool {
    !name.as_bytes().starts_with(b".") && name.as_bytes().ends_with(b".conf")
}

fn with_new_files(directory: &Path, listed: &[PathBuf], edited: &[(PathBuf, ConfFile)]) -> Vec<PathBuf> {
    let is_new = |path: &&PathBuf| {
        path.parent() == Some(directory)
            && path.file_name().is_some_and(is_read_from_directory)
            && !listed.contains(path)
    };
    let mut files: Vec<_> = listed.iter().chain(edited.iter().map(|(path, _)| path).filter(is_new)).cloned().collect();
    files.sort_by(|left, right| by_bytes(left, right));
    files.dedup();
    files
}

// Paths compare by component, the server by byte.
fn by_bytes(left: &Path, right: &Path) -> std::cmp::Ordering {
    left.as_os_str().as_bytes().cmp(right.as_os_str().as_bytes())
}

fn escape(path: &[u8]) -> Vec<u8> {
    path.iter().flat_map(|byte| if matches!(byte, b'\'' | b'\\') { vec![b'\\', *byte] } else { vec![*byte] }).collect()
}
