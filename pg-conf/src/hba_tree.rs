//! The rules of a server in the order in which it tries them: `pg_hba.conf` and, from 16 on, what it includes.
//!
//! What must always hold: each record keeps the file and line where it stands, and the line of the main file behind
//! which it is read: to come before it, a new rule has to stand above that line.

use crate::hba_file::{HbaFile, IncludeKind, Record};
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

/// The records of a main file with these bytes.
pub fn records(main_file: &Path, bytes: &[u8], major: u32) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    walk(main_file, bytes, major, 0, &mut found)?;
    Ok(found)
}

fn walk(path: &Path, bytes: &[u8], major: u32, depth: usize, found: &mut Vec<Found>) -> Result<(), Failure> {
    for record in HbaFile::parse(bytes, major).records() {
        let top_line = record.line();
        let Record::Include { line, kind, path: named } = record else {
            found.push(Found { file: path.to_owned(), top_line, record: record.clone() });
            continue;
        };
        let target = path.parent().unwrap_or(Path::new("/")).join(named);
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
    fn tells_of_includes_that_cannot_be_followed() {
        assert_eq!(shown("include none\n", &[], 16), ["pg_hba.conf:1 invalid at 1"]);
        assert_eq!(shown("include_dir none\n", &[], 16), ["pg_hba.conf:1 invalid at 1"]);
        assert_eq!(shown("include x\n", &[("x", "include x\n")], 16), ["x:1 invalid at 1"]);
    }
}
