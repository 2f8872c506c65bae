//! What `/proc` tells of processes (`proc(5)`).
//!
//! What must always hold: of a process that has ended, or that this user may not look into, nothing is told. Numbers come
//! around: who acts on one looks first whether it is still what it was.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The numbers of all that there are.
pub fn all() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Its name, of which there are 15 characters.
#[must_use]
pub fn name(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// The words that it was started with, or what it says of itself since.
#[must_use]
pub fn command_line(pid: i32) -> Option<Vec<OsString>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    Some(line.split(|byte| *byte == 0).map(|word| OsStr::from_bytes(word).to_owned()).collect())
}

/// Who started it, or looks after it since that one ended.
#[must_use]
pub fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent > 0)
}

/// Whether it has ended, and nobody has asked how.
#[must_use]
pub fn is_zombie(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.starts_with('Z'))
}

/// The state and what comes behind it. The name before that may hold blanks and parentheses.
fn stat(pid: i32) -> Option<String> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.rsplit_once(')')?.1.trim_start().to_owned())
}

/// Those whose parent it is.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    all().filter(|other| parent(*other) == Some(pid)).collect()
}

/// Its children, theirs, and so on, as they are at one moment.
#[must_use]
pub fn descendants(pid: i32) -> Vec<i32> {
    let pairs: Vec<(i32, i32)> = all().filter_map(|other| Some((other, parent(other)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(pairs.iter().filter(|(_, its)| *its == parent).map(|(other, _)| *other));
        next += 1;
    }
    found.split_off(1)
}

/// The folder that it works in.
#[must_use]
pub fn folder(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// What a descriptor of it is open on: a path, or `pipe:[4711]`.
#[must_use]
pub fn open_on(pid: i32, descriptor: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_this_very_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        let words: Vec<OsString> = std::env::args_os().collect();
        assert_eq!(command_line(own), Some(words));
        assert_eq!(folder(own), std::env::current_dir().ok());
        assert_eq!(parent(own), Some(nix::unistd::getppid().as_raw()));
        assert!(!is_zombie(own) && children(parent(own).unwrap()).contains(&own));
        assert_eq!((name(-1), parent(-1), command_line(-1)), (None, None, None));
    }
}
