//! Who is at the other end of the pipe that standard input is: a tool of ours, or whoever is at the other end of an ssh
//! session.
//!
//! What must always hold: where that isn't certain, it is taken for any other pipeline's. sshd gives a command without a
//! terminal a socket or, as Debian's does, a pipe; of itself neither ever ends, so a tool that read it would wait for
//! somebody who does not know that anything is expected.

use nix::unistd::{getpid, getppid};
use std::path::PathBuf;

const SHELLS: [&str; 8] = ["bash", "dash", "sh", "zsh", "ksh", "mksh", "fish", "rbash"];

const HAND_ON: [&str; 2] = ["sudo", "doas"];

/// Whether the pipe that standard input is came through from sshd: every process on the way up to it has the same one.
pub(super) fn is_an_ssh_sessions() -> bool {
    let Some(ours) = standard_input(getpid().as_raw()) else { return false };
    let (mut below, mut process) = (getpid().as_raw(), getppid().as_raw());
    loop {
        if name(process).is_some_and(|name| name.starts_with("sshd")) {
            return began_with(below);
        }
        // In a pipeline the shell has another one than its commands.
        match standard_input(process) {
            Some(theirs) if theirs == ours => {}
            // Whom it made somebody else can't look into it; it hands its own on.
            None if name(process).is_some_and(|name| HAND_ON.contains(&name.as_str())) => {}
            _ => return false,
        }
        let Some(parent) = parent(process) else { return false };
        (below, process) = (process, parent);
    }
}

/// Whether it runs for somebody who came by ssh, on another host.
pub(crate) fn is_over_ssh() -> bool {
    let above = |process: &i32| parent(*process);
    let mut processes = std::iter::successors(parent(getpid().as_raw()), above);
    processes.any(|process| name(process).is_some_and(|name| name.starts_with("sshd")))
}

/// A shell that sshd started has the session's standard input. What such a shell became may be the end of a pipeline, and
/// have its beginning for a child.
fn began_with(first: i32) -> bool {
    name(first).is_some_and(|name| SHELLS.contains(&name.as_str()))
        || children(first) <= usize::from(first != getpid().as_raw())
}

/// Whether one of our tools writes into it: that one tells itself what it does.
pub(super) fn is_one_of_our_tools() -> bool {
    let Some(ours) = standard_input(getpid().as_raw()) else { return false };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut tools = processes.filter(|process| name(*process).is_some_and(|name| name.starts_with("pg-")));
    tools.any(|process| process != getpid().as_raw() && standard_output(process).as_ref() == Some(&ours))
}

fn standard_output(process: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/fd/1")).ok()
}

fn standard_input(process: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/fd/0")).ok()
}

fn name(process: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// The fourth word of its `stat`, behind the name in parentheses.
fn parent(process: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent > 0)
}

fn children(process: i32) -> usize {
    let list = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    list.map_or(usize::MAX, |list| list.split_whitespace().count())
}
