//! A client that asks a server something all the while, and notes when nobody answers.
//!
//! What must always hold: silence is counted from the end of one good answer to the end of the next, whatever came
//! between.

use crate::ground::Outcome;
use pg_runbook::server::{Server, Target};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How it comes, and what it asks.
#[derive(Clone, Copy)]
pub enum Habit {
    /// Over one connection as long as that lasts, without a pause.
    Stays(&'static str),
    /// Over a new connection each time, after a pause.
    ComesAnew(&'static str),
}

/// What the client saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub answers: u64,
    /// All silences that were longer than a busy machine's usual ones.
    pub silent: Duration,
    pub longest: Duration,
}

/// The client, at work.
pub struct Readers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    seen: Mutex<Seen>,
    answered: Condvar,
}

/// A pause between two answers that counts as silence: what a busy machine takes anyway is not.
const SILENCE: Duration = Duration::from_millis(50);

/// Between two attempts; shorter than what is to be told apart, and long enough to leave the server a processor.
const PAUSE: Duration = Duration::from_millis(5);

/// How long an answer may be waited for.
const PATIENCE: Duration = Duration::from_secs(120);

impl Habit {
    fn question(self) -> &'static str {
        match self {
            Self::Stays(question) | Self::ComesAnew(question) => question,
        }
    }
}

impl Readers {
    /// Starts asking; the first answer must come.
    pub fn start(target: Target, habit: Habit) -> Outcome<Self> {
        let mut server = Server::connect(&target).map_err(|failure| failure.to_string())?;
        server.text(habit.question()).map_err(|failure| failure.to_string())?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || of_thread.ask_all_the_while(&target, habit, server));
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Forgets what was seen so far.
    pub fn begin_anew(&self) {
        *self.shared.lock() = Seen::default();
    }

    /// Waits for one more answer, so that a silence that goes on is counted whole.
    pub fn until_answered(&self) -> Outcome<Seen> {
        let seen = self.shared.lock();
        let before = seen.answers;
        let same = |seen: &mut Seen| seen.answers == before;
        let waited = self.shared.answered.wait_timeout_while(seen, PATIENCE, same);
        let (seen, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        if limit.timed_out() {
            return Err(format!("the standby has not answered for {} s", PATIENCE.as_secs()));
        }
        Ok(*seen)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_all_the_while(&self, target: &Target, habit: Habit, server: Server) {
        let mut connection = Some(server);
        let mut last = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            let answered = ask(&mut connection, target, habit.question());
            if answered {
                let now = Instant::now();
                self.note(now - last);
                last = now;
            }
            match habit {
                Habit::Stays(_) if answered => {}
                Habit::Stays(_) | Habit::ComesAnew(_) => {
                    connection = None;
                    std::thread::park_timeout(PAUSE);
                }
            }
        }
    }

    fn note(&self, silence: Duration) {
        let mut seen = self.lock();
        seen.answers += 1;
        seen.longest = seen.longest.max(silence);
        if silence > SILENCE {
            seen.silent += silence;
        }
        self.answered.notify_all();
    }
}

fn ask(connection: &mut Option<Server>, target: &Target, question: &str) -> bool {
    if connection.is_none() {
        *connection = Server::connect(target).ok();
    }
    connection.as_mut().is_some_and(|server| server.text(question).is_ok())
}
