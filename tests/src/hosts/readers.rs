//! Clients of a server as applications are: from another machine, each time over a new connection, all the while.
//!
//! What must always hold: silence is counted from one good answer to the next, whatever came between.

use pg_runbook::server::{ConnectionArguments, Defaults, Server, Target};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// They ask until they are dropped.
#[derive(Debug)]
pub struct Readers {
    seen: Arc<Seen>,
    asking: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    over: AtomicBool,
    answers: AtomicU64,
    longest: Mutex<Duration>,
}

impl Readers {
    /// Begins to ask, as a role that needs no password.
    #[track_caller]
    pub fn of(address: &str, port: u16, role: &str) -> Self {
        let conninfo = format!("host={address} port={port} user={role} dbname=postgres connect_timeout=2");
        let way = ConnectionArguments { conninfo: Some(conninfo), ..ConnectionArguments::default() };
        let target = way.resolve_in(&Defaults::default(), &|_| None).expect("a way there");
        let seen = Arc::new(Seen::default());
        let theirs = Arc::clone(&seen);
        let readers = Self { seen, asking: Some(std::thread::spawn(move || theirs.ask(&target))) };
        readers.longest_silence();
        readers
    }

    /// The longest time without an answer since this was asked the last time; one that goes on is waited for.
    #[track_caller]
    pub fn longest_silence(&self) -> Duration {
        let before = self.seen.answers.load(Ordering::SeqCst);
        crate::wait_for("the readers to get an answer", Duration::from_secs(60), || {
            self.seen.answers.load(Ordering::SeqCst) > before
        });
        std::mem::take(&mut self.seen.longest.lock().expect("what was seen"))
    }
}

impl Seen {
    fn ask(&self, target: &Target) {
        let mut last = Instant::now();
        while !self.over.load(Ordering::SeqCst) {
            if Server::connect(target).is_ok_and(|mut server| server.text("SELECT 1::text").is_ok()) {
                let mut longest = self.longest.lock().expect("what was seen");
                *longest = last.elapsed().max(*longest);
                drop(longest);
                last = Instant::now();
                self.answers.fetch_add(1, Ordering::SeqCst);
            }
            // The servers need the processors too.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::SeqCst);
        if let Some(asking) = self.asking.take() {
            let _ = asking.join();
        }
    }
}
