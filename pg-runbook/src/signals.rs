//! SIGINT, SIGTERM and SIGHUP become a question that the work asks at its safe points; SIGCHLD wakes whoever waits.
//!
//! What must always hold: a signal never ends the tool by itself, so that what was begun is ended and a document is
//! written.

use crate::failure::{Attempt, Failure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

static ARRIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Starts listening; once, before anything else.
pub fn listen() -> Result<(), Failure> {
    let arrived = ARRIVED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = usize::try_from(signal).unwrap_or_default();
        signal_hook::flag::register_usize(signal, Arc::clone(arrived), number)
            .attempt(|| format!("listen for signal {signal}"))?;
    }
    Ok(())
}

static SHIELDS: AtomicUsize = AtomicUsize::new(0);

/// While it lives, a signal waits: for work that must not stop half-way, such as an exchange of directories.
pub struct Shield(());

impl Shield {
    /// Raises it.
    #[must_use]
    pub fn raise() -> Self {
        SHIELDS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        SHIELDS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The name of the signal that asked for an end.
#[must_use]
pub fn arrived() -> Option<&'static str> {
    if SHIELDS.load(Ordering::Relaxed) > 0 {
        return None;
    }
    let number = ARRIVED.get().map_or(0, |flag| flag.load(Ordering::Relaxed));
    let number = i32::try_from(number).unwrap_or_default();
    (number != 0).then(|| signal_hook::low_level::signal_name(number).unwrap_or("a signal"))
}

/// A safe point: goes on, or fails because somebody asked for an end.
pub fn safe_point(doing: &str) -> Result<(), Failure> {
    match arrived() {
        None => Ok(()),
        Some(signal) => Err(Failure::failed(format!("stopped by {signal} {doing}"))
            .because("what was done so far stands; run the same command again")),
    }
}

/// Something that becomes readable when a child ends or an end is asked for; to be polled.
pub struct Wakeup {
    stream: UnixStream,
    registrations: Vec<signal_hook::SigId>,
}

impl Wakeup {
    /// Listens until dropped.
    pub fn new() -> Result<Self, Failure> {
        let (stream, sender) = UnixStream::pair().attempt(|| "make a socket pair")?;
        stream.set_nonblocking(true).attempt(|| "make a socket non-blocking")?;
        let mut registrations = Vec::new();
        for signal in [SIGCHLD, SIGINT, SIGTERM, SIGHUP] {
            let copy = sender.try_clone().attempt(|| "copy a socket")?;
            registrations.push(
                signal_hook::low_level::pipe::register(signal, copy)
                    .attempt(|| format!("listen for signal {signal}"))?,
            );
        }
        Ok(Self { stream, registrations })
    }

    /// Waits until the time has come, which is true, or until an end is asked for.
    pub fn pause(&mut self, until: Instant) -> Result<bool, Failure> {
        loop {
            if arrived().is_some() {
                return Ok(false);
            }
            // Rounded up, or the last millisecond would be a busy one.
            let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
            if left == 0 {
                return Ok(true);
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(Errno::EINTR) => self.drain(),
                Err(errno) => return Err(Failure::failed(format!("wait for a signal: {errno}"))),
            }
        }
    }

    /// Takes what arrived, so that the next poll waits again.
    pub fn drain(&mut self) {
        let mut buffer = [0; 64];
        while matches!(self.stream.read(&mut buffer), Ok(count) if count > 0) {}
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        for id in self.registrations.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
