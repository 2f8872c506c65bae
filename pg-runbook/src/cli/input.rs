//! The upstream document: where it comes from, and what the lack of one means.
//!
//! What must always hold: a terminal, a device or a socket is never read (it may never end), an ssh session's own input
//! only where a server would be disturbed; and what is read is read to its end before anything else is done.

use super::arguments::CommonArguments;
use super::other_end;
use crate::document::Document;
use crate::failure::{Attempt, Failure};
use crate::signals;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;

/// What a tool does about its input.
#[derive(Clone, Copy, Debug)]
pub struct Expectation {
    /// The verb stops, restarts, drops, promotes or replaces: an empty pipe may be a dead upstream, so it is refused.
    pub disturbs: bool,
    /// Standard input carries a password, not a document.
    pub password_on_stdin: bool,
}

/// Reads the document that the command line and the kind of standard input ask for.
pub fn read(common: &CommonArguments, expected: Expectation, tell: &dyn Fn(&str)) -> Result<Option<Document>, Failure> {
    let text = match &common.input {
        Some(file) if file.as_os_str() != "-" => {
            let text = std::fs::read_to_string(file).attempt(|| format!("read {file:?}")).map_err(|mut failure| {
                failure.code = crate::Code::Usage;
                failure
            })?;
            return document(&text, &file.display().to_string());
        }
        Some(_) if expected.password_on_stdin => {
            return Err(Failure::usage("--input - and --password-stdin both want standard input"));
        }
        Some(_) => Some(read_stdin(Awaited::Document, tell)?),
        None if common.no_input || expected.password_on_stdin || switched_off() => None,
        None if is_pipe_or_file(expected.disturbs) => Some(read_stdin(Awaited::Document, tell)?),
        None => None,
    };
    match text {
        Some(text) if !text.trim().is_empty() => document(&text, "standard input"),
        Some(_) if expected.disturbs => Err(Failure::refused("standard input is empty")
            .because(
                "the tool before this one may have died; cron, make -j and Ansible's command give an empty pipe too",
            )
            .hint("where no document is meant to come, add --no-input")),
        _ if common.require_input => {
            Err(Failure::refused("there is no document on standard input").because("--require-input asks for one"))
        }
        _ => Ok(None),
    }
}

fn document(text: &str, origin: &str) -> Result<Option<Document>, Failure> {
    Document::read(text, origin).map(Some)
}

fn switched_off() -> bool {
    std::env::var_os("PG_RUNBOOK_INPUT").is_some_and(|value| value == "none")
}

fn is_pipe_or_file(disturbs: bool) -> bool {
    let kind = kind(std::io::stdin());
    // Whoever pipes into ssh may have failed: what disturbs a server waits until that is known.
    kind == Some(SFlag::S_IFIFO) && (disturbs || !other_end::is_an_ssh_sessions()) || kind == Some(SFlag::S_IFREG)
}

/// Whether a document may have come by an ssh session's own input, which was not read.
pub(super) fn leaves_a_session_unread(common: &CommonArguments, expected: Expectation) -> bool {
    let is_asked = common.input.is_some() || common.no_input || expected.password_on_stdin || switched_off();
    !is_asked && !expected.disturbs && kind(std::io::stdin()) == Some(SFlag::S_IFIFO) && other_end::is_an_ssh_sessions()
}

/// What a stream is; a closed one is nothing.
fn kind(stream: impl AsFd) -> Option<SFlag> {
    Some(SFlag::from_bits_truncate(fstat(stream).ok()?.st_mode & SFlag::S_IFMT.bits()))
}

/// Whether the document came by a pipe and goes on by one.
pub(super) fn is_amid_a_pipeline(common: &CommonArguments) -> bool {
    let from_stdin = common.input.as_ref().is_none_or(|file| file.as_os_str() == "-");
    let is_pipe = |kind| kind == Some(SFlag::S_IFIFO);
    from_stdin && is_pipe(kind(std::io::stdin())) && is_pipe(kind(std::io::stdout()))
}

/// What standard input is to bring.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    Document,
    Password,
}

impl Awaited {
    fn waiting(self) -> &'static str {
        match self {
            Self::Document => "waiting for a document on standard input (--no-input goes on without one)",
            Self::Password => "waiting for the password on standard input",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Password => "password",
        }
    }
}

/// Standard input to its end; a line on stderr when nothing has come for 2 s, unless one of our tools is to send it.
pub(super) fn read_stdin(awaited: Awaited, tell: &dyn Fn(&str)) -> Result<String, Failure> {
    let mut stdin = std::io::stdin().lock();
    let mut bytes = Vec::new();
    let mut buffer = [0; 16384];
    let mut told = false;
    loop {
        signals::safe_point(&format!("while waiting for the {} on standard input", awaited.noun()))?;
        match poll(&mut [PollFd::new(std::io::stdin().as_fd(), PollFlags::POLLIN)], PollTimeout::from(2000_u16)) {
            Ok(0) => {
                if !told && !other_end::is_one_of_our_tools() {
                    told = true;
                    tell(awaited.waiting());
                }
                continue;
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error).attempt(|| "wait for standard input"),
        }
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).attempt(|| "read standard input"),
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("standard input is no {}", awaited.noun())).because("it is not UTF-8"))
}
