//! What throwaway servers are made of: PostgreSQL's programs, and our binaries, built now.
//!
//! What must always hold: PostgreSQL is only installed where it is missing, and after that was said.

use crate::ground::Outcome;
use pg_runbook::cluster::programs;
use pg_runbook::owner;
use std::path::PathBuf;
use std::process::Command;

/// What is there now.
#[derive(Clone, Debug)]
pub struct Materials {
    /// Of PostgreSQL.
    pub major: u32,
    /// The folder with our binaries.
    pub binaries: PathBuf,
}

/// How our binaries are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Debug,
    Release,
}

impl Materials {
    /// Gets what is missing.
    pub fn get(profile: Profile, no_install: bool) -> Outcome<Self> {
        Ok(Self { major: postgresql(no_install)?, binaries: build(profile)? })
    }
}

/// The newest PostgreSQL that has all it takes; Debian's packages where there is none.
fn postgresql(no_install: bool) -> Outcome<u32> {
    if let Some(major) = complete() {
        return Ok(major);
    }
    if no_install {
        return Err("no PostgreSQL server is installed, and --no-install forbids to get one".into());
    }
    if !owner::started_by_root() {
        return Err("no PostgreSQL server is installed; as root this gets one: sudo apt-get install postgresql".into());
    }
    println!("PostgreSQL is missing: installing Debian's packages postgresql and postgresql-contrib.");
    println!("(Debian starts an empty cluster with them, which is not touched.)");
    for words in [&["-qq", "update"][..], &["-qq", "install", "-y", "postgresql", "postgresql-contrib"]] {
        let status = Command::new("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive").status();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(format!("apt-get {} failed", words.join(" ")));
        }
    }
    complete().ok_or_else(|| "the packages are installed, and still no complete PostgreSQL is found".into())
}

fn complete() -> Option<u32> {
    programs::installed_majors().into_iter().find(|major| {
        let server = ["initdb", "pg_ctl"].iter().all(|name| programs::find_server(*major, name).is_some());
        server && ["psql", "pg_basebackup", "pgbench"].iter().all(|name| programs::find_client(name, *major).is_some())
    })
}

/// Our binaries, built now; they lie beside this program's own folder.
pub fn build(profile: Profile) -> Outcome<PathBuf> {
    let (words, folder) = match profile {
        Profile::Debug => (&["build", "--quiet", "--bins"][..], "debug"),
        // Not this program too: its own release build would take longer than the tools'.
        Profile::Release => {
            (&["build", "--quiet", "--bins", "--release", "--workspace", "--exclude", "xtask"][..], "release")
        }
    };
    println!("Building the tools ({folder}) …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(words).status().map_err(|error| format!("run cargo: {error}"))?;
    if !status.success() {
        return Err("the tools could not be built".into());
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = own.parent().and_then(std::path::Path::parent).ok_or("this program has no folder")?;
    Ok(target.join(folder))
}
