//! The rules of a server in the order in which it tries them: `pg_hba.conf` and, from 16 on, what it includes.
//!
//! What must always hold: each record keeps the file and line where it stands, and the line of the main file behind
//! which it is read: to come before it, a new rule has to stand above that line. `@files` are read, so that what comes
//! out can be compared with a login.

use crate::rules::hba_file::{HbaFile, IncludeKind, Record, Word};
use pg_runbook::{Attempt, Failure, durable_file};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The server's `CONF_FILE_MAX_DEPTH`.
const MAXIMUM_DEPTH: usize = 10;

/// A record, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// Its line in the main file, or that of the include by which it comes.
    pub top_line: usize,
    /// A rule, or what is wrong with a line.
    pub record: Record,
}

impl Found {
    /// `FILE:LINE`
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.record.line())
    }
}

/// The records of a main file with these bytes.
pub fn records(main_file: &Path, bytes: &[u8], major: u32) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    walk(main_file, bytes, major, 0, &mut found)?;
    Ok(found)
}

/// Every file that the server reads for its rules, `@files` too.
pub fn files(main_file: &Path, bytes: &[u8], major: u32) -> Vec<PathBuf> {
    let mut files = vec![main_file.to_owned()];
    collect_files(main_file, bytes, major, 0, &mut files);
    files
}

fn collect_files(path: &Path, bytes: &[u8], major: u32, depth: usize, files: &mut Vec<PathBuf>) {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let file = HbaFile::parse(bytes, major);
    let lists = file.lines_of_words().flatten().flatten();
    let mut named: Vec<PathBuf> = lists.filter_map(|word| Some(folder.join(word.file()?))).collect();
    for record in file.records() {
        match record {
            Record::Include { kind: IncludeKind::Directory, path, .. } => {
                named.extend(list(&folder.join(path)).unwrap_or_default());
            }
            Record::Include { path, .. } => named.push(folder.join(path)),
            Record::Rule(_) | Record::Invalid { .. } => {}
        }
    }
    for file in named {
        if !files.contains(&file) && depth < MAXIMUM_DEPTH {
            files.push(file.clone());
            let bytes = durable_file::read(&file).ok().flatten().unwrap_or_default();
            collect_files(&file, &bytes, major, depth + 1, files);
        }
    }
}

fn walk(path: &Path, bytes: &[u8], major: u32, depth: usize, found: &mut Vec<Found>) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut expand = |named: &str| names(folder, named, major, depth + 1);
    for record in HbaFile::parse(bytes, major).expanded_records(&mut expand) {
        let top_line = record.line();
        let Record::Include { line, kind, path: named } = &record else {
            found.push(Found { file: path.to_owned(), top_line, record });
            continue;
        };
        let target = folder.join(named);
        let before = found.len();
        let problem = include(&target, *kind, major, depth + 1, found)?;
        for included in &mut found[before..] {
            included.top_line = top_line;
        }
        if let Some(reason) = problem {
            let record = Record::Invalid { line: *line, reason, raw: String::new() };
            found.push(Found { file: path.to_owned(), top_line, record });
        }
    }
    Ok(())
}

/// The words of an `@file`: its own columns don't matter, nested `@files` and (16 and later) includes are followed.
fn names(folder: &Path, named: &str, major: u32, depth: usize) -> Result<Vec<Word>, String> {
    let path = folder.join(named);
    let refused = |why: &str| match major {
        16.. => format!("could not open file \"{}\": {why}", path.display()),
        _ => format!("could not open secondary authentication file \"@{named}\" as \"{}\": {why}", path.display()),
    };
    if depth > MAXIMUM_DEPTH {
        return Err(refused("maximum nesting depth exceeded"));
    }
    let bytes = match durable_file::read(&path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(refused("No such file or directory")),
        Err(failure) => return Err(refused(failure.causes.last().unwrap_or(&failure.message))),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let file = HbaFile::parse(&bytes, major);
    let mut words = Vec::new();
    for fields in file.lines_of_words() {
        let directive = match fields.as_slice() {
            [first, second] => IncludeKind::of(&first[0], major).map(|kind| (kind, second[0].text.clone())),
            _ => None,
        };
        match directive {
            Some((kind, target)) => words.extend(included_names(folder, &target, kind, major, depth + 1)?),
            None => {
                for word in fields.into_iter().flatten() {
                    match word.file() {
                        Some(nested) => words.extend(names(folder, nested, major, depth + 1)?),
                        None => words.push(word),
                    }
                }
            }
        }
    }
    Ok(words)
}

fn included_names(
    folder: &Path,
    target: &str,
    kind: IncludeKind,
    major: u32,
    depth: usize,
) -> Result<Vec<Word>, String> {
    let path = folder.join(target);
    match kind {
        IncludeKind::FileIfExists if !path.exists() => Ok(Vec::new()),
        IncludeKind::File | IncludeKind::FileIfExists => names(folder, target, major, depth),
        IncludeKind::Directory => {
            let files = list(&path).map_err(|_| format!("could not open directory \"{}\"", path.display()))?;
            let words = files.iter().map(|file| names(folder, &file.to_string_lossy(), major, depth));
            Ok(words.collect::<Result<Vec<_>, _>>()?.concat())
        }
    }
}

/// Follows one include; what the server would say against it comes back.
fn include(
    target: &Path,
    kind: IncludeKind,
    major: u32,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<Option<String>, Failure> {
    if depth > MAXIMUM_DEPTH {
        return Ok(Some(format!("could not open file \"{}\": maximum nesting depth exceeded", target.display())));
    }
    let files = match kind {
        IncludeKind::File | IncludeKind::FileIfExists => vec![target.to_owned()],
        IncludeKind::Directory if target.is_dir() => list(target)?,
        IncludeKind::Directory => return Ok(Some(format!("could not open directory \"{}\"", target.display()))),
    };
    for file in files {
        match durable_file::read(&file)? {
            Some(bytes) => walk(&file, &bytes, major, depth, found)?,
            None if kind == IncludeKind::FileIfExists => {}
            None => return Ok(Some(format!("could not open file \"{}\"", file.display()))),
        }
    }
    Ok(None)
}

/// The files of an included folder that the server reads, in the order of their bytes.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let doing = || format!("look into {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).attempt(doing)? {
        let name = entry.attempt(doing)?.file_name();
        let read = !name.as_bytes().starts_with(b".") && name.as_bytes().ends_with(b".conf");
        files.extend(Some(folder.join(name)).filter(|path| read && !path.is_dir()));
    }
    files.sort_by(|left, right| left.as_os_str().as_bytes().cmp(right.as_os_str().as_bytes()));
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // The tests set their own scenery.

    use super::*;
    use std::fs;

    fn shown(main: &str, files: &[(&str, &str)], major: u32) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let found = records(&folder.path().join("pg_hba.conf"), main.as_bytes(), major).unwrap();
        let line = |found: &Found| {
            let name = found.file.file_name().unwrap().to_string_lossy().into_owned();
            let what = if matches!(found.record, Record::Rule(_)) { "rule" } else { "invalid" };
            format!("{name}:{} {what} at {}", found.record.line(), found.top_line)
        };
        found.iter().map(line).collect()
    }

    #[test]
    fn reads_included_rules_where_they_are_included_from_16_on() {
        let main = "local all all peer\ninclude x\ninclude_dir d\ninclude_if_exists none\nhost all all all md5\n";
        let files = [
            ("x", "# one\nhost a a all md5\ninclude d/b.conf\n"),
            ("d/b.conf", "host b b all md5\n"),
            ("d/no", "host c c all md5\n"),
        ];
        let expected = [
            "pg_hba.conf:1 rule at 1",
            "x:2 rule at 2",
            "b.conf:1 rule at 2",
            "b.conf:1 rule at 3",
            "pg_hba.conf:5 rule at 5",
        ];
        assert_eq!(shown(main, &files, 16), expected);
        assert_eq!(shown("include x\n", &files, 15), ["pg_hba.conf:1 invalid at 1"]);
    }

    #[test]
    fn reads_lists_of_names_relative_to_the_file_that_names_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        for (name, text) in [("d/a", "x, \"all\" # no\n+staff @b\n"), ("d/b", "y"), ("d/none", "# nobody\n")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let main = folder.path().join("pg_hba.conf");
        let read = |text: &str| records(&main, text.as_bytes(), 15).unwrap().remove(0).record;
        let Record::Rule(rule) = read("host all z,@d/a all md5") else { panic!() };
        assert_eq!(rule.users.iter().map(Word::to_string).collect::<Vec<_>>(), ["z", "x", "\"all\"", "+staff", "y"]);
        // An empty list is no column.
        assert!(matches!(read("host @d/none db all all md5"), Record::Rule(rule) if rule.databases[0].text == "db"));
        assert!(matches!(read("host @d/none all all md5"), Record::Invalid { .. }));
        let Record::Invalid { reason, .. } = read("host all @nowhere all md5") else { panic!() };
        let path = folder.path().join("nowhere");
        let expected = "could not open secondary authentication file \"@nowhere\" as";
        assert_eq!(reason, format!("{expected} {path:?}: No such file or directory"));
        assert_eq!(files(&main, b"host all z,@d/a all md5", 15).len(), 3);
    }

    #[test]
    fn tells_of_includes_that_cannot_be_followed() {
        assert_eq!(shown("include none\n", &[], 16), ["pg_hba.conf:1 invalid at 1"]);
        assert_eq!(shown("include_dir none\n", &[], 16), ["pg_hba.conf:1 invalid at 1"]);
        assert_eq!(shown("include x\n", &[("x", "include x\n")], 16), ["x:1 invalid at 1"]);
    }
}
