//! A password file as it lies on disk: its lines, mode and owner.
//!
//! What must always hold: it is private before a password is written into it; its bytes are overwritten in memory when
//! they are no longer needed.

use crate::key;
use crate::location::Place;
use pg_runbook::durable_file;
use pg_runbook::passfile::{PassFile, permissions_problem};
use pg_runbook::{Attempt, Failure};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use zeroize::Zeroizing;

/// The only mode that libpq reads and that can be written.
pub const PRIVATE: u32 = 0o600;

/// What was found there.
pub struct Found {
    /// `None` where there is no such file.
    pub disk: Option<Disk>,
    /// Its lines; none where there is no such file.
    pub lines: PassFile,
}

/// What the file system says of it.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// `st_mode`.
    pub mode: u32,
    /// Whom it belongs to.
    pub uid: u32,
}

impl Disk {
    /// Such as `0600`.
    pub fn octal(self) -> String {
        format!("{:04o}", self.mode & 0o7777)
    }

    /// Why libpq ignores it.
    pub fn problem(self) -> Option<String> {
        permissions_problem(self.mode)
    }
}

/// Reads the file, if it is there.
pub fn read(place: &Place) -> Result<Found, Failure> {
    let (path, user) = (&place.path, &place.owner.name);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Found { disk: None, lines: PassFile::default() });
        }
        Err(error) => {
            let result = Err(error).attempt(|| format!("look at the password file {}", path.display()));
            return result
                .map_err(|failure| failure.hint(format!("{user} has to reach it; --owner USER says whose it is")));
        }
    };
    if !metadata.is_file() {
        return Err(
            Failure::failed(format!("read the password file {}", path.display())).because("it is not a plain file")
        );
    }
    let bytes = durable_file::read(path)
        .map_err(|failure| failure.hint(format!("it has to belong to {user}: chown {user} {}", path.display())))?;
    let bytes = Zeroizing::new(bytes.unwrap_or_default());
    let disk = Disk { mode: metadata.mode(), uid: metadata.uid() };
    Ok(Found { disk: Some(disk), lines: PassFile::parse(&bytes) })
}

/// Writes the lines back.
pub fn write(place: &Place, lines: &PassFile) -> Result<(), Failure> {
    durable_file::replace(&place.path, &lines.to_bytes(), PRIVATE).map(|_| ())
}

/// The lines as a difference shows them: no password, and nothing of what may hold one. `marked` is the line whose
/// password is told to be `word`.
pub fn masked(lines: &PassFile, marked: Option<usize>, word: &str) -> String {
    lines.entries().iter().fold(String::new(), |text, entry| {
        let password = if marked == Some(entry.line) { word } else { "********" };
        text + &format!("{}:{password}\n", key::shown_entry(entry))
    })
}
