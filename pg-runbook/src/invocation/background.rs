//! A child that works while the tool does something else.
//!
//! What must always hold: it never outlives the tool. Dropped, it is told to end and waited for.

use crate::failure::{Attempt, Failure};
use crate::{owner, service};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// How long one that is dropped may take to end in order.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The child.
#[derive(Debug)]
pub struct Background {
    child: Child,
}

impl Background {
    pub(super) fn new(child: Child) -> Self {
        Self { child }
    }

    /// How it ended; `None` while it works.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.try_wait().attempt(|| "look whether a child still works")
    }

    /// Tells it something.
    pub fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default());
        owner::as_started(|| kill(pid, signal).attempt(|| format!("send {signal} to process {pid}")))
    }

    /// Tells it to end and waits; `None` where it takes longer.
    pub fn end(&mut self, signal: Signal, limit: Duration) -> Result<Option<ExitStatus>, Failure> {
        if let Some(status) = self.ended()? {
            return Ok(Some(status));
        }
        self.signal(signal)?;
        let mut ended = Ok(None);
        service::await_condition(limit, "while a child ends", || {
            ended = self.ended();
            !matches!(ended, Ok(None))
        })?;
        ended
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Also where a signal is why it is dropped.
        let _shield = crate::signals::Shield::raise();
        if matches!(self.end(Signal::SIGINT, ENDS_WITHIN), Ok(None)) {
            let _ = self.end(Signal::SIGQUIT, ENDS_WITHIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
