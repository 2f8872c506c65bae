//! Which PostgreSQL servers there are to test on, and why others are missing.
//!
//! What must always hold: which majors are expected is said here and nowhere else.

use crate::account::{Account, is_root};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Beside the machine's own.
const EXPECTED: [u32; 2] = [10, 12];

/// One major's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The major version.
    pub major: u32,
    /// The folder of `postgres` and `initdb`.
    pub bin: PathBuf,
    /// Whether the tools find it only where they are told of it.
    pub needs_telling: bool,
}

/// Which server a scenario is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This major.
    Major(u32),
    /// The newest that is installed on the machine, with its client programs.
    Local,
}

/// A server that isn't there, and why.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Which.
    pub wanted: Wanted,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wanted {
            Wanted::Major(major) => write!(f, "PostgreSQL {major} can't be run: {}", self.reason),
            Wanted::Local => write!(f, "the machine's own PostgreSQL can't be run: {}", self.reason),
        }
    }
}

/// All that were found.
#[derive(Clone, Debug)]
pub struct Servers {
    local: Vec<Server>,
    brought: Vec<Server>,
}

impl Servers {
    /// Looks for the machine's own, for `$PG_RUNBOOK_TEST_SERVERS` (a folder with a folder for each major), and for
    /// archives beside the work tree, which it unpacks.
    pub fn find() -> Self {
        let mut brought = std::env::var_os("PG_RUNBOOK_TEST_SERVERS").map_or_else(Vec::new, |folders| {
            std::env::split_paths(&folders).flat_map(|folder| in_folder(&folder, true)).collect()
        });
        brought.extend(archives().iter().filter_map(|(major, archive)| unpacked(*major, archive)));
        let mut local = in_folder(Path::new("/usr/lib/postgresql"), false);
        local.sort_by_key(|server| std::cmp::Reverse(server.major));
        Self { local, brought }
    }

    /// The server that is wanted, or why it can't be had.
    pub fn get(&self, wanted: Wanted) -> Result<Server, Missing> {
        let missing = |reason: &str| Missing { wanted, reason: reason.to_owned() };
        let found = match wanted {
            Wanted::Local => self.local.first(),
            Wanted::Major(major) => self.local.iter().chain(&self.brought).find(|server| server.major == major),
        };
        let Some(found) = found else {
            return Err(missing(match wanted {
                Wanted::Local => "nothing in /usr/lib/postgresql (cargo xtask test installs it on Debian, as root)",
                Wanted::Major(_) => "neither installed, nor in $PG_RUNBOOK_TEST_SERVERS, nor in ../shared/postgres",
            }));
        };
        if psql().is_none() {
            return Err(missing("there is no psql"));
        }
        if Account::of_servers().is_none() {
            return Err(missing("root runs the tests, and there is no user postgres to own a server"));
        }
        Ok(found.clone())
    }

    /// What the scenarios want and can't have.
    pub fn missing(&self) -> Vec<Missing> {
        let wanted = EXPECTED.map(Wanted::Major).into_iter().chain([Wanted::Local]);
        wanted.filter_map(|wanted| self.get(wanted).err()).collect()
    }

    /// For people.
    pub fn describe(&self) -> String {
        let list = self.local.iter().chain(&self.brought);
        let words: Vec<String> = list.map(|server| format!("{} ({})", server.major, server.bin.display())).collect();
        if words.is_empty() { "none".into() } else { words.join(", ") }
    }
}

/// The newest psql of the machine (a newer one talks to every older server).
pub fn psql() -> Option<PathBuf> {
    let mut local = in_folder(Path::new("/usr/lib/postgresql"), false);
    local.sort_by_key(|server| std::cmp::Reverse(server.major));
    local.into_iter().map(|server| server.bin.join("psql")).find(|psql| psql.exists())
}

fn in_folder(folder: &Path, needs_telling: bool) -> Vec<Server> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let server = |path: PathBuf| {
        let bin = path.join("bin");
        let major = path.file_name()?.to_str()?.parse().ok()?;
        bin.join("postgres").exists().then_some(Server { major, bin, needs_telling })
    };
    entries.flatten().filter_map(|entry| server(entry.path())).collect()
}

/// `../shared/postgres/pg10-server-linux-x64.tar.xz` and its like.
fn archives() -> Vec<(u32, PathBuf)> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Vec::new();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/postgres");
    let named = EXPECTED.map(|major| (major, folder.join(format!("pg{major}-server-linux-x64.tar.xz"))));
    named.into_iter().filter(|(_, archive)| archive.exists()).collect()
}

/// Unpacked once for each version of the archive, where the servers' owner can read it, whoever runs the tests.
fn unpacked(major: u32, archive: &Path) -> Option<Server> {
    let metadata = archive.metadata().ok()?;
    let mut hash = DefaultHasher::new();
    (major, metadata.len(), metadata.mtime()).hash(&mut hash);
    let uid = nix::unistd::getuid();
    let home = PathBuf::from(format!("/var/tmp/pg-runbook-test-servers-{uid}-{:016x}", hash.finish()));
    if !home.exists() {
        unpack(archive, &home);
    }
    let owner = home.metadata().ok()?.uid();
    assert_eq!(owner, uid.as_raw(), "{home:?} is somebody else's");
    let bin = home.join(major.to_string()).join("bin");
    bin.join("postgres").exists().then_some(Server { major, bin, needs_telling: true })
}

/// Beside its place first: tests that run at the same time see it whole or not at all.
fn unpack(archive: &Path, home: &Path) {
    let beside = tempfile::Builder::new()
        .prefix(".pg-runbook-test-servers-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in("/var/tmp")
        .expect("a folder in /var/tmp");
    let mut tar = Command::new("tar");
    if is_root() {
        tar.arg("--no-same-owner");
    }
    let status = tar.arg("-xJf").arg(archive).arg("-C").arg(beside.path()).status().expect("run tar");
    assert!(status.success(), "tar could not unpack {archive:?}");
    let path = beside.keep();
    if std::fs::rename(&path, home).is_err() {
        assert!(home.exists(), "{path:?} could not be renamed to {home:?}");
        let _ = std::fs::remove_dir_all(&path);
    }
}
