//! A line to a server that can be cut: it forwards, stalls, resets what is open, and refuses what is new.
//!
//! What must always hold: nothing is lost on the way; a stalled line says nothing at all, and goes on where it stopped.

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a line looks whether it is still to forward.
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// A port of this host that leads to another one. Its lines end with it.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens, at 127.0.0.1.
    pub port: u16,
    state: Arc<State>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    server: u16,
    stalled: AtomicBool,
    refusing: AtomicBool,
    /// Lines of another generation than this are reset.
    generation: AtomicU64,
}

impl Proxy {
    /// Listens on a free port that is the caller's, for a server of this host.
    pub fn new(port: u16, server: u16) -> Self {
        let state = Arc::new(State { server, ..State::default() });
        let proxy = Self { port, state, listening: Mutex::new(None) };
        proxy.accept();
        proxy
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn stall(&self) {
        self.state.stalled.store(true, Ordering::SeqCst);
    }

    /// It goes on where it stopped.
    pub fn heal(&self) {
        self.state.stalled.store(false, Ordering::SeqCst);
    }

    /// Resets every line that is open; new ones may come.
    pub fn reset(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Nobody listens any more.
    pub fn refuse(&self) {
        self.state.refusing.store(true, Ordering::SeqCst);
        if let Some(thread) = self.listening.lock().expect("a lock").take() {
            // It waits for someone to accept.
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            thread.join().expect("the end of a thread");
        }
    }

    /// Somebody listens again.
    pub fn accept(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("listen on a free port");
        self.state.refusing.store(false, Ordering::SeqCst);
        let state = Arc::clone(&self.state);
        *self.listening.lock().expect("a lock") = Some(std::thread::spawn(move || listen(&listener, &state)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.reset();
    }
}

fn listen(listener: &TcpListener, state: &Arc<State>) {
    for client in listener.incoming() {
        if state.refusing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let Ok(server) = TcpStream::connect(("127.0.0.1", state.server)) else { continue };
        let ends = [Arc::new(client), Arc::new(server)];
        for end in &ends {
            end.set_read_timeout(Some(LOOKS_EVERY)).expect("a limit");
            end.set_write_timeout(Some(LOOKS_EVERY)).expect("a limit");
            // Or the rest of a small copy would fit into what is on its way.
            setsockopt(end, sockopt::RcvBuf, &65536).expect("a short line");
        }
        let generation = state.generation.load(Ordering::SeqCst);
        let [client, server] = ends;
        for (from, to) in [(client.clone(), server.clone()), (server, client)] {
            let line = Line { state: Arc::clone(state), generation };
            std::thread::spawn(move || line.forward(&from, &to));
        }
    }
}

struct Line {
    state: Arc<State>,
    generation: u64,
}

impl Line {
    fn forward(&self, from: &TcpStream, to: &TcpStream) {
        match self.pass_on(from, to) {
            // The other direction may still be needed.
            Ok(true) => drop(to.shutdown(Shutdown::Write)),
            Ok(false) => {
                for end in [from, to] {
                    // Closed without an orderly end, as when a router forgets the line.
                    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
                    setsockopt(end, sockopt::Linger, &at_once).expect("have it reset");
                }
            }
            Err(_) => drop(to.shutdown(Shutdown::Both)),
        }
    }

    /// Whether it came to the sender's end, or was cut.
    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream) -> std::io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        while self.may_forward() {
            let Some(count) = unless_over(from.read(&mut bytes))? else { continue };
            if count == 0 {
                return Ok(true);
            }
            let mut sent = 0;
            while sent < count {
                if !self.may_forward() {
                    return Ok(false);
                }
                sent += unless_over(to.write(&bytes[sent..count]))?.unwrap_or_default();
            }
        }
        Ok(false)
    }

    /// Waits while it is stalled; `false` where it is cut.
    fn may_forward(&self) -> bool {
        let state = &self.state;
        let is_open = || state.generation.load(Ordering::SeqCst) == self.generation;
        while is_open() && state.stalled.load(Ordering::SeqCst) {
            std::thread::sleep(LOOKS_EVERY);
        }
        is_open()
    }
}

/// `None` where only the time to look is over.
fn unless_over(done: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
