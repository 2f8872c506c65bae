//! A client that asks the standby something all the while, and notes when nobody answers.

use super::Outcome;
use super::ground::Ground;
use pg_runbook::server::{ConnectionArguments, Defaults, Server, Target};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the client saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub answers: u64,
    pub silent: Duration,
    pub longest: Duration,
}

/// The client, at work.
pub struct Readers {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

const QUESTION: &str = "SELECT sum(bbalance) FROM pgbench_branches";

/// A pause between two answers that counts as silence: what a busy machine takes anyway is not.
const PAUSE: Duration = Duration::from_millis(50);

impl Readers {
    /// Starts asking; the first answer must come.
    pub fn start(ground: &Ground) -> Outcome<Self> {
        let target = target(ground)?;
        let mut server = Server::connect(&target).map_err(|failure| failure.to_string())?;
        server.text(QUESTION).map_err(|failure| failure.to_string())?;
        let (over, answers, seen) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Seen::default())));
        let shared = (Arc::clone(&over), Arc::clone(&answers), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let (over, answers, seen) = shared;
            let mut last = Instant::now();
            while !over.load(Ordering::Relaxed) {
                if server.text(QUESTION).is_err() {
                    if let Ok(again) = Server::connect(&target) {
                        server = again;
                    }
                    continue;
                }
                let silent = last.elapsed();
                last = Instant::now();
                answers.fetch_add(1, Ordering::Relaxed);
                if silent > PAUSE
                    && let Ok(mut seen) = seen.lock()
                {
                    seen.silent += silent;
                    seen.longest = seen.longest.max(silent);
                }
            }
        });
        Ok(Self { over, answers, seen, thread })
    }

    /// Waits for one more answer, so that a silence that goes on is counted whole.
    pub fn until_answered(&self) -> Outcome<()> {
        let (before, begun) = (self.answers.load(Ordering::Relaxed), Instant::now());
        while self.answers.load(Ordering::Relaxed) == before {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err("the standby has not answered for 30 s".into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Ends the client.
    pub fn stop(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        let seen = self.seen.lock().map(|seen| *seen).unwrap_or_default();
        Seen { answers: self.answers.load(Ordering::Relaxed), ..seen }
    }
}

/// By TCP with the replication role's password, which is what an application would do.
fn target(ground: &Ground) -> Outcome<Target> {
    let conninfo =
        format!("host=127.0.0.1 port={} user=replicator dbname=postgres connect_timeout=2", ground.standby_port);
    let arguments = ConnectionArguments { conninfo: Some(conninfo), ..ConnectionArguments::default() };
    let mut target = arguments
        .resolve(&Defaults { beats_environment: true, ..Defaults::default() })
        .map_err(|failure| failure.to_string())?;
    let secret = std::fs::read_to_string(ground.folder.join("secret")).map_err(|error| error.to_string())?;
    target.password = Some(pg_runbook::Secret::new(secret.trim().to_owned()));
    Ok(target)
}
