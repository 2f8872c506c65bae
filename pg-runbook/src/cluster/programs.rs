//! Where PostgreSQL's programs are.
//!
//! What must always hold: a server's program is of the cluster's own major; a client program is never older than the
//! server it talks to. Debian's `pg_wrapper` is passed by: it chooses for itself.

use crate::failure::Failure;
use crate::invocation::Invocation;
use std::path::{Path, PathBuf};

/// A program of the server (`postgres`, `initdb`, `pg_ctl`, …) of this major.
pub fn server(major: u32, name: &str) -> Result<PathBuf, Failure> {
    find_server(major, name).ok_or_else(|| {
        Failure::failed(format!("find {name} of PostgreSQL {major}"))
            .because(format!("looked in {}", shown(&folders())))
            .hint(format!("pg-cluster require --pg-version {major} --install"))
    })
}

/// The same, where it is there.
#[must_use]
pub fn find_server(major: u32, name: &str) -> Option<PathBuf> {
    folders()
        .into_iter()
        .find(|folder| folder.join(name).exists() && major_of_server(folder) == Some(major))
        .map(|folder| folder.join(name))
}

/// The newest client program (`psql`, `pg_basebackup`, …), and its major.
pub fn client(name: &str, at_least: u32) -> Result<(PathBuf, u32), Failure> {
    find_client(name, at_least).ok_or_else(|| {
        Failure::failed(format!("find {name} of PostgreSQL {at_least} or newer"))
            .because(format!("looked in {}", shown(&folders())))
            .hint(format!("pg-cluster require --pg-version {at_least} --install"))
    })
}

/// The same, where it is there.
#[must_use]
pub fn find_client(name: &str, at_least: u32) -> Option<(PathBuf, u32)> {
    let programs = folders().into_iter().map(|folder| folder.join(name)).filter(|program| program.exists());
    let versions = programs.filter_map(|program| Some((major_of_program(&program)?, program)));
    versions
        .filter(|(major, _)| *major >= at_least)
        .max_by_key(|(major, _)| *major)
        .map(|(major, program)| (program, major))
}

/// The majors whose server is installed, newest first.
#[must_use]
pub fn installed_majors() -> Vec<u32> {
    let mut majors: Vec<u32> = folders().iter().filter_map(|folder| major_of_server(folder)).collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors.dedup();
    majors
}

/// The full version of a server, such as `17.6`.
pub fn server_version(major: u32) -> Result<String, Failure> {
    let said = Invocation::new(server(major, "postgres")?).arg("-V").run()?.stdout;
    Ok(version_word(&said).unwrap_or_default().to_owned())
}

/// `$PG_RUNBOOK_BINDIRS`, `$PATH`, /usr/lib/postgresql/*/bin and /usr/pgsql-*/bin, each folder once, links followed.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut add = |folder: PathBuf| {
        if let Ok(folder) = std::fs::canonicalize(folder)
            && !folders.contains(&folder)
        {
            folders.push(folder);
        }
    };
    for variable in ["PG_RUNBOOK_BINDIRS", "PATH"] {
        let paths = std::env::var_os(variable).unwrap_or_default();
        for folder in std::env::split_paths(&paths).filter(|path| path.is_absolute()) {
            match real_programs(&folder) {
                Some(real) => add(real),
                None => add(folder),
            }
        }
    }
    let below =
        |folder: &str| std::fs::read_dir(folder).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
    for entry in below("/usr/lib/postgresql") {
        add(entry.path().join("bin"));
    }
    let packaged = below("/usr").into_iter().filter(|entry| entry.file_name().to_string_lossy().starts_with("pgsql-"));
    packaged.for_each(|entry| add(entry.path().join("bin")));
    folders
}

/// A folder of links (such as /usr/local/bin) stands for the folder where the linked server lives.
fn real_programs(folder: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(folder.join("postgres")).ok()?;
    real.parent().map(Path::to_owned)
}

fn major_of_server(folder: &Path) -> Option<u32> {
    let postgres = folder.join("postgres");
    if postgres.exists() { major_of_program(&postgres) } else { None }
}

/// The folder's name where a packager put the version there, else what the program says of itself.
fn major_of_program(program: &Path) -> Option<u32> {
    let real = std::fs::canonicalize(program).ok()?;
    if real.file_name().is_some_and(|name| name == "pg_wrapper") {
        return None;
    }
    let versioned = real.parent()?.parent()?;
    let folder = versioned.file_name()?.to_string_lossy().into_owned();
    if versioned.starts_with("/usr/lib/postgresql") || folder.starts_with("pgsql-") {
        return folder.trim_start_matches("pgsql-").parse().ok();
    }
    let said = Invocation::new(&real).arg("-V").run().ok()?.stdout;
    version_word(&said)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → `15.18`; a beta says `19beta1`.
fn version_word(said: &str) -> Option<&str> {
    said.split_once(") ")?.1.split_whitespace().next()
}

fn shown(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_that_a_program_says() {
        assert_eq!(version_word("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some("15.18"));
        assert_eq!(version_word("psql (PostgreSQL) 19beta1\n"), Some("19beta1"));
        assert_eq!(version_word("nonsense"), None);
    }
}
