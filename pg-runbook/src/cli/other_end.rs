//! Who is at the other end of the pipe that standard input is: a tool of ours, or whoever is at the other end of an ssh
//! session.
//!
//! What must always hold: where that isn't certain, it is taken for any other pipeline's. sshd gives a command without a
//! terminal a socket or, as Debian's does, a pipe; of itself neither ever ends, so a tool that read it would wait for
//! somebody who does not know that anything is expected.

use crate::process::{self, children, name, open_on, parent};
use nix::unistd::{getpid, getppid};

const INPUT: u32 = 0;
const OUTPUT: u32 = 1;

const SHELLS: [&str; 8] = ["bash", "dash", "sh", "zsh", "ksh", "mksh", "fish", "rbash"];

const HAND_ON: [&str; 2] = ["sudo", "doas"];

/// Whether the pipe that standard input is came through from sshd: every process on the way up to it has the same one.
pub(super) fn is_an_ssh_sessions() -> bool {
    let Some(ours) = open_on(getpid().as_raw(), INPUT) else { return false };
    let (mut below, mut process) = (getpid().as_raw(), getppid().as_raw());
    loop {
        if name(process).is_some_and(|name| name.starts_with("sshd")) {
            return began_with(below);
        }
        // In a pipeline the shell has another one than its commands.
        match open_on(process, INPUT) {
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
        || children(first).len() <= usize::from(first != getpid().as_raw())
}

/// Whether one of our tools writes into it: that one tells itself what it does.
pub(super) fn is_one_of_our_tools() -> bool {
    let Some(ours) = open_on(getpid().as_raw(), INPUT) else { return false };
    let mut tools = process::all().filter(|pid| name(*pid).is_some_and(|name| name.starts_with("pg-")));
    tools.any(|pid| pid != getpid().as_raw() && open_on(pid, OUTPUT).as_ref() == Some(&ours))
}
