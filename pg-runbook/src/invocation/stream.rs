//! A child's output, taken as it comes.
//!
//! What must always hold: nothing here waits; a pipe that stays open because a server inherited it holds nobody up.

use super::Watcher;
use crate::failure::{Attempt, Failure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// One of the child's output pipes, read without blocking.
pub(super) struct Stream<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
    handed_on: usize,
}

impl<R: Read + AsFd> Stream<R> {
    pub(super) fn new(pipe: Option<R>) -> Result<Self, Failure> {
        if let Some(pipe) = &pipe {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).attempt(|| "make a pipe non-blocking")?;
        }
        Ok(Self { pipe, bytes: Vec::new(), handed_on: 0 })
    }

    pub(super) fn read(&mut self) {
        let mut buffer = [0; 8192];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    pub(super) fn hand_on(&mut self, to: Watcher<'_>, all: bool) -> Result<(), Failure> {
        while let Some(length) = self.bytes[self.handed_on..].iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let piece = self.handed_on..self.handed_on + length;
            self.handed_on += length + 1;
            to(&String::from_utf8_lossy(&self.bytes[piece]))?;
        }
        if all && self.handed_on < self.bytes.len() {
            to(&String::from_utf8_lossy(&self.bytes[self.handed_on..]))?;
            self.handed_on = self.bytes.len();
        }
        Ok(())
    }

    pub(super) fn text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What can be polled while it is open.
pub(super) trait Open {
    fn open(&self) -> Option<BorrowedFd<'_>>;
}

impl<R: AsFd> Open for Stream<R> {
    fn open(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }
}
