//! The password file, `~/.pgpass`: which line libpq takes for a connection, and lines set and removed without touching
//! any other byte.
//!
//! What must always hold: a file that is only read comes out byte for byte; a lookup takes the line that libpq would
//! take, and after [`PassFile::set`] that line holds the password. Nothing here shows a password.
//!
//! The format is libpq's (`fe-connect.c`, `passwordFromFile`; the manual's "The Password File"):
//! `host:port:database:username:password`, `:` and `\` escaped by `\`, a field of `*` matches anything, the first line
//! that matches wins.

use zeroize::Zeroizing;

use crate::{Failure, Secret};

mod line;
#[cfg(test)]
mod tests;

use line::{
    Wildcards, escape_field, escape_password, is_comment, is_unfinished, password_range, split, text, unescape,
};

/// The socket directory that libpq looks up as `localhost`, because it is the default it was built with.
///
/// Debian's, Red Hat's and PGDG's packages build with this one. A libpq built from the unchanged sources has `/tmp`;
/// to these packages `/tmp` is a path like any other, and so it is here.
pub const DEFAULT_SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// What a password is looked up by.
///
/// In [`PassFile::set`] and [`PassFile::remove`] a field that is `*` means the wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// A host name, an address, or a socket directory; empty is `localhost`.
    pub host: String,
    /// The port; empty is 5432.
    pub port: String,
    /// The database; `replication` for a replication connection.
    pub database: String,
    /// The role.
    pub username: String,
}

impl Key {
    /// A key of four fields.
    pub fn new(
        host: impl Into<String>,
        port: impl Into<Port>,
        database: impl Into<String>,
        username: impl Into<String>,
    ) -> Self {
        Self { host: host.into(), port: port.into().0, database: database.into(), username: username.into() }
    }

    /// The fields as libpq compares them.
    fn fields(&self) -> [&str; 4] {
        let host = match self.host.as_str() {
            "" | DEFAULT_SOCKET_DIRECTORY => "localhost",
            host => host,
        };
        let port = if self.port.is_empty() { "5432" } else { &self.port };
        [host, port, &self.database, &self.username]
    }
}

/// A port as a number, or as it stands in a password file.
pub struct Port(String);

impl From<u16> for Port {
    fn from(port: u16) -> Self {
        Self(port.to_string())
    }
}

impl From<&str> for Port {
    fn from(port: &str) -> Self {
        Self(port.to_owned())
    }
}

impl From<String> for Port {
    fn from(port: String) -> Self {
        Self(port)
    }
}

/// One field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `*`
    Any,
    /// Its text, unescaped; what isn't UTF-8 in it is shown as U+FFFD.
    Text(String),
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Text(text) => text,
        })
    }
}

/// One line that can give a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: usize,
    /// The host.
    pub host: Field,
    /// The port.
    pub port: Field,
    /// The database.
    pub database: Field,
    /// The role.
    pub username: Field,
    /// The password; none where its bytes aren't UTF-8, which libpq would send as they are.
    pub password: Option<Secret>,
}

/// What [`PassFile::set`] did. Lines are counted from 1, in the file as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The line that libpq takes is this key's, and holds this password.
    Unchanged,
    /// A new line.
    Added {
        /// Where it stands.
        line: usize,
    },
    /// This key's line has another password, or had to be moved before a wildcard that won over it.
    Replaced {
        /// Where it stands.
        line: usize,
    },
}

/// A password file in memory, byte for byte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PassFile {
    /// Each with its own line ending, which only the last one may lack.
    lines: Vec<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for PassFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

impl PassFile {
    /// Takes a file as it is; there is no file that can't be read.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        Self { lines: bytes.split_inclusive(|byte| *byte == b'\n').map(|line| Zeroizing::new(line.to_vec())).collect() }
    }

    /// The file, to be written back.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // One allocation: a growing one would leave passwords behind in the memory that it gives back.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.lines.iter().map(|line| line.len()).sum()));
        self.lines.iter().for_each(|line| bytes.extend_from_slice(line));
        bytes
    }

    /// The lines that can give a password, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let lines = self.lines.iter().zip(1..);
        lines.filter_map(|(line, number)| split(line).map(|fields| entry(number, line, fields))).collect()
    }

    /// The lines (from 1) that are neither empty nor a comment, and yet give no password: fields are missing.
    #[must_use]
    pub fn malformed(&self) -> Vec<usize> {
        let lines = self.lines.iter().zip(1..);
        lines.filter(|(line, _)| is_unfinished(line)).map(|(_, number)| number).collect()
    }

    /// The line that libpq takes for this connection, as its `passwordFromFile` does.
    ///
    /// libpq compares before it splits, so an unescaped `::1` matches the host `::1`, although the same line reads
    /// otherwise in [`PassFile::entries`]; the fields given here are those that matched.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Entry> {
        let index = self.winner(key)?;
        let line = &self.lines[index];
        let range = password_range(line, key.fields(), Wildcards::Match)?;
        let fields = split(line).filter(|fields| fields[4] == range);
        Some(fields.map_or_else(
            || {
                let [host, port, database, username] = key.fields().map(|field| Field::Text(field.to_owned()));
                let password = text(unescape(&line[range.clone()]));
                Entry { line: index + 1, host, port, database, username, password }
            },
            |fields| entry(index + 1, line, fields),
        ))
    }

    /// Makes `password` the one that libpq takes for `key`, changing as few bytes as that needs.
    ///
    /// A line with exactly this key keeps all but its password's bytes. A new line, or one that a wildcard hides, goes
    /// before the first line that would win over it; where none would, to the end.
    pub fn set(&mut self, key: &Key, password: &Secret) -> Result<Change, Failure> {
        check(key, password)?;
        let exact = (0..self.lines.len()).find(|index| self.is_exactly(*index, key));
        let winner = self.winner(key);
        match (exact, winner) {
            (Some(exact), Some(winner)) if winner < exact => {
                self.replace_password(exact, key, password);
                let line = self.take(exact);
                self.insert(winner, line);
                Ok(Change::Replaced { line: winner + 1 })
            }
            (Some(exact), _) if self.replace_password(exact, key, password) => Ok(Change::Replaced { line: exact + 1 }),
            (Some(_), _) => Ok(Change::Unchanged),
            (None, winner) => {
                let index = winner.unwrap_or(self.lines.len());
                self.insert(index, new_line(key, password));
                Ok(Change::Added { line: index + 1 })
            }
        }
    }

    /// Removes the lines with exactly this key, and says where (from 1) they stood.
    pub fn remove(&mut self, key: &Key) -> Vec<usize> {
        let gone: Vec<usize> = (0..self.lines.len()).filter(|index| self.is_exactly(*index, key)).collect();
        gone.iter().rev().for_each(|index| drop(self.lines.remove(*index)));
        gone.into_iter().map(|index| index + 1).collect()
    }

    fn winner(&self, key: &Key) -> Option<usize> {
        if key.database.is_empty() || key.username.is_empty() {
            return None;
        }
        self.lines.iter().position(|line| password_range(line, key.fields(), Wildcards::Match).is_some())
    }

    fn is_exactly(&self, index: usize, key: &Key) -> bool {
        password_range(&self.lines[index], key.fields(), Wildcards::AreText).is_some()
    }

    /// Says whether that changed anything.
    fn replace_password(&mut self, index: usize, key: &Key, password: &Secret) -> bool {
        let line = &self.lines[index];
        let Some(range) = password_range(line, key.fields(), Wildcards::AreText) else { return false };
        if unescape(&line[range.clone()]).as_slice() == password.expose().as_bytes() {
            return false;
        }
        let escaped = escape_password(password);
        let mut changed = Zeroizing::new(Vec::with_capacity(line.len() + escaped.len()));
        changed.extend_from_slice(&line[..range.start]);
        changed.extend_from_slice(&escaped);
        changed.extend_from_slice(&line[range.end..]);
        self.lines[index] = changed;
        true
    }

    /// A line without its ending, and out of the file.
    fn take(&mut self, index: usize) -> Zeroizing<Vec<u8>> {
        let mut line = self.lines.remove(index);
        let content = line::content(&line).len();
        line.truncate(content);
        line
    }

    /// A line without an ending gets the file's own; a file whose last line has none stays such a file.
    fn insert(&mut self, index: usize, mut line: Zeroizing<Vec<u8>>) {
        let crlf = self.lines.first().is_some_and(|first| first.ends_with(b"\r\n"));
        let ending: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        line.reserve_exact(ending.len());
        match index.checked_sub(1).map(|before| &mut self.lines[before]) {
            Some(before) if !before.ends_with(b"\n") => before.extend_from_slice(ending),
            _ => line.extend_from_slice(ending),
        }
        self.lines.insert(index, line);
    }
}

/// Why libpq would ignore a password file with this `st_mode`; none where it would read it.
///
/// libpq only warns, and goes on without a password.
#[must_use]
pub fn permissions_problem(mode: u32) -> Option<String> {
    const KIND: u32 = 0o170_000;
    const PLAIN: u32 = 0o100_000;
    match mode {
        mode if mode & KIND != PLAIN => Some("it is not a plain file".into()),
        mode if mode & 0o077 != 0 => {
            Some(format!("group or others have access (mode {:04o}); it must be 0600 or less", mode & 0o7777))
        }
        _ => None,
    }
}

fn check(key: &Key, password: &Secret) -> Result<(), Failure> {
    let names = ["host", "port", "database", "username"];
    for (name, field) in names.into_iter().zip(key.fields()) {
        if field.is_empty() || field.contains(['\n', '\r', '\0']) {
            return Err(Failure::usage(format!("{name} {field:?} can't stand in a password file")));
        }
    }
    if password.expose().contains(['\n', '\r', '\0']) {
        let message = format!("the password of {:?} can't stand in a password file", key.username);
        return Err(Failure::usage(message).because("it holds a line break or a NUL"));
    }
    Ok(())
}

fn new_line(key: &Key, password: &Secret) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::new());
    for field in key.fields() {
        line.extend_from_slice(&escape_field(field));
        line.push(b':');
    }
    if is_comment(&line) {
        line.insert(0, b'\\');
    }
    let escaped = escape_password(password);
    // The ending too, so that adding it moves nothing.
    line.reserve_exact(escaped.len() + 2);
    line.extend_from_slice(&escaped);
    line
}

fn entry(number: usize, line: &[u8], fields: [std::ops::Range<usize>; 5]) -> Entry {
    let [host, port, database, username, password] = fields.map(|range| &line[range]);
    let field = |raw: &[u8]| match raw {
        b"*" => Field::Any,
        raw => Field::Text(String::from_utf8_lossy(&unescape(raw)).into_owned()),
    };
    Entry {
        line: number,
        host: field(host),
        port: field(port),
        database: field(database),
        username: field(username),
        password: text(unescape(password)),
    }
}
